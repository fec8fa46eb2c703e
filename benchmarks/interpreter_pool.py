"""CPython's InterpreterPoolExecutor with one worker, driven by lines on stdin.

Each line is "in_flight COUNT" or "round_trip COUNT"; the answer is the time per task in nanoseconds.
"""

import sys
import time

try:
    from concurrent.futures import InterpreterPoolExecutor  # Python 3.14
except ImportError:
    try:
        # The package interpreters-pep-734.
        from interpreters_backport.concurrent.futures.interpreter import InterpreterPoolExecutor
    except ImportError:
        print("no InterpreterPoolExecutor in this Python", flush=True)
        sys.exit()


def in_flight(pool, count):
    start = time.perf_counter_ns()
    futures = [pool.submit(abs, -i) for i in range(count)]
    total = sum(future.result() for future in futures)
    elapsed = time.perf_counter_ns() - start
    assert total == count * (count - 1) // 2
    return elapsed / count


def round_trip(pool, count):
    start = time.perf_counter_ns()
    for i in range(count):
        assert pool.submit(abs, -i).result() == i
    return (time.perf_counter_ns() - start) / count


def main():
    with InterpreterPoolExecutor(max_workers=1) as pool:
        assert pool.submit(abs, -1).result() == 1
        print("ready", flush=True)
        for line in sys.stdin:
            what, count = line.split()
            measure = {"in_flight": in_flight, "round_trip": round_trip}[what]
            print(measure(pool, int(count)), flush=True)


main()
