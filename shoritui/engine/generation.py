"""One message: from the prompt's ids to the events of its text.

It does not know processes or requests; whoever calls it passes the events on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Final

from shoritui.engine.cache import KVCache
from shoritui.engine.choosing import Choice
from shoritui.engine.context import AbortFlag
from shoritui.engine.interface import Evaluated, Evaluation, Event, Outcome, Stop, Text
from shoritui.engine.model import Model
from shoritui.engine.prose import Prose

FLUSH_SECONDS: Final = 0.016
"""New text waits this long for more: a screen shows no more often."""


class Message:
    """A message being written after a prompt."""

    def __init__(self, model: Model, cache: KVCache, abort: AbortFlag) -> None:
        self._model, self._cache, self._abort = model, cache, abort
        self._prose = Prose()
        self.ids: list[int] = []
        """The ids that were generated, the closing one not counted."""
        self._started = self._first = self._ended = perf_counter()
        self._steps = 0

    @property
    def text(self) -> str:
        """What is written so far."""
        return self._prose.text

    def write(
        self,
        prompt: Sequence[tuple[int, ...]],
        begin: Callable[[], Choice],
        max_tokens: int,
        emit: Callable[[Event], None],
    ) -> Outcome:
        """Evaluate the prompt, then write until the block ends, the limit or a cancel."""
        evaluation = self._cache.reach(prompt, lambda done, of: emit(Evaluated(done, of)))
        stop: Stop = "cancelled"
        if evaluation.complete:
            with begin() as choice:
                stop = self._draw(choice, max_tokens, emit)
        self._ended = perf_counter()
        return self._outcome(stop, sum(map(len, prompt)), evaluation)

    def _draw(self, choice: Choice, max_tokens: int, emit: Callable[[Event], None]) -> Stop:
        pieces, ends = self._model.pieces, {self._model.close, *self._model.ends}
        context = self._cache.context
        pending = _Pending(emit)
        stop: Stop | None = None
        while stop is None:
            token = choice.token(context)
            if not self._steps:
                self._first = perf_counter()
            if token in ends:
                stop = "block_end"
                break
            self.ids.append(token)
            pending.add(self._prose.feed(pieces[token]))
            stop = self._stop(max_tokens) or self._advance(token)
        pending.flush()
        return stop

    def _stop(self, max_tokens: int) -> Stop | None:
        if self._prose.ended:
            return "block_end"
        if len(self.ids) >= max_tokens or self._cache.held >= self._cache.n_ctx:
            return "token_limit"
        return None

    def _advance(self, token: int) -> Stop | None:
        if not self._cache.append(token):
            return "cancelled"
        self._steps += 1
        return None

    def _outcome(self, stop: Stop, prompt_tokens: int, evaluation: Evaluation) -> Outcome:
        seconds = self._ended - self._first
        return Outcome(
            stop=stop,
            text=self.text,
            prompt_tokens=prompt_tokens,
            reused_tokens=evaluation.reused,
            evaluated_tokens=evaluation.evaluated,
            generated_tokens=len(self.ids),
            first_token_ms=1000 * (self._first - self._started) if self.ids else 0.0,
            tokens_per_second=self._steps / seconds if self._steps and seconds else 0.0,
        )


class _Pending:
    """Text on its way, sent in pieces no more often than a screen shows them."""

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self._text = ""
        self._tokens = 0
        self._sent = 0.0

    def add(self, text: str) -> None:
        self._text += text
        self._tokens += 1
        if perf_counter() - self._sent >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        if self._text:
            self._emit(Text(self._text, self._tokens))
            self._text, self._tokens, self._sent = "", 0, perf_counter()
