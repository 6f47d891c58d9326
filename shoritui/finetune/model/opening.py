"""Opens a base for training: read tensor by tensor, quantised at once, with an adapter on it.

It does not know where the base came from, nor how it is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from shoritui.blockml import clean
from shoritui.errors import UserError
from shoritui.finetune.config.model import Base, Config, Train
from shoritui.finetune.events import Preparing, Told
from shoritui.finetune.model import adapter
from shoritui.finetune.model.base import Tell
from shoritui.finetune.model.checkpoint import Checkpoint
from shoritui.finetune.model.interface import Trainable
from shoritui.finetune.model.network import Network
from shoritui.finetune.model.quiet import quieten
from shoritui.finetune.model.shape import PROJECTIONS, Shape, misfit, read_config, shape_in
from shoritui.finetune.model.weights import Dense, Frozen, LayerWeights, Weights, nf4_of

_EMBEDDING: Final = "model.embed_tokens.weight"
_NORM: Final = "model.norm.weight"
_HEAD: Final = "lm_head.weight"
_TYPES: Final = {"bf16": torch.bfloat16, "fp32": torch.float32}


Hold = Callable[[Frozen], Frozen]


def _whole(matrix: Frozen) -> Frozen:
    return matrix


def open_model(
    config: Config, folder: Path, device: torch.device, tell: Tell, hold: Hold = _whole
) -> Trainable:
    """A base that is ready to be trained, with the adapter that its first tier begins with.

    A llama or mistral becomes the fast network; anything else goes through transformers and PEFT,
    and that is told.

    Args:
        config: Its `base`, `lora` and the tiers' precision decide.
        folder: Where the base lies, as `base.folder_of` found it.
        device: Where it is to be.
        tell: Is told how far it is.
        hold: What becomes of each frozen matrix of the fast network before the next one is read.

    Raises:
        UserError: The folder's model cannot be used, or the config does not fit it.
    """
    quieten()
    train = _train(config)
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high" if train.tf32 else "highest")
    facts = read_config(folder)
    if "quantization_config" in facts:
        raise UserError(
            f"{folder} holds weights that are quantised already: take the model that they were "
            "made from."
        )
    if reason := misfit(facts):
        from shoritui.finetune.model.generic import open_generic

        said = f"This base is trained through transformers and PEFT, more slowly: {clean(reason)}."
        tell(Told(said))
        return open_generic(config, train, folder, device, tell)
    shape = _shape(facts, folder)
    linears = linears_of(shape)
    fresh = adapter.fresh(linears, config.lora, train.seed)  # before what takes long
    dtype = _TYPES[train.precision]
    weights = weights_of(folder, shape, config.base, dtype, device, tell, hold)
    return Network(
        shape,
        weights,
        {name: nn.Parameter(tensor.to(device)) for name, tensor in fresh.items()},
        config.lora,
        dtype,
        train.neftune,
    )


def linears_of(shape: Shape) -> dict[str, tuple[int, int]]:
    """The linear layers of a fast network that an adapter may be for, with (outputs, inputs)."""
    return {
        shape.path(layer, projection): shape.sizes(projection)
        for layer in range(shape.layers)
        for projection in PROJECTIONS
    }


def weights_of(
    folder: Path,
    shape: Shape,
    base: Base,
    dtype: torch.dtype,
    device: torch.device,
    tell: Tell,
    hold: Hold = _whole,
) -> Weights:
    """The frozen weights of a llama's folder; not more than one matrix is there unquantised.

    Args:
        folder: With config.json and safetensors.
        shape: As its config.json says.
        base: Whether and how matrices are quantised.
        dtype: Of what is not: embedding, norms and head, and all of it where nothing is.
        device: Where they are to be.
        tell: Is told how many layers there are.
        hold: What becomes of each matrix of a layer before the next one is read.

    Raises:
        UserError: A tensor is missing, of another shape, unknown, or damaged.
    """
    checkpoint = Checkpoint(folder)
    checkpoint.check(_expected(shape), frozenset([_HEAD] if shape.is_tied else []))

    def plain(name: str) -> Tensor:
        return checkpoint.tensor(name).to(device, dtype)

    def frozen(name: str) -> Frozen:
        if base.quantize == "none":
            return hold(Dense(plain(name)))
        return hold(nf4_of(checkpoint.tensor(name).to(device), base.double_quant))

    layers = []
    for layer in range(shape.layers):
        tell(Preparing("loading the base, layer", layer, shape.layers))
        layers.append(
            LayerWeights(
                attention_norm=plain(f"model.layers.{layer}.input_layernorm.weight"),
                mlp_norm=plain(f"model.layers.{layer}.post_attention_layernorm.weight"),
                projections={
                    name: frozen(f"{shape.path(layer, name)}.weight") for name in PROJECTIONS
                },
            )
        )
    tell(Preparing("loading the base, layer", shape.layers, shape.layers))
    embedding = plain(_EMBEDDING)
    head = embedding if shape.is_tied else plain(_HEAD)
    return Weights(embedding, tuple(layers), plain(_NORM), head)


def _train(config: Config) -> Train:
    """The first tier's settings; precision, in which the base is held, is the same in all."""
    for tier in config.tiers:
        if tier.train.precision != config.tiers[0].train.precision:
            raise UserError(
                f"{config.path}: tier {tier.name} has another precision than "
                f"{config.tiers[0].name}: set it once, in [train]."
            )
    return config.tiers[0].train


def _shape(facts: Mapping[str, Any], folder: Path) -> Shape:
    try:
        return shape_in(facts)
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise UserError(f"{folder / 'config.json'} lacks or garbles {error}.") from None


def _expected(shape: Shape) -> dict[str, tuple[int, ...]]:
    expected: dict[str, tuple[int, ...]] = {
        _EMBEDDING: (shape.vocabulary, shape.hidden),
        _NORM: (shape.hidden,),
    }
    for layer in range(shape.layers):
        for norm in ("input_layernorm", "post_attention_layernorm"):
            expected[f"model.layers.{layer}.{norm}.weight"] = (shape.hidden,)
    expected |= {f"{name}.weight": sizes for name, sizes in linears_of(shape).items()}
    return expected if shape.is_tied else {**expected, _HEAD: (shape.vocabulary, shape.hidden)}
