"""What a model file says of itself, and whether it will fit, before its weights are loaded.

It does not know requests; `runtime.py` loads what passed here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from shoritui.engine import library
from shoritui.engine.interface import Adapter, ContextMode, EngineOptions, ModelInfo
from shoritui.engine.machine import machine_memory
from shoritui.engine.memory import (
    Room,
    Shape,
    Wanted,
    divides,
    fits,
    need,
    shiftable,
    shortage,
)
from shoritui.engine.model import Model
from shoritui.engine.shelf.gguf import Header, read_header
from shoritui.engine.threads import default_threads
from shoritui.errors import UserError

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
    shape: Shape
    wanted: Wanted
    """What it must have: one context, steps of `n_batch` tokens, KV type, layers on the GPU."""
    room: Room

    @property
    def can_shift_kv(self) -> bool:
        """Whether held cells may be moved; where not, llama.cpp crashes at the attempt."""
        return shiftable(self.shape, self.wanted.kv_type)

    @property
    def room_for_two(self) -> bool:
        """Whether a second context of cells fits beside the first."""
        return fits(self.shape, replace(self.wanted, contexts=2), self.room)

    @property
    def shortage(self) -> str:
        """One sentence with the cause and what would fit; "" if it fits."""
        return shortage(self.shape, self.wanted, self.room)

    def check_memory(self) -> None:
        """`UserError` if the model certainly cannot fit."""
        if problem := self.shortage:
            raise UserError(f"{self.info.path.name}: {problem}")


def probe(path: Path, options: EngineOptions) -> Probe:
    """Read the metadata; `UserError` or `ValueError` if the file cannot be read as a model."""
    header = read_header(path)
    model = Model(path, vocab_only=True)
    try:
        return _probe(model, header, path, options)
    finally:
        model.free()


def check_adapters(architecture: str, adapters: Sequence[Adapter]) -> int:
    """The bytes that the adapters take; `UserError` if one is none for this kind of model."""
    return sum(_adapter_bytes(adapter.path, architecture) for adapter in adapters)


def _adapter_bytes(path: Path, architecture: str) -> int:
    if not path.exists():
        raise UserError(f"{path}: there is no such adapter file.")
    header = read_header(path)
    if header.text("general.type") != "adapter":
        raise UserError(f"{path.name} is no adapter: expected a LoRA adapter in GGUF form.")
    if (kind := header.text("adapter.type")) != "lora":
        raise UserError(f"{path.name} is an adapter of the type {kind!r}: expected 'lora'.")
    if (made_for := header.text("general.architecture")) != architecture:
        raise UserError(
            f"{path.name} is an adapter for {made_for or 'another kind of'} models, "
            f"the model is of the kind {architecture}: take one that was made for it."
        )
    return path.stat().st_size


def _probe(model: Model, header: Header, path: Path, options: EngineOptions) -> Probe:
    architecture = header.text("general.architecture")
    adapter_bytes = check_adapters(architecture, options.adapters)
    shape = _shape(model, header)
    _check_shape(shape, model.n_params, path)
    shape = replace(shape, size_bytes=shape.size_bytes + adapter_bytes)
    _check_kv_type(shape, path, options)
    n_ctx_train = header.number(f"{architecture}.context_length") or DEFAULT_N_CTX
    gpus = library.gpus() if options.n_gpu_layers else []
    wanted = Wanted(
        n_ctx=options.n_ctx or min(n_ctx_train, DEFAULT_N_CTX),
        n_batch=options.n_batch if gpus else min(options.n_batch, CPU_CHUNK),
        kv_type=options.kv_type,
        gpu_layers=_offloaded(options.n_gpu_layers, shape.n_layer + 1) if gpus else 0,
    )
    room = _room(gpus)
    mode, full = _likely_mode(shape, wanted, room, options)
    info = ModelInfo(
        path=path,
        description=model.description,
        n_params=model.n_params,
        size_bytes=model.size_bytes,
        n_ctx=wanted.n_ctx,
        n_ctx_train=n_ctx_train,
        n_vocab=model.n_vocab,
        gpu=" + ".join(gpu.name for gpu in gpus),
        n_gpu_layers=wanted.gpu_layers,
        n_threads=options.n_threads or default_threads(),
        block_tokens=model.block_tokens,
        memory_bytes=need(shape, full, room.gpus).total,
        llama_cpp=library.library_version(),
        kv_type=options.kv_type,
        context_mode=mode,
        adapters=options.adapters,
        shortage=shortage(shape, full, room),
    )
    return Probe(info, shape, wanted, room)


def _likely_mode(
    shape: Shape, wanted: Wanted, room: Room, options: EngineOptions
) -> tuple[ContextMode, Wanted]:
    """The mode as far as memory decides, and all that it takes; `auto` also measures, later."""
    two = replace(wanted, contexts=2)
    if options.context_mode == "exact":
        return "exact", two
    if options.context_mode == "auto" and fits(shape, two, room):
        return "exact", two
    return ("shift" if shiftable(shape, wanted.kv_type) else "exact"), wanted


def _check_kv_type(shape: Shape, path: Path, options: EngineOptions) -> None:
    if not divides(shape, options.kv_type):
        raise UserError(
            f"{path.name}: its attention heads of {shape.key_length} values cannot be stored as "
            f'{options.kv_type}: set kv_type = "f16".'
        )
    if options.context_mode == "shift" and not shiftable(shape, options.kv_type):
        raise UserError(
            f"{path.name}: llama.cpp cannot shift its attention heads of {shape.key_length} values "
            f'as {options.kv_type}: set context_mode = "exact" or kv_type = "f16".'
        )


def _room(gpus: list[library.Device]) -> Room:
    """All GPUs as one: llama.cpp splits the layers over them."""
    total, available = machine_memory()
    free = sum(gpu.free for gpu in gpus) if gpus else None
    return Room(total, available, free, max(len(gpus), 1))


def _offloaded(wanted: int, layers: int) -> int:
    return layers if wanted < 0 else min(wanted, layers)


def _shape(model: Model, header: Header) -> Shape:
    """The sizes, of which some models state one for each layer."""

    def numbers(key: str) -> tuple[int, ...]:
        return header.numbers(f"{header.text('general.architecture')}.{key}")

    def largest(key: str, default: int = 0) -> int:
        return max(numbers(key), default=default)

    n_layer, n_embd = largest("block_count"), largest("embedding_length")
    n_head = largest("attention.head_count", 1)
    kv_heads = numbers("attention.head_count_kv") or (n_head,)
    head = n_embd // max(n_head, 1)
    return Shape(
        size_bytes=model.size_bytes,
        n_layer=n_layer,
        n_embd=n_embd,
        n_head=n_head,
        kv_heads=sum(kv_heads) if len(kv_heads) > 1 else n_layer * kv_heads[0],
        n_ff=largest("feed_forward_length"),
        n_vocab=model.n_vocab,
        key_length=largest("attention.key_length", head),
        value_length=largest("attention.value_length", head),
    )


def _check_shape(shape: Shape, n_params: int, path: Path) -> None:
    """A file that claims layers which its tensors cannot hold would ask for absurd memory."""
    values = shape.kv_heads * (shape.key_length + shape.value_length)
    claimed = shape.n_embd * max(shape.n_layer * shape.n_ff, values)
    if not 0 < shape.n_layer <= _MOST_LAYERS or claimed > _PLAUSIBLE * n_params:
        raise UserError(
            f"{path.name} is damaged: its sizes contradict its tensors; fetch it again."
        )
