"""The network and its vocabulary as one GGUF file: an ordinary llama with tied embeddings."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from shoritui.demo.making.network import Layer, Network
from shoritui.demo.making.vocabulary import Pieces
from shoritui.gguf.converted import converted
from shoritui.gguf.model import Model, write_model
from shoritui.gguf.read import Floats
from shoritui.gguf.shape import config_of
from shoritui.gguf.vocabulary.sentencepiece import pieces_of_model
from shoritui.gguf.write import About

NAME = "ShoriTUI demo"


def write_gguf(
    path: Path, network: Network, pieces: Pieces, tokens: int = 0, seconds: float = 0
) -> None:
    """Write the file: matrices in Q8_0, norms in F32; it replaces an older one when whole.

    `tokens` and `seconds` of training are noted in it, for the model card.
    """
    about = About(
        NAME,
        "Writes BlockML scenes; made from nothing but the project's own text.",
        "Apache-2.0",
        {
            "general.parameter_count": sum(p.numel() for p in network.parameters()),
            "shoritui.training.tokens": tokens,
            "shoritui.training.seconds": float(seconds),
        },
    )
    write_model(path, model_of(network, pieces), "q8_0", about)


def model_of(network: Network, pieces: Pieces) -> Model:
    """Return the network under the names that everybody knows."""
    vocabulary = pieces_of_model(pieces.model, pieces.size, {}, Path("the vocabulary"))
    tensors = _tensors(network)

    def values(name: str) -> Floats:
        floats: Floats = tensors[name].detach().float().numpy()
        return floats

    sizes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    return converted(config_of(network.shape), vocabulary, sizes, values, "the network")


def _tensors(network: Network) -> dict[str, Tensor]:
    named: dict[str, Tensor] = {"model.embed_tokens": network.embedding}
    for index, layer in enumerate(network.layers):
        assert isinstance(layer, Layer)
        named |= {
            f"model.layers.{index}.{name}": tensor
            for name, tensor in (
                ("input_layernorm", layer.attention_norm),
                ("self_attn.q_proj", layer.q),
                ("self_attn.k_proj", layer.k),
                ("self_attn.v_proj", layer.v),
                ("self_attn.o_proj", layer.o),
                ("post_attention_layernorm", layer.forward_norm),
                ("mlp.gate_proj", layer.gate),
                ("mlp.up_proj", layer.up),
                ("mlp.down_proj", layer.down),
            )
        }
    named["model.norm"] = network.norm
    return {f"{name}.weight": tensor for name, tensor in named.items()}
