#!/usr/bin/env python3
"""Interrupts the indexer by SIGINT at random moments between "ready" and its end, and looks at what is left.

Each time the process must exit by itself with 130, with its report, soon, and the index must be consistent. Now and then,
and after the last time, a further run must complete it to what an undisturbed run makes. Prints a histogram.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time

from indexer_support import HANG, arguments, check, check_report, index, main, rows, standard_library, verify

RUN_SECONDS = 1.5  # what an undisturbed run is made to take, about
FEWEST_FILES = 150  # many times what is in flight, which is always finished
LARGEST_FILE = 20_000  # bytes; so that many files are not much work, where everything is slow
PARTIAL_SHARE = 0.6  # of the runs must have done some files, and not all
PARTIAL_SHARE_OF_FEW = 0.4  # of a few runs, where chance has more to say
COMPLETE_EVERY = 20
DRAIN = 30
BUCKETS = 10


class Run:
    """An indexer under way, from "ready" on."""

    def __init__(self, indexer, directory, db):
        self.process = subprocess.Popen(
            [indexer, "index", directory, "--db", db, "--json", "--drain", str(DRAIN)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.messages = []
        for line in self.process.stderr:
            self.messages.append(line)
            if line == "ready\n":
                break
        else:
            self.process.wait()
            check(False, f"the indexer did not get ready: {''.join(self.messages)}")
        self.ready = time.monotonic()
        # Both pipes are read all along, so that no full pipe holds the indexer up.
        self.reader = threading.Thread(target=lambda: self.messages.extend(self.process.stderr))
        self.reader.start()

    def end(self, timeout):
        """Waits for the end; the report as text."""
        watchdog = threading.Timer(timeout, self.process.kill)
        watchdog.start()
        output = self.process.stdout.read()
        self.process.wait()
        self.reader.join()
        hung = watchdog.finished.is_set()
        watchdog.cancel()
        check(not hung, f"it had not ended {timeout:.0f} s later: {''.join(self.messages)}")
        self.seconds = time.monotonic() - self.ready
        return output


def make_tree(indexer, source, directory):
    """Copies so much of `source` that indexing it takes about RUN_SECONDS here; how long it takes, from "ready"."""
    files = sorted(
        path
        for folder, _, names in os.walk(source)
        for path in (os.path.join(folder, name) for name in names if name.endswith(".py"))
        if "site-packages" not in folder and os.sep + "test" not in folder and os.path.getsize(path) <= LARGEST_FILE
    )
    random.Random(1).shuffle(files)  # large and small ones, the same each time
    db = os.path.join(os.path.dirname(directory), "calibration.db")
    made = 0
    wanted = FEWEST_FILES
    while True:
        for number in range(made, wanted):
            path = files[number % len(files)]
            target = os.path.join(directory, f"part{number % 7}", f"{number}_{os.path.basename(path)}")
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(path, "rb") as original, open(target, "wb") as copy:
                copy.write(original.read())
        made = wanted
        run = Run(indexer, directory, db)
        report = json.loads(run.end(HANG))
        for suffix in ("", "-wal", "-shm"):
            if os.path.exists(db + suffix):
                os.unlink(db + suffix)
        check(report["files"] == made, f"the tree has {made} files, and {report['files']} were indexed")
        if run.seconds > RUN_SECONDS / 2 or made >= 2000:
            return made, run.seconds
        wanted = min(2000, int(made * min(4, RUN_SECONDS / run.seconds)) + 1)


def interrupt(indexer, directory, db, delay):
    """One run, interrupted that long after "ready". Its report, and how long it took: in all, and from the signal on."""
    run = Run(indexer, directory, db)
    time.sleep(delay)
    interrupted = time.monotonic()
    run.process.send_signal(signal.SIGINT)
    output = run.end(DRAIN + 20)
    took = time.monotonic() - interrupted
    code = run.process.returncode
    said = f"stdout: {output!r}, stderr: {''.join(run.messages)!r}"
    check(code >= 0, f"died by signal {-code}; {said}")
    check(code in (0, 130), f"exit code {code}; {said}")
    check(output.endswith("}\n") and output.count("\n") == 1, f"no report; {said}")
    report = json.loads(output)
    check_report(report)
    check(report["exit_code"] == code, f"exit code {code}, and the report says another; {said}")
    return report, run.seconds, took


def histogram(title, values, low, high, unit):
    print(title)
    counts = [0] * BUCKETS
    for value in values:
        counts[min(BUCKETS - 1, int((value - low) / (high - low) * BUCKETS))] += 1
    for number, count in enumerate(counts):
        start, end = (low + (high - low) * at / BUCKETS for at in (number, number + 1))
        print(f"  {start:7.2f} to {end:7.2f} {unit}  {count:4d}  {'#' * count if count < 60 else '#' * 59 + '+'}")


def check_interrupts(options, temporary):
    directory = os.path.join(temporary, "tree")
    os.mkdir(directory)
    files, seconds = make_tree(options.indexer, options.directory, directory)
    print(f"{files} files, which take {seconds:.2f} s undisturbed; seed {options.seed}")

    reference_db = os.path.join(temporary, "reference.db")
    index(options.indexer, directory, reference_db)
    reference = rows(reference_db)

    dice = random.Random(options.seed)
    done, times, too_late = [], [], 0
    number = 0
    while len(done) < options.runs:
        number += 1
        db = os.path.join(temporary, f"{number}.db")
        delay = dice.uniform(0, seconds)
        try:
            report, lasted, took = interrupt(options.indexer, directory, db, delay)
            verified = verify(options.indexer, db)
            check(verified["files"] == report["files"], f"the index has {verified['files']} files, the report: {report}")
            if report["exit_code"] == 0:
                # The run was over, all of it, before the signal came. It says nothing about signals.
                too_late += 1
                seconds = (seconds + lasted) / 2  # the machine has become faster, so to speak
                check(report["files"] == files, f"exit code 0, and not all files are done: {report}")
                check(too_late <= options.runs, "most runs are over before they are interrupted")
            else:
                done.append(report["files"])
                times.append(took)
                if number % COMPLETE_EVERY == 0 or len(done) == options.runs:
                    rest = index(options.indexer, directory, db)
                    check(rest["files"] + rest["unchanged"] == files, f"the last run has lost files: {rest}")
                    check(rest["unchanged"] == report["files"], f"the last run did not take up what was done: {rest}")
                    verify(options.indexer, db)
                    check(rows(db) == reference, "the completed index differs from an undisturbed one")
        except BaseException:
            print(f"in run {number}, interrupted {delay:.3f} s after ready", file=sys.stderr)
            raise
        for suffix in ("", "-wal", "-shm"):
            if os.path.exists(db + suffix):
                os.unlink(db + suffix)

    partial = sum(0 < count < files for count in done)
    histogram("files done when it was interrupted:", [count / files * 100 for count in done], 0, 100, "%")
    histogram("from the signal to the end:", times, 0, max(times), "s")
    print(
        f"{len(done)} runs interrupted, {partial} ({partial / len(done):.0%}) with some but not all files done, "
        f"{sum(count == 0 for count in done)} with none, {sum(count == files for count in done)} with all; "
        f"{too_late} more were over too soon"
    )
    check(
        partial >= (PARTIAL_SHARE if len(done) >= 100 else PARTIAL_SHARE_OF_FEW) * len(done),
        f"only {partial} of {len(done)} runs were interrupted with some but not all files done",
    )
    print("each exited with 130 and its report, each index was consistent, and the completed ones equal an undisturbed one")


def run_script():
    parser = arguments(__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--directory", default=standard_library(), help="where the files to index are taken from")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        check_interrupts(options, temporary)


if __name__ == "__main__":
    main(run_script)
