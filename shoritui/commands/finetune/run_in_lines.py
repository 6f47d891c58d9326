"""`shoritui finetune run` without the live view: as lines or as JSON, in this process or in one of
its own.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Final

from shoritui.commands.output import print_error
from shoritui.errors import UserError
from shoritui.finetune.events import Event, Failed, RunEnded, to_json
from shoritui.finetune.run.launch import arguments_of, launched, words_of
from shoritui.finetune.run.plain_lines import Lines
from shoritui.finetune.run.train import train
from shoritui.host.signals import ending_signals

_STOPPED: Final = 130


def run_here(options: argparse.Namespace) -> int:
    """Train in this process, which `torchrun` started; return the exit code."""
    return _train_here(options, _shown(options))


def follow(options: argparse.Namespace) -> int:
    """Train in a process of its own, and show its events; return the exit code."""
    return asyncio.run(_follow(options, _shown(options)))


def _shown(options: argparse.Namespace) -> Callable[[Event], None]:
    return _show_json if options.json else _shower(words_of(options))


async def _follow(options: argparse.Namespace, show: Callable[[Event], None]) -> int:
    code = 0
    async with launched(arguments_of(options)) as running:
        loop = asyncio.get_running_loop()
        for number in ending_signals():
            with suppress(NotImplementedError):  # Windows' loop takes no handlers.
                loop.add_signal_handler(number, running.stop)
        async for event in running:
            show(event)
            code = _code(event, code)
    return code


def _train_here(options: argparse.Namespace, show: Callable[[Event], None]) -> int:
    from shoritui.finetune.config.load import chosen
    from shoritui.finetune.quiet_libraries import quieten
    from shoritui.finetune.run.metrics import recorded

    stop = threading.Event()
    for number in ending_signals():
        signal.signal(number, lambda *_: stop.set())
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
    return _STOPPED if isinstance(event, RunEnded) and event.stopped else before


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
