#!/usr/bin/env python3
"""Indexes the whole standard library: each chunk has its vector, and the report, verify and SQL agree."""

import os
import tempfile

from check_queries import check_queries
from indexer_support import arguments, check, connect, index, main, standard_library, verify

MANY_FILES = 1000


def python_files(directory):
    """The files that the indexer must find."""
    for folder, folders, names in os.walk(directory):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if name.endswith(".py") and not name.startswith("."):
                yield os.path.join(folder, name)


def check_index(indexer, directory, db):
    report = index(indexer, directory, db)
    print(f"{report['files']} files, {report['chunks']} chunks, {report['vectors']} vectors, {report['seconds']:.1f} s")
    expected = {path for path in python_files(os.path.realpath(directory)) if os.path.isfile(path)}
    hint = "; on Debian and Ubuntu, libpython3.X-testsuite has the rest"
    check(len(expected) > MANY_FILES, f"{directory} has only {len(expected)} files{hint}")
    check(report["files"] == len(expected), f"{len(expected)} files are there, and {report['files']} were indexed")
    check(report["failed"] == 0 and report["failed_embeddings"] == 0, f"something failed: {report}")
    check(report["chunks"] == report["vectors"], f"chunks are not vectors: {report}")

    verified = verify(indexer, db)
    connection = connect(db)
    by_sql = {
        "files": connection.execute("SELECT count(*) FROM files").fetchone()[0],
        "chunks": connection.execute("SELECT count(*) FROM chunks").fetchone()[0],
        "vectors": connection.execute("SELECT count(*) FROM vectors").fetchone()[0],
    }
    paths = {path for (path,) in connection.execute("SELECT path FROM files")}
    connection.close()
    for key, count in by_sql.items():
        check(
            report[key] == verified[key] == count,
            f"{key}: the report says {report[key]}, verify {verified[key]}, SQL {count}",
        )
    check(paths == expected, f"other files than those there: {sorted(paths ^ expected)[:5]}")

    again = index(indexer, directory, db)
    check(again["files"] == 0 and again["unchanged"] == report["files"], f"the second run did it again: {again}")
    print("the report, verify and SQL agree, and a second run finds nothing to do")


def run_script():
    parser = arguments(__doc__)
    parser.add_argument("--directory", default=standard_library(), help="the standard library")
    parser.add_argument("--queries", action="store_true", help="check the fixed queries on this index as well")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        db = os.path.join(temporary, "index.db")
        check_index(options.indexer, options.directory, db)
        if options.queries:
            check_queries(options.indexer, db)


if __name__ == "__main__":
    main(run_script)
