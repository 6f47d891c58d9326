"""Trained adapters where the user finds them: `<output>/<tier>/`, as PEFT folders."""

from __future__ import annotations

import shutil
from pathlib import Path

from shoritui.errors import UserError
from shoritui.files import recover, whole_folder
from shoritui.finetune.cache.digests import digests_of
from shoritui.finetune.cache.tiers import Sealed, files_in
from shoritui.finetune.config.model import Config
from shoritui.finetune.events import Emit, TierEnded

ADAPTER = "adapter"
"""The folder of a trained tier that holds the adapter which goes on."""
BESIDE = ("best", "last")
"""The names of the other adapter that may be kept: that of the best step, or of the last."""


def place_of(config: Config, tier: str) -> Path:
    """Return the PEFT folder of a tier."""
    return config.path.parent / config.output / tier


def last_adapter(config: Config) -> str:
    """Return the folder of the tier that is trained last."""
    return str(place_of(config, config.tiers[-1].name))


def hand_over(config: Config, tier: str, trained: Sealed, emit: Emit, *, cached: bool) -> None:
    """Put a trained tier where the user finds it, and say so.

    Raises:
        UserError: It cannot be put there.
    """
    place = place_of(config, tier)
    deliver(trained, place)
    loss = None if cached else trained.facts["loss"]
    emit(TierEnded(tier, cached, str(place), loss, trained.facts["evaluation"]))


def deliver(trained: Sealed, place: Path) -> None:
    """Put a trained adapter in its place, unless it is there already.

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
    recover(place, gone=BESIDE)
    wanted = _files(trained)
    if _is_there(wanted, place):
        return
    with whole_folder(place, gone=BESIDE) as beside:
        for name, file in wanted.items():
            target = beside / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)


def _files(trained: Path) -> dict[Path, Path]:
    """Where each file of a trained tier goes, from the place's folder."""
    files = {path.relative_to(trained / ADAPTER): path for path in files_in(trained / ADAPTER)}
    for name in BESIDE:
        files |= {path.relative_to(trained): path for path in files_in(trained / name)}
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
