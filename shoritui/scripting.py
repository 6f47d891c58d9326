"""The doors for scripts: one reply, and the prompt it would come from, without the app.

They drive the same director as the app, on a library that is gone afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from difflib import get_close_matches
from pathlib import Path

from msgspec.structs import replace

from shoritui.blockml import check_name
from shoritui.cards import Card, load_cards
from shoritui.director import (
    Director,
    Disk,
    Failed,
    Notice,
    TurnEnded,
    Wrote,
    make_engine,
    new_chat,
    open_engine,
)
from shoritui.engine import presets
from shoritui.errors import UserError
from shoritui.settings import Settings, card_files, config_dir


def say(options: argparse.Namespace, settings: Settings) -> int:
    """Prints one reply to one message, as text or as one JSON object."""
    return asyncio.run(_with_director(options, settings, _say))


def prompt(options: argparse.Namespace, settings: Settings) -> int:
    """Prints what the model would read, as text or as tokens."""
    return asyncio.run(_with_director(options, settings, _prompt))


Act = Callable[[Director, argparse.Namespace], Awaitable[int]]


async def _with_director(options: argparse.Namespace, settings: Settings, act: Act) -> int:
    scene = load_cards(card_files(options.cards))
    if getattr(options, "seed", None) is not None:
        # The same text needs the same steps, and so nothing that was read in others before.
        settings = replace(settings, kv_cache_gb=0)
    async with _temporary_director(options, settings, scene) as director:
        if options.length:
            await director.choose_length(None if options.length == "auto" else options.length)
        if options.speaker:
            await director.choose_next(_in_cast(options.speaker, director.cast))
        return await act(director, options)


@asynccontextmanager
async def _temporary_director(
    options: argparse.Namespace, settings: Settings, scene: Card
) -> AsyncGenerator[Director]:
    user = _user_name(options.user)
    samplers, problems = presets(config_dir() / "presets")
    for problem in problems:
        print(f"shoritui: {problem}", file=sys.stderr)
    engine = make_engine(settings)
    with tempfile.TemporaryDirectory(prefix="shoritui-") as folder:
        disk = await Disk.open(Path(folder) / "library.db")
        try:
            await open_engine(engine, settings, options.model)
            chat = await new_chat(disk, scene, user)
            yield await Director.open(disk, chat, engine, settings, samplers)
        finally:
            await engine.close()
            await disk.close()


async def _say(director: Director, options: argparse.Namespace) -> int:
    if options.preset:
        await director.choose_preset(options.preset)
    if options.seed is not None:
        await director.change_sampling(seed=options.seed)
    ended = await _write_reply(director, options.text, echo=not options.json)
    if options.json:
        outcome = ended.outcome
        reply = {
            "speaker": ended.entry.speaker,
            "length": ended.entry.length,
            "text": ended.entry.text,
            "stop": outcome.stop,
            "prompt_tokens": outcome.prompt_tokens,
            "reused_tokens": outcome.reused_tokens,
            "evaluated_tokens": outcome.evaluated_tokens,
            "generated_tokens": outcome.generated_tokens,
            "first_token_ms": round(outcome.first_token_ms, 2),
            "tokens_per_second": round(outcome.tokens_per_second, 2),
        }
        print(json.dumps(reply, ensure_ascii=False))
    return 0


async def _write_reply(director: Director, text: str, *, echo: bool) -> TurnEnded:
    ended: TurnEnded | None = None
    for action in (director.say(text), director.reply()):
        async with aclosing(action):
            async for event in action:
                match event:
                    case Wrote(_, piece) if echo:
                        print(piece, end="", flush=True)
                    case Notice(sentence):
                        print(f"shoritui: {sentence}", file=sys.stderr)
                    case TurnEnded():
                        ended = event
                    case Failed(sentence):
                        raise UserError(sentence)
    if echo:
        print()
    if ended is None:
        raise UserError("The model ended its reply before the first word: try another seed.")
    return ended


async def _prompt(director: Director, options: argparse.Namespace) -> int:
    if options.say:
        async for _ in director.say(options.say):
            pass
    document = await director.preview()
    if options.tokens:
        ids = await director.engine.tokens(document)
        for id_, piece in zip(ids, await director.engine.pieces(ids), strict=True):
            print(f"{id_}\t{json.dumps(piece, ensure_ascii=False)}")
    else:
        sys.stdout.write("".join(segment.text for segment in document))
        sys.stdout.flush()
    return 0


def _in_cast(name: str, cast: Sequence[str]) -> str:
    by_folded = {member.casefold(): member for member in cast}
    if name.casefold() in by_folded:
        return by_folded[name.casefold()]
    nearest = get_close_matches(name.casefold(), by_folded, n=1)
    hint = f" Did you mean {by_folded[nearest[0]]}?" if nearest else ""
    raise UserError(f"There is no {name!r} in the cast: choose one of {', '.join(cast)}.{hint}")


def _user_name(name: str | None) -> str:
    try:
        return check_name(name) if name is not None else ""
    except ValueError as error:
        raise UserError(f"--as {name!r}: {error}.") from None
