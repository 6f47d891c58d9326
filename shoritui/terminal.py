"""The exit for all that is printed: text of others never commands the terminal it reaches.

    a line for people     harmless, wherever it goes: errors, tables, names, news
    a document            exactly as it is into a file or a pipe, harmless on a terminal
    JSON                  the same everywhere: what would be a command is escaped
    a drawing             as it is: a bar, the colours of the guide; no text of others is in it

What is harmless holds no escape sequence, no control character but line ends and tabs, and no mark
that turns the direction of writing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TextIO, cast

from shoritui.errors import UserError
from shoritui.text import harmless


class _Exit:
    """A stream of which all text is made harmless, and which says why it takes no more."""

    def __init__(self, stream: TextIO, make: Callable[[str], str] = harmless) -> None:
        self.stream: Final = stream
        self._make: Final = make

    def write(self, text: str) -> int:
        with _said():
            self.stream.write(self._make(text))
        return len(text)

    def flush(self) -> None:
        with _said():
            self.stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def _said() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:  # whoever reads has enough
        raise
    except OSError as error:
        raise UserError(f"What is printed cannot be written: {error.strerror}.") from None


@contextmanager
def harmless_exits() -> Iterator[None]:
    """Make everything harmless that is printed meanwhile, by libraries too."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(_exit, before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def _exit(stream: TextIO) -> TextIO:
    """Return the stream's exit; a process without a console has no stream."""
    return stream if stream is None or isinstance(stream, _Exit) else cast(TextIO, _Exit(stream))


def unfiltered(stream: TextIO) -> TextIO:
    """Return the stream as it is: for drawings, and for documents where it is no terminal's."""
    return cast(TextIO, _Exit(stream.stream, str)) if isinstance(stream, _Exit) else stream
