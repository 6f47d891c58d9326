"""Where a model's KV cache goes: how many sequences, how large a context, which context mode.

First the model is tried out on a small context, which pages its weights in and tells how fast it
is here; then `place_context` takes what suits the options, the memory and that speed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shoritui.engine.interface import ContextMode, EngineOptions
from shoritui.engine.llama.context import AbortFlag, Context
from shoritui.engine.llama.model import Model
from shoritui.engine.llama.probe import Probe
from shoritui.engine.llama.threads import TRIAL_BATCH, ThreadTuner, seconds_for, tune
from shoritui.errors import UserError
from shoritui.host.machine import usable_cores

SEQUENCES: Final = 4
"""The sequences of a cache that has room for more than one."""
BRANCHES: Final = 12
"""Continuations that are scored beside each other."""
REBUILD_SECONDS: Final = 20.0
"""What a reader of a reply gives us for evaluating a trimmed context anew; beyond it we shift."""
REBUILT: Final = 0.75
"""The share of the context that is evaluated anew then."""
_TRIAL_CELLS: Final = 256
_BRIEF_SECONDS: Final = 0.2
_SLACK: Final = 256
"""Cells beyond what the sequences need: for branches, and since a shift needs some free."""


@dataclass(frozen=True, slots=True)
class KVLayout:
    """The context of a model, and how it is used."""

    context: Context
    n_ctx: int
    sequences: int
    mode: ContextMode

    @property
    def scratch(self) -> int:
        """The sequence by which blocks come and go."""
        return self.sequences

    @property
    def branches(self) -> range:
        """The sequences for continuations that are scored."""
        return range(self.sequences + 1, self.sequences + 1 + BRANCHES)


def place_context(
    model: Model, found: Probe, options: EngineOptions, abort: AbortFlag, seconds_per_id: float
) -> KVLayout:
    """The context that suits the options, the memory and the speed.

    `seconds_per_id` is what a prompt takes per token here. `UserError` if not even a plain
    context fits into memory.
    """
    n_ctx = found.info.n_ctx
    shiftable = found.can_shift_kv and not model.is_recurrent
    bearable = n_ctx * REBUILT * seconds_per_id <= REBUILD_SECONDS
    beside = found.room_for_two and not model.is_recurrent
    exact = options.context_mode == "exact" or (
        options.context_mode == "auto" and bearable and beside
    )

    def context(cells: int, sequences: int) -> Context:
        return Context(
            model,
            n_cells=cells,
            n_batch=found.load.n_batch,
            n_threads=found.info.n_threads,
            abort=abort,
            n_seq_max=sequences + 1 + BRANCHES,
            kv_type=options.kv_type,
        )

    if (exact or not shiftable) and beside:
        try:
            return KVLayout(context(2 * n_ctx + _SLACK, SEQUENCES), n_ctx, SEQUENCES, "exact")
        except MemoryError:
            pass
    try:
        plain = context(n_ctx + _SLACK, 1)
    except MemoryError:
        raise UserError(
            f"{found.info.path.name}: a context of {n_ctx:,} tokens does not fit: "
            "take a smaller n_ctx, or kv_type q8_0."
        ) from None
    stays_exact = options.context_mode == "exact" or not (shiftable and plain.can_shift)
    return KVLayout(plain, n_ctx, 1, "exact" if stays_exact else "shift")


def try_out(
    model: Model, found: Probe, options: EngineOptions, abort: AbortFlag
) -> tuple[ThreadTuner, float]:
    """Page the weights in, tune the threads, and measure what a prompt takes per token."""
    on_gpu = found.info.gpu and found.info.n_gpu_layers > 0  # the threads have little to do there
    fixed = options.n_threads or (found.info.n_threads if on_gpu else 0)
    tuner = ThreadTuner(usable_cores(), fixed)
    context = Context(
        model, n_cells=_TRIAL_CELLS, n_batch=TRIAL_BATCH, n_threads=found.info.n_threads,
        abort=abort, kv_type=options.kv_type,
    )  # fmt: skip
    try:
        seconds_for(context, 0, 1)  # the first evaluation pages the weights in
        tune(tuner, context, 0)
        seconds = seconds_for(context, 0, TRIAL_BATCH)
        if seconds < _BRIEF_SECONDS:  # so short that something else may have come between
            seconds = min(seconds, seconds_for(context, 0, TRIAL_BATCH))
        return tuner, seconds / TRIAL_BATCH
    finally:
        context.free()
