"""The KV cache: which ids it holds, in how many lines, and how it comes to hold others.

It does not know where ids come from. `plan.py` decides what to do with one line, `journal.py`
keeps blocks on disk, `context.py` does as it is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from time import perf_counter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shoritui.engine.context import AbortFlag, Context, Row
from shoritui.engine.interface import Evaluation
from shoritui.engine.keeping import Keeper
from shoritui.engine.line import Line
from shoritui.engine.plan import Blocks, Plan, plan

FORK: Final = 32
"""Fewer ids than this are removed where they are; for more, a line beside takes over."""
IDLE_SECONDS: Final = 0.05
"""How long one step of idle work takes, about: so long any other work may have to wait for it."""
_LEAST_IDLE_STEP: Final = 8
_TURNING_STEP: Final = 8
"""How many ids are evaluated while moved keys are turned: no cancel is heard meanwhile."""


class CancelledError(Exception):
    """The work was cancelled on the way."""


class ContextFullError(Exception):
    """There is no room for what shall be evaluated, whatever else is given up."""


class KVCache:
    """The lines of one context, the one in use first; after a cancel it holds what was finished."""

    def __init__(
        self,
        context: Context,
        abort: AbortFlag,
        *,
        n_ctx: int,
        lines: int = 1,
        scratch: Sequence[int] = (),
        shift: bool = False,
        root: bytes = b"",
        keeper: Keeper | None = None,
    ) -> None:
        """A cache whose lines hold up to `n_ctx` ids each.

        `scratch` are the context's sequences that branches may use for a moment. `shift`: blocks
        may stay that were evaluated behind others which are dropped now.
        """
        self.n_ctx: Final = n_ctx
        self.root = root
        self.lines: Final = [Line(seq) for seq in range(lines)]
        """Used last comes first."""
        self._context = context
        self._abort = abort
        self._shift = shift
        self._keeper = keeper
        self._scratch = scratch
        self._fresh: Line | None = None
        """The line whose last id's logits are the context's."""
        self._moved = False
        """Keys were moved and not yet turned: their state must not be saved."""
        self._seconds_per_id = 0.0
        self.decodes = self.evaluated = 0
        """Evaluations of any size, and the ids in them."""
        self.on_evaluated: Callable[[int, float, int], None] | None = None
        """Hears how many ids a step of a prompt had, its seconds, and how many stood before."""
        self.on_generated: Callable[[float, int], None] | None = None
        """Hears the seconds of each single id, and how many are held."""

    @property
    def held(self) -> int:
        """How many ids the line in use holds."""
        return len(self.lines[0])

    @property
    def logits(self) -> NDArray[np.float32]:
        """The scores of all tokens behind the line in use; to be read until anything is evaluated.

        There are some after a complete `reach` and after `append`.
        """
        line = self.lines[0]
        return self._context.logits() if self._fresh is line else line.snapshots[len(line)]

    @property
    def fresh(self) -> Context | None:
        """The context, if its own logits are those behind the line in use."""
        return self._context if self._fresh is self.lines[0] else None

    def reach(
        self,
        blocks: Sequence[Sequence[int]],
        on_progress: Callable[[int, int], None] = lambda done, of: None,
        give_way: Callable[[], bool] | None = None,
        *,
        beside: bool = False,
    ) -> Evaluation:
        """Hold exactly these blocks, the last logits at hand, evaluating as little as possible.

        With `give_way` it goes on in small steps and ends early once that says so. `beside`: only
        the line unused longest loses what it holds.
        """
        wanted = Blocks.of(blocks)
        line, steps = self._best(wanted)
        line = self._follow(line, steps, beside=beside)
        self._restore(line, wanted)
        reused = len(line)
        complete = self._evaluate_rest(line, wanted, on_progress, give_way)
        if complete:
            line.settle(wanted.ends)
            self._keep_logits(line)
        return Evaluation(reused, len(line) - reused, complete)

    def append(self, token: int) -> bool:
        """Evaluate one more id of the line in use; False if that was cancelled."""
        line = self.lines[0]
        if self._moved or self._abort.is_set():
            return self._evaluate(line, (token,))
        ids = line.held.ids
        started = perf_counter() if self.on_generated is not None else 0.0
        if self._context.decode_one(token, line.seq, len(ids)) != "done":
            return self._evaluate(line, (token,))
        ids.append(token)
        self._fresh = line
        self.decodes += 1
        self.evaluated += 1
        if self.on_generated is not None:
            self.on_generated(perf_counter() - started, len(ids))
        return True

    def step_back(self) -> None:
        """The line used before this one is in use again."""
        self.lines.insert(1, self.lines.pop(0))

    def branches(self, prefixes: Sequence[tuple[int, ...]]) -> list[NDArray[np.float32]]:
        """The logits behind each of these continuations of the line in use, which stays as it is.

        All are evaluated beside each other, what they have in common once.
        """
        line = self.lines[0]
        found: dict[tuple[int, ...], NDArray[np.float32]] = {}
        for some in _batches(prefixes, len(self._scratch), self._context.n_batch):
            rows = _rows(some, len(line), self._scratch)
            for seq in self._scratch[: len(some)]:
                self._context.copy(line.seq, seq)
            try:
                logits = self._decode_rows(line, list(rows.values()))
            finally:
                for seq in self._scratch[: len(some)]:
                    self._context.remove(seq)
            found |= dict(zip(rows, logits, strict=True))
        return [found[prefix] for prefix in prefixes]

    def _decode_rows(self, line: Line, rows: Sequence[Row]) -> NDArray[np.float32]:
        self._fresh = None
        self._count(len(rows))
        while (logits := self._context.decode_rows(rows)) is None:
            if self._abort.is_set():
                raise CancelledError
            self._make_room(line)
        return logits

    # Lines

    def _best(self, wanted: Blocks) -> tuple[Line, Plan]:
        """The line from which the least is left to evaluate, and how."""
        plans = [(line, self._plan(line, wanted)) for line in self.lines if line.root == self.root]
        if not plans:
            return self._emptied(self.lines[-1]), Plan(0, (), len(wanted))
        return min(plans, key=lambda each: each[1].evaluate)

    def _plan(self, line: Line, wanted: Blocks) -> Plan:
        at_hand = {*line.snapshots, *((len(line),) if line is self._fresh else ())}
        return plan(line.held, wanted, logits=at_hand, shift=self._shift)

    def _follow(self, line: Line, steps: Plan, *, beside: bool) -> Line:
        """Do all of a plan but the evaluation; returns the line that is used from now on."""
        removed = len(line) - steps.keep
        if removed > (0 if beside else FORK) and not steps.moves and len(self.lines) > 1:
            line = self._fork(line, steps.keep)
        elif steps.moves:
            self._move_up(line, steps)
        elif removed:
            self._truncate(line, steps.keep)
        self._use(line)
        return line

    def _use(self, line: Line) -> None:
        self.lines.remove(line)
        self.lines.insert(0, line)

    def _fork(self, line: Line, length: int) -> Line:
        """Another line that begins as this one does, which stays as it is."""
        others = [each for each in reversed(self.lines) if each is not line]
        other = min(others, key=lambda each: len(each) > 0)  # an empty one, else the oldest
        self._emptied(other)
        if length:
            self._context.copy(line.seq, other.seq, 0, length)
            other.begin_as(line, length)
        return other

    def _emptied(self, line: Line) -> Line:
        self._context.remove(line.seq)
        line.cut(0)
        line.root = self.root
        if self._fresh is line:
            self._fresh = None
        return line

    def _truncate(self, line: Line, length: int) -> None:
        """Keep `length` ids, or none where the model cannot go back to a place in its past."""
        if not self._context.remove(line.seq, length):
            self._emptied(line)
            return
        line.cut(length)
        if self._fresh is line:
            self._fresh = None

    def _move_up(self, line: Line, steps: Plan) -> None:
        """Remove what was dropped and close the gaps (context shift).

        A cell has one position for all sequences that share it: no other line may.
        """
        for other in self.lines:
            if other is not line:
                self._emptied(other)
        ids = line.held.ids
        end = steps.keep
        kept = ids[:end]
        removed = 0
        for span in steps.moves:
            gap = span.begin - removed - end
            self._remove_gap(line.seq, end, gap)
            removed += gap
            kept += ids[span.begin : span.end]
            end += len(span)
        self._context.remove(line.seq, end)
        exact = steps.keep if line.exact is None else min(line.exact, steps.keep)
        ends = _moved_ends(line.held.ends, steps)
        line.cut(steps.keep)
        line.held.ids[:], line.held.ends[:], line.exact = kept, ends, exact
        self._fresh = None

    def _remove_gap(self, seq: int, begin: int, length: int) -> None:
        if length:
            self._context.remove(seq, begin, begin + length)
            self._context.shift(seq, begin + length, -length)
            self._moved = True

    def _restore(self, line: Line, wanted: Blocks) -> None:
        """What the line lacks and the journal has comes from there."""
        keys = self._keeper.found(line, wanted) if self._keeper is not None else []
        if self._keeper is None or not keys:
            return
        self._truncate(line, wanted.begin(wanted.blocks_within(len(line))))
        line.settle(wanted.ends[: wanted.blocks_within(len(line))])
        self._keeper.restore(line, wanted, keys)
        self._fresh = None

    def save_next(self) -> bool:
        """Begin to save one block that is not in the journal yet; False if there is nothing to do.

        Not before keys that were moved have been turned: until then they are saved wrongly.
        """
        return self._keeper is not None and not self._moved and self._keeper.save_next(self.lines)

    def save_prompt(self) -> None:
        """Save how the line in use goes on from its prompt, once all blocks are saved."""
        if self._keeper is not None and not self._moved:
            self._keeper.save_prompt(self.lines[0])

    def forget_logits(self) -> None:
        """Something else was evaluated meanwhile: the context's logits are no line's any more."""
        self._fresh = None

    # Evaluation

    def _evaluate_rest(
        self,
        line: Line,
        wanted: Blocks,
        on_progress: Callable[[int, int], None],
        give_way: Callable[[], bool] | None,
    ) -> bool:
        begun = len(line)
        total = len(wanted) - begun
        while len(line) < len(wanted):
            if give_way is not None and give_way():
                return False
            begin = len(line)
            step = _TURNING_STEP if self._moved else self._step(idle=give_way is not None)
            ids = wanted.ids[begin : begin + step]
            if not self._evaluate(line, ids):
                return False
            line.settle(wanted.ends[: wanted.blocks_within(len(line))])
            on_progress(len(line) - begun, total)
        return True

    def _step(self, *, idle: bool) -> int:
        most = self._context.n_batch
        if not idle or not self._seconds_per_id:
            return most
        return min(max(int(IDLE_SECONDS / self._seconds_per_id), _LEAST_IDLE_STEP), most)

    def _count(self, ids: int) -> None:
        self.decodes += 1
        self.evaluated += ids

    def _clock(self, seconds: float, count: int, held: int) -> None:
        """Learn how fast prompts are evaluated; small steps say little about large ones."""
        if self.on_evaluated is not None:
            self.on_evaluated(count, seconds, held)
        if count >= _LEAST_IDLE_STEP:
            latest = seconds / count
            self._seconds_per_id = (self._seconds_per_id or latest) * 0.7 + latest * 0.3

    def _evaluate(self, line: Line, ids: Sequence[int]) -> bool:
        if self._abort.is_set():
            return False
        started = perf_counter()
        self._count(len(ids))
        decoded = self._decode(line, ids)
        self._fresh = line if decoded else None
        if decoded:
            if len(ids) > 1:
                self._context.synchronize()
            self._clock(perf_counter() - started, len(ids), len(line))
            self._moved = False
            line.held.ids.extend(ids)
            return True
        # An aborted evaluation may leave whole sub-batches behind, without their logits.
        whole = max(self._context.end(line.seq) - len(line), 0)
        line.held.ids.extend(ids[:whole])
        return False

    def _decode(self, line: Line, ids: Sequence[int]) -> bool:
        """Evaluate; where there is no room, the lines unused longest make it."""
        while True:
            with self._context.turning() if self._moved else nullcontext():
                decoded = self._context.decode(ids, seq=line.seq, begin=len(line))
            if decoded != "full":
                return decoded == "done"
            self._make_room(line)

    def _make_room(self, line: Line) -> None:
        others = [each for each in self.lines if each is not line and len(each)]
        if not others:
            raise ContextFullError
        self._emptied(others[-1])

    def _keep_logits(self, line: Line) -> None:
        """A copy of the logits after the prompt, for writing after it again."""
        line.remember(self.logits.copy() if self._fresh is line else self.logits)


def _moved_ends(ends: Sequence[int], steps: Plan) -> list[int]:
    """Where blocks end once the spans have moved up."""
    moved = [end for end in ends if end <= steps.keep]
    behind = steps.keep
    for span in steps.moves:
        moved += [end - span.begin + behind for end in ends if span.begin < end <= span.end]
        behind += len(span)
    return moved


def _batches(
    prefixes: Sequence[tuple[int, ...]], branches: int, rows: int
) -> Iterator[list[tuple[int, ...]]]:
    """The continuations in groups that can be evaluated at once."""
    batch: list[tuple[int, ...]] = []
    for prefix in prefixes:
        if batch and (len(batch) == branches or sum(map(len, batch)) + len(prefix) > rows):
            yield batch
            batch = []
        batch.append(prefix)
    if batch:
        yield batch


def _rows(
    prefixes: Sequence[tuple[int, ...]], begin: int, seqs: Sequence[int]
) -> dict[tuple[int, ...], Row]:
    """One row for each distinct beginning of the continuations, for all that share it."""
    sharing: dict[tuple[int, ...], list[int]] = {}
    for prefix, seq in zip(prefixes, seqs, strict=False):
        for length in range(1, len(prefix) + 1):
            sharing.setdefault(prefix[:length], []).append(seq)
    shortest_first = sorted(sharing, key=len)
    return {
        prefix: Row(prefix[-1], begin + len(prefix) - 1, tuple(sharing[prefix]))
        for prefix in shortest_first
    }
