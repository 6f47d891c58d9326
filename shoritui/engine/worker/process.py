"""One worker process from the outside: its start, the calls to it, its silence, its end."""

from __future__ import annotations

import asyncio
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, Final, Self

from msgspec import MsgspecError

from shoritui.engine.interface import WorkerDied
from shoritui.engine.worker import protocol
from shoritui.engine.worker.crash_causes import likely_cause
from shoritui.engine.worker.protocol import Reply, Request
from shoritui.errors import UserError
from shoritui.host.process import environment, log_tail, python_command, why_not_started

COMMAND: Final = python_command("shoritui.engine.worker")
BEAT_SECONDS: Final = 1.0
"""How often a worker that has something to do is asked for a sign of life."""
SILENT_BEATS: Final = 3
"""So many unanswered mean that its process stands still: a thread of its own answers at once."""
HANG_BEATS: Final = 15
"""So many without any progress after a cancel, or without a sign of life, and it is killed: one
step of a slow model takes a few seconds."""
_START_BEATS: Final = 60
"""So many may pass before the first sign of life: libraries are loaded from a slow disk."""
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

    One that stands still, or does not end what was cancelled, as a GPU's driver can make it, is
    killed.
    """

    def __init__(
        self,
        process: Process,
        log: BinaryIO,
        on_end: Callable[[], None],
        on_silence: Callable[[bool], None],
        beat: float = BEAT_SECONDS,
    ) -> None:
        self._process = process
        self._log = log
        self._on_end = on_end
        self._watchdog = Watchdog(self._ping, on_silence, self._kill_hung, beat)
        self._calls: dict[int, Call] = {}
        self._stopping = False
        self._killed_for = ""
        self.cause = ""
        """Why it ended, once it did."""
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(
        cls,
        on_end: Callable[[], None],
        on_silence: Callable[[bool], None] = lambda is_silent: None,
        *,
        beat: float = BEAT_SECONDS,
    ) -> WorkerProcess:
        """Start one.

        Args:
            on_end: Called if it ends without `stop`.
            on_silence: Called with True once it stands still while something is asked of it, with
                False once it moves again.
            beat: Seconds between two looks at whether it lives.
        """
        log: BinaryIO = await asyncio.to_thread(tempfile.TemporaryFile)
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
            why = why_not_started(error)
            raise UserError(f"The engine's process cannot be started ({why}).") from error
        return cls(process, log, on_end, on_silence, beat)

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

    def _ping(self) -> None:
        self._send(protocol.Ping(-1))

    def _kill_hung(self, seconds: float) -> None:
        self._kill(f"it did not answer for {seconds:g} seconds")

    def _kill(self, why: str) -> None:
        self._killed_for = why
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
        try:
            while True:
                head = await stdout.readexactly(protocol.LENGTH.size)
                length = protocol.length_of(head)
                reply = protocol.reply(await stdout.readexactly(length))
                self._watchdog.heard(reply)
                if reply.id in self._calls:
                    self._calls[reply.id].replies.put_nowait(reply)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except MsgspecError:
            self._kill("it answers as no engine does: is Python installed as it should be?")
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
    """Counts, while requests are in flight, the beats that pass without a sign of life.

    Beats and not the clock: where this process stood still itself, the other was not silent.
    Requests are answered in their order: work that nobody cancelled may take its time.
    """

    def __init__(
        self,
        ping: Callable[[], None],
        on_silence: Callable[[bool], None],
        on_hang: Callable[[float], None],
        beat: float = BEAT_SECONDS,
    ) -> None:
        self._ping, self._on_silence, self._on_hang = ping, on_silence, on_hang
        self._seconds = beat
        self._in_flight: set[int] = set()
        self._cancelled: set[int] = set()
        self._silent = 0
        """The beats since the last sign of life."""
        self._idle = 0
        """The beats since the last reply, or cancel, that was no answer to a ping."""
        self._has_spoken = False
        self._next: asyncio.TimerHandle | None = None

    def sent(self, id_: int) -> None:
        """A request is on its way; later ones have larger numbers."""
        self._in_flight.add(id_)
        if self._next is None:
            self._silent = 0
            self._wait()

    def cancelled(self, id_: int) -> None:
        """It shall end early."""
        if not self._cancelled:
            self._idle = 0
        self._cancelled.add(id_)

    def heard(self, reply: Reply) -> None:
        """The worker lives."""
        if self._has_spoken and self._silent >= SILENT_BEATS:
            self._on_silence(False)
        self._silent, self._has_spoken = 0, True
        if not isinstance(reply, protocol.Alive):
            self._idle = 0
        if protocol.is_last(reply):
            self._in_flight.discard(reply.id)
            self._cancelled.discard(reply.id)

    def end(self) -> None:
        """Nothing more is expected."""
        self._in_flight.clear()
        if self._next is not None:
            self._next.cancel()

    def _wait(self) -> None:
        self._next = asyncio.get_running_loop().call_later(self._seconds, self._beat)

    def _beat(self) -> None:
        self._next = None
        if not self._in_flight:
            return
        self._silent += 1
        self._idle += 1
        is_cancelled = min(self._in_flight) in self._cancelled
        patience = SILENT_BEATS if is_cancelled else HANG_BEATS
        if self._silent >= (patience if self._has_spoken else _START_BEATS):
            self._on_hang(self._silent * self._seconds)
        elif is_cancelled and self._idle >= HANG_BEATS:
            self._on_hang(self._idle * self._seconds)
        else:
            if self._has_spoken and self._silent == SILENT_BEATS:
                self._on_silence(True)
            self._ping()
            self._wait()
