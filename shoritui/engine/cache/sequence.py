"""One sequence of a context: the ids it holds, its blocks, and the logits kept of it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shoritui.engine.cache.plan import Blocks

SNAPSHOTS: Final = 4
"""Copies of logits that a sequence keeps, one for each of its last prompts' ends."""


@dataclass(slots=True, eq=False)
class KVSequence:
    """A sequence and the ids in it; its last block is the open one."""

    id: int
    """llama.cpp's number for it."""
    root: bytes = b""
    """What its KV comes from, such as model and adapters; under another root it is of no use."""
    held: Blocks = field(default_factory=Blocks)
    exact: int | None = None
    """So many leading ids were evaluated behind exactly what stands before them; None: all."""
    snapshots: OrderedDict[int, NDArray[np.float32]] = field(default_factory=OrderedDict)
    """Copies of the logits after so many ids."""
    begun: int = 0
    """So many ids stood before what was written last."""
    keys: list[bytes] = field(default_factory=list)
    """The keys of its leading blocks as far as they are in the KV store."""

    def __len__(self) -> int:
        return len(self.held)

    def cut(self, length: int) -> None:
        """Keep the first `length` ids."""
        self.held.cut(length)
        for place in [place for place in self.snapshots if place > length]:
            del self.snapshots[place]
        if self.exact is not None and self.exact >= length:
            self.exact = None
        if self.begun > length:
            self.begun = 0
        del self.keys[len(self.held.ends) :]

    def settle(self, ends: Sequence[int]) -> None:
        """From now on its blocks end here."""
        known = len(self.keys)
        if self.held.ends[:known] != list(ends[:known]):
            self.keys.clear()
        self.held.ends[:] = ends

    def begin_as(self, other: KVSequence, length: int) -> None:
        """Take over what is known of the first `length` ids of another sequence."""
        self.root, self.exact, self.begun = other.root, other.exact, other.begun
        self.held = Blocks(other.held.ids[:], other.held.ends[:])
        self.snapshots, self.keys = OrderedDict(other.snapshots), other.keys[:]
        self.cut(length)

    def remember(self, logits: NDArray[np.float32]) -> None:
        """Keep these logits, which are those of the last id held."""
        self.snapshots[len(self)] = logits
        self.snapshots.move_to_end(len(self))
        while len(self.snapshots) > SNAPSHOTS:
            self.snapshots.popitem(last=False)
