"""Faults of the program's own: a sentence for whoever plays, and where it was for whoever mends.

    2026-03-01T20:15:07 shoritui 0.2.0, Python 3.11.7, linux: KeyError
      tui/chat/app.py:210 action_act
      story/tree.py:88 path

The log holds no message of an exception and no value: those may be text of a story.
"""

from __future__ import annotations

import errno
import os
import platform
import sys
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from traceback import extract_tb
from typing import Final

from shoritui import __version__
from shoritui.errors import lacking
from shoritui.folders import cache_dir
from shoritui.text import printable

_MOST_BYTES: Final = 256 * 1024
"""A log that is larger begins anew; the one before stays beside it."""
_MOST_FRAMES: Final = 40
_ROOT: Final = Path(__file__).parent


def log_path() -> Path:
    """Return where faults are noted."""
    return cache_dir() / "faults.log"


def note(error: BaseException) -> bool:
    """Note what failed and where; return False where that cannot be written."""
    try:
        _append(log_path(), _entry(error))
    except Exception:  # a full disk, a folder without permission: nothing more can be done
        return False
    return True


def sentence(error: BaseException, is_noted: bool) -> str:
    """Return what to say of a fault, or of a package that is missing."""
    if lack := lacking(error):
        return lack
    told = f"A fault in ShoriTUI ({kind(error)} at {place(error)})"
    where = f"; it is noted in {printable(log_path())}" if is_noted else ""
    return f"{told}{where}. Please report it."


def kind(error: BaseException) -> str:
    """Return what kind of error it is, without what it says."""
    name = type(error).__name__
    if isinstance(error, OSError) and error.errno is not None:
        return f"{name} {errno.errorcode.get(error.errno, error.errno)}"
    code = getattr(error, "sqlite_errorname", "")
    return f"{name} {code}".rstrip()


def place(error: BaseException) -> str:
    """Return the file and line of this program in which it was raised, or passed last."""
    frames = [(frame.filename, frame.lineno) for frame in extract_tb(error.__traceback__)]
    own = [each for each in frames if Path(each[0]).is_relative_to(_ROOT)]
    file, line = (own or frames or [("?", 0)])[-1]
    return f"{_short(file)}:{line}"


def _entry(error: BaseException) -> str:
    lines = []
    cause: BaseException | None = error
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        lines.append(kind(cause))
        for frame in extract_tb(cause.__traceback__)[-_MOST_FRAMES:]:
            lines.append(f"  {_short(frame.filename)}:{frame.lineno} {frame.name}")
        cause = cause.__cause__ or cause.__context__
    about = f"shoritui {__version__}, Python {platform.python_version()}, {sys.platform}"
    when = datetime.now().astimezone().isoformat(timespec="seconds")
    return f"{when} {about}: " + "\n".join(lines) + "\n"


def _short(file: str) -> str:
    """Return a file's name without the folders that say whose machine it is."""
    path = Path(file)
    if path.is_relative_to(_ROOT):
        return path.relative_to(_ROOT).as_posix()
    parts = path.parts
    after = parts.index("site-packages") + 1 if "site-packages" in parts else -2
    return "/".join(parts[after:])


def _append(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
    flags |= getattr(os, "O_NONBLOCK", 0)  # a FIFO in its place holds nothing up
    with suppress(FileNotFoundError):
        if path.stat().st_size > _MOST_BYTES:
            path.replace(path.with_suffix(".log.old"))
    file = os.open(path, flags, 0o600)
    try:
        os.write(file, text.encode("utf-8", "replace"))
    finally:
        os.close(file)
