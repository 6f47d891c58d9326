"""LoRA adapters for the model that ships, of random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gguf import GGUFReader, GGUFWriter

RANK = 4


def write_adapter(path: Path, model: Path, *, seed: int = 1, architecture: str = "llama") -> Path:
    """An adapter of every layer's query and output weights, strong enough to be heard."""
    weights = {tensor.name: tensor.shape for tensor in GGUFReader(model).tensors}
    wanted = [name for name in weights if name.endswith(("attn_q.weight", "attn_output.weight"))]
    noise = np.random.default_rng(seed)
    writer = GGUFWriter(path, architecture)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(RANK))
    for name in wanted:
        columns, rows = map(int, weights[name])
        down = noise.normal(0, 0.3, (RANK, columns)).astype(np.float32)
        up = noise.normal(0, 0.3, (rows, RANK)).astype(np.float32)
        writer.add_tensor(f"{name}.lora_a", down)
        writer.add_tensor(f"{name}.lora_b", up)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
