"""`shoritui cards check`: whether cards are right, and what is in them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from shoritui.cards import (
    Card,
    card_files,
    card_folders,
    load_card,
    load_lorebook,
    lore_folder,
    macro_problems,
    unfollowed,
)
from shoritui.commands.arguments import add_json, named_path
from shoritui.commands.output import print_json
from shoritui.errors import UserError
from shoritui.text import counted, one_line
from shoritui.toml import toml_files

DESCRIPTION: Final = """\
Read cards and lorebooks, and say of each what is in it, or the first thing that is wrong with it,
with its line. Macros and decorators that are not known here are told too. Nothing is changed. The
exit code is 1 if a card cannot be used.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "cards",
        metavar="NAME|FILE|FOLDER",
        nargs="*",
        type=named_path,
        help="what to look at (default: all cards and lorebooks of your own)",
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print a line for each card, and what is wrong.

    Raises:
        UserError: There is no card of that name.
    """
    places = card_files(options.cards) if options.cards else _own()
    files = dict.fromkeys(file for place in places for file in toml_files(place))
    checked = [_check(file) for file in files]
    if options.json:
        print_json({"cards": [asdict(each) for each in checked]})
    else:
        lines = [line for each in checked for line in each.lines]
        print("\n".join(lines) or "You have no card of your own yet.")
    return int(any(each.error for each in checked))


@dataclass(frozen=True, slots=True)
class _Checked:
    """What was found in one file."""

    file: str
    error: str = ""
    """Why it cannot be used, with the file and the line."""
    holds: tuple[str, ...] = ()
    """What is in it, a few words each."""
    told: tuple[str, ...] = ()
    """What is not known here and left out, a sentence each."""

    @property
    def lines(self) -> list[str]:
        if self.error:
            return [self.error]
        return [f"{self.file}: {', '.join(self.holds)}", *(f"  {each}" for each in self.told)]


def _check(path: Path) -> _Checked:
    try:
        card = _read(path)
    except UserError as error:
        return _Checked(str(path), error=str(error))
    told = (*macro_problems(card), *filter(None, [unfollowed(card.lore)]))
    return _Checked(str(path), holds=tuple(_contents(card)), told=told)


def _own() -> list[Path]:
    return [folder for folder in (card_folders()[0], lore_folder()) if folder.is_dir()]


def _read(path: Path) -> Card:
    """Return a card, or a lorebook, which has no cast."""
    try:
        return load_card(path)
    except UserError as error:
        try:
            book = load_lorebook(path)
        except UserError:
            raise error from None
        if book.characters:
            raise
        return book


def _contents(card: Card) -> Iterator[str]:
    """Yield what is in a card, a few words each."""
    yield from (one_line(each.name) for each in card.characters)
    if card.instruction:
        yield "an instruction"
    if talking := sum(bool(each.examples) for each in card.characters):
        yield f"examples of {counted(talking, 'character')}"
    if card.notes:
        yield counted(len(card.notes), "note")
    if card.messages:
        yield f"an opening of {counted(len(card.messages), 'message')}"
    if versions := sum(len(each.texts(in_group=True)) - 1 for each in card.messages):
        yield counted(versions, "other greeting")
    if card.lore:
        yield f"lore ({len(card.lore):,})"
