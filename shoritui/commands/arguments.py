"""Arguments that several commands take."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from shoritui.folders import user_path

if TYPE_CHECKING:
    from shoritui.settings import Settings


def named_path(word: str) -> Path:
    """Return the path, or the name, in an argument."""
    if not word.strip():
        raise argparse.ArgumentTypeError("the name is empty")
    return user_path(word)


def add_cards(parser: argparse.ArgumentParser, *, nargs: str) -> None:
    """Add `CARD ...`."""
    parser.add_argument(
        "cards",
        metavar="CARD",
        nargs=nargs,
        type=named_path,
        help="a card: a TOML file, or the name of one that `shoritui chat` lists",
    )


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Add `--model` and `--server`, of which one may be given."""
    choice = parser.add_mutually_exclusive_group()
    add_model(choice)
    choice.add_argument(
        "--server",
        metavar="URL",
        help="an OpenAI-compatible server that runs the model, instead of this machine",
    )


def add_model(
    parser: argparse._ActionsContainer, action: str | type[argparse.Action] = "store"
) -> None:
    """Add `--model`."""
    parser.add_argument(
        "--model",
        action=action,
        metavar="FILE|NAME",
        type=named_path,
        help="a GGUF model: a file, or a name that `shoritui models` lists (default: the one in "
        "your settings, or the small one that ships)",
    )


def add_turn(parser: argparse.ArgumentParser) -> None:
    """Add who speaks, who answers, and how long the answer is."""
    parser.add_argument("--as", dest="user", metavar="NAME", help="the character you speak as")
    parser.add_argument("--speaker", metavar="NAME", help="who answers (default: whose turn it is)")
    parser.add_argument(
        "--length",
        metavar="L",
        type=_length,
        help="the length hint of the reply: nano to enormous, auto for none, or model for the one "
        "that the model chooses",
    )


def count(word: str) -> int:
    """Return a number of things, from 1 to a million, as an argument's type."""
    if not (word.isdecimal() and len(word) < 9 and 1 <= int(word) <= 1_000_000):
        raise argparse.ArgumentTypeError(f"must be a number from 1 to 1,000,000, not {word!r}.")
    return int(word)


def add_json(parser: argparse._ActionsContainer, default: object = False) -> None:
    """Add `--json`."""
    parser.add_argument(
        "--json", action="store_true", default=default, help="print one JSON object"
    )


def settings_of(options: argparse.Namespace) -> Settings:
    """Return the user's settings; `--model` or `--server` takes the place of their server.

    So does the variable SHORITUI_SERVER, unless one of the two is given.

    Raises:
        UserError: The settings file is not right.
    """
    from msgspec.structs import replace

    from shoritui.settings import SERVER_VARIABLE, load_settings

    settings = load_settings()
    server = options.server
    if options.model is None and server is None:
        server = os.environ.get(SERVER_VARIABLE)
        if server is None:
            return settings
    return replace(settings, server=server or "")


def _length(word: str) -> str:
    from shoritui.blockml import LENGTHS

    if word not in (*LENGTHS, "auto", "model"):
        known = ", ".join(LENGTHS)
        raise argparse.ArgumentTypeError(f"must be one of {known}, auto or model, not {word!r}.")
    return word
