"""What a model file says of itself, and whether it will fit, before its weights are loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from shoritui.engine.interface import Adapter, ContextMode, EngineOptions, ModelInfo
from shoritui.engine.llama import library
from shoritui.engine.llama.adapter_folder import lora_gguf
from shoritui.engine.llama.memory_estimate import (
    AvailableMemory,
    LoadPlan,
    ModelSizes,
    divides,
    fits,
    need,
    shiftable,
    shortage,
)
from shoritui.engine.llama.model import Model
from shoritui.engine.llama.threads import default_threads
from shoritui.errors import UserError
from shoritui.gguf.header import Header, read_header
from shoritui.host.machine import machine_memory
from shoritui.text import printable

ARCHITECTURE: Final = "general.architecture"
DEFAULT_N_CTX: Final = 8192
_MOST_LAYERS: Final = 1024
_PLAUSIBLE: Final = 4
"""How often the parameters that the sizes make may be counted in the file: some are shared."""
CPU_CHUNK: Final = 128
"""On a CPU, larger steps gain nothing, show less progress and lose more to a cancel."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A model that could be loaded with certain options."""

    info: ModelInfo
    sizes: ModelSizes
    load: LoadPlan
    """What it must have: one context, steps of `n_batch` tokens, KV type, layers on the GPU."""
    memory: AvailableMemory

    @property
    def can_shift_kv(self) -> bool:
        """Whether held cells may be moved; where not, llama.cpp crashes at the attempt."""
        return shiftable(self.sizes, self.load.kv_type)

    @property
    def room_for_two(self) -> bool:
        """Whether a second context of cells fits beside the first."""
        return fits(self.sizes, replace(self.load, contexts=2), self.memory)

    def check_memory(self) -> None:
        """`UserError` if the model certainly cannot fit."""
        if problem := shortage(self.sizes, self.load, self.memory):
            raise UserError(f"{self.info.path.name}: {problem}")


def probe(path: Path, options: EngineOptions) -> Probe:
    """Read the metadata; `UserError` or `ValueError` if the file cannot be read as a model."""
    header = read_header(path)
    model = Model(path, vocab_only=True)
    try:
        return _probe(model, header, path, options)
    finally:
        model.free()


def check_adapters(adapters: Sequence[Adapter], model: Path, architecture: str) -> int:
    """The bytes that the adapters take; `UserError` if one is none for this kind of model."""
    files = (lora_gguf(adapter.path, model) for adapter in adapters)
    return sum(_adapter_bytes(file, architecture) for file in files)


def _adapter_bytes(path: Path, architecture: str) -> int:
    if not path.exists():
        raise UserError(f"{printable(path)}: there is no such adapter file or folder.")
    header, name = read_header(path), printable(path.name)
    if header.text("general.type") != "adapter":
        raise UserError(
            f"{name} is no adapter: expected a LoRA GGUF, or the folder that PEFT saved."
        )
    if (kind := header.text("adapter.type")) != "lora":
        raise UserError(f"{name} is an adapter of the type {kind!r}: expected 'lora'.")
    if (made_for := header.text(ARCHITECTURE)) != architecture:
        raise UserError(
            f"{name} is an adapter for {made_for or 'another kind of'} models, "
            f"the model is of the kind {architecture}: take one that was made for it."
        )
    return path.stat().st_size


def _probe(model: Model, header: Header, path: Path, options: EngineOptions) -> Probe:
    architecture = header.text(ARCHITECTURE)
    adapter_bytes = check_adapters(options.adapters, path, architecture)
    sizes = _sizes(model, header)
    _check_sizes(sizes, model.n_params, path)
    sizes = replace(sizes, size_bytes=sizes.size_bytes + adapter_bytes)
    _check_kv_type(sizes, path, options)
    n_ctx_train = header.number(f"{architecture}.context_length") or DEFAULT_N_CTX
    gpus = library.gpus() if options.n_gpu_layers else []
    load = LoadPlan(
        n_ctx=options.n_ctx or min(n_ctx_train, DEFAULT_N_CTX),
        n_batch=options.n_batch if gpus else min(options.n_batch, CPU_CHUNK),
        kv_type=options.kv_type,
        gpu_layers=_offloaded(options.n_gpu_layers, sizes.n_layer + 1) if gpus else 0,
    )
    memory = _memory(gpus)
    mode, full = _likely_mode(sizes, load, memory, options)
    info = ModelInfo(
        path=path,
        description=model.description,
        n_params=model.n_params,
        size_bytes=model.size_bytes,
        n_ctx=load.n_ctx,
        n_ctx_train=n_ctx_train,
        n_vocab=model.n_vocab,
        gpu=" + ".join(gpu.name for gpu in gpus),
        n_gpu_layers=load.gpu_layers,
        n_threads=options.n_threads or default_threads(),
        block_tokens=model.block_tokens,
        memory_bytes=need(sizes, full, memory.gpus).total,
        llama_cpp=library.library_version(),
        kv_type=options.kv_type,
        context_mode=mode,
        adapters=options.adapters,
        shortage=shortage(sizes, full, memory),
    )
    return Probe(info, sizes, load, memory)


def _likely_mode(
    sizes: ModelSizes, load: LoadPlan, memory: AvailableMemory, options: EngineOptions
) -> tuple[ContextMode, LoadPlan]:
    """The mode as far as memory decides, and all that it takes; `auto` also measures, later."""
    two = replace(load, contexts=2)
    if options.context_mode == "exact":
        return "exact", two
    if options.context_mode == "auto" and fits(sizes, two, memory):
        return "exact", two
    return ("shift" if shiftable(sizes, load.kv_type) else "exact"), load


def _check_kv_type(sizes: ModelSizes, path: Path, options: EngineOptions) -> None:
    if not divides(sizes, options.kv_type):
        raise UserError(
            f"{path.name}: its attention heads of {sizes.key_length} values cannot be stored as "
            f'{options.kv_type}: set kv_type = "f16".'
        )
    if options.context_mode == "shift" and not shiftable(sizes, options.kv_type):
        raise UserError(
            f"{path.name}: llama.cpp cannot shift its attention heads of {sizes.key_length} values "
            f'as {options.kv_type}: set context_mode = "exact" or kv_type = "f16".'
        )


def _memory(gpus: list[library.Device]) -> AvailableMemory:
    """All GPUs as one: llama.cpp splits the layers over them."""
    total, free = machine_memory()
    gpu_free = sum(gpu.free for gpu in gpus) if gpus else None
    return AvailableMemory(total, free, gpu_free, max(len(gpus), 1))


def _offloaded(wanted: int, layers: int) -> int:
    return layers if wanted < 0 else min(wanted, layers)


def _sizes(model: Model, header: Header) -> ModelSizes:
    """The sizes, of which some models state one for each layer."""

    def numbers(key: str) -> tuple[int, ...]:
        return header.numbers(f"{header.text(ARCHITECTURE)}.{key}")

    def largest(key: str, default: int = 0) -> int:
        return max(numbers(key), default=default)

    n_layer, n_embd = largest("block_count"), largest("embedding_length")
    n_head = largest("attention.head_count", 1)
    kv_heads = numbers("attention.head_count_kv") or (n_head,)
    head = n_embd // max(n_head, 1)
    return ModelSizes(
        size_bytes=model.size_bytes,
        n_layer=n_layer,
        n_embd=n_embd,
        kv_heads=sum(kv_heads) if len(kv_heads) > 1 else n_layer * kv_heads[0],
        n_ff=largest("feed_forward_length"),
        n_vocab=model.n_vocab,
        key_length=largest("attention.key_length", head),
        value_length=largest("attention.value_length", head),
    )


def _check_sizes(sizes: ModelSizes, n_params: int, path: Path) -> None:
    """A file that claims layers which its tensors cannot hold would ask for absurd memory."""
    values = sizes.kv_heads * (sizes.key_length + sizes.value_length)
    claimed = sizes.n_embd * max(sizes.n_layer * sizes.n_ff, values)
    if not 0 < sizes.n_layer <= _MOST_LAYERS or claimed > _PLAUSIBLE * n_params:
        raise UserError(
            f"{path.name} is damaged: its sizes contradict its tensors; fetch it again."
        )
