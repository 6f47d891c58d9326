"""A training process from the outside: its start, its events, its end."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from shoritui.errors import UserError
from shoritui.files import open_file
from shoritui.finetune.config.load import FILE
from shoritui.finetune.events import Event, Failed, Reported, RunEnded, Stepped, from_json
from shoritui.finetune.run.crash_causes import likely_cause
from shoritui.folders import cache_dir
from shoritui.host.process import environment, log_tail, python_command, why_not_started

COMMAND: Final = python_command("shoritui.finetune.run.worker")
_PATIENCE: Final = 90.0
"""Seconds that a process may take to save and end, once nobody listens to it any more."""
_LOOK: Final = 0.1
"""Seconds between two looks at whether it is still there."""
_KEPT_LOGS: Final = 20
_CHUNK: Final = 65536


def arguments_of(options: argparse.Namespace) -> tuple[str, ...]:
    """Return the worker's arguments for the command line's `config` and `demo`."""
    return ("--demo",) if options.demo else (str(options.config),)


def words_of(options: argparse.Namespace) -> tuple[str, ...]:
    """Return the words after `shoritui finetune` that name this run in a sentence."""
    words = arguments_of(options)
    return () if words == (FILE,) else words


@asynccontextmanager
async def launched(
    arguments: Sequence[str], command: Sequence[str] = COMMAND
) -> AsyncGenerator[Launched]:
    """A training process; leaving the context makes it save and end, if it has not ended.

    Raises:
        UserError: The process cannot be started.
    """
    log, output = await asyncio.to_thread(_new_log)
    try:
        with output:
            process = await asyncio.create_subprocess_exec(
                *(*command, "--log", str(log), *arguments),
                stdin=PIPE,
                stdout=PIPE,
                stderr=output,
                env=environment(),
                start_new_session=True,  # the terminal's Ctrl+C is for whoever watches
                limit=_CHUNK,
            )
    except OSError as error:
        why = why_not_started(error)
        raise UserError(f"The training process cannot be started ({why}).") from error
    run = Launched(process, log)
    try:
        yield run
    finally:
        await run.end()


class Launched:
    """A running training process; iterating over it gives its events until it has ended.

    The last event is always a `RunEnded` or a `Failed`, however the process ended.
    """

    def __init__(self, process: Process, log: Path) -> None:
        self.log = log
        """What its libraries print."""
        self._process = process
        self._asked = False
        self._killed = False
        self._steps = 0
        self._seconds = 0.0
        self._clearing = asyncio.create_task(self._clear_up())

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def stop(self) -> None:
        """Ask it to save and end; asked again, it is killed and what was not saved is lost."""
        if self._asked:
            self._killed = True
            self._kill()
        self._ask()

    async def __aiter__(self) -> AsyncIterator[Event]:
        async for line in self._lines():
            event = _event(line)
            if event is None:
                continue
            if isinstance(event, Stepped):
                self._steps += 1
                self._seconds += event.seconds
            yield event
            if isinstance(event, RunEnded | Failed):
                await self.end()
                return
        await self._process.wait()
        for event in await asyncio.to_thread(self._last_words):
            yield event

    async def end(self) -> None:
        """Has it ended: it saves first if it still runs, and is killed if it never comes to it."""
        self._ask()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    await self._drain()
                    await self._process.wait()
        finally:
            self._kill()
            await self._process.wait()
            self._clearing.cancel()

    def _ask(self) -> None:
        self._asked = True
        assert self._process.stdin is not None
        self._process.stdin.close()

    def _kill(self) -> None:
        """End it and every process that it started."""
        with suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            elif self._process.returncode is None:
                self._process.kill()

    async def _lines(self) -> AsyncIterator[bytes]:
        """Whole lines; a torn last one, of a process that was killed in it, is left out."""
        rest = b""
        while chunk := await self._read():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield line
            await asyncio.sleep(0)  # a flood must not keep the keys from being read

    async def _clear_up(self) -> None:
        """Once it is gone, nothing that it started may hold its pipes open.

        `Process.wait` would wait for that very thing.
        """
        while self._process.returncode is None:
            await asyncio.sleep(_LOOK)
        self._kill()

    async def _drain(self) -> None:
        while await self._read():
            pass

    async def _read(self) -> bytes:
        assert self._process.stdout is not None
        with suppress(ConnectionError):
            return await self._process.stdout.read(_CHUNK)
        return b""

    def _last_words(self) -> tuple[Event, ...]:
        if self._killed:
            sentence = "It was ended at once; what was done since it last saved is lost."
            return Reported(sentence), RunEnded(True, self._steps, self._seconds, "")
        cause = likely_cause(self._process.returncode or 0, self._tail())
        return (Failed(f"The training process ended: {cause}. The log is {self.log}."),)

    def _tail(self) -> str:
        try:
            with open_file(self.log) as log:
                return log_tail(log)
        except OSError:
            return ""


def _event(line: bytes) -> Event | None:
    """The event of a line; none if something printed before the worker could take its output."""
    try:
        return from_json(line.decode("utf-8", "replace"))
    except ValueError:
        return None


def _new_log() -> tuple[Path, BinaryIO]:
    """This run's log, open to be written; of the older ones, some are kept."""
    folder = cache_dir() / "finetune" / "logs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in sorted(folder.glob("*.log"))[: -_KEPT_LOGS + 1]:
            old.unlink(missing_ok=True)
        log, name = tempfile.mkstemp(".log", time.strftime("%Y%m%d-%H%M%S-"), folder)
        return Path(name), os.fdopen(log, "wb")
    except OSError as error:
        raise UserError(f"{folder}: the log's folder cannot be used: {error.strerror}.") from None
