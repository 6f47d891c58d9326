"""What the model reads of a chat: which entries, with which hints, and from where on.

Old entries leave the window in big steps, best in idle time; what has left it stays in the story.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from shoritui.blockml import Length, length_for
from shoritui.cards import Lore
from shoritui.director.chat_state import ChatState
from shoritui.director.prompt_builder import Prompt, PromptBuilder, PromptInput
from shoritui.director.prompt_layout import lore_text
from shoritui.engine import AnyEngine, Segment
from shoritui.settings import Settings
from shoritui.story import (
    STRANGER,
    Asked,
    Details,
    Entry,
    Firing,
    Form,
    Origin,
    Talk,
    Verdict,
    asked,
    has_lorebook,
    hearers,
    is_summary,
    lorebook,
    outlasts,
    read_by,
    reader_of,
)
from shoritui.text import clean, one_line

_BATCH: Final = 64
"""Entries whose tokens are added up at once, where nobody knows how many fit."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """The documents that will be read next, the most urgent first."""

    documents: tuple[Sequence[Segment], ...]
    first: int | None
    """The entry that the last of them begins with where old entries go; None if all stay."""
    leaving: int | None = None
    """The last of the entries that go soon, by its id, so that a summary may be written of them."""


@dataclass(frozen=True, slots=True)
class LoreRow:
    """One piece of lore, and why it is in the prompt or not."""

    verdict: Verdict
    tokens: int
    """What it takes in the prompt; 0 if nobody has counted."""
    reread: int
    """The tokens that are read again when it comes or goes."""


class ContextWindow:
    """The part of a chat that fits the engine's context."""

    def __init__(self, chat: ChatState, engine: AnyEngine, settings: Settings) -> None:
        self._chat = chat
        self._engine = engine
        self._builder = PromptBuilder(settings.max_tokens, settings.lore_budget)
        self._tokens: dict[str, int] = {}  # Of closed blocks and messages, by their text.
        self._beginnings: dict[str, int] = {}
        """The tokens that a document has beside that of its first text, by that text."""
        self._planned: int | None = None
        """The first entry that will be read once the oldest ones have gone, by its id."""
        self._last_read: tuple[int | None, int | None] | None = None
        """The entry after which the last reply was written, and the first one read for it."""

        self.on_trim: Callable[[int], None] = lambda count: None
        """Called when so many more entries are no longer read."""
        self._fired: tuple[Sequence[Entry], Firing] | None = None
        """What was read last of the story, and the lore that fired in it."""

    @property
    def form(self) -> Form:
        """The form of its documents, the instruction's macros settled."""
        return Form.of_chat(self._chat.settings, self._chat.record)

    @property
    def size(self) -> int:
        """The tokens that the context holds; 0 before there is a model."""
        return self._engine.info.n_ctx if self._engine.info else 0

    @property
    def dropped(self) -> int:
        """How many of the oldest entries are no longer read."""
        return self._chat.first_place

    def reserve(self, length: Length | None) -> int:
        """Return the tokens that are kept free for a reply with this hint."""
        return self._builder.reserve(length, self.size)

    def read_before(self, end: int, reader: str | None) -> list[Entry]:
        """Return the entries before this place that are read for what is written there."""
        start = self._begin(end)
        return read_by(self._chat.entries[start if start < end else 0 : end], reader)

    def asked(self, document: Sequence[Segment], hint: Length | None) -> Asked:
        """Return from what the reply is written that this document was read for last."""
        first = self._last_read[1] if self._last_read else None
        begins = self._chat.entry(first) if first is not None else None
        left = 0 if begins is None else self._chat.place(begins)
        return asked((segment.text for segment in document), hint, left)

    def wrote(self, entry: Entry) -> bool:
        """Whether this entry, or another version of it, is the reply that was read for last."""
        return self._last_read is not None and self._last_read[0] == entry.parent

    def earned(self, tokens: int) -> Length | None:
        """Return the hint of a message of so many tokens; None where no hints are given."""
        return length_for(tokens) if self._chat.gives_hints else None

    async def label_messages(self) -> list[Entry]:
        """Keep the tokens and hints of new messages with them, and return those messages."""
        end = len(self._chat.entries)
        return await self.label(self._chat.entries[await self._reach(self.dropped, end, None) :])

    async def label(self, entries: Sequence[Entry]) -> list[Entry]:
        """Keep tokens and hints with those of these entries that have none; return these."""
        labelled = await self._labelled(entries)
        new = [new for old, new in zip(entries, labelled, strict=True) if new is not old]
        return await self._chat.set_lengths(new)

    async def document(
        self,
        opened: Segment,
        length: Length | None,
        said: Sequence[Entry] = (),
        *,
        reader: str | None,
        end: int | None = None,
        is_ooc: bool = False,
    ) -> Sequence[Segment]:
        """Return what would be read if this block were open now.

        Args:
            opened: The open block.
            length: The hint of the reply.
            said: Entries that may come before it.
            reader: Who writes it; None is somebody who knows everything.
            end: Where the message stands that is written anew or goes on: what follows it is not
                read.
            is_ooc: Whether it is written out of character.

        Raises:
            UserError: The scene alone, or the last entry with it, does not fit.
        """
        talk = self.form.talk(is_ooc=is_ooc)
        _, prompt = await self._prompt(self._end(end), opened, length, said, reader, talk)
        return prompt.segments

    async def reread(self, whisper: Entry) -> int | None:
        """Return the tokens read again when the speaker changes between two after this whisper.

        One of them hears it, the other does not; None where there are no such two.
        """
        heard, opened = whisper.details.heard or (), Segment("", "reply")
        names = [name for name in self._chat.present if name != self._chat.user]
        deaf, said = [name for name in names if name not in heard], [whisper]
        if not deaf or len(deaf) == len(names):
            return None
        hearing = next(name for name in names if name in heard)
        documents = [
            await self.document(opened, self._chat.length, said, reader=name)
            for name in (hearing, *deaf)
        ]
        return max(self._behind(documents[0], other) for other in documents[1:])

    async def lore(self, said: str = "") -> list[LoreRow]:
        """Return why each piece of lore is in the next prompt or not, those that fired first.

        `said` is what the user might say before.
        """
        text = clean(said).strip()
        draft = said_by(self._chat.user, text)
        opened, length = Segment("", "reply"), self._chat.length
        given, prompt = await self._prompt(
            self._end(None), opened, length, [draft] if text else [], self._reader, self.form.talk()
        )
        sizes = [entry.tokens for entry in given.entries[prompt.first :]]
        verdicts = map(prompt.firing.verdict, range(len(self._chat.scene.lore)))
        return [
            LoreRow(each, self._tokens.get(lore_text(each.lore), 0), _reread(each.lore, sizes))
            for each in sorted(verdicts, key=_verdict_place)
        ]

    async def lore_marks(self, *, is_stale: bool) -> dict[int, str]:
        """Return the names of the lore that stands around entries, on one line, by their ids.

        It is looked for anew if it `is_stale`; else it is what the last prompt held.
        """
        if is_stale and self.size:
            opened, length = Segment("", "reply"), self._chat.length
            await self._prompt(self._end(None), opened, length, (), self._reader, self.form.talk())
        entries, firing = self._fired or ((), None)
        if firing is None:
            return {}
        around = zip(entries, firing.before, firing.after, strict=True)
        return {
            entry.id: ", ".join(one_line(piece.name) for piece in (*before, *after))
            for entry, before, after in around
            if before or after
        }

    async def read(
        self,
        opened: Segment,
        length: Length | None,
        *,
        reader: str | None,
        end: int | None = None,
        is_ooc: bool = False,
    ) -> Sequence[Segment]:
        """Return the document of a reply that begins; from now on it begins at the same entry."""
        at, talk = self._end(end), self.form.talk(is_ooc=is_ooc)
        given, prompt = await self._prompt(at, opened, length, (), reader, talk)
        first = given.entries[prompt.first].id if given.entries else None
        if prompt.first and first is not None and self._is_at_end(at):
            await self.drop_before(first)
        self._last_read = (self._id_before(at), first)
        return prompt.segments

    async def read_on(
        self, opened: Segment, length: Length | None, reply: Entry
    ) -> Sequence[Segment]:
        """Return the document of a reply that fills the context, at worst without any entry."""
        at = self._chat.place(reply)
        reader, is_ooc = reader_of(reply.kind, reply.speaker), reply.kind == "ooc"
        start = await self._reach(self.dropped if self.dropped < at else 0, at, reader)
        talk = self.form.talk(is_ooc=is_ooc)
        entries = self._chat.entries[start:at]
        given = await self._measured(entries, opened, length, start, reader, talk)
        prompt = self._builder.build(given, self._tokens, self._planned, going_on=True)
        first = [*given.entries, reply][prompt.first].id
        if self._is_at_end(at):
            await self.drop_before(first)
        self._last_read = (self._id_before(at), first)
        return prompt.segments

    async def outlook(self, opened: Segment, reader: str | None, *, waits: bool = False) -> Outlook:
        """Return what to evaluate in idle time if this block is open at the next turn, and who
        then reads it.

        Where it is time for the oldest entries to go, the last document is without them; once it
        has been evaluated, `drop_before` makes it the one that is read. None goes where it `waits`
        for a summary of them.
        """
        given, now = await self._prompt(
            self._end(None), opened, self._chat.length, (), reader, self.form.talk()
        )
        leaving = self._leaving(given)
        if leaving is not None and waits:
            return Outlook((now.segments,), None, leaving)
        later = self._builder.build_ahead(given, self._tokens, self._begins_with)
        if later is None:
            self._planned = None
            return Outlook((now.segments,), None, leaving)
        self._planned = first = given.entries[later.first].id
        if not self._is_exact:  # What is held is moved up, so there is nothing to wait for.
            await self.drop_before(first)
        elif not now.first:
            return Outlook((now.segments, later.segments), first, leaving)
        return Outlook((later.segments,), first, leaving)

    async def leaving(self, opened: Segment) -> int | None:
        """Return the last of the entries that go soon, by its id; None while there is room."""
        end, length = self._end(None), self._chat.length
        given, _ = await self._prompt(end, opened, length, (), None, self.form.talk())
        return self._leaving(given)

    def _leaving(self, given: PromptInput) -> int | None:
        soon = self._builder.build_ahead(given, self._tokens, soon=True)
        return None if soon is None else given.entries[soon.first - 1].id

    async def drop_before(self, entry_id: int) -> None:
        """From now on the model reads the story from this entry."""
        self._planned, before = None, self.dropped
        await self._chat.keep_from(entry_id)
        left = self._chat.entries[before : self.dropped]
        if count := sum(not outlasts(entry) for entry in left):
            self.on_trim(count)

    # Memory: what is pinned, and what a summary stands for.

    async def check_pin(self, pinned: Sequence[Entry]) -> None:
        """Raise a UserError if these messages take more of the context than pinned ones may."""
        given = await self._measured(
            (), Segment("", "reply"), self._chat.length, 0, None, self.form.talk()
        )
        given = replace(given, gone=await self._labelled(pinned))
        await self._count(self._builder.texts(given))
        self._builder.build(given, self._tokens)

    async def to_summarise(
        self, end: int, heard: frozenset[str] | None, opened: Segment
    ) -> tuple[list[Entry], Sequence[Segment]]:
        """Return of which entries before this place a summary is made, and the document of it.

        These are what those know of whom `heard` tells, from the last summary of that on, as far as
        it fits into the context; what is read however old it is needs none. What everybody knows is
        read as by a stranger, who has heard nothing else.
        """
        reader = STRANGER if heard is None else None
        start = await self._reach(self._chat.summary_before(end, heard), end, reader)
        entries = self._chat.entries[start:end]
        given = await self._measured(entries, opened, None, start, reader, self.form.talk())
        given = replace(
            given,
            entries=[each for each in given.entries if hearers(each) == heard],
            gone=[each for each in given.gone if hearers(each) in (None, heard)],
        )
        prompt = self._builder.build(given, self._tokens)
        told = given.entries[prompt.first :]
        return [each for each in told if not stays(each)], prompt.segments

    @property
    def _reader(self) -> str:
        """Who reads the next prompt."""
        return self._chat.who_next() or STRANGER

    @property
    def _begins_with(self) -> int | None:
        """The entry that a document begins with if not all of them fit."""
        return self._planned or self._chat.first_read

    @property
    def _is_exact(self) -> bool:
        return self._engine.info is None or self._engine.info.context_mode == "exact"

    def _end(self, end: int | None) -> int:
        return len(self._chat.entries) if end is None else end

    def _is_at_end(self, at: int) -> bool:
        """Whether what is written there is the story's last entry, or the one after it."""
        return at >= len(self._chat.entries) - 1

    def _id_before(self, at: int) -> int | None:
        return self._chat.entries[at - 1].id if at else None

    def _begin(self, end: int) -> int:
        """Return where that begins what was read last for a message at this place, if it was."""
        if self._last_read is not None and self._last_read[0] == self._id_before(end):
            first = self._chat.entry(self._last_read[1]) if self._last_read[1] else None
            if first is not None:
                return self._chat.place(first)
        return self.dropped

    async def _prompt(
        self,
        end: int,
        opened: Segment,
        length: Length | None,
        said: Sequence[Entry],
        reader: str | None,
        talk: Talk,
    ) -> tuple[PromptInput, Prompt]:
        """Begin where it was begun the last time, if the engine still holds that: a reply is
        written anew from the very same document."""
        first = self._begin(end) if self._is_exact else self.dropped
        start = await self._reach(first if first < end else 0, end, reader)
        entries = [*self._chat.entries[start:end], *said]
        given = await self._measured(entries, opened, length, start, reader, talk)
        prompt = self._builder.build(given, self._tokens, self._begins_with)
        if not said:
            self._fired = given.entries[prompt.first :], prompt.firing
        return given, prompt

    async def _reach(self, first: int, end: int, reader: str | None) -> int:
        """Return from where on the entries before `end` could fit into the context, at best.

        However long the story is, no more is measured of it than could be read.
        """
        total, at = 0, end
        while at > first and total <= self.size:
            before = max(first, at - _BATCH)
            labelled = await self._labelled(self._chat.entries[before:at])
            total += sum(each.tokens for each in read_by(labelled, reader))
            at = before
        return at

    async def _measured(
        self,
        entries: Sequence[Entry],
        opened: Segment,
        length: Length | None,
        passed: int,
        reader: str | None,
        talk: Talk,
    ) -> PromptInput:
        """Count the tokens of everything that a prompt is made of."""
        if not has_lorebook(self._chat.scene.lore):  # which takes long where it is large
            await asyncio.to_thread(lorebook, self._chat.scene.lore)
        [tokens] = await self._engine.count([opened.text])
        gone = self._chat.lasting(passed)
        # Together, since a summary among them stands for what is before it.
        read = await self._labelled(read_by([*gone, *entries], reader, talk=talk))
        ids = {entry.id for entry in gone}
        given = PromptInput(
            scene=self._chat.scene,
            user=self._chat.user,
            entries=[each for each in read if each.id not in ids],
            opened=opened,
            opened_tokens=tokens,
            length=length,
            context_size=self.size,
            reader=reader,
            passed=passed,
            gone=[each for each in read if each.id in ids],
            form=self.form,
        )
        texts = self._builder.texts(given)
        await self._count(texts)
        return replace(given, beginning=await self._begins(texts[0]) if texts else 0)

    async def _begins(self, text: str) -> int:
        """Return the tokens that a document which begins with this text has beside the text's."""
        if text not in self._beginnings:
            plan = await self._engine.plan([Segment(text)])
            self._beginnings[text] = max(0, plan.total - self._tokens[text])
        return self._beginnings[text]

    async def _labelled(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return the same entries, but new messages with their tokens and earned hints."""
        new = [
            entry
            for entry in entries
            if entry.kind == "message" and not entry.tokens and entry.text
        ]
        await self._count([" " + entry.text for entry in new])
        labels = {entry.id: self._tokens[" " + entry.text] for entry in new}
        return [
            replace(
                entry, tokens=labels[entry.id], length=entry.length or self.earned(labels[entry.id])
            )
            if entry.id in labels
            else entry
            for entry in entries
        ]

    def _behind(self, one: Sequence[Segment], other: Sequence[Segment]) -> int:
        """Return the tokens of the longer rest of two documents behind what they have in common."""
        texts = [[segment.text for segment in document] for document in (one, other)]
        pairs = enumerate(zip(*texts, strict=False))
        same = next((at for at, (a, b) in pairs if a != b), min(map(len, texts)))
        return max(sum(self._tokens.get(text, 0) for text in each[same:]) for each in texts)

    async def _count(self, texts: Sequence[str]) -> None:
        """Ask the engine how many tokens these texts have, each text once."""
        new = list(set(texts) - self._tokens.keys())
        if new:
            self._tokens.update(zip(new, await self._engine.count(new), strict=True))


def stays(entry: Entry) -> bool:
    """Return whether an entry is read however old it is, whatever summary is written."""
    return entry.pinned or (outlasts(entry) and not is_summary(entry))


def said_by(user: str, text: str, heard: tuple[str, ...] | None = None) -> Entry:
    """Return a message of the user's as it would be if it were sent, or whispered to these."""
    origin, details = Origin("user"), Details(heard=heard)
    return Entry(
        *(0, None, "message", user, None, text, "complete", 0.0, 0), origin=origin, details=details
    )


def _verdict_place(verdict: Verdict) -> int:
    """Return where a verdict stands in a report: first what fired, then what nearly did."""
    if verdict.state == "waits" and not verdict.key:
        return 3
    return {"fired": 0, "waits": 1, "always": 2, "off": 4}[verdict.state]


def _reread(lore: Lore, sizes: Sequence[int]) -> int:
    if not lore.keys or lore.place == "story":
        return 0
    return sum(sizes if lore.place == "top" else sizes[-lore.depth :])
