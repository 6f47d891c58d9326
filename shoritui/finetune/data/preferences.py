"""Preferences between messages out of files, a JSON object a line, and what a tier learns of them.

    {"context": "▀title ... ▄", "chosen": "▀message ... ▄", "rejected": ["▀message ... ▄"]}

    pair    |title lore A B C ▀message Mara:| she nodded▄|              the chosen message
            |title lore A B C ▀message Mara:| She looked up and ...▄|   a rejected one
                       given, not learnt     compared

Both documents of a pair have the same context, and its oldest messages are left out of both where
the two are longer than a pack.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import takewhile
from pathlib import Path
from typing import Final

import msgspec

from shoritui.blockml import Block, BlockMLError, Part, check_name, message_header, parse, render
from shoritui.bounded import Malformed, read_json
from shoritui.errors import UserError
from shoritui.finetune.data.conversations import Where, name_of
from shoritui.finetune.data.packs import Sample
from shoritui.finetune.data.samples import (
    Cut,
    Piece,
    Rule,
    Tokenized,
    in_force,
    nested,
    sample_of,
    units_of,
)
from shoritui.finetune.data.tokenizer import Tokenizer
from shoritui.interop.datasets import EMPTY, ObjectError, Unusable, cleaned, converted, text_of
from shoritui.text import clean

SUFFIX: Final = ".jsonl"


@dataclass(frozen=True, slots=True)
class Preference:
    """One message that was preferred to others in its place."""

    context: tuple[Part, ...]
    """What stands before it."""
    chosen: Block
    rejected: tuple[Block, ...]
    """In the same speaker's name, under the same length hint."""
    source: str
    """File and line, for people."""

    @property
    def messages(self) -> tuple[Block, ...]:
        """The chosen one and those that were rejected."""
        return (self.chosen, *self.rejected)

    @property
    def tags(self) -> frozenset[str]:
        """The tags of its context, as they are written."""
        blocks = (p.body for p in self.context if isinstance(p, Block) and p.role == "tags")
        tags = (" ".join(tag.split()) for body in blocks for tag in body.split(","))
        return frozenset(tag for tag in tags if tag)

    def digest(self) -> str:
        """Names the place in a story: what is preferred in one place is held out together."""
        text = "".join(map(render, self.context)) + self.chosen.name
        return hashlib.sha256(
            f"preference/{' '.join(text.casefold().split())}".encode()
        ).hexdigest()


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    context: str
    chosen: str
    rejected: list[str]
    because: str = ""
    """Why it is preferred: `kept`, `edited`, ..."""
    chat: str = ""
    entry: int = 0
    when: str = ""


def preference_of(line: str, source: str) -> Preference:
    """Return the preference in a JSON object.

    Raises:
        ObjectError: It is none.
    """
    try:
        found = read_json(line)
    except Malformed as error:
        raise ObjectError(error.sentence) from None
    if not isinstance(found, dict):
        raise ObjectError("expected a JSON object, { ... }, with context, chosen and rejected")
    row = converted(found, _Row)
    if not row.rejected:
        raise ObjectError("`rejected` is empty: expected at least one message")
    chosen = _message(row.chosen, "chosen")
    rejected = tuple(_message(text, "rejected") for text in row.rejected)
    for other in rejected:
        if (other.name, other.length) != (chosen.name, chosen.length):
            raise ObjectError(
                f"`chosen` begins with {_header(chosen)}, but a rejected message with "
                f"{_header(other)}: both should have the same speaker and length hint"
            )
        if other.body.strip() == chosen.body.strip():
            raise ObjectError("a rejected message is the same as the chosen one")
    return Preference(tuple(map(cleaned, _parts(row.context, "context"))), chosen, rejected, source)


def _message(text: str, key: str) -> Block:
    parts = _parts(text, key)
    if len(parts) != 1 or not isinstance(parts[0], Block) or parts[0].role != "message":
        raise ObjectError(f"`{key}` should be one message block, ▀message ... ▄")
    message = cleaned(parts[0])
    assert isinstance(message, Block)
    try:
        check_name(message.name)
    except ValueError as error:
        raise ObjectError(f"`{key}`: no speaker is {message.name[:60]!r}: {error}") from None
    if not message.body.strip():
        raise ObjectError(f"`{key}` is a message without text")
    return message


def _parts(text: str, key: str) -> list[Part]:
    try:
        return parse(text.replace("\r\n", "\n").replace("\r", "\n"))
    except BlockMLError as error:
        raise ObjectError(f"in `{key}`, {error}") from None


def _header(message: Block) -> str:
    return repr(" ".join(message_header(message.name, message.length).split()))


def read(folder: Path, files: Sequence[Path], where: Where = lambda tags: True) -> list[Preference]:
    """Return the wanted preferences of these files, whose names people read from `folder`.

    Raises:
        UserError: A line is none; the sentence names file and line.
    """
    found = []
    for file in files:
        for each in preferences_of(file, name_of(file, folder)):
            if isinstance(each, UserError):
                raise each
            found.append(each)
    return [each for each in found if where(each.tags)]


def preferences_of(path: Path, name: str) -> Iterator[Preference | UserError]:
    """Yield one file's preferences, and for each line that is none what is wrong with it.

    `name` is the file's for people.
    """
    if path.suffix.lower() != SUFFIX:
        yield UserError(f"{name} is no file of preferences: expected {SUFFIX}.")
        return
    try:
        text = text_of(path)
    except Unusable as error:
        yield UserError(f"{name}:{error.line}: {error}." if error.line else f"{name}: {error}.")
        return
    if not text.strip():
        yield UserError(f"{name}: {EMPTY}.")
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield preference_of(line, f"{name}:{number}")
            except ObjectError as error:
                yield UserError(clean(f"{name}:{number}: {error}."))


def tokenize(
    preferences: Sequence[Preference], tokenizer: Tokenizer, rule: Rule
) -> list[Tokenized]:
    """Return the samples of some preferences: the chosen and a rejected message in turn.

    Nothing of a context is changed, whatever `rule` says of hints: it is what the model read.

    Raises:
        UserError: A pair is longer than a pack may be; the sentence names file and line.
    """
    contexts = [[render(part) for part in each.context] for each in preferences]
    # Behind `▄` nothing is compared, so the newline is left out.
    messages = [[render(one).removesuffix("\n") for one in each.messages] for each in preferences]
    bodies = [[" " + one.body for one in each.messages] for each in preferences]
    headers = [message_header(each.chosen.name, each.chosen.length) for each in preferences]
    done = []
    for preference, context, context_ids, versions, version_ids, header, sizes in zip(
        preferences,
        *(contexts, nested(tokenizer, contexts)),
        *(messages, nested(tokenizer, messages)),
        tokenizer.many(headers),
        ([len(ids) for ids in each] for each in nested(tokenizer, bodies)),
        strict=True,
    ):
        given = [Piece(text, ids, len(ids)) for text, ids in zip(context, context_ids, strict=True)]
        compared = [
            Piece(text, ids, _common(header, ids))
            for text, ids in zip(versions, version_ids, strict=True)
        ]
        documents = _Documents(preference, given, cache(partial(tokenizer.ids, first=True)))
        chosen, *rejected = compared
        samples = [
            sample
            for other in rejected
            for sample in documents.of_pair((chosen, other), rule.sequence_len)
        ]
        speakers = {part.name for part in preference.context if isinstance(part, Block)}
        done.append(
            Tokenized(
                source=preference.source,
                digest=preference.digest(),
                samples=tuple(samples),
                parts=1,
                tokens=sum(map(len, (*context_ids, *version_ids))),
                message_tokens=tuple(sizes),
                hints=(preference.chosen.length,) * len(sizes),
                speakers=len({*speakers, preference.chosen.name} - {""}),
            )
        )
    return done


@dataclass(frozen=True, slots=True)
class _Documents:
    """Makes the documents of one preference."""

    preference: Preference
    given: list[Piece]
    """Its context."""
    begun: Callable[[str], list[int]]
    """Returns the ids of a text that begins a document."""

    def of_pair(self, pair: tuple[Piece, Piece], limit: int) -> list[Sample]:
        """Return a document for each of two messages, with as much of the context as fits.

        Raises:
            UserError: Not even the messages alone fit, with the blocks in force before them.
        """
        parts = (*self.preference.context, self.preference.chosen)
        own = sum(len(message.ids) for message in pair)
        left = sum(len(piece.ids) for piece in self.given)
        size, at = 0, 0
        for unit in units_of(parts):
            left -= sum(len(piece.ids) for piece in self.given[at : unit.start])
            at = unit.start
            if 2 * left + own > limit and unit.stop < len(parts):
                continue  # too long, whatever must stand before it
            new = range(unit.start, len(parts))
            cut = Cut(in_force(parts, new), new)
            samples = [self._document(cut, message) for message in pair]
            size = sum(len(sample.ids) for sample in samples)
            if size <= limit:
                return samples
        raise UserError(
            f"{self.preference.source}: this pair takes {size:,} tokens, {own:,} of them the "
            "messages themselves, the others the scene's blocks, once for each of the two, but "
            f"sequence_len is {limit:,}: choose a larger one, or a shorter scene."
        )

    def _document(self, cut: Cut, message: Piece) -> Sample:
        pieces = [*self.given, message]
        first = pieces[(*cut.repeated, *cut.new)[0]]
        return sample_of(cut, pieces, self.begun(first.text), self.preference.source)


def _common(header: Sequence[int], ids: Sequence[int]) -> int:
    """How many ids are the header's; what follows is compared."""
    pairs = zip(header, ids, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
