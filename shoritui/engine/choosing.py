"""The samplers of one message, and what of them lives on to the next.

It does not know where the logits come from.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Final, Self

from shoritui.engine.context import Context
from shoritui.engine.model import Model
from shoritui.engine.samplers import Chain, Sampler
from shoritui.engine.sampling import Sampling, Step, chain

_LARGEST_SEED: Final = 2**32 - 2


class Choice:
    """The sampler chain of one message; a context manager that frees it."""

    def __init__(
        self, samplers: Sequence[Sampler], draw: Sampler, penalties: Penalties | None
    ) -> None:
        self._samplers = samplers
        self._chain = Chain((*samplers, draw))
        self._penalties = penalties

    def token(self, context: Context) -> int:
        """The next token's id; never the one that opens a block."""
        token = self._chain.sample(context)
        if self._penalties is not None:
            self._penalties.sampled(token)
        return token

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._chain.free()
        for sampler in self._samplers:
            sampler.free()


class Penalties:
    """What the penalty sampler has counted: words of message bodies, never block marks."""

    def __init__(
        self, sampler: Sampler, window: int, counted: Iterable[int], uncounted: frozenset[int]
    ) -> None:
        self._sampler = sampler
        self._counted = deque(counted, maxlen=window)
        self._uncounted = uncounted
        sampler.recount(self._counted)

    def sampled(self, token: int) -> None:
        """The chain has counted this token: take it back if it is none to be counted."""
        if token in self._uncounted:
            self._sampler.recount(self._counted)
        else:
            self._counted.append(token)


class Chooser:
    """Makes the chain of each message; keeps Mirostat's surprise from message to message."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._draw: Sampler | None = None
        self._draw_key: tuple[object, ...] = ()

    def begin(self, sampling: Sampling, counted: Iterable[int]) -> Choice:
        """A chain whose penalties have seen `counted`, oldest first."""
        seed = secrets.randbelow(_LARGEST_SEED) if sampling.seed is None else sampling.seed
        *steps, last = chain(sampling, seed)
        bans = () if self._model.open is None else (Step("ban", (self._model.open,)),)
        samplers = [Sampler(step, self._model.n_vocab) for step in (*bans, *steps)]
        penalties = None
        for step, sampler in zip((*bans, *steps), samplers, strict=True):
            if step.name == "penalties":
                window = sampling.penalty_window
                penalties = Penalties(sampler, window, counted, self._model.uncounted)
        return Choice(samplers, self._drawing(last, sampling), penalties)

    def _drawing(self, step: Step, sampling: Sampling) -> Sampler:
        """The last sampler: Mirostat goes on where it was, unless a seed asks for a fresh one."""
        key = (step.name, *step.values[1:])
        goes_on = step.name == "mirostat" and sampling.seed is None and key == self._draw_key
        if self._draw is None or not goes_on:
            if self._draw is not None:
                self._draw.free()
            self._draw = Sampler(step, self._model.n_vocab)
            self._draw_key = key
        return self._draw
