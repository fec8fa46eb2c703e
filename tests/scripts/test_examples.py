#!/usr/bin/env python3
"""Runs the examples and checks exit status and output: test_examples.py QUICKSTART CUSTOM_HOST INSIDE_PYTHON
PLUGIN_HOST UDF COOKBOOK...

Each argument is the path of that example's executable. Each one ends by itself, with 0, having written exactly
what is expected to stdout and nothing to stderr (where the library's warnings would be).
"""

import os
import subprocess
import sys

EXPECTED = {
    "cookbook_request_handler": """\
upper: 200
fails: 500
not UTF-8: 400
no text: 500
late: 503
takes too long: 504
""",
    "cookbook_request_context": """\
[17] GET /
[18] GET /
[no request] GET /health
[19] GET /part
""",
    "cookbook_coroutine_service": """\
one 'two three' -> 2
a b c d -> 4
no 'end -> ValueError: No closing quotation
""",
    "cookbook_batch_scoring": """\
5
25
25
total 29500
""",
    "cookbook_shared_buffer": """\
0.25 0.75
loudest 0.75
""",
    "cookbook_model_per_worker": """\
1
2
3
4
each model was called 2 times
""",
    "cookbook_dataclasses": """\
order 7: paper
""",
    "cookbook_callbacks": """\
50 %
100 %
6.00
no such price
""",
    "cookbook_configuration": """\
before: unset
main: debug
pinned: debug
worker 0: debug
worker 1: debug
""",
    "cookbook_plugins": """\
broken: ModuleNotFoundError: No module named 'nothing_of_this_name'
shout: HELLO
shout: HELLO!!!
""",
    "quickstart": """\
sqrt(2) = 1.414214
json = {"answer": 42}
ValueError: invalid literal for int() with base 10: 'forty-two'
1
2
3
""",
    "custom_host": """\
adopted: yes
workers: 10, worker
main lane sees: 499500
stopped: 6 of 6 tasks completed
program: program, 499500
finalized: 0
""",
    "inside_python": """\
pinned-0 GET / prints: I am pinned-0 and run GET /
{"level":"info","logger":"app","message":"served 512 bytes","worker":"pinned-1","task":"GET /"}
pinned-1 POST / prints: no newline
{"level":"error","logger":"app","message":"no id\\nTraceback (most recent call last):\\n  File \\"<exec>\\", line 2, in <module>\\nKeyError: 'id'","worker":"pinned-0","task":"POST /"}
""",
    "plugin_host": """\
sub-interpreter: "\\u00fc"
main interpreter: "\\u00fc"
""",
    "udf": """\
cafe-no-3
cafe-no-0
cafe-no-1
cafe-no-2
total after the discount: 99900.00
ValueError: a discount of 250.0 %
""",
}

# A run that hangs has failed; how long a run takes is no concern here.
HANGS_AFTER = 120


def run(path, working_directory):
    name = os.path.basename(path)
    # Another environment than the developer's: the examples find their Python without help.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    try:
        done = subprocess.run([path], capture_output=True, text=True, errors="replace", cwd=working_directory,
                              env=environment, stdin=subprocess.DEVNULL, timeout=HANGS_AFTER)
    except subprocess.TimeoutExpired as error:
        return [f"hangs; stdout so far: {error.stdout!r}, stderr: {error.stderr!r}"]
    except OSError as error:
        return [f"does not start: {error}"]
    problems = []
    if done.returncode < 0:
        problems.append(f"died by signal {-done.returncode}")
    elif done.returncode != 0:
        problems.append(f"exit status {done.returncode}, not 0")
    if done.stdout != EXPECTED[name]:
        problems.append(f"stdout is\n{done.stdout}instead of\n{EXPECTED[name]}")
    if done.stderr:
        problems.append(f"stderr is not empty:\n{done.stderr}")
    return problems


def main(paths):
    names = [os.path.basename(path) for path in paths]
    if sorted(names) != sorted(EXPECTED):
        print(f"usage: test_examples.py with the paths of {', '.join(sorted(EXPECTED))}; given: {names}",
              file=sys.stderr)
        return 2
    failed = False
    for path in paths:
        # From the root too: nothing depends on where the program is started.
        for directory in (None, "/"):
            problems = run(os.path.abspath(path), directory)
            where = directory or "here"
            print(f"{os.path.basename(path)} in {where}: {'ok' if not problems else 'FAILED'}")
            for problem in problems:
                print(f"  {problem}")
            failed = failed or bool(problems)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
