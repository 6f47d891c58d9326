"""What a tier's data amounts to: the model card's figures, and some more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from shoritui.blockml import LENGTHS
from shoritui.finetune.base_model import folder_of
from shoritui.finetune.config.model import Config, Tier
from shoritui.finetune.data.conversations import filled
from shoritui.finetune.data.packs import efficiency, packed
from shoritui.finetune.data.samples import Tokenized
from shoritui.finetune.data.tier import TierData, prepare
from shoritui.finetune.data.tokenizer import open_tokenizer
from shoritui.finetune.events import Report, Reported
from shoritui.text import counted

NO_HINT = "none"


@dataclass(frozen=True, slots=True)
class Packing:
    """What training makes of a tier's conversations."""

    sequence_len: int
    packs: int
    efficiency: float
    """The share of the packs' room that is filled."""
    held_out: int
    """Conversations or preferences that are not learnt from."""


@dataclass(frozen=True, slots=True)
class Compared:
    """What a tier of preferences compares; a taste for long or short messages shows here."""

    pairs: int
    chosen: float
    """The mean tokens of a chosen message."""
    rejected: float


@dataclass(frozen=True, slots=True)
class Stats:
    """The figures of one tier, or of all."""

    name: str
    """The tier's; empty for all tiers together."""
    conversations: int
    """Or preferences."""
    messages: int
    """Of preferences, all versions."""
    tokens: int
    """Of all blocks, each once."""
    longest: int
    """Tokens of the longest conversation."""
    split: int
    """Conversations that are longer than a sample may be."""
    parts: int
    """What those are split into."""
    hints: dict[str, int]
    """Messages by their hint, shortest first."""
    speakers: dict[int, int]
    """Conversations by how many characters speak in them."""
    message_tokens: tuple[int, ...]
    """Of each message."""
    packing: Packing | None = None
    """Of a tier."""
    compared: Compared | None = None
    """Of a tier of preferences."""

    def facts(self) -> dict[str, Any]:
        """All of it for a script, but the single messages."""
        facts = asdict(self)
        del facts["message_tokens"]
        return facts


def count_data(config: Config, report: Report) -> tuple[list[Stats], Stats]:
    """The figures of each tier of a config, and of all.

    Raises:
        UserError: The base's vocabulary or the data cannot be used.
    """
    config = filled(config, report)
    folder = folder_of(config.base, report, config.path.parent, weights=False)
    tokenizer = open_tokenizer(folder)
    if tokenizer.warning:
        report(Reported(tokenizer.warning))
    data = prepare(config, tokenizer, report)
    each = [stats_of_tier(tier, data[tier.name]) for tier in config.tiers]
    told = (data[tier.name] for tier in config.tiers if tier.kind == "conversation")
    return each, stats_of_all(told)


def stats_of_tier(tier: Tier, data: TierData) -> Stats:
    """One tier's figures."""
    train = tier.train
    packs = packed(tier, data.train)
    held = sum(each.digest in data.held for each in data.tokenized)
    packing = Packing(train.sequence_len, len(packs), efficiency(packs, train.sequence_len), held)
    compared = _compared(data.tokenized) if tier.kind == "preference" else None
    return replace(_stats(tier.name, data.tokenized, packing), compared=compared)


def _compared(preferences: Sequence[Tokenized]) -> Compared:
    sizes = [
        (each.message_tokens[0], other) for each in preferences for other in each.message_tokens[1:]
    ]
    pairs = max(len(sizes), 1)
    return Compared(len(sizes), *(sum(side) / pairs for side in zip(*sizes, strict=True)))


def stats_of_all(tiers: Iterable[TierData]) -> Stats:
    """The figures of all tiers of conversations; one that is in several counts once."""
    unique = {
        each.digest: each for data in reversed(list(tiers)) for each in reversed(data.tokenized)
    }
    return _stats("", list(unique.values()), None)


def _stats(name: str, conversations: Sequence[Tokenized], packing: Packing | None) -> Stats:
    hints = Counter(hint or NO_HINT for each in conversations for hint in each.hints)
    speakers = Counter(each.speakers for each in conversations)
    return Stats(
        name=name,
        conversations=len(conversations),
        messages=sum(len(each.message_tokens) for each in conversations),
        tokens=sum(each.tokens for each in conversations),
        longest=max((each.tokens for each in conversations), default=0),
        split=sum(each.parts > 1 for each in conversations),
        parts=sum(each.parts for each in conversations if each.parts > 1),
        hints={hint: hints[hint] for hint in (*LENGTHS, NO_HINT) if hints[hint]},
        speakers=dict(sorted(speakers.items())),
        message_tokens=tuple(count for each in conversations for count in each.message_tokens),
        packing=packing,
    )


def lines_of(stats: Stats) -> list[str]:
    """The model card's block, and under it what training makes of the data."""
    noun = "preference" if stats.compared else "conversation"
    lines = [f"Total {noun}s: {stats.conversations:,}"]
    if compared := stats.compared:
        lines.append(
            f"Pairs: {compared.pairs:,}, a chosen message with {compared.chosen:.0f} tokens on "
            f"average, a rejected one with {compared.rejected:.0f}"
        )
    else:
        lines.append(f"User message count: {stats.messages:,} messages")
    lines += [
        f"Total unique tokens: {stats.tokens:,} tokens",
        f"Longest {noun}: {stats.longest:,} tokens",
    ]
    if stats.split:
        lines.append(
            f"Split at messages: {counted(stats.split, 'conversation')} into {stats.parts:,} parts"
        )
    if packing := stats.packing:
        lines.append(f"Held out for evaluation: {counted(packing.held_out, noun)}")
        lines.append(
            f"Packs of {packing.sequence_len:,} tokens: {packing.packs:,}, "
            f"{packing.efficiency:.1%} full"
        )
    if stats.hints:
        lines.append(f"Length hints: {_shares(stats.hints)}")
    if spoken := {f"{count}": each for count, each in stats.speakers.items() if count}:
        lines.append(f"Characters who speak: {_shares(spoken)}")
    return lines


def _shares(counts: dict[str, int]) -> str:
    whole = sum(counts.values())
    return ", ".join(f"{name} {count / whole:.0%}" for name, count in counts.items())
