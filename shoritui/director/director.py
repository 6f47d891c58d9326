"""One chat being played: what is said, who answers, what the model reads, what stays of it.

It does not know a screen, a database's schema or a model's insides; it joins the three.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import wraps
from typing import Any, ParamSpec

import msgspec

from shoritui.blockml import Length, clean, length_for
from shoritui.cards import Card
from shoritui.director import document as doc
from shoritui.director.choices import SamplingValue, read_choices
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
from shoritui.director.reading import Document, Reader
from shoritui.director.speakers import next_speaker
from shoritui.director.writing import Reply
from shoritui.engine import (
    AnyEngine,
    Preset,
    Sampling,
    Segment,
    changed,
)
from shoritui.errors import UserError
from shoritui.settings import Settings
from shoritui.story import Chat, Entry, Library
from shoritui.story import Kind as EntryKind

P = ParamSpec("P")


def _action(method: Callable[P, AsyncGenerator[Event]]) -> Callable[P, AsyncGenerator[Event]]:
    """An action whose user's errors are its last event."""

    @wraps(method)
    async def told(*args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[Event]:
        try:
            async with aclosing(method(*args, **kwargs)) as events:
                async for event in events:
                    yield event
        except UserError as error:
            yield Failed(str(error))

    return told


class Director:
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
        self.chat = chat
        self.choices = read_choices(chat.settings)
        self.entries = list(entries)
        self.engine = engine
        self.settings = settings
        self.presets = presets
        self.figures = Figures()
        self.busy = False
        self._disk = disk
        self._reader = Reader(engine, settings)
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

    # What the user chose for this chat, kept with it.

    @property
    def scene(self) -> Card:
        """The scene as it is now."""
        return self.chat.scene

    @property
    def cast(self) -> list[str]:
        """The names of the scene's characters, in order."""
        return [character.name for character in self.scene.characters]

    @property
    def user(self) -> str:
        """The name the user speaks as."""
        return self.chat.user

    @property
    def messages(self) -> list[Entry]:
        """The messages of the active path, oldest first."""
        return [entry for entry in self.entries if entry.kind == "message"]

    @property
    def preset(self) -> str:
        """The name of the sampler preset in use."""
        wanted = (self.choices.preset, self.settings.preset, Settings().preset)
        return next(name for name in wanted if name in self.presets)

    @property
    def sampling(self) -> Sampling:
        """The preset's sampler with the values changed in this chat."""
        try:
            return changed(self.presets[self.preset].sampling, self.choices.sampling)
        except UserError:  # The library holds a value that this version does not take.
            return self.presets[self.preset].sampling

    @property
    def length(self) -> Length | None:
        """The hint that replies get; None gives none (the dynamic mode)."""
        hint = self.choices.length or self.settings.length
        return None if hint == "auto" else hint

    @property
    def next_speaker(self) -> str | None:
        """The character asked to speak next; None lets the cast take turns."""
        name = self.choices.next_speaker
        return name if name in self.cast else None

    async def choose_preset(self, name: str) -> None:
        """Takes another preset; values changed one by one are forgotten.

        Raises:
            UserError: There is no such preset.
        """
        if name not in self.presets:
            raise UserError(f"There is no preset {name!r}: choose {', '.join(self.presets)}.")
        await self._choose(preset=name, sampling={})

    async def change_sampling(self, **values: SamplingValue) -> None:
        """Changes single values of the sampler, from the next reply on.

        Raises:
            UserError: There is no such value, or it is out of range.
        """
        changes = {**self.choices.sampling, **values}
        original = self.presets[self.preset].sampling
        changed(original, changes)
        kept = {name: value for name, value in changes.items() if getattr(original, name) != value}
        await self._choose(sampling=kept)

    async def choose_length(self, length: Length | None) -> None:
        """Takes another hint for the replies to come."""
        await self._choose(length=length or "auto")

    async def choose_next(self, name: str | None) -> None:
        """Says who speaks next and from then on; None lets the cast take turns."""
        await self._choose(next_speaker=name)

    async def choose_user(self, name: str) -> None:
        """Says as whom the user speaks from now on."""
        self.chat = await self._disk.run(Library.set_user, self.chat.id, name)

    async def _choose(self, **changes: Any) -> None:
        self.choices = msgspec.structs.replace(self.choices, **changes)
        self.chat = await self._disk.run(
            lambda library: library.update_settings(self.chat.id, **changes)
        )

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
        self.chat = await self._disk.run(Library.update_scene, self.chat.id, scene)
        yield SceneChanged(scene)

    async def alternatives(self, entry_id: int) -> list[Entry]:
        """All versions of an entry that hold any text, oldest first."""
        versions = await self._disk.run(Library.alternatives, entry_id)
        return [version for version in versions if version.text.strip()]

    # Actions with a reply.

    def who_next(self) -> str:
        """The character that `reply()` would let speak; empty if there is none."""
        return self.next_speaker or next_speaker(self.scene.characters, self.user, self.messages)

    @_action
    async def reply(
        self, speaker: str | None = None, length: Length | None = None
    ) -> AsyncGenerator[Event]:
        """Lets a character write one message."""
        name = speaker or self.who_next()
        if not name:
            yield Failed("Nobody is there to answer: add a character to the scene's cast.")
            return
        opened = doc.open_message(name, length or self.length)
        async with aclosing(self._turn("message", name, opened, length or self.length)) as turn:
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
        opened = (
            doc.open_message(old.speaker, old.length)
            if old.kind == "message"
            else doc.open_ooc(old.speaker, self._reader.form)
        )
        try:
            async with aclosing(self._turn(old.kind, old.speaker, opened, old.length)) as turn:
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
        turn = self._turn("message", last.speaker, opened, last.length, last, joint)
        async with aclosing(turn):
            async for event in turn:
                yield event

    @_action
    async def ooc(self, text: str, *, answer: bool = True) -> AsyncGenerator[Event]:
        """Says something out of character, and lets the next speaker's player answer it."""
        if text := clean(text).strip():
            yield await self._append("ooc", self.user, text)
        name = self.who_next()
        if answer and name:
            opened = doc.open_ooc(name, self._reader.form)
            async with aclosing(self._turn("ooc", name, opened, None)) as turn:
                async for event in turn:
                    yield event

    async def stop(self) -> None:
        """Ends the reply being written; what has arrived of it stays."""
        if self.busy:
            self._stopping = True
            await self.engine.cancel()

    async def preview(self, speaker: str | None = None) -> list[Segment]:
        """What the model would read if this character (or the next one) spoke now."""
        name = speaker or self.who_next() or self.user
        opened = doc.open_message(name, self.length)
        return (await self._read(self.entries, opened, self.length)).segments

    # One turn.

    async def _turn(
        self,
        kind: EntryKind,
        speaker: str,
        opened: Segment,
        length: Length | None,
        continued: Entry | None = None,
        joint: str = "",
    ) -> AsyncGenerator[Event]:
        if self.busy:
            yield Failed("A reply is being written already.")
            return
        self.busy, self._stopping = True, False
        try:
            async for event in self._label_messages():
                yield event
            before = self.entries[:-1] if continued else self.entries
            read = await self._read(before, opened, length)
            if self._stopping:
                return
            entry = continued or await self._append_entry(
                kind, speaker, "", length=length, status="streaming"
            )
            yield TurnStarted(entry, speaker, length)
            if joint:
                yield Wrote(entry.id, joint)
            async with aclosing(self._write(Reply(self._disk, entry, joint), read.segments)) as w:
                async for event in w:
                    yield event
        finally:
            self.busy = False

    async def _write(self, reply: Reply, segments: Sequence[Segment]) -> AsyncGenerator[Event]:
        """Streams the reply; whatever ends it, what has arrived is on disk and its end told."""
        failure = ""
        stream = reply.write(
            self.engine,
            segments,
            self.sampling,
            max_tokens=self.settings.max_tokens,
            penalized=[e.text for e in self._kept(self.entries) if e.kind == "message" and e.text],
        )
        try:
            async with aclosing(stream):
                async for event in stream:
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

    async def _end(self, reply: Reply) -> Entry | None:
        if reply.outcome is not None:
            dropped = len(self.entries) - len(self._kept(self.entries))
            self.figures = figures_of(reply.outcome, self._reader.context_size, dropped)
        ended = await reply.end()
        if ended is None:
            await self._move_head(reply.entry.parent)
        else:
            self._replace(ended)
        return ended

    async def _label_messages(self) -> AsyncGenerator[Event]:
        """Counts the tokens of new messages, and gives them the hints these earn."""
        new = [entry for entry in self.messages if not entry.tokens and entry.text]
        counts = await self.engine.count([" " + entry.text for entry in new]) if new else []
        for entry, tokens in zip(new, counts, strict=True):
            hint = entry.length or (length_for(tokens) if self.length else None)
            labelled = await self._disk.run(
                Library.write,
                entry.id,
                entry.text,
                status=entry.status,
                tokens=tokens,
                length=hint,
            )
            self._replace(labelled)
            yield Changed(labelled)

    async def _read(
        self, entries: Sequence[Entry], opened: Segment, length: Length | None
    ) -> Document:
        kept = self._kept(entries)
        read = await self._reader.document(self.scene, self.user, kept, opened, length)
        if read.first:
            await self._choose(first_kept=kept[read.first].id)
        return read

    def _kept(self, entries: Sequence[Entry]) -> list[Entry]:
        """The entries from the first one that the model still reads."""
        starts = [at for at, entry in enumerate(entries) if entry.id == self.choices.first_kept]
        return list(entries[starts[0] :]) if starts else list(entries)

    # The active path.

    async def _append(
        self, kind: EntryKind, speaker: str, text: str, length: Length | None = None
    ) -> Event:
        if self.busy:
            return Failed("A reply is being written: stop it first.")
        return Appended(await self._append_entry(kind, speaker, text, length=length))

    async def _append_entry(self, kind: EntryKind, speaker: str, text: str, **rest: Any) -> Entry:
        entry = await self._disk.run(Library.append, self.chat.id, kind, speaker, text, **rest)
        self.entries.append(entry)
        self.chat = replace(self.chat, head=entry.id)
        return entry

    async def _move_head(self, entry_id: int | None) -> None:
        await self._disk.run(Library.set_head, self.chat.id, entry_id)
        self.chat = replace(self.chat, head=entry_id)
        self.entries = await self._disk.run(Library.entries, self.chat.id)

    def _entry(self, entry_id: int) -> Entry | None:
        return next((entry for entry in self.entries if entry.id == entry_id), None)

    def _replace(self, changed: Entry) -> None:
        self.entries = [changed if entry.id == changed.id else entry for entry in self.entries]
