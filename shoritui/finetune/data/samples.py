"""Conversations to samples: hints, token ids, what of them is learnt, and long ones in parts.

It does not know files, tiers or packs. How a block looks as text is `shoritui.blockml`'s alone.

No sample ends with the vocabulary's end of text: a chat stops at `▄` and never sends one, so to
learn it would only take from the story.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, takewhile

import numpy as np

from shoritui.blockml import (
    LENGTHS,
    Block,
    Instruction,
    Length,
    Part,
    length_for,
    message_header,
    render,
)
from shoritui.errors import UserError
from shoritui.finetune.config.model import Data
from shoritui.finetune.data.conversation import Conversation
from shoritui.finetune.data.evaluation import share_of
from shoritui.finetune.data.sample import Sample
from shoritui.finetune.data.splitting import Cut, TooLong, cuts_of
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
class _Piece:
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
        UserError: A message is longer than a sample may be; file and line are told.
    """
    bodies = [[" " + message.body for message in told.messages] for told in conversations]
    counts = [list(map(len, ids)) for ids in _nested(tokenizer, bodies)]
    hinted = [
        _with_hints(told, sizes, rule) for told, sizes in zip(conversations, counts, strict=True)
    ]
    texts = [list(map(render, parts)) for parts in hinted]
    done = []
    for told, parts, text, ids, sizes in zip(
        conversations, hinted, texts, _nested(tokenizer, texts), counts, strict=True
    ):
        pieces = [
            _Piece(each, block, _learnt_from(part, block, tokenizer, rule.data))
            for part, each, block in zip(parts, text, ids, strict=True)
        ]
        done.append(_tokenized(told, parts, pieces, sizes, tokenizer, rule))
    return done


def _nested(tokenizer: Tokenizer, texts: Sequence[Sequence[str]]) -> Iterator[list[list[int]]]:
    """The ids of lists of texts, all asked for at once."""
    ids = iter(tokenizer.many(list(chain.from_iterable(texts))))
    for each in texts:
        yield [next(ids) for _ in each]


def _with_hints(told: Conversation, counts: Sequence[int], rule: Rule) -> list[Part]:
    digest = told.digest()
    sizes = iter(enumerate(counts))
    parts: list[Part] = []
    for part in told.parts:
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
    told: Conversation,
    parts: Sequence[Part],
    pieces: Sequence[_Piece],
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
        raise UserError(
            f"{told.place(error.part)}: {error}, but sequence_len is {rule.sequence_len:,}: "
            "shorten it, or choose a larger sequence_len."
        ) from None
    samples = [
        _sample(cut, pieces, begun[(*cut.repeated, *cut.new)[0]], told.place(cut.new.start))
        for cut in cuts
    ]
    messages = [part for part in parts if isinstance(part, Block) and part.role == "message"]
    return Tokenized(
        source=told.source,
        digest=told.digest(),
        samples=tuple(sample for sample in samples if sample.learn.any()),
        parts=len(cuts),
        tokens=sum(sizes),
        message_tokens=tuple(counts),
        hints=tuple(message.length for message in messages),
        speakers=len({message.name for message in messages}),
    )


def _sample(cut: Cut, pieces: Sequence[_Piece], begun: list[int], source: str) -> Sample:
    """One part: `begun` is its first block, as it begins a document."""
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
