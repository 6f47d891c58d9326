"""The director's acts, performed one after another, and each of their events shown."""

from __future__ import annotations

import asyncio
import gc
from collections import deque
from contextlib import aclosing, suppress
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Literal

from textual.worker import Worker, WorkerCancelled, WorkerFailed

from shoritui.errors import UserError
from shoritui.text import counted, one_line
from shoritui.tui.action import key_name, keys_of
from shoritui.tui.chat.actions import BY_ID
from shoritui.tui.widgets.styles import SpeakerColours

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from shoritui.director import ChatState, Director, Event
    from shoritui.story import Entry
    from shoritui.tui.chat.app_protocol import Act, Host
    from shoritui.tui.widgets.transcript import Transcript

_STOP_SECONDS = 3.0
_FREE_SECONDS = 1.0
_STILL_WRITING = "Somebody is still writing: Escape stops them."
_NOTE_SECONDS = 15.0
"""How long it is shown what the last act has done."""
_EMPTY = "The page is empty.\nWrite the first line, or press Enter\nto let somebody else begin."
_ALONE = "The page is empty, and nobody is here to answer yet:\n{} adds a character."
_FULL = "the model reads from here on: older messages no longer fit"
_SUMMED_UP = "the model reads from here on: the rest is summarised"
_NO_STORY = "No story is open.\nalt+n begins one, F8 shows them all."


class Performance:
    """Performs the director's acts and shows what they report."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._main = host.main
        self._worker: Worker[None] | None = None
        self._waiting: deque[tuple[tuple[Act, ...], Callable[[], None] | None]] = deque()
        """What is performed next, each with what is called where it is not."""
        self._is_stopping = False
        self._director: Director | None = None
        self._ooc_ids: set[int] = set()
        self._begun: Entry | None = None
        """The reply whose end was not reported yet."""
        self._written, self._since = 0, 0.0
        """The tokens of the reply being written, and when the first one came."""
        self._path_changed = False
        """Whether the act that is performed now has changed the story."""
        self.note = ""
        """What the last act has done, or taken back."""

    # Acts

    @property
    def is_on(self) -> bool:
        """Whether something is being written or read."""
        return self._worker is not None

    def play(self, *acts: Act, unsaid: Callable[[], None] | None = None) -> bool:
        """Perform these in order; say so and return False where something is on already.

        `unsaid` is called, and nothing else done, where the first act failed before its words
        were on disk.
        """
        if self.is_on:
            self._host.report(_STILL_WRITING)
            return False
        self._begin(acts, unsaid)
        return True

    def queue(self, *acts: Act, unsaid: Callable[[], None] | None = None) -> bool:
        """Perform these, in order, once what is done now is over; no key waits for that.

        Where that is a reply, unless it is being stopped, say so and return False. `unsaid` is as
        in `play`; it is also called where something before these failed.
        """
        if self._is_writing:
            self._host.report(_STILL_WRITING)
            return False
        if self.is_on:
            self._waiting.append((acts, unsaid))
        else:
            self._begin(acts, unsaid)
        return True

    @property
    def _is_writing(self) -> bool:
        """Whether a reply is being written that nobody has stopped."""
        return bool(self._director and self._director.busy) and not self._is_stopping

    def _refuse_waiting(self, sentence: str = "") -> None:
        """Let nothing happen of what waits."""
        waiting = list(self._waiting)
        self._waiting.clear()
        for _, unsaid in reversed(waiting):  # each puts its words above those that stand there
            if unsaid is not None:
                unsaid()
        if waiting and sentence:
            self._host.report(sentence)

    def _begin(self, acts: tuple[Act, ...], unsaid: Callable[[], None] | None) -> None:
        self.note, self._path_changed = "", False
        self._worker = self._main.run_worker(self._perform(acts, unsaid), group="acts")
        self._main.is_writing = True

    @property
    def writing(self) -> str:
        """The name of whoever is writing now."""
        return one_line(self._begun.speaker) if self._begun is not None else ""

    async def free(self) -> None:
        """Wait a moment for an act that is no reply: keys come faster than the disk answers."""
        until = monotonic() + _FREE_SECONDS
        while self.is_on and self._director and not self._director.busy and monotonic() < until:
            await asyncio.sleep(0.005)

    @property
    def seconds(self) -> int:
        """How long the reply has been written for; 0 before its first token."""
        return round(monotonic() - self._since) if self._written else 0

    @property
    def tokens_per_second(self) -> float:
        """How fast the reply is written; 0 before its second token."""
        passed = monotonic() - self._since
        return (self._written - 1) / passed if self._written > 1 and passed > 0 else 0.0

    async def settled(self) -> None:
        """Wait until nothing is written or read."""
        while self._worker is not None:
            with suppress(WorkerCancelled, WorkerFailed):
                await self._worker.wait()
            await asyncio.sleep(0)

    async def look_around(self) -> None:
        """Show what another window has written into the story."""
        director = self._director
        if director is None or self.is_on:
            return
        async for event in director.refresh():
            if director is self._director and not self.is_on:
                self._show(event)

    async def _perform(self, acts: tuple[Act, ...], unsaid: Callable[[], None] | None) -> None:
        from shoritui.director import Appended, Failed, PathChanged

        # A collection in the middle of a reply would be seen: up to 60 ms in a long story.
        gc.disable()
        is_done = False
        try:
            for act in acts:
                async with aclosing(act) as events:
                    async for event in events:
                        self._show(event)
                        if self._is_writing:
                            self._refuse_waiting(_STILL_WRITING)
                        match event:
                            case Appended() | PathChanged(cursor=int()):
                                unsaid = None
                            case Failed() if unsaid is not None:
                                unsaid()
                                return
                            case Failed():
                                self._refuse_waiting()
            if self._path_changed and not self.note:
                self.note = await self._way_back()
            self.note = self.note or self._hand_over()
            is_done = True
        except BaseException:  # a cancelled one too: nobody knows if its words reach the disk
            if unsaid is not None:
                unsaid()
            raise
        finally:
            gc.enable()
            self._worker, self._is_stopping = None, False
            if not is_done:
                self._refuse_waiting()
            if self._main.app.is_running:
                self._settle()
                self._main.is_writing = False
                if self._waiting:
                    self._begin(*self._waiting.popleft())
                self._host.show_choices()
                self._main.set_timer(_NOTE_SECONDS, partial(self._forget, self.note))

    def _forget(self, note: str) -> None:
        """Make room again for who answers."""
        if note and note == self.note and not self.is_on:
            self.note = ""
            self._main.say("", busy=False)
            self._host.show_choices()

    def stop_soon(self) -> None:
        """Stop the reply being written, beside the keys; what is queued now begins after it."""
        self._is_stopping = self.is_on
        self._main.run_worker(self._stop(), group="stop")

    async def stop(self) -> None:
        """Stop the reply being written, what was written stays; nothing comes after it."""
        self._refuse_waiting()
        await self._stop()

    async def _stop(self) -> None:
        worker, director = self._worker, self._director
        if worker is None or director is None:
            return
        self._main.say("stopping")
        await director.stop()
        try:
            await asyncio.wait_for(asyncio.shield(worker.wait()), _STOP_SECONDS)
        except (TimeoutError, WorkerCancelled, WorkerFailed):
            worker.cancel()

    # The chat as it is

    def show_end(
        self, cast: Iterable[str], entries: Iterable[Entry], versions: Mapping[int, Sequence[int]]
    ) -> None:
        """Show how a chat ends, until all of it is there to be opened."""
        self._director, story = None, self._main.story
        story.speakers = SpeakerColours(map(one_line, cast))
        story.versions, story.boundary = versions, None
        story.show(entry for entry in entries if entry.kind != "ooc")

    def open(self, director: Director | None) -> None:
        """Show a chat as it is now, or none."""
        self._director, self._begun = director, None
        entries = director.chat.entries if director is not None else []
        self.note = ""
        self._ooc_ids = {entry.id for entry in entries if entry.kind == "ooc"}
        story, told = self._main.story, [entry for entry in entries if entry.kind != "ooc"]
        self._follow_chat()
        if told and story.holds(told[-1].id):  # Its end is on the screen already.
            story.update(told)
        else:
            story.speakers = self._speakers()
            story.show(told)
        if director is not None:
            self._main.name_scene(director.chat)

    def show_ooc(self) -> None:
        """Show the talk out of character, where its panel is open."""
        talk = self._main.ooc
        if talk is not None and self._director is not None:
            talk.speakers = self._speakers()
            talk.show(entry for entry in self._director.chat.entries if entry.kind == "ooc")
            if self._main.side is not None:
                self._main.side.ooc.show_form(self._director.chat.form)

    def mark_lore(self) -> None:
        """Show in the margin where lore fired, as soon as it is known."""
        work: Callable[[], Awaitable[None]] = self._mark_lore  # begun only if no newer one comes
        self._main.run_worker(work, group="lore", exclusive=True)

    async def _mark_lore(self) -> None:
        director = self._director
        if director is None:
            return
        with suppress(UserError):
            marks = await director.lore_marks()
            if director is self._director:
                self._main.story.show_lore(marks)

    def _follow_chat(self) -> None:
        """Show versions, from where on the model reads, and what an empty page says."""
        chat = self._director.chat if self._director is not None else None
        self._main.story.empty_text = self._empty_text(chat)
        for transcript in (self._main.story, self._main.ooc):
            if transcript is not None:
                transcript.versions = chat.version_places if chat is not None else {}
        self._main.story.boundary = self._boundary(chat) if chat is not None else None

    def _empty_text(self, chat: ChatState | None) -> str:
        if chat is None:
            return _NO_STORY
        if chat.who_next() or chat.asks_for_speaker:
            return _EMPTY
        action = BY_ID["cast"]
        keys = keys_of(action, self._host.settings.keymap)
        return _ALONE.format(key_name(keys[0]) if keys else f"/{action.slash}")

    def _boundary(self, chat: ChatState) -> tuple[int, str] | None:
        first = chat.entry(chat.first_read) if chat.first_read is not None else None
        if first is None:
            return None
        read = (entry for entry in chat.entries[chat.place(first) :] if entry.kind != "ooc")
        entry = next(read, None)
        if entry is None:
            return None
        return entry.id, _FULL if entry.details.span is None else _SUMMED_UP

    async def _way_back(self) -> str:
        """Return what was done, and the key that undoes it."""
        assert self._director is not None
        done, _ = await self._director.chat.next_undo_redo()
        return self._reversible(done or "", "undo")

    def _reversible(self, done: str, way_back: Literal["undo", "redo"]) -> str:
        """Return what was done, or taken back, and the key that turns that round."""
        keys = keys_of(BY_ID[way_back], self._host.settings.keymap)
        turns = "undoes" if way_back == "undo" else "redoes"
        return f"{done} · {key_name(keys[0])} {turns} it" if done and keys else done

    def _hand_over(self) -> str:
        """Return whose message the last reply went on with, and the key that lets them go on."""
        director = self._director
        name = director.handed if director is not None else ""
        if director is None or not name:
            return ""
        if name == director.chat.user:
            return "the reply went on with your words, and ends before them"
        keys = keys_of(BY_ID["hand_over"], self._host.settings.keymap)
        key = key_name(keys[0]) if keys else "/handover"
        name = one_line(name)
        return f"the reply went on with {name}'s message, and ends there · {key} lets {name} go on"

    # Events

    def hear(self, event: Event) -> None:
        """Show what has happened beside the acts."""
        from shoritui.director import PathChanged

        self._show(event)
        if isinstance(event, PathChanged) and not self.is_on:
            self._main.say("", busy=False)
            self._host.report(self.note)

    def _show(self, event: Event) -> None:
        # The director is loaded after the first paint.
        from shoritui.director import (
            Appended,
            Changed,
            Evaluating,
            Failed,
            Leaving,
            Notice,
            PathChanged,
            Removed,
            SceneChanged,
            Summarising,
            Trimmed,
            TurnEnded,
            TurnStarted,
            Wrote,
        )

        match event:
            case Wrote(entry_id, text):
                self._since = self._since if self._written else monotonic()
                self._written += 1
                transcript = self._transcript(entry_id)
                if transcript is not None:
                    transcript.extend(entry_id, text, 1)
            case Appended(entry):
                self._append(entry)
                if entry.kind == "title" and self._director is not None:
                    self._main.name_scene(self._director.chat)
                if entry.kind in ("enter", "leave"):
                    self._show_cast()
            case TurnStarted(entry, speaker):
                self._begun, self._written = entry, 0
                self._append(replace(entry, status="streaming"))
                self._follow_chat()
                self._main.say(f"{one_line(speaker)} is about to write")
                self.mark_lore()
            case Evaluating(done, total):
                self._main.say(f"reading the story, {done:,} of {total:,} tokens")
            case TurnEnded(entry) | Changed(entry):
                self._begun = None
                self._replace(entry)
            case PathChanged(entries, cursor, note, way_back):
                self._path_changed, self.note = True, self._reversible(note, way_back)
                self._show_path(entries, cursor)
            case Removed(entry_ids):
                self._take_away(entry_ids)
                if self._begun is not None and self._begun.id in entry_ids:
                    self._tell_wordless(self._begun)
            case SceneChanged():
                self._main.story.speakers = self._speakers()
                self._follow_chat()
                if self._director is not None:
                    self._main.name_scene(self._director.chat)
                self._host.show_panels()
                self._host.show_choices()
            case Summarising(count, tokens):
                progress = f"summarising {counted(count, 'message')}"
                self._main.say(f"{progress} · {tokens} tokens" if tokens else progress)
            case Leaving(count):
                leave = "message leaves" if count == 1 else "messages leave"
                self._host.report(f"{count:,} old {leave} soon{self._offer()}.")
            case Trimmed(count):
                are = "message is" if count == 1 else "messages are"
                self._host.report(f"{count:,} old {are} no longer read{self._offer()}.")
                self._follow_chat()
            case Notice(sentence):
                self._host.report(sentence)
            case Failed(sentence):
                session = self._host.session
                why = session.no_model if session and session.engine.info is None else ""
                self._host.report(why or sentence, trouble=True)

    def _tell_wordless(self, begun: Entry) -> None:
        """Say of a reply that has ended without a word why, and what to do."""
        director, name = self._director, one_line(begun.speaker)
        if director is None or not director.is_stopping:
            self._host.report(f"{name} ended before the first word.")
        elif not self._waiting:  # else somebody else has the turn
            self._host.report(
                f"You stopped {name} before the first word: ⏎ alone lets the story go on."
            )

    def _offer(self) -> str:
        """Return the key that summarises what is old, as the end of a sentence."""
        keys = keys_of(BY_ID["summarise"], self._host.settings.keymap)
        if self._host.settings.memory == "off" or not keys:
            return ""
        return f": {key_name(keys[0])} summarises them"

    def _settle(self) -> None:
        """Show a reply whose end was never reported as it was kept."""
        begun, self._begun = self._begun, None
        if begun is None or self._director is None:
            return
        kept = self._director.chat.entry(begun.id)
        if kept is not None:
            self._replace(kept)
        else:
            self._show_path(self._director.chat.entries, None)

    def _speakers(self) -> SpeakerColours:
        return SpeakerColours(map(one_line, self._director.chat.cast if self._director else ()))

    def _transcript(self, entry_id: int) -> Transcript | None:
        return self._main.ooc if entry_id in self._ooc_ids else self._main.story

    def _append(self, entry: Entry) -> None:
        """Show an entry at the end, or anew where it stands already."""
        if entry.kind == "ooc":
            self._ooc_ids.add(entry.id)
            self._main.count_ooc()
        transcript = self._transcript(entry.id)
        if transcript is None:
            return
        if transcript.holds(entry.id):
            transcript.replace(entry)
        else:
            transcript.append(entry)

    def _replace(self, entry: Entry) -> None:
        transcript = self._transcript(entry.id)
        if transcript is not None:
            transcript.replace(entry)

    def _show_path(self, entries: Sequence[Entry], cursor: int | None) -> None:
        """Show the story as it stands now; the message that was acted on has the cursor."""
        self._ooc_ids = {entry.id for entry in entries if entry.kind == "ooc"}
        self._follow_chat()
        if self._director is not None:  # The chat may be this window's by now.
            self._main.name_scene(self._director.chat)
            self._show_cast()
        story = self._main.story
        told = [entry for entry in entries if entry.kind != "ooc"]
        story.update(told)
        if self._main.ooc is not None:
            self._main.ooc.update([entry for entry in entries if entry.kind == "ooc"])
        is_last = bool(told) and told[-1].id == cursor
        is_here = self._main.reading is story
        if cursor is not None and is_here and not (is_last and story.cursor is None):
            story.go_to(cursor)

    def _show_cast(self) -> None:
        """Show who is here, where the scene is shown."""
        if self._director is not None and self._main.side is not None:
            chat = self._director.chat
            self._main.side.scene.show(chat.scene, chat.user, chat.absent)

    def _take_away(self, entry_ids: tuple[int, ...]) -> None:
        """Take entries away; what the chat has in their place is shown, with the cursor on it."""
        chat = self._director.chat if self._director is not None else None
        if chat is not None and not any(chat.entry(gone) for gone in entry_ids):
            self._show_path(chat.entries, None)
