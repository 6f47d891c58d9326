"""Token ids to learn from: a sample is one part of a conversation, a pack is several side by side.

It does not know BlockML, nor what a network does with them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Sample:
    """One document: a conversation, or the part of a long one that fits."""

    ids: Ids
    """(tokens,), with what begins a document (BOS) first."""
    learn: Mask
    """(tokens,): whether this token counts when it is predicted from those before it. The
    first never does."""
    source: str
    """File and line, for people; of no meaning to the maths."""


@dataclass(frozen=True, slots=True)
class Pack:
    """Documents laid end to end; none attends to another."""

    ids: Ids
    """(tokens,)."""
    learn: Mask
    """(tokens,): as in a sample; False at every document's first token."""
    starts: tuple[int, ...]
    """Where each document begins, and at the end the number of tokens: `documents + 1` places."""
    sources: tuple[str, ...]
    """One a document."""

    @property
    def documents(self) -> int:
        """How many there are."""
        return len(self.sources)

    @property
    def learnt(self) -> int:
        """Tokens that count."""
        return int(self.learn.sum())


def pack_of(samples: tuple[Sample, ...]) -> Pack:
    """These samples, one behind the other."""
    lengths = [len(sample.ids) for sample in samples]
    return Pack(
        ids=np.concatenate([sample.ids for sample in samples]),
        learn=np.concatenate([sample.learn for sample in samples]),
        starts=tuple(int(place) for place in np.cumsum([0, *lengths])),
        sources=tuple(sample.source for sample in samples),
    )
