"""The stories as data to train on: all with the storyteller's recipe, or a few with a quick one.

stories/finetune.toml     every story, on SmolLM2: `shoritui finetune init --sample`
stories/demo.toml         the shortest of each tier, on the model that ships: `--demo`
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from shoritui.demo import RECIPE, STORIES
from shoritui.files import made_once

TIERS: Final = ("low", "mid", "high", "top")
FEW: Final = 6
"""Stories of each tier that train the small model in minutes on a CPU."""


def sample() -> dict[str, str]:
    """Return the texts of all stories, and of the recipe, which is last, by their places."""
    return _texts(STORIES.rglob("*.txt")) | {RECIPE: _read(STORIES / RECIPE)}


def write_demo(folder: Path) -> None:
    """Write the few stories of each tier, and their config.

    Raises:
        UserError: The folder cannot be written; then there is none.
    """
    few: list[Path] = []
    for tier in TIERS:
        few += sorted((STORIES / tier).glob("*.txt"), key=lambda path: path.stat().st_size)[:FEW]
    texts = _texts(few) | {RECIPE: _read(STORIES / "demo.toml")}

    def fill(beside: Path) -> None:
        for place, text in texts.items():
            path = beside / place
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")

    made_once(folder, fill)


def _texts(paths: Iterable[Path]) -> dict[str, str]:
    return {path.relative_to(STORIES).as_posix(): _read(path) for path in sorted(paths)}


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")
