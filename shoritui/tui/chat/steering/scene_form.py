"""What a new scene is asked for: title, tags and scenario."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeAlias

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from shoritui.text import clean, one_line
from shoritui.tui.widgets.chooser import Choice, Chooser, Framed
from shoritui.tui.widgets.text_area import Area

if TYPE_CHECKING:
    from shoritui.cards import Card

Written: TypeAlias = tuple[str, str, str]
"""Title, tags and scenario."""


class SceneForm(Framed[Written | None]):
    """Gives what was written after Ctrl+S, or nothing after Escape; what is empty stays."""

    BINDINGS: ClassVar[list[BindingType]] = [
        # Without priority: they come after the letters typed before them.
        Binding("ctrl+s", "keep", show=False),
        Binding("escape", "leave", show=False),
    ]
    DEFAULT_CSS = """
    SceneForm > Vertical { width: 76; max-width: 96%; height: auto; max-height: 90%; padding: 0 1; }
    SceneForm Static { width: 100%; color: $prose-info; margin: 1 1 0 1; }
    SceneForm Input, SceneForm Input:focus {
        border: none; height: 1; padding: 0 1; background: $boost;
    }
    SceneForm TextArea {
        height: auto; min-height: 3; max-height: 12; border: none; padding: 0 1; background: $boost;
        &:focus { border: none; }
        & .text-area--cursor-line { background: transparent; }
    }
    """

    def __init__(self, title: str, scene: Card) -> None:
        """Begin with this title; `scene` is what holds so far."""
        super().__init__()
        tags, scenario = one_line(", ".join(scene.tags)), clean(scene.scenario)
        self._title = Input(title, placeholder=one_line(scene.title), select_on_focus=False)
        self._tags = Input(placeholder=tags, select_on_focus=False)
        self._scenario = Area(placeholder=Content(scenario), tab_behavior="focus")
        self._scenario.highlight_cursor_line = False

    def compose(self) -> ComposeResult:
        """The three fields, one below the other."""
        with Vertical() as frame:
            frame.border_title = Content("A new scene")
            frame.border_subtitle = "⏎ tab next · ^s begin · esc close"
            yield Static("Title")
            yield self._title
            yield Static("Tags, between commas")
            yield self._tags
            yield Static("Scenario: what must still happen")
            yield self._scenario

    def on_mount(self) -> None:
        """What is typed goes into the first field that is empty."""
        (self._tags if self._title.value else self._title).focus()

    @property
    def _written(self) -> Written:
        return self._title.value.strip(), self._tags.value.strip(), self._scenario.text.strip()

    def on_input_submitted(self) -> None:
        """Enter leads to the next field."""
        self.focus_next()

    def action_keep(self) -> None:
        """Begin the scene."""
        if any(self._written):
            self.dismiss(self._written)

    @work
    async def action_leave(self) -> None:
        """Leave; if that would lose something, ask first."""
        if any(self._written[1:]):
            choices = [Choice("stay", "Go on writing"), Choice("leave", "Leave, losing the words")]
            question = Chooser("The scene has not begun", choices, filters=False)
            if await self.app.push_screen_wait(question) != "leave":
                return
        self.dismiss(None)
