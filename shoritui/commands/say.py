"""`shoritui say`: one message to a scene, one reply."""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import aclosing
from typing import Final

from msgspec.structs import replace

from shoritui.blockml import Length
from shoritui.commands.arguments import add_cards, add_engine, add_json, add_turn, settings_of
from shoritui.commands.output import print_error, print_json, print_story
from shoritui.commands.temporary_chat import temporary_chat
from shoritui.director import Director, Failed, Notice, TurnEnded, TurnStarted, Wrote, kept_end
from shoritui.errors import UserError
from shoritui.host.signals import end_with_terminal
from shoritui.names import addressed
from shoritui.settings import Settings

DESCRIPTION: Final = """\
Start the cards' scene, say TEXT as your character, and print the reply as it streams. Put TEXT in
single quotes, so that its own quote marks reach the program: '"Who is there?" Wren asked.'
`@NAME` at the start asks that character to answer. The chat is not kept.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("text", metavar="TEXT", help="what your character says or does")
    add_cards(parser, nargs="+")
    add_turn(parser)
    add_engine(parser)
    parser.add_argument("--preset", metavar="NAME", help="the sampler preset to use")
    parser.add_argument("--seed", metavar="N", type=int, help="the same seed gives the same reply")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print one reply, as text or as JSON with its figures."""
    if sys.stdout.isatty():
        end_with_terminal()
    settings = settings_of(options)
    if options.seed is not None:
        # The same text needs the same steps, and so nothing that was read in others before.
        settings = replace(settings, kv_cache_gb=0)
    return asyncio.run(_say(options, settings))


async def _say(options: argparse.Namespace, settings: Settings) -> int:
    async with temporary_chat(options, settings) as director:
        if options.preset:
            await director.chat.choose_preset(options.preset)
        if options.seed is not None:
            await director.chat.change_sampling(seed=options.seed)
        length, ended = await _write_reply(director, options.text, echo=not options.json)
    if options.json:
        outcome = ended.outcome
        print_json(
            {
                "speaker": ended.entry.speaker,
                "length": length,
                "text": ended.entry.text,
                "stop": outcome.stop,
                "prompt_tokens": outcome.prompt_tokens,
                "reused_tokens": outcome.reused_tokens,
                "evaluated_tokens": outcome.evaluated_tokens,
                "generated_tokens": outcome.generated_tokens,
                "first_token_ms": round(outcome.first_token_ms, 2),
                "tokens_per_second": round(outcome.tokens_per_second, 2),
            },
            on_one_line=True,
        )
    return 0


async def _write_reply(
    director: Director, text: str, *, echo: bool
) -> tuple[Length | None, TurnEnded]:
    """Print the reply as far as it is sure to stay, then the rest; return its hint and its end."""
    ended: TurnEnded | None = None
    length: Length | None = None
    written, printed = "", 0
    last = "\n"
    asked, said = addressed(text, director.chat.other_names)
    for action in (director.say(said), director.reply(asked)):
        async with aclosing(action):
            async for event in action:
                match event:
                    case TurnStarted():
                        length = event.length
                    case Wrote(_, piece) if echo:
                        written += piece
                        if (end := kept_end(written)) > printed:
                            print_story(written[printed:end])
                            last, printed = written[end - 1], end
                    case Notice(sentence):
                        if last != "\n":
                            print(flush=True)
                            last = "\n"
                        print_error(sentence)
                    case TurnEnded():
                        ended = event
                        if echo:
                            print_story(f"{event.entry.text[printed:]}\n")
                            last = "\n"
                    case Failed(sentence):
                        raise UserError(sentence)
    if ended is None:
        raise UserError("The model ended its reply before the first word: try another seed.")
    return length, ended
