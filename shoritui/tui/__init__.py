"""The terminal apps: the chat, and the live view of a training run.

Importing this loads nothing; the engine comes after the first paint, in a process of its own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from shoritui.errors import UserError
from shoritui.text import printable

if TYPE_CHECKING:
    import argparse

    from shoritui.settings import Settings

__all__ = ["run", "watch"]


def run(
    *,
    cards: Sequence[Path],
    model: Path | None,
    preset: str | None,
    new: bool,
    settings: Settings,
    story: int | None = None,
) -> int:
    """Run the chat until the user quits; return the exit code.

    Raises:
        UserError: A card, the model, the preset or the story of the command line is not there or
            not right.
    """
    _shorten_escape()
    from shoritui.tui.chat.app import ShoriTUI

    if model is not None and not model.is_file():
        is_wrong = "is a folder, not" if model.is_dir() else "is not there: expected"
        raise UserError(f"{printable(model)} {is_wrong} a model file.")
    ids: set[str] = set()
    if settings.keymap:
        from shoritui.tui.training.actions import ACTIONS as OTHERS

        ids = {action.id for action in OTHERS}
    app = ShoriTUI(
        settings, cards=cards, model=model, preset=preset, new=new, number=story, other_ids=ids
    )
    code = app.run() or app.return_code or 0
    if app.unkept.strip():
        with suppress(OSError):  # of a terminal that is gone
            print(f"This could not be kept:\n\n{app.unkept}", file=sys.stderr, flush=True)
    if sentence := app.refusal or app.fatal:
        raise UserError(sentence)
    return code


def watch(options: argparse.Namespace) -> int:
    """Run a training config with the live view; return 0, 1 or 130 for a run that was stopped.

    Raises:
        UserError: The config is not right, or the training process cannot be started.
    """
    _shorten_escape()
    from shoritui.finetune.config.load import chosen
    from shoritui.settings import load_settings
    from shoritui.text import one_line
    from shoritui.tui.chat.actions import ACTIONS as OTHERS
    from shoritui.tui.training.app import TrainingApp

    chosen(options)
    app = TrainingApp(load_settings(), options, other_ids={action.id for action in OTHERS})
    code = app.run()
    if app.fatal:
        raise UserError(app.fatal)
    if app.course.failed is not None:
        raise UserError(one_line(app.course.failed.text))
    with suppress(OSError):  # of a terminal that is gone
        print("\n".join(app.summary), flush=True)
    return (code if code is not None else app.return_code) or 0


def _shorten_escape() -> None:
    """Let a key that comes 25 ms after Escape be a key of its own, not one with Alt.

    A terminal that knows no better protocol sends Alt+H as Escape and H, in one go.
    """
    os.environ.setdefault("ESCDELAY", "25")  # which Textual reads when it is imported
