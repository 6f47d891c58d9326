"""Samples, which are token ids to learn from, and packs of several samples laid end to end.

sequence_len   |------------------------------|
packs          |AAAAAAAAAAAAAAAAAAAA|BBBBBBBB|..|
               |CCCCCCCCCCCCC|DDDDDDDDDD|EEEEE|..|
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np
import numpy.typing as npt

from shoritui.finetune.config.model import Tier, Train

Ids = npt.NDArray[np.int32]
LearnMask = npt.NDArray[np.bool_]
Losses = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sample:
    """One document: a conversation, or the part of a long one that fits."""

    ids: Ids
    """(tokens,), with what begins a document (BOS) first."""
    learn: LearnMask
    """(tokens,): whether this token counts when it is predicted from those before it. The
    first never does."""
    source: str
    """File and line, for people; of no meaning to the maths."""


@dataclass(frozen=True, slots=True)
class Pack:
    """Documents laid end to end; none attends to another."""

    ids: Ids
    """(tokens,)."""
    learn: LearnMask
    """(tokens,): as in a sample; False at every document's first token."""
    starts: tuple[int, ...]
    """Where each document begins, and at the end the number of tokens: `documents + 1` places."""
    sources: tuple[str, ...]
    """One a document."""
    reference: Losses | None = None
    """(documents,): of preferences, each one's loss under the model that they are compared with."""

    @property
    def documents(self) -> int:
        """How many there are."""
        return len(self.sources)

    @property
    def learnt(self) -> int:
        """Tokens that count."""
        return int(self.learn.sum())

    @property
    def counts(self) -> tuple[int, ...]:
        """Tokens that count, of each document."""
        return tuple(int(self.learn[a:b].sum()) for a, b in pairwise(self.starts))


def pack_of(samples: tuple[Sample, ...]) -> Pack:
    """These samples, one behind the other."""
    lengths = [len(sample.ids) for sample in samples]
    return Pack(
        ids=np.concatenate([sample.ids for sample in samples]),
        learn=np.concatenate([sample.learn for sample in samples]),
        starts=tuple(int(place) for place in np.cumsum([0, *lengths])),
        sources=tuple(sample.source for sample in samples),
    )


def packs_of(
    samples: Sequence[Sample],
    sequence_len: int,
    packing: bool,
    together: int = 1,
    most: int | None = None,
) -> tuple[Pack, ...]:
    """Every sample in one pack, none of which is longer than `sequence_len`.

    Best fit, longest first: each goes where it leaves the least room. So many samples in a row stay
    `together`, in their order; a pack has at `most` so many of these groups. Without packing each
    group is a pack of its own.

    Raises:
        ValueError: A group is longer than that.
    """
    groups = [tuple(samples[at : at + together]) for at in range(0, len(samples), together)]
    if not packing:
        return tuple(map(pack_of, groups))
    packs: list[list[tuple[Sample, ...]]] = []
    rooms: list[tuple[int, int]] = []  # what is left of each pack, and which it is
    for size, group in sorted(((_size(each), each) for each in groups), key=lambda each: -each[0]):
        if size > sequence_len:
            raise ValueError(f"{group[0].source}: {size} tokens do not fit into {sequence_len}")
        place = bisect_left(rooms, (size, -1))
        room, pack = rooms.pop(place) if place < len(rooms) else (sequence_len, len(packs))
        if pack == len(packs):
            packs.append([])
        packs[pack].append(group)
        if len(packs[pack]) != most:
            insort(rooms, (room - size, pack))
    return tuple(pack_of(tuple(chain.from_iterable(pack))) for pack in packs)


def packed(tier: Tier, samples: Sequence[Sample]) -> tuple[Pack, ...]:
    """Samples as the packs of a tier."""
    train = tier.train
    pairs = tier.preference.pairs if tier.kind == "preference" else None
    return packs_of(samples, train.sequence_len, train.packing, tier.together, pairs)


def _size(group: Sequence[Sample]) -> int:
    return sum(len(sample.ids) for sample in group)


def efficiency(packs: Sequence[Pack], sequence_len: int) -> float:
    """The share of the packs' room that is filled; 1 if there are none."""
    tokens = sum(len(pack.ids) for pack in packs)
    return tokens / (len(packs) * sequence_len) if packs else 1.0


def order(count: int, seed: int, epoch: int) -> list[int]:
    """The order of an epoch's packs: a permutation that only these numbers decide."""

    def place(pack: int) -> bytes:
        return hashlib.sha256(f"{seed}/{epoch}/{pack}".encode()).digest()

    return sorted(range(count), key=place)


def steps_of(packs: Sequence[Pack], train: Train) -> int:
    """The optimizer steps of all epochs; an epoch's last one may have fewer packs."""
    return train.epochs * -(-len(packs) // train.packs_per_step)
