"""SHA-256 of files, remembered as long as a file has the same size, time and inode."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from shoritui.bounded import read_json
from shoritui.files import content_of, open_file, replace_text
from shoritui.folders import cache_dir

_NOT_READ: Final = ("consolidated", "adapter_")
"""The same weights once more, or an adapter; a base is not opened from them."""


def digest_of(path: Path) -> str:
    """Return the digest of a file as it is now, in hexadecimal; always read anew.

    Raises:
        OSError: It cannot be read.
    """
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests_of(paths: Iterable[Path]) -> dict[Path, str]:
    """Return the digests of files; those that have not been touched since are not read again.

    Raises:
        OSError: One cannot be read.
    """
    before = _remembered()
    now = dict(before)
    found: dict[Path, str] = {}
    for path in paths:
        place, stamp = str(path.absolute()), _stamp(path)
        if now.get(place, [])[:-1] != stamp:
            now[place] = [*stamp, digest_of(path)]
        found[path] = now[place][-1]
    if now != before:
        kept = {place: entry for place, entry in now.items() if Path(place).exists()}
        with suppress(OSError):  # only time is lost
            told = json.dumps(kept)
            replace_text(_memory(), f"{_digest(told)}\n{told}")
    return found


def fingerprint_of(folder: Path) -> str:
    """Return one digest of a base: of its weights and of what they mean, not of its place or name.

    Raises:
        OSError: The folder cannot be read.
    """
    weights = sorted(folder.glob("*.safetensors"))
    files = [file for file in weights if not file.name.startswith(_NOT_READ)]
    files.append(folder / "config.json")
    digests = digests_of(files)
    whole = hashlib.sha256()
    for file in files:
        whole.update(f"{file.name} {digests[file]}\n".encode())
    return whole.hexdigest()


def _memory() -> Path:
    return cache_dir() / "finetune" / "digests.json"


def _remembered() -> dict[str, list[Any]]:
    try:
        digest, _, told = content_of(_memory()).decode().partition("\n")
        found = read_json(told) if digest == _digest(told) else {}
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {
        place: entry
        for place, entry in found.items()
        if isinstance(entry, list) and len(entry) == 4 and isinstance(entry[-1], str)
    }


def _digest(text: str) -> str:
    """A wrong digest in the memory would make a whole tier seem damaged for ever."""
    return hashlib.sha256(text.encode()).hexdigest()


def _stamp(path: Path) -> list[int]:
    about = path.stat()
    return [about.st_size, about.st_mtime_ns, about.st_ino]
