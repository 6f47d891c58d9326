"""The fewest operations that turn the ids held in the KV cache into the ids wanted.

    held    [scene][a][b][c][d]
    wanted  [scene]   [b][c][d][new]      keep scene, move b c d up, evaluate new

Pure: blocks of ids go in, operations come out.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain
from typing import Final

_STRIDE: Final = 256


@dataclass(frozen=True, slots=True)
class Blocks:
    """Ids in their order, and where each block of them ends; ids behind the last end are loose."""

    ids: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, blocks: Sequence[Sequence[int]]) -> Blocks:
        """These blocks, one after the other."""
        ids = list(chain.from_iterable(blocks))
        return cls(ids, list(accumulate(map(len, blocks))))

    def __len__(self) -> int:
        return len(self.ids)

    def begin(self, index: int) -> int:
        """Where a block begins."""
        return self.ends[index - 1] if index else 0

    def block(self, index: int) -> tuple[int, ...]:
        """The ids of a block; behind the last one, the loose ids."""
        end = self.ends[index] if index < len(self.ends) else len(self.ids)
        return tuple(self.ids[self.begin(index) : end])

    def blocks_within(self, length: int) -> int:
        """How many whole blocks the first `length` ids are."""
        return bisect_right(self.ends, length)

    def cut(self, length: int) -> None:
        """Keep the first `length` ids."""
        del self.ids[length:]
        del self.ends[self.blocks_within(length) :]


@dataclass(frozen=True, slots=True)
class Span:
    """The ids from `begin` up to `end` of what is held."""

    begin: int
    end: int

    def __len__(self) -> int:
        return self.end - self.begin


@dataclass(frozen=True, slots=True)
class Plan:
    """Keep the first `keep` ids, move these spans up behind them, evaluate the rest of wanted.

    Everything held that is neither kept nor moved is removed.
    """

    keep: int
    moves: tuple[Span, ...]
    evaluate: int


def plan(held: Blocks, wanted: Blocks, *, logits: Container[int] = (), shift: bool = False) -> Plan:
    """Return how to get from `held` to `wanted` with the logits of the last wanted id at hand.

    `logits` are the lengths of `held` whose last id's logits are at hand: where that of `wanted` is
    not among them, its last id is evaluated again even if it is held. With `shift`, blocks may stay
    that were evaluated behind others which are dropped now.
    """
    keep = common_prefix(held.ids, wanted.ids)
    moves: tuple[Span, ...] = ()
    if shift and keep < len(held):
        whole, spans = _moved(held, wanted, keep)
        if whole + sum(map(len, spans)) > keep:
            keep, moves = whole, spans
    evaluate = len(wanted) - keep - sum(map(len, moves))
    if wanted.ids and not evaluate and (moves or keep not in logits):
        keep, moves = _without_last(keep, moves)
        evaluate = 1
    return Plan(keep, moves, evaluate)


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """How many leading ids are equal."""
    most = min(len(a), len(b))
    begin = 0
    while begin < most and a[begin : begin + _STRIDE] == b[begin : begin + _STRIDE]:
        begin += _STRIDE
    while begin < most and a[begin] == b[begin]:
        begin += 1
    return min(begin, most)


def _moved(held: Blocks, wanted: Blocks, prefix: int) -> tuple[int, tuple[Span, ...]]:
    """The whole blocks of the prefix, and the held blocks that the next wanted ones equal.

    Both in their order: what is held between them was dropped. The last span may be the beginning
    of its wanted block, where that one has grown since.
    """
    whole = min(common_prefix(held.ends, wanted.ends), held.blocks_within(prefix))
    keep = held.begin(whole)
    spans: list[Span] = []
    at = whole
    for index in range(whole, len(wanted.ends)):
        found = _find(held, at, wanted.block(index))
        if found is None:
            break
        at, span = found
        spans.append(span)
        if span.end == len(held):  # what is loose may have been taken with the last block
            break
        at += 1
    return keep, _joined(spans)


def _find(held: Blocks, at: int, block: tuple[int, ...]) -> tuple[int, Span] | None:
    """The first held block from number `at` on that equals `block`, or begins it at the end."""
    for index in range(at, len(held.ends)):
        begin, end = held.begin(index), held.ends[index]
        if end - begin == len(block) and held.block(index) == block:
            return index, Span(begin, end)
    for index in (len(held.ends) - 1, len(held.ends)):
        # The last block, or the loose ids behind it, may have grown meanwhile.
        if index >= at:
            begin = held.begin(index)
            tail = tuple(held.ids[begin:])
            if tail and tail == block[: len(tail)]:
                return index, Span(begin, len(held))
    return None


def _joined(spans: Sequence[Span]) -> tuple[Span, ...]:
    joined: list[Span] = []
    for span in spans:
        if joined and joined[-1].end == span.begin:
            joined[-1] = Span(joined[-1].begin, span.end)
        else:
            joined.append(span)
    return tuple(joined)


def _without_last(keep: int, moves: tuple[Span, ...]) -> tuple[int, tuple[Span, ...]]:
    """One id less, the last one."""
    if not moves:
        return keep - 1, ()
    last = moves[-1]
    shorter = Span(last.begin, last.end - 1)
    return keep, (*moves[:-1], shorter) if len(shorter) else moves[:-1]
