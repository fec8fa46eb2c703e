"""Cuts Python source into chunks: one for each function and class, and one for the rest of the module."""

import ast
import codecs
import io
import tokenize

Chunk = tuple[str, int, int, str]  # name, first line, last line, text

LINES_PER_CHUNK = 60  # of a file that does not parse

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
# Where a statement can hold other statements. Expressions hold no definitions, so they are not visited, which is
# what makes this much faster than ast.walk.
_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")


def cut(source: bytes) -> tuple[bool, list[Chunk]]:
    """Whether the source parses, and its chunks: by definitions if it does, else by lines."""
    text, decoded = _decode(source)
    lines = _lines(text)
    if decoded:
        try:
            return True, _cut_by_definitions(ast.parse(source), lines)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            # Not Python, or not this Python's; NULs; nested deeper than the parser goes.
            pass
    return False, _cut_by_lines(lines)


def _decode(source: bytes) -> tuple[str, bool]:
    """The text, and whether it is what the file's declared encoding says."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
        text = source.decode(encoding)
        # Some codecs make lone surrogates, which no UTF-8 text can hold.
        text.encode()
        return text, True
    except (SyntaxError, LookupError, ValueError):  # UnicodeError is a ValueError
        return source.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace"), False


def _lines(text: str) -> list[str]:
    # As Python's tokenizer counts them. splitlines() would also split at form feeds and others.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if not lines[-1]:
        lines.pop()
    return lines


def _cut_by_lines(lines: list[str]) -> list[Chunk]:
    chunks = []
    for start in range(0, len(lines), LINES_PER_CHUNK):
        part = lines[start : start + LINES_PER_CHUNK]
        if any(line.strip() for line in part):
            first, last = start + 1, start + len(part)
            chunks.append((f"<lines {first}-{last}>", first, last, "\n".join(part)))
    return chunks


def _cut_by_definitions(module: ast.Module, lines: list[str]) -> list[Chunk]:
    """Every line belongs to the innermost definition around it; what is left is the module's."""
    definitions = _definitions(module)
    # In the order of their first lines an outer definition comes before those inside, which then take their lines
    # from it.
    owner = [0] * (len(lines) + 1)
    for number, (_, first, last) in enumerate(definitions, 1):
        owner[first : last + 1] = [number] * (last + 1 - first)
    texts: list[list[str]] = [[] for _ in range(len(definitions) + 1)]
    for line, number in zip(lines, owner[1:]):
        texts[number].append(line)

    chunks = []
    rest = "\n".join(texts[0])
    if rest.strip():
        chunks.append(("<module>", 1, len(lines), rest.strip("\n")))
    for (name, first, last), text in zip(definitions, texts[1:]):
        if text:  # two definitions on one line: the last has it
            chunks.append((name, first, last, "\n".join(text).rstrip("\n")))
    return chunks


def _definitions(module: ast.Module) -> list[tuple[str, int, int]]:
    """(qualified name, first line, last line) of every function and class, in the order of their first lines."""
    found = []
    # A stack of our own: how deep source nests is not ours to say, and recursion has a limit.
    stack: list[tuple[str, ast.AST]] = [("", module)]
    while stack:
        prefix, node = stack.pop()
        for block in _BLOCKS:
            for child in getattr(node, block, ()):
                if isinstance(child, _DEFINITIONS):
                    name = prefix + child.name
                    first = min([child.lineno, *(decorator.lineno for decorator in child.decorator_list)])
                    found.append((name, first, child.end_lineno))
                    stack.append((f"{name}.", child))
                elif hasattr(child, "body"):
                    stack.append((prefix, child))
    found.sort(key=lambda definition: (definition[1], -definition[2]))
    return found
