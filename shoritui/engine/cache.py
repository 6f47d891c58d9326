"""The KV cache: which ids it holds, and how it comes to hold others.

It does not know where ids come from; `plan.py` decides, this module does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from shoritui.engine.context import AbortFlag, Context
from shoritui.engine.interface import Evaluation
from shoritui.engine.plan import plan


class KVCache:
    """One context and the ids in it; after a cancelled evaluation it holds what was finished."""

    def __init__(self, context: Context, abort: AbortFlag) -> None:
        self._context = context
        self._abort = abort
        self._ids: list[int] = []
        self._fresh = False
        """Whether the context's logits are those of the last id held."""
        self._saved: tuple[int, NDArray[np.float32]] | None = None
        """A copy of the logits after so many ids: the last prompt's, for writing after it again."""

    @property
    def n_ctx(self) -> int:
        """How many ids fit."""
        return self._context.n_ctx

    @property
    def held(self) -> int:
        """How many ids are held now."""
        return len(self._ids)

    @property
    def context(self) -> Context:
        """The context, its logits those of the last id."""
        return self._context

    def reach(
        self, wanted: Sequence[int], on_progress: Callable[[int, int], None] = lambda done, of: None
    ) -> Evaluation:
        """Hold exactly `wanted`, its last logits at hand, evaluating as little as possible."""
        at_hand = {self.held} if self._fresh else set()
        if self._saved is not None:
            at_hand.add(self._saved[0])
        steps = plan(self._ids, wanted, logits=at_hand)
        keep = self._truncate(steps.keep) if steps.remove else steps.keep
        total = len(wanted) - keep
        chunk = self._context.n_batch
        for begin in range(keep, len(wanted), chunk):
            if not self._evaluate(wanted[begin : begin + chunk]):
                return Evaluation(keep, max(self.held - keep, 0), complete=False)
            on_progress(self.held - keep, total)
        self._at_hand()
        return Evaluation(keep, total, complete=True)

    def append(self, token: int) -> bool:
        """Evaluate one more id; False if that was cancelled."""
        return self._evaluate((token,))

    def _evaluate(self, ids: Sequence[int]) -> bool:
        if not self._abort.is_set() and self._context.decode(ids):
            self._ids += ids
            self._fresh = True
            return True
        # An aborted evaluation leaves whole sub-batches behind, without their logits.
        self._ids += ids
        self._forget_after(self._context.held())
        return False

    def _at_hand(self) -> None:
        """The logits after the prompt: saved where they are fresh, else brought back."""
        if self._fresh:
            self._saved = (self.held, self._context.logits().copy())
        elif self._saved is not None:
            np.copyto(self._context.logits(), self._saved[1])
            self._fresh = True

    def _truncate(self, length: int) -> int:
        """Keep `length` ids, or none where the model cannot go back to a place in its past."""
        if not self._context.truncate(length):
            self._context.clear()
            length = 0
        self._forget_after(length)
        return length

    def _forget_after(self, length: int) -> None:
        del self._ids[length:]
        self._fresh = False
        if self._saved is not None and self._saved[0] > length:
            self._saved = None
