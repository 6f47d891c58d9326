"""Write files and folders so that a reader, or a power cut, finds the old or the new, never a part.

What is new is written beside its place, under a name that nobody can guess, forced to the disk,
and then renamed:

    .notes.toml.4711-1c0ffee5.tmp  ->  notes.toml

The number is the process: what one leaves that is killed is removed by the next that writes there,
and by the next window. What is new is for its owner alone; a file that was there keeps its mode.
A symbolic link stays, and the file that it leads to is replaced.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from io import DEFAULT_BUFFER_SIZE, BufferedRandom, BufferedReader, FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zlib import crc32

from shoritui.errors import UserError
from shoritui.text import printable, size

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

UNFINISHED: Final = re.compile(r"\..+\.(\d+)-[0-9a-f]{16}\.tmp(?:-journal|-wal|-shm)?", re.DOTALL)
"""The names of what is being written, and of what SQLite lays beside it."""
_LONGEST_NAME: Final = 40
_SEAL: Final = ".seal"
"""A file that says of each other one of a kept folder how large it is, when it was written, and its
checksum."""
_PIECE: Final = 1 << 20
_DEVICE: Final = re.compile("con|prn|aux|nul|(?:com|lpt)[1-9¹²³]", re.IGNORECASE)
_PRIVATE: Final = 0o600
_PRIVATE_FOLDER: Final = 0o700
_NO_MORE: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}
_PLACED: Final[ContextVar[list[Path] | None]] = ContextVar("_PLACED", default=None)
"""The new files of the innermost `all_or_none`."""


def portable(name: str) -> str:
    """Return a file's name that Windows takes too, where some mean a device whatever they end in.

    `con.toml` becomes `con_.toml`.
    """
    stem, dot, suffix = name.partition(".")
    return f"{stem}_{dot}{suffix}" if _DEVICE.fullmatch(stem) else name


def open_file(path: Path, buffering: int = DEFAULT_BUFFER_SIZE) -> BufferedReader:
    """Open a file to read its bytes; a pipe or a device is refused, before it can hold up anyone.

    Raises:
        OSError: It cannot be read; what is no plain file says so.
    """
    return BufferedReader(_PlainFile(_opened(path, os.O_RDONLY), "rb"), buffering)


def open_to_append(path: Path) -> BufferedRandom:
    """Open a file to read it and to write at its end; a new one is for its owner alone.

    Raises:
        OSError: It cannot be written; what is no plain file says so, and holds up nobody.
    """
    file = _opened(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
    return open(file, "a+b")  # noqa: PTH123  (it is a number)


def _opened(path: Path, flags: int) -> int:
    _expect_plain(path)
    flags |= getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    file = os.open(path, flags, _PRIVATE)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise _not_plain()
    return file


def _expect_plain(path: Path) -> None:
    if path.exists() and not path.is_file() and not path.is_dir():
        raise _not_plain()


class _PlainFile(FileIO):
    """Refuses what looks like a plain file and has nothing to give yet, as some do in `/proc`."""

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        count = super().readinto(buffer)
        if count is None:
            raise _not_plain()
        return count

    def readall(self) -> bytes:
        content = super().readall()
        if content is None:
            raise _not_plain()
        return content


def _not_plain() -> OSError:
    return OSError(errno.EINVAL, "it is not a plain file")


def is_there(path: Path) -> bool:
    """Return whether anything is there; so it is taken to be where nobody may look, so that who
    reads it says why that cannot be.
    """
    try:
        return path.exists()
    except OSError:
        return True


def is_folder(path: Path) -> bool:
    """Return whether it is a folder, at which one may look."""
    try:
        return path.is_dir()
    except OSError:
        return False


def content_of(path: Path) -> bytes:
    """Return the bytes of a plain file; else as `open_file`."""
    with open_file(path) as file:
        return file.read()


def replace_text(path: Path, text: str) -> None:
    r"""Put a text (UTF-8, `\n`) in the place of a file, wholly or not at all.

    Missing folders are made; the mode of a file that was there stays.

    Raises:
        OSError: The folder or file cannot be written; what was there is untouched.
    """
    with whole_file(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")


@contextmanager
def all_or_none() -> Iterator[None]:
    """Take the files of `add_text` and `add_file` away again if the block that adds them raises."""
    placed: list[Path] = []
    outer = _PLACED.get()
    token = _PLACED.set(placed)
    try:
        yield
        if outer is not None:
            outer += placed
    except BaseException:
        for path in placed:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        raise
    finally:
        _PLACED.reset(token)


def add_text(path: Path, text: str, *, beside: Collection[str] = ()) -> Path:
    r"""Write a text (UTF-8, `\n`) as a new file, for its owner alone, and return the file.

    Where one of the name is there already, the new one gets a number: `notes (2).txt`; so it does
    where a file is there that has one of the endings `beside` instead of its own, or one that
    differs by its capitals alone, since many disks cannot hold both.

    Raises:
        OSError: The folder or file cannot be written; nothing half written stays.
    """
    return add_file(
        path, lambda new: new.write_text(text, encoding="utf-8", newline="\n"), beside=beside
    )


def add_file(path: Path, fill: Callable[[Path], object], *, beside: Collection[str] = ()) -> Path:
    """Have `fill` write a new file, and return it; else as `add_text`."""
    unfinished = _beside(path)
    try:
        os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _PRIVATE))
        fill(unfinished)
        sync(unfinished)
        target, number = path, 1
        taken = _folded(path.parent)
        while (
            target.name.casefold() in taken
            or any(target.with_suffix(each).name.casefold() in taken for each in beside)
            or not _is_placed(unfinished, target)
        ):
            number += 1
            target = path.with_name(f"{path.stem} ({number}){path.suffix}")
        if (placed := _PLACED.get()) is not None:
            placed.append(target)
        return target
    finally:
        unfinished.unlink(missing_ok=True)


def add_folder(path: Path, files: Mapping[str, str]) -> Path:
    r"""Make a new folder with texts (UTF-8, `\n`), for its owner alone, and return the folder.

    Where one of the name is there already, the new one gets a number: `notes (2)`.

    Args:
        path: The folder.
        files: The texts by their paths in it.

    Raises:
        OSError: It cannot be written; nothing half written stays.
    """
    with scratch_folder(path) as beside:
        for name, text in files.items():
            replace_text(beside / name, text)
        sync_tree(beside)
        target, number = path, 1
        while os.path.lexists(target):
            number += 1
            target = path.with_name(f"{path.name} ({number})")
        beside.rename(target)
        return target


@contextmanager
def whole_file(path: Path, *, synced: bool = True) -> Iterator[Path]:
    """Yield an empty file to write, which takes the place of `path` if the block ends well.

    Args:
        path: The file to replace; its mode stays, and missing folders are made.
        synced: Whether it is on the disk before it takes its place; not needed for content that
            carries a checksum.

    Raises:
        OSError: It cannot be written; what was there is untouched.
    """
    path = _beyond_links(path)
    _expect_plain(path)
    beside = _beside(path)
    try:
        os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _PRIVATE))
        yield beside
        if path.exists():
            beside.chmod(path.stat().st_mode & 0o7777)
        if synced:
            sync(beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def whole_folder(folder: Path, gone: Collection[str] = ()) -> Iterator[Path]:
    """Yield an empty folder to fill, which takes the place of `folder` if the block ends well.

    What was in the old folder and is not in the new one moves into it, unless it is named in
    `gone`: nothing is lost that a user put there.

    Raises:
        OSError: It cannot be written; what was there is untouched.
    """
    folder = _beyond_links(folder)
    with scratch_folder(folder) as beside:
        yield beside
        sync_tree(beside)
        recover(folder, gone)
        # A folder that is not empty cannot be replaced in one step.
        if folder.is_dir():
            folder.rename(_aside(folder))
        beside.rename(folder)
        recover(folder, gone)
        sync(folder.parent)


def recover(folder: Path, gone: Collection[str] = ()) -> None:
    """End what `whole_folder` began, where a power cut came between its two renames.

    Raises:
        OSError: The folder cannot be put in its place again.
    """
    folder = Path(os.path.realpath(folder))
    aside = _aside(folder)
    if not aside.exists():
        return
    if not folder.exists():
        aside.rename(folder)
        return
    for entry in aside.iterdir():
        if entry.name not in gone and not (folder / entry.name).exists():
            entry.rename(folder / entry.name)
    shutil.rmtree(aside, ignore_errors=True)


def made_once(folder: Path, fill: Callable[[Path], None]) -> Path:
    """Return the folder, after filling it if it is not there; whoever makes it first wins.

    Raises:
        UserError: What `fill` raises, or the folder cannot be written.
    """
    if folder.is_dir():
        return folder
    try:
        with scratch_folder(folder) as beside:
            fill(beside)
            sync_tree(beside)
            try:
                beside.rename(folder)
            except OSError:
                if not folder.is_dir():
                    raise
    except OSError as error:
        raise UserError(f"{folder.parent} cannot be written: {why(error)}.") from None
    return folder


def kept_folder(folder: Path, fill: Callable[[Path], None]) -> Path:
    """Return a folder of the cache, after filling it if it is not there as `fill` left it.

    A damaged one is made anew: one whose files are fewer, of another size, or written to since and
    of other content.

    Raises:
        UserError: What `fill` raises, or the folder cannot be written.
    """
    if folder.is_dir() and not _is_sealed(folder):
        shutil.rmtree(folder, ignore_errors=True)
        if folder.is_dir():
            raise UserError(f"{folder} is damaged and cannot be removed: remove it.")

    def sealed(beside: Path) -> None:
        fill(beside)
        lines = [
            f"{status.st_size} {status.st_mtime_ns} {_checksum(file)} {name}\n"
            for file in beside.rglob("*")
            for name, status in [(file.relative_to(beside).as_posix(), file.stat())]
            if file.is_file()
        ]
        told = "".join(lines)
        (beside / _SEAL).write_text(f"{crc32(told.encode())}\n{told}", encoding="utf-8")

    return made_once(folder, sealed)


def _is_sealed(folder: Path) -> bool:
    try:
        whole, _, told = (folder / _SEAL).read_text(encoding="utf-8").partition("\n")
        if crc32(told.encode()) != int(whole):
            return False
        for line in told.splitlines():
            size, written, checksum, name = line.split(" ", 3)
            status = (folder / name).stat()
            is_untouched = status.st_mtime_ns == int(written)
            if status.st_size != int(size) or not (
                is_untouched or _checksum(folder / name) == int(checksum)
            ):
                return False
    except (OSError, ValueError):
        return False
    return True


def _checksum(path: Path) -> int:
    checksum = 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            checksum = crc32(piece, checksum)
    return checksum


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder beside `path`, for what is needed while it is made; it is removed again.

    Raises:
        OSError: It cannot be made.
    """
    beside = _beside(path)
    try:
        beside.mkdir(_PRIVATE_FOLDER)
        yield beside
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def temporary_folder() -> AbstractContextManager[Path]:
    """Yield a new folder where the system keeps what is temporary; it is removed again.

    What a process leaves there that is killed is removed by the next one that makes such a folder.

    Raises:
        OSError: It cannot be made.
    """
    return scratch_folder(_temporary())


def sweep(*folders: Path) -> None:
    """Remove what killed processes left unfinished, below these folders and in the temporary one.

    What a living process writes stays.
    """
    _remove_left(_temporary().parent)
    for folder in folders:
        for place, _, _ in os.walk(folder):
            _remove_left(Path(place))


def check_space(folder: Path, wanted: int, what: str, advice: str = "make room there") -> None:
    """Raise a `UserError` if the disk of a folder has less than so many bytes free for `what`."""
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise UserError(
            f"{printable(folder)} has {size(free)} free, and {what} takes {size(wanted)}: {advice}."
        )


def why(error: OSError) -> str:
    """Return why something could not be written, in words."""
    if isinstance(error, FileExistsError | NotADirectoryError):
        return "there is a file where its folder should be"
    return "the disk is full" if error.errno == errno.ENOSPC else str(error.strerror or error)


def is_of_disk(error: BaseException) -> bool:
    """Return whether an error, whatever it says, comes of a disk that takes no more."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _NO_MORE:
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def sync_tree(folder: Path) -> None:
    """Force a folder with all that is in it to the disk, so that it may take another's place.

    Raises:
        OSError: The disk does not take it.
    """
    for path in (*folder.rglob("*"), folder):
        sync(path)


def sync(path: Path) -> None:
    """Force a file, or the names in a folder, to the disk.

    Raises:
        OSError: The disk does not take it.
    """
    if sys.platform == "win32":
        return  # a folder cannot be opened there, nor a file that is only read be forced out
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _is_placed(beside: Path, target: Path) -> bool:
    """Give a file its name, unless another has it already."""
    try:
        os.link(beside, target)
    except FileExistsError:
        return False
    except OSError:  # a disk without hard links
        if target.exists():
            return False
        beside.rename(target)
    return True


def _folded(folder: Path) -> set[str]:
    """Return the names in a folder, as they are compared on disks without capitals."""
    return {name.casefold() for name in os.listdir(folder)}  # noqa: PTH208  (no paths are needed)


def _beyond_links(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _aside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def _beside(path: Path) -> Path:
    """A new name in the folder of `path`, which is made, and rid of what dead processes left."""
    path.parent.mkdir(_PRIVATE_FOLDER, parents=True, exist_ok=True)
    _remove_left(path.parent)
    stem = f".{path.name[:_LONGEST_NAME]}."
    return path.with_name(f"{stem}{os.getpid()}-{os.urandom(8).hex()}.tmp")


def _remove_left(folder: Path) -> None:
    """Rid a folder of what dead processes left in it."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = entry.name.startswith(".") and UNFINISHED.fullmatch(entry.name)
            if not match or _is_running(int(match[1])):
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                with suppress(OSError):
                    os.unlink(entry.path)  # noqa: PTH108  (no paths are needed)


def _temporary() -> Path:
    return Path(tempfile.gettempdir()) / "shoritui"


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True
