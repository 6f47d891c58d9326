"""The engine as the rest of the program sees it: asyncio, one model, a worker that may die.

It does not know llama.cpp, which only the worker process imports.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from shoritui.engine import protocol
from shoritui.engine.files import check_model_file
from shoritui.engine.interface import (
    DEFAULT_OPTIONS,
    Adapter,
    EngineOptions,
    EngineState,
    EngineStats,
    Evaluated,
    Evaluation,
    Event,
    Finished,
    ModelInfo,
    Phase,
    Segment,
    Text,
    WorkerDied,
)
from shoritui.engine.process import WorkerProcess
from shoritui.engine.protocol import Reply, Request
from shoritui.engine.sampling import Sampling
from shoritui.errors import UserError


@dataclass(frozen=True, slots=True)
class _Wanted:
    path: Path
    options: EngineOptions


class Engine:
    """A model in a worker process of its own.

    Calls wait for each other in the order they came. If the worker dies, the call in flight raises
    `WorkerDied`, a new worker loads the same model, and the next call waits for it.
    """

    def __init__(self, on_change: Callable[[EngineState], None] | None = None) -> None:
        self.state = EngineState()
        self.info: ModelInfo | None = None
        self._on_change = on_change
        self._ids = count()
        self._wanted: _Wanted | None = None
        self._worker: WorkerProcess | None = None
        self._loading: asyncio.Task[WorkerProcess] | None = None

    async def open(self, model: Path, options: EngineOptions = DEFAULT_OPTIONS) -> ModelInfo:
        """Load a model, in place of the one before; `UserError` if it cannot be loaded."""
        try:
            check_model_file(model)
        except UserError as error:
            if self._wanted is None:
                self._become("failed", message=str(error))
            raise
        await self.close()
        self._wanted = _Wanted(model.absolute(), options)
        try:
            await self._ready()
        except UserError:
            self._wanted = None
            raise
        assert self.info is not None
        return self.info

    async def generate(
        self,
        document: Sequence[Segment],
        sampling: Sampling,
        *,
        max_tokens: int,
        penalized: Sequence[str] = (),
        names: Sequence[str] = (),
        likeliest: int = 0,
        idle: bool = False,
    ) -> AsyncGenerator[Event, None]:
        """Write on after the document until its block ends; the last event is `Finished`.

        The last segment is an open header or an open message. `penalized` are the message bodies,
        newest last, whose tokens penalties and DRY see; `names` are the cast's, at which DRY's
        sequences end. With `likeliest` the probabilities of each token and of so many likeliest
        ones come with the text. Leaving the iterator early cancels. Raises `UserError` if the
        document does not fit, `WorkerDied` if the worker ends meanwhile.

        What is written `idle` stands beside the line of the cache that is in use, which stays as
        it is. It ends as cancelled once anything else is asked, and `state` tells nothing of it;
        `UserError` where the cache has but one line.
        """
        if max_tokens < 1:
            raise UserError(f"The token limit is {max_tokens}: expected at least 1.")
        request = protocol.Generate(
            next(self._ids),
            _clean(document),
            sampling,
            max_tokens,
            list(map(_encodable, penalized)),
            list(map(_encodable, names)),
            likeliest,
            idle,
        )
        async with aclosing(self._ask(request)) as replies:
            async for reply in replies:
                assert isinstance(reply, protocol.Happened)
                yield reply.event

    async def prefill(self, document: Sequence[Segment], *, idle: bool = False) -> Evaluation:
        """Evaluate the document ahead of need.

        `idle` work goes on in small steps and gives way as soon as anything else is asked; where
        the document drops what is held, it is built beside that as far as memory allows.
        """
        request = protocol.Prefill(next(self._ids), _clean(document), idle)
        reply = await self._answer(request)
        assert isinstance(reply, protocol.Prefilled)
        return reply.evaluation

    async def adapt(self, adapters: Sequence[Adapter]) -> ModelInfo:
        """Take these LoRA adapters in place of those before, without loading the model again.

        `UserError` if one cannot be loaded or does not fit the model; those before then stay.
        """
        assert self._wanted is not None
        reply = await self._answer(protocol.Adapt(next(self._ids), list(adapters)))
        assert isinstance(reply, protocol.Opened)
        options = replace(self._wanted.options, adapters=tuple(adapters))
        self._wanted = replace(self._wanted, options=options)
        self.info = reply.info
        return reply.info

    async def score(self, document: Sequence[Segment], candidates: Sequence[str]) -> list[float]:
        """How likely each candidate is right after the document: natural log-probabilities.

        Of each candidate only the beginning counts that tells it from the others; often that is
        its first token, and nothing beyond the document is evaluated.
        """
        request = protocol.Score(
            next(self._ids), _clean(document), list(map(_encodable, candidates))
        )
        reply = await self._answer(request)
        assert isinstance(reply, protocol.Scored)
        return reply.scores

    async def count(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has."""
        return [len(ids) for ids in await self._tokenize(texts, document=False)]

    async def tokens(self, document: Sequence[Segment]) -> list[int]:
        """The ids that the model would read."""
        texts = [segment.text for segment in document]
        return [id_ for ids in await self._tokenize(texts, document=True) for id_ in ids]

    async def pieces(self, ids: Sequence[int]) -> list[str]:
        """The text of each token; a part of a character shows as U+FFFD."""
        reply = await self._answer(protocol.Spell(next(self._ids), list(ids)))
        assert isinstance(reply, protocol.Spelled)
        return reply.pieces

    async def stats(self) -> EngineStats:
        """What was evaluated since the model was loaded."""
        reply = await self._answer(protocol.Count(next(self._ids)))
        assert isinstance(reply, protocol.Counted)
        return reply.stats

    async def cancel(self) -> None:
        """End the calls in flight early: a generation still finishes with its outcome."""
        if self._worker is not None:
            self._worker.cancel()

    async def close(self) -> None:
        """End the worker; no process stays behind. `open` may follow."""
        self._wanted = None
        loading, self._loading = self._loading, None
        if loading is not None:
            loading.cancel()
            with suppress(asyncio.CancelledError, UserError):
                await loading
        worker, self._worker = self._worker, None
        if worker is not None:
            await worker.stop()
        self.info = None
        self._become("closed")

    async def _ready(self) -> WorkerProcess:
        """The worker, its model loaded; after a failed restart every call tries once more."""
        if self._loading is None or (self._loading.done() and self._worker is None):
            if self._wanted is None:
                failed = self.state.message if self.state.phase == "failed" else ""
                raise UserError(failed or "No model is open.")
            self._load("starting")
        loading = self._loading
        assert loading is not None
        try:
            return await asyncio.shield(loading)
        except asyncio.CancelledError:
            if loading.cancelled():
                raise UserError("The engine was closed before the model was ready.") from None
            raise

    def _load(self, phase: Phase, message: str = "") -> None:
        assert self._wanted is not None
        self._become(phase, message=message)
        self._loading = asyncio.create_task(self._start(self._wanted))
        # A restart may fail with nobody waiting: the state has told, no warning is needed.
        self._loading.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def _start(self, wanted: _Wanted) -> WorkerProcess:
        worker = await WorkerProcess.start(lambda: self._ended(worker))
        try:
            request = protocol.Open(next(self._ids), wanted.path, wanted.options)
            async for reply in worker.ask(request):
                if isinstance(reply, protocol.Loading):
                    self._become("loading", reply.progress)
                elif isinstance(reply, protocol.Opened):
                    self.info = reply.info
        except BaseException as error:
            await worker.stop()
            if isinstance(error, UserError):
                self._become("failed", message=str(error))
            raise
        self._worker = worker
        self._become("ready")
        return worker

    def _ended(self, worker: WorkerProcess) -> None:
        """A worker died; while it was loading, `_start` hears of it from its own call."""
        if worker is self._worker:
            self._worker = None
            self._load("restarting", f"The model's process ended: {worker.cause}.")

    async def _ask(self, request: Request) -> AsyncGenerator[Reply, None]:
        is_quiet = isinstance(request, protocol.Generate) and request.idle
        worker = await self._ready()
        try:
            async with aclosing(worker.ask(request)) as replies:
                async for reply in replies:
                    if not is_quiet:
                        self._follow(reply)
                    yield reply
        finally:
            if worker is self._worker and self.state.phase != "ready":
                self._become("ready")

    async def _answer(self, request: Request) -> Reply:
        """The last reply to a request."""
        async with aclosing(self._ask(request)) as replies:
            async for reply in replies:
                if protocol.is_last(reply):
                    return reply
        raise WorkerDied("The model's process did not answer.")

    async def _tokenize(self, texts: Sequence[str], *, document: bool) -> list[list[int]]:
        request = protocol.Tokenize(next(self._ids), list(map(_encodable, texts)), document)
        reply = await self._answer(request)
        assert isinstance(reply, protocol.Tokenized)
        return reply.ids

    def _follow(self, reply: Reply) -> None:
        match reply:
            case protocol.Happened(event=Evaluated(done=done, total=total)):
                self._become("evaluating", done / total)
            case protocol.Happened(event=Text()):
                self._become("generating")
            case protocol.Happened(event=Finished()):
                self._become("ready")

    def _become(self, phase: Phase, progress: float = 0.0, message: str = "") -> None:
        state = EngineState(phase, progress, message)
        if state != self.state:
            self.state = state
            if self._on_change is not None:
                self._on_change(state)


def _clean(document: Sequence[Segment]) -> list[Segment]:
    return [Segment(_encodable(segment.text), segment.source) for segment in document]


def _encodable(text: str) -> str:
    """Half a character pair cannot be sent: it becomes a question mark."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
