"""The `hashing` embedder: a bag of identifiers, hashed into a vector. Pure Python, nothing to install or train.

Two texts are near each other when they share words. An identifier counts as a whole and by its parts, so that
"http server" finds BaseHTTPServer; where a word stands decides what it weighs: the chunk's own name most.
"""

import array
import collections
import functools
import math
import re
import sys
import zlib

DIMENSIONS = 384
# Changes whenever the same text would get another vector: vectors of two kinds are not comparable.
IDENTITY = "hashing"

# What each place contributes, after its words have been scaled to length 1: else a long body would drown the name.
_NAME_WEIGHT = 1.0
_PLACE_WEIGHT = 0.9
_DOCSTRING_WEIGHT = 0.6
_BODY_WEIGHT = 0.5

_IDENTIFIER = re.compile(r"[^\W\d]\w+")
# The parts of an identifier: HTTPServer2 -> HTTP, Server; snake_case -> snake, case.
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_a-zA-Z]+")
_DOCSTRING = re.compile(r'"""(.*?)"""|\'\'\'(.*?)\'\'\'', re.DOTALL)

# In almost every chunk, so they tell nothing.
_STOP_WORDS = frozenset(
    """
    and as assert async await break class continue def del elif else except finally for from global if import in is
    lambda nonlocal not or pass raise return try while with yield none true false self cls args kwargs
    the an of to it be this that are by on at was will can
    """.split()
)
_WHOLE_WEIGHT = 0.7  # of an identifier that has several parts, beside them
_STEM_WEIGHT = 0.5  # of a part's beginning, so that "encode" is near "encoding"
_STEM_LENGTH = 4
_COMPOUND_WEIGHT = 0.6  # of a query's words run together, beside the words


@functools.lru_cache(maxsize=100_000)
def _features(identifier: str) -> tuple[tuple[int, float], ...]:
    """Where in the vector an identifier counts, and how much. The same few identifiers come again and again."""
    features = []
    parts = [part for part in map(str.lower, _PART.findall(identifier)) if len(part) > 1]
    for part in parts:
        if part not in _STOP_WORDS:
            features.append((part, 1.0))
            if len(part) >= _STEM_LENGTH:
                features.append(("^" + part[:_STEM_LENGTH], _STEM_WEIGHT))
    if len(parts) > 1:
        # Without underscores: then it is the same for send_error and sendError, and for "send error" in a query.
        features.append(("".join(parts), _WHOLE_WEIGHT))
    result = []
    for word, weight in features:
        # Not hash(), which differs from one process to the next. Two places for each word, so that two words that
        # meet in one still differ in the other; and a sign, so that they cancel out as often as they add up.
        code = zlib.crc32(word.encode("utf-8", "replace"))
        for half in (code & 0xFFFF, code >> 16):
            result.append((half % DIMENSIONS, weight if half & 0x8000 else -weight))
    return tuple(result)


def _add(vector: list[float], identifiers, weight: float) -> None:
    """Adds a bag of identifiers, scaled to the length `weight`."""
    bag: dict[int, float] = {}
    get = bag.get
    features = _features
    sqrt = math.sqrt
    for identifier, count in collections.Counter(identifiers).items():
        # The tenth use of a word says less than the first.
        scale = sqrt(count)
        for place, value in features(identifier):
            bag[place] = get(place, 0.0) + value * scale
    length = math.hypot(*bag.values())
    if length:
        scale = weight / length
        for place, value in bag.items():
            vector[place] += value * scale


def _pack(vector: list[float]) -> bytes:
    length = math.hypot(*vector)
    if length:
        scale = 1.0 / length
        vector = [value * scale for value in vector]
    packed = array.array("f", vector)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def words_of_path(path: str) -> list[str]:
    """The words of the file's place: its module's name and the package around it."""
    parts = path.removesuffix(".py").split("/")
    if parts[-1] in ("__init__", "__main__"):
        parts.pop()
    return _IDENTIFIER.findall(" ".join(parts[-2:]))


def embed(place: list[str], name: str, text: str) -> bytes:
    """The vector of a chunk: little-endian float32, of length 1, or all zero when there is no word in it."""
    vector = [0.0] * DIMENSIONS
    _add(vector, place, _PLACE_WEIGHT)
    _add(vector, _IDENTIFIER.findall(name), _NAME_WEIGHT)
    docstring = _DOCSTRING.search(text)
    if docstring:
        _add(vector, _IDENTIFIER.findall(docstring[1] or docstring[2] or ""), _DOCSTRING_WEIGHT)
    _add(vector, _IDENTIFIER.findall(text), _BODY_WEIGHT)
    return _pack(vector)


def embed_query(query: str) -> bytes:
    """The vector of a query: its words, and neighbours run together, as they would be in a name."""
    words = _IDENTIFIER.findall(query)
    compounds = ["".join(words[at : at + n]) for n in (2, 3) for at in range(len(words) - n + 1)]
    vector = [0.0] * DIMENSIONS
    _add(vector, words, 1.0)
    _add(vector, map(str.lower, compounds), _COMPOUND_WEIGHT)
    return _pack(vector)
