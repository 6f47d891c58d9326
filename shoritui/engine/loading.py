"""What a model file says of itself, and whether it will fit, before its weights are loaded.

It does not know requests; `runtime.py` loads what passed here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from shoritui.engine import library
from shoritui.engine.interface import ContextMode, EngineOptions, ModelInfo
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
from shoritui.engine.threads import default_threads
from shoritui.errors import UserError

DEFAULT_N_CTX: Final = 8192
CPU_CHUNK: Final = 128
"""On a CPU, larger steps gain nothing, show less progress and lose more to a cancel."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A model that could be loaded with certain options."""

    info: ModelInfo
    shape: Shape
    wanted: Wanted
    """What it shall have: context, steps of `n_batch` tokens, KV type, layers on the GPU."""
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
    """Read the metadata; `ValueError` if the file cannot be read as a model."""
    model = Model(path, vocab_only=True)
    try:
        return _probe(model, path, options)
    finally:
        model.free()


def _probe(model: Model, path: Path, options: EngineOptions) -> Probe:
    shape = _shape(model)
    _check_kv_type(shape, path, options)
    n_ctx_train = model.number("context_length") or DEFAULT_N_CTX
    gpus = library.gpus() if options.n_gpu_layers else []
    wanted = Wanted(
        n_ctx=options.n_ctx or min(n_ctx_train, DEFAULT_N_CTX),
        contexts=2 if options.context_mode == "exact" else 1,
        n_batch=options.n_batch if gpus else min(options.n_batch, CPU_CHUNK),
        kv_type=options.kv_type,
        gpu_layers=_offloaded(options.n_gpu_layers, shape.n_layer + 1) if gpus else 0,
    )
    room = _room(gpus)
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
        memory_bytes=need(shape, wanted, room.gpus).total,
        llama_cpp=library.library_version(),
        kv_type=options.kv_type,
        context_mode=_likely_mode(shape, wanted, room, options),
        adapters=options.adapters,
    )
    return Probe(info, shape, wanted, room)


def _likely_mode(shape: Shape, wanted: Wanted, room: Room, options: EngineOptions) -> ContextMode:
    """The mode as far as memory decides; what `auto` becomes is measured after loading."""
    if options.context_mode != "auto":
        return options.context_mode
    if not shiftable(shape, wanted.kv_type):
        return "exact"
    return "exact" if fits(shape, replace(wanted, contexts=2), room) else "shift"


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


def _shape(model: Model) -> Shape:
    n_embd = model.number("embedding_length") or 0
    n_layer = model.number("block_count") or 0
    n_head = model.number("attention.head_count") or 1
    head = n_embd // n_head
    return Shape(
        size_bytes=model.size_bytes,
        n_layer=n_layer,
        n_embd=n_embd,
        n_head=n_head,
        kv_heads=n_layer * (model.number("attention.head_count_kv") or n_head),
        n_ff=model.number("feed_forward_length") or 0,
        n_vocab=model.n_vocab,
        key_length=model.number("attention.key_length") or head,
        value_length=model.number("attention.value_length") or head,
    )
