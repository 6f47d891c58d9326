"""One chat being played: what is said, who answers, what the model reads, what stays of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Final, Literal

import msgspec

from shoritui.blockml import LENGTHS, Length
from shoritui.cards import Card, Character, begins_macro
from shoritui.director import prompt_layout as doc
from shoritui.director.action import Steps, action
from shoritui.director.alternatives import Alternatives
from shoritui.director.chat_state import ChatState, first_difference
from shoritui.director.context_window import ContextWindow, LoreRow
from shoritui.director.deciding import Deciding
from shoritui.director.events import (
    Appended,
    Changed,
    Event,
    Failed,
    Notice,
    PathChanged,
    Removed,
    SceneChanged,
    Trimmed,
    TurnStarted,
    Wrote,
)
from shoritui.director.hints import HintOdds
from shoritui.director.inspection import Inspector
from shoritui.director.length_guide import LengthGuides
from shoritui.director.library_thread import Disk
from shoritui.director.memory import Memory
from shoritui.director.odds import SpeakerOdds
from shoritui.director.prefetch import Prefetch, Wish
from shoritui.director.presence_acts import PresenceActs
from shoritui.director.reply import (
    PendingReply,
    Reply,
    TurnFigures,
    ending,
    figures_of,
    stronger_dry,
)
from shoritui.engine import AnyEngine, Preset, Segment, Text, WorkerDied
from shoritui.engine import Event as EngineEvent
from shoritui.errors import UserError
from shoritui.settings import Settings
from shoritui.story import (
    SCENE_KINDS,
    Asked,
    By,
    Chat,
    Details,
    Draft,
    Entry,
    Library,
    Made,
    NoteRule,
    Origin,
)
from shoritui.story import Kind as EntryKind
from shoritui.text import clean, message

_NO_DETAILS: Final = Details()
_MOST_TYPED: Final = 20_000
"""So many characters that are typed are evaluated ahead."""
_MOST_QUOTED: Final = 40
"""So many characters of a message that was taken back are said."""
_MOST_GOINGS_ON: Final = 16
"""How often one reply goes on after room was made for it in a full context."""


class Director(PresenceActs, Deciding):
    """Plays one chat.

    Every action is an async generator of events; to act is to read it to its end. Actions
    that write a reply may be ended with `stop()`, or by closing the generator: what was
    written until then is on disk.
    """

    def __init__(self, chat: ChatState, engine: AnyEngine, settings: Settings) -> None:
        self.chat = chat
        self.figures = TurnFigures()
        self.busy = False
        """Whether a reply is being written."""
        self.turns_left = 0
        """How many turns are still to be played by themselves."""
        self.is_auto = False
        """Whether they are being played now."""
        self._pausing = False
        self.on_odds: Callable[[], None] = lambda: None
        """Called once the model has said, in idle time, who speaks next."""
        self.on_news: Callable[[Event], None] = lambda event: None
        """Hears what happens beside the actions: old entries leave, a summary takes their place."""
        self._stopping = False
        self._reply: Reply | None = None
        """The reply being written."""
        self._handed: tuple[int | None, str, str] | None = None
        """After which entry a reply went on as whom, and what was written of that."""
        self._equip(engine, settings)

    def _equip(self, engine: AnyEngine, settings: Settings) -> None:
        chat = self.chat
        self.engine = engine
        self._max_tokens = settings.max_tokens
        self._keep = settings.keep_following != "branch"
        self._stop_strings = [clean(text) for text in settings.stop_strings if clean(text)]
        self._window = ContextWindow(chat, engine, settings)
        self._window.on_trim = lambda count: self.on_news(Trimmed(count))
        self.memory = Memory(
            chat, self._window, engine, settings, lambda event: self.on_news(event)
        )
        self.inspector = Inspector(chat, self._window, engine)
        self.guides = LengthGuides(chat, engine)
        self._alternatives = Alternatives(chat, self._window, engine, settings, self.guides)
        self._odds = SpeakerOdds(chat, self._window, engine)
        self._hints = HintOdds(chat, self._window, engine)
        self._prefetch = Prefetch(
            *(chat, self._window, engine, self._alternatives, self._hints, self._odds),
            *(self.memory, lambda: self.on_odds()),
        )

    @classmethod
    async def open(
        cls,
        disk: Disk,
        chat: Chat,
        engine: AnyEngine,
        settings: Settings,
        presets: dict[str, Preset],
    ) -> Director:
        """Return the director of a chat out of the library."""
        return cls(await ChatState.open(disk, chat, settings, presets), engine, settings)

    def use(self, engine: AnyEngine, settings: Settings) -> None:
        """Go on with another engine, or other settings; never while a reply is being written."""
        self.rest()
        self.chat.settings = settings
        self._equip(engine, settings)

    async def close(self) -> None:
        """End everything that is done, and let another window have the chat."""
        await self.stop()
        await self.chat.let_go()

    @property
    def repetition(self) -> float:
        """How much of the newest words of the reply, from 0 to 1, had been said before."""
        return self.figures.repetition if self._reply is None else self._reply.repetition

    @property
    def state(self) -> str:
        """What is notable of the reply that is written: it thinks, or runs on; else nothing."""
        return "" if self._reply is None else self._reply.state

    @property
    def writing(self) -> Entry | None:
        """The reply being written, as it was begun."""
        return None if self._reply is None else self._reply.entry

    @property
    def handed(self) -> str:
        """Whose turn the last reply went on with, where it was cut for that; else nobody."""
        if self._handed is None or self._handed[0] != self._last_id:
            return ""
        return self._handed[1]

    async def refresh(self) -> AsyncGenerator[Event]:
        """Take up what the window that holds the chat has written, and the chat once it is free."""
        if self.chat.is_mine and not self.chat.is_stale:
            return
        was_mine, before = self.chat.is_mine, self.chat.entries
        is_free = await self.chat.claim() and not was_mine
        if was_mine or is_free or await self.chat.was_changed_elsewhere():
            await self.chat.reload()
            if self.chat.entries != before:
                yield self._path(None)
        if is_free:
            yield Notice("No other window has this story open any more: it can be gone on with.")

    # Actions without a reply.

    @action
    async def say(
        self,
        text: str,
        name: str | None = None,
        length: Length | None = None,
        *,
        heard: tuple[str, ...] | None = None,
    ) -> Steps:
        """Put a message into the story, whispered if `heard` by some alone; nobody answers yet."""
        if text := clean(text).strip():
            details = Details(heard=heard)
            yield await self._append("message", name or self.chat.user, text, length, details)

    @action
    async def note(self, text: str, rule: NoteRule | None = None) -> Steps:
        """Put an author's note, an [INST] block, into the story; its rule says when it is read."""
        if text := clean(text).strip():
            yield await self._append("note", "", text, details=Details(note=rule))

    @action
    async def change_rule(self, entry_id: int, rule: NoteRule | None) -> Steps:
        """Let a note be read by another rule, as a version of it."""
        entry = self.chat.entry(entry_id)
        if entry is not None and entry.kind == "note":
            details = msgspec.structs.replace(entry.details, note=rule)
            draft = Draft("note", entry.speaker, entry.text, origin=entry.origin, details=details)
            act = "Change when a note is read"
            version = await self.chat.add_version(entry, draft, keep=True, act=act)
            yield await self._changed(version.id)

    @action
    async def change_title(self, text: str) -> Steps:
        """Begin a new scene in the middle of the story with a title of its own."""
        if text := clean(text).strip():
            yield await self._append("title", "", text)

    @action
    async def begin_scene(self, title: str, tags: str, scenario: str) -> Steps:
        """Begin a new scene in the middle of the story; what is empty stays as it is."""
        texts = {"title": title, "tags": tags, "scenario": scenario}
        drafts = [
            Draft(kind, "", clean(texts[kind]).strip(), origin=Origin("user"))
            for kind in SCENE_KINDS
            if clean(texts[kind]).strip()
        ]
        if drafts:
            act = "Begin a scene"
            last = await self.chat.append_all(drafts, act)
            yield await self._changed(last.id)

    @action
    async def become(self, persona: Character) -> Steps:
        """Let the user speak as a persona, whose description stands here if it is new."""
        entry = await self.chat.become(persona)
        yield await self._changed(entry.id if entry is not None else None)

    @action
    async def edit(self, entry_id: int, text: str, keep: bool | None = None) -> Steps:
        """Give a message another text, as a version of it."""
        entry = self.chat.entry(entry_id)
        text = clean(text).strip()
        if entry is None or not text or text == entry.text:
            return
        details = msgspec.structs.replace(entry.details, made=Made("edited", entry.id))
        draft = Draft(*(entry.kind, entry.speaker, text), origin=entry.origin, details=details)
        version = await self.chat.add_version(
            entry, draft, keep=self._keeps(keep), act="Edit a message"
        )
        yield await self._changed(version.id)

    @action
    async def choose_version(
        self, entry_id: int, version_id: int, keep: bool | None = None
    ) -> Steps:
        """Put another version of a message into its place."""
        if version_id != entry_id:
            keeps = self._keeps(keep)
            await self.chat.act(Library.choose_version, entry_id, version_id, keep=keeps)
            yield await self._changed(version_id)

    @action
    async def delete(self, *entry_ids: int) -> Steps:
        """Put messages into the bin; what follows them stays."""
        gone = [self.chat.entry(each) for each in entry_ids]
        at = max((self.chat.place(each) for each in gone if each is not None), default=-1)
        after = self.chat.entries[at + 1 : at + 2]
        if after and self.chat.first_read in entry_ids:
            await self.chat.keep_from(after[0].id)
        await self.chat.act(Library.delete, entry_ids)
        stands = after or self.chat.entries[-1:]
        yield await self._changed(stands[0].id if stands else None)

    @action
    async def restore(self, entry_id: int) -> Steps:
        """Take a message out of the bin and go there."""
        await self.chat.act(Library.restore, entry_id)
        yield await self._changed(entry_id)

    @action
    async def hide(self, entry_id: int, hidden: bool) -> Steps:
        """Keep a message from the model, or let it read it again."""
        await self.chat.act(Library.hide, entry_id, hidden)
        yield await self._changed(entry_id)

    @action
    async def pin(self, entry_id: int, pinned: bool) -> Steps:
        """Keep a message in what the model reads however old it is, or no longer."""
        entry = self.chat.entry(entry_id)
        if entry is not None and pinned:
            await self.memory.check_pin(entry)
        await self.chat.act(Library.pin, entry_id, pinned)
        yield await self._changed(entry_id)

    @action
    async def move(self, entry_id: int, up: bool) -> Steps:
        """Let a message change places with the one before it, or after it."""
        await self.chat.act(Library.move, entry_id, up=up)
        yield await self._changed(entry_id)

    @action
    async def insert(self, after_id: int | None, kind: EntryKind, speaker: str, text: str) -> Steps:
        """Put a new message after another one, or (None) before all of them."""
        if text := clean(text).strip():
            draft = Draft(kind, speaker, text, origin=Origin("user"))
            entry = await self.chat.insert(after_id, draft)
            yield await self._changed(entry.id)

    @action
    async def merge(self, entry_id: int) -> Steps:
        """Make one message of this one and the next."""
        merged = await self.chat.act(Library.merge, entry_id)
        yield await self._changed(merged.id)

    @action
    async def split(self, entry_id: int, at: int) -> Steps:
        """Make two messages of one, the second from character `at` on."""
        _, second = await self.chat.act(Library.split, entry_id, at)
        yield await self._changed(second.id)

    @action
    async def set_label(self, entry_id: int, label: str | None) -> Steps:
        """Name a place: a bookmark, a checkpoint, a branch; None takes the name away."""
        label = clean(label).strip() if label else None
        await self.chat.act(Library.set_label, entry_id, label or None)
        yield await self._changed(entry_id)

    @action
    async def go_to(self, entry_id: int, exactly: bool = False) -> Steps:
        """Go to where the story went on from an entry, or to the entry exactly."""
        await self.chat.act(Library.go_to, entry_id, self.chat.id, exactly=exactly)
        yield await self._changed(entry_id)

    @action
    async def undo(self) -> Steps:
        """Take back what was done last."""
        for event in await self._turn_back("undo"):
            yield event

    @action
    async def redo(self) -> Steps:
        """Do again what was taken back last."""
        for event in await self._turn_back("redo"):
            yield event

    async def change_scene(self, scene: Card) -> AsyncGenerator[Event]:
        """Take another scene: title, tags, scenario, lore or cast were edited.

        It may change while a reply is being written.
        """
        self.rest()
        try:
            await self.chat.change_scene(scene)
        except UserError as error:
            yield Failed(str(error))
        else:
            yield SceneChanged(self.chat.scene)
            for sentence in self.chat.take_told():
                yield Notice(sentence)

    # Actions with a reply.

    @action
    async def reply(self, speaker: str | None = None, length: Length | None = None) -> Steps:
        """Let a character write one message; without a name, whoever's turn it is."""
        if (failure := await self._decide(speaker)) is not None:
            yield failure
        if self._stopping:
            return
        if name := speaker or self.chat.who_next():
            length = length or self.chat.length_of(name)
            yield PendingReply("message", name, length, doc.open_message(name, length))
        elif self.chat.strategy == "choose" and self.chat.cast:
            yield Failed("Nobody was asked to answer: choose who speaks.")
        else:
            yield Failed("Nobody is here to answer: add a character, or let one enter or speak.")

    @action
    async def auto_play(self, turns: int) -> Steps:
        """Let so many turns be played: after each reply it is decided anew who speaks.

        Ends early at the user's turn, after `pause` or `stop`, and where nothing was written.
        """
        self.turns_left, self._pausing, self.is_auto = turns, False, True
        try:
            while self.turns_left and not self._pausing:
                if (failure := await self._decide()) is not None:
                    yield failure
                if self._stopping:
                    return
                name = next(iter(self.chat.turn_order()), "")
                if not name or name == self.chat.user:
                    self.turns_left = 0
                    yield Notice(f"It is your turn, {self.chat.user}.")
                    return
                length, begun = self.chat.length_of(name), self._take_handed(name)
                before = self._last_id
                opened = doc.open_message(name, length, begun)
                yield PendingReply("message", name, length, opened, begun=begun)
                if self._stopping or self._last_id == before:
                    return
                self.turns_left -= 1
                async for event in self._remember():
                    yield event
        finally:
            self.is_auto = False

    @action
    async def summarise(self, last: int | None = None) -> Steps:
        """Have the model write the next missing summary of the story up to an entry.

        Without one, of what has left the context, or else of the older half of what is read. It is
        the `memory.draft` until it is used.
        """
        self.busy, self._stopping = True, False
        try:
            async with aclosing(self.memory.summarise(last)) as events:
                async for event in events:
                    yield event
        finally:
            self.busy = False

    @action
    async def use_summary(self, text: str) -> Steps:
        """Let the summary, with this text, stand for what it was made of."""
        if (event := await self.memory.use(clean(text))) is not None:
            yield event

    def pause(self) -> None:
        """Let what plays by itself end after the reply that is being written."""
        self._pausing = True

    @action
    async def regenerate(
        self, entry_id: int | None = None, keep: bool | None = None, *, with_dry: bool = False
    ) -> Steps:
        """Write a reply anew, without an id the last one; the old one stays as a version.

        What the user wrote is only written anew where its id is given. `with_dry` has DRY, which
        makes repeating unlikely, on for this once, or twice as strong as it is.
        """
        old = self.chat.last_told if entry_id is None else self.chat.entry(entry_id)
        if old is None or old.kind not in ("message", "ooc"):
            yield Failed("There is no reply to write anew.")
            return
        if entry_id is None and self.chat.is_users(old):
            yield Failed("The last words are your own: ask for a reply instead.")
            return
        length = await self._hints.anew(old) if old.kind == "message" else None
        opened = doc.opened_anew(old, length, self._window.form)
        keeps = self._keeps(keep)
        sampling = stronger_dry(self.chat.sampling) if with_dry else None
        yield PendingReply(
            *(old.kind, old.speaker, length, opened),
            version_of=old,
            keep=keeps,
            sampling=sampling,
            details=msgspec.structs.replace(old.details, made=None),
        )

    @action
    async def hand_over(self) -> Steps:
        """Let the participant go on whose turn the last reply went on with, where it was cut."""
        name = self.handed
        if not name or name == self.chat.user:
            yield Failed("The last reply went on with nobody else's message.")
            return
        if (failure := await self._decide(name)) is not None:
            yield failure
        length, text = self.chat.length_of(name), self._take_handed(name)
        opened = doc.open_message(name, length, text)
        yield PendingReply("message", name, length, opened, begun=text)

    @action
    async def continue_(self, entry_id: int | None = None, keep: bool | None = None) -> Steps:
        """Let a message go on, without an id the last one; the shorter one stays as a version."""
        old = self.chat.last_told if entry_id is None else self.chat.entry(entry_id)
        if old is None or old.kind != "message":
            yield Failed("There is no message to continue.")
            return
        length = self._longer(old)
        opened, joint = doc.reopened(old, length)
        yield PendingReply(
            "message",
            old.speaker,
            length,
            opened,
            version_of=old,
            keep=self._keeps(keep),
            begun=old.text,
            joint=joint,
            by="user" if self.chat.is_users(old) else "model",
            details=msgspec.structs.replace(old.details, made=Made("continued", old.id)),
        )

    @action
    async def go_on_from(self, entry_id: int, begun: str, keep: bool | None = None) -> Steps:
        """Write a message anew behind another beginning; the old one stays as a version."""
        old = self.chat.entry(entry_id)
        if old is None or old.kind != "message" or not begun.strip():
            yield Failed("There is no message to write anew from there.")
            return
        opened = doc.open_message(old.speaker, old.length, begun)
        by: By = "user" if self.chat.is_users(old) else "model"
        yield PendingReply(
            *("message", old.speaker, old.length, opened, old, self._keeps(keep)),
            begun=begun,
            by=by,
            details=msgspec.structs.replace(old.details, made=Made("edited", old.id)),
        )

    @action
    async def ooc(self, text: str, *, answer: bool = True) -> Steps:
        """Say something out of character, and let the next speaker's player answer it."""
        details = Details(heard=self.chat.who_know_all)  # The players know every whisper.
        if text := clean(text).strip():
            yield await self._append("ooc", self.chat.user, text, details=details)
        name = self.chat.who_next()
        if answer and name:
            opened = doc.open_ooc(name, self._window.form)
            yield PendingReply("ooc", name, None, opened, details=details)

    async def _remember(self) -> AsyncGenerator[Event]:
        """Write a summary now if it is time: no idle time comes between turns played like this."""
        self.busy = True
        try:
            async with aclosing(self.memory.remember_now()) as events:
                async for event in events:
                    yield event
                    if self._stopping:
                        self.pause()
                        return
        finally:
            self.busy = False

    def _take_handed(self, name: str) -> str:
        """Return what was written already of this one's message, if that is known."""
        return self._handed[2] if self._handed is not None and self.handed == name else ""

    @property
    def is_stopping(self) -> bool:
        """Whether what is being written was stopped, by `stop`."""
        return self.busy and self._stopping

    async def stop(self) -> None:
        """End idle work, and the reply being written; what has arrived of it stays."""
        self.rest()
        if self.busy:
            self._stopping = True
            await self.engine.cancel()

    async def preview(self, speaker: str | None = None) -> Sequence[Segment]:
        """Return what the model would read if this character (or the next one) spoke now."""
        name = speaker or self.chat.who_next() or self.chat.user
        length = self.chat.length_of(name)
        return await self._window.document(doc.open_message(name, length), length, reader=name)

    async def lore(self, said: str = "") -> list[LoreRow]:
        """Return why each piece of lore is in the next prompt or not, if this is said before.

        Raises:
            UserError: There is no prompt: the scene does not fit.
        """
        return await self._window.lore(said)

    async def lore_marks(self) -> dict[int, str]:
        """Return the names of the lore that stands around entries, by the entries' ids."""
        return await self._window.lore_marks(is_stale=not self.busy)

    # Idle work.

    def look_ahead(
        self,
        typed: str = "",
        speaker: str | None = None,
        heard: tuple[str, ...] | None = None,
    ) -> None:
        """Begin to evaluate, in idle time, what the model will most likely read next.

        That is the story up to where `speaker`, or whoever is next, begins; while the user types
        a message, the story with the words of it that are finished. Returns at once, does nothing
        during a reply, and makes room in a context that is about to be full. While nothing is
        typed, other texts for the last reply are written then, as many as the settings say.
        Words with macros are not looked at: only once they are said it is known what they mean.
        Nor is a text of many pages, which each key would have read through anew.
        """
        is_looked_at = len(typed) <= _MOST_TYPED and not begins_macro(typed)
        if is_looked_at and not self.busy and self.chat.is_mine:
            self._prefetch.begin(Wish(typed, speaker, heard))

    def rest(self) -> None:
        """End what is done in idle time, until `look_ahead` is called again."""
        self._prefetch.rest()

    async def settled(self) -> None:
        """Wait until what `look_ahead` began is done."""
        await self._prefetch.settled()

    # One turn.

    async def turn(self, pending: PendingReply) -> AsyncGenerator[Event]:
        """Write a reply; whatever ends it, what has arrived is on disk and its end reported."""
        if self.busy:
            yield Failed("A reply is being written already.")
            return
        self.busy, self._stopping = True, False
        try:
            if not await self._model_there():
                return
            for labelled in await self._window.label_messages():
                yield Changed(labelled)
            old = pending.version_of
            read = await self._window.read(
                pending.opened,
                pending.length,
                reader=pending.reader,
                end=None if old is None else self.chat.place(old),
                is_ooc=pending.kind == "ooc",
            )
            if self._stopping:
                return
            is_last = old is None or old.id == self.chat.entries[-1].id
            document: Sequence[Segment] | None = read
            entry = await self._begin(pending, self._window.asked(read, pending.length))
            self._reply = reply = Reply(self.chat, entry, pending, self._stop_strings)
            failure: list[Event] = []
            try:
                if old is not None:
                    yield Removed((old.id,)) if is_last else self._path(reply.entry.id)
                yield TurnStarted(reply.entry, pending.speaker, pending.length)
                if pending.joint:
                    yield Wrote(reply.entry.id, pending.joint)
                while document is not None:
                    stream = self._tokens(reply, document, pending)
                    async with aclosing(stream) as tokens:
                        async for token in tokens:
                            event = reply.feed(token)
                            if event is not None:
                                yield event
                            if reply.cut is not None and isinstance(token, Text):
                                await self.engine.cancel()
                    document = await self._next_document(reply, pending)
            except UserError as error:
                failure = [Failed(str(error))]
            finally:
                ended = await self._end(reply)
            if ended is not None:
                [ended] = await self._labelled([ended]) or [ended]
            for event in [*ending(reply, ended), *failure]:
                yield event
            if ended is None and old is not None:
                yield Appended(self.chat.entries[-1]) if is_last else self._path(old.id)
        except UserError as error:
            yield Failed(str(error))
        finally:
            self.busy, self._reply = False, None

    async def _begin(self, pending: PendingReply, asked: Asked) -> Entry:
        draft = Draft(
            pending.kind,
            pending.speaker,
            pending.begun,
            length=pending.length,
            status="streaming",
            origin=self._origin(pending.by, asked),
            details=pending.details,
        )
        old = pending.version_of
        if old is None:
            return await self.chat.append(draft)
        return await self.chat.add_version(old, draft, keep=pending.keep, act=pending.act)

    def _origin(self, by: By, asked: Asked) -> Origin:
        """Return what writes a reply now; a user's message that the model goes on stays his."""
        info, chat = self.engine.info, self.chat
        if info is None:
            return Origin(by, asked=asked)
        adapters = tuple(adapter.name for adapter in info.adapters)
        model, seed = info.path.stem or info.server, chat.sampling.seed
        return Origin(by, model, chat.preset, seed, adapters, asked)

    def _tokens(
        self, reply: Reply, document: Sequence[Segment], pending: PendingReply
    ) -> AsyncGenerator[EngineEvent, None]:
        """Return what the engine writes on; a text that was written in idle time, if it fits."""
        at = self.chat.place(reply.entry)
        left = self._left(reply)
        # A message that goes on has had its length: the model ends it by itself.
        length = None if pending.begun or pending.kind != "message" else pending.length
        guide = self.guides.guide(length, self._max_tokens, self._max_tokens - left)
        request = self._alternatives.request(
            document, left, at, pending.reader, reply.text, pending.sampling, guide
        )
        return self._alternatives.take(request) or request.ask(self.engine)

    def _left(self, reply: Reply) -> int:
        """Return how many tokens the reply may still have."""
        return self._max_tokens - (reply.outcome.generated_tokens if reply.outcome else 0)

    async def _next_document(self, reply: Reply, pending: PendingReply) -> Sequence[Segment] | None:
        """Return the document to go on with once old messages have gone; None at the end.

        Only a reply that ended because the context was full goes on.
        """
        outcome = reply.outcome
        if outcome is None or outcome.stop != "context_full" or self._stopping:
            return None
        if self._left(reply) < 1 or reply.generations > _MOST_GOINGS_ON:
            return None
        opened = replace(pending.opened, text=pending.opened.text + outcome.text)
        try:
            return await self._window.read_on(opened, pending.length, reply.entry)
        except WorkerDied:
            raise
        except UserError as error:
            reply.notice = str(error)
            return None

    async def _end(self, reply: Reply) -> Entry | None:
        if reply.outcome is not None:
            size, dropped = self._window.size, self._window.dropped
            self.figures = figures_of(reply.outcome, size, dropped, reply.repetition)
        ended = await reply.end()
        # What a whisper went on with may be known to those alone who heard it.
        is_aloud = reply.entry.details.heard is None
        self._handed = (self._last_id, *reply.next) if reply.next and is_aloud else None
        return ended

    @property
    def _last_id(self) -> int | None:
        last = self.chat.last_told
        return last.id if last is not None else None

    # Acts on messages.

    def _keeps(self, keep: bool | None) -> bool:
        return self._keep if keep is None else keep

    def _longer(self, entry: Entry) -> Length | None:
        """Return the hint of a message that goes on: the one chosen now, or its own if longer."""
        own, chosen = entry.length, self.chat.length_of(entry.speaker)
        if self.chat.hint(entry.speaker) == "model":
            return own
        return chosen if None in (own, chosen) else max(chosen, own, key=LENGTHS.index)

    async def _labelled(self, entries: Sequence[Entry]) -> list[Entry]:
        """Count the tokens of new messages at once, where there is a model that can."""
        if self.engine.info is None:
            return []
        try:
            return await self._window.label(entries)
        except UserError:  # It is tried again at the next turn.
            return []

    async def _changed(self, entry_id: int | None) -> Event:
        """Report what an act on this entry has made of the story, once new messages are labelled.

        The entry before it may be new as well.
        """
        entry = self.chat.entry(entry_id) if entry_id is not None else None
        if entry is not None:
            at = self.chat.place(entry)
            await self._labelled(self.chat.entries[max(0, at - 1) : at + 1])
        return self._path(entry_id)

    def _path(self, cursor: int | None) -> PathChanged:
        return PathChanged(tuple(self.chat.entries), cursor)

    async def _turn_back(self, verb: Literal["undo", "redo"]) -> list[Event]:
        """Undo or redo, and report what became of the scene and the story."""
        scene, before = self.chat.scene, self.chat.entries
        turn, done = (Library.undo, "Undone") if verb == "undo" else (Library.redo, "Redone")
        name = await self.chat.act(turn, self.chat.id)
        if name is None:
            return [Notice(f"Nothing to {verb}.")]
        note, now = f"{done}: {name}", self.chat.entries
        changed = first_difference(before, now)
        if changed is None and len(now) == len(before) - 1 and before[-1].text:  # it is gone
            note += f", “{message(before[-1].text, _MOST_QUOTED)}”"
        path = PathChanged(tuple(now), changed, note, "redo" if verb == "undo" else "undo")
        return [path] if self.chat.scene == scene else [SceneChanged(self.chat.scene), path]

    async def _append(
        self,
        kind: EntryKind,
        speaker: str,
        text: str,
        length: Length | None = None,
        details: Details = _NO_DETAILS,
    ) -> Event:
        draft = Draft(kind, speaker, text, length, origin=Origin("user"), details=details)
        return Appended(await self.chat.append(draft))
