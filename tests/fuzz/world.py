"""A folder to play in, the program's doors, and what has to be true of whatever they answer."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from traceback import format_exception
from typing import Any, Final

from shoritui import fault_log
from shoritui.cli import main
from shoritui.folders import HOME_VARIABLE

LONGEST: Final = 5.0
"""Seconds of a processor that one door may take."""
_RAW: Final = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What a terminal obeys, or what turns the direction of writing."""
_OWN: Final = re.compile(r"\r(?:[^\r\x1b]*\x1b\[K\r?)+")
"""How a line of progress is drawn over itself."""
_WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES: Final = {
    *("os.mkdir", "os.rename", "os.link", "os.symlink", "os.remove", "os.rmdir", "os.truncate"),
    *("shutil.rmtree", "shutil.move", "os.chmod", "os.chown"),
}
_MOST_SAID: Final = 2_000
"""Characters of a sentence."""


class Broken(Exception):
    """A promise was not kept: which one, and where, in words that are alike for alike failures."""

    def __init__(self, reason: str, details: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.details = details


class _Hang(BaseException):
    """A door takes too long."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a door answered."""

    code: int
    out: str
    err: str


class World:
    """A user's folder, an input, and a folder to write into: nothing else may be touched."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / "home"
        self.given = root / "in"
        self.out = root / "out"
        self.tmp = root / "tmp"
        self._bases = root / "bases"
        """What training makes of a base, once: no input can change it."""
        self.heard: list[str] = []
        """The sentences of all doors, without names and numbers."""

    @contextmanager
    def with_input(self, name: str, content: bytes) -> Iterator[Path]:
        """A world with one file in it, which is there unchanged afterwards."""
        for folder in (self.home, self.given, self.out, self.tmp):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        self._bases.mkdir(exist_ok=True)
        cache = self.home / "cache" / "finetune"
        cache.mkdir(parents=True)
        (cache / "bases").symlink_to(self._bases)
        path = self.given / name
        path.write_bytes(content)
        os.environ[HOME_VARIABLE] = str(self.home)
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(self._bases)  # PyTorch's own, of no input
        os.environ["TMPDIR"] = tempfile.tempdir = str(self.tmp)
        os.chdir(self.out)
        self.heard.clear()
        yield path
        if path.read_bytes() != content or [*self.given.iterdir()] != [path]:
            raise Broken("the input was changed")
        if left := [*self.tmp.iterdir()]:
            raise Broken("temporary files are left", str(left))

    def door(self, *words: object, codes: Sequence[int] = (0, 1)) -> Answer:
        """Go through a door of the command line, and check the promises.

        Raises:
            Broken: One was not kept.
        """
        arguments = list(map(str, words))
        name = " ".join(word for word in arguments[:2] if word.isidentifier() or "-" in word)
        out, err = _Terminal(), _Terminal()
        with self.promises(name), redirect_stdout(out), redirect_stderr(err):
            try:
                code = main(arguments)
            except SystemExit as error:
                code = error.code if isinstance(error.code, int) else 1
        answer = Answer(code, out.text, err.text)
        for sentence in _problems(answer, codes):
            raise Broken(f"{name}: {sentence}", f"{answer}"[:_MOST_SAID])
        self.heard.append(f"{name} {code} {_alike(answer.err)}")
        return answer

    @contextmanager
    def promises(self, name: str, seconds: float = LONGEST) -> Iterator[None]:
        """See that nothing in the block raises, is a fault, takes too long or writes elsewhere.

        Raises:
            Broken: It does.
        """
        faults: list[BaseException] = []
        try:
            with _watched(self.root, seconds), _noted(faults):
                yield
        except _Hang as error:
            raise Broken(f"{name}: hangs", _trace(error)) from None
        except Broken:
            raise
        except BaseException as error:
            raise Broken(f"{name}: {_place(error)}", _trace(error)) from None
        for fault in faults:
            raise Broken(f"{name}: {_place(fault)}", _trace(fault))


def _problems(answer: Answer, codes: Sequence[int]) -> Iterator[str]:
    """Yield what is wrong with an answer, whatever was asked."""
    for stream, text in (("stdout", answer.out), ("stderr", answer.err)):
        if found := _RAW.search(_OWN.sub("", text)):
            yield f"U+{ord(found[0]):04X} on {stream}"
    if "Traceback (most" in answer.err or "Traceback (most" in answer.out:
        yield "a traceback"
    if answer.code not in codes:
        yield f"exit code {answer.code}"
    if answer.code and not (answer.err + answer.out).strip():
        yield f"exit code {answer.code} without a word"
    for line in answer.err.splitlines():
        if len(line) > _MOST_SAID:
            yield "a sentence without an end"


class _Terminal(io.TextIOWrapper):
    """Takes what is printed, and says that it is a terminal."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", errors="surrogatepass", newline="\n")

    def isatty(self) -> bool:
        return True

    @property
    def text(self) -> str:
        self.flush()
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue().decode("utf-8", "surrogatepass")


@contextmanager
def _noted(faults: list[BaseException]) -> Iterator[None]:
    """Collect what the program takes for a fault of its own."""
    note = fault_log.note

    def noted(error: BaseException) -> bool:
        faults.append(error)
        return True

    fault_log.note = noted
    try:
        yield
    finally:
        fault_log.note = note


# What is not seen from outside: time, and what is touched.

_allowed: Path | None = None


@contextmanager
def _watched(root: Path, seconds: float) -> Iterator[None]:
    """Let nothing be written elsewhere, and nothing take too long."""
    global _allowed

    def too_long(*_: object) -> None:
        raise _Hang

    before = signal.signal(signal.SIGPROF, too_long)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    _allowed = root
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
        _allowed = None


def watch() -> None:
    """Begin to look at everything that this process does to files; there is no end to it."""
    sys.addaudithook(_look)


def _look(event: str, arguments: tuple[Any, ...]) -> None:
    if _allowed is None:
        return
    if event == "open":
        path, _, flags = arguments
        if isinstance(path, int) or not (flags or 0) & _WRITES:
            return
        touched = [path]
    elif event in _CHANGES:
        count = 2 if event in ("os.rename", "os.link", "os.symlink", "shutil.move") else 1
        folder = arguments[-1]
        if event != "os.truncate" and isinstance(folder, int) and folder >= 0:
            return  # a name in a folder that is open already
        begin = event == "os.symlink"
        touched = [path for path in arguments[begin:count] if not isinstance(path, int)]
    elif event == "socket.connect":
        address = arguments[1]
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1"):
            raise Broken("a connection to elsewhere", f"{address}")
        return
    else:
        return
    for path in touched:
        absolute = os.path.realpath(os.fsdecode(path))
        if not absolute.startswith((f"{_allowed}/", "/dev/null")) and absolute != str(_allowed):
            raise Broken(f"{event} elsewhere", absolute)


# Coverage: from where which function is called, which costs little to see.

Call = tuple[str, int, int]


class Calls:
    """The calls of the program's own functions, by the line that they come from."""

    def __init__(self, known: set[Call], *, is_idle: bool) -> None:
        self.known = known
        self.new: set[Call] = set()
        self._is_idle = is_idle

    def __enter__(self) -> set[Call]:
        if not self._is_idle:
            threading.settrace(self._seen)
            sys.settrace(self._seen)
        return self.new

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)
        threading.settrace(None)

    def _seen(self, frame: Any, event: str, argument: object) -> None:
        code = frame.f_code
        if "/shoritui/" in code.co_filename and frame.f_back is not None:
            call = (code.co_filename, code.co_firstlineno, frame.f_back.f_lineno)
            if call not in self.known:
                self.known.add(call)
                self.new.add(call)


def _place(error: BaseException) -> str:
    return f"{fault_log.kind(error)} at {fault_log.place(error)}"


def _trace(error: BaseException) -> str:
    return "".join(format_exception(error))[-4_000:]


def _alike(text: str) -> str:
    """A text without what differs between two failures of one kind."""
    return re.sub(r"'[^']*'|\"[^\"]*\"|/\S+|\d+", "_", text)[:300]
