"""Trained adapters where the user finds them: `<output>/<tier>/`, as PEFT folders.

It does not know how they were trained.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from shoritui.errors import UserError
from shoritui.files import sync_tree
from shoritui.finetune.config.model import Config
from shoritui.finetune.run.digests import digests_of
from shoritui.finetune.run.store import Sealed

ADAPTER = "adapter"
"""The folder of a trained tier that holds the adapter which goes on."""
BESIDE = ("best", "last")
"""The names of the other adapter that may be kept: that of the best step, or of the last."""


def place_of(config: Config, tier: str) -> Path:
    """The PEFT folder of a tier."""
    return config.path.parent / config.output / tier


def deliver(trained: Sealed, place: Path) -> None:
    """Puts a trained adapter in its place, unless it is there already.

    The folder is replaced as a whole; what the user put into it besides stays.

    Raises:
        UserError: The place cannot be written.
    """
    try:
        _deliver(trained.folder, place)
    except OSError as error:
        raise UserError(
            f"{place} cannot be written ({error.strerror or error}): choose another output in the "
            "config."
        ) from None


def _deliver(trained: Path, place: Path) -> None:
    wanted = _files(trained)
    if _is_there(wanted, place):
        return
    beside = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    aside = place.with_name(f".{place.name}.old")
    shutil.rmtree(beside, ignore_errors=True)
    for name, file in wanted.items():
        target = beside / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    sync_tree(beside)
    _recover(aside, place)
    if place.is_dir():
        place.rename(aside)
    beside.rename(place)
    _recover(aside, place)


def _files(trained: Path) -> dict[Path, Path]:
    """Where each file of a trained tier goes, from the place's folder."""
    files = {path.relative_to(trained / ADAPTER): path for path in _all(trained / ADAPTER)}
    for name in BESIDE:
        files |= {path.relative_to(trained): path for path in _all(trained / name)}
    return files


def _is_there(wanted: dict[Path, Path], place: Path) -> bool:
    there = {name: place / name for name in wanted}
    stale = [name for name in BESIDE if Path(name) not in {n.parent for n in wanted}]
    if any((place / name).exists() for name in stale):
        return False
    if not all(path.is_file() for path in there.values()):
        return False
    digests = digests_of([*wanted.values(), *there.values()])
    return all(digests[wanted[name]] == digests[there[name]] for name in wanted)


def _recover(aside: Path, place: Path) -> None:
    """Ends what is begun with the old folder, perhaps by a run that the power left: what the user
    put into it is in its place again."""
    if not aside.exists():
        return
    if not place.exists():
        aside.rename(place)
        return
    for entry in aside.iterdir():
        if entry.name not in BESIDE and not (place / entry.name).exists():
            entry.rename(place / entry.name)
    shutil.rmtree(aside, ignore_errors=True)


def _all(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
