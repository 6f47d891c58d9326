"""The samplers of one message, and what of them lives on to the next.

It does not know where the logits come from.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from shoritui.engine.llama import Candidates, Model, Sampler
from shoritui.engine.sampling import Sampling, Step, chain

_LARGEST_SEED: Final = 2**32 - 2


class Choice:
    """The sampler chain of one message; a context manager that frees it."""

    def __init__(
        self,
        candidates: Candidates,
        samplers: Sequence[Sampler],
        draw: Sampler,
        model: Model,
    ) -> None:
        self._candidates = candidates
        self._samplers = (*samplers, draw)
        self._owned = samplers
        self._counting = [sampler for sampler in samplers if sampler.step.name == "penalties"]
        self._uncounted = model.uncounted
        self._banned = () if model.open is None else (model.open,)

    def token(self, logits: NDArray[np.float32]) -> int:
        """The next token's id; never the one that opens a block."""
        return self._candidates.choose(logits, self._samplers, self._banned)

    def count(self, token: int) -> None:
        """Let the penalties see a token of a message's body, unless it is never counted."""
        if token not in self._uncounted:
            for sampler in self._counting:
                sampler.accept(token)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for sampler in self._owned:
            sampler.free()


class Chooser:
    """Makes the chain of each message; keeps Mirostat's surprise from message to message."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._candidates = Candidates(model.n_vocab)
        self._draw: Sampler | None = None
        self._draw_key: tuple[object, ...] = ()

    def begin(self, sampling: Sampling, counted: Iterable[int]) -> Choice:
        """A chain whose penalties have seen `counted`, oldest first."""
        seed = secrets.randbelow(_LARGEST_SEED) if sampling.seed is None else sampling.seed
        *steps, last = chain(sampling, seed)
        samplers = [Sampler(step, self._model.n_vocab) for step in steps]
        draw = self._drawing(last, sampling)
        choice = Choice(self._candidates, samplers, draw, self._model)
        for token in counted:
            choice.count(token)
        return choice

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
