"""The live view of a training run: tiers, curve, figures, replies; and how it is stopped.

It does not know how training goes: a process does that, and tells events.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar

from textual import on
from textual.actions import SkipAction
from textual.app import App
from textual.binding import BindingType
from textual.command import Provider
from textual.screen import Screen
from textual.theme import Theme

from shoritui.errors import UserError
from shoritui.finetune.events import Failed
from shoritui.finetune.run.launch import COMMAND, Launched, arguments_of, launched
from shoritui.settings import Settings, bundled_dir, config_dir, load_settings
from shoritui.tui import themes
from shoritui.tui.bars import KeyBar, KeyHint
from shoritui.tui.chooser import Choice, Chooser
from shoritui.tui.passage import one_line
from shoritui.tui.training_actions import (
    ACTIONS,
    BY_ID,
    TrainingHelp,
    TrainingPalette,
    bindings,
    keys_of,
)
from shoritui.tui.training_course import Course, Notice
from shoritui.tui.training_figures import span, summary
from shoritui.tui.training_panes import Tiers
from shoritui.tui.training_screen import CSS, TrainingScreen

FRAME_SECONDS = 1 / 12
AT_ONCE_SECONDS = 1.0
"""A second wish to stop counts from so long after the first: a key that is held is one wish."""
STOPPED = 130
"""The exit code of a run that was stopped: what was to follow it should not."""
_LAST_WORD_SECONDS = 8.0


def watch(options: argparse.Namespace) -> int:
    """Runs a training config with the live view; the exit code is 0, 1 or `STOPPED`.

    Raises:
        UserError: The config is not right, or the training process cannot be started.
    """
    from shoritui.finetune.config.choose import chosen

    chosen(options)
    app = TrainingApp(load_settings(), options)
    code = app.run()
    if app.course.failed is not None:
        raise UserError(one_line(app.course.failed.text))
    with suppress(OSError):  # of a terminal that is gone
        print("\n".join(app.summary), flush=True)
    return (code if code is not None else app.return_code) or 0


class TrainingApp(App[int]):
    """Watches a training process."""

    TITLE = "ShoriTUI"
    CSS = CSS
    COMMANDS: ClassVar[set[type[Provider] | Any]] = {TrainingPalette}
    BINDINGS: ClassVar[list[BindingType]] = [*bindings()]

    def __init__(
        self, settings: Settings, options: argparse.Namespace, command: Sequence[str] = COMMAND
    ) -> None:
        no_colour = "NO_COLOR" in os.environ
        super().__init__(ansi_color=True if no_colour else None)
        self.settings = settings
        self.course = Course()
        self.view = TrainingScreen()
        self._options = options
        self._command = command
        self._run: Launched | None = None
        self._asked_at: float | None = None
        self._leaving = False
        self._dirty = True
        self._followed = ""
        """The tier that was chosen to be shown; empty for the one that is trained."""
        self._take_theme(themes.NO_COLOUR if no_colour else settings.theme)
        self.set_keymap(settings.keymap)

    def get_default_screen(self) -> Screen[Any]:
        """The one screen."""
        return self.view

    @property
    def summary(self) -> list[str]:
        """How the run ended and what comes next."""
        words = "".join(f" {word}" for word in arguments_of(self._options))
        return summary(self.course, "" if words == " finetune.toml" else one_line(words))

    # The run

    def on_mount(self) -> None:
        """Paints first, then starts the process."""
        self._end_well()
        self.set_interval(FRAME_SECONDS, self._paint)
        self.call_after_refresh(lambda: self.run_worker(self._listen(), group="run"))

    async def _listen(self) -> None:
        """Takes every event; what they change is painted at the next frame."""
        try:
            async with launched(arguments_of(self._options), self._command) as run:
                self._run = run
                if self._asked_at is not None:
                    run.stop()
                async for event in run:
                    self.course.absorb(event)
                    self._dirty = True
        except UserError as error:
            self.course.absorb(Failed(str(error)))
        self._dirty = True
        if self._leaving:
            self.exit(self._code())

    def _code(self) -> int:
        if self.course.failed is not None:
            return 1
        ended = self.course.ended
        return STOPPED if ended is None or ended.stopped else 0

    # Painting

    def _paint(self) -> None:
        if not self._dirty or self.screen is not self.view:
            return
        self._dirty = False
        view, course = self.view, self.course
        shown = self._shown()
        for choosing in (view.tiers, view.figures, view.curve, view.worst):
            choosing.chosen = shown
        if course.is_over and not view.ending.display:
            view.end(self.summary)
        for pane in view.panes:
            pane.show(course)
        self._say()

    def _shown(self) -> str:
        if self._followed in self.course.tiers:
            return self._followed
        return self.course.current or next(iter(self.course.tiers), "")

    def _say(self) -> None:
        view, course = self.view, self.course
        started = course.started
        if started is not None:
            device = f" on {one_line(started.device)}" if started.device else ""
            done, steps = course.steps
            right = f"step {done:,}/{steps:,}" if steps else ""
            name = "/".join(Path(one_line(started.config)).parts[-2:])
            view.masthead.heading = (f"Training {name}", f"{one_line(started.base)}{device}", right)
        else:
            view.masthead.heading = ("Training", "", "")
        view.line.say(self._doing(), self._time())
        wanted = [action for action in ACTIONS if action.footer and self._matters(action.id)]
        view.key_bar.hints = tuple(
            KeyHint(keys_of(action, self.settings.keymap)[0], action.footer, action.id)
            for action in wanted
            if keys_of(action, self.settings.keymap)
        )

    def _matters(self, action_id: str) -> bool:
        return action_id != ("stop" if self.course.is_over else "leave")

    def _doing(self) -> tuple[tuple[str, str], ...]:
        course = self.course
        if course.failed is not None:
            return (("✕ ", "warning"), ("failed", ""))
        if course.ended is not None:
            return (("○ ", "faint"), ("stopped" if course.ended.stopped else "trained", ""))
        if self._asked_at is not None:
            text = "saving, then it ends · once more ends it at once, without saving"
            return (("● ", "cut"), (text, ""))
        if course.preparing is not None:
            event = course.preparing
            share = f" {100 * event.done // event.total} %" if event.total else ""
            return (("● ", "accent"), (f"{one_line(event.what)}{share}", ""))
        if course.current:
            return (("● ", "accent"), (f"training {one_line(course.current)}", ""))
        return (("● ", "accent"), ("starting", ""))

    def _time(self) -> tuple[tuple[str, str], ...]:
        current = self.course.tiers.get(self.course.current)
        if self.course.is_over or current is None or current.last is None:
            return ()
        left = span(current.last.seconds_left)
        speed = f"{current.tokens_per_second:,.0f} tok/s · " if self.size.width >= 72 else ""
        return ((f"{speed}{left} left ", "faint"),)

    # From a key to an action

    async def action_act(self, action_id: str) -> None:
        """What every key is bound to: does an action of the table."""
        if self.screen is not self.view and action_id != "quit":
            raise SkipAction
        self.start(action_id)

    def start(self, action_id: str) -> None:
        """Does an action, pressed, clicked or found in the palette."""
        getattr(self, f"do_{action_id}")()

    @on(KeyBar.Pressed)
    def _key_clicked(self, event: KeyBar.Pressed) -> None:
        self.start(BY_ID[event.action].id)

    @on(Tiers.Chosen)
    def _tier_clicked(self, event: Tiers.Chosen) -> None:
        self._follow(event.name)

    def do_stop(self) -> None:
        """Asks the run to save and end; a second wish ends it at once."""
        if self.course.is_over:
            return
        now = monotonic()
        if self._asked_at is None:
            self._asked_at = now
        elif now - self._asked_at < AT_ONCE_SECONDS:
            return
        if self._run is not None:
            self._run.stop()
        self._dirty = True

    def do_leave(self) -> None:
        """Leaves, once the run is over."""
        if self.course.is_over:
            self.exit(self._code())
        else:
            key = keys_of(BY_ID["stop"], self.settings.keymap)[:1]
            self._tell(f"The run goes on: {''.join(key)} stops and saves it.")

    def do_quit(self) -> None:
        """Stops the run and leaves when it has ended."""
        self._leaving = True
        if self.course.is_over:
            self.exit(self._code())
        else:
            self.do_stop()

    def do_tier_next(self) -> None:
        """Shows the next tier."""
        self._step_tier(1)

    def do_tier_previous(self) -> None:
        """Shows the previous tier."""
        self._step_tier(-1)

    def do_tier_current(self) -> None:
        """Shows what is trained."""
        self._follow("")

    def _step_tier(self, step: int) -> None:
        names = list(self.course.tiers)
        if names:
            place = names.index(self._shown()) if self._shown() in names else 0
            self._follow(names[(place + step) % len(names)])

    def _follow(self, name: str) -> None:
        self._followed = name
        self._dirty = True
        self._paint()

    def do_replies(self) -> None:
        """Shows or hides the sample replies."""
        self._toggle("replies")

    def do_worst(self) -> None:
        """Shows or hides the worst documents."""
        self._toggle("worst")

    def do_news(self) -> None:
        """Shows or hides the news."""
        self._toggle("news")

    def do_side(self) -> None:
        """Shows or hides tiers and figures."""
        self._toggle("side")

    def _toggle(self, name: str) -> None:
        self.view.toggle(name)
        self._dirty = True

    def do_help(self) -> None:
        """Shows every key."""
        self.push_screen(TrainingHelp(self.settings.keymap))

    def do_palette(self) -> None:
        """Finds actions by name."""
        self.action_command_palette()

    def do_theme(self) -> None:
        """Chooses a theme, shown at once, and keeps it."""
        self.run_worker(self._choose_theme(), group="asking")

    async def _choose_theme(self) -> None:
        from shoritui.settings import save_settings

        found, _ = await asyncio.to_thread(themes.find_themes, _theme_folders())
        for theme in found.values():
            self.register_theme(theme)
        before = self.theme

        def preview(name: str) -> None:
            self.theme = name

        choices = [Choice(name, name.replace("-", " ")) for name in found]
        name = await self.push_screen_wait(Chooser("Theme", choices, before, preview=preview))
        self.theme = name or before
        if name is not None:
            try:
                self.settings = await asyncio.to_thread(lambda: save_settings(theme=name))
            except UserError as error:
                self._tell(str(error))

    def _tell(self, sentence: str) -> None:
        self.notify(sentence, markup=False)

    # Theme and end

    def _take_theme(self, name: str) -> None:
        theme, problem = _theme(name)
        self.register_theme(theme)
        self.theme = theme.name
        if problem:
            self.course.notices.append(Notice(problem, trouble=True))

    def _end_well(self) -> None:
        """A terminal that closes makes the run save and end, as stopping does."""
        if threading.current_thread() is not threading.main_thread() or os.name == "nt":
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._ended_from_outside, 128 + number)

    def _ended_from_outside(self, code: int) -> None:
        # A terminal that is gone can hold up the way out; the run hears of our end in any case.
        last_word = threading.Timer(_LAST_WORD_SECONDS, os._exit, (code,))
        last_word.daemon = True
        last_word.start()
        if self._run is not None and self._asked_at is None:
            self._run.stop()
        self.exit(code)


def _theme_folders() -> tuple[Any, Any]:
    return bundled_dir("themes"), config_dir() / "themes"


def _theme(name: str) -> tuple[Theme, str]:
    """The theme of a name, or the default one and why."""
    problem = f"There is no theme {name}: {themes.DEFAULT} is used."
    for folder in reversed(_theme_folders()):
        path = folder / f"{name}.toml"
        if path.is_file():
            try:
                return themes.load_theme(path), ""
            except UserError as error:
                problem = str(error)
    return themes.load_theme(_theme_folders()[0] / f"{themes.DEFAULT}.toml"), problem
