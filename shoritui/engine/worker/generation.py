"""One generation: from the prompt's ids to the events of its text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from time import perf_counter
from typing import Final

from shoritui.engine.cache.kv_cache import KVCache
from shoritui.engine.interface import (
    Evaluated,
    Evaluation,
    Event,
    Outcome,
    SampledToken,
    Stop,
    Text,
)
from shoritui.engine.llama.detokenizer import Detokenizer
from shoritui.engine.llama.model import Model
from shoritui.engine.sampling.banned import BannedPhrases
from shoritui.engine.sampling.logprobs import sampled
from shoritui.engine.sampling.sampler import SamplerChain

FLUSH_SECONDS: Final = 0.016
"""New text waits this long for more: a screen shows no more often."""


class Generation:
    """A message being written after a prompt."""

    def __init__(
        self,
        model: Model,
        cache: KVCache,
        *,
        banned: BannedPhrases | None = None,
        top_logprobs: int = 0,
        give_way: Callable[[], bool] | None = None,
    ) -> None:
        """`banned` takes phrases back; the `top_logprobs` likeliest come beside each token drawn.

        With `give_way` it is written beside the sequence in use, and cancelled once that says so.
        """
        self._model, self._cache = model, cache
        self._banned, self._top_logprobs = banned, top_logprobs
        self._give_way = give_way
        self._prose = Detokenizer()
        self.ids: list[int] = []
        """The ids that were generated, the closing one not counted."""
        self._started = self._ended = perf_counter()
        self._first: float | None = None
        self._steps = 0
        self._room = 0
        """The tokens after which the context is full."""

    @property
    def text(self) -> str:
        """What is written so far."""
        return self._prose.text

    def write(
        self,
        prompt: Sequence[tuple[int, ...]],
        sampler: AbstractContextManager[SamplerChain],
        max_tokens: int,
        emit: Callable[[Event], None],
    ) -> Outcome:
        """Evaluate the prompt, then write until the block ends, the limit or a cancel."""
        evaluation = self._cache.reach(
            prompt,
            lambda done, of: emit(Evaluated(done, of)),
            self._give_way,
            beside=self._give_way is not None,
        )
        stop: Stop = "cancelled"
        if evaluation.complete:
            self._cache.begin_writing()
            self._room = self._cache.n_ctx - self._cache.held + 1  # the last one is only drawn
            with sampler as chain:
                stop = self._draw(prompt, chain, max_tokens, emit)
        self._ended = perf_counter()
        return self._outcome(stop, sum(map(len, prompt)), evaluation)

    def _draw(
        self,
        prompt: Sequence[tuple[int, ...]],
        chain: SamplerChain,
        max_tokens: int,
        emit: Callable[[Event], None],
    ) -> Stop:
        pending = _Pending(emit)
        stop: Stop | None = None
        if self._banned is None and not self._top_logprobs:
            stop = self._draw_plainly(chain, max_tokens, pending)
        while stop is None:
            stop, place = self._one_more(chain, max_tokens, pending)
            if place is not None:
                self._take_back(place, chain, pending)
                stop = self._return_to(prompt)
            else:
                pending.release(self._banned.safe if self._banned else len(self.ids))
                stop = stop or self._advance()
        if stop == "cancelled" and self._banned and (place := self._banned.end()) is not None:
            self._take_back(place, chain, pending)
        pending.release(len(self.ids))
        pending.flush()
        return stop

    def _draw_plainly(self, chain: SamplerChain, max_tokens: int, pending: _Pending) -> Stop:
        """The same where nothing is taken back and nothing told of a token: the quickest way."""
        pieces, close, ends = self._model.pieces, self._model.close, self._model.ends
        ids, feed, add, release = self.ids, self._prose.feed, pending.add, pending.release
        stop: Stop | None = None
        while stop is None:
            token = chain.token(self._cache.logits)
            if self._first is None:
                self._first = perf_counter()
            if token == close or token in ends:
                stop = "block_end"
                break
            ids.append(token)
            add(feed(pieces[token]), None)
            release(len(ids))
            stop = self._stop(max_tokens) or self._advance()
        return stop

    def _one_more(
        self, chain: SamplerChain, max_tokens: int, pending: _Pending
    ) -> tuple[Stop | None, int | None]:
        """Draw a token: what it ends, and the place that a banned phrase must be taken back to."""
        model, banned, prose = self._model, self._banned, self._prose
        token = chain.token(self._cache.logits, banned.never() if banned else ())
        if self._first is None:
            self._first = perf_counter()
        if token == model.close or token in model.ends:
            return "block_end", banned.end() if banned else None
        self.ids.append(token)
        text = prose.feed(model.pieces[token])
        logprobs = None
        if self._top_logprobs:
            logprobs = sampled(model, self._cache.logits, token, self._top_logprobs)
        pending.add(text, logprobs)
        stop = self._stop(max_tokens)
        if banned is None:
            return stop, None
        place = banned.feed(text, clean=prose.clean)
        if place is None and stop is not None:
            place = banned.end()
        return stop, place

    def _stop(self, max_tokens: int) -> Stop | None:
        if self._prose.ended:
            return "block_end"
        count = len(self.ids)
        if count >= max_tokens:
            return "token_limit"
        if count >= self._room:
            return "context_full"
        return None

    def _advance(self) -> Stop | None:
        if self._give_way is not None and self._give_way():
            return "cancelled"
        if not self._cache.append(self.ids[-1]):
            return "cancelled"
        self._steps += 1
        return None

    def _take_back(self, place: int, chain: SamplerChain, pending: _Pending) -> None:
        """As if nothing after the first `place` tokens had been written."""
        assert self._banned is not None
        self._banned.back(place, self.ids[place])
        del self.ids[place:]
        self._prose.back(place)
        chain.back(self.ids)
        pending.back(place)
        self._steps = place

    def _return_to(self, prompt: Sequence[tuple[int, ...]]) -> Stop | None:
        """Have the cache hold the prompt and what is written, its last scores at hand."""
        blocks = (*prompt[:-1], (*prompt[-1], *self.ids))
        return None if self._cache.reach(blocks).complete else "cancelled"

    def _outcome(self, stop: Stop, prompt_tokens: int, evaluation: Evaluation) -> Outcome:
        first = self._first or self._ended
        seconds = self._ended - first
        return Outcome(
            stop=stop,
            text=self.text,
            prompt_tokens=prompt_tokens,
            reused_tokens=evaluation.reused,
            evaluated_tokens=evaluation.evaluated,
            generated_tokens=len(self.ids),
            first_token_ms=1000 * (first - self._started) if self.ids else 0.0,
            tokens_per_second=self._steps / seconds if self._steps and seconds else 0.0,
        )


class _Pending:
    """Text on its way, sent no more often than a screen shows it, and only once it is released."""

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self._parts: list[str] = []
        self._logprobs: list[SampledToken] = []
        self._released = 0
        self._flushed = 0
        self._sent = 0.0

    def add(self, text: str, logprobs: SampledToken | None) -> None:
        """The text of one more token."""
        self._parts.append(text)
        if logprobs is not None:
            self._logprobs.append(logprobs)

    def back(self, tokens: int) -> None:
        """Only the first so many tokens have come; none of the others was released."""
        del self._parts[tokens:], self._logprobs[tokens:]

    def release(self, tokens: int) -> None:
        """The first so many tokens will not be taken back any more."""
        self._released = tokens
        if tokens > self._flushed and perf_counter() - self._sent >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Send what is released."""
        new = slice(self._flushed, self._released)
        text = "".join(self._parts[new])
        if text:
            self._emit(Text(text, self._released - self._flushed, tuple(self._logprobs[new])))
            self._flushed, self._sent = self._released, perf_counter()
