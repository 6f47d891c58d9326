"""A loaded model and everything that is asked of it.

It does not know processes or how requests travel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shoritui.engine.cache import KVCache
from shoritui.engine.choosing import Choice, Chooser
from shoritui.engine.context import AbortFlag, Context
from shoritui.engine.generation import Message
from shoritui.engine.interface import EngineOptions, Evaluated, Evaluation, Event, Outcome, Segment
from shoritui.engine.loading import probe
from shoritui.engine.model import BLOCK_CLOSE, Model
from shoritui.engine.protocol import Generate
from shoritui.engine.tokens import Tokens
from shoritui.errors import UserError

CPU_CHUNK: Final = 128
"""On a CPU, larger steps gain nothing, show less progress and lose more to a cancel."""


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
        try:
            context = Context(
                self._model,
                n_ctx=info.n_ctx,
                n_batch=options.n_batch if info.gpu else min(options.n_batch, CPU_CHUNK),
                n_threads=info.n_threads,
                abort=abort,
            )
        except MemoryError:
            raise UserError(
                f"{path.name}: a context of {info.n_ctx:,} tokens does not fit."
            ) from None
        self.info = replace(info, n_ctx=context.n_ctx)
        self._abort = abort
        self._cache = KVCache(context, abort)
        self._tokens = Tokens(self._model)
        self._chooser = Chooser(self._model)
        self._cache.reach([self._model.bos or 0])  # the first evaluation pages the weights in

    def generate(self, request: Generate, emit: Callable[[Event], None]) -> Outcome:
        """Write one message after the document; too long a document: `UserError`."""
        texts = _texts(request.document)
        prompt = self._prompt(texts)
        message = Message(self._model, self._cache, self._abort)
        outcome = message.write(prompt, lambda: self._begin(request), request.max_tokens, emit)
        self._keep(texts, message)
        return outcome

    def prefill(self, document: Sequence[Segment], emit: Callable[[Event], None]) -> Evaluation:
        """Evaluate the document, so that writing after it can begin at once."""
        prompt = self._prompt(_texts(document))
        return self._cache.reach(prompt, lambda done, of: emit(Evaluated(done, of)))

    def score(self, document: Sequence[Segment], candidates: Sequence[str]) -> list[float]:
        """How likely each candidate is: the logarithm of the probability of its beginning.

        Of its beginning as far as it takes to tell it from the others: where the first tokens
        differ, the logits after the document say it all.
        """
        ids = [self._tokens.ids(text) for text in candidates]
        scores: dict[tuple[int, ...], float] = {}
        self._branch(self._prompt(_texts(document)), sorted(set(ids)), 0, 0.0, scores)
        return [scores[branch] for branch in ids]

    def tokenize(self, texts: Sequence[str], *, document: bool) -> list[list[int]]:
        """The ids of each text."""
        return [
            list(self._tokens.ids(text, first=document and index == 0))
            for index, text in enumerate(texts)
        ]

    def spell(self, ids: Sequence[int]) -> list[str]:
        """The text of each token."""
        return [self._model.pieces[id_].decode("utf-8", "replace") for id_ in ids]

    def _prompt(self, texts: Sequence[str]) -> list[int]:
        prompt = self._tokens.document(texts)
        if not prompt:
            raise UserError("There is nothing to write after: the prompt is empty.")
        if len(prompt) >= self._cache.n_ctx:
            raise UserError(
                f"The prompt has {len(prompt):,} tokens, the context holds {self._cache.n_ctx:,}: "
                "shorten the scene or the chat, or open the model with a larger context."
            )
        return prompt

    def _begin(self, request: Generate) -> Choice:
        sampling = request.sampling
        uncounted = self._model.uncounted
        counted = self._tokens.bodies(request.penalized, sampling.penalty_window, uncounted)
        return self._chooser.begin(sampling, counted)

    def _keep(self, texts: Sequence[str], message: Message) -> None:
        """Remember the generated ids under the text that the next document will show."""
        ids = self._spelling(message)
        if not ids:
            return
        first = len(texts) == 1
        text = texts[-1] + message.text
        all_ids = [*self._tokens.ids(texts[-1], first=first), *ids]
        self._tokens.keep(text, all_ids, first=first)
        end = BLOCK_CLOSE + "\n"
        self._tokens.keep(text + end, [*all_ids, *self._tokens.ids(end)], first=first)

    def _spelling(self, message: Message) -> list[int]:
        """The generated ids that spell the text, without the bytes of an unfinished character."""
        for drop in range(4):
            ids = message.ids[: len(message.ids) - drop]
            data = b"".join(self._model.pieces[token] for token in ids)
            if data.decode("utf-8", "replace") == message.text:
                return ids
        return []  # a mark inside a token ended the text

    def _branch(
        self,
        prompt: list[int],
        branches: Sequence[tuple[int, ...]],
        depth: int,
        score: float,
        scores: dict[tuple[int, ...], float],
    ) -> None:
        """Score branches that agree in their first `depth` ids, which the prompt ends in."""
        if not self._cache.reach(prompt).complete:
            raise UserError("Scoring was cancelled.")
        log_probabilities = _log_softmax(self._cache.context.logits())
        scores.update((branch, score) for branch in branches if len(branch) == depth)
        longer = [branch for branch in branches if len(branch) > depth]
        for token, group in groupby(longer, key=lambda branch: branch[depth]):
            same = list(group)
            likelihood = score + float(log_probabilities[token])
            if len(same) == 1:
                scores[same[0]] = likelihood
            else:
                self._branch([*prompt, token], same, depth + 1, likelihood, scores)


def _texts(document: Sequence[Segment]) -> list[str]:
    return [segment.text for segment in document]


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    scores = logits.astype(np.float64)
    scores -= scores.max()
    scores -= np.log(np.exp(scores).sum())
    return scores
