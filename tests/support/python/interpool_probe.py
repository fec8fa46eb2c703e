"""What the tests call: importable in every interpreter of a test process."""

import _thread
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


def start_thread(target):
    threading.Thread(target=target).start()


def start_raw_thread(target):
    _thread.start_new_thread(target, ())


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


class Tally:
    """Something with state; knows how many of its kind there are."""

    _alive = 0

    def __new__(cls, *_):
        Tally._alive += 1
        return super().__new__(cls)

    def __init__(self, start):
        self.value = start

    def __del__(self):
        Tally._alive -= 1

    def add(self, number):
        self.value += number
        return self.value

    def alive(self):
        return Tally._alive

    @property
    def alive_count(self):
        return Tally._alive


class EndNoted:
    """Leaves a file behind when it dies."""

    def __init__(self):
        import os
        import tempfile

        self._open, self._close = os.open, os.close
        self._flags = os.O_CREAT | os.O_WRONLY
        self.path = os.path.join(tempfile.mkdtemp(), "ended")

    def __del__(self):
        self._close(self._open(self.path, self._flags))


_configured = None


def configure(value):
    global _configured
    _configured = value
    return value


def configured():
    return _configured


def add_path(path):
    import importlib
    import sys

    sys.dont_write_bytecode = True  # its time stamps are too coarse for a source that changes at once
    sys.path.insert(0, path)
    importlib.invalidate_caches()


def note_start():
    import __main__

    __main__.order.append("Python")


def stop_note_path():
    import os
    import tempfile

    global _stop_note
    _stop_note = os.path.join(tempfile.mkdtemp(), "stopped")
    return _stop_note


def note_stop():
    with open(_stop_note, "w"):
        pass


def evaluate(text):
    return eval(text)


def hold_in_a_sub_interpreter(path):
    """Does not return, but in the main interpreter, until there is a file `path`; leaves one beside it."""
    import os
    import time

    import interpool

    if interpool.worker_id() == "main":
        return
    with open(path + ".held", "w"):
        pass
    while not os.path.exists(path):
        time.sleep(0.001)
