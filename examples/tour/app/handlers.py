"""What the tour calls on any worker."""

_count = 0


def handle(path, number):
    return {"path": path, "number": number}


def count():
    """How often this interpreter has been asked."""
    global _count
    _count += 1
    return _count
