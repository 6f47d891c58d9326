"""How much memory a model will take, whether it fits, and which change would make it fit.

Pure arithmetic: sizes of a model come in, bytes and sentences go out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from shoritui.engine.interface import KVType
from shoritui.text import size

GIB: Final = 1024**3
GPU_RUNTIME: Final = GIB // 2
"""What a GPU's driver, kernels and workspaces take before anything of the model is there."""
_F16: Final = 2
_F32: Final = 4
_BLOCKS: Final[dict[KVType, tuple[int, int]]] = {"f16": (1, 2), "q8_0": (32, 34), "q4_0": (32, 18)}
"""How many values of a KV type go together, and the bytes they take."""
_CONTEXT_STEP: Final = 256
_USEFUL_CONTEXT: Final = 1024


@dataclass(frozen=True, slots=True)
class ModelSizes:
    """The sizes of a model that decide about memory."""

    size_bytes: int
    n_layer: int
    n_embd: int
    kv_heads: int
    """Key and value heads of all layers together."""
    n_ff: int
    n_vocab: int
    key_length: int
    value_length: int


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """How a model shall be loaded, as far as memory is concerned."""

    n_ctx: int
    contexts: int = 1
    """How many contexts of cells the cache holds: 2 where one is rebuilt beside the other."""
    n_batch: int = 512
    kv_type: KVType = "f16"
    gpu_layers: int = 0
    """Layers on the GPU, the output layer counted."""


@dataclass(frozen=True, slots=True)
class AvailableMemory:
    """The bytes there are, None where nobody knows."""

    total: int | None
    free: int | None
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


def estimate(sizes: ModelSizes, cells: int, n_batch: int, kv_type: KVType = "f16") -> Estimate:
    """Return what the model takes in one place, with so many cells and tokens a step.

    A sliding window is ignored: its cache is held whole, so that it can go back.
    """
    kv_cache = cells * _bytes_per_cell(sizes, kv_type)
    return Estimate(sizes.size_bytes, kv_cache, _compute(sizes, cells, n_batch))


def need(sizes: ModelSizes, load: LoadPlan, gpus: int = 1) -> Need:
    """What the model takes, shared out between the machine and its GPUs."""
    cells = load.n_ctx * load.contexts
    whole = estimate(sizes, cells, load.n_batch, load.kv_type)
    if not load.gpu_layers:
        return Need(whole, Estimate(0, 0, 0))
    layers = min(load.gpu_layers, sizes.n_layer + 1)
    weights = whole.weights * layers // (sizes.n_layer + 1)
    kv_cache = whole.kv_cache * min(layers, sizes.n_layer) // max(sizes.n_layer, 1)
    work = gpus * (whole.compute + GPU_RUNTIME + _unpacked(sizes, cells, load.kv_type))
    rest = whole.compute if layers <= sizes.n_layer else 0
    return Need(
        Estimate(whole.weights - weights, whole.kv_cache - kv_cache, rest),
        Estimate(weights, kv_cache, work),
    )


def fits(sizes: ModelSizes, load: LoadPlan, memory: AvailableMemory) -> bool:
    """Whether there is room for it, as far as anybody knows."""
    return not _shortage(need(sizes, load, memory.gpus), memory)


def shortage(sizes: ModelSizes, load: LoadPlan, memory: AvailableMemory) -> str:
    """One sentence with the cause and what would fit; "" if it fits or nobody knows."""
    problem = _shortage(need(sizes, load, memory.gpus), memory)
    return f"{problem}: {_advice(sizes, load, memory)}." if problem else ""


def largest_context(sizes: ModelSizes, load: LoadPlan, memory: AvailableMemory) -> int:
    """The most tokens of context, up to those planned, that fit; 0 if none do."""
    steps = load.n_ctx // _CONTEXT_STEP
    found = _most(steps, lambda n: fits(sizes, replace(load, n_ctx=n * _CONTEXT_STEP), memory))
    return found * _CONTEXT_STEP


def most_gpu_layers(sizes: ModelSizes, load: LoadPlan, memory: AvailableMemory) -> int:
    """How many layers, up to those planned, fit on the GPU with the rest beside it; 0 if none."""

    def fit_on_gpu(layers: int) -> bool:
        asked = need(sizes, replace(load, gpu_layers=layers), memory.gpus)
        return asked.gpu.total <= (memory.gpu_free or 0)

    layers = _most(min(load.gpu_layers, sizes.n_layer + 1), fit_on_gpu)
    return layers if layers and fits(sizes, replace(load, gpu_layers=layers), memory) else 0


def divides(sizes: ModelSizes, kv_type: KVType) -> bool:
    """Whether the heads can be stored in this KV type, whole blocks only."""
    values, _ = _BLOCKS[kv_type]
    return sizes.key_length % values == 0 and sizes.value_length % values == 0


def shiftable(sizes: ModelSizes, kv_type: KVType) -> bool:
    """Whether held cells may be moved: llama.cpp crashes on quantised keys of other lengths."""
    return kv_type == "f16" or sizes.key_length % 64 == 0


def _bytes_per_cell(sizes: ModelSizes, kv_type: KVType) -> int:
    values, block_bytes = _BLOCKS[kv_type]
    return sizes.kv_heads * (sizes.key_length + sizes.value_length) * block_bytes // values


def _unpacked(sizes: ModelSizes, cells: int, kv_type: KVType) -> int:
    """One layer's quantised cache in 16 bits: a GPU unpacks it to attend to it."""
    if kv_type == "f16":
        return 0
    return cells * _bytes_per_cell(sizes, "f16") // max(sizes.n_layer, 1)


def _compute(sizes: ModelSizes, cells: int, n_batch: int) -> int:
    """The largest of three peaks: flash attention, a layer's feed-forward, all tokens' scores.

    How many vectors live beside each other there was read from llama.cpp's own logs.
    """
    mask = cells * _F16
    attended = mask + 6 * sizes.n_embd * _F32
    fed_forward = mask + (4 * sizes.n_embd + 3 * sizes.n_ff) * _F32
    scored = (6 * sizes.n_embd + sizes.n_vocab) * _F32
    return n_batch * max(attended, fed_forward, scored)


def _shortage(asked: Need, memory: AvailableMemory) -> str:
    host, gpu = asked.host, asked.gpu
    if memory.gpu_free is not None and gpu.total > memory.gpu_free:
        return f"{_spelled(gpu, 'on the GPU')}, but only {size(memory.gpu_free)} are free there"
    if memory.total is not None and host.total > memory.total:
        return f"{_spelled(host, 'of memory')}, but this machine has {size(memory.total)}"
    if memory.free is not None and host.fixed > memory.free:
        return f"{_spelled(host, 'of memory')}, but only {size(memory.free)} are free"
    return ""


def _advice(sizes: ModelSizes, load: LoadPlan, memory: AvailableMemory) -> str:
    """Each change that would make it fit; else several together; else another model."""
    packed = load
    settings: list[str] = []
    found: list[str] = []
    for name, smaller in _savings(sizes, load):
        packed, settings = _merged(packed, smaller), [*settings, name]
        if fits(sizes, smaller, memory):
            found.append(name)
    if not found and settings and fits(sizes, packed, memory):
        found.append(" and ".join(settings))
    found += _reductions(sizes, load, memory)
    if not found and (reductions := _reductions(sizes, packed, memory)):
        found.append(" and ".join([*settings, reductions[0]]))
    if not found:
        return "take a smaller model, or one with fewer bits per weight"
    return f"set {', or '.join(found)}"


def _savings(sizes: ModelSizes, load: LoadPlan) -> list[tuple[str, LoadPlan]]:
    """The settings that take less memory for the same context, and what they lead to."""
    found = []
    if load.contexts > 1:
        found.append(('context_mode = "shift"', replace(load, contexts=1)))
    if load.kv_type == "f16" and divides(sizes, "q8_0"):
        found.append(('kv_type = "q8_0"', replace(load, kv_type="q8_0")))
    return found


def _merged(first: LoadPlan, second: LoadPlan) -> LoadPlan:
    kv_type = second.kv_type if second.kv_type != "f16" else first.kv_type
    return replace(first, contexts=min(first.contexts, second.contexts), kv_type=kv_type)


def _reductions(sizes: ModelSizes, load: LoadPlan, memory: AvailableMemory) -> list[str]:
    """A smaller context and fewer layers on the GPU, where one of them is enough."""
    found = []
    if (n_ctx := largest_context(sizes, load, memory)) >= _USEFUL_CONTEXT:
        found.append(f"n_ctx = {n_ctx}")
    if layers := most_gpu_layers(sizes, load, memory):
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
        f"weights {size(part.weights)}, context {size(part.kv_cache)}, work {size(part.compute)}"
    )
    return f"The model needs about {size(part.total)} {place} ({parts})"
