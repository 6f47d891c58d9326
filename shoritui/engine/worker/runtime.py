"""A loaded model and everything that is asked of it, one call at a time."""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Final

from shoritui.engine.cache.kv_cache import CancelledError, ContextFullError, KVCache
from shoritui.engine.cache.kv_store import KVFiles, KVStore, root_key
from shoritui.engine.cache.plan import common_prefix
from shoritui.engine.cache.token_cache import TokenCache, TokenStore
from shoritui.engine.interface import (
    Adapter,
    EngineOptions,
    EngineStats,
    Evaluated,
    Evaluation,
    Event,
    ModelInfo,
    Outcome,
    PromptPlan,
    SampledToken,
    Segment,
    TokenLogprob,
)
from shoritui.engine.llama.adapters import Adapters, fingerprint
from shoritui.engine.llama.context import AbortFlag
from shoritui.engine.llama.model import BLOCK_CLOSE, Model
from shoritui.engine.llama.placement import place_context, try_out
from shoritui.engine.llama.probe import probe
from shoritui.engine.llama.threads import ThreadMonitor
from shoritui.engine.sampling.banned import BannedPhrases
from shoritui.engine.sampling.logprobs import (
    Ids,
    Logprobs,
    log_softmax,
    logprob_at,
    logprob_of,
    sampled,
    shared_beginnings,
)
from shoritui.engine.sampling.sampler import ChainRequest, Sampler
from shoritui.engine.worker.generation import Generation
from shoritui.engine.worker.protocol import Generate
from shoritui.errors import UserError

TOKEN_FILE: Final = "spellings.db"
"""Beside the KV store's files; the name is part of the format on disk."""
_KEY_LENGTH: Final = 32
_QUIET_SECONDS: Final = 1.0
"""The end of a prompt is saved once nothing was asked for so long."""
_WRITING_SECONDS: Final = 0.02
"""How long a block that is being written is waited for before we look again."""


class Runtime:
    """One model in memory with its KV cache; one call at a time."""

    def __init__(
        self,
        path: Path,
        options: EngineOptions,
        abort: AbortFlag,
        on_progress: Callable[[float], None],
    ) -> None:
        """Load; `UserError` if memory cannot suffice, `ValueError` if the file is no model."""
        found = probe(path, options)
        found.check_memory()
        info = found.info
        self._model = Model(path, n_gpu_layers=info.n_gpu_layers, on_progress=on_progress)
        tuner, seconds_per_id = try_out(self._model, found, options, abort)
        layout = place_context(self._model, found, options, abort, seconds_per_id)
        self._adapters = Adapters(self._model, path, layout.context)
        self._made_of = (fingerprint(path), info.llama_cpp, options.kv_type, info.gpu)
        kv_store = None
        if options.kv_store is not None and not self._model.is_recurrent:
            files = KVFiles(options.kv_store, options.kv_store_bytes)
            shifted = layout.mode == "shift"
            kv_store = KVStore(files, layout.context, layout.scratch, shifted=shifted)
        self._kv_store = kv_store
        self._cache = KVCache(
            layout.context,
            abort,
            n_ctx=layout.n_ctx,
            sequences=layout.sequences,
            scratch=layout.branches,
            shift=layout.mode == "shift",
            kv_store=kv_store,
        )
        self._threads = ThreadMonitor(tuner, layout.context, layout.scratch)
        if self._threads.can_change:
            self._cache.on_evaluated = self._threads.evaluated
            self._cache.on_generated = self._threads.generated
        token_file = options.kv_store / TOKEN_FILE if options.kv_store is not None else None
        self._tokens = TokenCache(self._model, TokenStore(token_file, self._made_of[0]))
        self._sampler = Sampler(self._model, self._tokens)
        self._asked_at = 0.0
        self.info = replace(
            info,
            n_ctx=layout.n_ctx,
            context_mode=layout.mode,
            leads_end=self._model.end is not None,
        )
        self.adapt(options.adapters)

    def adapt(self, adapters: Sequence[Adapter]) -> ModelInfo:
        """Take these adapters in place of those before; `UserError` if one does not fit.

        What was evaluated with others stays where it is, and counts again once they come back.
        """
        keys = self._adapters.take(adapters)
        self._cache.root = root_key(*self._made_of, *keys)
        key = root_key(self._made_of[0], *keys).hex()[:_KEY_LENGTH]
        self.info = replace(self.info, adapters=tuple(adapters), key=key)
        return self.info

    @property
    def stats(self) -> EngineStats:
        """What was evaluated since the model was loaded."""
        held = tuple(len(sequence) for sequence in self._cache.sequences)
        return EngineStats(self._cache.decodes, self._cache.evaluated, held)

    def rest(self) -> float | None:
        """Do one small piece of work that nobody waits for.

        Returns the seconds after which to ask again, None when there is nothing left to do.
        """
        if self._threads.tune_if_due():
            self._cache.forget_logits()
            return 0.0
        if self._cache.save_next():
            return 0.0
        if self._kv_store is not None and self._kv_store.is_busy:
            return _WRITING_SECONDS
        quiet = monotonic() - self._asked_at
        if quiet < _QUIET_SECONDS:
            return _QUIET_SECONDS - quiet
        self._cache.save_prompt()  # not of every word that is being typed
        return None

    def generate(
        self,
        request: Generate,
        emit: Callable[[Event], None],
        give_way: Callable[[], bool] | None = None,
    ) -> Outcome:
        """Write one message after the document; too long a document: `UserError`.

        With `give_way` beside the sequence in use, until that says that other work waits.
        """
        if give_way is not None and len(self._cache.sequences) == 1:
            raise UserError("The context has no room to write anything beside what is read.")
        texts = _texts(request.document)
        prompt = self._prompt(texts)
        phrases = request.sampling.banned
        banned = BannedPhrases(phrases, before=texts[-1][-1:]) if phrases else None
        self._threads.steady(request.sampling.seed is not None)
        asked = ChainRequest(
            request.sampling,
            texts,
            request.penalized,
            request.names,
            idle=request.idle,
            guide=request.guide,
        )
        generation = Generation(
            self._model,
            self._cache,
            banned=banned,
            top_logprobs=request.top_logprobs,
            give_way=give_way,
        )
        sampler = self._sampler.begin(asked)
        outcome = generation.write(prompt, sampler, request.max_tokens, emit)
        if give_way is not None:
            self._cache.step_back()
        if give_way is None or outcome.stop != "cancelled":
            self._keep(texts, generation)
        return outcome

    def prefill(
        self,
        document: Sequence[Segment],
        emit: Callable[[Event], None],
        give_way: Callable[[], bool] | None = None,
    ) -> Evaluation:
        """Evaluate the document ahead of need; `give_way` is that of `KVCache.reach`."""
        prompt = self._prompt(_texts(document))
        return self._cache.reach(prompt, lambda done, of: emit(Evaluated(done, of)), give_way)

    def score(self, document: Sequence[Segment], candidates: Sequence[str]) -> list[float]:
        """Return how likely each candidate's beginning is, as far as it tells it from the others.

        Where the first tokens differ, the logits after the document say it all; the rest takes one
        batch.
        """
        if not self._cache.reach(self._prompt(_texts(document))).complete:
            raise UserError("Scoring was cancelled.")
        branches = [self._tokens.ids(text) for text in candidates]
        shared = shared_beginnings(branches)
        scores: dict[Ids, Logprobs] = {(): log_softmax(self._cache.logits)}
        try:
            behind = self._cache.branches(shared)
        except CancelledError:
            raise UserError("Scoring was cancelled.") from None
        scores |= {begin: log_softmax(row) for begin, row in zip(shared, behind, strict=True)}
        return [logprob_of(branch, scores) for branch in branches]

    def logprobs(self, document: Sequence[Segment]) -> list[list[float]]:
        """Return how likely each token of each segment is behind all that stands before it.

        The first token of all has nothing before it: it counts as certain.
        """
        prompt = self._prompt(_texts(document))
        ids = [id_ for segment in prompt for id_ in segment]
        rows = self._cache.each(ids[:-1])
        try:
            found = [0.0, *(logprob_at(row, id_) for row, id_ in zip(rows, ids[1:], strict=True))]
        except CancelledError:
            raise UserError("Scoring was cancelled.") from None
        each = iter(found)
        return [list(islice(each, len(segment))) for segment in prompt]

    def plan(self, document: Sequence[Segment]) -> PromptPlan:
        """The document's tokens, and how many of them are held; nothing is evaluated."""
        ids = tuple(self._tokens.document(_texts(document)))
        return PromptPlan(tuple(map(len, ids)), ids, self._cache.reused(ids))

    def alternatives(
        self, document: Sequence[Segment], text: str, count: int
    ) -> list[SampledToken]:
        """The tokens of a text behind the document, which is left open, up to its block's end.

        Each has its likelihood, and so many of the likeliest at its place. The texts of the tokens
        are whole characters: one that only begins a character has none.
        """
        texts = _texts(document)
        first = len(texts) == 1
        before, opened = self._tokens.document(texts[:-1]), self._tokens.ids(texts[-1], first=first)
        whole = self._tokens.ids(texts[-1] + text + BLOCK_CLOSE + "\n", first=first)
        ids = [id_ for block in [*before, whole] for id_ in block]
        begin = len(ids) - len(whole) + common_prefix(opened, whole)
        decoder = getincrementaldecoder("utf-8")("replace")
        found: list[SampledToken] = []
        try:
            for row, id_ in zip(self._cache.behind(ids[:-1], begin - 1), ids[begin:], strict=True):
                drawn = sampled(self._model, row, id_, count)
                shown = decoder.decode(self._model.pieces[id_])
                token = TokenLogprob(shown, drawn.token.logprob, id_)
                found.append(SampledToken(token, drawn.top))
        except CancelledError:
            raise UserError("Reading the alternatives was cancelled.") from None
        except ContextFullError:
            raise UserError("The context has no room to read that beside the story.") from None
        return found

    def tokenize(self, texts: Sequence[str], *, document: bool) -> list[list[int]]:
        """The ids of each text."""
        return [
            list(self._tokens.ids(text, first=document and index == 0))
            for index, text in enumerate(texts)
        ]

    def detokenize(self, ids: Sequence[int]) -> list[str]:
        """The text of each token."""
        return [self._model.pieces[id_].decode("utf-8", "replace") for id_ in ids]

    def _prompt(self, texts: Sequence[str]) -> list[tuple[int, ...]]:
        prompt = self._tokens.document(texts)
        length = sum(map(len, prompt))
        self._asked_at = monotonic()
        if not length:
            raise UserError("There is nothing to write after: the prompt is empty.")
        if length >= self._cache.n_ctx:
            raise UserError(
                f"The prompt has {length:,} tokens, the context holds {self._cache.n_ctx:,}: "
                "shorten the scene or the chat, or open the model with a larger context."
            )
        return prompt

    def _keep(self, texts: Sequence[str], generation: Generation) -> None:
        """Remember the generated ids under the text that the next document will show."""
        ids = self._spelling(generation)
        if not ids:
            return
        first = len(texts) == 1
        text = texts[-1] + generation.text
        all_ids = [*self._tokens.ids(texts[-1], first=first), *ids]
        self._tokens.keep(text, all_ids, first=first)
        end = BLOCK_CLOSE + "\n"
        self._tokens.keep(text + end, [*all_ids, *self._tokens.ids(end)], first=first)

    def _spelling(self, generation: Generation) -> list[int]:
        """The generated ids that spell the text, without the bytes of an unfinished character."""
        for drop in range(4):
            ids = generation.ids[: len(generation.ids) - drop]
            data = b"".join(self._model.pieces[token] for token in ids)
            if data.decode("utf-8", "replace") == generation.text:
                return ids
        return []  # a mark inside a token ended the text


def _texts(document: Sequence[Segment]) -> list[str]:
    return [segment.text for segment in document]
