"""Open a base for training: read tensor by tensor, quantised at once, with an adapter on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from shoritui.errors import UserError
from shoritui.finetune.config.model import Base, Config, Train
from shoritui.finetune.events import Preparing, Report, Reported
from shoritui.finetune.model import adapter
from shoritui.finetune.model.interface import Trainable
from shoritui.finetune.model.network import Network
from shoritui.finetune.model.precision import TYPES
from shoritui.finetune.model.shape import fast_shape
from shoritui.finetune.model.weights import Dense, Frozen, LayerWeights, Weights, nf4_of
from shoritui.finetune.quiet_libraries import quieten
from shoritui.gguf.checkpoint import Checkpoint
from shoritui.gguf.shape import (
    EMBEDDING,
    HEAD,
    HEAD_NORMS,
    NORM,
    PROJECTIONS,
    Shape,
    read_config,
)
from shoritui.text import clean

Hold = Callable[[Frozen], Frozen]


def _whole(matrix: Frozen) -> Frozen:
    return matrix


def open_model(
    config: Config, folder: Path, device: torch.device, report: Report, hold: Hold = _whole
) -> Trainable:
    """Return a base that is ready to be trained, with the adapter that its first tier begins with.

    What has a llama's layers becomes the fast network; anything else goes through transformers and
    PEFT, and that is reported.

    Args:
        config: Its `base`, `lora` and the tiers' precision decide.
        folder: Where the base lies, as `base.folder_of` found it.
        device: Where it is to be.
        report: Hears how far it is.
        hold: What becomes of each matrix of the fast network's layers before the next is read.

    Raises:
        UserError: The folder's model cannot be used, or the config does not fit it.
    """
    quieten()
    train = _train(config)
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high" if train.tf32 else "highest")
    if "quantization_config" in read_config(folder):
        raise UserError(
            f"{folder} holds weights that are quantised already: take the model that they were "
            "made from."
        )
    shape = fast_shape(folder, config)
    if isinstance(shape, str):
        from shoritui.finetune.model.generic import open_generic

        said = f"This base is trained through transformers and PEFT, more slowly: {clean(shape)}."
        report(Reported(said))
        return open_generic(config, train, folder, device, report)
    fresh = adapter.fresh(shape.linears, config.lora, train.seed)  # before what takes long
    dtype = TYPES[train.precision]
    weights = weights_of(folder, shape, config.base, dtype, device, report, hold)
    return Network(
        shape,
        weights,
        {name: nn.Parameter(tensor.to(device)) for name, tensor in fresh.items()},
        config.lora,
        dtype,
        train.neftune,
    )


def weights_of(
    folder: Path,
    shape: Shape,
    base: Base,
    dtype: torch.dtype,
    device: torch.device,
    report: Report,
    hold: Hold = _whole,
) -> Weights:
    """Read the frozen weights of a llama's folder; at most one matrix is there unquantised.

    `dtype` is of what is not quantised: embedding, norms and head, and all where nothing is; for
    the rest see `open_model`.

    Raises:
        UserError: A tensor is missing, of another shape, unknown, or damaged.
    """
    checkpoint = Checkpoint(folder, reads_only=shape.inner != "model")
    checkpoint.check(shape)

    def stored(name: str) -> Tensor:
        kind, numbers = checkpoint.stored(name)
        tensor = torch.from_numpy(numbers)
        return tensor.view(torch.bfloat16) if kind == "BF16" else tensor

    def plain(name: str) -> Tensor:
        return stored(name).to(device, dtype)

    def frozen(name: str) -> Frozen:
        if base.quantize == "none":
            return hold(Dense(plain(name)))
        return hold(nf4_of(stored(name).to(device), base.double_quant))

    def head_norms(layer: int) -> tuple[Tensor, Tensor]:
        q, k = (plain(f"model.layers.{layer}.self_attn.{name}.weight") for name in HEAD_NORMS)
        return q, k

    layers = []
    for layer in range(shape.layers):
        report(Preparing("loading the base, layer", layer, shape.layers))
        layers.append(
            LayerWeights(
                attention_norm=plain(f"model.layers.{layer}.input_layernorm.weight"),
                mlp_norm=plain(f"model.layers.{layer}.post_attention_layernorm.weight"),
                projections={
                    name: frozen(f"{shape.stored(layer, name)}.weight") for name in PROJECTIONS
                },
                biases={name: plain(f"{shape.stored(layer, name)}.bias") for name in shape.biased},
                head_norms=head_norms(layer) if shape.has_head_norms else None,
            )
        )
    report(Preparing("loading the base, layer", shape.layers, shape.layers))
    embedding = plain(EMBEDDING)
    head = embedding if shape.is_tied else plain(HEAD)
    return Weights(embedding, tuple(layers), plain(NORM), head)


def _train(config: Config) -> Train:
    """Return the first tier's settings; the precision, the base's too, is the same in all."""
    for tier in config.tiers:
        if tier.train.precision != config.tiers[0].train.precision:
            raise UserError(
                f"{config.path}: tier {tier.name} has another precision than "
                f"{config.tiers[0].name}: set it once, in [train]."
            )
    return config.tiers[0].train
