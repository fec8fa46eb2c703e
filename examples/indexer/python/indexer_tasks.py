"""What the indexer's C++ side calls. Every worker's interpreter imports this module once, before its first task."""

import gc
import warnings

import indexer_chunks
import indexer_hashing

# Parsing other people's code warns about it (an invalid escape, say), which is not for our user.
warnings.simplefilter("ignore")
# A syntax tree is many objects in no circle, so the collector would look in vain, and often.
gc.set_threshold(100_000)


def describe() -> tuple[str, int]:
    """The embedder as the index remembers it, and the length of its vectors."""
    return indexer_hashing.IDENTITY, indexer_hashing.DIMENSIONS


def chunk(path: bytes) -> tuple[bool, list[tuple[str, int, int, str]]]:
    """Whether the file parsed, and its chunks: (name, first line, last line, text). Raises OSError."""
    # Bytes, since a path is bytes to the system, and as str it would depend on the locale.
    with open(path, "rb") as file:
        return indexer_chunks.cut(file.read())


def embed(path: str, chunks: list[tuple[str, int, int, str]]) -> list[tuple[bytes | None, str | None]]:
    """For each chunk either its vector, as little-endian float32, or why it has none."""
    place = indexer_hashing.words_of_path(path)
    result = []
    for name, _, _, text in chunks:
        try:
            result.append((indexer_hashing.embed(place, name, text), None))
        except Exception as error:  # one chunk's failure is no reason to lose the others
            result.append((None, f"{type(error).__name__}: {error}"))
    return result


def embed_query(query: str) -> bytes:
    """The vector of what a person types; all zero when there is no word in it."""
    return indexer_hashing.embed_query(query)
