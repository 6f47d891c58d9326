"""How a model is opened: how fast it is here, and what a full context will lead to.

It does not know what the model is asked; `runtime.py` does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, perf_counter
from typing import Final

from shoritui.engine.cache import KVCache
from shoritui.engine.context import AbortFlag, Context
from shoritui.engine.interface import ContextMode, EngineOptions
from shoritui.engine.loading import Probe
from shoritui.engine.model import Model
from shoritui.engine.threads import Tuner, usable_cores
from shoritui.errors import UserError

LINES: Final = 4
"""The lines of a cache that has room for more than one."""
BRANCHES: Final = 12
"""Continuations that are scored beside each other."""
REBUILD_SECONDS: Final = 20.0
"""What a reader of a reply gives us for evaluating a trimmed context anew; beyond it we shift."""
REBUILT: Final = 0.75
"""The share of the context that is evaluated anew then."""
_TRIAL_CELLS: Final = 256
_TRIAL_BATCH: Final = 64
_BRIEF_SECONDS: Final = 0.2
_TOKENS_TOGETHER: Final = 4
"""Single tokens are looked at in groups of so many: looking takes time too."""
_SLACK: Final = 256
"""Cells beyond what the lines need: for branches, and since a shift needs some that are free."""


@dataclass(frozen=True, slots=True)
class Room:
    """The context of a model, and how it is used."""

    context: Context
    n_ctx: int
    lines: int
    mode: ContextMode

    @property
    def scratch(self) -> int:
        """The sequence by which blocks come and go."""
        return self.lines

    @property
    def branches(self) -> range:
        """The sequences for continuations that are scored."""
        return range(self.lines + 1, self.lines + 1 + BRANCHES)


def make_room(
    model: Model, found: Probe, options: EngineOptions, abort: AbortFlag, seconds_per_id: float
) -> Room:
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

    def context(cells: int, lines: int) -> Context:
        return Context(
            model,
            n_cells=cells,
            n_batch=found.wanted.n_batch,
            n_threads=found.info.n_threads,
            abort=abort,
            n_seq_max=lines + 1 + BRANCHES,
            kv_type=options.kv_type,
        )

    if (exact or not shiftable) and beside:
        try:
            return Room(context(2 * n_ctx + _SLACK, LINES), n_ctx, LINES, "exact")
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
    return Room(plain, n_ctx, 1, "exact" if stays_exact else "shift")


def try_out(
    model: Model, found: Probe, options: EngineOptions, abort: AbortFlag
) -> tuple[Tuner, float]:
    """Page the weights in, tune the threads, and measure what a prompt takes per token."""
    on_gpu = found.info.gpu and found.info.n_gpu_layers > 0  # the threads have little to do there
    tuner = Tuner(usable_cores(), options.n_threads or (found.info.n_threads if on_gpu else 0))
    context = Context(
        model, n_cells=_TRIAL_CELLS, n_batch=_TRIAL_BATCH, n_threads=found.info.n_threads,
        abort=abort, kv_type=options.kv_type,
    )  # fmt: skip
    try:
        take(context, 0, 1)  # the first evaluation pages the weights in
        tune(tuner, context, 0)
        seconds = take(context, 0, _TRIAL_BATCH)
        if seconds < _BRIEF_SECONDS:  # so short that something else may have come between
            seconds = min(seconds, take(context, 0, _TRIAL_BATCH))
        return tuner, seconds / _TRIAL_BATCH
    finally:
        context.free()


def tune(tuner: Tuner, context: Context, seq: int) -> None:
    """Measure on an empty sequence how many threads are best now, and take so many."""

    def measure(count: int) -> Callable[[int], float]:
        def seconds(n_threads: int) -> float:
            context.set_threads(n_threads, n_threads)
            return take(context, seq, count)

        return seconds

    threads = tuner.tune(measure(1), monotonic(), measure(min(_TRIAL_BATCH, context.n_batch)))
    context.set_threads(threads.decode, threads.batch)


def take(context: Context, seq: int, count: int) -> float:
    """The seconds that it takes to evaluate so many tokens on an empty sequence."""
    started = perf_counter()
    context.decode([0] * count, seq=seq, begin=0)
    context.synchronize()
    seconds = perf_counter() - started
    context.remove(seq)
    return seconds


class Pace:
    """Watches how fast tokens come, and tunes the threads anew when that changes."""

    def __init__(self, tuner: Tuner, context: Context, seq: int) -> None:
        """`seq` is a sequence that is empty whenever nothing is evaluated."""
        self._tuner = tuner
        self._context = context
        self._seq = seq
        self._due = False
        self._seconds = 0.0
        context.set_threads(tuner.threads.decode, tuner.threads.batch)

    def watch(self, cache: KVCache) -> None:
        """Hear what evaluations take from now on, where that can change anything."""
        if len(self._tuner.candidates) > 1:
            cache.on_evaluated, cache.on_generated = self._evaluated, self._generated

    def _evaluated(self, count: int, seconds: float, held: int) -> None:
        if count == self._context.n_batch:
            self._due |= self._tuner.observed_batch(seconds / count, held, monotonic())

    def _generated(self, seconds: float, held: int) -> None:
        self._seconds += seconds
        if held % _TOKENS_TOGETHER == 0:
            self._due |= self._tuner.observed(self._seconds / _TOKENS_TOGETHER, held, monotonic())
            self._seconds = 0.0

    def steady(self, wanted: bool) -> None:
        """Take the usual count of threads for single tokens, or the best one.

        llama.cpp rounds otherwise with other counts: what shall be repeatable takes the same.
        """
        threads = self._tuner.threads
        self._context.set_threads(self._tuner.usual if wanted else threads.decode, threads.batch)

    def tune_if_due(self) -> bool:
        """Measure and take the best thread counts, if it is time to; whether it was."""
        due, self._due = self._due, False
        if due:
            tune(self._tuner, self._context, self._seq)
        return due
