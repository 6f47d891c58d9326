"""Files and folders that are there wholly or not at all, and what is left of those that failed.

It does not know what is in them.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from shoritui.errors import UserError
from shoritui.files import sync_tree


def made_once(folder: Path, fill: Callable[[Path], None]) -> Path:
    """The folder, which is filled if it is not there: wholly or not at all.

    Raises:
        UserError: What `fill` raises, or the folder cannot be written.
    """
    if folder.is_dir():
        return folder
    beside = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        _clear(folder)
        beside.mkdir(parents=True)
        fill(beside)
        _settle(beside, folder)
    except OSError as error:
        raise UserError(f"{folder.parent} cannot be written: {cause(error)}.") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file beside `path` to write, which takes its place once the block is left without an error.

    Raises:
        OSError: It cannot be written; what was there is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _clear(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield beside
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def workplace(path: Path) -> Iterator[Path]:
    """A folder beside `path` for what is needed while it is made; removed afterwards.

    Raises:
        OSError: It cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _clear(path)
    folder = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        folder.mkdir()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_room(folder: Path, wanted: int, what: str) -> None:
    """`UserError` if the disk of a folder has less than so many bytes free for `what`."""
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise UserError(
            f"{folder} has {free / 2**30:.1f} GiB free, and {what} takes "
            f"{wanted / 2**30:.1f} GiB: make room there."
        )


def cause(error: OSError) -> str:
    """Why something could not be written, in words."""
    return "the disk is full" if error.errno == errno.ENOSPC else str(error.strerror or error)


def _settle(beside: Path, folder: Path) -> None:
    sync_tree(beside)
    try:
        beside.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process made the same meanwhile
            raise


def _clear(path: Path) -> None:
    """Removes what processes that are gone left unfinished."""
    for left in path.parent.iterdir() if path.parent.is_dir() else ():
        number = left.suffix[1:]
        if left.stem == f".{path.name}" and number.isdigit() and not _is_running(int(number)):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
