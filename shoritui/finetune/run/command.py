"""`shoritui finetune` without a screen: the run's events as lines, or as JSON.

It does not know how training goes; a process of its own does that, or, under torchrun, this one.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Final

from shoritui.errors import UserError
from shoritui.finetune.events import Event, Failed, RunEnded, to_json
from shoritui.finetune.run.launch import arguments_of, launched
from shoritui.finetune.run.lines import Lines
from shoritui.finetune.run.training import is_one_of_many, train

STOPPED: Final = 130
_SIGNALS: Final = ("SIGINT", "SIGTERM", "SIGHUP")


def run(options: argparse.Namespace) -> int:
    """Trains what has changed, and tells it line by line.

    The first Ctrl+C saves and ends, a second one ends at once.

    Returns:
        The exit code: 0, 1 if it failed, 130 if it was stopped.
    """
    show = _show_json if options.json else _shower()
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
    from shoritui.finetune.config.choose import chosen
    from shoritui.finetune.model.quiet import quieten
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
        with heard as tell:
            train(config, tell, stop.is_set)
    except UserError as error:
        emit(Failed(str(error)))
    return code


def _code(event: Event, before: int) -> int:
    if isinstance(event, Failed):
        return 1
    return STOPPED if isinstance(event, RunEnded) and event.stopped else before


def _show_json(event: Event) -> None:
    print(to_json(event), flush=True)


def _shower() -> Callable[[Event], None]:
    lines = Lines()

    def show(event: Event) -> None:
        failed = isinstance(event, Failed)
        for line in lines.of(event):
            said = f"shoritui: {line}" if failed else line
            print(said, file=sys.stderr if failed else sys.stdout, flush=True)

    return show
