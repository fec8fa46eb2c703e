#!/usr/bin/env python3
"""Checks what scripts/lib.sh does about Python on machines of all kinds, and what scripts/matrix makes of its cells:
test_scripts.py [unittest's arguments]

A machine is a PATH with nothing on it but what is put there: stand-ins for apt, its databases, and a Python.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOLS = ("bash", "basename", "cat", "cmake", "dirname", "env", "mkdir", "rm", "sed")

# Answers what cmake/InterpoolFindPython.cmake asks.
PYTHON = """\
#!/bin/sh
echo version=3.13.5
echo release=3.13.5
echo executable=$0
echo base_prefix={usr}
echo stdlib={stdlib}
echo include={usr}
echo library={usr}/libpython3.13.so
echo shared=1
echo free_threaded=0
echo debug=0
"""

# Installs by putting there what the package would.
APT_GET = """\
#!/bin/sh
for argument; do
  case $argument in
    python3.13-dev)
      cp {parts}/python3.13 {bin}/python3.13
      ;;
    libpython3.13-testsuite) mkdir -p {stdlib}/test/test_json ;;
  esac
  [ -z "$installing" ] || echo "$argument" >>{installed}
  [ "$argument" != install ] || installing=yes
done
"""
APT_CACHE = """\
#!/bin/sh
if grep -qx "$2" {packages}; then echo "$2:"; echo "  Candidate: 3.13.5-2"; fi
"""
DPKG_QUERY = """\
#!/bin/sh
[ {owns} = yes ] && [ -f "$2" ]
"""


class OnMachine(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.top = os.path.realpath(temporary.name)
        self.bin, self.parts, self.usr = (self.folder(name) for name in ("bin", "parts", "usr"))
        self.stdlib = self.folder("usr/lib/python3.13")
        self.tools(*TOOLS)
        for path in ("scripts/lib.sh", "scripts/lib-sid.sh", "scripts/matrix", "cmake/InterpoolFindPython.cmake"):
            os.makedirs(os.path.join(self.top, os.path.dirname(path)), exist_ok=True)
            shutil.copy(os.path.join(ROOT, path), os.path.join(self.top, path))
        self.write("usr/lib/python3.13/os.py", "")
        self.write("usr/libpython3.13.so", "")
        self.write("parts/python3.13", PYTHON.format(usr=self.usr, stdlib=self.stdlib))

    def folder(self, name):
        path = os.path.join(self.top, name)
        os.makedirs(path)
        return path

    def write(self, name, text):
        path = os.path.join(self.top, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(textwrap.dedent(text))
        os.chmod(path, 0o755)

    def tools(self, *names):
        for name in names:
            os.symlink(shutil.which(name), os.path.join(self.bin, name))

    def with_python(self):
        shutil.copy(os.path.join(self.parts, "python3.13"), os.path.join(self.bin, "python3.13"))

    def bash(self, *command, **environment):
        return subprocess.run(
            [os.path.join(self.bin, "bash"), *command],
            # pyenv and pkg-config, should cmake find them all the same, find nothing.
            env={"PATH": self.bin, "HOME": self.top, "PYENV_ROOT": self.top, "PKG_CONFIG_LIBDIR": self.top, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )


class EnsurePython(OnMachine):
    def setUp(self):
        super().setUp()
        self.installed = os.path.join(self.top, "installed")
        self.write("scripts/try", '. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"\nensure_python dev\n')
        self.user(0)

    def user(self, number):
        self.write("bin/id", f"#!/bin/sh\necho {number}\n")

    def with_apt(self, *packages, owns="yes"):
        self.tools("cp", "grep")
        self.write("packages", "".join(f"{package}\n" for package in packages))
        self.write("bin/apt-get", APT_GET.format(**vars(self)))
        self.write("bin/apt-cache", APT_CACHE.format(packages=os.path.join(self.top, "packages")))
        self.write("bin/dpkg-query", DPKG_QUERY.format(owns=owns))

    def run_it(self, expect, **environment):
        """Runs ensure_python; what it says, and the packages it has installed."""
        done = self.bash(os.path.join(self.top, "scripts/try"), **environment)
        self.assertEqual(done.returncode, expect, done.stderr)
        self.assertEqual(done.stdout, "")
        installed = []
        if os.path.exists(self.installed):
            with open(self.installed, encoding="utf-8") as file:
                installed = file.read().split()
        return done.stderr, installed

    def assert_in_order(self, text, *parts):
        at = 0
        for part in parts:
            self.assertIn(part, text[at:])
            at = text.index(part, at) + len(part)

    def test_no_python_and_no_apt(self):
        said, _ = self.run_it(1)
        self.assert_in_order(
            said,
            "No suitable Python was found",
            "Debian 13+, Ubuntu 24.04+  apt-get install python3-dev",
            "dnf install python3-devel",
            "PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install",
            "Debian 12 and Ubuntu 22.04 are older than 3.12",
            "error: no Python that interpool can embed",
        )

    def test_no_python_and_none_in_apt(self):
        self.with_apt("python3.11-dev")
        said, installed = self.run_it(1)
        self.assert_in_order(
            said, "pyenv install", "error: no Python that interpool can embed", "apt has no Python 3.12 or newer", "use pyenv"
        )
        self.assertEqual(installed, [])

    def test_no_python_and_nobody_to_install_it(self):
        self.with_apt("python3.13-dev")
        self.user(1000)
        said, installed = self.run_it(1)
        self.assert_in_order(said, "apt-get install python3-dev", "error: no Python", "neither root nor sudo")
        self.assertEqual(installed, [])

    def test_python_from_apt_comes_whole(self):
        self.with_apt("python3.13-dev", "python3.12-dev", "libpython3.13-testsuite")
        _, installed = self.run_it(0)
        self.assertEqual(installed, ["python3.13-dev", "python3.13-venv", "libpython3.13-testsuite"])

    def test_python_of_the_system_lacks_its_tests(self):
        self.with_apt("libpython3.13-testsuite")
        self.with_python()
        said, installed = self.run_it(0)
        self.assertEqual(installed, ["libpython3.13-testsuite"])
        self.assertIn("is the system's, which has its package 'test' in libpython3.13-testsuite", said)
        said, installed = self.run_it(0)
        self.assertEqual((said, installed), ("", ["libpython3.13-testsuite"]))  # not again

    def test_python_of_a_configured_tree_lacks_its_tests(self):
        self.with_apt("libpython3.13-testsuite")
        self.folder("build/dev")
        self.write("build/dev/interpool-python.txt", f"version=3.13.5\nstdlib={self.stdlib}\n")
        _, installed = self.run_it(0)
        self.assertEqual(installed, ["libpython3.13-testsuite"])

    def test_tests_that_nobody_can_install(self):
        self.with_apt("libpython3.13-testsuite")
        self.with_python()
        self.user(1000)
        said, installed = self.run_it(0)
        self.assertIn("as root: apt-get install libpython3.13-testsuite", said)
        self.assertEqual(installed, [])

    def test_tests_that_are_in_no_package(self):
        self.with_apt(owns="no")
        self.with_python()
        said, installed = self.run_it(0)
        self.assertIn("lacks its package 'test'", said)
        self.assertEqual(installed, [])

    def test_whole_python(self):
        self.with_apt("libpython3.13-testsuite")
        self.with_python()
        self.folder("usr/lib/python3.13/test/test_json")
        self.assertEqual(self.run_it(0), ("", []))

    def test_named_python_is_not_replaced(self):
        self.with_apt("python3.13-dev")
        said, installed = self.run_it(1, INTERPOOL_PYTHON="/nowhere/python3")
        self.assertIn("/nowhere/python3: there is no such file", said)
        self.assertEqual(installed, [])


# Stands in for a build that works: cmake has to search for a Python only.
CMAKE = """\
#!/bin/sh
if [ "$1" = -P ]; then exec {cmake} "$@"; fi
"""


class Matrix(OnMachine):
    def setUp(self):
        super().setUp()
        self.tools("awk", "grep", "ls", "sort", "tail", "tr")
        os.remove(os.path.join(self.bin, "cmake"))
        self.write("bin/cmake", CMAKE.format(cmake=shutil.which("cmake")))
        for tool in ("c++", "ccache", "clang++-19", "git", "ninja", "pkg-config"):
            self.write("bin/" + tool, "#!/bin/sh\n")
        self.ctest_prints("100% tests passed, 0 tests failed out of 34", 0)

    def ctest_prints(self, last_line, status):
        self.write("bin/ctest", f"#!/bin/sh\necho '{last_line}'\nexit {status}\n")

    def run_it(self, expect, *arguments):
        """Runs scripts/matrix; the cells of its table."""
        done = self.bash(os.path.join(self.top, "scripts/matrix"), *arguments)
        self.assertEqual(done.returncode, expect, done.stderr)
        return [line.split("  ") for line in done.stdout.splitlines() if line.startswith("3.")]

    def assert_cells(self, cells, *expected):
        self.assertEqual(
            [" ".join(column.strip() for column in cell[:-1] if column.strip()) for cell in cells], list(expected)
        )

    def test_all_is_well(self):
        self.with_python()
        cells = self.run_it(0, "3.13-gcc", "3.13-clang")
        self.assert_cells(cells, "3.13-gcc green 34 passed, 0 failed", "3.13-clang green 34 passed, 0 failed")

    def test_a_test_fails(self):
        self.with_python()
        self.ctest_prints("97% tests passed, 1 tests failed out of 34", 8)
        cells = self.run_it(1, "3.13-gcc", "3.13-clang")
        self.assert_cells(cells, "3.13-gcc RED 33 passed, 1 failed", "3.13-clang RED 33 passed, 1 failed")

    def test_no_test_runs(self):
        self.with_python()
        for status in (0, 8):
            self.ctest_prints("No tests were found!!!", status)
            self.assert_cells(self.run_it(1, "3.13-gcc"), "3.13-gcc RED no tests")

    def test_a_python_is_missing(self):
        self.with_python()
        cells = self.run_it(1, "3.12-gcc", "3.13-gcc")
        self.assert_cells(cells, "3.12-gcc RED not built", "3.13-gcc green 34 passed, 0 failed")

    def test_no_such_cell(self):
        for arguments in (["3.11-gcc"], ["3.13-icc"], ["--python", "3.16"], ["--compiler"], ["--frobnicate"]):
            self.assertEqual(self.run_it(1, *arguments), [])


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
