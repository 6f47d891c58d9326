"""What both apps share: the start of actions, palette, help, keymap, themes, signals.

class MyApp(BaseApp):
    ACTIONS = (Action(...), ...)
    BINDINGS = [*bindings(ACTIONS)]
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, cast
from weakref import WeakKeyDictionary

from rich.cells import cell_len
from textual import events
from textual.actions import SkipAction
from textual.app import App
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.driver import Driver
from textual.filter import Monochrome, NoColor
from textual.notifications import Notify
from textual.screen import Screen
from textual.worker import Worker, WorkerFailed, get_current_worker

from shoritui.errors import UserError
from shoritui.host.signals import end_in, end_on_signals
from shoritui.settings import Settings
from shoritui.text import clean
from shoritui.toml import files_named
from shoritui.tui import themes
from shoritui.tui.action import IN_KEYMAP, AnyAction, Call, key_name, keymap_problems, keys_of
from shoritui.tui.boundary import Faults, StartFailed, guard_widgets
from shoritui.tui.literal import WithoutCommands, take_strings_literally
from shoritui.tui.terminal_input import any_input
from shoritui.tui.widgets.styles import WithoutColours
from shoritui.tui.widgets.wrap import fit

_LAST_WORD_SECONDS = 8.0
"""How long the app may take to end, once it is told to."""
_NEWS_SECONDS = 4.0
_READ_PER_SECOND = 20.0
"""Characters of news that a reader reads in a second."""
_MOST_NEWS = 2
"""So many pieces of news are shown at once."""
NEWS_CSS = """
ToastRack { dock: bottom; align: right bottom; margin: 0 1 2 0; overflow-y: hidden; }
Toast { width: auto; max-width: 80%; padding: 0 1; margin-top: 0; }
"""
PaletteRow = tuple[str, str, str, str, Callable[[], None]]
"""A title, other words for it, its keys, what it does, and the call that does it."""
_BY_ANOTHER_WORD = 50.0
"""How well an action fits that is found by another word than its title's."""
_PALETTE_FRAME = 10
"""How much narrower a row of the palette is than the screen."""


class ActionPalette(Provider):
    """Finds every action by its name."""

    async def discover(self) -> Hits:
        """Yield everything, before a letter is typed."""
        for title, _, keys, text, run in cast(BaseApp, self.app).palette_rows():
            row, help_text = self._shown(title, keys, text)
            yield DiscoveryHit(row, run, text=title, help=help_text)

    async def search(self, query: str) -> Hits:
        """Yield what the letters find."""
        matcher = self.matcher(query)
        typed = query.casefold().split()
        for title, others, keys, text, run in cast(BaseApp, self.app).palette_rows():
            score = matcher.match(title)
            if all(any(word.startswith(each) for word in others.split()) for each in typed):
                score = max(score, _BY_ANOTHER_WORD)
            if score > 0:
                row, help_text = self._shown(title, keys, text)
                yield Hit(score, row, run, text=title, help=help_text)

    def _shown(self, title: str, keys: str, text: str) -> tuple[Content, str]:
        """Return a row with the keys at its right, and one row of help."""
        width = max(20, self.app.size.width - _PALETTE_FRAME)
        gap = max(1, width - cell_len(title) - cell_len(keys))
        row = Content(title + " " * gap) + Content.styled(keys, "dim")
        return row, fit(text.partition(". ")[0], width)


def reading_time(sentence: str) -> float:
    """Return the seconds for which news is shown."""
    return max(_NEWS_SECONDS, len(sentence) / _READ_PER_SECOND)


def _noted(error: BaseException) -> str:
    """Note a fault in its log, and return what to say of it."""
    from shoritui import fault_log

    return fault_log.sentence(error, fault_log.note(error))


class BaseApp(App[int]):
    """An app whose keys, palette and help come from a table of actions."""

    TITLE = "ShoriTUI"
    COMMANDS: ClassVar[set[type[Provider] | Any]] = {ActionPalette}
    ACTIONS: ClassVar[tuple[AnyAction, ...]] = ()

    def __init__(
        self, settings: Settings, calls: Mapping[str, Call], other_ids: Collection[str] = ()
    ) -> None:
        no_colour = bool(os.environ.get("NO_COLOR"))
        super().__init__(ansi_color=True if no_colour else None)
        self.no_color = no_colour  # Textual takes an empty variable for one that is set.
        kept = [each for each in self._filters if not isinstance(each, (NoColor, Monochrome))]
        self._filters = [*kept, *([WithoutColours()] if no_colour else []), WithoutCommands()]
        self.settings = settings
        self._by_id = {action.id: action for action in self.ACTIONS}
        self._calls = calls
        self._other_ids = other_ids
        self.problems = keymap_problems(self.ACTIONS, settings.keymap, other_ids)
        """What is wrong with the user's own files, a sentence each, to be said after the start."""
        self.theme_names: list[str] = []
        self.fatal = ""
        """What ended the app, if a fault did."""
        self._faults = Faults()
        guard_widgets()
        take_strings_literally()
        self._has_left = threading.Event()
        """Everything is kept; what is left to do is to put the terminal back as it was."""
        self._asked_on: WeakKeyDictionary[Worker[Any], Screen[Any]] = WeakKeyDictionary()
        """On which screen each action was begun that asks for something."""
        self._saving = asyncio.Lock()
        self._saved: list[dict[str, object]] = []
        """The values before each change of settings, the last change last."""
        self._take_theme(themes.NO_COLOUR if no_colour else settings.theme)
        self.set_keymap(settings.keymap)

    @property
    def actions(self) -> Sequence[AnyAction]:
        """Everything a user can do."""
        return self.ACTIONS

    # From a key to an action

    def get_driver_class(self) -> type[Driver]:
        """Return a driver that takes whatever the terminal sends."""
        return any_input(super().get_driver_class())

    async def on_event(self, event: events.Event) -> None:
        """Take a letter with Alt as a key wherever it is pressed, never as text."""
        if isinstance(event, events.Key) and event.key.startswith("alt+"):
            event.character = None
        await super().on_event(event)

    async def action_act(self, action_id: str) -> None:
        """Do the action that a key is bound to."""
        if self.screen is not self.screen_stack[0] and not self._by_id[action_id].is_modal:
            raise SkipAction
        await self.do(action_id)

    async def do(self, action_id: str, argument: str = "") -> None:
        """Do an action; one that asks or waits for something does not hold up the keys."""
        if self._by_id[action_id].asks:
            self.start_action(action_id, argument)
            return
        try:
            if (done := self._calls[action_id](argument)) is not None:
                await done
        except UserError as error:
            self.report(str(error), trouble=True)

    def start_action(self, action_id: str, argument: str = "") -> None:
        """Do an action beside everything else."""

        async def call() -> None:
            if (done := self._calls[action_id](argument)) is not None:
                await done

        self._asked_on[self.run_worker(call(), group="asking")] = self.screen

    async def push_screen_wait(self, screen: Any, *, mode: str | None = None) -> Any:
        """Show a screen and wait for its answer.

        None, as after Escape, where an action asks that was begun on a screen over which another
        was opened meanwhile: keys come faster than a slow disk answers.
        """
        asked_on = self._asked_on.get(get_current_worker(), self.screen)
        if self.screen is not asked_on and asked_on in self.screen_stack:
            return None
        return await super().push_screen_wait(screen, mode=mode)

    def _handle_exception(self, error: Exception) -> None:
        """Say what went wrong, and go on: what is typed stays, what is shown is on the disk.

        The app ends only if it cannot start, or if the same goes on and on.
        """
        is_start = isinstance(error, StartFailed)
        cause = error.__cause__ if is_start else error
        cause = cause.error if isinstance(cause, WorkerFailed) else cause
        assert cause is not None
        if isinstance(cause, UserError):
            sentence, is_end = str(cause), is_start
        else:
            is_end = is_start or self._faults.are_too_many()
            if not is_end:
                self.run_worker(self._tell_fault(cause), group="life")
                return
            sentence = _noted(cause)
        if not is_end:
            self.report(sentence, trouble=True)
        elif not self.fatal:
            self.fatal = sentence
            self._return_code = 1
            if is_start:
                self._close_messages_no_wait()
            else:
                self.run_worker(self.leave(1), group="life")

    async def _tell_fault(self, error: BaseException) -> None:
        self.report(await asyncio.to_thread(_noted, error), trouble=True)

    def palette_rows(self) -> Iterator[PaletteRow]:
        """Yield what the palette finds."""
        for action in self.ACTIONS:
            keys = ", ".join(map(key_name, keys_of(action, self.settings.keymap)))
            others = f"{action.synonyms} {action.slash}"
            run = partial(self.start_action, action.id)
            yield action.title, others, keys, action.plain_help, run

    def show_help(self, topic: str = "") -> None:
        """Show every key and the guide; a topic at once, or what holds a word that is none."""
        from shoritui import guide

        if topic and (near := guide.misspelt(topic)):
            self.report(f"The guide has no topic {topic!r}: did you mean {near}?", trouble=True)
            return
        self.run_worker(self._open_help(topic), group="help", exclusive=True)

    async def _open_help(self, topic: str) -> None:
        from shoritui.tui.help_screen import Help, read_guide

        pages = await asyncio.to_thread(read_guide)
        self.push_screen(Help(self.ACTIONS, self.settings.keymap, pages, topic))

    def report(self, sentence: str, *, trouble: bool = False) -> None:
        """Show news for as long as it takes to read."""
        self.notify(
            clean(sentence),
            severity="error" if trouble else "information",
            timeout=reading_time(sentence),
        )

    def on_notify(self, event: Notify) -> None:
        """Show the same news once, and few at a time: trouble waits, other news gives way."""
        shown = [each for each in self._notifications if not each.has_expired]
        if any(each.message == event.notification.message for each in shown):
            event.prevent_default()
        elif len(shown) >= _MOST_NEWS:
            old = [each for each in shown if each.severity == "information"]
            if old:
                self._unnotify(old[0])
            else:
                event.prevent_default()
                told = event.notification
                again = partial(self.report, told.message, trouble=told.severity == "error")
                self.set_timer(_NEWS_SECONDS, again)

    # Themes and settings

    def _take_theme(self, name: str) -> None:
        """Read only the theme in use, which is all that the first paint needs."""
        for path in reversed(files_named(name, themes.theme_folders())):
            try:
                self.register_theme(themes.load_theme(path))
                self.theme = path.stem
                return
            except UserError as error:
                self.problems.append(str(error))
        if name == themes.DEFAULT:
            raise UserError(f"The theme {name} that ships with ShoriTUI is missing.")
        if problem := themes.theme_problem(name):
            self.problems.append(problem)
        self._take_theme(themes.DEFAULT)

    async def learn_themes(self) -> None:
        """Read all themes; a bad file is said once."""
        found, problems = await asyncio.to_thread(themes.find_themes, themes.theme_folders())
        for theme in found.values():
            if theme.name != self.theme:
                self.register_theme(theme)
        self.theme_names = list(found)
        for problem in problems:
            if problem not in self.problems:
                self.problems.append(problem)
                self.report(problem, trouble=True)

    async def choose_theme(self, name: str = "") -> None:
        """Take a theme and keep it; without a name, one is chosen and shown while choosing."""
        if not self.theme_names:
            await self.learn_themes()
        names, before = self.theme_names, self.theme
        if name and name not in names:
            self.report(await asyncio.to_thread(themes.theme_problem, name))
            return
        if not name:
            from shoritui.tui.widgets.chooser import Choice, Chooser

            choices = [Choice(each, each) for each in names]
            preview = partial(setattr, self, "theme")
            chosen = await self.push_screen_wait(Chooser("Theme", choices, before, preview=preview))
            name = chosen or ""
        self.theme = name or before
        if name:
            await self.save(theme=name)

    async def save(self, **changes: object) -> bool:
        """Keep settings, so that it can be undone; return False, and say why, if that fails.

        What is begun is finished, even if the screen that asked for it is closed meanwhile.
        """
        return await asyncio.shield(self._save(changes))

    async def undo_setting(self) -> str:
        """Take the last change of settings back and return its name; empty if there is none."""
        return await asyncio.shield(self._undo_setting())

    @property
    def can_undo_setting(self) -> bool:
        """Whether settings were changed since the start."""
        return bool(self._saved)

    async def _save(self, changes: Mapping[str, object]) -> bool:
        async with self._saving:
            before = {name: getattr(self.settings, name) for name in changes}
            if done := await self._write(changes):
                self._saved.append(before)
            return done

    async def _undo_setting(self) -> str:
        async with self._saving:
            if not self._saved or not await self._write(self._saved[-1]):
                return ""
            return ", ".join(self._saved.pop())

    async def _write(self, changes: Mapping[str, object]) -> bool:
        import msgspec

        from shoritui.settings import save_settings

        try:
            saved = await asyncio.to_thread(partial(save_settings, **changes))
        except UserError as error:
            self.report(str(error), trouble=True)
            return False
        # What the command line says otherwise stays so.
        new = {name: getattr(saved, name) for name in changes}
        self.settings = msgspec.structs.replace(self.settings, **new)
        self.settings_changed()
        return True

    def settings_changed(self) -> None:
        """Show what the settings say of the screen."""
        self.set_keymap(self.settings.keymap)
        if self.settings.theme in self.available_themes and not self.no_color:
            self.theme = self.settings.theme

    def keymap_problem(self, keymap: Mapping[str, str]) -> str:
        """Return what is wrong with another keymap and was not with this one; empty if nothing."""
        known = keymap_problems(self.ACTIONS, self.settings.keymap, self._other_ids)
        found = keymap_problems(self.ACTIONS, keymap, self._other_ids)
        return next((one.removeprefix(IN_KEYMAP).strip() for one in found if one not in known), "")

    # The end

    def end_with_terminal(self) -> None:
        """Let a terminal that closes, and `kill`, end the app as quitting does."""
        if self.is_headless or threading.current_thread() is not threading.main_thread():
            return
        end_on_signals(self._end, self._has_left)

    def _end(self, code: int) -> None:
        end_in(_LAST_WORD_SECONDS, code)
        self.run_worker(self.leave(code), group="life")

    async def leave(self, code: int) -> None:
        """Keep everything and end with an exit code."""
        self.exit(code)

    def exit(self, *arguments: Any, **options: Any) -> None:
        """End; what is to be kept is kept."""
        super().exit(*arguments, **options)
        self._has_left.set()
