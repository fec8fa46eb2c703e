#!/usr/bin/env python3
"""Checks that every Markdown file of the tree says what is so.

  test_docs.py [--compiler CXX]   checks the tree; prints file:line: message for each problem, exit 1 if any
  test_docs.py --self-test        checks this script: plants one problem of each kind, expects each found

The rules:
  programs   a block with a main() is marked as C++, and is, to the letter, a source of an example that is built; if the documents show
             a program whose output test_examples.py knows, README.md shows that output too. README.md shows the
             quickstart.
  fragments  any other C++ block compiles against the public headers: inside a function that has a
             `Runtime& python` and a `SubinterpreterExecutor& pool`, or, marked "cpp namespace", outside of one.
  names      a file, link, heading, header, CMake target, preset, option, script, its option or argument, test, test
             label or C++ name that is mentioned exists.
"""

import ast
import builtins
import glob
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile

TOP_FILES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "CMakeLists.txt", "CMakePresets.json",
             ".clang-format", ".clang-tidy", ".editorconfig", ".gitignore")
TOP_FOLDERS = r"\.ci|benchmarks|cmake|docs|examples|include|scripts|src|tests"
# What leads to the tree may stand before it: ./, ../, a variable, where somebody has it.
PATH = re.compile(rf"(?<![\w.<~-])(?<![\w>]/)(?:(?:\.\.?|[\w./~$-]*\binterpool)/)*((?:{TOP_FOLDERS})/[\w./*{{,}}-]*[\w*/}}])")
FILE = re.compile(r"^[\w.-]+\.(?:cpp|h|py|cmake|md|supp|patch)$")
QUICKSTART = "examples/quickstart/main.cpp"
HEADER = re.compile(r"(?<![\w./])[<\"`]?(interpool/[\w/]+\.h)\b")
LINK = re.compile(r"\]\(([^)\s]+)\)")
SPAN = re.compile(r"(`+)(.+?)\1")
# Names of others that look like ours.
FOREIGN = {"InterpreterPoolExecutor", "ThreadPoolExecutor", "GoogleTest", "CPython"}
FOREIGN_SCOPES = {"std", "fmt", "spdlog", "abi", "pybind11"}

PROLOGUE = """\
#include <interpool/interpool.h>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <string>
#include <thread>
#include <vector>
using namespace std::chrono_literals;
"""


# Scripts whose arguments are words that they know, and how a script says that it knows {}.
SCRIPTS_OF_WORDS = {
    ".ci/run": r"\bstep_{}\(\)",
    "scripts/consumers": r"(?m)^ +[\w |]*\b{}\b[\w |]*\)",
    "scripts/matrix": r"\b{}\b",
    "scripts/mutants": r"(?!)",  # none but the names of mutants
}


def alternatives(path):
    """The paths that a path with {this,that} in it stands for."""
    braces = re.search(r"\{([^{}]*)\}", path)
    if not braces:
        return [path]
    return [one for part in braces.group(1).split(",")
            for one in alternatives(path[:braces.start()] + part + path[braces.end():])]


class Document:
    """A Markdown file, taken apart into fenced blocks and the rest."""

    def __init__(self, root, path):
        self.path = path
        with open(os.path.join(root, path), encoding="utf-8") as file:
            self.lines = file.read().splitlines()
        self.blocks = []  # (line of the first line inside, info string, text)
        self.prose = []   # (line, text)
        fence = None
        for number, line in enumerate(self.lines, 1):
            mark = re.match(r"^\s*(```+|~~~+)\s*(.*)$", line)
            if fence is None and mark:
                fence, info, start, body = mark.group(1), mark.group(2).strip(), number + 1, []
            elif fence is not None and line.strip() == fence:
                self.blocks.append((start, info, "\n".join(body) + "\n"))
                fence = None
            elif fence is not None:
                body.append(line)
            else:
                self.prose.append((number, line))

    def anchors(self):
        """The anchors of its headings, as GitHub makes them."""
        found = set()
        for _, line in self.prose:
            heading = re.match(r"^#+\s+(.*)$", line)
            if heading:
                text = re.sub(r"[^\w\- ]", "", heading.group(1).strip().lower())
                found.add(text.replace(" ", "-"))
        return found


class Checker:
    def __init__(self, root, compiler):
        self.root = root
        self.compiler = compiler
        self.problems = []
        paths = glob.glob("*.md", root_dir=root)
        for area in TOP_FOLDERS.replace("\\", "").split("|"):
            paths += (os.path.join(area, path) for path in glob.glob("**/*.md", root_dir=os.path.join(root, area),
                                                                     recursive=True))
        self.documents = [Document(root, path) for path in sorted(paths)]
        self.code = {path: self.read(path) for path in self.sources()}
        self.words = set()
        for path, text in self.code.items():
            self.words.update(re.findall(r"\w+", text))
        self.cmake = "\n".join(text for path, text in self.code.items() if path.endswith((".txt", ".cmake")))
        self.files = {os.path.basename(path) for path in self.code} | {os.path.basename(path) for path in paths}
        self.targets = set(re.findall(r"\badd_(?:executable|library|custom_target)\((\w+)", self.cmake))
        # As tests/CMakeLists.txt names what its functions make.
        self.tests = set()
        for kind, name in re.findall(r"^ *interpool_(unit|stress|scenario|script|seeded)_test\((\w+)", self.cmake, re.M):
            self.tests.add(f"{kind}.{name}")
            self.targets.add(f"seeded_{name}" if kind == "seeded" else f"{name}_{'test' if kind == 'unit' else kind}")

    def exists(self, path):
        return os.path.exists(os.path.join(self.root, path))

    def read(self, path):
        if not self.exists(path):
            return ""
        with open(os.path.join(self.root, path), encoding="utf-8", errors="replace") as file:
            return file.read()

    def sources(self):
        yield "CMakeLists.txt"
        for area in ("include", "src", "examples", "cmake", "benchmarks", "tests", "scripts"):
            for folder, _, names in os.walk(os.path.join(self.root, area)):
                for name in names:
                    path = os.path.relpath(os.path.join(folder, name), self.root)
                    # Not this file, whose planted problems would prove themselves right.
                    if name != os.path.basename(__file__) and not name.endswith((".pyc", ".md")):
                        yield path

    def report(self, document, line, message):
        self.problems.append((document.path, line, message))

    def run(self):
        for document in self.documents:
            for line, text in document.prose:
                self.check_links(document, line, text)
                self.check_text(document, line, text)
                for _, span in SPAN.findall(text):
                    self.check_span(document, line, span.strip())
            for start, info, text in document.blocks:
                for offset, line in enumerate(text.splitlines()):
                    self.check_text(document, start + offset, line)
        self.check_programs()
        self.check_fragments()
        self.check_rows()
        return sorted(self.problems)

    def check_rows(self):
        """Each row of the benchmarks is described, and has a result; and no others."""
        rows = {row for path, text in self.code.items() if path.startswith("benchmarks/")
                for row in re.findall(r'\.id = "([^"]+)"', text)}
        for document in self.documents:
            if document.path != os.path.join("docs", "benchmarks.md"):
                continue
            text = "\n".join(document.lines)
            for what, pattern in (("describe", r"^\| `([^`]+)` \|"), ("give a result of", r"^    (\w+\.\S+) ")):
                told = set(re.findall(pattern, text, re.M))
                for row in sorted(rows - told):
                    self.report(document, 0, f"does not {what} the row {row}")
                for row in sorted(told - rows):
                    self.report(document, 0, f"there is no row {row}")

    # --- names -----------------------------------------------------------------------------------

    def check_links(self, document, line, text):
        for target in LINK.findall(re.sub(SPAN, "", text)):
            if re.match(r"^[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            place = os.path.normpath(os.path.join(os.path.dirname(document.path), path)) if path else document.path
            if not self.exists(place):
                self.report(document, line, f"links to {target}: there is no {place}")
            elif anchor and place.endswith(".md") and anchor not in Document(self.root, place).anchors():
                self.report(document, line, f"links to {target}: {place} has no such heading")

    def check_text(self, document, line, text):
        """What is looked for in prose and in blocks alike."""
        for match in PATH.finditer(text):
            for path in alternatives(match.group(1)):
                if not glob.glob(os.path.join(self.root, path)):
                    self.report(document, line, f"there is no {path}")
        for header in HEADER.findall(text):
            if not self.exists(os.path.join("include", header)):
                self.report(document, line, f"there is no header <{header}>")
        for name in re.findall(r"(?:\b|-D)(INTERPOOL_[A-Z0-9_]+)\b", text):
            if name not in self.words:
                self.report(document, line, f"nothing is called {name}")
        for name in re.findall(r"\binterpool::(\w+)", text):
            if name not in self.words:
                self.report(document, line, f"there is no interpool::{name}")
        for name in re.findall(r"\bthe `([\w-]+)` preset\b", text):
            self.check_preset(document, line, "configure", name)
        for kind, name in re.findall(r"\b(cmake|ctest)\b[^|;&#`]*?--preset[ =]([\w-]+)", text):
            self.check_preset(document, line, "test" if kind == "ctest" else "configure", name)
        targets = re.findall(r"\btargets? `(\w+)`", text)
        for names in re.findall(r"(?:--target[ =]|\bcmake --build [^|;&#`]*-t )((?:[\w-]+ ?)+)", text):
            targets += itertools.takewhile(lambda name: not name.startswith("-"), names.split())
        targets += re.findall(r"\bbuild/[\w-]+/(?:tests|benchmarks|examples/\w+)/(\w+)", text)
        for name in targets:
            if name not in self.targets:
                self.report(document, line, f"there is no target {name}")
        for name in re.findall(r"\bctest\b[^|;&#`]*? -R ([\w.]+)", text):
            if not any(name in test for test in self.tests):
                self.report(document, line, f"no test is called {name}")
        for name in re.findall(r"(?<![\w/.-])interpool_\w+", text):
            if name not in self.words:
                self.report(document, line, f"nothing is called {name}")
        for name in re.findall(r"\bctest\b[^|;&#`]*? -L ([\w-]+)", text):
            if not re.search(rf"Labels:.*\b{re.escape(name)}\b", self.read("tests/CMakeLists.txt")):
                self.report(document, line, f"no test has the label {name}")
        for script, rest in re.findall(r"(?<!tests/)(scripts/[\w-]+|\.ci/run)([^|;&#`]*)", text):
            known = self.read(script)
            # One whose arguments are words that it knows says which; those of a command, not of a sentence.
            words = SCRIPTS_OF_WORDS.get(script)
            if words and re.search(rf"(`|^\s*|\bbash ){re.escape(script + rest)}", text):
                for argument in re.findall(r"(?<=[\s,])([a-z0-9][\w.-]*)", re.sub(r"--(?:tests|only) \S+", "", rest)):
                    if not re.search(words.format(re.escape(argument)), known) and not self.exists(
                            f"tests/mutants/{argument}.patch"):
                        self.report(document, line, f"{script} does not know {argument}")
            if "indexer" in known:
                known += "".join(text for path, text in self.code.items() if path.startswith("examples/indexer/"))
            for option in re.findall(r"(?<=\s)(--[a-z][\w-]*)", rest):
                if option not in known:
                    self.report(document, line, f"{script} has no option {option}")

    def check_preset(self, document, line, kind, name):
        presets = json.loads(self.read("CMakePresets.json") or "{}")
        known = {preset["name"] for preset in presets.get(f"{kind}Presets", []) if not preset.get("hidden")}
        if name not in known:
            self.report(document, line, f"there is no {kind} preset {name}")

    def check_span(self, document, line, span):
        """Code inside a line: names of C++."""
        if span in TOP_FILES and not self.exists(span):
            self.report(document, line, f"there is no {span}")
        elif FILE.match(span) and span not in self.files and not self.exists(span):
            self.report(document, line, f"no file is called {span}")
        name = re.match(r"^(~?\w+(?:::~?\w+)*)(\(.*\))?$", span)
        if not name:
            return
        parts = name.group(1).replace("~", "").split("::")
        if parts[0] in FOREIGN_SCOPES or parts[0].startswith(("Py", "_Py", "PYTHON")) or name.group(1) in FOREIGN:
            return
        is_ours = len(parts) > 1 or re.match(r"^[A-Z][a-z]+(?:[A-Z]\w*)+$", parts[0]) or name.group(2)
        if not is_ours or hasattr(builtins, parts[0]):
            return
        for part in parts:
            if part not in self.words:
                self.report(document, line, f"nothing in the code is called {part}")

    # --- C++ -------------------------------------------------------------------------------------

    def cpp_blocks(self):
        for document in self.documents:
            for start, info, text in document.blocks:
                if info.lower().split()[:1] in (["cpp"], ["c++"]):
                    yield document, start, info, text

    def built_examples(self):
        """The sources of examples that a CMakeLists.txt beside them names."""
        for path, text in self.code.items():
            if path.startswith("examples/") and path.endswith(".cpp"):
                folder = os.path.dirname(path)
                lists = self.code.get(os.path.join(folder, "CMakeLists.txt"), "")
                if os.path.basename(path) in lists and os.path.basename(folder) in self.code["examples/CMakeLists.txt"]:
                    yield path, text

    def check_programs(self):
        for document in self.documents:
            for start, info, text in document.blocks:
                if re.search(r"\bint main\(", text) and info.lower().split()[:1] not in (["cpp"], ["c++"]):
                    self.report(document, start, "this program is not marked as cpp, so nothing looks at it")
        examples = dict(self.built_examples())
        shown = set()
        for document, start, _, text in self.cpp_blocks():
            if not re.search(r"\bint main\(", text):
                continue
            same = [path for path, source in examples.items() if source == text]
            shown.update((document.path, path) for path in same)
            if not same:
                self.report(document, start, "this program is not the source of an example that is built")
            for path in same:
                # As test_examples.py knows it: of a folder with several programs, each by its own name.
                folder, source = os.path.basename(os.path.dirname(path)), os.path.basename(path)
                self.check_output(document, start,
                                  folder if source == "main.cpp" else f"{folder}_{os.path.splitext(source)[0]}")
        if ("README.md", QUICKSTART) not in shown:
            self.problems.append(("README.md", 0, f"does not show {QUICKSTART}"))

    def check_output(self, document, line, example):
        found = re.search(r"^EXPECTED = (\{.*?^\})", self.read("tests/scripts/test_examples.py"), re.M | re.S)
        output = ast.literal_eval(found.group(1)).get(example) if found else None
        if output is None:
            self.report(document, line, f"test_examples.py does not run {example}")
        elif output and output not in (text for _, _, text in document.blocks):
            self.report(document, line, f"the output of {example} is not shown, or is not what test_examples.py expects")

    def check_fragments(self):
        parts = [PROLOGUE]
        count = 0
        for document, start, info, text in self.cpp_blocks():
            if re.search(r"\bint main\(", text):
                continue
            count += 1
            if "namespace" in info.split():
                parts.append(f'#line {start} "{document.path}"\n{text}')
            else:
                parts.append(f"[[maybe_unused]] static void fragment_{count}([[maybe_unused]] interpool::Runtime& python,\n"
                             f"    [[maybe_unused]] interpool::SubinterpreterExecutor& pool) {{\n"
                             f'#line {start} "{document.path}"\n{text}}}\n')
        if count == 0:
            return
        done = subprocess.run(
            [self.compiler, "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-Wno-unused-variable",
             "-Wno-unused-but-set-variable", "-I", os.path.join(self.root, "include"), "-x", "c++", "-"],
            input="".join(parts), capture_output=True, text=True)
        if done.returncode == 0:
            return
        found = set(re.findall(r"^([\w./-]+\.md):(\d+):(?:\d+:)? (?:fatal )?error: (.*)$", done.stderr, re.M))
        for path, line, message in found:
            self.problems.append((path, int(line), f"does not compile: {message}"))
        if not found:
            self.problems.append(("(fragments)", 0, f"do not compile:\n{done.stderr}"))


# --- the self-test -------------------------------------------------------------------------------

TREE = {
    "CMakeLists.txt": "option(INTERPOOL_KNOWN)\nadd_library(interpool::interpool ALIAS interpool)\n",
    "CMakePresets.json": '{"configurePresets": [{"name": "dev"}], "testPresets": [{"name": "dev"}]}',
    "LICENSE": "MIT\n",
    "examples/CMakeLists.txt": "quickstart\nsilent\nunrun\n",
    "examples/unrun/CMakeLists.txt": "add_executable(unrun main.cpp)\n",
    "examples/unrun/main.cpp": "int main() { return 4; }\n",
    "examples/silent/CMakeLists.txt": "add_executable(silent main.cpp)\n",
    "examples/silent/main.cpp": "int main() { return 3; }\n",
    "tests/scripts/test_examples.py": "EXPECTED = {\n    \"quickstart\": \"1\\n\",\n    \"silent\": \"2\\n\",\n}\n",
    "examples/quickstart/CMakeLists.txt": "add_executable(quickstart main.cpp)\n",
    "examples/quickstart/main.cpp": "int main() {}\n",
    "examples/quickstart/other.cpp": "int main() { return 1; }\n",
    "include/interpool/interpool.h": "namespace interpool { struct Runtime { void stop(int); };\n"
                                     "struct SubinterpreterExecutor { int in_flight(); }; }\n",
    "scripts/run": "case $1 in --fast) ;; esac\n",
    "tests/CMakeLists.txt": "# Labels: unit, script.\ninterpool_unit_test(known known_test.cpp)\n",
    "tests/mutants/known.patch": "",
    ".ci/run": "step_one() { true; }\n",
    "scripts/consumers": "  case $1 in\n    shared | static) ;;\n  esac\n",
    "scripts/matrix": "cells=(3.13-gcc)\ncase $1 in --python) ;; esac\n",
    "scripts/mutants": "",
    "docs/other.md": "# A heading, here\n",
    "benchmarks/rows.cpp": "{.id = \"row.known\"}\n",
    "docs/benchmarks.md": "| `row.known` | a row |\n\n    row.known  1 ns\n",
}

# (a line of README.md, whether it is a problem)
LINES = [
    ("Fine: `examples/quickstart/main.cpp`, `examples/*/main.cpp`, [x](docs/other.md#a-heading-here), `LICENSE`.", False),
    ("`Runtime::stop`, `in_flight()`, `SubinterpreterExecutor`, `std::vector`, `ImportError`, `PyObject`.", False),
    ("`cmake --preset dev`, `ctest --preset dev -L unit`, `--target quickstart`, `scripts/run --fast`.", False),
    ("`other.md`, `main.cpp`, ./docs/other.md, docs/{other,other}.md, the target `quickstart`, the `dev` preset.", False),
    ("`ctest -R known`, `build/dev/tests/known_test`, `cmake --build b -t quickstart`.", False),
    ("`.ci/run one`, `scripts/consumers shared`, `scripts/matrix 3.13-gcc`, `scripts/mutants known`.", False),
    ("`INTERPOOL_KNOWN`, `-DINTERPOOL_KNOWN=ON`, `interpool_unit_test`, `interpool::interpool`, `<interpool/interpool.h>`, [y](#the-title).", False),
    ("A missing file: `src/base/nothing.h`.", True),
    ("A missing pattern: examples/*/nothing.cpp.", True),
    ("A missing top file: `CHANGELOG.md`.", True),
    ("A missing link: [x](docs/nothing.md).", True),
    ("A missing heading: [x](docs/other.md#nothing).", True),
    ("A missing heading of its own: [x](#nothing).", True),
    ("A missing header: `<interpool/nothing.h>`.", True),
    ("A missing header, otherwise: `interpool/nothing.h`.", True),
    ("A missing file, from here: `./docs/nothing.md`.", True),
    ("A missing file, from beside: ../docs/nothing.md.", True),
    ("A missing file, from where it is: /path/to/interpool/scripts/nothing.", True),
    ("A missing file of two: docs/{other,nothing}.md.", True),
    ("A missing file without its folder: `nothing_test.cpp`.", True),
    ("A missing document: `CONTRIBUTORS.md`.", True),
    ("A missing option, set: `-DINTERPOOL_NOTHING=ON`.", True),
    ("A missing target, named: the target `nothing`.", True),
    ("A missing target of ours: `interpool_nothing`.", True),
    ("A missing target after another: `cmake --build build --target quickstart nothing`.", True),
    ("A missing target, in short: `cmake --build build -t nothing`.", True),
    ("A missing program: `build/dev/tests/nothing_test`.", True),
    ("A missing test: `ctest -R nothing_at_all`.", True),
    ("A missing preset, named: the `nothing` preset.", True),
    ("A missing step: `bash .ci/run nothing`.", True),
    ("A missing kind: `scripts/consumers nothing`.", True),
    ("A missing cell: `scripts/matrix 3.11-gcc`.", True),
    ("A missing Python: `scripts/matrix --python 3.13,3.11`.", True),
    ("A missing mutant: `scripts/mutants nothing`.", True),
    ("A missing option: INTERPOOL_NOTHING.", True),
    ("A missing target: `interpool::nothing`.", True),
    ("A missing target to build: `cmake --build build --target nothing`.", True),
    ("A missing preset: `cmake --preset nothing`.", True),
    ("A missing test preset: `ctest --preset nothing`.", True),
    ("A missing label: `ctest -L nothing`.", True),
    ("A missing script: `scripts/nothing`.", True),
    ("A missing option of a script: `scripts/run --slow`.", True),
    ("A missing member: `Runtime::nothing`.", True),
    ("A missing class: `NothingAtAll`.", True),
    ("A missing function: `nothing()`.", True),
]
# (info string, text, whether it is a problem)
BLOCKS = [
    ("cpp", "int main() {}\n", False),
    ("cpp", "int main() { return 2; }\n", True),
    ("cpp", "int main() { return 1; }\n", True),  # the source of an example, but not one that is built
    ("cpp", "int main() { return 3; }\n", True),  # its output is not shown
    ("cpp", "int main() { return 4; }\n", True),  # no test runs it
    ("text", "1\n", False),
    ("cpp", "python.stop(pool.in_flight());\n", False),
    ("cpp", "python.stop(nothing);\n", True),
    ("cpp namespace", "struct Point { int x; };\n", False),
    ("cpp namespace", "python.stop(1);\n", True),
    ("sh", "scripts/run --fast && ls src/nothing\n", True),
    ("text", "nothing() NothingAtAll\n", False),
    ("text", "int main() {}\n", True),
    ("c", "int main() {}\n", True),
]


def problems_of(readme, compiler, **others):
    """What is found in TREE with that README.md, and with others of its files changed."""
    with tempfile.TemporaryDirectory() as root:
        for path, content in {**TREE, **others, "README.md": "\n".join(readme) + "\n"}.items():
            os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(content)
        return Checker(root, compiler).run()


def self_test(compiler):
    lines = ["# The title", ""]
    expected = set()
    for text, bad in LINES:
        lines.append(text)
        if bad:
            expected.add(len(lines))
    for info, text, bad in BLOCKS:
        lines.append(f"```{info}")
        if bad:
            expected.add(len(lines) + 1)
        lines += text.splitlines() + ["```"]
    problems = problems_of(lines, compiler)
    found = {line for path, line, _ in problems if path == "README.md"}
    for line in sorted(expected - found):
        print(f"self-test: missed the problem planted in line {line}: {lines[line - 1]}")
    for path, line, message in problems:
        if path != "README.md" or line not in expected:
            print(f"self-test: false alarm: {path}:{line}: {message}")
    if found != expected or any(path != "README.md" for path, _, _ in problems):
        return 1
    if problems_of(["# Nothing"], compiler) != [("README.md", 0, f"does not show {QUICKSTART}")]:
        print("self-test: missed that README.md does not show the quickstart")
        return 1
    rows = problems_of(lines, compiler, **{"docs/benchmarks.md": "| `row.gone` | a row |\n\n    row.known  1 ns\n"})
    rows = [message for path, _, message in rows if path == "docs/benchmarks.md"]
    if rows != ["does not describe the row row.known", "there is no row row.gone"]:
        print(f"self-test: of rows that are not described, or are gone, it found: {rows}")
        return 1
    print(f"test_docs: found all {len(expected) + 3} planted problems, and no others")
    return 0


def main(arguments):
    compiler = os.environ.get("CXX", "c++")
    if arguments[:1] == ["--compiler"] and len(arguments) > 1:
        compiler = arguments[1]
        arguments = arguments[2:]
    if arguments == ["--self-test"]:
        return self_test(compiler)
    if arguments:
        print(__doc__.strip(), file=sys.stderr)
        return 0 if arguments[0] in ("-h", "--help") else 2
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    checker = Checker(root, compiler)
    problems = checker.run()
    for path, line, message in problems:
        print(f"{path}:{line}: {message}")
    if not problems:
        print(f"test_docs: {len(checker.documents)} documents are in order")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
