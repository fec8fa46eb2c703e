#!/usr/bin/env python3
"""Twenty fixed queries for functions of the standard library each find theirs among the first three hits."""

import json
import os
import tempfile

from indexer_support import arguments, check, index, main, run, standard_library

TOP = 3


def check_queries(indexer, db):
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "queries.json"), encoding="utf-8") as file:
        queries = json.load(file)
    misses = []
    for query in queries:
        done = run(indexer, "search", query["query"], "--db", db, "--top", TOP, "--json")
        check(done.returncode == 0, f"search: exit code {done.returncode}: {done.stderr}")
        hits = json.loads(done.stdout)["hits"]
        check(len(hits) == TOP, f"search gave {len(hits)} hits")
        ranks = [
            rank
            for rank, hit in enumerate(hits, 1)
            if hit["path"].endswith("/" + query["path"]) and hit["name"] == query["name"]
        ]
        print(f"{ranks[0] if ranks else '-'}  {query['query']}")
        if not ranks:
            found = "".join(f"\n    {hit['score']:.3f} {hit['path']} {hit['name']}" for hit in hits)
            misses.append(f"{query['query']!r} does not find {query['name']} of {query['path']}, but:{found}")
    check(not misses, "\n".join(misses))
    print(f"{len(queries)} queries, each with its function among the first {TOP} hits")


def run_script():
    parser = arguments(__doc__)
    parser.add_argument("--db", help="an index of the standard library; made if not given")
    parser.add_argument("--directory", default=standard_library(), help="the standard library")
    options = parser.parse_args()
    if options.db:
        check_queries(options.indexer, options.db)
        return
    with tempfile.TemporaryDirectory() as temporary:
        db = os.path.join(temporary, "index.db")
        index(options.indexer, options.directory, db, "--quiet")
        check_queries(options.indexer, db)


if __name__ == "__main__":
    main(run_script)
