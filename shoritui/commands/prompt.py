"""`shoritui prompt`: what the model would read before a reply, of cards or in a story."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from shoritui.commands.arguments import add_cards, add_engine, add_json, add_turn, settings_of
from shoritui.commands.chats.library import library_path, open_library, the_chat
from shoritui.commands.output import print_json, print_story, show_making
from shoritui.commands.temporary_chat import in_cast, temporary_chat
from shoritui.director import ChatState, Director, Disk, Inspection, make_engine, open_engine
from shoritui.engine import Segment, presets
from shoritui.errors import UserError
from shoritui.folders import config_dir
from shoritui.names import addressed
from shoritui.settings import Settings
from shoritui.text import as_json, one_line

DESCRIPTION: Final = """\
Print the BlockML text that a reply would be generated from, up to the colon where the reply
begins. With --chat it is that of a story's next reply, block by block: where each came from, its
tokens, whether they are evaluated already, and what is left out and why. Nothing is changed.
"""
_LAST: Final = ""
"""The chat used last."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_cards(parser, nargs="*")
    parser.add_argument(
        "--chat",
        nargs="?",
        const=_LAST,
        metavar="CHAT",
        help="a chat of the library in place of cards: its number or title; the one used last",
    )
    parser.add_argument(
        "--say", metavar="TEXT", default="", help="say this first, as your character"
    )
    add_turn(parser)
    add_engine(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--text", action="store_true", help="print the text alone, as with cards")
    form.add_argument(
        "--blocks", action="store_true", help="print it block by block, as with --chat"
    )
    form.add_argument(
        "--tokens", action="store_true", help="print one token a line: its id and its text"
    )
    add_json(form)


def run(options: argparse.Namespace) -> int:
    """Print the prompt.

    Raises:
        UserError: Neither cards nor a chat are given, or one of them is not right.
    """
    if bool(options.cards) == (options.chat is not None):
        raise UserError("Name cards, or a chat with --chat: one of both.")
    if options.chat is not None and (options.user or options.length):
        raise UserError("--as and --length are a chat's own: they go with cards.")
    return asyncio.run(_prompt(options, settings_of(options)))


async def _prompt(options: argparse.Namespace, settings: Settings) -> int:
    begun = temporary_chat if options.chat is None else _chat
    async with begun(options, settings) as director:
        chat = director.chat
        asked, said = addressed(options.say, chat.other_names)
        if options.speaker and not asked:
            asked = in_cast(options.speaker, dict.fromkeys([*chat.cast, chat.user]))
        told = await director.inspector.prompt(asked or "", said)
        if options.json:
            print_json(_facts(told))
        elif options.tokens:
            ids = await director.engine.tokens([Segment(block.text) for block in told.blocks])
            for id_, piece in zip(ids, await director.engine.pieces(ids), strict=True):
                print(id_, end="\t")
                print_story(f"{as_json(piece)}\n")
        elif options.blocks or (options.chat is not None and not options.text):
            print("\n".join(map(one_line, told.sums_in_words)))
            for block in told.blocks:
                print(f"\n── {one_line(block.heading)}")
                print_story(block.text)
            print()
        else:
            print_story(told.text)
            print(end="\n" if sys.stdout.isatty() else "")
    return 0


@asynccontextmanager
async def _chat(options: argparse.Namespace, settings: Settings) -> AsyncGenerator[Director]:
    """A chat of the library to be looked at: it is not held, so it may be open in the app.

    Raises:
        UserError: There is no such chat, nobody of that name in it, or no model.
    """
    with open_library() as library:
        chats = library.summaries()
        if not chats:
            raise UserError("There are no chats yet: shoritui chat begins one.")
        found = chats[0] if options.chat == _LAST else the_chat(options.chat, chats)
        chat = library.chat(found.id)
    samplers, _ = presets(config_dir() / "presets")
    engine = make_engine(settings)
    disk = await Disk.open(library_path())
    try:
        state = ChatState(disk, chat, settings, samplers)
        await state.reload()
        await open_engine(engine, settings, options.model, show_making)
        yield Director(state, engine, settings)
    finally:
        await engine.close()
        await disk.close()


def _facts(told: Inspection) -> dict[str, object]:
    """Return a prompt as a script reads it."""
    return {
        "speaker": told.speaker,
        "tokens": told.tokens,
        "evaluated": told.reused,
        "exact": told.is_exact,
        "context": told.context_size,
        "reserve": told.reserve,
        "room": told.room,
        "blocks": [
            {
                "kind": block.kind,
                "name": block.name,
                "number": block.number or None,
                "entry": block.entry.id if block.entry is not None else None,
                "why": block.why,
                "tokens": block.tokens,
                "evaluated": block.reused,
                "ids": block.ids,
                "text": block.text,
            }
            for block in told.blocks
        ],
        "left_out": [
            {
                "reason": each.reason,
                "name": each.name,
                "number": each.number or None,
                "entry": each.entry.id if each.entry is not None else None,
                "tokens": each.tokens or None,
                "text": each.text,
            }
            for each in told.left_out
        ],
    }
