"""What commands print: errors, stories, JSON; and whether a full-screen app can be shown."""

from __future__ import annotations

import json
import os
import sys

from shoritui.host.process import is_in_browser
from shoritui.terminal import unfiltered
from shoritui.text import as_json, escaped


def print_error(sentence: str) -> None:
    """Print a sentence on stderr, with the program's name before it."""
    print(f"shoritui: {sentence}", file=sys.stderr)


def print_story(text: str) -> None:
    """Print text of a card or a model: exactly into a file or a pipe, on a terminal harmless.

    A file is UTF-8, as BlockML is, whatever a terminal here could show.
    """
    exit_ = sys.stdout
    if not exit_.isatty():
        exit_ = unfiltered(exit_)
        if reconfigure := getattr(exit_, "reconfigure", None):
            reconfigure(encoding="utf-8")
    print(text, end="", file=exit_, flush=True)


def show_making(done: int, total: int) -> None:
    """Show on a terminal how far the storyteller is made, until it is."""
    from shoritui.models import making  # the first paint of the app has no use for either
    from shoritui.progress import show

    show(making(done, total) if done < total else "")


def print_json(facts: object, *, on_one_line: bool = False) -> None:
    """Print one JSON object; spread over lines, it is ASCII."""
    print(as_json(facts) if on_one_line else escaped(json.dumps(facts, indent=2)))


def has_screen() -> bool:
    """Return whether keys can be read and a screen be unfiltered, which Textual does on stderr.

    A window of `shoritui serve` has a page for a screen.
    """
    return is_in_browser() or (sys.stdin.isatty() and sys.stderr.isatty() and can_draw())


def can_draw() -> bool:
    """Return whether what is printed reaches a terminal, and not a dumb one."""
    return sys.stdout.isatty() and not is_dumb()


def is_dumb() -> bool:
    """Return whether the terminal says that it can print lines and no more."""
    return os.environ.get("TERM") == "dumb"
