"""What the engine takes and gives: segments, options, events, figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

from shoritui.errors import UserError

Stop = Literal[
    "block_end", "token_limit", "context_full", "cancelled", "loop", "speaker", "stop_string"
]
Phase = Literal[
    "closed",
    "starting",
    "loading",
    "ready",
    "evaluating",
    "generating",
    "silent",
    "failed",
    "restarting",
]
KVType = Literal["f16", "q8_0", "q4_0"]
ContextMode = Literal["exact", "shift"]


SPLIT_MARKS: Final = (
    "In this model's vocabulary the block marks ▀ and ▄ are several tokens each: it was not made "
    "for BlockML, but can be used."
)


NO_GUIDE: Final = (
    "The length guide needs a model on this machine: a server takes no bias that changes while a "
    "reply is written."
)


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
    """A LoRA adapter, and how strongly it counts."""

    path: Path
    """A LoRA GGUF, or the folder that PEFT saved."""
    scale: float = 1.0

    @property
    def name(self) -> str:
        """What it is called: a file without its ending, or a folder."""
        return self.path.name.removesuffix(".gguf")


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
    kv_store: Path | None = None
    """The folder in which evaluated blocks are kept over restarts; None keeps none."""
    kv_store_bytes: int = 8 * 1024**3
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
    gpu: str = ""
    """The GPU's name, "" when everything runs on the CPU."""
    n_gpu_layers: int = 0
    """Layers on the GPU, the output layer counted."""
    n_threads: int = 0
    block_tokens: bool = False
    """Whether `▀`, `▄` and the newline are tokens of their own."""
    memory_bytes: int = 0
    """Weights, KV cache and working memory, estimated."""
    llama_cpp: str = ""
    kv_type: KVType = "f16"
    context_mode: ContextMode = "exact"
    """What a full context leads to; see `EngineOptions.context_mode`."""
    adapters: tuple[Adapter, ...] = ()
    shortage: str = ""
    """Why memory does not suffice for what was wanted, and what would fit; "" if it does."""
    server: str = ""
    """The address of the server that runs it; "" on this machine."""
    key: str = ""
    """Tells it, with its adapters, from other models; "" where only a server knows."""
    leads_end: bool = False
    """Whether a length guide can lead a message's end."""


@dataclass(frozen=True, slots=True)
class EngineDescription:
    """The inference library that is installed and what it can use."""

    package: str
    """The version of llama-cpp-python."""
    llama_cpp: str
    """The version of the llama.cpp inside it."""
    gpus: tuple[str, ...]
    """Those that this build found and can use."""
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
class PromptPlan:
    """A document as the model would read it now: the tokens of each of its segments."""

    tokens: tuple[int, ...]
    """How many each segment has."""
    ids: tuple[tuple[int, ...], ...] | None
    """Which they are; None where a server does not tell."""
    reused: int | None
    """So many of the first tokens are held and need not be evaluated; None where nobody knows."""
    is_exact: bool = True
    """Whether this is what will be read; else a server does not count, and it is an estimate."""

    @property
    def total(self) -> int:
        """The tokens of the whole document."""
        return sum(self.tokens)


@dataclass(frozen=True, slots=True)
class EngineStats:
    """What the engine has done since the model was loaded."""

    decodes: int
    """Evaluations of any size: llama.cpp's `llama_decode` was called so often."""
    tokens: int
    """Tokens evaluated, in prompts and in replies."""
    held: tuple[int, ...]
    """The tokens that each sequence of the KV cache holds, the one in use first."""


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token's text, and the log of the probability that the model itself gives it."""

    text: str
    logprob: float
    id: int | None = None
    """None where a server does not tell it."""


class SampledToken(Struct, frozen=True):
    """A token that was drawn, and the likeliest ones at its place, likeliest first."""

    token: TokenLogprob
    top: tuple[TokenLogprob, ...]


class Evaluated(Struct, frozen=True, tag=True):
    """Some of the prompt's new tokens have been evaluated."""

    done: int
    total: int


class Text(Struct, frozen=True, tag=True):
    """New text, whole characters only, and how many tokens it is made of."""

    text: str
    tokens: int
    logprobs: tuple[SampledToken, ...] = ()
    """The tokens of this text one by one, where their log-probabilities were asked for."""


class Finished(Struct, frozen=True, tag=True):
    """The last event of a generation."""

    outcome: Outcome


class Noted(Struct, frozen=True, tag=True):
    """Something that the user should know of this generation, in one sentence."""

    sentence: str


Event = Evaluated | Text | Noted | Finished


class ObservedEngine:
    """What every engine lets others see: its state, as it changes, and its model."""

    def __init__(self, on_change: Callable[[EngineState], None] | None = None) -> None:
        self.state = EngineState()
        self.info: ModelInfo | None = None
        self._on_change = on_change
        self.expecting = False
        """Whether a model is about to be opened: who wants it to write may wait."""

    def wait(self, message: str) -> None:
        """Let others see what is done before it can start."""
        self._become("starting", message=message)

    def _become(self, phase: Phase, progress: float = 0.0, message: str = "") -> None:
        state = EngineState(phase, progress, message)
        if state != self.state:
            self.state = state
            if self._on_change is not None:
                self._on_change(state)
