"""What the tests call: importable in every interpreter of a test process."""

import threading

state = []  # one per interpreter
_lock = threading.Lock()
_barriers = {}


def append(item):
    state.append(item)
    return list(state)


def identity(value):
    return value


def thread_ids(*_):
    """The calling thread's id for the operating system."""
    return threading.get_native_id()


def meet(name, parties, seconds=60.0):
    """Passes only once `parties` calls with this name run at the same time in this interpreter."""
    with _lock:
        barrier = _barriers.setdefault(name, threading.Barrier(parties))
    barrier.wait(seconds)
    return threading.get_native_id()


def fail(message):
    raise ValueError(message)


def fail_if_odd(number):
    if number % 2:
        raise ValueError(f"{number} is odd")
    return number


class Counter:
    count = 0

    @classmethod
    def next(cls):
        cls.count += 1
        return cls.count

    @staticmethod
    def double(number):
        return 2 * number

    class Inner:
        @staticmethod
        def name():
            return "inner"
