#!/usr/bin/env python3
"""Interrupts the indexer by SIGINT at random moments between "ready" and its end, and looks at what is left.

Each time the process must exit by itself with 130, with its report, soon, and the index must be consistent. Now and then,
and after the last time, a further run must complete it to what an undisturbed run makes. A run that exits with 0 has to
prove that it was over when the signal came, and does not count. Prints a histogram.
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
ROUND = 10  # interruptions, one in each tenth of the time that an undisturbed run takes just before
COMPLETE_EVERY = 20
# A run that was over when the signal came ends at once. One that ignores the signal takes the rest of its time: more
# than this part of the whole, in most cases.
AT_ONCE = 0.25
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
            # ThreadSanitizer would have every process sleep for a second at its end, long after its work.
            env={**os.environ, "TSAN_OPTIONS": os.environ.get("TSAN_OPTIONS", "") + ":atexit_sleep_ms=0"},
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


def remove_index(db):
    for suffix in ("", "-wal", "-shm"):
        if os.path.exists(db + suffix):
            os.unlink(db + suffix)


def undisturbed(indexer, directory, db, files):
    """A run that nobody interrupts; how long it takes, from "ready"."""
    run = Run(indexer, directory, db)
    report = json.loads(run.end(HANG))
    check(run.process.returncode == 0, f"undisturbed, it exits with {run.process.returncode}: {''.join(run.messages)}")
    check(report["files"] == files, f"the tree has {files} files, and {report['files']} were indexed")
    remove_index(db)
    return run.seconds


def make_tree(indexer, source, directory):
    """Copies so much of `source` that indexing it takes about RUN_SECONDS here; the number of files."""
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
        seconds = undisturbed(indexer, directory, db, made)
        if seconds > RUN_SECONDS / 2 or made >= 2000:
            return made
        wanted = min(2000, int(made * min(4, RUN_SECONDS / seconds)) + 1)


def interrupt(indexer, directory, db, delay):
    """One run, interrupted that long after "ready"; its report, the run, and how long it took from the signal on."""
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
    return report, run, took


def check_was_over(report, run, took, files, is_complete, seconds):
    """Exit code 0 says that the run was over, all of it, before the signal came. This is the proof."""
    messages = "".join(run.messages)
    said = f"exit code 0, {took:.3f} s after the signal, report {report}, stderr {messages!r}"
    check(report["files"] == files, f"not all of the {files} files are done: {said}")
    others = ("unchanged", "removed", "failed", "failed_embeddings")
    check(not any(report[key] for key in others), f"not what an undisturbed run reports: {said}")
    check(report["shutdown"]["phase"] == "finished", f"it did not just finish: {said}")
    check(report["shutdown"]["completed"] == report["shutdown"]["accepted"], f"not every task has run: {said}")
    check("stop" not in messages and "cancel" not in messages, f"it was stopped: {said}")
    check(is_complete, f"its index differs from an undisturbed one: {said}")
    check(took <= max(AT_ONCE * seconds, 0.25), f"it ignored the signal, and went on: {said}")


def histogram(title, values, low, high, unit):
    print(title)
    counts = [0] * BUCKETS
    for value in values:
        counts[min(BUCKETS - 1, int((value - low) / (high - low) * BUCKETS))] += 1
    for number, count in enumerate(counts):
        start, end = (low + (high - low) * at / BUCKETS for at in (number, number + 1))
        print(f"  {start:7.2f} to {end:7.2f} {unit}  {count:4d}  {'#' * count if count < 60 else '#' * 59 + '+'}")


class Interruptions:
    def __init__(self, options, temporary):
        self.options = options
        self.temporary = temporary
        self.directory = os.path.join(temporary, "tree")
        os.mkdir(self.directory)
        self.files = make_tree(options.indexer, options.directory, self.directory)
        reference_db = os.path.join(temporary, "reference.db")
        index(options.indexer, self.directory, reference_db)
        self.reference = rows(reference_db)
        self.seconds = 0  # what an undisturbed run takes here and now
        self.measured = []  # the same, at the start of each round
        self.number = 0
        self.done = []  # files done, of each run that was interrupted
        self.times = []  # from its signal to its end
        self.too_late = 0

    def round(self, dice):
        """One interruption in each of so many equal parts of a run, in any order."""
        self.seconds = undisturbed(self.options.indexer, self.directory, self.new_db(), self.files)
        self.measured.append(self.seconds)
        parts = min(ROUND, self.options.runs - len(self.done))
        moments = [(part + dice.random()) / parts for part in range(parts)]
        dice.shuffle(moments)
        for moment in moments:
            # Runs of that round may take less than the first; then what is too late now comes sooner next time.
            while not self.one(moment):
                self.too_late += 1
                self.seconds *= 0.8  # the machine has become faster since it was measured
                check(self.too_late <= self.options.runs, "most runs are over before they are interrupted")

    def new_db(self):
        self.number += 1
        return os.path.join(self.temporary, f"{self.number}.db")

    def one(self, moment):
        """A run that is interrupted after that part of an undisturbed one. Whether it was still under way."""
        indexer, db = self.options.indexer, self.new_db()
        delay = moment * self.seconds
        try:
            report, run, took = interrupt(indexer, self.directory, db, delay)
            verified = verify(indexer, db)
            check(verified["files"] == report["files"], f"the index has {verified['files']} files, the report: {report}")
            if report["exit_code"] == 0:
                check_was_over(report, run, took, self.files, rows(db) == self.reference, self.measured[-1])
                self.seconds = (self.seconds + run.seconds) / 2
            else:
                self.done.append(report["files"])
                self.times.append(took)
                if len(self.done) % COMPLETE_EVERY == 0 or len(self.done) == self.options.runs:
                    self.complete(db, report)
        except BaseException:
            print(f"in run {self.number}, interrupted {delay:.3f} s after ready", file=sys.stderr)
            raise
        remove_index(db)
        return report["exit_code"] != 0

    def complete(self, db, report):
        rest = index(self.options.indexer, self.directory, db)
        check(rest["files"] + rest["unchanged"] == self.files, f"the last run has lost files: {rest}")
        check(rest["unchanged"] == report["files"], f"the last run did not take up what was done: {rest}")
        verify(self.options.indexer, db)
        check(rows(db) == self.reference, "the completed index differs from an undisturbed one")

    def show(self):
        done, count = self.done, len(self.done)
        partial = sum(0 < files < self.files for files in done)
        histogram("files done when it was interrupted:", [files / self.files * 100 for files in done], 0, 100, "%")
        histogram("from the signal to the end:", self.times, 0, max(self.times), "s")
        print(f"undisturbed runs in between took {min(self.measured):.2f} to {max(self.measured):.2f} s from ready to the end")
        print(
            f"{count} runs interrupted, {partial} ({partial / count:.0%}) with some but not all files done, "
            f"{sum(files == 0 for files in done)} with none, {sum(files == self.files for files in done)} with all"
        )
        print(
            f"exit codes: {count} times 130; {self.too_late} times 0, of runs that were over when the signal came, "
            f"which do not count; longest time from the signal to the end {max(self.times):.3f} s"
        )
        check(partial >= PARTIAL_SHARE * count, f"only {partial} of {count} runs had some but not all files done")


def check_interrupts(options, temporary):
    interruptions = Interruptions(options, temporary)
    print(f"{interruptions.files} files; seed {options.seed}")
    dice = random.Random(options.seed)
    while len(interruptions.done) < options.runs:
        interruptions.round(dice)
    interruptions.show()
    print("each left its report and a consistent index, and the completed ones equal an undisturbed one")


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
