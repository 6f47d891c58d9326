"""What may happen to a library under an open app, each brought about for real."""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from errno import EIO, EROFS
from functools import cache
from pathlib import Path
from typing import Final, Literal

from shoritui.story import Library
from tests.e2e.terminal import Terminal

_LIBC: Final = Path(__file__).with_name("libc.c")
_DROP, _OVERRIDE, _SEARCH = 24, 1, 2
"""The call that takes a capability away, and those by which root is denied nothing."""
_MONTH: Final = 30 * 86400


@dataclass
class Stage:
    """Where an evil happens."""

    home: Path
    """The app's."""
    elsewhere: Path
    """A folder on another disk."""
    terminal: Terminal | None = None
    """The app; none before it has begun."""

    @property
    def library(self) -> Path:
        """The library's file."""
        return library_of(self.home)

    @property
    def model(self) -> Path:
        """The model's file."""
        return self.home / "model.gguf"

    @property
    def control(self) -> Path:
        """What the app's libc goes by."""
        return self.elsewhere / "control"

    @property
    def processes(self) -> list[int]:
        """The app and its workers, the app first."""
        assert self.terminal is not None
        found = [self.terminal.process.pid]
        for leader in found:
            with suppress(OSError):
                for task in Path(f"/proc/{leader}/task").iterdir():
                    found += map(int, (task / "children").read_text().split())
        return found

    def env(self) -> dict[str, str]:
        """Return what the app is started with."""
        env = {"SHORITUI_HOME": str(self.home), "TEXTUAL_ANIMATIONS": "none", "EDITOR": "true"}
        if shim := libc():
            self.set_libc()
            env |= {"LD_PRELOAD": str(shim), "FAULTS_CONTROL": str(self.control)}
            env |= {"FAULTS_HOME": str(self.home)}
        return env

    def set_libc(self, writing: int = 0, reading: int = 0, seconds: int = 0) -> None:
        """Have the disk fail with these errors, and the clock be wrong by so many seconds."""
        mode = "r+b" if self.control.exists() else "wb"
        with self.control.open(mode) as file:
            file.write(struct.pack("iiq", writing, reading, seconds))


@dataclass(frozen=True, slots=True)
class Evil:
    """Something that goes wrong, and what still has to hold."""

    happens: Callable[[Stage], AbstractContextManager[None]]
    says: str = ""
    """What the app has to say of it, some time."""
    needs: Callable[[Stage], str] = lambda stage: ""
    """Why it cannot be played here; empty if it can."""
    before: bool = False
    """Whether it is there when the app begins."""
    keeps: Literal["draft", "history", "nothing"] = "draft"
    """Where what is unsent is found again: in the composer, where it comes to the disk without
    another key once the evil has ended; among what was sent, as its story is gone; or nowhere,
    which is said.
    """
    shown_by: tuple[str, ...] = ()
    """Acts that meet it."""

    @property
    def what(self) -> str:
        """What happens, in a sentence."""
        return (self.happens.__doc__ or "").partition("\n")[0]


def library_of(home: Path) -> Path:
    """The library's file."""
    return home / "data" / "library.db"


@cache
def libc() -> Path | None:
    """Return what stands before libc in the app; None where there is no C compiler for it."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or sys.platform != "linux":
        return None
    folder = tempfile.mkdtemp(prefix="faults-")
    _REMOVED.callback(shutil.rmtree, folder, ignore_errors=True)
    built = Path(folder) / "libc.so"
    command = [compiler, "-O1", "-shared", "-fPIC", "-o", str(built), str(_LIBC), "-ldl"]
    subprocess.run(command, check=True)
    return built


_REMOVED = ExitStack()
"""What is removed in the end."""


def denied_as_others() -> None:
    """Have the process to be begun be denied what others are, though root runs it."""
    if os.geteuid() == 0:
        calls = ctypes.CDLL(None)
        for capability in (_OVERRIDE, _SEARCH):
            calls.prctl(_DROP, capability, 0, 0, 0)


# Disks.


@contextmanager
def small_disk(mebibytes: int = 64) -> Iterator[Path]:
    """A folder with a disk of its own where root is given; else one like any other."""
    with tempfile.TemporaryDirectory() as name, _mounted(Path(name), mebibytes):
        yield Path(name)


@contextmanager
def _mounted(folder: Path, mebibytes: int) -> Iterator[None]:
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,mode=700", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, check=False)
    try:
        yield
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def _disk_of(folder: Path) -> Path:
    """The folder of which a disk is mounted."""
    while not folder.is_mount() and folder != folder.parent:
        folder = folder.parent
    return folder


def _needs_disk(stage: Stage) -> str:
    disk = _disk_of(stage.home)
    if disk != disk.parent and shutil.disk_usage(disk).total < 2**28:
        return ""
    return "it needs root for a disk of its own"


def _needs_linux(stage: Stage) -> str:
    return "" if sys.platform == "linux" else "it needs Linux"


def _needs_libc(stage: Stage) -> str:
    return "" if libc() else "it needs Linux and a C compiler"


@contextmanager
def full(stage: Stage) -> Iterator[None]:
    """Not a byte is left on the disk."""
    with _filled(stage.home):
        yield


@contextmanager
def cache_full(stage: Stage) -> Iterator[None]:
    """Not a byte is left on the disk of the cache, which is another one."""
    folder = stage.home / "cache"
    with _mounted(folder, 1), _filled(folder):
        yield


@contextmanager
def _filled(folder: Path) -> Iterator[None]:
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        size = 2**20
        while size:
            try:
                file.write(os.urandom(size))
            except OSError:
                size //= 2
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def quota(stage: Stage) -> Iterator[None]:
    """No file may grow, as with a quota that is used up."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for process in stage.processes:
        resource.prlimit(process, resource.RLIMIT_FSIZE, (0, limits[1]))
    yield
    for process in stage.processes:
        resource.prlimit(process, resource.RLIMIT_FSIZE, limits)


@contextmanager
def failing(stage: Stage) -> Iterator[None]:
    """The disk fails: whatever is read or written ends with an input/output error."""
    stage.set_libc(writing=EIO, reading=EIO)
    yield
    stage.set_libc()


@contextmanager
def turned_read_only(stage: Stage) -> Iterator[None]:
    """The disk turns read-only under the open app, as after an error."""
    stage.set_libc(writing=EROFS)
    yield
    stage.set_libc()


@contextmanager
def read_only(stage: Stage) -> Iterator[None]:
    """The app is begun on a disk that is mounted read-only."""
    disk = str(_disk_of(stage.home))
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)


# The library.


@contextmanager
def locked(stage: Stage) -> Iterator[None]:
    """Another program holds the library and does not let go."""
    with closing(sqlite3.connect(stage.library, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def deleted(stage: Stage) -> Iterator[None]:
    """The story is deleted for good in another window."""
    with closing(Library(stage.library)) as library:
        chat = library.last_chat()
        assert chat is not None
    with closing(sqlite3.connect(stage.library)) as other, other:
        other.execute("PRAGMA foreign_keys = ON")
        other.execute("DELETE FROM chats WHERE id = ?", (chat.id,))
    yield


@contextmanager
def replaced(stage: Stage) -> Iterator[None]:
    """Another program puts an older copy of the library in its place."""
    with closing(sqlite3.connect(stage.library)) as now:
        now.execute("VACUUM INTO ?", (str(stage.elsewhere / "older.db"),))
    beside = shutil.copy(stage.elsewhere / "older.db", stage.library.with_name("older.db"))
    for companion in ("-wal", "-shm"):
        stage.library.with_name(stage.library.name + companion).unlink(missing_ok=True)
    Path(beside).replace(stage.library)
    yield


@contextmanager
def truncated(stage: Stage) -> Iterator[None]:
    """Another program cuts the library's file to half its length, and mends it in the end."""
    whole = stage.library.read_bytes()
    os.truncate(stage.library, len(whole) // 2)
    yield
    with stage.library.open("r+b") as file:
        file.write(whole)


@contextmanager
def two_apps(stage: Stage) -> Iterator[None]:
    """The same story is open in a second window, which goes on in a copy and writes there."""
    from tests.faults.play import Player

    with Player(Stage(stage.home, stage.elsewhere), "second").playing() as other:
        other.press("down", "enter")
        other.press("paste:Somebody else says this.", "enter")
        yield
        other.press("paste:And this.", "enter")
        assert other.is_alive, f"the other window ended:\n{other.terminal.text}"


@contextmanager
def second(stage: Stage) -> Iterator[None]:
    """The story is open in another window already, which writes into it; here it is read."""
    from tests.faults.play import Player

    with Player(Stage(stage.home, stage.elsewhere), "first").playing() as other:
        other.press("paste:Somebody else says this.", "enter")
        yield
        other.press("paste:And this.", "enter")
        assert other.is_alive, f"the other window ended:\n{other.terminal.text}"


# Folders.


@contextmanager
def _moved(name: str, stage: Stage) -> Iterator[None]:
    folder, away = stage.home / name, stage.home / f"{name}-gone"
    folder.rename(away)
    try:
        yield
    finally:
        if folder.exists():
            shutil.rmtree(folder)
        away.rename(folder)


@contextmanager
def _denied(name: str, stage: Stage) -> Iterator[None]:
    paths = [stage.home / name, *(stage.home / name).rglob("*")]
    modes = {path: path.stat().st_mode for path in paths}
    for path in paths:
        path.chmod(0)
    try:
        yield
    finally:
        for path in paths:
            with suppress(FileNotFoundError):
                path.chmod(modes[path])


@contextmanager
def gone(stage: Stage) -> Iterator[None]:
    """The library's folder is moved away, as when a stick is pulled out."""
    with _moved("data", stage):
        yield


@contextmanager
def denied(stage: Stage) -> Iterator[None]:
    """Folder and files of the library lose all permissions."""
    with _denied("data", stage):
        yield


@contextmanager
def config_gone(stage: Stage) -> Iterator[None]:
    """The folder of settings, cards, personas and presets is moved away."""
    with _moved("config", stage):
        yield


@contextmanager
def config_denied(stage: Stage) -> Iterator[None]:
    """The folder of settings, cards, personas and presets loses all permissions."""
    with _denied("config", stage):
        yield


@contextmanager
def cache_gone(stage: Stage) -> Iterator[None]:
    """The cache is moved away."""
    with _moved("cache", stage):
        yield


@contextmanager
def cache_denied(stage: Stage) -> Iterator[None]:
    """The cache loses all permissions."""
    with _denied("cache", stage):
        yield


@contextmanager
def log_blocked(stage: Stage) -> Iterator[None]:
    """The log of faults is a pipe that nobody reads."""
    log = stage.home / "cache" / "faults.log"
    log.unlink(missing_ok=True)
    os.mkfifo(log)
    yield
    log.unlink()


# What else there is.


@contextmanager
def _again_and_again(act: Callable[[int], object], seconds: float) -> Iterator[None]:
    over = threading.Event()

    def run() -> None:
        number = 0
        while not over.wait(seconds):
            act(number)
            number += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def clock(stage: Stage) -> Iterator[None]:
    """The clock jumps, a month ahead and a month back."""
    jumps = (_MONTH, 0, -_MONTH, -3600, 3600)
    with _again_and_again(lambda n: stage.set_libc(seconds=jumps[n % len(jumps)]), 0.7):
        yield
    stage.set_libc()


@contextmanager
def worker(stage: Stage) -> Iterator[None]:
    """The process of the model is killed again and again."""
    with _again_and_again(lambda _: _kill_workers(stage), 1.5):
        yield


@contextmanager
def model(stage: Stage) -> Iterator[None]:
    """The model's file is deleted, and the process that had it open killed."""
    whole = stage.model.read_bytes()
    stage.model.unlink()
    _kill_workers(stage)
    yield
    stage.model.write_bytes(whole)


def _kill_workers(stage: Stage) -> None:
    for process in stage.processes[1:]:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


EVILS: Final[Mapping[str, Evil]] = {
    "full": Evil(full, says="disk is full", needs=_needs_disk),
    "quota": Evil(quota, says="library", needs=_needs_linux),
    "failing": Evil(failing, says="could not be read", needs=_needs_libc),
    "turned-read-only": Evil(turned_read_only, says="library", needs=_needs_libc),
    "read-only": Evil(
        read_only, says="cannot be written", needs=_needs_disk, before=True, keeps="nothing"
    ),
    "locked": Evil(locked, says="locked by another program"),
    "deleted": Evil(deleted, says="deleted", keeps="history"),
    "replaced": Evil(replaced, says="Another program has put another library"),
    "truncated": Evil(truncated, says="library"),
    "two-apps": Evil(two_apps),
    "second": Evil(second, says="open elsewhere", before=True, keeps="history"),
    "gone": Evil(gone, says="is not there any more"),
    "denied": Evil(denied),
    "config-gone": Evil(config_gone),
    "config-denied": Evil(config_denied, says="ermission denied", shown_by=("theme", "mood")),
    "cache-gone": Evil(cache_gone),
    "cache-denied": Evil(cache_denied),
    "cache-full": Evil(cache_full, needs=_needs_disk),
    "log": Evil(log_blocked, says="A fault in ShoriTUI", shown_by=("fail",)),
    "clock": Evil(clock, needs=_needs_libc),
    "worker": Evil(
        worker, says="The model's process ended", needs=_needs_linux, shown_by=("send",)
    ),
    "model": Evil(model, says="model.gguf", needs=_needs_linux, shown_by=("send", "retry")),
}
