"""How many threads the engine takes: at first, and again when the machine gets busy or quiet.

`ThreadTuner` decides from measured seconds alone; `ThreadMonitor` measures on a context and sets
its threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from time import monotonic, perf_counter
from typing import Final

from shoritui.engine.llama.context import Context
from shoritui.host.machine import usable_cores

BUDGET_SECONDS: Final = 0.3
"""How long the measurements of one kind may take in one tuning, about."""
TRIAL_BATCH: Final = 64
"""Tokens of a prompt that a measurement evaluates."""
INTERVAL_SECONDS: Final = 30.0
"""The least time between two tunings."""
LONGEST_INTERVAL_SECONDS: Final = 3600.0
"""The most time between two attempts to take more threads again, after many in vain."""
_ROUNDS: Final = 3
_WORTH: Final = 0.95
"""More threads must take at most this share of the time that fewer take."""
_JUMP: Final = 2.0
_TOKENS_LASTING: Final = 8
_BATCHES_LASTING: Final = 3
_CREEP: Final = 0.02
_FALL: Final = 0.2
_TOKENS_TOGETHER: Final = 4
"""Single tokens are looked at in groups of so many: looking takes time too."""
_FREE_TOKENS: Final = 1024
"""A context this long costs little beside the weights."""

Measure = Callable[[int], float]
"""Seconds that one step takes with so many threads."""


@dataclass(frozen=True, slots=True)
class Threads:
    """Thread counts for single tokens and for batches."""

    decode: int
    batch: int


class ThreadTuner:
    """Chooses thread counts by measuring, and says when to measure again.

    The threads wait for each other by spinning: on a busy machine fewer are faster, often several
    times. A count that the user set stays as it is.
    """

    def __init__(self, cores: int, fixed: int = 0) -> None:
        """`cores` are the most threads; `fixed`, if not 0, is the user's own count."""
        self._cores = max(cores, 1)
        self.usual: Final = fixed or max(self._cores - 1, 1)
        """The count for single tokens on a quiet machine."""
        self._quiet = Threads(self.usual, self._cores)
        self.threads = Threads(fixed, fixed) if fixed else self._quiet
        """The counts to use now."""
        wanted = [fixed] if fixed else [self.usual, self._cores, max(self._cores // 2, 1), 1]
        self.candidates: Final = tuple(dict.fromkeys(wanted))
        """The counts worth measuring, the likeliest first; one alone leaves nothing to choose."""
        self._tuned_at: float | None = None
        self._patience = INTERVAL_SECONDS
        self._forget()

    def tune(self, measure: Measure, now: float, measure_batch: Measure) -> Threads:
        """Measure the candidates and take the best; `now` are seconds of a steady clock.

        `measure` evaluates one token, `measure_batch` a batch; each costs about `BUDGET_SECONDS`.
        Single tokens never take all cores: the next program to wake would slow them many times.
        """
        if len(self.candidates) == 1:
            return self.threads
        before = self.threads
        decode = _quickest(_measured(measure, [c for c in self.candidates if c <= self.usual]))
        batch = _quickest(_measured(measure_batch, self.candidates))
        self.threads = Threads(decode, batch)
        in_vain = self._tuned_at is not None and self.threads == before
        longer = min(self._patience * 2, LONGEST_INTERVAL_SECONDS)
        self._patience = longer if in_vain else INTERVAL_SECONDS
        self._tuned_at = now
        self._forget()
        return self.threads

    def observed(self, seconds_per_token: float, held_tokens: int, now: float) -> bool:
        """Hear what one generated token took; whether it is time to tune again.

        It is after a jump that lasts and that a longer context does not explain, and now and then
        while fewer threads than usual are in use, in case the machine is quiet again.
        """
        self._tokens.follow(seconds_per_token, held_tokens)
        return self._is_time(now)

    def observed_batch(self, seconds_per_token: float, held_tokens: int, now: float) -> bool:
        """Hear what a whole step of the prompt took, per token of it; whether to tune again."""
        self._batches.follow(seconds_per_token, held_tokens)
        return self._is_time(now)

    def _is_time(self, now: float) -> bool:
        if len(self.candidates) == 1 or self._tuned_at is None:
            return False
        rested = now - self._tuned_at
        if self._tokens.jumped or self._batches.jumped:
            return rested >= INTERVAL_SECONDS
        fewer = self.threads.decode < self._quiet.decode or self.threads.batch < self._quiet.batch
        return fewer and rested >= self._patience

    def _forget(self) -> None:
        self._tokens = _Trend(_TOKENS_LASTING)
        self._batches = _Trend(_BATCHES_LASTING)


class ThreadMonitor:
    """Watches how fast tokens come, and tunes the threads anew when that changes."""

    def __init__(self, tuner: ThreadTuner, context: Context, seq: int) -> None:
        """`seq` is a sequence that is empty whenever nothing is evaluated."""
        self._tuner = tuner
        self._context = context
        self._seq = seq
        self._due = False
        self._seconds = 0.0
        context.set_threads(tuner.threads.decode, tuner.threads.batch)

    @property
    def can_change(self) -> bool:
        """Whether there is anything to choose, so that it should hear what evaluations take."""
        return len(self._tuner.candidates) > 1

    def evaluated(self, count: int, seconds: float, held: int) -> None:
        """Hear what so many tokens of a prompt took, with so many held before."""
        if count == self._context.n_batch:
            self._due |= self._tuner.observed_batch(seconds / count, held, monotonic())

    def generated(self, seconds: float, held: int) -> None:
        """Hear what one generated token took."""
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


def tune(tuner: ThreadTuner, context: Context, seq: int) -> None:
    """Measure on an empty sequence how many threads are best now, and take so many."""

    def measure(count: int) -> Callable[[int], float]:
        def seconds(n_threads: int) -> float:
            context.set_threads(n_threads, n_threads)
            return seconds_for(context, seq, count)

        return seconds

    threads = tuner.tune(measure(1), monotonic(), measure(min(TRIAL_BATCH, context.n_batch)))
    context.set_threads(threads.decode, threads.batch)


def seconds_for(context: Context, seq: int, count: int) -> float:
    """The seconds that it takes to evaluate so many tokens on an empty sequence."""
    started = perf_counter()
    context.decode([0] * count, seq=seq, begin=0)
    context.synchronize()
    seconds = perf_counter() - started
    context.remove(seq)
    return seconds


class _Trend:
    """What a token usually takes, and whether it takes much longer now.

    Slow growth is taken for the context's; a growing context may cost at most in proportion.
    """

    def __init__(self, lasting: int) -> None:
        self._lasting = lasting
        self._first: list[tuple[float, int]] = []
        self._seconds = self._held = 0.0
        self._slow = 0

    @property
    def jumped(self) -> bool:
        """Whether the last tokens all took much longer."""
        return self._slow >= self._lasting

    def follow(self, seconds: float, held: int) -> None:
        """Take in the next token's time."""
        if len(self._first) < self._lasting:
            self._first.append((seconds, held))
            self._seconds = median(seconds for seconds, _ in self._first)
            self._held = median(float(held) for _, held in self._first)
            return
        explained = max((held + _FREE_TOKENS) / (self._held + _FREE_TOKENS), 1.0)
        if seconds > _JUMP * explained * self._seconds:
            self._slow += 1
            return
        self._slow = 0
        weight = _FALL if seconds < self._seconds else _CREEP
        self._seconds += weight * (seconds - self._seconds)
        self._held += weight * (held - self._held)


def _measured(measure: Measure, candidates: Sequence[int]) -> dict[int, float]:
    """The typical seconds of each candidate that the budget allowed."""
    if len(candidates) == 1:
        return {candidates[0]: 0.0}
    taken: dict[int, list[float]] = {}
    spent = 0.0
    for _ in range(_ROUNDS):
        for count in candidates:
            if taken and spent + _expected(taken, count) > BUDGET_SECONDS:
                continue
            seconds = measure(count)
            taken.setdefault(count, []).append(seconds)
            spent += seconds
    return {count: median(times) for count, times in taken.items()}


def _quickest(typical: dict[int, float]) -> int:
    """The fewest threads that are nearly as quick as the quickest."""
    counts = sorted(typical)
    best = counts[0]
    for count in counts[1:]:
        if typical[count] < typical[best] * _WORTH:
            best = count
    return best


def _expected(taken: dict[int, list[float]], count: int) -> float:
    """What a measurement will take at most: no gain from more threads, linear loss with fewer."""
    if count in taken:
        return median(taken[count])
    nearest = min(taken, key=lambda known: abs(known - count))
    return median(taken[nearest]) * max(nearest / count, 1.0)


def default_threads() -> int:
    """Return the usable cores but one, which stays for the app; see `ThreadTuner`."""
    return max(usable_cores() - 1, 1)
