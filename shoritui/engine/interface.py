"""What the engine takes and gives: segments, options, events, figures.

It does not know how any of it travels or who computes it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

from msgspec import Struct

from shoritui.engine.sampling import Sampling
from shoritui.errors import UserError

Stop = Literal["block_end", "token_limit", "context_full", "cancelled"]
Phase = Literal[
    "closed", "starting", "loading", "ready", "evaluating", "generating", "failed", "restarting"
]


KVType = Literal["f16", "q8_0", "q4_0"]
ContextMode = Literal["exact", "shift"]


class WorkerDied(UserError):
    """The process that runs the model ended during a call; it restarts by itself."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One block of what the model reads, and where it came from.

    Segments meet directly before or after `▀`, `▄` or a newline, or directly before spaces: there
    tokenising them apart equals tokenising them together.
    """

    text: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter in GGUF form, and how strongly it counts."""

    path: Path
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How a model is loaded."""

    n_ctx: int = 0
    """Context size in tokens; 0 takes the model's own, at most 8192."""
    n_threads: int = 0
    """CPU threads; 0 takes the physical cores but one."""
    n_gpu_layers: int = -1
    """Layers on the GPU; -1 takes all, where there is one."""
    n_batch: int = 512
    """The most tokens evaluated in one step."""
    kv_type: KVType = "f16"
    """The number format of the KV cache; q8_0 takes half the memory."""
    context_mode: Literal["auto", "exact", "shift"] = "auto"
    """What happens when old messages are dropped: `exact` evaluates what remains anew, ahead of
    need, beside what is held; `shift` moves it up as it is; `auto` measures which is bearable."""
    adapters: tuple[Adapter, ...] = ()
    journal: Path | None = None
    """The folder in which evaluated blocks are kept over restarts; None keeps none."""
    journal_bytes: int = 8 * 1024**3
    """How large that folder may grow; the blocks unused longest go first."""


DEFAULT_OPTIONS: Final = EngineOptions()


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model, loaded or only inspected, and what it runs on."""

    path: Path
    description: str
    n_params: int
    size_bytes: int
    n_ctx: int
    n_ctx_train: int
    n_vocab: int
    gpu: str
    """The GPU's name, "" when everything runs on the CPU."""
    n_gpu_layers: int
    """Layers on the GPU, the output layer counted."""
    n_threads: int
    block_tokens: bool
    """Whether `▀`, `▄` and the newline are tokens of their own."""
    memory_bytes: int
    """Weights, KV cache and working memory, estimated."""
    llama_cpp: str
    kv_type: KVType = "f16"
    context_mode: ContextMode = "exact"
    """What a full context leads to; see `EngineOptions.context_mode`."""
    adapters: tuple[Adapter, ...] = ()
    shortage: str = ""
    """Why memory does not suffice for what was wanted, and what would fit; "" if it does."""
    server: str = ""
    """The address of the server that runs it; "" on this machine."""


@dataclass(frozen=True, slots=True)
class EngineDescription:
    """The inference library that is installed and what it can use."""

    package: str
    """The version of llama-cpp-python."""
    llama_cpp: str
    """The version of the llama.cpp inside it."""
    gpu_offload: bool
    """Whether this build can use a GPU and found one."""
    gpus: tuple[str, ...]
    system: str
    """llama.cpp's own line about the processor features that it was built for."""
    n_threads: int
    """The threads that it would begin with; measuring may change them."""
    physical_cores: int = 1
    usable_cores: int = 1
    """The cores that a container's processor time leaves of them."""
    memory_total: int | None = None
    memory_available: int | None = None
    """Bytes of this machine, or of what a container allows; None where nobody knows."""
    gpu_memory_free: tuple[int, ...] = ()
    """Bytes that are free on each of `gpus`."""


@dataclass(frozen=True, slots=True)
class EngineState:
    """What the engine is doing now; `message` is for people and may be empty."""

    phase: Phase = "closed"
    progress: float = 0.0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a generation ended, and its figures."""

    stop: Stop
    text: str
    prompt_tokens: int
    reused_tokens: int
    """Of the prompt: already in the KV cache."""
    evaluated_tokens: int
    """Of the prompt: evaluated now."""
    generated_tokens: int
    """Tokens of `text`, the closing `▄` not counted."""
    first_token_ms: float
    """From the arrival of the request to the first token; 0 if there was none."""
    tokens_per_second: float
    """While generating, after the first token; 0 if there was one token or none."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What it took to have a document evaluated; counts are tokens."""

    reused: int
    evaluated: int
    complete: bool
    """False if it was cancelled on the way, or gave way to other work; what was done is kept."""


@dataclass(frozen=True, slots=True)
class EngineStats:
    """What the engine has done since the model was loaded."""

    decodes: int
    """Evaluations of any size: llama.cpp's `llama_decode` was called so often."""
    tokens: int
    """Tokens evaluated, in prompts and in replies."""
    held: tuple[int, ...]
    """The tokens that each line of the KV cache holds, the one in use first."""


@dataclass(frozen=True, slots=True)
class Chance:
    """A token's text, and the model's own probability for it before any sampler."""

    text: str
    probability: float


class Drawn(Struct, frozen=True):
    """A token that was drawn, and the likeliest ones at its place, likeliest first."""

    token: Chance
    likeliest: tuple[Chance, ...]


class Evaluated(Struct, frozen=True, tag=True):
    """Some of the prompt's new tokens have been evaluated."""

    done: int
    total: int


class Text(Struct, frozen=True, tag=True):
    """New text, whole characters only, and how many tokens it is made of."""

    text: str
    tokens: int
    drawn: tuple[Drawn, ...] = ()
    """The tokens of this text one by one, where probabilities were asked for."""


class Finished(Struct, frozen=True, tag=True):
    """The last event of a generation."""

    outcome: Outcome


class Noted(Struct, frozen=True, tag=True):
    """Something that the user should know of this generation, in one sentence."""

    sentence: str


Event = Evaluated | Text | Noted | Finished


class AnyEngine(Protocol):
    """What an engine does, wherever it runs; `Engine`, on this machine, says it in full."""

    state: EngineState
    info: ModelInfo | None

    def generate(
        self,
        document: Sequence[Segment],
        sampling: Sampling,
        *,
        max_tokens: int,
        penalized: Sequence[str] = (),
        names: Sequence[str] = (),
        likeliest: int = 0,
        idle: bool = False,
    ) -> AsyncGenerator[Event, None]:
        """Write on after the document until its block ends; the last event is `Finished`.

        `idle` gives way to everything else; `UserError` where nothing can be written beside.
        """
        ...

    async def prefill(self, document: Sequence[Segment], *, idle: bool = False) -> Evaluation:
        """Evaluate the document ahead of need."""
        ...

    async def adapt(self, adapters: Sequence[Adapter]) -> ModelInfo:
        """Take these LoRA adapters in place of those before."""
        ...

    async def score(self, document: Sequence[Segment], candidates: Sequence[str]) -> list[float]:
        """How likely each candidate is right after the document: natural log-probabilities."""
        ...

    async def count(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has."""
        ...

    async def tokens(self, document: Sequence[Segment]) -> list[int]:
        """The ids that the model would read."""
        ...

    async def pieces(self, ids: Sequence[int]) -> list[str]:
        """The text of each token."""
        ...

    async def cancel(self) -> None:
        """End the calls in flight early."""
        ...

    async def close(self) -> None:
        """End what runs; nothing stays behind."""
        ...
