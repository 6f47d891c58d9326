"""The app: its start and end, and the way from a key to an action.

It does not know how a story is written or kept: it asks the director and shows what that tells.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual.actions import SkipAction
from textual.app import App
from textual.binding import BindingType
from textual.command import Provider
from textual.screen import Screen

from shoritui.errors import UserError
from shoritui.settings import Settings, bundled_dir, config_dir
from shoritui.tui import themes
from shoritui.tui.actions import BY_ID, Action, bindings
from shoritui.tui.completions import Completions
from shoritui.tui.composer import Composer
from shoritui.tui.main_screen import CSS, MainScreen
from shoritui.tui.palette import ActionPalette
from shoritui.tui.playing import Playing
from shoritui.tui.prompt import Prompt
from shoritui.tui.transcript import Transcript
from shoritui.tui.verbs import panels

if TYPE_CHECKING:
    from shoritui.cards import Card
    from shoritui.director import Director
    from shoritui.engine import EngineState
    from shoritui.story import Chat
    from shoritui.tui.session import Session
    from shoritui.tui.side_panel import SidePanel

_MODAL_TOO = ("interrupt", "quit")
_LAST_WORD_SECONDS = 8.0
_NEWS_SECONDS = 5.0
_READ_PER_SECOND = 15.0
"""Characters of news that a slow reader reads in a second."""


class ShoriTUI(App[int]):
    """A terminal home for stories with several voices."""

    TITLE = "ShoriTUI"
    CSS = CSS
    COMMANDS: ClassVar[set[type[Provider] | Any]] = {ActionPalette}
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("anywhere")]

    def __init__(
        self,
        settings: Settings,
        *,
        cards: Sequence[Path] = (),
        model: Path | None = None,
        preset: str | None = None,
        new: bool = False,
    ) -> None:
        no_colour = "NO_COLOR" in os.environ
        super().__init__(ansi_color=True if no_colour else None)
        self.settings = settings
        self.session: Session | None = None
        self.prompt = Prompt(self)
        self.playing = Playing(self)
        self.main = MainScreen(show_marks=settings.show_marks)
        self._cards = list(cards)
        self._model = model
        self._preset = preset
        self._new = new
        self._leaving = False
        self._late_news: list[str] = []
        self.refusal = ""
        """What was wrong with the command line; the app ends because of it."""
        self._themes: list[str] = []
        self._take_theme(themes.NO_COLOUR if no_colour else settings.theme)
        self.set_keymap(settings.keymap)

    def get_default_screen(self) -> Screen[Any]:
        """The main screen."""
        return self.main

    # What actions reach for

    @property
    def director(self) -> Director | None:
        """The director of the open chat."""
        return self.session.director if self.session is not None else None

    @property
    def story(self) -> Transcript:
        """The story on the screen."""
        return self.main.story

    @property
    def composer(self) -> Composer:
        """Where the user writes."""
        return self.main.composer

    @property
    def completions(self) -> Completions:
        """The popup above the composer."""
        return self.main.completions

    @property
    def side(self) -> SidePanel | None:
        """The panel beside the story, once it was opened."""
        return self.main.side

    # From a key to an action

    async def on_event(self, event: events.Event) -> None:
        """A letter with Alt is a key wherever it is pressed, never text to be typed."""
        if isinstance(event, events.Key) and event.key.startswith("alt+"):
            event.character = None
        await super().on_event(event)

    async def action_act(self, action_id: str) -> None:
        """What every key is bound to: does an action of the table."""
        over_story = self.screen is not self.main
        if over_story and action_id not in _MODAL_TOO:
            raise SkipAction
        if action_id in ("page_up", "page_down") and self.focused not in (
            self.composer,
            self.story,
            None,
        ):
            raise SkipAction
        await self.do(BY_ID[action_id], "")

    async def do(self, action: Action, argument: str) -> None:
        """Does an action; one that asks something does not hold up the keys."""
        if action.asks:
            self.run_worker(action.run(self, argument), group="asking")
        else:
            await action.run(self, argument)

    def start_action(self, action: Action, argument: str = "") -> None:
        """Does an action that was clicked, or found in the palette."""
        self.run_worker(action.run(self, argument), group="asking")

    # Telling

    def tell(self, sentence: str, *, trouble: bool = False) -> None:
        """News for the user, for as long as it takes to read."""
        self.notify(
            sentence,
            severity="error" if trouble else "information",
            timeout=max(_NEWS_SECONDS, len(sentence) / _READ_PER_SECOND),
            markup=False,
        )

    def show_prompt(self) -> None:
        """The composer's border and the status line, after a choice; what is likely read next."""
        self.main.show_prompt()
        self.playing.show_state()
        self.prompt.look_ahead()

    def show_panels(self) -> None:
        """What the panels show, where they are open."""
        director, side = self.director, self.side
        if director is None or side is None:
            return
        side.scene.show(director.scene, director.user)
        preset = director.presets[director.preset]
        side.sampler.show(preset.name, director.sampling, preset.sampling)
        if self.playing.stage is not None:
            self.playing.stage.show_ooc()

    # The start

    def on_mount(self) -> None:
        """Paints first; everything else comes after."""
        self.playing.say_now("opening the library")
        self._end_well()
        self.call_after_refresh(lambda: self.run_worker(self._begin(), group="life"))

    async def _begin(self) -> None:
        import asyncio
        from importlib import import_module

        await asyncio.to_thread(import_module, "shoritui.tui.session")
        from shoritui.tui.session import Session

        try:
            self.session = await Session.open(self.settings, self._engine_changed)
        except UserError as error:
            self.playing.say_now(str(error), trouble=True)
            self.tell(str(error), trouble=True)
            return
        for problem in [*self._late_news, *self.session.problems]:
            self.tell(problem, trouble=True)
        await self._open_first_chat()
        if self._leaving:
            return
        self.load_model()
        self._learn_themes()

    async def _open_first_chat(self) -> None:
        from shoritui.tui.session import read_card

        assert self.session is not None
        chat = None
        try:
            if self._preset:
                self.session.check_preset(self._preset)
            if self._cards:
                await self.begin(await self.session.disk.run(lambda _: read_card(self._cards)))
                return
        except UserError as error:
            self.refusal = str(error)
            await self.leave(1)
            return
        if not self._new:
            chat = await self.session.last_chat()
        if chat is not None:
            await self.enter(chat)
        else:
            self.story.empty_text = "No story is open.\nalt+n begins one, F8 shows them all."
            self.start_action(BY_ID["new"])

    def load_model(self) -> None:
        """Loads the model, beside everything else."""
        self.run_worker(self._load_model(), group="life")

    async def _load_model(self) -> None:
        assert self.session is not None
        try:
            await self.session.load(self._model)
        except UserError as error:
            self.playing.say_now(str(error), trouble=True)
            self.tell(str(error), trouble=True)
        else:
            self.show_prompt()

    def _engine_changed(self, state: EngineState) -> None:
        self.playing.engine_changed(state)

    # Chats

    async def begin(self, scene: Card) -> None:
        """Begins a story from a scene."""
        assert self.session is not None
        await self._opened(await self.session.begin(scene))

    async def enter(self, chat: Chat) -> None:
        """Opens a story where it was left."""
        assert self.session is not None
        if self.director is not None and self.director.chat.id == chat.id:
            return
        await self.keep_draft(self.composer.text)
        await self._opened(await self.session.enter(chat))

    async def _opened(self, director: Director) -> None:
        from shoritui.story import Library
        from shoritui.tui.stage import Stage

        if self._preset:
            preset, self._preset = self._preset, None
            await panels.choose_preset(self, preset)
        assert self.session is not None
        self.playing.stage = Stage(self, director)
        self.playing.stage.set_up()
        draft = await self.session.disk.run(Library.draft, director.chat.id)
        if not self.composer.text:
            self.composer.fill(draft)
        self.composer.remember(await self.session.disk.run(Library.history))
        self.show_prompt()
        self.show_panels()
        self.playing.look_for_versions()
        await self.main.open_at_start()
        self.composer.focus()

    def forget(self, chat_id: int) -> None:
        """A story was deleted: if it is the open one, nothing is open any more."""
        session, director = self.session, self.director
        if session is not None and director is not None and director.chat.id == chat_id:
            session.leave_chat()
            self.playing.stage = None
            self.story.show([])

    async def keep_draft(self, text: str) -> None:
        """Keeps what is typed and not sent."""
        from shoritui.story import Library

        session, director = self.session, self.director
        if session is not None and director is not None and self.composer.keep_draft(text):
            await session.disk.run(Library.save_draft, director.chat.id, text)

    async def keep_sent(self, text: str) -> None:
        """Keeps what was sent in the history, and empties the draft."""
        from shoritui.story import Library

        if self.session is not None and text.strip():
            await self.session.disk.run(Library.add_history, text)
            if self.director is not None:
                await self.session.disk.run(Library.save_draft, self.director.chat.id, "")

    # Themes

    def _take_theme(self, name: str) -> None:
        """Only the theme in use is read before the first paint."""
        for folder in reversed(self._theme_folders()):
            path = folder / f"{name}.toml"
            if path.is_file():
                try:
                    self.register_theme(themes.load_theme(path))
                    self.theme = name
                    return
                except UserError as error:
                    self._late_news.append(str(error))
        if name == themes.DEFAULT:
            raise UserError(f"The theme {name} that ships with ShoriTUI is missing.")
        self._late_news.append(f"There is no theme {name}: {themes.DEFAULT} is used.")
        self._take_theme(themes.DEFAULT)

    def _theme_folders(self) -> tuple[Path, Path]:
        return bundled_dir("themes"), config_dir() / "themes"

    def _learn_themes(self) -> None:
        found, problems = themes.find_themes(self._theme_folders())
        for theme in found.values():
            if theme.name != self.theme:
                self.register_theme(theme)
        self._themes = list(found)
        for problem in problems:
            if problem not in self._late_news:
                self.tell(problem, trouble=True)

    def theme_names(self) -> list[str]:
        """The themes there are."""
        return self._themes or [self.theme]

    async def keep_theme(self, name: str) -> None:
        """Takes a theme and keeps it in the settings."""
        self.theme = name
        await self.save(theme=name)

    async def save(self, **changes: object) -> None:
        """Keeps settings."""
        from shoritui.settings import save_settings

        if self.session is None:
            return
        try:
            self.settings = await self.session.disk.run(lambda _: save_settings(**changes))
        except UserError as error:
            self.tell(str(error), trouble=True)

    # The end

    def _end_well(self) -> None:
        """A terminal that closes ends the app as quitting does."""
        import asyncio

        if threading.current_thread() is not threading.main_thread():
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._ended_from_outside, 128 + number)

    def _ended_from_outside(self, code: int) -> None:
        # A terminal that is gone can hold up the way out; the story is on disk long before.
        last_word = threading.Timer(_LAST_WORD_SECONDS, os._exit, (code,))
        last_word.daemon = True
        last_word.start()
        self.run_worker(self.leave(code), group="life")

    async def leave(self, code: int) -> None:
        """Stops what is being written, keeps everything, ends every process."""
        if self._leaving:
            return
        self._leaving = True
        try:
            await self.playing.stop()
            await self.keep_draft(self.composer.text)
            if self.session is not None:
                await self.session.close()
        finally:
            self.exit(code)
