"""A document read as it grows, token by token, for sample replies: what was read is not read again.

It knows no vocabulary and chooses no token; nothing of the network is changed by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from shoritui.errors import UserError
from shoritui.finetune.data.sample import Ids
from shoritui.finetune.model.attention import Attended, attend

if TYPE_CHECKING:
    from shoritui.finetune.model.network import Network


class Reader:
    """One document, with the keys and values of what was read."""

    def __init__(self, network: Network, room: int) -> None:
        """Makes room for so many tokens."""
        shape, work = network.shape, network.tuning.precision.work
        size = (shape.layers, 2, room, shape.kv_heads, shape.head_size)
        self._network = network
        self._cache = torch.empty(size, dtype=work, device=network.device)
        self.length = 0
        """Tokens that were read."""

    def read(self, ids: Ids) -> Tensor:
        """Reads on; (vocabulary,), fp32: the logits of what may come next.

        Raises:
            UserError: There is no room for so many.
        """
        network, room = self._network, self._cache.shape[2]
        if self.length + len(ids) > room:
            raise UserError(f"The document grows beyond the {room} tokens that can be read.")
        micro = network.micro((0, len(ids)), first=self.length)
        with torch.no_grad():
            x = network.embedded(ids, micro)
            for layer, cache in zip(network.layers, self._cache, strict=True):
                q, k, v = layer.attention.projected(x, micro)
                output = self._attended(q, k, v, cache).to(micro.precision.stream)
                x = layer.attention.joined(x, Attended(output, ()), micro)
                x = layer.mlp.forward(x, micro)
            self.length += len(ids)
            return network.head().logits(x[-1:], micro.precision)[0]

    def _attended(self, q: Tensor, k: Tensor, v: Tensor, cache: Tensor) -> Tensor:
        before, now = self.length, self.length + len(q)
        cache[0, before:now] = k
        cache[1, before:now] = v
        window = self._network.shape.window
        reaches_all = not window or now <= window
        if before == 0 and reaches_all:
            return attend(q, k, v, (0, now)).output
        mask = None
        if len(q) > 1 or not reaches_all:
            mask = _seen(before, now, window, q.device)
        queries, keys, values = (
            each.transpose(0, 1)[None] for each in (q, cache[0, :now], cache[1, :now])
        )
        output = functional.scaled_dot_product_attention(
            queries, keys, values, attn_mask=mask, enable_gqa=True
        )
        return output[0].transpose(0, 1)


def _seen(before: int, now: int, window: int, device: torch.device) -> Tensor:
    """(read now, read at all): what each token looks at, as far back as the window goes."""
    rows = torch.arange(before, now, device=device)[:, None]
    columns = torch.arange(now, device=device)
    seen = columns <= rows
    return seen & (columns > rows - window) if window else seen
