"""The chat app: its start and end, the open story, and what its widgets ask for."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from msgspec.structs import replace
from textual import on
from textual.binding import BindingType
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import TextArea

from shoritui.errors import UserError
from shoritui.folders import config_dir, own_dirs
from shoritui.settings import Settings
from shoritui.text import clean, counted, one_line
from shoritui.tui.action import bindings
from shoritui.tui.base_app import NEWS_CSS, BaseApp, PaletteRow, reading_time
from shoritui.tui.chat.act_queue import Performance
from shoritui.tui.chat.actions import ACTIONS, BY_ID
from shoritui.tui.chat.composer_words import ComposerWords
from shoritui.tui.chat.imports import verbs as imports
from shoritui.tui.chat.in_browser import InBrowser
from shoritui.tui.chat.main_screen import CSS, MainScreen
from shoritui.tui.chat.personas.verbs import learn_names, with_persona
from shoritui.tui.chat.status import Status
from shoritui.tui.chat.verbs import card, panels
from shoritui.tui.chat.verbs.story import is_command
from shoritui.tui.widgets.bars import KeyBar
from shoritui.tui.widgets.completions import Completions
from shoritui.tui.widgets.composer import Composer
from shoritui.tui.widgets.graphics import Answers, Graphics, TerminalAnswered
from shoritui.tui.widgets.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shoritui.cards import Card
    from shoritui.director import ChatState, Director
    from shoritui.engine import ModelInfo
    from shoritui.story import Chat, Library
    from shoritui.tui.chat.panels.ooc import OocInput
    from shoritui.tui.chat.panels.sampler import SamplerPanel
    from shoritui.tui.chat.panels.scene import ScenePanel
    from shoritui.tui.chat.session import Session
    from shoritui.tui.widgets.field import Refused


_END = 64
"""So many messages fill a screen and the page above it."""
_OTHERS_SECONDS = 2.0
"""How often it is looked whether another window has written into the story."""
_OPENING_SECONDS = 6.0
"""How long quitting waits for the library, which another program may have locked."""
_KEEP_AGAIN_SECONDS = 5.0
"""How soon it is tried again to keep a draft that could not be kept."""
_NO_DRAFT = (
    "This story was deleted elsewhere. What you type stays here; "
    "when you quit it is kept in the history, where ↑ finds it."
)
_WRITING_SECONDS = 0.5
"""How often the status line shows how a reply gets on."""


class Story(Transcript):
    """The story being written, with the keys of reading."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(ACTIONS, "transcript")]


class Talk(Transcript):
    """The talk out of character, with the same keys."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(ACTIONS, "transcript")]


class StoryComposer(Composer):
    """The composer with its actions' keys."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(ACTIONS, "composer")]


class ShoriTUI(BaseApp):
    """A terminal home for stories with several voices."""

    CSS = NEWS_CSS + CSS
    ACTIONS = ACTIONS
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(ACTIONS)]

    def __init__(
        self,
        settings: Settings,
        *,
        cards: Sequence[Path] = (),
        model: Path | None = None,
        preset: str | None = None,
        new: bool = False,
        number: int | None = None,
        other_ids: Collection[str] = (),
    ) -> None:
        if model is not None:
            settings = replace(settings, model=str(model))
        super().__init__(settings, {one.id: partial(one.run, self) for one in ACTIONS}, other_ids)
        self.session: Session | None = None
        story = Story(show_marks=settings.show_marks, mood=settings.mood, widget_id="story")
        composer, talk = StoryComposer("composer"), Talk(widget_id="ooc")
        self.main = MainScreen(story, composer, BY_ID, settings.keymap, talk)
        self.words = ComposerWords(self)
        self.performance = Performance(self)
        self.status = Status(self)
        self.in_browser = InBrowser(self)
        self._answers = Answers()
        self._cards = list(cards)
        self._preset = preset
        self._new = new
        self._number = number
        self._leaving = False
        self._drafting: int | None = None
        """The story whose draft stands in the composer."""
        self.refusal = ""
        """What was wrong with the command line; the app ends because of it."""
        self.unkept = ""
        """What was typed and could not be kept."""
        self._why_unkept = ""
        """Why the draft could not be kept, as it was told last."""
        self._keeping_again: Timer | None = None
        self._has_begun = asyncio.Event()
        """The library was opened, with a story or without, or it could not be."""

    def get_default_screen(self) -> Screen[Any]:
        """Return the main screen."""
        return self.main

    @property
    def graphics(self) -> Graphics:
        """How pictures are drawn here."""
        return self._answers.graphics(self.settings.pictures, no_colour=self.no_color)

    @property
    def director(self) -> Director | None:
        """The director of the open story."""
        return self.session.director if self.session is not None else None

    @property
    def chat(self) -> ChatState | None:
        """The open story, and what was chosen for it."""
        return self.director.chat if self.director is not None else None

    def palette_rows(self) -> Iterator[PaletteRow]:
        """Yield the actions, and each character of the cast to speak next."""
        yield from super().palette_rows()
        for name in self.chat.present if self.chat is not None else ():
            if self.chat is not None and name != self.chat.user:
                title = f"Story: Let {one_line(name)} speak next"
                help_text = "Answers until you choose another."
                yield (
                    title,
                    name.casefold(),
                    "",
                    help_text,
                    partial(self.start_action, "next", name),
                )

    def report(self, sentence: str, *, trouble: bool = False) -> None:
        """Show short news in the status line, other news above the composer."""
        sentence = clean(sentence)
        if not trouble and self.status.tell(sentence, reading_time(sentence)):
            return
        for rack in self.main.query("ToastRack"):
            rack.styles.margin = (0, 1, self.main.composer.outer_size.height + 2, 0)
        super().report(sentence, trouble=trouble)

    def show_choices(self) -> None:
        """Show who speaks, how long and who is next; begin to read what is likely."""
        self.main.show_choices(self.chat)
        self.status.show()
        self.words.look_ahead()
        self.words.show_cost()
        self.performance.mark_lore()

    def _show_odds(self) -> None:
        """The model has said in idle time who speaks next."""
        if self.chat is not None:
            self.main.show_choices(self.chat)
            self.status.show()

    def show_panels(self) -> None:
        """Show scene, sampler and the talk out of character, where they are open."""
        chat, side = self.chat, self.main.side
        if side is None:
            return
        if chat is None:
            from shoritui.cards import Card

            side.scene.show(Card(), "")
            return
        side.scene.show(chat.scene, chat.user, chat.absent)
        preset = chat.presets[chat.preset]
        side.sampler.show(preset.name, chat.sampling, preset.sampling)
        self.performance.show_ooc()

    async def open_section(self, key: str) -> None:
        """Show a section of the panel and go there."""
        section = await self.main.open_section(key)
        self.show_panels()
        section.focus_body()

    async def toggle_section(self, key: str) -> None:
        """Show a section and go there; from inside it, hide it."""
        if not self.main.close_section(key):
            await self.open_section(key)

    # The start

    def on_mount(self) -> None:
        """Paint first; everything else comes after."""
        self.main.say("opening the library")
        self.end_with_terminal()
        self.call_after_refresh(lambda: self.run_worker(self._begin(), group="life"))
        self.call_after_refresh(lambda: self._answers.ask(self._driver, os.environ))
        self.set_interval(_OTHERS_SECONDS, self._look_around)
        self.set_interval(_WRITING_SECONDS, self.status.show_writing)

    async def _begin(self) -> None:
        from importlib import import_module

        await asyncio.to_thread(import_module, "shoritui.tui.chat.session")
        from shoritui.tui.chat.session import Session

        try:
            self.session = await Session.open(self.settings, self.status.follow)
        except UserError as error:
            self.main.say(str(error), trouble=True)
            self.report(str(error), trouble=True)
            self._has_begun.set()
            return
        for problem in [*self.problems, *self.session.problems]:
            self.report(problem, trouble=True)
        try:
            await self._open_first_chat()
        finally:
            self._has_begun.set()
        if self._leaving:
            return
        self.load_model()
        await self.learn_themes()
        await self._tidy()

    async def _tidy(self) -> None:
        """Sweep up, look for damage and models, make the day's copy, empty the bin, in the end."""
        from shoritui.files import sweep
        from shoritui.models import found_models
        from shoritui.story import Library

        assert self.session is not None
        await asyncio.to_thread(sweep, *own_dirs())
        models = await asyncio.to_thread(found_models)
        self.session.model_names = [model.name for model in models.all]
        await learn_names(self)
        await self.session.learn_lorebooks()
        try:
            problems = await self.session.disk.run(Library.tidy)
        except UserError as error:
            problems = [str(error)]
        for problem in problems:
            self.report(problem, trouble=True)

    async def _open_first_chat(self) -> None:
        from shoritui.cards import load_cards
        from shoritui.engine import check_preset
        from shoritui.story import Library

        assert self.session is not None
        chat = None
        try:
            if self._preset:
                check_preset(self._preset, self.session.samplers, config_dir() / "presets")
            if self._cards:
                await self.begin(await self.session.disk.run(lambda _: load_cards(self._cards)))
                return
            if self._number is not None:
                chat = await self.session.disk.run(Library.chat, self._number)
        except UserError as error:
            self.refusal = str(error)
            self._has_begun.set()
            await self.leave(1)
            return
        if chat is None and not self._new:
            chat = await self.session.disk.run(Library.last_chat)
        if chat is None:
            self.main.composer.remember(await self.session.disk.run(Library.history))
            self.performance.open(None)
            self.start_action("new")
            return
        try:
            await self.enter(chat)
        except UserError as error:  # it is damaged: the others are still there
            self.report(str(error), trouble=True)

    def load_model(self) -> None:
        """Load the model, beside everything else."""
        self.run_worker(self._load_model(), group="life")

    async def _load_model(self) -> None:
        from shoritui.director import load_failure

        assert self.session is not None
        try:
            info = await self.session.load_model()
        except UserError as error:
            if self.in_browser.is_away:  # a page has the model now
                return
            self.session.no_model = sentence = load_failure(error)
            self.main.say(sentence, trouble=True)
            self.report(sentence, trouble=True)
        else:
            self._loaded(info)

    async def switch_model(self, settings: Settings) -> bool:
        """Load the model of other settings; return whether it writes from now on."""
        assert self.session is not None
        await self.performance.settled()
        try:
            info = await self.session.switch_model(settings)
        except UserError as error:
            self.report(str(error), trouble=True)
            self.show_choices()
            return False
        self._loaded(info)
        return True

    def _loaded(self, info: ModelInfo) -> None:
        from shoritui.engine import SPLIT_MARKS
        from shoritui.models import STORYTELLER

        assert self.session is not None
        self.session.no_model = ""
        self.show_choices()
        learnt = info.adapters or info.path.stem == STORYTELLER
        if not (info.block_tokens or learnt or info.server):  # a server's notes come with a reply
            self.report(SPLIT_MARKS)

    def settings_changed(self) -> None:
        """Show what the settings say of the screen."""
        super().settings_changed()
        self.main.use_keymap(self.settings.keymap)
        self.main.story.show_marks = self.settings.show_marks
        self.main.story.mood = self.settings.mood
        self._paint_pictures()

    def on_terminal_answered(self, answer: TerminalAnswered) -> None:
        """The terminal said what it can draw."""
        self._answers.take(answer)
        self._paint_pictures()

    def _paint_pictures(self) -> None:
        from shoritui.tui.widgets.picture import Picture

        for screen in self.screen_stack:
            for picture in screen.query(Picture):
                picture.paint()

    async def use_settings(self) -> None:
        """Let engine and story go by the settings, as soon as nobody writes."""
        from shoritui.director import is_same_engine

        session = self.session
        if session is None or session.settings == self.settings:
            return
        if await asyncio.to_thread(is_same_engine, session.settings, self.settings):
            await self.performance.settled()
            session.use(self.settings)
            self.show_choices()
            self.show_panels()
        else:
            await self.switch_model(self.settings)

    # Chats

    async def begin(self, scene: Card) -> None:
        """Begin a story from a scene, as the user's persona where the scene names no user."""
        from shoritui.cards import macro_problems

        assert self.session is not None
        scene = await with_persona(self, scene)
        await self.put_draft_by()
        try:
            director = await self.session.begin(scene)
        except UserError:
            await self.take_up_draft()
            raise
        await self._opened(director)
        if problems := await self.session.disk.run(lambda _: macro_problems(scene)):
            more = f" (and {counted(len(problems) - 1, 'more field')})" if problems[1:] else ""
            self.report(problems[0] + more, trouble=True)

    async def enter(self, chat: Chat) -> None:
        """Open a story where it was left."""
        assert self.session is not None
        if self.director is not None and self.director.chat.id == chat.id:
            return
        await self.put_draft_by()
        await self.session.leave_chat()
        try:
            await self._show_end(chat)
            director = await self.session.enter(chat)
        except UserError:  # what is shown of it is no open story
            self._show_no_story()
            raise
        await self._opened(director)

    async def _show_end(self, chat: Chat) -> None:
        """Show how a story ends at once: to read all of it takes long where it is long."""
        assert self.session is not None
        entries, versions = await self.session.disk.run(
            lambda library: (library.tail(chat.id, _END), library.version_counts(chat.id))
        )
        cast = [character.name for character in chat.scene.characters]
        self.performance.show_end(cast, entries, versions)
        await self.main.story.wait_for_refresh()

    async def _opened(self, director: Director) -> None:
        from shoritui.cards import unfollowed
        from shoritui.story import Library

        assert self.session is not None
        if self._preset:
            preset, self._preset = self._preset, None
            await panels.choose_preset(self, preset)
        self.main.whispers_to = ()
        self.in_browser.wake()
        self.performance.open(director)
        director.on_odds = self._show_odds
        director.on_news = self.performance.hear
        composer = self.main.composer
        await self.take_up_draft()
        composer.remember(await self.session.disk.run(Library.history))
        self.show_choices()
        if self.main.has_room_for_panel:
            await self.main.open_section("scene")
        self.show_panels()
        composer.focus()
        if said := unfollowed(director.chat.scene.lore):
            self.report(said)
        self.call_after_refresh(_collect_once)
        self.run_worker(card.look(self), group="asking")
        if not director.chat.is_mine:
            self.run_worker(self._offer_copy(director), group="asking")

    async def _offer_copy(self, director: Director) -> None:
        """Another window writes into the story: read it here, or go on in a copy."""
        from shoritui.tui.widgets.chooser import Choice, Chooser

        choices = [
            Choice("read", "Read it here", "what the other window writes is shown"),
            Choice("copy", "Go on in a copy", "with all its branches"),
        ]
        question = f"Another window writes into “{one_line(director.chat.record.name)}”."
        title = "This story is open elsewhere"
        chooser = Chooser(title, choices, question=question, filters=False)
        if await self.push_screen_wait(chooser) == "copy" and self.director is director:
            await self.enter(await director.chat.copy())

    def _look_around(self) -> None:
        if self.director is not None and not self._leaving:
            self.run_worker(self.performance.look_around(), group="look-around", exclusive=True)

    async def forget(self, chat_id: int) -> None:
        """Close a story that was deleted, if it is the open one."""
        session, director = self.session, self.director
        if session is not None and director is not None and director.chat.id == chat_id:
            await self.put_draft_by()
            await session.leave_chat()
            self._show_no_story()

    def _show_no_story(self) -> None:
        self.performance.open(None)
        self.main.name_scene(None)
        self.show_choices()
        self.show_panels()

    async def put_draft_by(self) -> None:
        """Keep the draft with its story, and empty the composer for the next one.

        Raises:
            UserError: It cannot be kept; it stays where it is.
        """
        from shoritui.story import Library

        composer, chat_id, self._drafting = self.main.composer, self._drafting, None
        if self.session is None or chat_id is None:
            return
        text = composer.text
        composer.open("")
        try:
            if self._is_held_elsewhere:
                await self.keep_sent(text)
                return
            is_kept = await self.session.disk.run(Library.save_draft, chat_id, text)
        except UserError:
            composer.fill(text + composer.text)
            self._drafting = chat_id
            raise
        if not is_kept:  # the story was deleted elsewhere: it goes along to the next one
            composer.fill(text + composer.text)

    async def take_up_draft(self) -> None:
        """Show the open story's draft; what was typed while it was opened stands below."""
        from shoritui.story import Library

        if self.session is None or self.director is None:
            return
        chat_id, composer = self.director.chat.id, self.main.composer
        draft = ""
        if not self._is_held_elsewhere:
            draft = await self.session.disk.run(Library.draft, chat_id)
        typed = composer.text
        composer.open(draft)
        if typed:
            composer.fill(f"{draft}\n{typed}" if draft else typed)
        self._drafting = chat_id

    @property
    def _is_held_elsewhere(self) -> bool:
        """Whether another window writes into the open story: its draft is that window's."""
        return self.chat is not None and not self.chat.is_mine

    async def keep_draft(self, text: str) -> bool:
        """Keep what is typed and not sent with its story; return whether it is on disk."""
        from shoritui.story import Library

        session, chat_id = self.session, self._drafting
        if session is None or chat_id is None or self._is_held_elsewhere:
            return not text.strip()
        if not self.main.composer.keep_draft(text):
            return True
        try:
            is_there = await session.disk.run(Library.save_draft, chat_id, text)
        except UserError as error:
            self._keep_again(str(error))
            return False
        self._why_unkept = ""
        if not is_there:
            self._drafting = None
            self.report(_NO_DRAFT, trouble=True)
        return is_there

    def _keep_again(self, why: str) -> None:
        """Try again soon to keep the draft; say once why it could not be kept."""
        composer = self.main.composer
        composer.forget_kept()
        if self._keeping_again is not None:
            self._keeping_again.stop()
        self._keeping_again = self.set_timer(
            _KEEP_AGAIN_SECONDS,
            lambda: self.run_worker(self.keep_draft(composer.text), group="draft"),
        )
        if why != self._why_unkept:
            self._why_unkept = why
            self.report(why, trouble=True)

    async def keep_sent(self, text: str) -> None:
        """Keep what was sent in the history, and empty the draft."""
        if self.session is None or not text.strip():
            return
        chat = None if self._is_held_elsewhere else self.chat

        def keep(library: Library) -> None:
            library.add_history(text)
            if chat is not None:
                library.save_draft(chat.id, "")

        await self.session.disk.run(keep)

    # What the widgets ask for

    @on(TextArea.Changed, "#composer")
    def _typed(self) -> None:
        self.words.follow()
        self.words.look_ahead()
        self.words.show_cost()

    def on_composer_popup_moved(self, event: Composer.PopupMoved) -> None:
        """The arrows move through the popup."""
        self.main.completions.move(event.step)

    def on_composer_completion_asked(self) -> None:
        """Tab takes the highlighted row."""
        self.words.take_completion(with_enter=False)

    def on_completions_taken(self, event: Completions.Taken) -> None:
        """A click takes a row."""
        self.words.take_completion(event.completion, with_enter=False)
        self.main.composer.focus()

    def on_composer_turn_back_asked(self, event: Composer.TurnBackAsked) -> None:
        """Nothing was typed that could be taken back: the last act is, or is done again."""
        self.start_action(event.action)

    def on_composer_pasted(self, event: Composer.Pasted) -> None:
        """A path may have been dropped on the terminal."""
        self.run_worker(imports.offer(self, event.text), group="asking")

    def on_composer_draft_paused(self, event: Composer.DraftPaused) -> None:
        """Keep the draft, unless another stands there by now."""
        if event.text == self.main.composer.text:
            self.run_worker(self.keep_draft(event.text), group="draft")

    def on_transcript_typed_elsewhere(self, event: Transcript.TypedElsewhere) -> None:
        """A letter typed while reading belongs into the composer; a command keeps its message."""
        if event.character != "/":
            self.main.reading.cursor = None
        side, is_story = self.main.side, self.main.reading is self.main.story
        line = self.main.composer if side is None or is_story else side.ooc.input
        line.focus()
        line.insert(event.character)
        event.transcript.is_typed_on = False

    def on_transcript_version_asked(self, event: Transcript.VersionAsked) -> None:
        """An arrow of `◀ 2/3 ▶` was clicked."""
        self.main.reading.go_to(event.passage.id)
        self.start_action("newer" if event.step > 0 else "older")

    def on_key_bar_pressed(self, event: KeyBar.Pressed) -> None:
        """A key of the footer was clicked."""
        self.start_action(event.action)

    def on_section_unfolded(self) -> None:
        """A section was unfolded with the mouse or Enter."""
        self.show_panels()

    def on_scene_panel_changed(self, event: ScenePanel.Changed) -> None:
        """The scene was edited."""
        self.run_worker(panels.change_scene(self, event.scene), group="asking")

    def on_app_focus(self) -> None:
        """The terminal is looked at again: a card may have been edited meanwhile."""
        self.run_worker(card.look(self), group="asking")

    def on_sampler_panel_changed(self, event: SamplerPanel.Changed) -> None:
        """A knob was turned."""
        changing = panels.change_sampling(self, event.value_name, event.value)
        self.run_worker(changing, group="asking")

    def on_refused(self, event: Refused) -> None:
        """An edit could not be taken."""
        self.report(event.sentence, trouble=True)

    async def on_ooc_input_said(self, event: OocInput.Said) -> None:
        """Something was said out of character, or a command was written there."""
        if is_command(event.text):
            if (found := self.words.command(event.text)) is not None:
                event.input.take(event.text)
                await self.do(*found)
            return
        unsaid = partial(event.input.give_back, event.text)
        if self.director is not None and self.performance.queue(
            self.director.ooc(event.text.removeprefix("/")), unsaid=unsaid
        ):
            event.input.take(event.text)

    # The end

    async def _keep_typed(self) -> bool:
        """Keep what was typed before the key that quits; return whether it is on disk."""
        typed, composer = asyncio.Event(), self.main.composer
        if composer.is_running and composer.call_later(typed.set):
            with suppress(TimeoutError):
                await asyncio.wait_for(typed.wait(), 1)
        if composer.text.strip():  # While the library is opened nothing can be kept.
            with suppress(TimeoutError):
                await asyncio.wait_for(self._has_begun.wait(), _OPENING_SECONDS)
        is_kept = await self.keep_draft(composer.text)
        has_story = self._drafting is not None and not self._is_held_elsewhere
        if is_kept or self.session is None or has_story:
            return is_kept
        try:
            await self.keep_sent(composer.text)  # no story can have it as its draft
        except UserError as error:
            self.report(str(error), trouble=True)
            return False
        return True

    async def quit(self) -> None:
        """Keep everything and quit; where what is typed cannot be kept, ask for it once more."""
        if await self._keep_typed() or self.unkept == self.main.composer.text:
            await self.leave(0)
        else:
            self.unkept = self.main.composer.text
            self.report("What you typed cannot be kept: quit once more to lose it.", trouble=True)

    async def leave(self, code: int) -> None:
        """Stop what is being written, keep everything, end every process."""
        if self._leaving:
            return
        self._leaving = True
        try:
            await self.performance.stop()
            await self.in_browser.leave()
            self.unkept = self.main.composer.text
            if await self._keep_typed():
                self.unkept = ""
            if self.session is not None:
                await self.session.close()
        finally:
            self.exit(code)


def _collect_once() -> None:
    """Collect garbage now, and let later collections leave alone what is there.

    To look through a long story takes up to 100 ms, which would be seen every few seconds.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
