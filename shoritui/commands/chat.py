"""`shoritui chat`: open the app."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shoritui.commands.arguments import add_cards, add_engine, count, settings_of
from shoritui.commands.output import has_screen, is_dumb, print_error
from shoritui.host.signals import end_with_terminal

if TYPE_CHECKING:
    from shoritui.settings import Settings

DESCRIPTION: Final = """\
Open the app. Without a card it continues your last story; with cards it begins a new one.
Several cards are combined into one scene; a card of another program, such as a PNG, is imported
first, if it is new. `--linear` plays in plain lines: so does a terminal that can do no more
(TERM=dumb).
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_cards(parser, nargs="*")
    add_engine(parser)
    parser.add_argument("--preset", metavar="NAME", help="the sampler preset to begin with")
    parser.add_argument("--new", action="store_true", help="pick a scene for a new story")
    parser.add_argument(
        "--story",
        metavar="N",
        type=count,
        help="a story, by the number that `shoritui chats` lists",
    )
    parser.add_argument(
        "--linear",
        action="store_true",
        help="plain lines without a screen, for screen readers and pipes",
    )


def run(options: argparse.Namespace) -> int:
    """Run the app, or plain lines, until the user quits; 2 where there is no screen to draw on."""
    is_linear = options.linear or (is_dumb() and sys.stdin.isatty())
    if not is_linear and not has_screen():
        print_error(
            "The app needs a terminal that it can draw on; elsewhere use `shoritui chat --linear` "
            "or `shoritui say TEXT CARD`."
        )
        return 2
    if not is_linear or sys.stdin.isatty():
        end_with_terminal()
    settings = settings_of(options)
    if is_linear:
        return _run_linear(options, settings)
    from shoritui.tui import run as run_app

    cards, model = _cards_and_model(options, settings)
    code = run_app(
        cards=cards,
        model=model,
        preset=options.preset,
        new=options.new,
        story=options.story,
        settings=settings,
    )
    if not options.model:
        from shoritui.models import better

        if sentence := better(settings.model or settings.server):
            with suppress(OSError):  # of a terminal that is gone
                print(sentence, flush=True)
    return code


def _run_linear(options: argparse.Namespace, settings: Settings) -> int:
    """Run the chat in plain lines."""
    from msgspec.structs import replace

    from shoritui.linear import run as run_linear

    cards, model = _cards_and_model(options, settings)
    if model is not None:
        settings = replace(settings, model=str(model))
    return run_linear(
        settings, cards=cards, preset=options.preset, new=options.new, story=options.story
    )


def _cards_and_model(
    options: argparse.Namespace, settings: Settings
) -> tuple[list[Path], Path | None]:
    """Return the files that are named; what is not named is not imported: the first paint waits."""
    cards: list[Path] = []
    model = None
    if options.cards:
        from shoritui.cards import card_files

        cards = list(map(_own, card_files(options.cards)))
    if options.model:
        from shoritui.models import model_file

        model = model_file(options.model, settings.model)
    return cards, model


def _own(card: Path) -> Path:
    """Return the card of a file; one of another program is imported, if it is new."""
    if card.suffix.lower() == ".toml" or not card.is_file():
        return card
    from shoritui.commands.chats.library import open_library
    from shoritui.interop.folders import imported_card

    with open_library(create=True) as library:
        return imported_card(library, card)
