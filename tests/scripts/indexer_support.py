"""What the scripts that drive the indexer share. Python 3.11 or newer, standard library only."""

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import sysconfig

REPORT_KEYS = [
    "files", "unchanged", "removed", "unparsed", "failed", "chunks", "vectors", "failed_embeddings", "seconds",
    "exit_code", "shutdown",
]  # fmt: skip
SHUTDOWN_KEYS = [
    "accepted", "completed", "failed", "cancelled", "timed_out", "abandoned", "panics", "phase", "milliseconds",
]  # fmt: skip

# Longer than anything takes here, also under a sanitizer on a busy machine. What takes longer hangs.
HANG = 240


class CheckFailed(AssertionError):
    """A check that failed; so also to unittest."""


def check(condition, message):
    if not condition:
        raise CheckFailed(message)


def arguments(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--indexer", required=True, help="the indexer's executable")
    return parser


def main(run):
    """Runs a script's checks; a failed one is a message and exit code 1."""
    try:
        run()
    except CheckFailed as failure:
        print(f"FAILED: {failure}", file=sys.stderr)
        sys.exit(1)


def standard_library():
    """The standard library of the Python that runs this."""
    return os.path.realpath(sysconfig.get_path("stdlib"))


def run(indexer, *args, **options):
    """Runs the indexer to its end."""
    options.setdefault("timeout", HANG)
    return subprocess.run([indexer, *map(str, args)], capture_output=True, text=True, **options)


def check_report(report):
    """A report has exactly the documented keys, and its tasks are all accounted for."""
    check(list(report) == REPORT_KEYS, f"the report's keys are {list(report)}")
    shutdown = report["shutdown"]
    check(list(shutdown) == SHUTDOWN_KEYS, f"the shutdown's keys are {list(shutdown)}")
    settled = sum(shutdown[key] for key in ("completed", "failed", "cancelled", "timed_out", "abandoned"))
    check(shutdown["accepted"] == settled, f"not every accepted task has settled: {shutdown}")
    check(
        report["chunks"] == report["vectors"] + report["failed_embeddings"],
        f"chunks are not vectors and failed embeddings: {report}",
    )


def index(indexer, directory, db, *args, expect=0):
    """Runs `indexer index --json`; the report."""
    done = run(indexer, "index", directory, "--db", db, "--json", *args)
    check(done.returncode == expect, f"index: exit code {done.returncode}, stderr:\n{done.stderr}")
    report = json.loads(done.stdout)
    check_report(report)
    check(report["exit_code"] == done.returncode, f"the report says another exit code: {report}")
    return report


def verify(indexer, db):
    """Runs `indexer verify --json`, which must find nothing; its counts."""
    done = run(indexer, "verify", "--db", db, "--json")
    check(done.returncode == 0, f"verify: exit code {done.returncode}:\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def connect(db):
    connection = sqlite3.connect(db)
    connection.isolation_level = None
    return connection


def rows(db):
    """All that an index says, whatever the order in which it was filled: ids are left out."""
    connection = connect(db)
    files = connection.execute("SELECT path, size, mtime_ns, chunks, parsed FROM files ORDER BY path").fetchall()
    chunks = connection.execute(
        "SELECT path, name, first_line, last_line, text, error, data FROM files JOIN chunks ON file_id = files.id "
        "LEFT JOIN vectors ON chunk_id = chunks.id"
    ).fetchall()
    meta = connection.execute("SELECT key, value FROM meta ORDER BY key").fetchall()
    connection.close()
    return files, sorted(chunks, key=repr), meta
