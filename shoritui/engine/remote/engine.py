"""The engine that asks a server: the same calls as the one on this machine, over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from typing import Final, TypeVar

from shoritui.engine.interface import (
    NO_GUIDE,
    Adapter,
    EngineState,
    Evaluation,
    Event,
    Finished,
    ModelInfo,
    ObservedEngine,
    PromptPlan,
    SampledToken,
    Segment,
)
from shoritui.engine.length_guide import LengthGuide
from shoritui.engine.remote.completion import Completion, CompletionClient
from shoritui.engine.remote.detect import detect
from shoritui.engine.remote.http import Broken, HttpClient, Refused, Unreachable
from shoritui.engine.remote.server import Server
from shoritui.engine.sampling_params import Sampling
from shoritui.errors import UserError
from shoritui.text import encodable

T = TypeVar("T")

_GONE: Final = (404, 405)


class RemoteEngine(ObservedEngine):
    """A model that a server runs.

    Calls wait for each other in the order they came. If the server goes away during a call, that
    call raises `WorkerDied`, and the next one looks for the server anew.
    """

    def __init__(self, on_change: Callable[[EngineState], None] | None = None) -> None:
        super().__init__(on_change)
        self._server: Server | None = None
        self._http: HttpClient | None = None
        self._client: CompletionClient | None = None
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[object]] = set()
        self._idle: asyncio.Task[object] | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of the server and has not been told yet, in sentences."""
        return tuple(self._client.found.notes) if self._client is not None else ()

    async def open(self, server: Server) -> ModelInfo:
        """Find the server and what it has; `UserError` if it is not there or cannot be used.

        Calls after an error look for it once more.
        """
        await self.close()
        self._server = server
        return await self._answer(self._call(_info))

    async def generate(
        self,
        document: Sequence[Segment],
        sampling: Sampling,
        *,
        max_tokens: int,
        penalized: Sequence[str] = (),
        names: Sequence[str] = (),
        top_logprobs: int = 0,
        idle: bool = False,
        guide: LengthGuide | None = None,
    ) -> AsyncGenerator[Event, None]:
        """Write on after the document until its block ends; the last event is `Finished`.

        As `Engine.generate`, but that a server's penalties see its whole prompt: `penalized` is
        not sent. Leaving the iterator early ends the connection, at which the server stops.
        Nothing is written `idle`: others may wait for the server, or pay for it. Servers take one
        bias for a whole message, so there is no `guide`.
        """
        if idle:
            raise UserError("Nothing is written ahead on a server: others may be waiting for it.")
        if guide is not None:
            raise UserError(NO_GUIDE)
        if max_tokens < 1:
            raise UserError(f"The token limit is {max_tokens}: expected at least 1.")
        call = Completion(_texts(document), sampling, max_tokens, names, top_logprobs)
        events: asyncio.Queue[Event | None] = asyncio.Queue()
        task = self._begin(self._write(call, events.put_nowait))
        task.add_done_callback(lambda _: events.put_nowait(None))
        try:
            while (event := await events.get()) is not None:
                yield event
            if not task.cancelled():
                task.result()
                return
            yield Finished(call.outcome("cancelled"))
        finally:
            await self._end(task)

    async def prefill(self, document: Sequence[Segment], *, idle: bool = False) -> Evaluation:
        """Evaluate the document ahead of need, where the server keeps what it evaluated.

        `idle` work is not begun beside other work, and ends as soon as anything else is asked.
        """
        if idle and (self._turn.locked() or self._client is None):
            return Evaluation(0, 0, False)
        task = self._begin(self._call(lambda client: client.evaluate(_texts(document))))
        if idle:
            self._idle = task
        return await self._result(task) or Evaluation(0, 0, False)

    async def adapt(self, adapters: Sequence[Adapter]) -> ModelInfo:
        """Refuse adapters with a `UserError`: a server has its own."""
        if adapters:
            raise UserError(
                "A server has its own LoRA adapters: start it with them, and leave the setting "
                "adapters empty."
            )
        return await self._answer(self._call(_info))

    async def score(self, document: Sequence[Segment], candidates: Sequence[str]) -> list[float]:
        """Return how likely each candidate is right after the document: natural logprobs.

        Servers tell only their likeliest tokens: a candidate that does not begin with one of these
        counts as the least likely of them. `UserError` if the server tells none.
        """
        prompt, texts = "".join(_texts(document)), list(map(encodable, candidates))
        return await self._answer(self._call(lambda client: client.score(prompt, texts)))

    async def plan(self, document: Sequence[Segment]) -> PromptPlan:
        """Return the document's tokens as far as the server tells them; what it holds is unknown.

        Where it does not count, they are estimates.
        """
        texts = _texts(document)
        return await self._answer(self._call(lambda client: client.found.tokenizer.plan(texts)))

    async def alternatives(
        self, document: Sequence[Segment], text: str, *, count: int
    ) -> list[SampledToken]:
        """Refuse with a `UserError`: servers tell nothing of a text that is there already."""
        raise UserError("A server does not tell how likely the tokens of a finished text are.")

    async def count(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has; an estimate where the server does not count."""
        return await self._answer(self._call(lambda client: client.found.tokenizer.count(texts)))

    async def tokens(self, document: Sequence[Segment]) -> list[int]:
        """Return the ids that the model would read; `UserError` if the server tells none."""
        prompt = "".join(_texts(document))
        return await self._answer(self._call(lambda client: client.found.tokenizer.ids(prompt)))

    async def pieces(self, ids: Sequence[int]) -> list[str]:
        """Return the text of each token; a part of a character shows as U+FFFD."""
        return await self._answer(self._call(lambda client: client.found.tokenizer.pieces(ids)))

    async def cancel(self) -> None:
        """End the calls in flight early: a generation still finishes with its outcome."""
        for task in list(self._tasks):
            task.cancel()

    async def close(self) -> None:
        """End the connections. `open` may follow."""
        running = list(self._tasks)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        self._client = None
        http, self._http = self._http, None
        if http is not None:
            await http.close()
        self._server = self.info = None
        self._become("closed")

    # Calls, one at a time

    def _begin(self, work: Coroutine[object, object, T]) -> asyncio.Task[T]:
        """Start a call; idle work gives way."""
        if self._idle is not None:
            self._idle.cancel()
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _end(self, task: asyncio.Task[T]) -> None:
        """Nothing of a call stays behind, whatever becomes of whoever asked."""
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()

    async def _result(self, task: asyncio.Task[T]) -> T | None:
        """What a call gave; None if it was cancelled."""
        try:
            await asyncio.wait([task])
        finally:
            await self._end(task)
        return None if task.cancelled() else task.result()

    async def _answer(self, work: Coroutine[object, object, T]) -> T:
        answer = await self._result(self._begin(work))
        if answer is None:
            raise UserError("The request to the server was cancelled.")
        return answer

    async def _call(self, ask: Callable[[CompletionClient], Coroutine[object, object, T]]) -> T:
        async with self._turn:
            client = await self._ready()
            try:
                return await ask(client)
            except (Broken, Unreachable) as error:
                self._client = None
                self._become("failed", message=str(error))
                raise
            finally:
                self.info = client.found.info
                if self.state.phase in ("evaluating", "generating"):
                    self._become("ready")

    async def _ready(self) -> CompletionClient:
        """The server; looked for anew if it was not there or went away."""
        if self._server is None:
            raise UserError("No server is open.")
        if self._client is not None:
            return self._client
        self._become("starting", message=f"asking {self._server.shown}")
        try:
            if self._http is None:
                # It reads certificates for a while.
                self._http = await asyncio.to_thread(HttpClient, self._server)
            found = await detect(self._http, self._server)
        except UserError as error:
            self._become("failed", message=str(error))
            raise
        except BaseException:
            self._become("closed")
            raise
        self._client = CompletionClient(self._http, found, self._become)
        self.info = found.info
        self._become("ready")
        return self._client

    async def _write(self, call: Completion, emit: Callable[[Event], None]) -> None:
        try:
            await self._call(lambda client: client.write(call, emit))
        except Refused as error:
            if error.status in _GONE:
                self._client = None  # It may have become another server: the next call looks.
            raise
        emit(Finished(call.outcome()))


def _texts(document: Sequence[Segment]) -> list[str]:
    return [encodable(segment.text) for segment in document]


async def _info(client: CompletionClient) -> ModelInfo:
    return client.found.info
