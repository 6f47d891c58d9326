"""How much memory a model will take, whether it fits, and which change would make it fit.

It does not know llama.cpp or this machine: numbers come in, bytes and sentences go out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from shoritui.engine.interface import KVType

GIB: Final = 1024**3
MIB: Final = 1024**2
GPU_RUNTIME: Final = GIB // 2
"""What a GPU's driver, kernels and workspaces take before anything of the model is there."""
_F16: Final = 2
_F32: Final = 4
_BLOCKS: Final[dict[KVType, tuple[int, int]]] = {"f16": (1, 2), "q8_0": (32, 34), "q4_0": (32, 18)}
"""How many values of a KV type go together, and the bytes they take."""
_CONTEXT_STEP: Final = 256
_USEFUL_CONTEXT: Final = 1024


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a model that decide about memory."""

    size_bytes: int
    n_layer: int
    n_embd: int
    n_head: int
    """Attention heads of the layer that has the most."""
    kv_heads: int
    """Key and value heads of all layers together."""
    n_ff: int
    n_vocab: int
    key_length: int
    value_length: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a model shall be loaded, as far as memory is concerned."""

    n_ctx: int
    contexts: int = 1
    """How many contexts of cells the cache holds: 2 where one is rebuilt beside the other."""
    n_batch: int = 512
    kv_type: KVType = "f16"
    gpu_layers: int = 0
    """Layers on the GPU, the output layer counted."""
    flash_attention: bool = True


@dataclass(frozen=True, slots=True)
class Room:
    """The bytes there are, None where nobody knows."""

    total: int | None
    available: int | None
    gpu_free: int | None = None
    """Free on all GPUs together; None without a GPU."""
    gpus: int = 1


@dataclass(frozen=True, slots=True)
class Estimate:
    """Bytes for the weights, the KV cache and the working memory."""

    weights: int
    kv_cache: int
    compute: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.kv_cache + self.compute

    @property
    def fixed(self) -> int:
        """What must be free; weights are mapped from the file and the system may drop them."""
        return self.kv_cache + self.compute


@dataclass(frozen=True, slots=True)
class Need:
    """What a model takes of the machine's own memory and of the GPU's."""

    host: Estimate
    gpu: Estimate

    @property
    def total(self) -> int:
        """Both together."""
        return self.host.total + self.gpu.total


def estimate(
    shape: Shape,
    cells: int,
    n_batch: int,
    kv_type: KVType = "f16",
    *,
    flash_attention: bool = True,
) -> Estimate:
    """What the model takes in one place, with so many cells and tokens a step.

    A sliding window is ignored: its cache is held whole, so that it can go back.
    """
    kv_cache = cells * _bytes_per_cell(shape, kv_type)
    return Estimate(shape.size_bytes, kv_cache, _compute(shape, cells, n_batch, flash_attention))


def need(shape: Shape, wanted: Wanted, gpus: int = 1) -> Need:
    """What the model takes, shared out between the machine and its GPUs."""
    cells = wanted.n_ctx * wanted.contexts
    whole = estimate(
        shape, cells, wanted.n_batch, wanted.kv_type, flash_attention=wanted.flash_attention
    )
    if not wanted.gpu_layers:
        return Need(whole, Estimate(0, 0, 0))
    layers = min(wanted.gpu_layers, shape.n_layer + 1)
    weights = whole.weights * layers // (shape.n_layer + 1)
    kv_cache = whole.kv_cache * min(layers, shape.n_layer) // max(shape.n_layer, 1)
    work = gpus * (whole.compute + GPU_RUNTIME + _unpacked(shape, cells, wanted.kv_type))
    rest = whole.compute if layers <= shape.n_layer else 0
    return Need(
        Estimate(whole.weights - weights, whole.kv_cache - kv_cache, rest),
        Estimate(weights, kv_cache, work),
    )


def fits(shape: Shape, wanted: Wanted, room: Room) -> bool:
    """Whether there is room for it, as far as anybody knows."""
    return not _shortage(need(shape, wanted, room.gpus), room)


def shortage(shape: Shape, wanted: Wanted, room: Room) -> str:
    """One sentence with the cause and what would fit; "" if it fits or nobody knows."""
    problem = _shortage(need(shape, wanted, room.gpus), room)
    return f"{problem}: {_advice(shape, wanted, room)}." if problem else ""


def largest_context(shape: Shape, wanted: Wanted, room: Room) -> int:
    """The most tokens of context, up to those wanted, that fit; 0 if none do."""
    steps = wanted.n_ctx // _CONTEXT_STEP
    found = _most(steps, lambda n: fits(shape, replace(wanted, n_ctx=n * _CONTEXT_STEP), room))
    return found * _CONTEXT_STEP


def most_gpu_layers(shape: Shape, wanted: Wanted, room: Room) -> int:
    """How many layers, up to those wanted, fit on the GPU with the rest beside it; 0 if none."""

    def fit_on_gpu(layers: int) -> bool:
        asked = need(shape, replace(wanted, gpu_layers=layers), room.gpus)
        return asked.gpu.total <= (room.gpu_free or 0)

    layers = _most(min(wanted.gpu_layers, shape.n_layer + 1), fit_on_gpu)
    return layers if layers and fits(shape, replace(wanted, gpu_layers=layers), room) else 0


def divides(shape: Shape, kv_type: KVType) -> bool:
    """Whether the heads can be stored in this KV type, whole blocks only."""
    values, _ = _BLOCKS[kv_type]
    return shape.key_length % values == 0 and shape.value_length % values == 0


def shiftable(shape: Shape, kv_type: KVType) -> bool:
    """Whether held cells may be moved: llama.cpp crashes on quantised keys of other lengths."""
    return kv_type == "f16" or shape.key_length % 64 == 0


def _bytes_per_cell(shape: Shape, kv_type: KVType) -> int:
    values, size = _BLOCKS[kv_type]
    return shape.kv_heads * (shape.key_length + shape.value_length) * size // values


def _unpacked(shape: Shape, cells: int, kv_type: KVType) -> int:
    """One layer's quantised cache in 16 bits: a GPU unpacks it to attend to it."""
    if kv_type == "f16":
        return 0
    return cells * _bytes_per_cell(shape, "f16") // max(shape.n_layer, 1)


def _compute(shape: Shape, cells: int, n_batch: int, flash_attention: bool) -> int:
    """The largest of three peaks: attention, a layer's feed-forward, the scores of all tokens.

    How many vectors live beside each other there was read from llama.cpp's own logs.
    """
    mask = cells * (_F16 if flash_attention else _F32)
    attention = mask if flash_attention else mask + cells * shape.n_head * _F32
    attended = attention + 6 * shape.n_embd * _F32
    fed_forward = mask + (4 * shape.n_embd + 3 * shape.n_ff) * _F32
    scored = (6 * shape.n_embd + shape.n_vocab) * _F32
    return n_batch * max(attended, fed_forward, scored)


def _shortage(asked: Need, room: Room) -> str:
    host, gpu = asked.host, asked.gpu
    if room.gpu_free is not None and gpu.total > room.gpu_free:
        return f"{_spelled(gpu, 'on the GPU')}, but only {_size(room.gpu_free)} are free there"
    if room.total is not None and host.total > room.total:
        return f"{_spelled(host, 'of memory')}, but this machine has {_size(room.total)}"
    if room.available is not None and host.fixed > room.available:
        return f"{_spelled(host, 'of memory')}, but only {_size(room.available)} are free"
    return ""


def _advice(shape: Shape, wanted: Wanted, room: Room) -> str:
    """Each change that would make it fit; else several together; else another model."""
    packed = wanted
    settings: list[str] = []
    found: list[str] = []
    for name, smaller in _savings(shape, wanted):
        packed, settings = _merged(packed, smaller), [*settings, name]
        if fits(shape, smaller, room):
            found.append(name)
    if not found and settings and fits(shape, packed, room):
        found.append(" and ".join(settings))
    found += _reductions(shape, wanted, room)
    if not found and (reductions := _reductions(shape, packed, room)):
        found.append(" and ".join([*settings, reductions[0]]))
    if not found:
        return "take a smaller model, or one with fewer bits per weight"
    return f"set {', or '.join(found)}"


def _savings(shape: Shape, wanted: Wanted) -> list[tuple[str, Wanted]]:
    """The settings that take less memory for the same context, and what they lead to."""
    found = []
    if wanted.contexts > 1:
        found.append(('context_mode = "shift"', replace(wanted, contexts=1)))
    if wanted.kv_type == "f16" and divides(shape, "q8_0"):
        found.append(('kv_type = "q8_0"', replace(wanted, kv_type="q8_0")))
    return found


def _merged(first: Wanted, second: Wanted) -> Wanted:
    kv_type = second.kv_type if second.kv_type != "f16" else first.kv_type
    return replace(first, contexts=min(first.contexts, second.contexts), kv_type=kv_type)


def _reductions(shape: Shape, wanted: Wanted, room: Room) -> list[str]:
    """A smaller context and fewer layers on the GPU, where one of them is enough."""
    found = []
    if (n_ctx := largest_context(shape, wanted, room)) >= _USEFUL_CONTEXT:
        found.append(f"n_ctx = {n_ctx}")
    if layers := most_gpu_layers(shape, wanted, room):
        found.append(f"n_gpu_layers = {layers}")
    return found


def _most(limit: int, holds: Callable[[int], bool]) -> int:
    """The largest count up to `limit` for which it holds, as it does for all smaller ones."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        if holds(middle):
            low = middle
        else:
            high = middle - 1
    return low


def _spelled(part: Estimate, place: str) -> str:
    parts = (
        f"weights {_size(part.weights)}, context {_size(part.kv_cache)}, work {_size(part.compute)}"
    )
    return f"The model needs about {_size(part.total)} {place} ({parts})"


def _size(count: int) -> str:
    return f"{count / GIB:.1f} GiB" if count >= 0.1 * GIB else f"{count / MIB:.0f} MiB"
