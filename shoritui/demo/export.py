"""The network and its vocabulary as one GGUF file that llama.cpp runs.

It knows nothing of training. The file is an ordinary llama: tied embeddings, no biases.
"""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import torch
from torch import Tensor

from shoritui.demo.network import Layer, Network, Shape
from shoritui.demo.pieces import Pieces

NAME = "ShoriTUI demo"


def write_gguf(
    path: Path, network: Network, pieces: Pieces, tokens: int = 0, seconds: float = 0
) -> None:
    """Write the file: matrices in Q8_0, norms in F32; it replaces an older one when whole.

    `tokens` and `seconds` of training are noted in it, for the model card.
    """
    part = path.with_suffix(".part")
    writer = gguf.GGUFWriter(part, "llama")
    writer.add_name(NAME)
    writer.add_license("Apache-2.0")
    writer.add_description("Writes BlockML scenes; made from nothing but the project's own text.")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_uint64("general.parameter_count", sum(p.numel() for p in network.parameters()))
    writer.add_uint64("shoritui.training.tokens", tokens)
    writer.add_float32("shoritui.training.seconds", seconds)
    _add_shape(writer, network.shape)
    _add_vocabulary(writer, pieces)
    for name, tensor in _tensors(network):
        _add_tensor(writer, name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    part.replace(path)


def _add_shape(writer: gguf.GGUFWriter, shape: Shape) -> None:
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_key_length(shape.head_width)
    writer.add_value_length(shape.head_width)
    writer.add_rope_dimension_count(shape.head_width)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    writer.add_vocab_size(shape.vocabulary)


def _add_vocabulary(writer: gguf.GGUFWriter, pieces: Pieces) -> None:
    processor = pieces.processor
    ids = range(pieces.size)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([processor.id_to_piece(i).encode() for i in ids])
    writer.add_token_scores([processor.get_score(i) for i in ids])
    writer.add_token_types([_token_type(pieces, i) for i in ids])
    writer.add_bos_token_id(processor.bos_id())
    writer.add_eos_token_id(processor.eos_id())
    writer.add_unk_token_id(processor.unk_id())
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)


def _token_type(pieces: Pieces, piece: int) -> gguf.TokenType:
    processor = pieces.processor
    if processor.is_unknown(piece):
        return gguf.TokenType.UNKNOWN
    if processor.is_control(piece):
        return gguf.TokenType.CONTROL
    if processor.is_byte(piece):
        return gguf.TokenType.BYTE
    return gguf.TokenType.NORMAL


def _tensors(network: Network) -> list[tuple[str, Tensor]]:
    heads = network.shape.heads
    named: list[tuple[str, Tensor]] = [("token_embd", network.embedding)]
    for index, layer in enumerate(network.layers):
        assert isinstance(layer, Layer)
        named += [
            (f"blk.{index}.{name}", tensor)
            for name, tensor in (
                ("attn_norm", layer.attention_norm),
                ("attn_q", interleaved(layer.q, heads)),
                ("attn_k", interleaved(layer.k, heads)),
                ("attn_v", layer.v),
                ("attn_output", layer.o),
                ("ffn_norm", layer.forward_norm),
                ("ffn_gate", layer.gate),
                ("ffn_up", layer.up),
                ("ffn_down", layer.down),
            )
        ]
    return [*named, ("output_norm", network.norm)]


def interleaved(matrix: Tensor, heads: int) -> Tensor:
    """Rows of a head reordered from (first halves, second halves) to pairs, as GGUF rotates."""
    high, wide = matrix.shape
    return matrix.reshape(heads, 2, high // heads // 2, wide).transpose(1, 2).reshape(high, wide)


def _add_tensor(writer: gguf.GGUFWriter, name: str, tensor: Tensor) -> None:
    values = tensor.detach().to(torch.float32).contiguous().numpy()
    kind = gguf.GGMLQuantizationType.Q8_0 if values.ndim == 2 else gguf.GGMLQuantizationType.F32
    data = gguf.quants.quantize(np.ascontiguousarray(values), kind)
    writer.add_tensor(f"{name}.weight", data, raw_dtype=kind)
