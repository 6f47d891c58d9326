"""What a model file says of itself, and whether it will fit, before its weights are loaded.

It does not know requests; `runtime.py` loads what passed here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shoritui.engine import library
from shoritui.engine.interface import EngineOptions, ModelInfo
from shoritui.engine.memory import (
    Estimate,
    Shape,
    estimate,
    gpu_shortage,
    machine_memory,
    shortage,
)
from shoritui.engine.model import Model
from shoritui.engine.threads import default_threads
from shoritui.errors import UserError

DEFAULT_N_CTX: Final = 8192


@dataclass(frozen=True, slots=True)
class Probe:
    """A model that could be loaded with certain options."""

    info: ModelInfo
    need: Estimate
    gpu: library.Device | None

    def check_memory(self) -> None:
        """`UserError` if the model certainly cannot fit."""
        if self.gpu is None:
            total, available = machine_memory()
            problem = shortage(self.need, total=total, available=available)
        else:
            problem = gpu_shortage(self.need, self.gpu.free)
        if problem:
            raise UserError(f"{self.info.path.name}: {problem}")


def probe(path: Path, options: EngineOptions) -> Probe:
    """Read the metadata; `ValueError` if the file cannot be read as a model."""
    model = Model(path, vocab_only=True)
    try:
        return _probe(model, path, options)
    finally:
        model.free()


def _probe(model: Model, path: Path, options: EngineOptions) -> Probe:
    shape = _shape(model)
    n_ctx_train = model.number("context_length") or DEFAULT_N_CTX
    n_ctx = options.n_ctx or min(n_ctx_train, DEFAULT_N_CTX)
    need = estimate(shape, n_ctx, options.n_batch)
    gpu = _gpu() if options.n_gpu_layers else None
    layers = _offloaded(options.n_gpu_layers, shape.n_layer + 1) if gpu else 0
    info = ModelInfo(
        path=path,
        description=model.description,
        n_params=model.n_params,
        size_bytes=model.size_bytes,
        n_ctx=n_ctx,
        n_ctx_train=n_ctx_train,
        n_vocab=model.n_vocab,
        gpu=gpu.name if gpu else "",
        n_gpu_layers=layers,
        n_threads=options.n_threads or default_threads(),
        block_tokens=model.block_tokens,
        memory_bytes=need.total,
        llama_cpp=library.library_version(),
    )
    return Probe(info, need.share(layers / (shape.n_layer + 1)) if gpu else need, gpu)


def _gpu() -> library.Device | None:
    """All GPUs as one: llama.cpp splits the layers over them."""
    found = library.gpus()
    if len(found) < 2:
        return found[0] if found else None
    names = " + ".join(gpu.name for gpu in found)
    return library.Device(names, sum(gpu.free for gpu in found), sum(gpu.total for gpu in found))


def _offloaded(wanted: int, layers: int) -> int:
    return layers if wanted < 0 else min(wanted, layers)


def _shape(model: Model) -> Shape:
    n_embd = model.number("embedding_length") or 0
    n_head = model.number("attention.head_count") or 1
    head = n_embd // n_head
    return Shape(
        size_bytes=model.size_bytes,
        n_layer=model.number("block_count") or 0,
        n_embd=n_embd,
        n_head=n_head,
        n_head_kv=model.number("attention.head_count_kv") or n_head,
        n_ff=model.number("feed_forward_length") or 0,
        n_vocab=model.n_vocab,
        key_length=model.number("attention.key_length") or head,
        value_length=model.number("attention.value_length") or head,
    )
