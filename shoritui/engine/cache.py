"""The KV cache: which ids it holds, and how it comes to hold others.

It does not know where ids come from; `plan.py` decides, this module does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shoritui.engine.llama import AbortFlag, Context
from shoritui.engine.plan import plan


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What getting to the wanted ids took; not `complete` if it was cancelled on the way."""

    reused: int
    evaluated: int
    complete: bool


class KVCache:
    """One context and the ids in it; after a cancelled evaluation it holds what was finished."""

    def __init__(self, context: Context, abort: AbortFlag) -> None:
        self._context = context
        self._abort = abort
        self._ids: list[int] = []
        self._logits = False

    @property
    def n_ctx(self) -> int:
        """How many ids fit."""
        return self._context.n_ctx

    @property
    def held(self) -> int:
        """How many ids are held now."""
        return len(self._ids)

    def logits(self) -> NDArray[np.float32]:
        """The scores of all tokens after the last id, valid until the next change."""
        return self._context.logits()

    def reach(
        self, wanted: Sequence[int], on_progress: Callable[[int, int], None] = lambda done, of: None
    ) -> Evaluation:
        """Hold exactly `wanted`, its last logits at hand, evaluating as little as possible."""
        steps = plan(self._ids, wanted, logits=self._logits)
        keep = steps.keep if steps.remove == 0 else self._truncate(steps.keep)
        total = len(wanted) - keep
        chunk = self._context.n_batch
        for begin in range(keep, len(wanted), chunk):
            if not self._evaluate(wanted[begin : begin + chunk]):
                break
            on_progress(self.held - keep, total)
        done = max(self.held - keep, 0)
        return Evaluation(keep, done, complete=done == total)

    def append(self, token: int) -> bool:
        """Evaluate one more id; False if that was cancelled."""
        return self._evaluate((token,))

    def _evaluate(self, ids: Sequence[int]) -> bool:
        if not self._abort.is_set() and self._context.decode(ids):
            self._ids += ids
            self._logits = True
            return True
        # An aborted evaluation leaves whole sub-batches behind, without their logits.
        self._ids = [*self._ids, *ids][: self._context.held()]
        self._logits = False
        return False

    def _truncate(self, length: int) -> int:
        """Keep `length` ids, or none where the model cannot go back to a place in its past."""
        if not self._context.truncate(length):
            self._context.clear()
            length = 0
        del self._ids[length:]
        self._logits = False
        return length
