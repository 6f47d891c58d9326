"""One chat being played: what is said, who answers, what the model reads, what stays of it.

It does not know a screen, a database's schema or a model's insides; it joins the three.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import wraps
from typing import Concatenate, Final, ParamSpec

from shoritui.blockml import Length, clean
from shoritui.cards import Card
from shoritui.director import document as doc
from shoritui.director.ahead import Ahead
from shoritui.director.alternatives import Alternatives, Request
from shoritui.director.disk import Disk
from shoritui.director.events import (
    Appended,
    Changed,
    Event,
    Failed,
    Notice,
    Removed,
    SceneChanged,
    TurnEnded,
    TurnStarted,
    Wrote,
)
from shoritui.director.figures import Figures, figures_of
from shoritui.director.open_chat import since, spoken
from shoritui.director.read_chat import ReadChat
from shoritui.director.writing import Opening, Reply
from shoritui.engine import AnyEngine, Preset, Segment, WorkerDied
from shoritui.errors import UserError
from shoritui.settings import Settings
from shoritui.story import Chat, Entry, Library
from shoritui.story import Kind as EntryKind

P = ParamSpec("P")

_MOST_GOINGS_ON: Final = 16
"""How often one reply goes on after room was made for it in a full context."""


def _action(
    method: Callable[Concatenate[Director, P], AsyncGenerator[Event]],
) -> Callable[Concatenate[Director, P], AsyncGenerator[Event]]:
    """An action: idle work rests before it, and user's errors are its last event."""

    @wraps(method)
    async def told(self: Director, /, *args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[Event]:
        self.rest()
        try:
            async with aclosing(method(self, *args, **kwargs)) as events:
                async for event in events:
                    yield event
        except UserError as error:
            yield Failed(str(error))

    return told


class Director(ReadChat):
    """Plays one chat.

    Every action is an async generator of events; to act is to read it to its end. Actions
    that write a reply may be ended with `stop()`, or by closing the generator: what was
    written until then is on disk.
    """

    def __init__(
        self,
        disk: Disk,
        chat: Chat,
        entries: Sequence[Entry],
        engine: AnyEngine,
        settings: Settings,
        presets: dict[str, Preset],
    ) -> None:
        super().__init__(disk, chat, entries, engine, settings, presets)
        self.figures = Figures()
        self.busy = False
        self._ahead = Ahead(engine)
        self._unread = Alternatives(engine, settings)
        self._stopping = False

    @classmethod
    async def open(
        cls,
        disk: Disk,
        chat: Chat,
        engine: AnyEngine,
        settings: Settings,
        presets: dict[str, Preset],
    ) -> Director:
        """The director of a chat out of the library."""
        entries = await disk.run(Library.entries, chat.id)
        return cls(disk, chat, entries, engine, settings, presets)

    # Actions without a reply.

    @_action
    async def say(
        self, text: str, name: str | None = None, length: Length | None = None
    ) -> AsyncGenerator[Event]:
        """Puts a message into the story; nobody answers yet."""
        text = clean(text).strip()
        if text:
            yield await self._append("message", name or self.user, text, length=length)

    @_action
    async def note(self, text: str) -> AsyncGenerator[Event]:
        """Puts an author's note, an [INST] block, into the story."""
        if text := clean(text).strip():
            yield await self._append("note", "", text)

    @_action
    async def change_title(self, text: str) -> AsyncGenerator[Event]:
        """Begins a new scene in the middle of the story with a title of its own."""
        if text := clean(text).strip():
            yield await self._append("title", "", text)

    @_action
    async def delete_last(self) -> AsyncGenerator[Event]:
        """Takes the last entry out of the story; the library keeps it."""
        if self.busy:
            yield Failed("A reply is being written: stop it first.")
        elif self.entries:
            last = self.entries[-1]
            await self._move_head(last.parent)
            yield Removed((last.id,))

    @_action
    async def edit(self, entry_id: int, text: str) -> AsyncGenerator[Event]:
        """Gives an entry another text; its hint stays, its tokens are counted again."""
        entry = self._entry(entry_id)
        text = clean(text).strip()
        if entry is None or not text or text == entry.text:
            return
        if self.busy:
            yield Failed("A reply is being written: stop it first.")
            return
        edited = await self._disk.run(Library.write, entry_id, text, status="complete", tokens=0)
        self._replace(edited)
        yield Changed(edited)

    @_action
    async def choose(self, entry_id: int) -> AsyncGenerator[Event]:
        """Takes another version of the last entry."""
        if self.busy or not self.entries:
            return
        last = self.entries[-1]
        versions = await self.alternatives(last.id)
        if entry_id != last.id and entry_id in {version.id for version in versions}:
            await self._move_head(entry_id)
            yield Removed((last.id,))
            yield Appended(self.entries[-1])

    @_action
    async def change_scene(self, scene: Card) -> AsyncGenerator[Event]:
        """Takes another scene: title, tags, scenario, lore or cast were edited."""
        await self._change_scene(scene)
        yield SceneChanged(scene)

    # Actions with a reply.

    @_action
    async def reply(
        self, speaker: str | None = None, length: Length | None = None
    ) -> AsyncGenerator[Event]:
        """Lets a character write one message."""
        name, length = speaker or self.who_next(), length or self.length
        if not name:
            yield Failed("Nobody is there to answer: add a character to the scene's cast.")
            return
        opening = Opening("message", name, length, doc.open_message(name, length))
        async with aclosing(self._turn(opening)) as turn:
            async for event in turn:
                yield event

    @_action
    async def regenerate(self) -> AsyncGenerator[Event]:
        """Writes the last reply anew; the old one stays as an alternative."""
        old = self.entries[-1] if self.entries else None
        if self.busy or old is None or old.kind not in ("message", "ooc"):
            yield Failed("There is no reply to write anew.")
            return
        if old.speaker == self.user:
            yield Failed("The last words are your own: ask for a reply instead.")
            return
        before = self.chat.head
        await self._move_head(old.parent)
        yield Removed((old.id,))
        opened = doc.opened_anew(old, self._reader.form)
        try:
            opening = Opening(old.kind, old.speaker, old.length, opened)
            async with aclosing(self._turn(opening)) as turn:
                async for event in turn:
                    yield event
        finally:
            nothing_came = self.chat.head == old.parent
            if nothing_came:
                await self._move_head(before)
        if nothing_came:
            yield Appended(old)

    @_action
    async def continue_(self) -> AsyncGenerator[Event]:
        """Lets the last message go on."""
        last = self.entries[-1] if self.entries else None
        if self.busy or last is None or last.kind != "message":
            yield Failed("There is no message to continue.")
            return
        opened, joint = doc.reopened(last)
        opening = Opening("message", last.speaker, last.length, opened, last, joint)
        async with aclosing(self._turn(opening)) as turn:
            async for event in turn:
                yield event

    @_action
    async def ooc(self, text: str, *, answer: bool = True) -> AsyncGenerator[Event]:
        """Says something out of character, and lets the next speaker's player answer it."""
        if text := clean(text).strip():
            yield await self._append("ooc", self.user, text)
        name = self.who_next()
        if answer and name:
            opening = Opening("ooc", name, None, doc.open_ooc(name, self._reader.form))
            async with aclosing(self._turn(opening)) as turn:
                async for event in turn:
                    yield event

    async def stop(self) -> None:
        """Ends idle work, and the reply being written; what has arrived of it stays."""
        self.rest()
        if self.busy:
            self._stopping = True
            await self.engine.cancel()

    async def preview(self, speaker: str | None = None) -> list[Segment]:
        """What the model would read if this character (or the next one) spoke now."""
        name = speaker or self.who_next() or self.user
        entries = await self._with_hints()
        page = self._page(entries, doc.open_message(name, self.length), self.length)
        return (await self._reader.document(page, self._planned)).segments

    # Ahead of need.

    def look_ahead(self, typed: str = "", speaker: str | None = None) -> None:
        """Begins to evaluate, in idle time, what the model will most likely read next.

        That is the story up to where `speaker`, or whoever is next, begins; while the user types
        a message, the story with the words of it that are finished. Returns at once, does nothing
        during a reply, and makes room in a context that is about to be full. While nothing is
        typed, other texts for the last reply are written then, as many as the settings say.
        """
        if not self.busy:
            self._ahead.wish(lambda: self._likely(typed, speaker))

    def rest(self) -> None:
        """Ends what is done in idle time, until `look_ahead` is called again."""
        self._ahead.rest()

    async def settled(self) -> None:
        """Waits until what `look_ahead` began is done."""
        await self._ahead.settled()

    async def _likely(self, typed: str, speaker: str | None) -> AsyncGenerator[Sequence[Segment]]:
        """What will be read next; then the same without the oldest messages, if it is time.

        When that is ready: what is read if nothing more is typed, or where nothing is, other
        texts for the last reply.
        """
        opened = await self._likely_end(typed, speaker)
        if opened is None:
            return
        page = self._page(await self._with_hints(), opened, self.length)
        planned = self._planned or self.choices.first_kept
        now = await self._reader.document(page, planned)
        later = await self._reader.ahead(page, planned)
        if later is None:
            self._planned = None
            yield now.segments
        else:
            self._planned = first = page.entries[later.first].id
            if not self._is_exact:  # What is held is moved up, so there is nothing to wait for.
                await self._let_go(first)
            elif not now.first:
                yield now.segments
            yield later.segments
            await self._let_go(first)
        if not typed:
            await self._write_alternatives()
        elif later is None and (sent := await self._as_sent(typed, speaker)) is not None:
            yield sent

    async def _as_sent(self, typed: str, speaker: str | None) -> Sequence[Segment] | None:
        """What will be read if what is typed is sent as it is; None if nobody would answer."""
        said = spoken(self.user, clean(typed).strip())
        name = speaker or self.who_next(said)
        if not name or not said.text:
            return None
        opened = doc.open_message(name, self.length)
        page = self._page(await self._with_hints(said), opened, self.length)
        return (await self._reader.document(page, self._planned)).segments

    async def _write_alternatives(self) -> None:
        """Has other texts written for the last reply, if that was written in this sitting."""
        last = self.entries[-1] if self.entries else None
        if last is None or last.kind not in ("message", "ooc") or last.speaker == self.user:
            return
        written_now = self._last_read is not None and self._last_read[0] == last.parent
        if not written_now or not self._unread.wanted(self.sampling):
            return
        *before, _ = await self._with_hints()
        opened = doc.opened_anew(last, self._reader.form)
        page = self._page(before, opened, last.length)
        read = await self._reader.document(page, self.choices.first_kept)
        await self._unread.write(self._request(read.segments, self.settings.max_tokens))

    async def _likely_end(self, typed: str, speaker: str | None) -> Segment | None:
        """The block that will be open: the user's message as far as it is typed, or a reply."""
        text = clean(typed).lstrip()
        if doc.finished_words(text):
            [tokens] = await self.engine.count([" " + text.strip()])
            return doc.begun_message(self.user, self._earned(tokens), text)
        name = speaker or self.who_next()
        return doc.open_message(name, self.length) if name else None

    # One turn.

    async def _turn(self, opening: Opening) -> AsyncGenerator[Event]:
        if self.busy:
            yield Failed("A reply is being written already.")
            return
        self.busy, self._stopping = True, False
        try:
            async for event in self._label_messages():
                yield event
            before = self.entries[:-1] if opening.continued else self.entries
            document = await self._read(before, opening.segment, opening.length)
            if self._stopping:
                return
            entry = opening.continued or await self._append_entry(
                opening.kind, opening.speaker, "", length=opening.length, status="streaming"
            )
            yield TurnStarted(entry, opening.speaker, opening.length)
            if opening.joint:
                yield Wrote(entry.id, opening.joint)
            reply = Reply(self._disk, entry, opening.joint)
            async with aclosing(self._write(reply, opening, document)) as events:
                async for event in events:
                    yield event
        finally:
            self.busy = False

    async def _write(
        self, reply: Reply, opening: Opening, document: Sequence[Segment]
    ) -> AsyncGenerator[Event]:
        """Streams the reply; whatever ends it, what has arrived is on disk and its end told."""
        failure = ""
        try:
            async with aclosing(self._generate(reply, opening, document)) as events:
                async for event in events:
                    yield event
        except UserError as error:
            failure = str(error)
        finally:
            ended = await self._end(reply)
        if ended is None:
            yield Removed((reply.entry.id,))
        elif reply.outcome is not None:
            yield TurnEnded(ended, reply.outcome)
            if reply.looped:
                yield Notice(f"{ended.speaker} only repeated the same words: the reply ends there.")
        else:
            yield Changed(ended)
        if failure:
            yield Failed(failure)

    async def _generate(
        self, reply: Reply, opening: Opening, document: Sequence[Segment]
    ) -> AsyncGenerator[Event]:
        """Streams the reply; at the context's end it goes on once old messages have gone."""
        left = self.settings.max_tokens
        for _ in range(1 + _MOST_GOINGS_ON):
            request = self._request(document, left, reply.text)
            stream = self._unread.take(request) or request.ask(self.engine)
            async with aclosing(reply.write(stream, self.engine.cancel)) as events:
                async for event in events:
                    yield event
            so_far = reply.outcome
            if so_far is None or so_far.stop != "context_full" or self._stopping:
                return
            left = self.settings.max_tokens - so_far.generated_tokens
            if left < 1:
                return
            opened = replace(opening.segment, text=opening.segment.text + so_far.text)
            try:
                document = await self._read_on(opened, opening.length)
            except WorkerDied:
                raise
            except UserError as error:
                yield Notice(str(error))
                return

    async def _end(self, reply: Reply) -> Entry | None:
        if reply.outcome is not None:
            kept = since(self.entries, self.choices.first_kept)
            dropped = len(self.entries) - len(kept)
            self.figures = figures_of(reply.outcome, self._reader.context_size, dropped)
        ended = await reply.end()
        if ended is None:
            await self._move_head(reply.entry.parent)
        else:
            self._replace(ended)
        return ended

    def _request(self, document: Sequence[Segment], max_tokens: int, written: str = "") -> Request:
        """What the last entry is drawn from; of it, so much is written already."""
        before = since(self.entries[:-1], self.choices.first_kept)
        # What penalties see: the messages read, oldest first, and what is written of this one.
        bodies = [entry.text for entry in before if entry.kind == "message"]
        penalized = tuple(body for body in (*bodies, written) if body)
        return Request(tuple(document), self.sampling, max_tokens, penalized, tuple(self.cast))

    # The active path.

    async def _append(
        self, kind: EntryKind, speaker: str, text: str, length: Length | None = None
    ) -> Event:
        if self.busy:
            return Failed("A reply is being written: stop it first.")
        return Appended(await self._append_entry(kind, speaker, text, length=length))
