"""A base with an adapter added to its weights: in fp32, on the base that is not quantised.

It does not know files; one tensor is in memory at a time.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from shoritui.errors import UserError
from shoritui.finetune.export.lora import pairs_of
from shoritui.finetune.gguf.reading import Floats, printable
from shoritui.finetune.gguf.write import Llama
from shoritui.finetune.model.adapter import Saved

_HEAD = "lm_head.weight"
_EMBEDDINGS = "model.embed_tokens.weight"


def merged(base: Llama, saved: Saved) -> Llama:
    """The base as the adapter makes it.

    An adapter of the output head unties it from the embeddings.

    Raises:
        UserError: The adapter is for layers that the base does not have, or of other sizes.
    """
    pairs = {f"{linear}.weight": pair for linear, pair in pairs_of(saved).items()}
    names = tuple(base.names)
    is_untied = _HEAD in pairs and _HEAD not in names
    if is_untied:
        names = (*names, _HEAD)
    for name, (down, up) in pairs.items():
        if name not in names or base.sizes.shape_of(name) != (up.shape[0], down.shape[1]):
            raise UserError(
                f"The adapter is for {printable(name)}, which its base does not have, or not in "
                "this size."
            )

    def tensor(name: str) -> Floats:
        source = _EMBEDDINGS if name == _HEAD and is_untied else name
        weights = torch.from_numpy(base.tensor(source))
        if name in pairs:
            down, up = pairs[name]
            weights = weights + saved.lora.scale * (up @ down)
        floats: Floats = weights.numpy()
        return floats

    return replace(base, names=names, tensor=tensor)
