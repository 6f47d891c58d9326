"""LoRA adapters for the model that ships, of random weights: as a GGUF, and as PEFT's folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from gguf import GGUFReader, GGUFWriter
from safetensors.numpy import save_file

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


def write_adapter_folder(folder: Path, model: Path, *, seed: int = 1, wide: int = 1) -> Path:
    """An adapter of every layer's output projection, `wide` times as wide as the model's."""
    noise = np.random.default_rng(seed)
    tensors = {}
    for tensor in GGUFReader(model).tensors:
        _, layer, *kind = tensor.name.split(".")
        if kind == ["attn_output", "weight"]:
            columns, rows = map(int, tensor.shape)
            name = f"base_model.model.model.layers.{layer}.self_attn.o_proj"
            down = noise.normal(0, 0.3, (RANK, columns * wide)).astype(np.float32)
            tensors[f"{name}.lora_A.weight"] = down
            tensors[f"{name}.lora_B.weight"] = noise.normal(0, 0.3, (rows, RANK)).astype(np.float32)
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": RANK, "lora_alpha": RANK, "target_modules": ["o_proj"]}
    config["base_model_name_or_path"] = "the/small \x1b[31mone"
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder
