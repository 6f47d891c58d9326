"""What a training config says, checked and complete: every default of the model card is here.

It does not know TOML, files or torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from shoritui.blockml import ROLES, Length, Role

Optimizer = Literal["adamw8bit", "adamw"]
Schedule = Literal["constant", "linear", "cosine"]
Hints = Literal["tokens", "keep", "none"]
Keep = Literal["last", "best"]
RungName = Literal["auto", "offload", "inputs", "halves", "attention"]


@dataclass(frozen=True, slots=True)
class Lora:
    """The adapter: `W x + scale * B A dropout(x)`."""

    r: int = 20
    """The rank: how many directions each layer's change may have."""
    alpha: float = 16.0
    """How strongly the change counts: it is scaled by alpha / r."""
    dropout: float = 0.1
    """The share of a layer's inputs that the change does not see, drawn anew each step."""
    targets: tuple[str, ...] = ()
    """Names of linear layers such as `q_proj`; none for all but the output head."""
    rslora: bool = False
    """Scale by alpha / sqrt(r) instead of alpha / r (arXiv:2312.03732)."""
    plus: float = 1.0
    """B's learning rate over A's: LoRA+ (arXiv:2402.12354)."""

    @property
    def scale(self) -> float:
        """What B A is multiplied with."""
        return self.alpha / (self.r**0.5 if self.rslora else self.r)


@dataclass(frozen=True, slots=True)
class Base:
    """The frozen model, and how it is held."""

    model: str = "mistralai/Mistral-7B-Instruct-v0.2"
    """A folder, a hub id or a GGUF file; `demo` is the small one that ships."""
    revision: str = ""
    """The hub's branch, tag or commit; empty takes the newest."""
    quantize: Literal["nf4", "none"] = "nf4"
    """The number format of its linear layers: 4-bit NF4, or as they are."""
    double_quant: bool = True
    """The 4-bit blocks' scales are quantised too."""


@dataclass(frozen=True, slots=True)
class Train:
    """How one tier is trained; all of it matters to the maths."""

    learning_rate: float = 7.25e-5
    """The optimizer's step size; a tier without one takes that of the tier above it."""
    epochs: int = 2
    """How often a tier's data is read."""
    sequence_len: int = 16384
    """The most tokens of a pack, and of one part of a conversation."""
    packing: bool = True
    """Several conversations in one pack; without it each is a pack of its own, never padded."""
    accumulation: int = 2
    """Micro-steps whose gradients make one optimizer step."""
    micro_batch: int = 1
    """Packs in a micro-step."""
    optimizer: Optimizer = "adamw8bit"
    """AdamW with its state in 8 bits (of bitsandbytes), or in 32."""
    schedule: Schedule = "constant"
    """How the learning rate goes on after the warm-up: stays, or falls to 0 at the tier's end."""
    warmup_steps: int = 0
    """Steps in which the learning rate rises from 0 at a tier's beginning."""
    weight_decay: float = 0.05
    """How strongly the adapter's weights are drawn to 0 (AdamW's, decoupled)."""
    beta1: float = 0.9
    """AdamW's memory of gradients."""
    beta2: float = 0.999
    """AdamW's memory of squared gradients."""
    epsilon: float = 1e-8
    """What AdamW adds to its denominator."""
    max_grad_norm: float = 1.0
    """The greatest norm of a step's gradient, to which a greater one is scaled; 0 clips nothing."""
    precision: Literal["bf16", "fp32"] = "bf16"
    """The number format in which the network computes; the adapter itself is held in fp32."""
    tf32: bool = True
    """Multiply fp32 matrices as TF32 on a GPU that can."""
    neftune: float = 0.0
    """Noise on the embeddings, alpha of NEFTune (arXiv:2310.05914)."""
    carry_optimizer: bool = False
    """Go on with the optimizer of the tier before instead of a fresh one."""
    keep: Keep = "last"
    """The adapter that goes on to the next tier and to the output: the last step's, or the one
    that did best on the held-out conversations. The other one is kept beside it."""
    seed: int = 42
    """What dropout, the packs' order and the held-out share are drawn from."""

    @property
    def packs_per_step(self) -> int:
        """Packs whose gradients make one optimizer step."""
        return self.accumulation * self.micro_batch


@dataclass(frozen=True, slots=True)
class Data:
    """How conversations become samples; all of it matters to the maths."""

    learn: tuple[Role | Literal["instruction"], ...] = (*ROLES, "instruction")
    """The blocks that are learnt: all, which is the card's `train_on_inputs`."""
    speakers: tuple[str, ...] = ()
    """If any are named, only these characters' messages are learnt."""
    not_speakers: tuple[str, ...] = ()
    """These characters' messages are read, not learnt."""
    hints: Hints = "tokens"
    """Length hints: from each message's true tokens, as they are written, or none."""
    hint_dropout: float = 0.0
    """The share of messages whose hint is left out, since hints are optional in use."""
    hint_limits: tuple[int, ...] = ()
    """The most tokens of nano ... huge, if not the chat's own."""
    evaluation: float = 0.02
    """The share of conversations held out, at least one where there are ten; 0 for none."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A fixed prompt for sample replies: BlockML up to the message that is to be written."""

    name: str
    """By which its replies are told apart."""
    text: str
    """BlockML parts, without an unfinished one."""
    speaker: str
    """The character who replies."""
    length: Length = "medium"
    """The reply's length hint."""


@dataclass(frozen=True, slots=True)
class Watch:
    """How a run is watched and kept; nothing of it matters to the maths."""

    evaluate_every: int = 10
    """Steps between two evaluations; 0 evaluates at a tier's end only."""
    save_every: int = 10
    """Steps between two states on disk from which a run can go on."""
    reply_every: int = 25
    """Steps between sample replies; 0 writes none."""
    rung: RungName = "auto"
    """How memory is saved: `auto` takes the fastest that the plan says will fit."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; `auto` takes a GPU if there is one."""
    sharding: Literal["none", "base"] = "none"
    """With several GPUs: `base` shares the frozen weights out over them, for a base that does
    not fit on one; slower."""
    prompts: tuple[Prompt, ...] = ()


@dataclass(frozen=True, slots=True)
class Tier:
    """One step of the ladder: its data, and how it is trained."""

    name: str
    """A word that can name a folder."""
    files: tuple[str, ...]
    """Globs, from the config's folder."""
    after: str = ""
    """The tier it goes on from; empty for the base itself. In a file, unset is the tier above."""
    where: str = ""
    """Which conversations, by their tags joined with `and`, `or`, `not` and parentheses, such as
    `not explicit`; empty for all."""
    train: Train = field(default_factory=Train)
    data: Data = field(default_factory=Data)


@dataclass(frozen=True, slots=True)
class Config:
    """A whole training config, in which inheritance is resolved."""

    path: Path
    """The file; globs and output are relative to its folder."""
    tiers: tuple[Tier, ...]
    """Parents before their children."""
    base: Base = field(default_factory=Base)
    lora: Lora = field(default_factory=Lora)
    watch: Watch = field(default_factory=Watch)
    output: str = "adapters"
    """The folder in which each tier's adapter is put, under the tier's name."""
