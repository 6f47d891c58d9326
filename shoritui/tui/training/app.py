"""The live view of a training run: tiers, curve, figures, replies; and how it is stopped.

A process trains and reports events, which are gathered and painted at most twelve times a second.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar

from textual.binding import BindingType
from textual.screen import Screen

from shoritui.errors import UserError
from shoritui.finetune.events import Failed
from shoritui.finetune.run.launch import COMMAND, Launched, arguments_of, launched, words_of
from shoritui.settings import Settings
from shoritui.text import duration, one_line
from shoritui.tui.action import bindings, key_name, keys_of
from shoritui.tui.base_app import NEWS_CSS, BaseApp
from shoritui.tui.training.actions import ACTIONS
from shoritui.tui.training.figures import summary
from shoritui.tui.training.panes import Tiers
from shoritui.tui.training.run_state import Course, Notice
from shoritui.tui.training.screen import CSS, TrainingScreen
from shoritui.tui.widgets.bars import KeyBar, KeyHint

FRAME_SECONDS = 1 / 12
AT_ONCE_SECONDS = 1.0
"""A second wish to stop counts from so long after the first: a key that is held is one wish."""
_ROOMY = 100
"""From so many columns on, the time left stands beside everything else."""
STOPPED = 130
"""The exit code of a run that was stopped: what was to follow it should not."""


class TrainingApp(BaseApp):
    """Watches a training process."""

    CSS = NEWS_CSS + CSS
    ACTIONS = ACTIONS
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(ACTIONS)]

    def __init__(
        self,
        settings: Settings,
        options: argparse.Namespace,
        command: Sequence[str] = COMMAND,
        other_ids: Collection[str] = (),
    ) -> None:
        super().__init__(settings, {one.id: partial(one.run, self) for one in ACTIONS}, other_ids)
        self.course = Course(notices=[Notice(problem, True) for problem in self.problems])
        self.view = TrainingScreen()
        self._options = options
        self._command = command
        self._run: Launched | None = None
        self._asked_at: float | None = None
        self._leaving = False
        self._dirty = True
        self._followed = ""
        """The tier that was chosen to be shown; empty for the one that is trained."""

    def get_default_screen(self) -> Screen[Any]:
        """Return the one screen."""
        return self.view

    @property
    def summary(self) -> list[str]:
        """How the run ended and what comes next."""
        return summary(self.course, words_of(self._options))

    # The run

    def on_mount(self) -> None:
        """Paint first, then start the process."""
        self.end_with_terminal()
        self.set_interval(FRAME_SECONDS, self._paint)
        self.call_after_refresh(lambda: self.run_worker(self._listen(), group="run"))

    async def _listen(self) -> None:
        """Take every event; what they change is painted at the next frame."""
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
        hidden = "stop" if course.is_over else "leave"
        hints = []
        for action in ACTIONS:
            keys = keys_of(action, self.settings.keymap)
            if keys and action.footer and action.id != hidden:
                hints.append(KeyHint(key_name(keys[0]), action.footer, action.id))
        view.key_bar.hints = tuple(hints)

    def _doing(self) -> tuple[tuple[str, str], ...]:
        course = self.course
        if course.failed is not None:
            return (("✕ ", "warning"), ("failed", ""))
        if course.ended is not None:
            return (("○ ", "faint"), ("stopped" if course.ended.stopped else "trained", ""))
        if self._asked_at is not None:
            text = f"saving, then it ends · {_stop_key(self.settings)} again: at once, unsaved"
            return (("● ", "cut"), (text, ""))
        if course.preparing is not None:
            event = course.preparing
            share = f" {100 * event.done // event.total} %" if event.total else ""
            return (("● ", "accent"), (f"{one_line(event.what)}{share}", ""))
        if course.current and course.tiers[course.current].last is None:
            return (("● ", "accent"), (f"preparing {one_line(course.current)}", ""))
        if course.current:
            return (("● ", "accent"), (f"training {one_line(course.current)}", ""))
        return (("● ", "accent"), ("preparing", ""))

    def _time(self) -> tuple[tuple[str, str], ...]:
        current = self.course.tiers.get(self.course.current)
        if self.course.is_over or current is None or current.last is None:
            return ()
        if self._asked_at is not None and self.size.width < _ROOMY:
            return ()
        left = duration(current.last.seconds_left)
        speed = f"{current.tokens_per_second:,.0f} tok/s · " if self.size.width >= 72 else ""
        return ((f"{speed}{left} left ", "faint"),)

    # What the actions do

    def on_key_bar_pressed(self, event: KeyBar.Pressed) -> None:
        """A key of the footer was clicked."""
        self.start_action(event.action)

    def on_tiers_chosen(self, event: Tiers.Chosen) -> None:
        """A tier was clicked."""
        self.follow(event.name)

    def stop_run(self) -> None:
        """Ask the run to save and end; asked again, end it at once."""
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

    def leave_ended_run(self) -> None:
        """Leave, once the run is over."""
        if self.course.is_over:
            self.exit(self._code())
        else:
            self.report(f"The run goes on: {_stop_key(self.settings)} stops and saves it.")

    def quit(self) -> None:
        """Stop the run and leave when it has ended."""
        self._leaving = True
        if self.course.is_over:
            self.exit(self._code())
        else:
            self.stop_run()

    def step_tier(self, step: int) -> None:
        """Show another tier's curve."""
        names = list(self.course.tiers)
        if names:
            place = names.index(self._shown()) if self._shown() in names else 0
            self.follow(names[(place + step) % len(names)])

    def follow(self, tier: str) -> None:
        """Show a tier's curve; without a name, whichever is trained."""
        self._followed = tier
        self._dirty = True
        self._paint()

    def toggle(self, pane: str) -> None:
        """Show or hide a pane."""
        self.view.toggle(pane)
        self._dirty = True

    async def leave(self, code: int) -> None:
        """Let the run save and end, and leave at once."""
        if self._run is not None and self._asked_at is None:
            self._run.stop()
        self.exit(code)


def _stop_key(settings: Settings) -> str:
    return next(map(key_name, keys_of(ACTIONS[0], settings.keymap)), "")
