#!/usr/bin/env python3
"""Runs the tour where it expects to be run, and checks what it says: test_tour.py TOUR APP

TOUR is the executable and APP the folder of its Python modules. The program is given a virtual environment of the
Python that runs this script. Whether it cancels one of its tasks in time, or that
task has run, is a matter of luck.
"""

import os
import shutil
import subprocess
import sys
import tempfile

EXPECTED = [
    "sqrt(2) = 1.4142, a-b-c",
    "count 1, embedding of 4, 2 lengths",
    "prediction 3.0, weight 0.5",
    "limit here: 10",
]
HANDLED = "handled: {'path': '/', 'number': 42}"

# A run that hangs has failed; how long a run takes is no concern here.
HANGS_AFTER = 120


def main(tour, app):
    with tempfile.TemporaryDirectory(prefix="interpool-tour-") as folder:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", os.path.join(folder, "venv")], check=True)
        shutil.copytree(app, os.path.join(folder, "app"))
        done = subprocess.run([tour], cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              timeout=HANGS_AFTER)
        said = [line for line in done.stdout.splitlines() if line != HANDLED]
        if done.returncode == 0 and said == EXPECTED and not done.stderr:
            print("tour: ok")
            return 0
        print(f"tour: exit status {done.returncode}, stdout:\n{done.stdout}stderr:\n{done.stderr}")
        return 1


if __name__ == "__main__":
    sys.exit(main(os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])))
