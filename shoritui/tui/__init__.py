"""The terminal app: the story, the composer, the panels. It shows what the director says.

It decides nothing about a story. Importing it loads Textual; the engine comes after the first
paint, in a process of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from shoritui.errors import UserError

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
    """Runs the app until the user quits; returns the exit code.

    Raises:
        UserError: A card, the model or the preset of the command line is not there or not right.
    """
    from shoritui.tui.app import ShoriTUI

    if model is not None and not model.expanduser().is_file():
        raise UserError(f"There is no model file {model}.")
    app = ShoriTUI(settings, cards=cards, model=model, preset=preset, new=new)
    code = app.run() or app.return_code or 0
    if app.refusal:
        raise UserError(app.refusal)
    return code


def reference() -> str:
    """The table of keys and commands as Markdown, for the README."""
    from shoritui.tui.actions import reference as table

    return table()
