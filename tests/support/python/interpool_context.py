"""ContextVars, and code that reads and changes them."""

from contextvars import ContextVar

request = ContextVar("request", default="no request")
user = ContextVar("user", default=None)
plain = 17
died_in = []


class Owner:
    session = ContextVar("session", default=0)


def seen(*_):
    """What the calling code sees; the arguments do not matter."""
    return request.get(), user.get()


def change(value):
    """Sets it for the rest of the task."""
    request.set(value)
    return request.get()


def fail(*_):
    request.set("changed")
    raise ValueError(request.get())


def leave(*_):
    request.set("changed")
    raise SystemExit(3)


def keep_until_the_end():
    """The context alone keeps something, whose end is noted with what it sees then."""

    class Noted:
        def __del__(self):
            died_in.append(request.get())

    user.set(Noted())


def deaths():
    return died_in


def forget_deaths():
    died_in.clear()


def call(function):
    """Calls back; what it sees before and after, and what comes back."""
    before = request.get()
    back = function()
    return before, back, request.get()


async def _task():
    return request.get()


def in_asyncio():
    import asyncio

    return asyncio.run(_task())


class Session:
    def __init__(self, *_):
        self.made_for = request.get()

    def seen(self):
        return request.get()

    @property
    def now(self):
        return request.get()
