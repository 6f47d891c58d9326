"""The terminal app: the story, the composer, the panels. It shows what the director says.

It decides nothing about a story. Importing it loads Textual; the engine comes after the first
paint, in a process of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoritui.settings import Settings

__all__ = ["reference", "run"]


def run(
    *,
    cards: Sequence[Path],
    model: Path | None,
    preset: str | None,
    new: bool,
    settings: Settings,
) -> int:
    """Runs the app until the user quits; returns the exit code."""
    from shoritui.tui.app import ShoriTUI

    app = ShoriTUI(settings, cards=cards, model=model, preset=preset, new=new)
    return app.run() or app.return_code or 0


def reference() -> str:
    """The table of keys and commands as Markdown, for the README."""
    from shoritui.tui.actions import reference as table

    return table()
