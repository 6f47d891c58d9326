"""One worker process from the outside: starting, asking, its end.

It does not know which model is open or what to do when the worker dies; `client.py` does.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from shoritui.engine import protocol
from shoritui.engine.causes import likely_cause
from shoritui.engine.interface import WorkerDied
from shoritui.engine.protocol import Reply, Request
from shoritui.engine.watch import HANG_SECONDS, Watch
from shoritui.errors import UserError

# -P: a file in the user's current folder must never be taken for one of our libraries.
COMMAND: Final = (sys.executable, "-P", "-m", "shoritui.engine.worker")
_STOP_SECONDS: Final = 2.0
_LOG_TAIL: Final = 4000


def environment() -> dict[str, str]:
    """The worker's environment: this package comes first where Python looks."""
    root = str(Path(__file__).parents[2])
    others = os.environ.get("PYTHONPATH")
    return os.environ | {"PYTHONPATH": f"{root}{os.pathsep}{others}" if others else root}


class WorkerProcess:
    """A running worker. Its output goes to a nameless temporary file, never to the terminal.

    One that stays silent after a cancel hangs, as a GPU's driver can make it: it is killed.
    """

    def __init__(
        self,
        process: Process,
        log: BinaryIO,
        on_end: Callable[[], None],
        hang_seconds: float = HANG_SECONDS,
    ) -> None:
        self._process = process
        self._log = log
        self._on_end = on_end
        self._watch = Watch(self._kill_hung, hang_seconds)
        self._replies: dict[int, asyncio.Queue[Reply | None]] = {}
        self._stopping = False
        self._killed_for = ""
        self.cause = ""
        """Why it ended, once it did."""
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(
        cls, on_end: Callable[[], None], *, hang_seconds: float = HANG_SECONDS
    ) -> WorkerProcess:
        """Start one; `on_end` is called if it ends without `stop`."""
        log = tempfile.TemporaryFile()  # noqa: SIM115  it lives as long as the worker
        try:
            process = await asyncio.create_subprocess_exec(
                *COMMAND,
                stdin=PIPE,
                stdout=PIPE,
                stderr=log,
                env=environment(),
                start_new_session=True,  # the terminal's Ctrl+C is for the app
            )
        except OSError as error:
            log.close()
            raise UserError(f"The engine's process cannot be started: {error}.") from error
        return cls(process, log, on_end, hang_seconds)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    async def ask(self, request: Request) -> AsyncGenerator[Reply, None]:
        """All replies to a request; leaving early cancels it. `UserError`, `WorkerDied`."""
        queue = self._replies[request.id] = asyncio.Queue()
        answered = False
        try:
            self._watch.sent(request.id)
            self._send(request)
            while not answered:
                reply = await queue.get()
                if reply is None:
                    raise WorkerDied(f"The model's process ended: {self.cause}.")
                answered = protocol.is_last(reply)
                if isinstance(reply, protocol.Failed):
                    raise UserError(reply.sentence)
                yield reply
        finally:
            del self._replies[request.id]
            if not answered:
                self._cancel(request.id)

    def cancel(self) -> None:
        """End all requests in flight early; their last replies still come."""
        for id_ in self._replies:
            self._cancel(id_)

    async def stop(self) -> None:
        """End the process, by force if need be."""
        self._stopping = True
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), _STOP_SECONDS)
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        await self._reading

    def _cancel(self, id_: int) -> None:
        self._send(protocol.Cancel(id_))
        self._watch.cancelled(id_)

    def _kill_hung(self) -> None:
        self._killed_for = f"it did not answer for {self._watch.seconds:g} seconds"
        with suppress(ProcessLookupError):
            self._process.kill()

    def _send(self, request: Request) -> None:
        stdin = self._process.stdin
        if self.cause or stdin is None or stdin.is_closing():
            return  # whoever asked hears of the end from `_read`
        stdin.write(protocol.frame(request))

    async def _read(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                (length,) = protocol.LENGTH.unpack(await stdout.readexactly(protocol.LENGTH.size))
                reply = protocol.reply(await stdout.readexactly(length))
                self._watch.heard(reply.id, last=protocol.is_last(reply))
                if reply.id in self._replies:
                    self._replies[reply.id].put_nowait(reply)
        status = await self._process.wait()
        if self._stopping:
            self.cause = "it was closed"
        else:
            self.cause = self._killed_for or likely_cause(status, self._tail())
        self._watch.end()
        self._log.close()
        for queue in self._replies.values():
            queue.put_nowait(None)
        if not self._stopping:
            self._on_end()

    def _tail(self) -> str:
        self._log.seek(max(self._log.seek(0, os.SEEK_END) - _LOG_TAIL, 0))
        return self._log.read().decode("utf-8", "replace")
