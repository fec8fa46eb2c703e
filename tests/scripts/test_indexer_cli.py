#!/usr/bin/env python3
"""What the indexer does with its command line, with files of every kind, with a damaged index, and with signals."""

import json
import os
import pty
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import indexer_support
from indexer_support import HANG, REPORT_KEYS, SHUTDOWN_KEYS, connect, rows, verify

INDEXER = None  # set in main()

SHAPES = '''\
"""Shapes."""

import math


class Circle:
    """A round thing."""

    def area(self):
        return math.pi * self.radius**2

    class Builder:
        def with_radius(self, radius):
            def check():
                assert radius > 0

            check()
            return self


@decorated
async def draw(shape):
    # Draws it.
    pass


SCALE = 2
'''

# Stands in for the Python part, to have it fail or take its time.
FAULTY_TASKS = '''\
import os, time

def running():
    open(os.path.join(os.path.dirname(__file__), "running"), "w").close()

def describe():
    # Before the indexer is ready, and until somebody lets it go on.
    hold = os.path.join(os.path.dirname(__file__), "hold")
    if os.path.exists(hold):
        running()
    while os.path.exists(hold):
        time.sleep(0.01)
    return "hashing", 384

def chunk(path):
    if b"unchunked" in path:
        raise MemoryError("no room for it")
    if b"stuck" in path:
        running()
        time.sleep(1000)
    if b"slow" in path:
        running()
        time.sleep(0.2)
    return True, [("a", 1, 1, "text a"), ("b", 2, 2, "text b")]

def embed(path, chunks):
    if "unembedded" in path:
        raise RuntimeError("no vectors today")
    if "short" in path:
        return [(b"abc", None), (None, None)]
    if "half" in path:
        return [(bytes(384 * 4), None), (None, "ValueError: not this one")]
    return [(bytes(384 * 4), None)] * 2
'''


class IndexerTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.temporary = os.path.realpath(temporary.name)
        self.tree = os.path.join(self.temporary, "tree")
        os.mkdir(self.tree)
        self.db = os.path.join(self.temporary, "index.db")

    def write(self, name, content=SHAPES):
        path = os.path.join(self.tree, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return path

    def run_indexer(self, *args, **options):
        return indexer_support.run(INDEXER, *args, **options)

    def index(self, *args, expect=0):
        return indexer_support.index(INDEXER, self.tree, self.db, *args, expect=expect)

    def verified(self):
        return verify(INDEXER, self.db)

    def sql(self, *statements):
        connection = connect(self.db)
        result = [connection.execute(statement).fetchall() for statement in statements]
        connection.close()
        return result[0] if len(result) == 1 else result

    def faulty_tasks(self):
        directory = os.path.join(self.temporary, "faulty")
        os.makedirs(directory, exist_ok=True)
        with open(os.path.join(directory, "indexer_tasks.py"), "w", encoding="utf-8") as file:
            file.write(FAULTY_TASKS)
        return "--python-dir", directory

    def assert_only_ready(self, stderr):
        """There is no message; a slow machine gives time for lines about progress."""
        self.assertRegex(stderr, r"^ready\n(\d+ of \d+ files, .* left\n)*$")

    def assert_refused(self, *args, says, **options):
        done = self.run_indexer(*args, **options)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertIn(says, done.stderr)


    def assert_refused_at_last(self, *args, says, **options):
        """As above, and the indexer may have begun to work."""
        done = self.run_indexer(*args, **options)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn(says, done.stderr.splitlines()[-1])
        return done


class BadInput(IndexerTest):
    def test_no_command(self):
        self.assert_refused(says="subcommand")

    def test_unknown_option(self):
        self.assert_refused("index", self.tree, "--no-such-option", says="--no-such-option")

    def test_missing_directory(self):
        missing = os.path.join(self.temporary, "missing")
        self.assert_refused("index", missing, "--db", self.db, says=missing)
        self.assertFalse(os.path.exists(self.db))

    def test_directory_is_a_file(self):
        self.assert_refused("index", self.write("a.py"), "--db", self.db, says="is not a directory")

    def test_empty_directory(self):
        self.assert_refused("index", "", "--db", self.db, says="DIR is empty")
        self.assertFalse(os.path.exists(self.db))

    def test_empty_database(self):
        for command in (["index", self.tree], ["search", "x"], ["verify"]):
            self.assert_refused(*command, "--db", "", says="--db is empty; it must name the file")

    def test_workers(self):
        for workers in ("0", "-1", "257", "many"):
            self.assert_refused("index", self.tree, "--db", self.db, "--workers", workers, says="--workers")

    def test_drain(self):
        for drain in ("-1", "nan", "soon"):
            self.assert_refused("index", self.tree, "--db", self.db, "--drain", drain, says="--drain")

    def test_embedder(self):
        self.assert_refused(
            "index", self.tree, "--db", self.db, "--embedder", "magic", says="'magic'; this version has: hashing"
        )
        self.assert_refused(
            "index", self.tree, "--db", self.db, "--embedder", "tokenizers", says="not available in this version"
        )

    def test_database_is_not_sqlite(self):
        with open(self.db, "w", encoding="utf-8") as file:
            file.write("Dear diary, today I was not a database.\n" * 100)
        for command in (["index", self.tree], ["search", "x"], ["verify"]):
            self.assert_refused(*command, "--db", self.db, says="is not an index")

    def test_database_has_other_columns(self):
        self.index()
        self.sql("ALTER TABLE files RENAME COLUMN path TO name")
        for command in (["index", self.tree], ["verify"]):
            self.assert_refused_at_last(*command, "--db", self.db, says=f"{self.db} cannot be used as an index")

    def test_database_is_another_one(self):
        self.sql("CREATE TABLE customers(name TEXT)")
        for command in (["index", self.tree], ["search", "x"], ["verify"]):
            self.assert_refused(*command, "--db", self.db, says="is not an index")
        self.assertEqual(self.sql("SELECT name FROM sqlite_master"), [("customers",)])

    def test_database_has_another_schema(self):
        self.index()
        self.sql("UPDATE meta SET value = '7' WHERE key = 'schema'")
        for command in (["index", self.tree], ["search", "x"], ["verify"]):
            self.assert_refused(*command, "--db", self.db, says="schema 7")

    def test_database_has_another_embedder(self):
        self.index()
        self.sql("UPDATE meta SET value = 'other' WHERE key = 'embedder'")
        for command in (["index", self.tree], ["search", "x"]):
            self.assert_refused(*command, "--db", self.db, says="embedded by 'other'")
        self.sql("UPDATE meta SET value = 'hashing' WHERE key = 'embedder'")
        self.sql("UPDATE meta SET value = '7' WHERE key = 'dimensions'")
        self.assert_refused("index", self.tree, "--db", self.db, says="with 7 dimensions")

    def test_database_cannot_be_written(self):
        self.assert_refused("index", self.tree, "--db", os.path.join(self.temporary, "no", "dir.db"), says="no/dir.db")
        self.assert_refused("index", self.tree, "--db", self.tree, says=self.tree)

    @unittest.skipIf(os.geteuid() == 0, "root may write everything")
    def test_database_is_read_only(self):
        self.index()
        os.chmod(self.db, 0o444)
        self.assert_refused("index", self.tree, "--db", self.db, says="cannot be written")

    def test_no_database(self):
        for command in (["search", "x"], ["verify"]):
            self.assert_refused(*command, "--db", self.db, says="there is no index")
        self.assertFalse(os.path.exists(self.db))

    def test_query_without_words(self):
        self.index()
        self.assert_refused("search", "?!", "--db", self.db, says="no word")
        self.assert_refused("search", "x", "--db", self.db, "--top", "0", says="--top")

    def test_help_is_not_an_error(self):
        for args in (["--help"], ["index", "--help"]):
            done = self.run_indexer(*args)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertNotIn("tokenizers", done.stdout)


class Indexing(IndexerTest):
    def test_report_has_the_documented_keys_and_stdout_nothing_else(self):
        self.write("a.py")
        done = self.run_indexer("index", self.tree, "--db", self.db, "--json")
        report = json.loads(done.stdout)
        self.assertEqual(list(report), REPORT_KEYS)
        self.assertEqual(list(report["shutdown"]), SHUTDOWN_KEYS)
        self.assert_only_ready(done.stderr)
        self.assertEqual(report["shutdown"]["phase"], "finished")
        self.assertEqual(report["exit_code"], 0)

    def test_summary_is_on_stdout_and_quiet_is_quiet(self):
        self.write("a.py")
        done = self.run_indexer("index", self.tree, "--db", self.db)
        self.assertIn("1 files indexed, 0 unchanged, 0 removed, 0 failed\n", done.stdout)
        done = self.run_indexer("index", self.tree, "--db", self.db, "--quiet")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", "ready\n"))

    def test_chunks_are_functions_classes_and_the_rest(self):
        self.write("shapes.py")
        self.index()
        chunks = self.sql("SELECT name, first_line, last_line, text FROM chunks ORDER BY first_line, last_line DESC")
        self.assertEqual(
            [chunk[:3] for chunk in chunks],
            [
                ("<module>", 1, 27),
                ("Circle", 6, 18),
                ("Circle.area", 9, 10),
                ("Circle.Builder", 12, 18),
                ("Circle.Builder.with_radius", 13, 18),
                ("Circle.Builder.with_radius.check", 14, 15),
                ("draw", 21, 24),
            ],
        )
        texts = {chunk[0]: chunk[3] for chunk in chunks}
        self.assertEqual(texts["Circle.area"], "    def area(self):\n        return math.pi * self.radius**2")
        self.assertTrue(texts["draw"].startswith("@decorated\nasync def draw"))
        self.assertNotIn("assert radius", texts["Circle.Builder.with_radius"])
        # Each line is in one chunk.
        lines = [line for chunk in chunks for line in chunk[3].split("\n") if line.strip()]
        self.assertEqual(sorted(lines), sorted(line for line in SHAPES.split("\n") if line.strip()))

    def test_vectors_are_little_endian_floats_of_length_one(self):
        self.write("a.py")
        self.index()
        ((dimensions,),) = self.sql("SELECT value FROM meta WHERE key = 'dimensions'")
        for (data,) in self.sql("SELECT data FROM vectors"):
            vector = struct.unpack(f"<{dimensions}f", data)
            self.assertAlmostEqual(sum(value * value for value in vector), 1, places=5)

    def test_second_run_does_only_what_changed(self):
        for name in ("a.py", "b.py", "sub/c.py"):
            self.write(name)
        self.assertEqual(self.index()["files"], 3)
        before = rows(self.db)
        again = self.index()
        self.assertEqual((again["files"], again["unchanged"], again["removed"]), (0, 3, 0))
        self.assertEqual(rows(self.db), before)

        self.write("a.py", "def other():\n    pass\n")
        os.utime(os.path.join(self.tree, "b.py"), ns=(1, 1))  # the same text at another time
        os.unlink(os.path.join(self.tree, "sub/c.py"))
        self.write("d.py")
        report = self.index()
        self.assertEqual((report["files"], report["unchanged"], report["removed"]), (3, 0, 1))
        names = self.sql("SELECT name FROM chunks JOIN files ON file_id = files.id WHERE path LIKE '%/a.py'")
        self.assertEqual(names, [("other",)])
        self.assertEqual(self.verified()["files"], 3)

    def test_only_files_below_the_directory_are_removed(self):
        self.write("one/a.py")
        self.write("one2/b.py")
        tree = self.tree
        for part in ("one", "one2"):
            indexer_support.index(INDEXER, os.path.join(tree, part), self.db)
        shutil.rmtree(os.path.join(tree, "one2"))
        report = indexer_support.index(INDEXER, os.path.join(tree, "one"), self.db)
        self.assertEqual((report["unchanged"], report["removed"]), (1, 0))
        self.assertEqual(self.index()["removed"], 1)
        self.assertEqual(self.verified()["files"], 1)

    def test_a_tree_has_one_name_however_it_is_spelled(self):
        self.write("a.py")
        self.index()
        link = os.path.join(self.temporary, "link")
        os.symlink(self.tree, link)
        for name in (link, os.path.join(self.tree, "..", "tree") + "/"):
            report = indexer_support.index(INDEXER, name, self.db)
            self.assertEqual((report["files"], report["unchanged"]), (0, 1))
        done = self.run_indexer("index", "--db", self.db, "--json", cwd=self.tree)
        self.assertEqual(json.loads(done.stdout)["unchanged"], 1)

    def test_what_does_not_parse_is_cut_by_lines(self):
        bad = {
            "syntax.py": b"def f(:\n" + b"x = 1\n" * 100,
            "nul.py": b"x = 1\0\n",
            "encoding.py": b"# coding: no-such-encoding\nx = 1\n",
            "rot13.py": b"# coding: rot13\nk = 1\n",
            "latin.py": b"x = '\xe9'\n",
            "surrogates.py": b"# coding: unicode_escape\nx = '\\ud800'\n",
            "utf16.py": "x = 1\n".encode("utf-16"),
            "parentheses.py": b"(" * 100_000,
            "minus.py": b"-" * 100_000 + b"1",
            # From 3.14 on it is the thread's stack that limits these.
            "attributes.py": b"a" + b".b" * 1_000_000,
            "sum.py": b"1" + b"+1" * 1_000_000,
            "elif.py": b"if 1:\n  pass\n" + b"elif 2:\n  pass\n" * 20_000,
        }
        good = {
            "declared.py": b"# coding: latin-1\nx = '\xe9'\n",
            "bom.py": b"\xef\xbb\xbfx = 1\n",
            "crlf.py": b"def f():\r\n    pass\r\n",
            "empty.py": b"",
            "blank.py": b"\n\n",
            "warning.py": b"x = '\\d'\n",
        }
        for name, content in (bad | good).items():
            self.write(name, content)
        done = self.run_indexer("index", self.tree, "--db", self.db, "--json")
        report = json.loads(done.stdout)
        self.assert_only_ready(done.stderr)
        self.assertEqual((report["files"], report["unparsed"], report["failed"]), (len(bad | good), len(bad), 0))
        self.verified()
        unparsed = {os.path.basename(path) for (path,) in self.sql("SELECT path FROM files WHERE parsed = 0")}
        self.assertEqual(unparsed, set(bad))
        empty = {os.path.basename(path) for (path,) in self.sql("SELECT path FROM files WHERE chunks = 0")}
        self.assertEqual(empty, {"empty.py", "blank.py"})
        ((text,),) = self.sql(
            "SELECT text FROM chunks JOIN files ON file_id = files.id WHERE path LIKE '%/nul.py'"
        )
        self.assertEqual(text, "x = 1\0")

    def test_unreadable_file_is_a_counted_failure(self):
        self.write("good.py")
        dangling = os.path.join(self.tree, "dangling.py")
        os.symlink("nowhere", dangling)
        # Looks like a file, and gives an error when it is read; also to root.
        unreadable = os.path.join(self.tree, "unreadable.py")
        os.symlink("/proc/self/mem", unreadable)
        os.mkfifo(os.path.join(self.tree, "pipe.py"))
        os.mkdir(os.path.join(self.tree, "directory.py"))
        done = self.run_indexer("index", self.tree, "--db", self.db, "--json")
        report = json.loads(done.stdout)
        self.assertEqual(done.returncode, 0)
        self.assertEqual((report["files"], report["failed"]), (1, 2))
        for path in (dangling, unreadable):
            self.assertEqual(sum(path in line for line in done.stderr.splitlines()), 1, done.stderr)
        self.assertEqual(self.verified()["files"], 1)

    def test_name_that_is_not_utf8_is_a_counted_failure(self):
        self.write("good.py")
        with open(os.path.join(os.fsencode(self.tree), b"b\xffd.py"), "wb"):
            pass
        done = subprocess.run(
            [INDEXER, "index", self.tree, "--db", self.db, "--json"], capture_output=True, timeout=HANG, check=False
        )
        self.assertEqual(done.returncode, 0)
        self.assertEqual(json.loads(done.stdout)["failed"], 1)
        self.assertIn(b"not UTF-8", done.stderr)

    def test_names_of_any_language_in_any_locale(self):
        path = self.write("größe/файл.py")
        for locale in ("C", "C.UTF-8"):
            self.db += locale
            done = self.run_indexer(
                "index", self.tree, "--db", self.db, "--json", env={**os.environ, "LC_ALL": locale}
            )
            self.assertEqual(json.loads(done.stdout)["failed"], 0)
            self.assertEqual(self.sql("SELECT path FROM files"), [(path,)])

    def test_hidden_files_and_linked_directories_are_left_out(self):
        self.write("a.py")
        self.write(".hidden.py")
        self.write(".git/b.py")
        self.write("notes.txt")
        os.symlink(self.tree, os.path.join(self.tree, "loop"))
        self.assertEqual(self.index()["files"], 1)

    def test_workers_make_no_difference_to_the_index(self):
        for number in range(40):
            self.write(f"m{number}.py", SHAPES.replace("Circle", f"Circle{number}"))
        self.index("--workers", "1")
        one = rows(self.db)
        self.db += "2"
        self.index("--workers", "5")
        self.assertEqual(rows(self.db), one)

    def test_database_is_a_file_whatever_its_name(self):
        self.write("a.py")
        for name in (":memory:", "file:memory?mode=memory", "file:index.db", "-"):
            with self.subTest(name):
                done = self.run_indexer("index", self.tree, f"--db={name}", "--json", cwd=self.temporary)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn(name, os.listdir(self.temporary))
                done = self.run_indexer("verify", f"--db={name}", "--json", cwd=self.temporary)
                self.assertEqual(json.loads(done.stdout)["files"], 1)
                done = self.run_indexer("search", "circle", f"--db={name}", cwd=self.temporary)
                self.assertIn("Circle", done.stdout)

    def test_null_store_stores_nothing(self):
        self.write("a.py")
        report = self.index("--store", "null")
        self.assertEqual((report["files"], report["chunks"]), (1, 7))
        self.assertFalse(os.path.exists(self.db))


class Faults(IndexerTest):
    def test_failed_embeddings_are_kept_counted_and_tried_again(self):
        for name in ("fine.py", "half.py", "unembedded.py", "short.py"):
            self.write(name)
        report = self.index(*self.faulty_tasks())
        self.assertEqual((report["files"], report["chunks"]), (4, 8))
        self.assertEqual((report["vectors"], report["failed_embeddings"]), (3, 5))
        self.assertEqual(self.verified()["failed_embeddings"], 5)
        errors = [error for (error,) in self.sql("SELECT error FROM chunks WHERE error IS NOT NULL")]
        self.assertEqual(sum("no vectors today" in error for error in errors), 2)
        self.assertEqual(sum("not this one" in error for error in errors), 1)

        again = self.index()
        self.assertEqual((again["files"], again["unchanged"], again["failed_embeddings"]), (3, 1, 0))
        self.assertEqual(self.verified()["failed_embeddings"], 0)

    def test_file_that_cannot_be_chunked_fails_alone(self):
        self.write("fine.py")
        path = self.write("unchunked.py")
        done = self.run_indexer("index", self.tree, "--db", self.db, "--json", *self.faulty_tasks())
        report = json.loads(done.stdout)
        self.assertEqual((done.returncode, report["files"], report["failed"]), (0, 1, 1))
        self.assertIn(path, done.stderr)
        self.assertIn("no room for it", done.stderr)
        self.assertEqual(report["shutdown"]["failed"], 1)

    def test_database_that_cannot_take_more_is_an_error(self):
        for number in range(100):
            self.write(f"m{number}.py")
        self.index()
        shutil.rmtree(self.tree)
        for number in range(100):
            self.write(f"n{number}.py")
        # Whoever writes next is refused, as on a full disk.
        self.sql("CREATE TRIGGER full BEFORE INSERT ON vectors BEGIN SELECT RAISE(FAIL, 'no space left'); END")
        done = self.run_indexer("index", self.tree, "--db", self.db, "--json")
        report = json.loads(done.stdout)
        self.assertEqual((done.returncode, report["exit_code"]), (1, 1), done.stderr)
        self.assertIn("no space left", done.stderr)
        self.assertEqual(report["files"], 0)
        self.sql("DROP TRIGGER full")
        self.assertEqual(self.verified()["files"], 100)

    def damage(self, table):
        """Overwrites the page that a table begins with."""
        (((page,),), ((size,),)) = self.sql(
            f"SELECT rootpage FROM sqlite_master WHERE name = '{table}'", "PRAGMA page_size"
        )
        with open(self.db, "r+b") as file:
            file.seek((page - 1) * size)
            file.write(b"\xee" * size)

    def test_damaged_database_is_named_with_what_to_do(self):
        for table in ("meta", "files", "chunks", "vectors"):
            with self.subTest(table):
                self.db = os.path.join(self.temporary, f"{table}.db")
                self.write("a.py")
                self.index()
                self.write("a.py", SHAPES + "AGAIN = 1\n")
                self.damage(table)
                for command in (["index", self.tree], ["search", "circle"], ["verify"]):
                    done = self.assert_refused_at_last(
                        *command, "--db", self.db, says=f"{self.db} is damaged (database disk image is malformed)"
                    )
                    self.assertIn("delete it and index again", done.stderr)
                os.unlink(self.db)
                self.assertEqual(self.index()["files"], 1)

    def test_truncated_database_is_named_with_what_to_do(self):
        self.write("a.py")
        self.index()
        os.truncate(self.db, 5000)
        for command in (["index", self.tree], ["search", "circle"], ["verify"]):
            self.assert_refused_at_last(*command, "--db", self.db, says=f"{self.db} is damaged")

    def test_database_that_cannot_grow_is_named_with_what_to_do(self):
        for number in range(100):
            self.write(f"m{number}.py")
        # A limit on the size of files stands for a disk that fails; Python ignores the signal that comes with it.
        limited = ["sh", "-c", 'ulimit -f 100; exec "$0" "$@"', INDEXER]
        done = indexer_support.run(*limited, "index", self.tree, "--db", self.db, "--json", restore_signals=False)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(json.loads(done.stdout)["exit_code"], 2)
        self.assertIn(f"error: {self.db} cannot be read or written: disk I/O error; check the disk", done.stderr)
        done = self.index()
        self.assertEqual(done["files"] + done["unchanged"], 100)
        self.verified()

    def test_full_disk_is_named_with_what_to_do(self):
        for number in range(100):
            self.write(f"m{number}.py")
        disk = os.path.join(self.temporary, "disk")
        os.mkdir(disk)
        mounted = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=256k none "$0" && exec "$@"', disk]
        try:
            subprocess.run([*mounted, "true"], capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            self.skipTest("no disk of its own can be had here")
        self.db = os.path.join(disk, "index.db")
        done = indexer_support.run(*mounted, INDEXER, "index", self.tree, "--db", self.db, "--json")
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(json.loads(done.stdout)["exit_code"], 2)
        self.assertIn(f"error: {self.db} cannot grow: database or disk is full; make room", done.stderr)

    def test_missing_python_part_is_an_error(self):
        done = self.run_indexer("index", self.tree, "--db", self.db, "--python-dir", self.temporary)
        self.assertEqual(done.returncode, 1)
        self.assertIn(self.temporary, done.stderr)


class Unwritable(IndexerTest):
    """stdout and stderr that are closed, or on a full disk."""

    def shell(self, command, *args):
        """Runs the indexer through a shell, which can redirect; `command` does it."""
        return subprocess.run(
            ["sh", "-c", command, "sh", INDEXER, *args], capture_output=True, text=True, timeout=HANG, check=False
        )

    def redirections(self, descriptor):
        yield f'exec "$@" {descriptor}>&-'
        if os.path.exists("/dev/full"):
            yield f'exec "$@" {descriptor}>/dev/full'

    def test_lost_result_is_an_error(self):
        self.write("a.py")
        self.index()
        for redirection in self.redirections(1):
            for args in (
                ["index", self.tree, "--db", self.db],
                ["index", self.tree, "--db", self.db, "--json"],
                ["verify", "--db", self.db],
                ["verify", "--db", self.db, "--json"],
                ["search", "circle", "--db", self.db],
                ["search", "circle", "--db", self.db, "--json"],
                ["--help"],
                ["index", "--help"],
            ):
                with self.subTest(redirection=redirection, args=args):
                    done = self.shell(redirection, *args)
                    self.assertEqual(done.returncode, 1, done.stderr)
                    self.assertIn("the result cannot be written to stdout: ", done.stderr)
        self.verified()

    def test_without_a_result_nothing_is_lost(self):
        self.write("a.py")
        for redirection in self.redirections(1):
            done = self.shell(redirection, "index", self.tree, "--db", self.db, "--quiet")
            self.assertEqual((done.returncode, done.stderr), (0, "ready\n"))

    def test_lost_messages_change_nothing_else(self):
        for redirection in self.redirections(2):
            with self.subTest(redirection):
                os.symlink("nowhere", os.path.join(self.tree, "dangling.py"))
                self.write("a.py")
                done = self.shell(redirection, "index", self.tree, "--db", self.db, "--json")
                self.assertEqual(done.returncode, 0)
                self.assertEqual(json.loads(done.stdout)["failed"], 1)
                self.assertEqual(self.shell(redirection, "index", self.tree, "--no-such-option").returncode, 2)
                self.assertEqual(
                    self.shell(redirection, "index", self.tree, "--db", self.db, "--python-dir", "/").returncode, 1
                )
                self.assertEqual(self.shell(redirection, "verify", "--db", self.db).stdout.count("\n"), 2)
                os.unlink(os.path.join(self.tree, "dangling.py"))
        done = self.shell('exec "$@" >&- 2>&- <&-', "index", self.tree, "--db", self.db, "--json")
        self.assertEqual(done.returncode, 1)
        self.verified()


class Verifying(IndexerTest):
    def assert_found(self, what, *corruption):
        self.write("a.py")
        self.index()
        self.verified()
        self.sql("PRAGMA foreign_keys = OFF", *corruption)
        done = self.run_indexer("verify", "--db", self.db, "--json")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual(report["exit_code"], 1)
        self.assertIn(what, [problem["what"] for problem in report["problems"]])
        done = self.run_indexer("verify", "--db", self.db)
        self.assertEqual(done.returncode, 1)
        self.assertIn(what, done.stdout)

    def test_chunk_without_vector(self):
        self.assert_found(
            "chunks with neither a vector nor an error",
            "DELETE FROM vectors WHERE chunk_id = (SELECT min(chunk_id) FROM vectors)",
        )

    def test_chunk_with_vector_and_error(self):
        self.assert_found("chunks with a vector and an error", "UPDATE chunks SET error = 'x' WHERE name = 'draw'")

    def test_vector_without_chunk(self):
        self.assert_found("vectors without a chunk", "INSERT INTO vectors SELECT 4711, data FROM vectors LIMIT 1")

    def test_vector_of_another_length(self):
        self.assert_found("vectors of another length than the index's", "UPDATE vectors SET data = x'00000000'")

    def test_file_with_fewer_chunks_than_it_says(self):
        self.assert_found(
            "files with another number of chunks than they say",
            "DELETE FROM vectors WHERE chunk_id = (SELECT max(id) FROM chunks)",
            "DELETE FROM chunks WHERE id = (SELECT max(id) FROM chunks)",
        )

    def test_file_with_more_chunks_than_it_says(self):
        self.assert_found("files with another number of chunks than they say", "UPDATE files SET chunks = chunks - 1")

    def test_chunk_without_file(self):
        self.assert_found("chunks without a file", "DELETE FROM files")

    def test_consistent_index(self):
        self.write("a.py")
        self.index()
        done = self.run_indexer("verify", "--db", self.db)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout, "1 files, 7 chunks, 7 vectors, 0 failed embeddings\nconsistent\n")
        self.assertEqual(os.listdir(self.temporary).count("index.db-wal"), 0)


class Searching(IndexerTest):
    def test_shows_place_score_and_first_line(self):
        path = self.write("shapes.py")
        self.index()
        done = self.run_indexer("search", "circle area", "--db", self.db, "--top", "2")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        lines = done.stdout.splitlines()
        self.assertEqual(len(lines), 2)
        self.assertRegex(lines[0], rf"^{path}:9-10  0\.\d\d\d      def area\(self\):$")

        report = json.loads(self.run_indexer("search", "circle area", "--db", self.db, "--json").stdout)
        self.assertEqual(report["query"], "circle area")
        self.assertEqual(len(report["hits"]), 7)
        self.assertEqual(report["hits"][0]["name"], "Circle.area")
        scores = [hit["score"] for hit in report["hits"]]
        self.assertEqual(scores, sorted(scores, reverse=True))

    def test_empty_index(self):
        self.index()
        done = self.run_indexer("search", "anything", "--db", self.db)
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        self.assertIn("empty", done.stderr)


class Interrupted(IndexerTest):
    """Signals; interrupt_indexer.py sends many more of them, at random moments."""

    def start(self, *args, wait_for="ready\n"):
        process = subprocess.Popen(
            [INDEXER, "index", self.tree, "--db", self.db, "--json", *args],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Leaving at once joins no thread; ThreadSanitizer would call that a leak.
            env={**os.environ, "TSAN_OPTIONS": os.environ.get("TSAN_OPTIONS", "") + ":report_thread_leaks=0"},
        )
        watchdog = threading.Timer(HANG, process.kill)
        watchdog.start()
        self.addCleanup(watchdog.cancel)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.stderr = []
        if wait_for:
            self.wait_for(process, wait_for)
        return process

    def start_held(self, *args):
        """An indexer that has begun, and is not ready before let_go()."""
        tasks = self.faulty_tasks()
        with open(os.path.join(self.temporary, "faulty", "hold"), "wb"):
            pass
        process = self.start(*args, *tasks, wait_for=None)
        self.wait_until_running()
        return process

    def let_go(self):
        os.remove(os.path.join(self.temporary, "faulty", "hold"))

    def wait_for(self, process, start):
        """Reads messages until one begins like this."""
        for line in process.stderr:
            self.stderr.append(line)
            if line.startswith(start):
                return
        self.fail(f"no line {start!r}: {self.stderr}")

    def end(self, process):
        output, _ = process.communicate(timeout=HANG)
        return process.returncode, json.loads(output) if output else None

    def slow_files(self, count=20):
        for number in range(count):
            self.write(f"slow{number}.py")
        return self.faulty_tasks()

    def wait_until_running(self):
        """Until a slow or stuck file is being worked on."""
        marker = os.path.join(self.temporary, "faulty", "running")
        deadline = time.monotonic() + HANG
        while not os.path.exists(marker):
            self.assertLess(time.monotonic(), deadline, "no file was ever worked on")
            time.sleep(0.01)
        os.remove(marker)

    def test_first_signal_finishes_what_is_in_flight(self):
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            with self.subTest(number):
                process = self.start("--workers", "1", *self.slow_files())
                self.wait_until_running()
                process.send_signal(number)
                self.wait_for(process, "stopping: finishing ")
                returned, report = self.end(process)
                self.assertEqual((returned, report["exit_code"]), (code, code))
                self.assertLess(report["files"] + report["unchanged"], 20)
                self.assertEqual(report["shutdown"]["cancelled"], 0)
                self.assertEqual(report["shutdown"]["phase"], "finished")
                self.verified()

    def test_second_signal_cancels(self):
        process = self.start("--workers", "1", *self.slow_files())
        self.wait_until_running()
        process.send_signal(signal.SIGINT)
        self.wait_for(process, "stopping: ")
        process.send_signal(signal.SIGTERM)
        self.wait_for(process, "cancelling: ")
        returned, report = self.end(process)
        self.assertEqual((returned, report["exit_code"]), (130, 130), "the first signal decides")
        self.assertLess(report["files"], 8)
        self.verified()

    def test_third_signal_leaves_now(self):
        self.write("stuck.py")
        process = self.start("--workers", "1", *self.faulty_tasks())
        self.wait_until_running()
        process.send_signal(signal.SIGINT)
        self.wait_for(process, "stopping: ")
        process.send_signal(signal.SIGINT)
        self.wait_for(process, "cancelling: ")
        process.send_signal(signal.SIGINT)
        self.assertEqual(self.end(process), (130, None))
        self.verified()

    def test_drain_is_a_bound_and_what_is_stuck_is_given_up(self):
        for number in range(6):
            self.write(f"{number}.py")
        self.write("stuck.py")
        process = self.start("--workers", "1", "--drain", "0.5", *self.faulty_tasks())
        self.wait_until_running()
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        returned, report = self.end(process)
        self.assertEqual((returned, report["exit_code"]), (130, 130))
        self.assertLess(time.monotonic() - started, 60)
        self.assertEqual(report["shutdown"]["abandoned"], 1)
        self.assertEqual(report["shutdown"]["phase"], "abandoning")
        self.verified()

    def test_stuck_task_is_abandoned_and_the_process_exits(self):
        self.write("stuck.py")
        process = self.start("--workers", "1", "--drain", "0", *self.faulty_tasks())
        self.wait_until_running()
        process.send_signal(signal.SIGINT)
        returned, report = self.end(process)
        self.assertEqual((returned, report["files"]), (130, 0))
        self.assertEqual(report["shutdown"]["abandoned"], 1)
        self.assertEqual(report["shutdown"]["phase"], "abandoning")
        self.verified()

    def test_drain_zero_cancels_at_once(self):
        process = self.start("--workers", "1", "--drain", "0", *self.slow_files())
        self.wait_until_running()
        process.send_signal(signal.SIGINT)
        self.wait_for(process, "cancelling: ")
        returned, report = self.end(process)
        self.assertEqual(returned, 130)
        self.assertLess(report["files"], 8)
        self.verified()

    def test_signal_before_ready_is_not_lost(self):
        self.slow_files()
        process = self.start_held("--workers", "1")
        process.send_signal(signal.SIGTERM)
        self.let_go()
        returned, report = self.end(process)
        self.assertEqual(returned, 143)
        self.assertEqual(report["exit_code"], 143)
        self.assertLess(report["files"], 20)

    def test_what_is_left_is_at_least_what_was_found(self):
        count = 3000  # enough that the walk is hardly ever over when it is stopped
        for number in range(count):
            self.write(f"m{number}.py", "")
        for _ in range(20):
            process = self.start_held("--workers", "1")
            process.send_signal(signal.SIGTERM)
            self.let_go()
            self.wait_for(process, "stopped by SIGTERM")
            said = self.stderr[-1]
            returned, report = self.end(process)
            self.assertEqual(returned, 143)
            not_done = count - report["files"] - report["unchanged"] - report["failed"]
            at_least = re.fullmatch(
                r"stopped by SIGTERM before all files were found: at least (\d+) files left for the next run\n", said
            )
            if at_least:
                self.assertLessEqual(int(at_least[1]), not_done)
                return
            self.assertEqual(said, f"stopped by SIGTERM: {not_done} files left for the next run\n")
        self.fail("the walk was over each time")

    @unittest.skipUnless(hasattr(resource, "prlimit"), "the system cannot limit another process")
    def test_threads_that_cannot_be_started_are_an_error(self):
        self.write("a.py")
        process = self.start_held("--workers", "16")
        with open(f"/proc/{process.pid}/statm", encoding="ascii") as file:
            size = int(file.read().split()[0]) * resource.getpagesize()
        if size > 1 << 40:
            self.let_go()
            self.end(process)
            self.skipTest("a sanitizer, which has reserved terabytes and cannot do with less")
        # The executor has its threads. Some of the pipeline's 34 find room for their stacks, and not all.
        limit = size + (24 << 20)
        resource.prlimit(process.pid, resource.RLIMIT_AS, (limit, limit))
        self.let_go()
        self.wait_for(process, "indexer: only ")
        self.assertRegex(self.stderr[-1], r"^indexer: only \d+ of 34 threads could be started: .*fewer --workers")
        self.assertEqual(self.end(process), (1, None))
        self.verified()

    def test_killed_index_is_consistent_and_is_completed(self):
        for number in range(150):
            self.write(f"m{number}.py", SHAPES.replace("Circle", f"Circle{number}"))
        dice = random.Random(7)
        for _ in range(8):
            process = self.start("--workers", "2")
            time.sleep(dice.uniform(0, 0.15))
            process.kill()
            process.communicate(timeout=HANG)
            self.verified()
        report = self.index()
        self.assertEqual(report["files"] + report["unchanged"], 150)
        completed = rows(self.db)
        self.db += "2"
        self.index()
        self.assertEqual(rows(self.db), completed)

    def test_search_and_verify_while_indexing(self):
        self.write("a.py")
        self.index()
        process = self.start("--workers", "1", *self.slow_files(10))
        while process.poll() is None:
            self.verified()
            self.assertEqual(self.run_indexer("search", "circle area", "--db", self.db).returncode, 0)
        self.assertEqual(self.end(process)[0], 0)
        self.verified()


class OnATerminal(IndexerTest):
    def test_shows_a_bar_and_takes_it_away(self):
        for number in range(10):
            self.write(f"slow{number}.py")
        main_end, terminal = pty.openpty()
        process = subprocess.Popen(
            [INDEXER, "index", self.tree, "--db", self.db, "--workers", "1", *self.faulty_tasks()],
            stdout=subprocess.PIPE,
            stderr=terminal,
        )
        os.close(terminal)
        shown = b""
        while True:
            try:
                part = os.read(main_end, 4096)
            except OSError:  # how a terminal that nobody has open any more says that it has ended
                break
            if not part:
                break
            shown += part
        os.close(main_end)
        output, _ = process.communicate(timeout=HANG)
        self.assertEqual(process.returncode, 0)
        self.assertIn(b"10 files indexed", output)
        self.assertRegex(shown, rb"\r\[#+ *\] \d+/10 files  \d+ chunks/s  [0-9:]+ left\x1b\[K")
        self.assertTrue(shown.endswith(b"\r\x1b[K"), shown[-80:])

    def test_pipe_gets_plain_lines(self):
        for number in range(14):
            self.write(f"slow{number}.py")
        done = self.run_indexer("index", self.tree, "--db", self.db, "--workers", "1", *self.faulty_tasks())
        self.assertRegex(done.stderr, r"^ready\n(\d+ of 14 files, \d+ chunks/s, [0-9:?]+ left\n)+$")
        self.assertNotIn("\r", done.stderr)


def main():
    global INDEXER
    options, rest = indexer_support.arguments(__doc__).parse_known_args()
    INDEXER = os.path.abspath(options.indexer)
    unittest.main(argv=[sys.argv[0], *rest])


if __name__ == "__main__":
    main()
