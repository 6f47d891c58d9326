"""The next prompt looked at: block by block what it is, what it costs, why it is there, and what of
the story is left out of it.

Where a block came from is its segment's source; what has no block was left out, and the entry
itself tells why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias

from shoritui.blockml import BLOCK_CLOSE, unescape
from shoritui.cards import Card
from shoritui.director.chat_state import ChatState
from shoritui.director.context_window import ContextWindow, LoreRow, said_by
from shoritui.director.prompt_layout import entry_text, open_message, opened_anew
from shoritui.engine import AnyEngine, SampledToken
from shoritui.errors import UserError
from shoritui.story import Entry
from shoritui.text import clean, counted

Reason: TypeAlias = Literal[
    "hidden", "not heard", "summarised", "trimmed", "absent", "out of character", "its rule"
]
"""Why something is not in a prompt; `its rule` is that of a note, or of another kind of entry."""
REASONS: Final[dict[Reason, str]] = {
    "hidden": "it is hidden from the model",
    "not heard": "the speaker did not hear it",
    "summarised": "a summary stands for it",
    "trimmed": "the context was full",
    "absent": "the character is not there",
    "out of character": "it was said out of character",
    "its rule": "its own rule says so",
}
"""The same in words."""
_NO_BLOCK: Final = ("enter", "leave")
ALTERNATIVES: Final = 10
"""So many of the likeliest tokens are told of each place."""


@dataclass(frozen=True, slots=True)
class InspectedBlock:
    """A block of a prompt."""

    text: str
    kind: str
    """What it is: `title`, `lore`, `description`, `message`, `whisper`, `note`, `reply` ..."""
    name: str
    """Whose, or which: a speaker, a piece of lore; empty where there is but one."""
    tokens: int
    ids: tuple[int, ...] | None
    """Its tokens; None where a server does not tell them."""
    reused: int | None
    """How many of its tokens are evaluated already; None where nobody knows."""
    entry: Entry | None = None
    """The entry of the story that it is."""
    number: int = 0
    """Which entry of the story that is, counted from 1."""
    why: str = ""
    """Why it is there, where that is no matter of course: which key brought lore up, who hears a
    whisper, what a summary stands for."""

    @property
    def label(self) -> str:
        """What it is called: `lore · The bell`, `message 12 · Mara`."""
        return _label(self.kind, self.number, self.name)

    @property
    def heading(self) -> str:
        """All there is to say of it: what it is, its tokens, whether they are read, why."""
        state = "to be read"
        if self.reused is None:
            state = ""
        elif self.reused:
            rest = self.tokens - self.reused
            state = f"{rest:,} of them to be read" if rest else "evaluated already"
        return " · ".join(
            filter(None, (self.label, counted(self.tokens, "token"), state, self.why))
        )


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An entry of the story, or a character's description, that is not in a prompt."""

    reason: Reason
    name: str
    """Who speaks in it, or who is described."""
    text: str
    tokens: int
    """Of its text; 0 if nobody has counted them."""
    entry: Entry | None = None
    number: int = 0

    @property
    def label(self) -> str:
        """What it is called."""
        return _label(self.entry.kind if self.entry else "description", self.number, self.name)

    @property
    def heading(self) -> str:
        """All there is to say of it: what it is, its tokens, why it is left out."""
        size = counted(self.tokens, "token") if self.tokens else "tokens not counted"
        return f"{self.label} · {size} · left out: {REASONS[self.reason]}"


class LeftOutSum(NamedTuple):
    """How much is left out for one reason."""

    entries: int
    tokens: int
    """Of all that were counted."""
    uncounted: int
    """How many of them the model has never read, so that nobody has counted their tokens."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """The prompt of one reply, as it would be read now."""

    speaker: str
    blocks: tuple[InspectedBlock, ...]
    left_out: tuple[LeftOut, ...]
    context_size: int
    """The tokens that the context holds."""
    reserve: int
    """Of these, so many are kept free for the reply."""
    is_exact: bool
    """Whether the tokens are what is read; else a server does not count, and they are estimates."""

    @property
    def text(self) -> str:
        """The whole prompt."""
        return "".join(block.text for block in self.blocks)

    @property
    def tokens(self) -> int:
        """The tokens of the whole prompt."""
        return sum(block.tokens for block in self.blocks)

    @property
    def reused(self) -> int | None:
        """How many of them are evaluated already; None where nobody knows."""
        known = [block.reused for block in self.blocks if block.reused is not None]
        return sum(known) if len(known) == len(self.blocks) else None

    @property
    def room(self) -> int:
        """How many tokens the story may take: what scene, open block and reserve leave of all."""
        told = [at for at, block in enumerate(self.blocks) if block.entry is not None]
        scene = self.blocks[: told[0]] if told else self.blocks[:-1]
        fixed = sum(block.tokens for block in (*scene, *self.blocks[-1:]))
        return self.context_size - self.reserve - fixed

    @property
    def sums(self) -> dict[Reason, LeftOutSum]:
        """How much is left out for each reason."""
        sums: dict[Reason, LeftOutSum] = {}
        for each in self.left_out:
            count, tokens, uncounted = sums.get(each.reason, (0, 0, 0))
            more = not each.tokens
            sums[each.reason] = LeftOutSum(count + 1, tokens + each.tokens, uncounted + more)
        return sums

    @property
    def sums_in_words(self) -> list[str]:
        """Whose prompt it is, its tokens, the room there is, what is left out: a line each."""
        about = "" if self.is_exact else "about "
        size = f"{about}{self.tokens:,} of {self.context_size:,} tokens"
        held = "what of them the server holds is unknown"
        if self.reused is not None:
            held = f"{self.reused:,} evaluated already, {self.tokens - self.reused:,} to be read"
        lines = [
            f"{self.speaker} reads {size}: {held}",
            f"The story may take {self.room:,}; {self.reserve:,} are kept free for the reply",
        ]
        left = []
        for reason, (count, tokens, uncounted) in self.sums.items():
            about = "at least " if uncounted else ""
            words = f" ({about}{counted(tokens, 'token')})" if tokens else ""
            left.append(f"{count:,} because {REASONS[reason]}{words}")
        return [*lines, f"Left out: {'; '.join(left)}"] if left else lines


class Inspector:
    """Looks at a chat's prompts and messages; the story stays as it is, and so does the cache."""

    def __init__(self, chat: ChatState, window: ContextWindow, engine: AnyEngine) -> None:
        self._chat = chat
        self._window = window
        self._engine = engine

    async def prompt(self, speaker: str = "", said: str = "") -> Inspection:
        """Return what would be read if this character, or the next one, spoke now.

        `said` is what the user might say before.

        Raises:
            UserError: There is no prompt: the scene does not fit, or there is no model.
        """
        chat = self._chat
        text = clean(said).strip()
        draft = said_by(chat.user, text) if text else None
        name = speaker or chat.who_next(draft) or chat.user
        length = chat.length_of(name)
        document = await self._window.document(
            open_message(name, length),
            length,
            [draft] if draft is not None else [],
            reader=name,
        )
        plan = await self._engine.plan(document)
        # An entry's number is its place in the story, from 1 on.
        numbers = {entry.id: number for number, entry in enumerate(chat.entries, 1)}
        slots = {entry.slot: number for number, entry in enumerate(chat.entries, 1)}
        lore = {
            row.verdict.lore.name: _why(row, numbers)
            for row in await self._window.lore(text)
            if row.verdict.state in ("fired", "always")
        }
        blocks, begin, known = list[InspectedBlock](), 0, plan.reused
        for at, (segment, tokens) in enumerate(zip(document, plan.tokens, strict=True)):
            kind, _, which = segment.source.partition(": ")
            entry = chat.entry(int(which)) if kind == "entry" else None
            if entry is not None:
                kind, which, why = _described(entry, slots)
            elif kind == "entry":
                kind, which, why = "message", chat.user, "if this were said"
            else:
                which, why = which or name * (kind == "reply"), lore.get(which, "")
            blocks.append(
                InspectedBlock(
                    text=segment.text,
                    kind=kind,
                    name=which,
                    tokens=tokens,
                    ids=plan.ids[at] if plan.ids is not None else None,
                    reused=None if known is None else min(max(known - begin, 0), tokens),
                    entry=entry,
                    number=numbers[entry.id] if entry is not None else 0,
                    why=why,
                )
            )
            begin += tokens
        return Inspection(
            name,
            tuple(blocks),
            (*_undescribed(chat.scene, blocks), *_unread(chat.entries, blocks, name, slots)),
            self._window.size,
            self._window.reserve(length),
            plan.is_exact,
        )

    async def likelihoods(self, entry_id: int) -> list[SampledToken]:
        """Return how likely each token of a message is, up to its `▄`, and what else could stand
        there.

        Nothing of this is kept while a reply is written: it is evaluated when asked for, behind
        what the model reads before the message, of which nothing is evaluated that is held.

        Raises:
            UserError: It is no message, or the engine cannot tell.
        """
        entry = self._chat.entry(entry_id)
        if entry is None or entry.kind != "message":
            raise UserError("Only the tokens of a message have likelihoods.")
        form, length = self._window.form, entry.length
        opened, end = opened_anew(entry, length, form), self._chat.place(entry)
        document = await self._window.document(opened, length, reader=entry.speaker, end=end)
        text = entry_text(entry, form).removeprefix(opened.text).removesuffix(f"{BLOCK_CLOSE}\n")
        tokens = await self._engine.alternatives(document, text, count=ALTERNATIVES)
        return tokens[:-1] if tokens and tokens[-1].token.text == "\n" else tokens

    async def pieces(self, ids: Sequence[int]) -> list[str]:
        """Return the text of each token; a part of a character shows as U+FFFD.

        Raises:
            UserError: There is no model, or the server does not tell.
        """
        return await self._engine.pieces(ids)


def begun_with(tokens: Sequence[SampledToken], at: int, other: str) -> str:
    """Return the text of a message up to its token number `at`, and another text in its place."""
    spoken = "".join(each.token.text for each in tokens[:at]) + other
    return unescape(spoken.removeprefix(" "))


def _label(kind: str, number: int, name: str) -> str:
    numbered = f"{kind} {number:,}" if number else kind
    return f"{numbered} · {name}" if name else numbered


def _described(entry: Entry, slots: Mapping[int, int]) -> tuple[str, str, str]:
    """Return what an entry of the story is, whose, and what else there is to know of it."""
    details, known = entry.details, ["pinned"] if entry.pinned else []
    kind: str = entry.kind
    if details.heard is not None:
        kind = "whisper" if kind == "message" else kind
        known.append(f"heard by {', '.join(details.heard) or 'nobody'}")
    if details.span is not None:
        kind = "summary"
        first, last = (slots.get(slot, 0) for slot in details.span)
        known.append(f"stands for entries {first:,} to {last:,}")
    if (rule := details.note) is not None:
        known += ["sticky"] if rule.sticky else []
        known += (
            [f"{counted(rule.depth, 'message')} before the end"] if rule.depth is not None else []
        )
        known += [f"every {counted(rule.every, 'message')}"] if rule.every else []
        known += [f"for {rule.reader}"] if rule.reader else []
    return kind, entry.speaker, ", ".join(known)


def _why(row: LoreRow, numbers: Mapping[int, int]) -> str:
    entry = row.verdict.entry
    if entry is None:
        return row.verdict.rule
    where = f"in entry {numbers[entry.id]:,}" if entry.id in numbers else "in what is said"
    return f"{row.verdict.rule}, {where}"


def _undescribed(scene: Card, blocks: Sequence[InspectedBlock]) -> list[LeftOut]:
    """Return the descriptions of characters who are not there."""
    told = {block.name for block in blocks if block.kind == "description"}
    return [
        LeftOut("absent", each.name, each.description, 0)
        for each in scene.characters
        if each.description and each.name not in told
    ]


def _unread(
    entries: Sequence[Entry],
    blocks: Sequence[InspectedBlock],
    speaker: str,
    slots: Mapping[int, int],
) -> list[LeftOut]:
    """Return the entries of which there is no block, and why there is none."""
    read = {block.number for block in blocks if block.entry is not None}
    summarised: set[int] = set()
    for block in blocks:
        if block.entry is not None and (span := block.entry.details.span) is not None:
            first, last = (slots.get(slot, 0) for slot in span)
            summarised.update(range(first, last + 1))
    # What is pinned, or stands for others, is read however old it is.
    recent = (
        each.number
        for each in blocks
        if each.entry and not each.entry.pinned and each.entry.details.span is None
    )
    first = next(recent, len(entries) + 1)
    left_out = []
    for number, entry in enumerate(entries, 1):
        if number in read or entry.kind in _NO_BLOCK:
            continue
        heard = entry.details.heard
        reason: Reason
        if entry.hidden:
            reason = "hidden"
        elif heard is not None and speaker not in (entry.speaker, *heard):
            reason = "not heard"
        elif number in summarised:
            reason = "summarised"
        elif number < first:
            reason = "trimmed"
        else:
            reason = "out of character" if entry.kind == "ooc" else "its rule"
        left_out.append(LeftOut(reason, entry.speaker, entry.text, entry.tokens, entry, number))
    return left_out
