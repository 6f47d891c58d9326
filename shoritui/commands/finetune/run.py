"""`shoritui finetune run`: train what has changed, with the live view, as lines, or as JSON.

The training is done by a process of its own, or, under torchrun, by this one.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from importlib.util import find_spec
from typing import Final

from shoritui.commands.finetune.arguments import add_config, lacking
from shoritui.commands.output import has_screen, print_error
from shoritui.errors import UserError
from shoritui.finetune.events import Event, Failed, RunEnded, to_json
from shoritui.finetune.run.launch import arguments_of, launched, words_of
from shoritui.finetune.run.plain_lines import Lines
from shoritui.finetune.run.train import is_one_of_many, train

DESCRIPTION: Final = """\
Train every tier that has changed since it was last trained, and the tiers that build on it.
Ctrl+C saves and stops; the same command continues from there.
"""
STOPPED: Final = 130
_SIGNALS: Final = ("SIGINT", "SIGTERM", "SIGHUP")
_NEEDED: Final = ("gguf", "sentencepiece", "torch", "transformers", "peft", "bitsandbytes")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_config(parser)
    parser.add_argument(
        "--demo",
        action="store_true",
        help="train the five tiers that ship, on the small model that ships, on the CPU",
    )
    parser.add_argument(
        "--plain", action="store_true", help="print lines instead of opening the live view"
    )
    parser.add_argument(
        "--json", action="store_true", help="print the run's events, one JSON object a line"
    )


def run(options: argparse.Namespace) -> int:
    """Train what has changed.

    Without the live view, the first Ctrl+C saves and ends, a second one ends at once.

    Returns:
        The exit code: 0, 1 if it failed, 130 if it was stopped.
    """
    # Said here, before a screen opens for a process that could only say the same.
    for package in _NEEDED:
        if find_spec(package) is None:
            raise lacking(package)
    if has_screen() and not (options.json or options.plain or is_one_of_many()):
        from shoritui.tui import watch

        return watch(options)
    show = _show_json if options.json else _shower(words_of(options))
    if is_one_of_many():
        return _train_here(options, show)
    return asyncio.run(_follow(options, show))


async def _follow(options: argparse.Namespace, show: Callable[[Event], None]) -> int:
    code = 0
    async with launched(arguments_of(options)) as running:
        loop = asyncio.get_running_loop()
        for name in _SIGNALS:
            with suppress(NotImplementedError, AttributeError):
                loop.add_signal_handler(getattr(signal, name), running.stop)
        async for event in running:
            show(event)
            code = _code(event, code)
    return code


def _train_here(options: argparse.Namespace, show: Callable[[Event], None]) -> int:
    from shoritui.finetune.config.load import chosen
    from shoritui.finetune.quiet_libraries import quieten
    from shoritui.finetune.run.metrics import recorded

    stop = threading.Event()
    for name in _SIGNALS:
        with suppress(AttributeError):
            signal.signal(getattr(signal, name), lambda *_: stop.set())
    quieten()
    code = 0

    def emit(event: Event) -> None:
        nonlocal code
        code = _code(event, code)
        show(event)

    try:
        config = chosen(options)
        is_first = os.environ["RANK"] == "0"
        heard: AbstractContextManager[Callable[[Event], None]] = (
            recorded(config, emit) if is_first else nullcontext(emit)
        )
        with heard as report:
            train(config, report, stop.is_set)
    except UserError as error:
        emit(Failed(str(error)))
    return code


def _code(event: Event, before: int) -> int:
    if isinstance(event, Failed):
        return 1
    return STOPPED if isinstance(event, RunEnded) and event.stopped else before


def _show_json(event: Event) -> None:
    print(to_json(event), flush=True)


def _shower(words: Sequence[str]) -> Callable[[Event], None]:
    lines = Lines(words=words)

    def show(event: Event) -> None:
        failed = isinstance(event, Failed)
        for line in lines.of(event):
            if failed:
                print_error(line)
            else:
                print(line, flush=True)

    return show
