"""Classes that structs of C++ are instances of, and some that mind what is made beside them."""

import collections
import dataclasses
import gc


@dataclasses.dataclass
class Item:
    name: str
    count: int = 1


@dataclasses.dataclass(frozen=True)
class Order:
    id: int
    items: list
    note: str | None = None


Point = collections.namedtuple("Point", "x y")


class Shop:
    class Till:
        def __init__(self, *, x, y):
            self.x, self.y = x, y


class Curious:
    """Looks at all that the garbage collector knows, as a debugger would."""

    def __init__(self, number):
        self.number = number
        for thing in gc.get_objects():
            if type(thing) in (list, tuple):
                for part in thing:
                    type(part)
                if len(thing) < 64:
                    try:
                        repr(thing)
                    except Exception:  # what others make of repr() is theirs
                        pass
        gc.collect()
        if number < 0:
            raise ValueError(f"{number} is below zero")

    def __hash__(self):
        if self.number == 13:
            raise KeyboardInterrupt("unlucky")
        return hash(self.number)

    def __eq__(self, other):
        return self.number == other.number

    def __repr__(self):
        return f"Curious({self.number})"


class Greedy:
    """Empties each list that is about to be passed, if it can find one."""

    def __init__(self, number):
        self.number = number
        for thing in gc.get_objects():
            if type(thing) is list and thing and type(thing[0]) is Greedy:
                thing.clear()

    def __repr__(self):
        return f"Greedy({self.number})"


class Finder:
    """Counts the lists and tuples that hold one of its kind while another is made."""

    found = 0

    def __init__(self, number):
        self.number = number
        for thing in gc.get_objects():
            if type(thing) in (list, tuple) and Finder in map(type, gc.get_referents(thing)):
                Finder.found += 1


def found(*_):
    return Finder.found


class Watcher:
    """Says how many lists it can find that lack items."""

    def __init__(self, number):
        self.number = number

    def __repr__(self):
        lists = [thing for thing in gc.get_objects() if type(thing) is list]
        return f"'{self.number}, {sum(len(thing) > len(gc.get_referents(thing)) for thing in lists)} half made'"


class Leaver:
    def __init__(self, number):
        raise SystemExit(number)


no_class = 5


def show(value, *more):
    return repr((value, *more))


def type_of(value):
    return f"{type(value).__module__}:{type(value).__qualname__}"


def tracked(value):
    """Whether the garbage collector knows all the lists in it, as it has to."""
    if isinstance(value, (list, tuple)):
        return (isinstance(value, tuple) or gc.is_tracked(value)) and all(map(tracked, value))
    return True
