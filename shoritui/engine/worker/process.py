"""One worker process from the outside: its start, the calls to it, its silence, its end."""

from __future__ import annotations

import asyncio
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, Final, Self

from shoritui.engine.interface import WorkerDied
from shoritui.engine.worker import protocol
from shoritui.engine.worker.crash_causes import likely_cause
from shoritui.engine.worker.protocol import Reply, Request
from shoritui.errors import UserError
from shoritui.host.process import environment, log_tail, python_command

COMMAND: Final = python_command("shoritui.engine.worker")
HANG_SECONDS: Final = 15.0
"""How long a worker may be silent after a cancel: one step of a slow model takes a few seconds."""
_STOP_SECONDS: Final = 2.0


class Call:
    """A request in flight: its replies in their order, up to the last one."""

    def __init__(self, worker: WorkerProcess) -> None:
        self._worker = worker
        self.replies: asyncio.Queue[Reply | None] = asyncio.Queue()
        """Those that came, and None once the worker has ended."""
        self.answered = False
        """Whether the last reply came."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Reply:
        if self.answered:
            raise StopAsyncIteration
        reply = await self.replies.get()
        if reply is None:
            raise WorkerDied(f"The model's process ended: {self._worker.cause}.")
        self.answered = protocol.is_last(reply)
        if isinstance(reply, protocol.Failed):
            raise UserError(reply.sentence)
        return reply


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
        self._watchdog = Watchdog(self._kill_hung, hang_seconds)
        self._calls: dict[int, Call] = {}
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

    @contextmanager
    def call(self, request: Request) -> Iterator[Call]:
        """Send a request; leaving early cancels it. Replies raise `UserError`, `WorkerDied`."""
        call = self._calls[request.id] = Call(self)
        try:
            self._watchdog.sent(request.id)
            self._send(request)
            yield call
        finally:
            del self._calls[request.id]
            if not call.answered:
                self._cancel(request.id)

    def cancel(self) -> None:
        """End all requests in flight early; their last replies still come."""
        for id_ in self._calls:
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
        self._watchdog.cancelled(id_)

    def _kill_hung(self) -> None:
        self._killed_for = f"it did not answer for {self._watchdog.seconds:g} seconds"
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
                self._watchdog.heard(reply.id, last=protocol.is_last(reply))
                if reply.id in self._calls:
                    self._calls[reply.id].replies.put_nowait(reply)
        status = await self._process.wait()
        if self._stopping:
            self.cause = "it was closed"
        else:
            self.cause = self._killed_for or likely_cause(status, log_tail(self._log))
        self._watchdog.end()
        self._log.close()
        for call in self._calls.values():
            call.replies.put_nowait(None)
        if not self._stopping:
            self._on_end()


class Watchdog:
    """Waits for signs of life after a cancel.

    Requests are answered in their order: work that nobody cancelled may take its time first.
    """

    def __init__(self, on_silence: Callable[[], None], seconds: float = HANG_SECONDS) -> None:
        self.seconds: Final = seconds
        self._on_silence = on_silence
        self._in_flight: set[int] = set()
        self._cancelled: set[int] = set()
        self._alarm: asyncio.TimerHandle | None = None

    def sent(self, id_: int) -> None:
        """A request is on its way; later ones have larger numbers."""
        self._in_flight.add(id_)

    def cancelled(self, id_: int) -> None:
        """It shall end early."""
        self._cancelled.add(id_)
        if self._alarm is None:
            self._set()

    def heard(self, id_: int, *, last: bool) -> None:
        """The worker lives: it replied to this request, perhaps for the last time."""
        if last:
            self._in_flight.discard(id_)
        if self._alarm is not None:
            self._set()

    def end(self) -> None:
        """Nothing more is expected."""
        self._in_flight.clear()
        self._set()

    def _set(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._cancelled &= self._in_flight
        if self._cancelled:
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_later(self.seconds, self._silent)

    def _silent(self) -> None:
        if min(self._in_flight) in self._cancelled:
            self.end()
            self._on_silence()
        else:
            self._set()
