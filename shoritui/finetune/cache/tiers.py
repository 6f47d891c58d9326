"""Tiers on disk, by key: what is trained, and what a run that was interrupted goes on from.

    tiers/KEY/trained/          the tier as it goes on
    tiers/KEY/state-00000040/   what an interrupted run goes on from
    tiers/KEY/best-00000020/    the best adapter so far
    tiers/KEY/reference/        of preferences, what the tier's parent finds

A folder appears with all of its files or not at all, also after a power cut: it is written beside
its place, with a digest of every file in `meta.json`, forced to the disk and then renamed. A folder
whose files are not as their digests say is never used.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from shoritui.bounded import read_json
from shoritui.errors import UserError
from shoritui.files import content_of, open_to_append, whole_folder
from shoritui.finetune.cache.digests import digest_of, digests_of
from shoritui.folders import cache_dir

FORMAT: Final = 1
SEAL: Final = "meta.json"

Facts = dict[str, Any]
Write = Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class Sealed:
    """A folder that is whole."""

    folder: Path
    facts: Facts
    """What was noted when it was written."""


class TierStore:
    """The place of one tier."""

    def __init__(self, key: str) -> None:
        """Nothing is made on disk yet."""
        self.key = key
        self.folder = cache_dir() / "finetune" / "tiers" / key

    @property
    def is_damaged(self) -> bool:
        """Whether a trained tier lies here that is not whole."""
        return self._trained.exists() and self.trained() is None

    def trained(self) -> Sealed | None:
        """The trained tier, if it is here and whole."""
        return self._opened(self._trained, is_quick=True)

    def saved(self) -> Sealed | None:
        """The newest state to go on from that is whole, with the step in its facts."""
        for folder in sorted(self.folder.glob("state-*"), reverse=True):
            if found := self._opened(folder, is_quick=False):
                return found
        return None

    def best(self, step: int) -> Sealed | None:
        """What `keep_best` wrote at this step, if it is whole."""
        return self._opened(self._place("best", step), is_quick=False)

    def keep_best(self, step: int, write: Write) -> None:
        """Keep the best adapter so far; the one before stays until the next state is saved.

        Raises:
            UserError: The disk does not take it.
        """
        self._seal(self._place("best", step), write, {"step": step})

    def reference(self) -> Sealed | None:
        """What `keep_reference` wrote, if it is whole."""
        return self._opened(self.folder / "reference", is_quick=False)

    def keep_reference(self, write: Write) -> None:
        """Keep what the tier is compared with until it is trained.

        Raises:
            UserError: The disk does not take it.
        """
        self._seal(self.folder / "reference", write, {})

    def save(self, step: int, best_step: int, write: Write, facts: Facts) -> None:
        """Keep a state to go on from, in the place of those before, and but one best adapter.

        Raises:
            UserError: The disk does not take it.
        """
        place = self._place("state", step)
        self._seal(place, write, {**facts, "step": step})
        for folder in self.folder.glob("state-*"):
            if folder != place:
                shutil.rmtree(folder, ignore_errors=True)
        for folder in self.folder.glob("best-*"):
            if folder != self._place("best", best_step):
                shutil.rmtree(folder, ignore_errors=True)

    def finish(self, write: Write, facts: Facts) -> Sealed:
        """Keep the trained tier; states to go on from are thrown away.

        Raises:
            UserError: The disk does not take it.
        """
        self._seal(self._trained, write, facts)
        for kind in ("state-*", "best-*", "reference"):
            for folder in self.folder.glob(kind):
                shutil.rmtree(folder, ignore_errors=True)
        found = self.trained()
        if found is None:
            raise UserError(f"{self._trained} is not as it was written: see to that disk.")
        return found

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Keep other runs from training the same tier, whose name is `name`, meanwhile.

        Raises:
            UserError: Another run has it, or the folder cannot be made.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = open_to_append(self.folder / "lock")
        except OSError as error:
            raise _unwritable(self.folder, error) from None
        with file:
            _lock(file, name)
            self._sweep()
            yield

    @property
    def _trained(self) -> Path:
        return self.folder / "trained"

    def _place(self, kind: str, step: int) -> Path:
        return self.folder / f"{kind}-{step:08}"

    def _sweep(self) -> None:
        """Remove what a run that was killed left half-written."""
        for folder in self.folder.glob(".*.tmp"):
            shutil.rmtree(folder, ignore_errors=True)

    def _seal(self, place: Path, write: Write, facts: Facts) -> None:
        try:
            with whole_folder(place) as beside:
                write(beside)
                files = {
                    file.relative_to(beside).as_posix(): digest_of(file)
                    for file in files_in(beside)
                }
                meta = {"format": FORMAT, "key": self.key, "files": files, "facts": facts}
                (beside / SEAL).write_text(json.dumps(meta, indent=1), encoding="utf-8")
                shutil.rmtree(place, ignore_errors=True)
        except OSError as error:
            raise _unwritable(place, error) from None

    def _opened(self, folder: Path, *, is_quick: bool) -> Sealed | None:
        """The folder if it is whole, and this tier's; quick trusts files left untouched."""
        try:
            meta = read_json(content_of(folder / SEAL))
            if meta["format"] != FORMAT or meta["key"] != self.key:
                return None
            files = {folder / name: digest for name, digest in meta["files"].items()}
            if {*files, folder / SEAL} != set(files_in(folder)):
                return None
            found = digests_of(files) if is_quick else {file: digest_of(file) for file in files}
            return Sealed(folder, dict(meta["facts"])) if found == files else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None


def files_in(folder: Path) -> list[Path]:
    """Return every file of a folder and of those in it."""
    return [path for path in folder.rglob("*") if path.is_file()]


def _lock(file: BinaryIO, name: str) -> None:
    if sys.platform == "win32":
        return
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        owner = file.read(20).decode(errors="replace").strip()
        whose = f" (process {owner})" if owner.isdigit() else ""
        raise UserError(
            f"tier {name}: another run{whose} is training it; wait for it, or stop it first."
        ) from None
    except OSError:
        return  # a file system without locks
    file.truncate(0)
    file.write(f"{os.getpid()}\n".encode())
    file.flush()


def _unwritable(place: Path, error: OSError) -> UserError:
    return UserError(
        f"{place} cannot be written ({error.strerror or error}): make room there, or set "
        "SHORITUI_HOME to a folder elsewhere."
    )
