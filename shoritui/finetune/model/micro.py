"""What every layer is told about one micro-step: documents, positions, masks, types, chunks.

It does not know layers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from shoritui.finetune.model.dropout import Mask, key_of, mask_of
from shoritui.finetune.model.interface import Draw, Rung
from shoritui.finetune.model.offload import Parking
from shoritui.finetune.model.projection import Fan, OpenFan
from shoritui.finetune.model.rope import Rotation
from shoritui.finetune.model.tuning import Precision


@dataclass(frozen=True, slots=True)
class MicroStep:
    """One pack on its way through the network."""

    starts: tuple[int, ...]
    """Where documents begin, and the number of tokens."""
    rotation: Rotation
    draw: Draw | None
    """None where nothing is random: in evaluation."""
    rung: Rung
    precision: Precision
    device: torch.device
    chunk: int
    """Tokens that are computed at a time where tokens are independent."""
    mask_type: torch.dtype
    parking: Parking | None = None
    """Where layers' inputs wait on the lowest rung."""

    @property
    def tokens(self) -> int:
        """Of all documents."""
        return self.starts[-1]

    def spans(self) -> Iterator[slice]:
        """The tokens, a chunk at a time."""
        for start in range(0, self.tokens, self.chunk):
            yield slice(start, min(start + self.chunk, self.tokens))

    def opened(self, fan: Fan) -> OpenFan:
        """A fan ready to compute with."""
        return fan.opened(self.precision, self._drops(fan))

    def mask(self, layer: int, site: int, fan: Fan) -> Mask | None:
        """What a fan's adapter sees; None for all."""
        if self.draw is None or not self._drops(fan):
            return None
        key = key_of(self.draw, layer, site)
        width = fan.adapted[0].a.shape[1]
        return mask_of(key, self.tokens, width, fan.dropout, self.mask_type, self.device)

    def _drops(self, fan: Fan) -> bool:
        return self.draw is not None and fan.dropout > 0 and bool(fan.adapted)
