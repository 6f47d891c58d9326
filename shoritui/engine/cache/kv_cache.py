"""The KV cache: which ids it holds, in how many sequences, and how it comes to hold others.

`plan.py` says what to do with one sequence, `kv_store.py` keeps blocks on disk; the context
evaluates. The sequence used last comes first; the others hold branches, trimmed chats and what is
built ahead of need, and lend their cells to whoever needs them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from time import perf_counter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shoritui.engine.cache.kv_store import Kept, KVStore
from shoritui.engine.cache.plan import Blocks, Plan, common_prefix, plan
from shoritui.engine.cache.sequence import KVSequence
from shoritui.engine.interface import Evaluation
from shoritui.engine.llama.context import AbortFlag, Context, Row

FORK: Final = 32
"""Fewer ids than this are removed where they are, unless what was written last began after them;
for more, a sequence beside takes over."""
IDLE_SECONDS: Final = 0.05
"""How long one step of idle work takes, about: so long any other work may have to wait for it."""
_LEAST_IDLE_STEP: Final = 8
_SCORED_STEP: Final = 128
"""How many ids are evaluated at once where the logits behind each are wanted: a row is large."""
_TURNING_STEP: Final = 8
"""How many ids are evaluated while moved keys are turned: no cancel is heard meanwhile."""


class CancelledError(Exception):
    """The work was cancelled on the way."""


class ContextFullError(Exception):
    """There is no room for what shall be evaluated, whatever else is given up."""


class KVCache:
    """The sequences of one context, that in use first; a cancel leaves what was finished."""

    def __init__(
        self,
        context: Context,
        abort: AbortFlag,
        *,
        n_ctx: int,
        sequences: int = 1,
        scratch: Sequence[int] = (),
        shift: bool = False,
        kv_store: KVStore | None = None,
    ) -> None:
        """A cache whose sequences hold up to `n_ctx` ids each.

        `scratch` are the context's sequences that branches may use for a moment. `shift`: blocks
        may stay that were evaluated behind others which are dropped now.
        """
        self.n_ctx: Final = n_ctx
        self.root = b""
        """What the KV that is evaluated now comes from; see `KVSequence.root`."""
        self.sequences: Final = [KVSequence(seq) for seq in range(sequences)]
        """Used last comes first."""
        self._context = context
        self._abort = abort
        self._shift = shift
        self._kv_store = kv_store
        self._scratch = scratch
        self._fresh: KVSequence | None = None
        """The sequence whose last id's logits are the context's."""
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
        """How many ids the sequence in use holds."""
        return len(self.sequences[0])

    @property
    def logits(self) -> NDArray[np.float32]:
        """The scores of all tokens behind the sequence in use, valid until anything is evaluated.

        There are some after a complete `reach` and after `append`.
        """
        sequence = self.sequences[0]
        if self._fresh is sequence:
            return self._context.logits()
        return sequence.snapshots[len(sequence)]

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
        the sequence unused longest loses what it holds.
        """
        wanted = Blocks.of(blocks)
        sequence, steps = self._best(wanted)
        sequence = self._follow(sequence, steps, beside=beside)
        evaluated, complete = self._complete(sequence, wanted, on_progress, give_way)
        if complete:
            sequence.settle(wanted.ends)
            self._keep_logits(sequence)
        return Evaluation(len(sequence) - evaluated, evaluated, complete)

    def reused(self, blocks: Sequence[Sequence[int]]) -> int:
        """How many ids of these blocks `reach` would find evaluated now; nothing changes."""
        wanted, held = Blocks.of(blocks), 0
        if plans := self._plans(wanted):
            sequence, steps = min(plans, key=lambda each: each[1].evaluate)
            if self._context.can_go_back or steps.keep == len(sequence):
                held = len(wanted) - steps.evaluate
        if self._kv_store is not None:
            kept = self._kv_store.found(self.root, held, wanted)
            held += sum(wanted.ends[index] - max(wanted.begin(index), held) for index in kept)
        return held

    def begin_writing(self) -> None:
        """What is appended from now on may be written anew: the sequence is kept up to here."""
        self.sequences[0].begun = self.held

    def append(self, token: int) -> bool:
        """Evaluate one more id of the sequence in use; False if that was cancelled."""
        sequence = self.sequences[0]
        if self._moved or self._abort.is_set():
            return self._evaluate(sequence, (token,))
        ids = sequence.held.ids
        started = perf_counter() if self.on_generated is not None else 0.0
        if self._context.decode_one(token, sequence.id, len(ids)) != "done":
            return self._evaluate(sequence, (token,))
        ids.append(token)
        self._fresh = sequence
        self.decodes += 1
        self.evaluated += 1
        if self.on_generated is not None:
            self.on_generated(perf_counter() - started, len(ids))
        return True

    def step_back(self) -> None:
        """The sequence used before this one is in use again."""
        self.sequences.insert(1, self.sequences.pop(0))

    def branches(self, prefixes: Sequence[tuple[int, ...]]) -> list[NDArray[np.float32]]:
        """The logits behind each of these continuations of the sequence in use, which stays.

        All are evaluated beside each other, what they have in common once.
        """
        sequence = self.sequences[0]
        found: dict[tuple[int, ...], NDArray[np.float32]] = {}
        for some in _batches(prefixes, len(self._scratch), self._context.n_batch):
            rows = _rows(some, len(sequence), self._scratch)
            for seq in self._scratch[: len(some)]:
                self._context.copy(sequence.id, seq)
            try:
                logits = self._decode_rows(list(rows.values()))
            finally:
                for seq in self._scratch[: len(some)]:
                    self._context.remove(seq)
            found |= dict(zip(rows, logits, strict=True))
        return [found[prefix] for prefix in prefixes]

    def each(self, ids: Sequence[int]) -> Iterator[NDArray[np.float32]]:
        """Evaluate these ids from the beginning, and yield the logits behind them, row by row.

        The sequence unused longest takes them in place of what it held.
        """
        sequence = self._emptied(self.sequences[-1])
        self._use(sequence)
        yield from self._each(sequence, ids)

    def behind(self, ids: Sequence[int], begin: int) -> Iterator[NDArray[np.float32]]:
        """Yield the logits behind each of `ids` from number `begin` on, row by row.

        It is done beside all sequences, with what one of them holds of the ids before `begin`.
        """
        usable = [each for each in self.sequences if each.root == self.root]
        shared = [(common_prefix(each.held.ids, ids[:begin]), each) for each in usable]
        held, sequence = max(shared, key=lambda each: each[0], default=(0, self.sequences[0]))
        beside = KVSequence(self._scratch[0])
        if not self._context.can_go_back:
            held = 0
        if held:
            self._context.copy(sequence.id, beside.id, 0, held)
            beside.begin_as(sequence, held)
        try:
            while len(beside) < begin:
                if not self._evaluate(beside, ids[len(beside) : begin][: self._step(idle=True)]):
                    raise CancelledError
            yield from self._each(beside, ids[begin:])
        finally:
            self._context.remove(beside.id)
            self._fresh = None

    def _each(self, sequence: KVSequence, ids: Sequence[int]) -> Iterator[NDArray[np.float32]]:
        step = min(_SCORED_STEP, self._context.n_batch)
        for begin in range(0, len(ids), step):
            some = ids[begin : begin + step]
            rows = [Row(id_, len(sequence) + at, (sequence.id,)) for at, id_ in enumerate(some)]
            logits = self._decode_rows(rows)
            sequence.held.ids.extend(some)
            yield from logits

    def _decode_rows(self, rows: Sequence[Row]) -> NDArray[np.float32]:
        self._fresh = None
        self._count(len(rows))
        with self._context.turning() if self._moved else nullcontext():
            while (logits := self._context.decode_rows(rows)) is None:
                if self._abort.is_set():
                    raise CancelledError
                self._make_room()
        self._moved = False
        return logits

    # Sequences

    def _best(self, wanted: Blocks) -> tuple[KVSequence, Plan]:
        """The sequence from which the least is left to evaluate, and how."""
        plans = self._plans(wanted)
        if not plans:
            return self._emptied(self.sequences[-1]), Plan(0, (), len(wanted))
        return min(plans, key=lambda each: each[1].evaluate)

    def _plans(self, wanted: Blocks) -> list[tuple[KVSequence, Plan]]:
        usable = [each for each in self.sequences if each.root == self.root]
        return [(each, self._plan(each, wanted)) for each in usable]

    def _plan(self, sequence: KVSequence, wanted: Blocks) -> Plan:
        at_hand = {*sequence.snapshots, *((len(sequence),) if sequence is self._fresh else ())}
        return plan(sequence.held, wanted, logits=at_hand, shift=self._shift)

    def _follow(self, sequence: KVSequence, steps: Plan, *, beside: bool) -> KVSequence:
        """Do all of a plan but the evaluation; returns the sequence that is used from now on."""
        removed = len(sequence) - steps.keep
        # What was written last may be written anew: what it was written after stays.
        forks = removed > (0 if beside else FORK) or steps.keep < sequence.begun
        if forks and not steps.moves and len(self.sequences) > 1:
            sequence = self._fork(sequence, steps.keep)
        elif steps.moves:
            self._move_up(sequence, steps)
        elif removed:
            self._truncate(sequence, steps.keep)
        self._use(sequence)
        return sequence

    def _use(self, sequence: KVSequence) -> None:
        self.sequences.remove(sequence)
        self.sequences.insert(0, sequence)

    def _fork(self, sequence: KVSequence, length: int) -> KVSequence:
        """Another sequence that begins as this one does, which stays as it is."""
        others = [each for each in reversed(self.sequences) if each is not sequence]
        other = min(others, key=lambda each: len(each) > 0)  # an empty one, else the oldest
        self._emptied(other)
        if length:
            self._context.copy(sequence.id, other.id, 0, length)
            other.begin_as(sequence, length)
        return other

    def _emptied(self, sequence: KVSequence) -> KVSequence:
        self._context.remove(sequence.id)
        sequence.cut(0)
        sequence.root = self.root
        if self._fresh is sequence:
            self._fresh = None
        return sequence

    def _truncate(self, sequence: KVSequence, length: int) -> None:
        """Keep `length` ids, or none where the model cannot go back to a place in its past."""
        if not self._context.remove(sequence.id, length):
            self._emptied(sequence)
            return
        sequence.cut(length)
        if self._fresh is sequence:
            self._fresh = None

    def _move_up(self, sequence: KVSequence, steps: Plan) -> None:
        """Remove what was dropped and close the gaps (context shift).

        A cell has one position for all sequences that share it: no other sequence may.
        """
        for other in self.sequences:
            if other is not sequence:
                self._emptied(other)
        ids = sequence.held.ids
        end = steps.keep
        kept = ids[:end]
        removed = 0
        for span in steps.moves:
            gap = span.begin - removed - end
            self._remove_gap(sequence.id, end, gap)
            removed += gap
            kept += ids[span.begin : span.end]
            end += len(span)
        self._context.remove(sequence.id, end)
        exact = steps.keep if sequence.exact is None else min(sequence.exact, steps.keep)
        ends = _moved_ends(sequence.held.ends, steps)
        sequence.cut(steps.keep)
        sequence.held.ids[:], sequence.held.ends[:], sequence.exact = kept, ends, exact
        self._fresh = None

    def _remove_gap(self, seq: int, begin: int, length: int) -> None:
        if length:
            self._context.remove(seq, begin, begin + length)
            self._context.shift(seq, begin + length, -length)
            self._moved = True

    def _complete(
        self,
        sequence: KVSequence,
        wanted: Blocks,
        on_progress: Callable[[int, int], None],
        give_way: Callable[[], bool] | None,
    ) -> tuple[int, bool]:
        """Append what a sequence lacks: what the KV store has comes from there, around what it has
        not or is damaged there. Returns how many ids were evaluated, and whether nothing lacks.
        """
        evaluated = 0
        lacking = len(wanted) - len(sequence)

        def evaluate(end: int) -> bool:
            nonlocal evaluated
            while len(sequence) < end:
                if give_way is not None and give_way():
                    return False
                begin = len(sequence)
                step = _TURNING_STEP if self._moved else self._step(idle=give_way is not None)
                is_evaluated = self._evaluate(sequence, wanted.ids[begin : min(begin + step, end)])
                evaluated += len(sequence) - begin
                if not is_evaluated:
                    return False
                sequence.settle(wanted.ends[: wanted.blocks_within(len(sequence))])
                on_progress(evaluated, lacking)
            return True

        if (store := self._kv_store) is not None:
            for index, kept in self._kept(store, sequence, wanted).items():
                if (state := store.load(wanted, index, kept)) is None:
                    continue
                if not evaluate(begin := wanted.begin(index)):
                    return evaluated, False
                store.restore(sequence, wanted, index, kept, state)
                self._fresh = None
                lacking -= len(sequence) - begin
            store.touch(sequence)
        complete = evaluate(len(wanted))
        return evaluated, complete

    def _kept(self, store: KVStore, sequence: KVSequence, wanted: Blocks) -> dict[int, Kept]:
        """What the KV store has of what a sequence lacks, which then ends where a block does."""
        kept = store.found(sequence.root, len(sequence), wanted)
        if kept and (begin := wanted.begin(next(iter(kept)))) < len(sequence):
            self._truncate(sequence, begin)
            if len(sequence) != begin:  # the model cannot go back to a place in its past
                kept = store.found(sequence.root, len(sequence), wanted)
        if kept:
            sequence.settle(wanted.ends[: wanted.blocks_within(len(sequence))])
        return kept

    def save_next(self) -> bool:
        """Begin to save one block that is not in the store yet; False if there is nothing to do."""
        if self._kv_store is None or self._moved:
            return False
        return self._kv_store.save_next(self.sequences)

    def save_prompt(self) -> None:
        """Save how the sequence in use goes on from its prompt, once all blocks are saved."""
        if self._kv_store is not None and not self._moved:
            self._kv_store.save_prompt(self.sequences[0])

    def forget_logits(self) -> None:
        """Something else was evaluated meanwhile: the context's logits are no sequence's now."""
        self._fresh = None

    # Evaluation

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

    def _evaluate(self, sequence: KVSequence, ids: Sequence[int]) -> bool:
        if self._abort.is_set():
            return False
        started = perf_counter()
        self._count(len(ids))
        decoded = self._decode(sequence, ids)
        self._fresh = sequence if decoded else None
        if decoded:
            if len(ids) > 1:
                self._context.synchronize()
            self._clock(perf_counter() - started, len(ids), len(sequence))
            self._moved = False
            sequence.held.ids.extend(ids)
            return True
        # An aborted evaluation may leave whole sub-batches behind, without their logits.
        whole = max(self._context.end(sequence.id) - len(sequence), 0)
        sequence.held.ids.extend(ids[:whole])
        return False

    def _decode(self, sequence: KVSequence, ids: Sequence[int]) -> bool:
        """Evaluate; where there is no room, the sequences unused longest make it."""
        while True:
            with self._context.turning() if self._moved else nullcontext():
                decoded = self._context.decode(ids, seq=sequence.id, begin=len(sequence))
            if decoded != "full":
                return decoded == "done"
            self._make_room()

    def _make_room(self) -> None:
        """Empty the sequence unused longest; the one in use stays."""
        others = [each for each in self.sequences[1:] if len(each)]
        if not others:
            raise ContextFullError
        self._emptied(others[-1])

    def _keep_logits(self, sequence: KVSequence) -> None:
        """A copy of the logits after the prompt, for writing after it again."""
        sequence.remember(self.logits.copy() if self._fresh is sequence else self.logits)


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
