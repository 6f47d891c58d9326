"""Writing a file so that a reader, or a power cut, finds the old text or the new, never a part.

It does not know what the text is.
"""

from __future__ import annotations

import os
from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    r"""Puts a text (UTF-8, `\n`) in the place of a file, wholly or not at all.

    Missing folders are made; the mode of a file that was there stays.

    Raises:
        OSError: The folder or file cannot be written; what was there is untouched.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            beside.chmod(path.stat().st_mode & 0o7777)
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
