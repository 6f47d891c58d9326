"""From the command line to the last line: what opens, what is typed, Ctrl+C, the end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from shoritui import fault_log
from shoritui.cards import load_cards
from shoritui.director import Disk
from shoritui.engine import check_preset, presets
from shoritui.errors import UserError
from shoritui.files import sweep
from shoritui.folders import config_dir, data_dir, own_dirs
from shoritui.host.signals import end_on_signals
from shoritui.linear.commands import run_command
from shoritui.linear.evening import Evening
from shoritui.linear.lines_in import LinesIn
from shoritui.settings import Settings
from shoritui.story import Library
from shoritui.text import one_line

_HOW = (
    "Type what you say and press Enter; with nothing typed the next one speaks. /help lists more."
)


def run(
    settings: Settings,
    *,
    cards: Sequence[Path] = (),
    preset: str | None = None,
    new: bool = False,
    story: int | None = None,
) -> int:
    """Play until `/quit` or the end of the input; return the exit code.

    Raises:
        UserError: A card, the preset or the library is not there or not right.
    """
    code = asyncio.run(_play(settings, cards, preset, new, story))
    sys.stdout.flush()
    if code:
        # Somebody may still wait for a line, and Python for whoever waits.
        os._exit(code)
    return code


async def _play(
    settings: Settings, cards: Sequence[Path], preset: str | None, new: bool, story: int | None
) -> int:
    disk = await Disk.open(data_dir() / "library.db")
    samplers, problems = await disk.run(lambda _: presets(config_dir() / "presets"))
    evening = Evening(disk, settings, samplers, LinesIn())
    has_left = threading.Event()
    try:
        for problem in problems:
            evening.voice.news(problem)
        await _open(evening, cards, preset, new, story)
        playing = asyncio.create_task(_listen(evening))
        sweeping = asyncio.create_task(asyncio.to_thread(sweep, *own_dirs()))
        ended = _follow_signals(evening, playing, has_left)
        with suppress(asyncio.CancelledError):
            await playing
        await sweeping
        return ended[0] if ended else 0
    finally:
        await evening.close()
        has_left.set()


async def _open(
    evening: Evening, cards: Sequence[Path], preset: str | None, new: bool, story: int | None
) -> None:
    disk = evening.disk
    if preset:
        check_preset(preset, evening.samplers, config_dir() / "presets")
    if cards:
        await evening.begin(await disk.run(lambda _: load_cards(cards)))
    elif story is not None:
        await evening.enter(await disk.run(Library.chat, story))
    elif not new and (last := await disk.run(Library.last_chat)) is not None:
        try:
            await evening.enter(last)
        except UserError as error:  # it is damaged: the others are still there
            evening.voice.news(str(error))
    if preset and evening.director is not None:
        await evening.chat.choose_preset(preset)
    evening.load_model()
    evening.lines.remember(await disk.run(Library.history))
    if evening.director is None:
        await run_command(evening, "/new")
    else:
        evening.voice.news(_HOW)


async def _listen(evening: Evening) -> None:
    """Do what the lines say, one after another."""
    while not evening.is_over:
        director = evening.director
        prompt = f"{one_line(director.chat.user)}: " if director is not None else "> "
        line = await evening.lines.next(prompt)
        if line is None:
            return
        text = line.strip()
        try:
            if director is not None:
                async for event in director.refresh():
                    evening.hear(event)
            if text.startswith("/") and not text.startswith("//"):
                await run_command(evening, text)
            else:
                await evening.say(text.removeprefix("/"))
            if text and evening.lines.is_terminal:
                await evening.disk.run(Library.add_history, text)
        except UserError as error:
            evening.voice.news(str(error))
        except Exception as error:
            evening.voice.news(fault_log.sentence(error, fault_log.note(error)))


def _follow_signals(
    evening: Evening, playing: asyncio.Task[None], has_left: threading.Event
) -> list[int]:
    """Let Ctrl+C stop a reply, twice end; return where the exit code of a signal will stand."""
    loop = asyncio.get_running_loop()
    ended: list[int] = []
    waiting: set[asyncio.Task[None]] = set()
    pressed = [False]

    def end(code: int) -> None:
        ended.append(code)
        playing.cancel()

    async def interrupt() -> None:
        if await evening.stop():
            return
        if pressed[0]:
            end(128 + signal.SIGINT)
            return
        pressed[0] = True
        evening.voice.line()
        evening.voice.news("Once more, /quit or Ctrl+D ends this; everything is kept.")
        await asyncio.sleep(3)
        pressed[0] = False

    def on_interrupt() -> None:
        task = loop.create_task(interrupt())
        waiting.add(task)
        task.add_done_callback(waiting.discard)

    end_on_signals(end, has_left)
    with suppress(NotImplementedError):
        loop.add_signal_handler(signal.SIGINT, on_interrupt)
    return ended
