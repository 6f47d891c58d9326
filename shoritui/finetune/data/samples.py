"""Conversations to samples: hints, token ids, what of them is learnt, and long ones in parts.

    conversation   title lore scenario A B C D E F
    samples        title lore scenario A B C
                   title lore scenario D E F        what is in force is repeated, and not learnt

How a block looks as text is `shoritui.blockml`'s alone. No sample ends with the vocabulary's end of
text: a chat stops at `▄` and never sends one, so to learn it would only take from the story.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain, takewhile
from typing import Final

import numpy as np

from shoritui.blockml import (
    LENGTHS,
    Block,
    Instruction,
    Length,
    Part,
    Role,
    length_for,
    message_header,
    render,
)
from shoritui.errors import UserError
from shoritui.finetune.config.model import Data
from shoritui.finetune.data.conversations import Conversation
from shoritui.finetune.data.held_out import share_of
from shoritui.finetune.data.packs import Sample
from shoritui.finetune.data.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Rule:
    """All that decides what becomes of a conversation."""

    data: Data
    sequence_len: int
    seed: int


@dataclass(frozen=True, slots=True)
class Tokenized:
    """A conversation as samples, and what is counted of it."""

    source: str
    """File and line."""
    digest: str
    """Names what is said in it."""
    samples: tuple[Sample, ...]
    """Its parts in order; those of which nothing is learnt are left out."""
    parts: int
    tokens: int
    """Of its blocks, each once."""
    message_tokens: tuple[int, ...]
    """Of each message's body."""
    hints: tuple[Length | None, ...]
    """Each message's, as the samples have it."""
    speakers: int
    """How many characters speak."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One block as token ids."""

    text: str
    ids: list[int]
    learnt_from: int
    """The first of the ids that is learnt; their number for none."""


def tokenize(
    conversations: Sequence[Conversation], tokenizer: Tokenizer, rule: Rule
) -> list[Tokenized]:
    """The samples of some conversations.

    Raises:
        UserError: A message is longer than a sample may be; the sentence names file and line.
    """
    bodies = [
        [" " + message.body for message in conversation.messages] for conversation in conversations
    ]
    counts = [list(map(len, ids)) for ids in nested(tokenizer, bodies)]
    hinted = [
        _with_hints(conversation, sizes, rule)
        for conversation, sizes in zip(conversations, counts, strict=True)
    ]
    texts = [list(map(render, parts)) for parts in hinted]
    done = []
    for conversation, parts, text, ids, sizes in zip(
        conversations, hinted, texts, nested(tokenizer, texts), counts, strict=True
    ):
        pieces = [
            Piece(
                each,
                block,
                len(block)
                if at in conversation.unlearnt
                else _learnt_from(part, block, tokenizer, rule.data),
            )
            for at, (part, each, block) in enumerate(zip(parts, text, ids, strict=True))
        ]
        done.append(_tokenized(conversation, parts, pieces, sizes, tokenizer, rule))
    return done


def hinted(conversation: Conversation, tokenizer: Tokenizer, rule: Rule) -> list[Part]:
    """The parts of a conversation with the hints that they are learnt with."""
    bodies = [" " + message.body for message in conversation.messages]
    return _with_hints(conversation, list(map(len, tokenizer.many(bodies))), rule)


def too_long(conversation: Conversation, tokenizer: Tokenizer, rule: Rule) -> list[TooLong]:
    """Return every block of a conversation that has no room in a sample."""
    texts = list(map(render, hinted(conversation, tokenizer, rule)))
    sizes = list(map(len, tokenizer.many(texts)))
    begun = cache(lambda at: len(tokenizer.ids(texts[at], first=True)))
    found: list[TooLong] = []
    cuts_of(conversation.parts, sizes, begun, rule.sequence_len, found.append)
    # Where what must stand before a message fills a sample alone, no later one has room either.
    full = next((at for at, each in enumerate(found) if each.before > rule.sequence_len), None)
    return found if full is None else found[: full + 1]


def nested(tokenizer: Tokenizer, texts: Sequence[Sequence[str]]) -> Iterator[list[list[int]]]:
    """Yield the ids of lists of texts, all asked for at once."""
    ids = iter(tokenizer.many(list(chain.from_iterable(texts))))
    for each in texts:
        yield [next(ids) for _ in each]


def _with_hints(conversation: Conversation, counts: Sequence[int], rule: Rule) -> list[Part]:
    digest = conversation.digest()
    sizes = iter(enumerate(counts))
    parts: list[Part] = []
    for part in conversation.parts:
        if isinstance(part, Block) and part.role == "message":
            index, tokens = next(sizes)
            part = replace(part, length=_hint(part, tokens, f"{digest}/{index}", rule))
        parts.append(part)
    return parts


def _hint(message: Block, tokens: int, name: str, rule: Rule) -> Length | None:
    data = rule.data
    if data.hints == "none" or share_of(f"{rule.seed}/{name}") < data.hint_dropout:
        return None
    if data.hints == "keep":
        return message.length
    return earned(tokens, data)


def earned(tokens: int, data: Data) -> Length:
    """Return the hint that a message of so many tokens has."""
    if data.hint_limits:
        return LENGTHS[bisect_left(data.hint_limits, tokens)]
    return length_for(tokens)


def _learnt_from(part: Part, ids: Sequence[int], tokenizer: Tokenizer, data: Data) -> int:
    role = "instruction" if isinstance(part, Instruction) else part.role
    if role not in data.learn:
        return len(ids)
    if isinstance(part, Instruction) or role != "message":
        return 0
    if part.name in data.not_speakers or (data.speakers and part.name not in data.speakers):
        return len(ids)
    if not data.speakers and not data.not_speakers:
        return 0
    # Of chosen characters the words are learnt, not that it is always them who speak next.
    header = tokenizer.ids(message_header(part.name, part.length))
    return sum(
        1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(header, ids, strict=False))
    )


def _tokenized(
    conversation: Conversation,
    parts: Sequence[Part],
    pieces: Sequence[Piece],
    counts: Sequence[int],
    tokenizer: Tokenizer,
    rule: Rule,
) -> Tokenized:
    begun: dict[int, list[int]] = {}

    def begin(at: int) -> int:
        if at not in begun:
            begun[at] = tokenizer.ids(pieces[at].text, first=True)
        return len(begun[at])

    sizes = [len(piece.ids) for piece in pieces]
    try:
        cuts = cuts_of(parts, sizes, begin, rule.sequence_len)
    except TooLong as error:
        raise UserError(f"{conversation.place(error.part)}: {error}.") from None
    samples = [
        sample_of(
            cut, pieces, begun[(*cut.repeated, *cut.new)[0]], conversation.place(cut.new.start)
        )
        for cut in cuts
    ]
    messages = [part for part in parts if isinstance(part, Block) and part.role == "message"]
    return Tokenized(
        source=conversation.source,
        digest=conversation.digest(),
        samples=tuple(sample for sample in samples if sample.learn.any()),
        parts=len(cuts),
        tokens=sum(sizes),
        message_tokens=tuple(counts),
        hints=tuple(message.length for message in messages),
        speakers=len({message.name for message in messages}),
    )


def sample_of(cut: Cut, pieces: Sequence[Piece], begun: list[int], source: str) -> Sample:
    """Return one part: `begun` is its first block, as it begins a document."""
    first, *rest = (*cut.repeated, *cut.new)
    ids = [*begun, *chain.from_iterable(pieces[at].ids for at in rest)]
    learn = np.zeros(len(ids), np.bool_)
    end = len(begun)
    spans = [(first, end - len(pieces[first].ids), end)]
    for at in rest:
        spans.append((at, end, end + len(pieces[at].ids)))
        end = spans[-1][2]
    for at, start, stop in spans:
        if at in cut.new:
            learn[max(start + pieces[at].learnt_from, 0) : stop] = True
    learn[0] = False
    return Sample(np.asarray(ids, np.int32), learn, source)


_SPOKEN: Final[tuple[Role, ...]] = ("message", "ooc")
_LATEST: Final[tuple[Role, ...]] = ("title", "tags", "scenario")
"""Of these only the last one is in force."""
_ORDER: Final[tuple[Role, ...]] = ("title", "tags", "lore", "description", "scenario")


class TooLong(ValueError):
    """A block that has no room: `part` is the one, and the message says how much it takes."""

    def __init__(self, part: int, size: int, before: int, limit: int) -> None:
        beside = f", {before:,} of them what must stand before it" if before else ""
        super().__init__(
            f"this block takes {size:,} tokens{beside}, but sequence_len is {limit:,}: shorten it, "
            "or choose a larger sequence_len"
        )
        self.part = part
        self.before = before


def _raise(error: TooLong) -> None:
    raise error


@dataclass(frozen=True, slots=True)
class Cut:
    """One part of a conversation, as places in its list of parts."""

    repeated: tuple[int, ...]
    """Blocks that are still in force; they stand first."""
    new: range


def cuts_of(
    parts: Sequence[Part],
    sizes: Sequence[int],
    begun: Callable[[int], int],
    limit: int,
    refuse: Callable[[TooLong], None] = _raise,
) -> list[Cut]:
    """Cut a conversation at its messages' ends, so that each part is as long as fits.

    A cut has at most `limit` tokens; `sizes` are those of each part, and `begun` is asked for those
    of a part that begins a document. A message that does not fit, with the blocks in force before
    it, is refused and left out.
    """

    def length(cut: Cut) -> int:
        first, *rest = (*cut.repeated, *cut.new)
        return begun(first) + sum(sizes[each] for each in rest)

    cuts: list[Cut] = []
    size = limit + 1
    for unit in units_of(parts):
        added = sum(sizes[each] for each in unit)
        if size + added <= limit:
            cuts[-1] = Cut(cuts[-1].repeated, range(cuts[-1].new.start, unit.stop))
            size += added
            continue
        cut = Cut(in_force(parts, unit), unit)
        size = length(cut)
        if size > limit:
            last = unit.stop - 1
            refuse(TooLong(last, size, size - sizes[last], limit))
            size = limit + 1
            continue
        cuts.append(cut)
    return cuts


def in_force(parts: Sequence[Part], unit: range) -> tuple[int, ...]:
    """What a part that begins with this unit must repeat, in the order of a conversation's top.

    That is the last title, tags and scenario, all lore and descriptions, and what was instructed
    before the first message. Where nobody speaks there is nothing to be in force for.
    """
    first_spoken = next((at for at, part in enumerate(parts) if _is_spoken(part)), None)
    if first_spoken is None:
        return ()
    kept: dict[object, int] = {}
    for at, part in enumerate(parts[: unit.start]):
        if isinstance(part, Instruction):
            if at < first_spoken:
                kept.setdefault(part, at)
        elif part.role in _LATEST:
            kept[part.role] = at
        elif part.role in _ORDER:
            kept.setdefault(part, at)
    for at in unit:
        kept.pop(_role(parts[at]), None)
    return tuple(sorted(kept.values(), key=lambda at: (_rank(parts, at), at)))


def units_of(parts: Sequence[Part]) -> list[range]:
    """Return what is never cut: a message with what leads up to it; without one, a block."""
    if not any(map(_is_spoken, parts)):
        return [range(at, at + 1) for at in range(len(parts))]
    units, start = [], 0
    for at, part in enumerate(parts):
        if _is_spoken(part) or at == len(parts) - 1:
            units.append(range(start, at + 1))
            start = at + 1
    return units


def _rank(parts: Sequence[Part], at: int) -> int:
    role = _role(parts[at])
    if role is not None:
        return _ORDER.index(role)
    leads = all(isinstance(part, Instruction) for part in parts[:at])
    return -1 if leads else len(_ORDER)


def _role(part: Part) -> Role | None:
    return None if isinstance(part, Instruction) else part.role


def _is_spoken(part: Part) -> bool:
    return _role(part) in _SPOKEN
