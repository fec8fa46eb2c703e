"""What the tests of Buffer call: importable in every interpreter of a test process."""

import array
import gc
import weakref

kept = {}  # one per interpreter


def keep(name, thing):
    kept[name] = thing


def keep_view(name, buffer):
    kept[name] = memoryview(buffer)


def keep_slice(name, buffer, step):
    kept[name] = memoryview(buffer)[::step]


def keep_in_cycle(buffer):
    """What refers to itself only the garbage collector finds."""
    cycle = [memoryview(buffer)]
    cycle.append(cycle)


def keep_and_return(name, buffer):
    kept[name] = array.array("d", memoryview(buffer))
    return kept[name]


def grown(name):
    kept[name].append(1.0)
    return len(kept.pop(name))


def remember(thing):
    global remembered
    remembered = thing
    return thing


def same(thing):
    return thing


def kept_sum(name):
    return sum(memoryview(kept[name]).tolist())


def take(name):
    return kept.pop(name)


def forget(name):
    del kept[name]
    gc.collect()


def sum_of(buffer):
    return sum(memoryview(buffer).tolist())


def fill(buffer, value):
    view = memoryview(buffer)
    for i in range(len(view)):
        view[i] = value
    return buffer


def view(buffer, expression):
    """What `expression` makes of `view`, a memoryview of the buffer."""
    return eval(expression, {"view": memoryview(buffer), "buffer": buffer})


def facts(buffer):
    view = memoryview(buffer)
    return view.format, list(view.shape), list(view.strides), view.readonly, view.nbytes, view.itemsize


class Exporter:
    """Has the protocol by a method in Python."""

    def __init__(self, thing):
        self.thing = thing
        self.released = 0

    def __buffer__(self, flags):
        if isinstance(self.thing, Exception):
            raise self.thing
        return memoryview(self.thing)

    def __release_buffer__(self, view):
        self.released += 1
        view.release()


def identity_holds(buffer):
    """Identity decides what is equal, as for any object; references may be weak."""
    gone = []
    other = type(buffer)(buffer)
    weak = weakref.ref(other, lambda _: gone.append(True))
    found = [buffer == buffer, buffer != other, len({buffer, other, buffer}) == 2, weak() is other]
    del other
    return all(found) and weak() is None and gone == [True]


def doubles(*numbers):
    return array.array("d", numbers)


def swap(place, buffer, how):
    """Keeps it, or a view of it, in place of what was there, which is returned."""
    before = kept.get(place)
    if how == 0:
        kept[place] = buffer
    elif how == 1:
        kept[place] = memoryview(buffer)
    elif how == 2:
        kept[place] = memoryview(buffer)[1:]
    elif how == 3:
        kept[place] = memoryview(buffer)[::-2]
    else:
        keep_in_cycle(buffer)
        kept.pop(place, None)
    return before


def peek(place):
    return kept.get(place)


def clear():
    kept.clear()
    gc.collect()


def through_ctypes(buffer):
    """Writes by an array of C that lies in the buffer; returns what ctypes exports itself."""
    import ctypes

    numbers = (ctypes.c_float * 4).from_buffer(buffer)
    numbers[3] = 9.5
    return numbers


def structure_of_ctypes():
    import ctypes

    class Point(ctypes.Structure):
        _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_double)]

    return (Point * 2)((1, 2.0), (3, 4.0))


def doubled_by_numpy(buffer):
    import numpy

    seen = numpy.asarray(buffer)
    seen *= 2
    return numpy.frombuffer(buffer, dtype=seen.dtype).sum(), seen.shape, seen.T


def of_numpy(expression):
    import numpy

    return eval(expression, {"numpy": numpy})
