"""Files and libraries that are touched in the thread of an app's event loop, where they hold it up.

with watched() as found:
    await pilot.press("f8")
assert not found

An audit hook is told of what Python opens, lists, makes, moves and removes; of what it only looks
at, such as `os.stat`, nothing is told, so those are wrapped while somebody watches. What imports
do is left out: they read what is installed, once.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from types import FrameType
from typing import Any, Final

_EVENTS: Final = (
    *("open", "os.listdir", "os.scandir", "os.mkdir", "os.rmdir", "os.rename", "os.remove"),
    *("os.link", "os.symlink", "os.chmod", "os.truncate", "os.utime", "sqlite3.connect"),
)
_LOOKS: Final = ("stat", "lstat", "access", "readlink", "statvfs", "fsync")
"""The functions of `os` that reach a disk and are told to no audit hook."""
_IMPORTING: Final = ("<frozen importlib", "/importlib/")
"""Begins, or is in, the names of the files that import modules and read what is installed."""
_HERE: Final = (__file__, threading.__file__)
_NO_DISK: Final = ("/dev/", "/proc/")
"""What is no file of a disk: the terminal, the kernel."""

Found = Counter[str]
"""How often each place of the program touched what: `cards/load.py read_card < ...: os.stat`."""


class _Watch:
    """The audit hook cannot be taken away again: it is told here whether anybody watches."""

    def __init__(self) -> None:
        self.thread: int | None = None
        self.found: Found = Counter()
        self.is_hooked = False

    def note(self, event: str, about: object) -> None:
        """Count what was touched, if that was in the watched thread and no import did it."""
        if threading.get_ident() != self.thread or isinstance(about, int):
            return
        if isinstance(about, str | bytes | os.PathLike) and os.fsdecode(about).startswith(_NO_DISK):
            return
        where = _place(sys._getframe(2))
        if where:
            self.found[f"{where}: {event}"] += 1


_watch = _Watch()


def _place(frame: FrameType | None) -> str:
    """Return the calls of the program that led there, the innermost first, or the library's own.

    Nothing for an import, or for a test.
    """
    calls, other = [], ""
    while frame is not None:
        name = frame.f_code.co_filename
        if any(each in name for each in _IMPORTING):
            return ""
        if "/shoritui/" in name:
            calls.append(f"{name.rpartition('/shoritui/')[2]} {frame.f_code.co_qualname}")
        elif "/tests/" in name and not calls and name not in _HERE:
            return ""
        elif not other and name not in _HERE:
            other = f"{Path(name).name} {frame.f_code.co_qualname}"
        frame = frame.f_back
    return " < ".join(calls[:4]) or other


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if _watch.thread is not None and event in _EVENTS:
        _watch.note(event, args[0] if args else None)


@contextmanager
def watched() -> Iterator[Found]:
    """Yield what this thread, which is the loop's, has touched since."""
    if not _watch.is_hooked:
        sys.addaudithook(_hook)
        _watch.is_hooked = True
    plain: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in _LOOKS}

    def told(name: str) -> Callable[..., Any]:
        @wraps(plain[name])
        def look(*args: Any, **named: Any) -> Any:
            _watch.note(f"os.{name}", args[0] if args else None)
            return plain[name](*args, **named)

        return look

    connect = sqlite3.connect

    def connected(*args: Any, **named: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **named)
        if args and args[0] != ":memory:":
            connection.set_trace_callback(lambda _: _watch.note("SQL", None))
        return connection

    try:
        for name in _LOOKS:
            setattr(os, name, told(name))
        sqlite3.connect = connected  # type: ignore[assignment]
        _watch.thread, _watch.found = threading.get_ident(), Counter()
        yield _watch.found
    finally:
        _watch.thread = None
        sqlite3.connect = connect
        for name, function in plain.items():
            setattr(os, name, function)
