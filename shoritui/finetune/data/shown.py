"""Some of a config's conversations, as the model will read them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Final

from shoritui.blockml import Block, Part, render_all
from shoritui.errors import UserError
from shoritui.finetune.config.model import Config
from shoritui.finetune.data.check import Findings
from shoritui.finetune.data.checks.refusals import vocabulary_of
from shoritui.finetune.data.conversations import Conversation, find
from shoritui.finetune.data.samples import Rule, hinted
from shoritui.finetune.data.sources import Sources
from shoritui.finetune.data.tokenizer import Tokenizer

_LINES: Final = (30, 14)
"""How many lines of a long conversation are shown, of its beginning and its end."""
_LETTERS: Final = (400, 150)
"""The same of a long line's letters."""
NO_HINTS: Final = (
    "Length hints are computed with the base's vocabulary, which is not here yet: they are left "
    "out."
)


@dataclass(frozen=True, slots=True)
class Shown:
    """One conversation."""

    source: str
    tiers: tuple[str, ...]
    text: str
    """BlockML, of which nothing is left out."""


def shown(config: Config, found: Findings, count: int) -> tuple[list[Shown], bool]:
    """Return some conversations, and whether their length hints could be computed.

    At least one of each source, and of what is in none, is among them; none if `count` is 0.
    """
    chosen = _chosen(config, found.conversations, count) if count else []
    tokenizer = _vocabulary(config) if chosen else None
    tiers = {tier.name: tier for tier in config.tiers}
    told: list[Shown] = []
    for at in chosen:
        row, conversation = found.rows[at], found.conversations[at]
        tier = tiers[row.tiers[0]]
        rule = Rule(tier.data, tier.train.sequence_len, tier.train.seed)
        parts = hinted(conversation, tokenizer, rule) if tokenizer else _bare(conversation)
        told.append(Shown(conversation.source, row.tiers, render_all(parts)))
    return told, tokenizer is not None or not chosen


def _chosen(config: Config, conversations: Sequence[Conversation], count: int) -> list[int]:
    """Return the places of those that are shown."""
    sources = Sources(config, find)
    groups: dict[object, list[int]] = defaultdict(list)
    for at, each in enumerate(conversations):
        source = sources.source(sources.folder / each.file)
        groups[None if source is None else id(source)].append(at)
    rounds = zip_longest(*groups.values())
    every = [at for places in rounds for at in places if at is not None]
    return sorted(every[: max(count, len(groups))])


def _bare(conversation: Conversation) -> list[Part]:
    return [
        replace(part, length=None) if isinstance(part, Block) else part
        for part in conversation.parts
    ]


def _vocabulary(config: Config) -> Tokenizer | None:
    with suppress(UserError):  # what is wrong with it is a finding
        return vocabulary_of(config)
    return None


def lines_of(each: Shown) -> Iterator[str]:
    """Yield a conversation as lines for people; a long one is cut in its middle."""
    yield f"{each.source} ({', '.join(each.tiers)})"
    lines = each.text.rstrip("\n").split("\n")
    first, last = _LINES
    if (left := len(lines) - first - last) > 1:
        letters = sum(map(len, lines[first:-last]))
        cut = f"[{left:,} lines of {letters:,} letters are not shown]"
        lines = [*lines[:first], cut, *lines[-last:]]
    for line in lines:
        yield f"  {_short(line)}".rstrip()


def _short(line: str) -> str:
    first, last = _LETTERS
    left = len(line) - first - last
    return f"{line[:first]} [{left:,} letters] {line[-last:]}" if left > first else line
