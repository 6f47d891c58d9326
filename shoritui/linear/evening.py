"""One evening in lines: the library, the engine, the story that is open, what happens in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress

from msgspec.structs import replace

from shoritui.cards import Card, card_folders, find_cards, persona_named, played_by
from shoritui.director import (
    Appended,
    ChatState,
    Director,
    Disk,
    Event,
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
    adapters,
    load_failure,
    make_engine,
    new_chat,
    open_engine,
)
from shoritui.engine import SPLIT_MARKS, Preset
from shoritui.errors import UserError
from shoritui.interop.folders import Import
from shoritui.linear.lines_in import LinesIn
from shoritui.linear.voice import Voice
from shoritui.models import STORYTELLER
from shoritui.names import addressed
from shoritui.settings import AdapterFile, Settings, save_settings
from shoritui.story import Chat, Entry, Library
from shoritui.text import counted, one_line

_SHOWN_AT_START = 6
"""So many of the last entries are read out when a story is opened."""


class Evening:
    """What stands behind the lines, and what is done with it."""

    def __init__(
        self, disk: Disk, settings: Settings, samplers: dict[str, Preset], lines: LinesIn
    ) -> None:
        self.disk, self.settings, self.samplers = disk, settings, samplers
        self.engine = make_engine(settings)
        self.voice = Voice()
        self.lines = lines
        self.director: Director | None = None
        self.at: int | None = None
        """The message that is acted on, by its id; None is the last one."""
        self.is_over = False
        self.offered: list[str] = []
        """What the last list offered, for its numbers to be chosen from."""
        self.importing: Import | None = None
        """The import that is under way."""
        self._begun: Entry | None = None
        self._typed = False
        """Whether what is said now was typed on the screen, and stands there."""
        self._no_model = ""
        self._loading: asyncio.Task[None] | None = None

    # What there is

    @property
    def chat(self) -> ChatState:
        """The open story, and what was chosen for it."""
        return self.playing.chat

    @property
    def playing(self) -> Director:
        """The director of the open story.

        Raises:
            UserError: None is open.
        """
        if self.director is None:
            raise UserError("No story is open: /new lists scenes, /open lists stories.")
        return self.director

    @property
    def told(self) -> list[Entry]:
        """The entries of the story, without what is said out of character."""
        return [entry for entry in self.chat.entries if entry.kind != "ooc"]

    @property
    def target(self) -> Entry:
        """The message that is acted on.

        Raises:
            UserError: There is none.
        """
        entry = self.chat.entry(self.at) if self.at is not None else None
        if entry is None:
            entry = next(iter(self.told[-1:]), None)
        if entry is None:
            raise UserError("There is no message yet.")
        return entry

    # Models and stories

    def load_model(self) -> None:
        """Load the model beside everything else; replies wait for it."""
        self.engine.expecting = True
        self._loading = asyncio.create_task(self._load())

    async def _load(self) -> None:
        try:
            info = await open_engine(self.engine, self.settings)
        except UserError as error:
            self._no_model = load_failure(error)
            self.voice.news(self._no_model)
            return
        self._no_model = ""
        learnt = info.adapters or info.path.stem == STORYTELLER
        if not (info.block_tokens or learnt or info.server):
            self.voice.news(SPLIT_MARKS)

    async def use(self, settings: Settings) -> None:
        """Let another model write.

        Raises:
            UserError: It cannot be used; the one before is loaded again.
        """
        await self._loaded()
        before, self.settings = self.settings, settings
        try:
            await self._open_again()
        except UserError:
            self.settings = before
            with suppress(UserError):
                await self._open_again()
            raise

    async def wear(self, files: list[AdapterFile]) -> None:
        """Let these adapters be on from now on, here and in the settings.

        Raises:
            UserError: The model takes no such adapter; those before stay on.
        """
        await self._loaded()
        if self.engine.info is None:  # perhaps because of an adapter
            await self.use(replace(self.settings, adapters=files))
        else:
            await self.engine.adapt(adapters(files))
        await asyncio.to_thread(save_settings, adapters=files)
        self.settings = replace(self.settings, adapters=files)

    async def _open_again(self) -> None:
        await self.engine.close()
        self.engine = make_engine(self.settings)
        if self.director is not None:
            self.director.use(self.engine, self.settings)
        await open_engine(self.engine, self.settings)

    async def _loaded(self) -> None:
        if self._loading is not None:
            await self._loading

    async def scenes(self) -> list[Card]:
        """Return the scenes that a story can begin with."""
        cards, problems = await self.disk.run(lambda _: find_cards(card_folders()))
        for problem in problems:
            self.voice.news(problem)
        return [card for _, card in cards]

    async def begin(self, scene: Card) -> None:
        """Begin a story."""
        if self.settings.persona:
            try:
                persona = await asyncio.to_thread(persona_named, self.settings.persona)
            except UserError as error:
                self.voice.news(str(error))
            else:
                scene = played_by(scene, persona.character)
        await self.enter(await new_chat(self.disk, scene))

    async def enter(self, chat: Chat) -> None:
        """Open a story in place of the one that is open, and read its end out."""
        await self.leave()
        director = await Director.open(self.disk, chat, self.engine, self.settings, self.samplers)
        with suppress(UserError):  # where nothing can be written it is still read
            await self.disk.run(Library.touch, chat.id)
        director.on_news = self.hear
        self.director, self.at = director, None
        here = director.chat
        others = ", ".join(one_line(name) for name in here.present if name != here.user)
        title = one_line(here.scene_now.title) or one_line(chat.name)
        self.voice.news(
            f"{title}. You are {one_line(here.user)}; "
            + (f"here: {others}." if others else "alone.")
        )
        self.read(self.told[-_SHOWN_AT_START:])
        if not here.is_mine:
            self.voice.news("Another window writes into this story: it can be read here.")

    def read(self, entries: Sequence[Entry]) -> None:
        """Read entries out."""
        for entry in entries:
            if entry.text.strip() or entry.kind in ("enter", "leave"):
                self.voice.entry(entry)

    async def leave(self) -> None:
        """No story is open any more; an untouched one vanishes."""
        director, self.director = self.director, None
        if director is not None:
            await director.close()
            await self.disk.run(Library.erase_untouched, director.chat.id)

    async def close(self) -> None:
        """Keep everything, end the engine's process, close the library."""
        try:
            await self.leave()
            if self._loading is not None:
                self._loading.cancel()
            await self.engine.close()
        finally:
            await self.disk.close()

    # What happens

    async def say(self, text: str) -> None:
        """Say something, or nothing, and let one answer."""
        director = self.playing
        speaker, words = addressed(text, director.chat.other_names)
        self.at = None
        if words.strip():
            # On a terminal it stands there already, behind the name that asked for it.
            self._typed = self.lines.is_terminal
            done = await self.play(director.say(words))
            self._typed = False
            if not done:
                return
        if director.chat.asks_for_speaker and speaker is None:
            self.voice.news("Who speaks next? /next NAME says who, or @NAME before a message.")
            return
        await self.play(director.reply(speaker))

    async def play(self, *acts: AsyncGenerator[Event]) -> bool:
        """Perform acts in their order and read out what happens; False after one that failed."""
        for act in acts:
            failed = False
            async with aclosing(act) as events:
                async for event in events:
                    self.hear(event)
                    failed = failed or isinstance(event, Failed)
            self.voice.break_off()
            self._begun = None
            if failed:
                return False
        return True

    async def stop(self) -> bool:
        """Stop the reply being written, or the import under way; False where none is."""
        if self.importing is not None:
            self.importing.stop()
            return True
        director = self.director
        if director is None or not (director.busy or self._begun):
            return False
        director.pause()
        await director.stop()
        return True

    def hear(self, event: Event) -> None:
        """Read out what has happened."""
        match event:
            case Appended(entry):
                if not self._typed:
                    self.voice.entry(entry)
            case TurnStarted(entry):
                self._begun = entry
                self.voice.begin(entry)
            case Wrote(_, text):
                self.voice.write(text)
            case TurnEnded(entry):
                self._begun = None
                self.voice.end(entry.text)
            case Removed() if self._begun is not None:
                name = one_line(self._begun.speaker)
                if self.playing.is_stopping:
                    self.voice.news(
                        f"You stopped {name} before the first word: an empty line goes on."
                    )
                else:
                    self.voice.news(f"{name} ended before the first word.")
            case PathChanged(_, cursor, note):
                if note:
                    self.voice.news(f"{note}.")
                self.at = cursor if self.told and self.told[-1].id != cursor else None
                acted = self.chat.entry(cursor) if cursor is not None else None
                if acted is not None and self._begun is None:
                    self.voice.entry(acted)
            case SceneChanged():
                self.voice.news("The scene is changed; /undo takes it back.")
            case Leaving(count) | Trimmed(count):
                is_gone = isinstance(event, Trimmed)
                what = "no longer read" if is_gone else "about to leave what is read"
                self.voice.news(
                    f"{counted(count, 'old message')} {'is' if count == 1 else 'are'} {what}: "
                    "/summarise sums them up."
                )
            case Summarising(count, 0):
                self.voice.news(f"Summarising {counted(count, 'message')}.")
            case Notice(sentence):
                self.voice.news(sentence)
            case Failed(sentence):
                no_model = self._no_model if self.engine.info is None else ""
                self.voice.news(no_model or sentence)
            case _:
                pass
