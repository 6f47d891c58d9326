"""`shoritui chat`: open the app."""

from __future__ import annotations

import argparse
from contextlib import suppress
from typing import Final

from shoritui.commands.arguments import add_cards, add_engine, settings_of
from shoritui.commands.output import has_screen, print_error

DESCRIPTION: Final = """\
Open the app. Without a card it continues your last story; with cards it begins a new one.
Several cards are combined into one scene.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_cards(parser, nargs="*")
    add_engine(parser)
    parser.add_argument("--preset", metavar="NAME", help="the sampler preset to begin with")
    parser.add_argument("--new", action="store_true", help="pick a scene for a new story")


def run(options: argparse.Namespace) -> int:
    """Run the app until the user quits; 2 where there is no screen to show it on."""
    if not has_screen():
        print_error(
            "The app needs a terminal that it can draw on; in scripts and on plain terminals, "
            "use `shoritui say TEXT CARD`."
        )
        return 2
    from shoritui.tui import run as run_app

    settings = settings_of(options)
    cards, model = [], None
    if options.cards:  # What is not named is not imported: the first paint waits for it.
        from shoritui.cards import card_files

        cards = card_files(options.cards)
    if options.model:
        from shoritui.models import model_file

        model = model_file(options.model, settings.model)
    code = run_app(
        cards=cards,
        model=model,
        preset=options.preset,
        new=options.new,
        settings=settings,
    )
    if not options.model:
        from shoritui.models import better

        if sentence := better(settings.model or settings.server):
            with suppress(OSError):  # of a terminal that is gone
                print(sentence, flush=True)
    return code
