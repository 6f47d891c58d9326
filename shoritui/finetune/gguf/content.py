"""What is made once of a file's content and kept: its name, and making it so that it is whole.

It does not know what is made.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final

from shoritui.errors import UserError
from shoritui.files import replace_text
from shoritui.settings import cache_dir

_AT_ONCE: Final = 1 << 22
_REMEMBERED: Final = "hashes.json"


def content_hash(path: Path) -> str:
    """SHA-256 of a file, in hex; of one that is as it was, the remembered one.

    Raises:
        UserError: The file cannot be read.
    """
    try:
        status = path.stat()
        mark = [status.st_size, status.st_mtime_ns, status.st_ino]
        known = _remembered()
        name = str(path.resolve())
        if (entry := known.get(name)) and entry[:-1] == mark:
            return str(entry[-1])
        digest = sha256()
        with path.open("rb") as file:
            while data := file.read(_AT_ONCE):
                digest.update(data)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    known[name] = [*mark, digest.hexdigest()]
    _remember(known)
    return digest.hexdigest()


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


def cause(error: OSError) -> str:
    """Why something could not be written, in words."""
    return "the disk is full" if error.errno == errno.ENOSPC else str(error.strerror or error)


def _settle(beside: Path, folder: Path) -> None:
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


def _remembered() -> dict[str, list[int | str]]:
    try:
        known = json.loads((_folder() / _REMEMBERED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _remember(known: dict[str, list[int | str]]) -> None:
    """What cannot be remembered is hashed again the next time."""
    known = {name: entry for name, entry in known.items() if Path(name).exists()}
    try:
        replace_text(_folder() / _REMEMBERED, json.dumps(known, indent=1))
    except OSError:
        return


def _folder() -> Path:
    return cache_dir() / "finetune"
