"""The engine as the rest of the program sees it: asyncio, one model, a worker that may die.

Only the worker imports llama.cpp. `describe` and `inspect_model` ask a worker of their own, which
lives no longer than its answer, and wait for it: they are for where no event loop runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from shoritui.engine.interface import (
    DEFAULT_OPTIONS,
    Adapter,
    EngineDescription,
    EngineOptions,
    EngineState,
    EngineStats,
    Evaluated,
    Evaluation,
    Event,
    Finished,
    ModelInfo,
    ObservedEngine,
    Outcome,
    Phase,
    PromptPlan,
    SampledToken,
    Segment,
    Text,
    WorkerDied,
)
from shoritui.engine.length_guide import LengthGuide
from shoritui.engine.sampling_params import Sampling
from shoritui.engine.worker import protocol
from shoritui.engine.worker.process import Call, WorkerProcess
from shoritui.engine.worker.protocol import Request, T
from shoritui.errors import UserError
from shoritui.files import open_file
from shoritui.text import encodable


@dataclass(frozen=True, slots=True)
class _Wanted:
    path: Path
    options: EngineOptions


class Engine(ObservedEngine):
    """A model in a worker process of its own.

    Calls wait for each other in the order they came. If the worker dies, the call in flight raises
    `WorkerDied`, a new worker loads the same model, and the next call waits for it. One that dies
    while it loads is started again by the next call.
    """

    def __init__(self, on_change: Callable[[EngineState], None] | None = None) -> None:
        super().__init__(on_change)
        self._ids = count()
        self._wanted: _Wanted | None = None
        self._worker: WorkerProcess | None = None
        self._loading: asyncio.Task[WorkerProcess] | None = None
        self._moving = self.state
        """What was done when the worker fell silent."""

    async def open(self, model: Path, options: EngineOptions = DEFAULT_OPTIONS) -> ModelInfo:
        """Load a model, in place of the one before.

        Raises:
            WorkerDied: The worker ended meanwhile; the next call tries once more.
            UserError: The model cannot be loaded.
        """
        try:
            await asyncio.to_thread(check_model_file, model)
        except UserError as error:
            if self._wanted is None:
                self._become("failed", message=str(error))
            raise
        await self.close()
        self._wanted = _Wanted(model.absolute(), options)
        try:
            await self._ready()
        except WorkerDied:
            raise  # the next call starts it again
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
        top_logprobs: int = 0,
        idle: bool = False,
        guide: LengthGuide | None = None,
    ) -> AsyncGenerator[Event, None]:
        """Write on after the document until its block ends; the last event is `Finished`.

        The last segment is an open header or an open message. `penalized` are the message bodies,
        newest last, whose tokens penalties and DRY see; `names` are the cast's, at which DRY's
        sequences end. With `top_logprobs` the log-probabilities of each token and of so many
        likeliest ones come with the text; they are the model's own, before the sampler and the
        `guide`, which leads the message's end. Leaving the iterator early cancels. Raises
        `UserError` if the document does not fit, `WorkerDied` if the worker ends meanwhile.

        What is written `idle` stands beside the sequence of the cache that is in use, which stays
        as it is. It ends as cancelled once anything else is asked, and `state` tells nothing of it;
        `UserError` where the cache has but one sequence.
        """
        if max_tokens < 1:
            raise UserError(f"The token limit is {max_tokens}: expected at least 1.")
        request = protocol.Generate(
            next(self._ids),
            _clean(document),
            sampling,
            max_tokens,
            list(map(encodable, penalized)),
            list(map(encodable, names)),
            top_logprobs,
            idle,
            guide,
        )
        async with self._call(request) as call:
            async for reply in call:
                if isinstance(reply, protocol.Happened):
                    event = reply.event
                else:
                    event = Finished(protocol.value_of(reply, Outcome))
                if not idle:
                    self._follow(event)
                yield event

    async def prefill(self, document: Sequence[Segment], *, idle: bool = False) -> Evaluation:
        """Evaluate the document ahead of need.

        `idle` work goes on in small steps and gives way as soon as anything else is asked; where
        the document drops what is held, it is built beside that as far as memory allows.
        """
        request = protocol.Prefill(next(self._ids), _clean(document), idle)
        return await self._answer(request, Evaluation)

    async def adapt(self, adapters: Sequence[Adapter]) -> ModelInfo:
        """Take these LoRA adapters in place of those before, without loading the model again.

        `UserError` if one cannot be loaded or does not fit the model; those before then stay.
        """
        assert self._wanted is not None
        request = protocol.SetAdapters(next(self._ids), list(adapters))
        self.info = info = await self._answer(request, ModelInfo)
        options = replace(self._wanted.options, adapters=tuple(adapters))
        self._wanted = replace(self._wanted, options=options)
        return info

    async def score(self, document: Sequence[Segment], candidates: Sequence[str]) -> list[float]:
        """Return how likely each candidate is right after the document: natural logprobs.

        Of each candidate only the beginning counts that tells it from the others; often that is
        its first token, and nothing beyond the document is evaluated.
        """
        request = protocol.Score(
            next(self._ids), _clean(document), list(map(encodable, candidates))
        )
        return await self._answer(request, list[float])

    async def logprobs(self, document: Sequence[Segment]) -> list[list[float]]:
        """Return the natural logprob of each token of each segment, given all before it.

        The first token of all counts as certain. All is evaluated anew.
        """
        request = protocol.ReadLogprobs(next(self._ids), _clean(document))
        return await self._answer(request, list[list[float]])

    async def plan(self, document: Sequence[Segment]) -> PromptPlan:
        """Return the document's tokens, and how many need not be evaluated; nothing is done.

        A document may be planned that does not fit into the context.
        """
        request = protocol.PlanPrompt(next(self._ids), _clean(document))
        return await self._answer(request, PromptPlan)

    async def alternatives(
        self, document: Sequence[Segment], text: str, *, count: int
    ) -> list[SampledToken]:
        """Return the tokens of a text that goes on after the document, up to its block's end.

        Beside each token stand so many of the likeliest at its place. The texts together are the
        text: a token that ends inside a character has none. It takes one evaluation of the text,
        and of what comes before it only what is not held; what is held stays. `UserError` if there
        is no room for that, or it was cancelled.
        """
        request = protocol.ReadAlternatives(
            next(self._ids), _clean(document), encodable(text), count
        )
        return await self._answer(request, list[SampledToken])

    async def count(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has."""
        return [len(ids) for ids in await self._tokenize(texts, document=False)]

    async def tokens(self, document: Sequence[Segment]) -> list[int]:
        """Return the ids that the model would read."""
        texts = [segment.text for segment in document]
        return [id_ for ids in await self._tokenize(texts, document=True) for id_ in ids]

    async def pieces(self, ids: Sequence[int]) -> list[str]:
        """Return the text of each token; a part of a character shows as U+FFFD."""
        return await self._answer(protocol.Detokenize(next(self._ids), list(ids)), list[str])

    async def stats(self) -> EngineStats:
        """Return what was evaluated since the model was loaded."""
        return await self._answer(protocol.ReadStats(next(self._ids)), EngineStats)

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
            if self.state.phase == "failed":
                self._load("restarting", self.state.message)
            else:
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
        worker = await WorkerProcess.start(lambda: self._ended(worker), self._fell_silent)
        try:
            request = protocol.Open(next(self._ids), wanted.path, wanted.options)
            with worker.call(request) as call:
                async for reply in call:
                    if isinstance(reply, protocol.Loading):
                        self._become("loading", reply.progress)
                    else:
                        self.info = protocol.value_of(reply, ModelInfo)
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

    def _fell_silent(self, is_silent: bool) -> None:
        """A worker stands still, or moves again."""
        if is_silent:
            self._moving = self.state
            self._become("silent")
        elif self.state.phase == "silent":
            self._become(self._moving.phase, self._moving.progress, self._moving.message)

    @asynccontextmanager
    async def _call(self, request: Request) -> AsyncGenerator[Call]:
        worker = await self._ready()
        try:
            with worker.call(request) as call:
                yield call
        finally:
            if worker is self._worker and self.state.phase != "ready":
                self._become("ready")

    async def _answer(self, request: Request, kind: type[T]) -> T:
        """What a request asks for, which is of this kind."""
        async with self._call(request) as call:
            async for reply in call:
                if isinstance(reply, protocol.Happened):
                    self._follow(reply.event)
        return protocol.value_of(reply, kind)

    async def _tokenize(self, texts: Sequence[str], *, document: bool) -> list[list[int]]:
        request = protocol.Tokenize(next(self._ids), list(map(encodable, texts)), document)
        return await self._answer(request, list[list[int]])

    def _follow(self, event: Event) -> None:
        match event:
            case Evaluated(done=done, total=total):
                self._become("evaluating", done / total)
            case Text():
                self._become("generating")
            case Finished():
                self._become("ready")


def check_model_file(path: Path) -> None:
    """Raise a `UserError` unless `path` is a readable GGUF file."""
    try:
        with open_file(path) as file:
            magic = file.read(4)
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such model file.") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder: expected a GGUF file.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    if magic != b"GGUF":
        raise UserError(f"{path} is not a GGUF file: expected a model in llama.cpp's format.")


def describe() -> EngineDescription:
    """Return what is installed and what it can use; `UserError` if it cannot be loaded."""
    return asyncio.run(_ask_once(protocol.Describe(0), EngineDescription))


def inspect_model(path: Path, options: EngineOptions = DEFAULT_OPTIONS) -> ModelInfo:
    """Return what a model would be and need if it were opened, without loading its weights."""
    check_model_file(path)
    return asyncio.run(_ask_once(protocol.Inspect(0, path.absolute(), options), ModelInfo))


async def _ask_once(request: Request, kind: type[T]) -> T:
    worker = await WorkerProcess.start(lambda: None)
    try:
        with worker.call(request) as call:
            *_, reply = [reply async for reply in call]
    except WorkerDied:
        raise UserError(f"llama.cpp cannot be used: {worker.cause}.") from None
    finally:
        await worker.stop()
    return protocol.value_of(reply, kind)


def _clean(document: Sequence[Segment]) -> list[Segment]:
    return [Segment(encodable(segment.text), segment.source) for segment in document]
