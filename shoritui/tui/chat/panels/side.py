"""The panel beside the story: sections that fold, each made when it is first opened."""

from __future__ import annotations

from dataclasses import dataclass

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from shoritui.tui.chat.panels.ooc import OocPanel
from shoritui.tui.chat.panels.sampler import SamplerPanel
from shoritui.tui.chat.panels.scene import ScenePanel
from shoritui.tui.widgets.bars import FoldHead
from shoritui.tui.widgets.field import FieldEditor
from shoritui.tui.widgets.transcript import Transcript

_LEAST_ROWS = 13
"""A screen shows no more sections than have so many of its rows each."""


class Section(Vertical):
    """A head and a body; the body is made when it is first unfolded."""

    DEFAULT_CSS = """
    Section { height: auto; width: 100%; }
    Section.-open { height: 1fr; }
    Section.-open.-edited { height: 3fr; }
    Section > FoldHead { background: $panel; }
    """

    is_open: reactive[bool] = reactive(False)
    news: reactive[int] = reactive(0)
    """How much came in while the section was folded."""

    def __init__(self, key: str, title: str, key_hint: str, body: Widget) -> None:
        super().__init__(id=f"section-{key}")
        self.key = key
        self.body = body
        self._title = title
        self._key_hint = key_hint

    def compose(self) -> ComposeResult:
        """Only the head; the body comes when it is wanted."""
        yield FoldHead()

    def on_mount(self) -> None:
        """Names the section."""
        self._update_head()

    async def ready(self) -> None:
        """Make the body, if it was not there before."""
        if not self.body.is_attached:
            await self.mount(self.body)

    def focus_body(self) -> None:
        """Go to the first thing in the body that takes keys."""
        inside = [widget for widget in self.body.query("*") if widget.focusable]
        preferred = [widget for widget in inside if widget.has_class("-first")]
        for widget in [*preferred, *inside][:1]:
            widget.focus()

    def watch_is_open(self, is_open: bool) -> None:
        """Show the body, or hide it."""
        self.set_class(is_open, "-open")
        self.body.display = is_open
        if is_open:
            self.news = 0
        self._update_head()

    def watch_news(self) -> None:
        """Show the news in the head."""
        self._update_head()

    def _update_head(self) -> None:
        news = f"● {self.news} new  " if self.news else ""
        mark = "▾" if self.is_open else "▸"
        for head in self.query(FoldHead):
            head.label = (f"{mark} {self._title}", f"{news}{self._key_hint}")

    async def on_fold_head_folded(self, event: FoldHead.Folded) -> None:
        """Fold or unfold."""
        event.stop()
        await self.ready()
        self.is_open = not self.is_open
        if self.is_open:
            self.post_message(self.Unfolded(self.key))

    @dataclass
    class Unfolded(Message):
        """A section was unfolded by hand: it may need something to show."""

        key: str


class SidePanel(Vertical):
    """Scene, sampler and the out-of-character channel."""

    DEFAULT_CSS = """
    SidePanel {
        width: 42; height: 100%; background: $surface;
        border-left: vkey $prose-rule;
        display: none;
    }
    SidePanel.-shown { display: block; }
    """

    def __init__(self, talk: Transcript) -> None:
        super().__init__(id="side")
        self.scene = ScenePanel()
        self.sampler = SamplerPanel()
        self.ooc = OocPanel(talk)
        self.sections = {
            "scene": Section("scene", "Scene", "F2", self.scene),
            "sampler": Section("sampler", "Sampler", "F3", self.sampler),
            "ooc": Section("ooc", "Out of character", "F4", self.ooc),
        }

    def compose(self) -> ComposeResult:
        """The three sections."""
        yield from self.sections.values()

    @property
    def is_shown(self) -> bool:
        """Whether the panel is on the screen."""
        return self.has_class("-shown")

    def open(self, key: str, *, alone: bool) -> None:
        """Show a section; `alone` folds the others, and so does a lack of room."""
        self.sections[key].is_open = True
        self._make_room(key, 10_000 if alone else _LEAST_ROWS)
        self.add_class("-shown")

    def _make_room(self, key: str, rows: int) -> None:
        """Fold other sections until this one has so many rows."""
        for name, section in self.sections.items():
            count = sum(each.is_open for each in self.sections.values())
            if name != key and self.screen.size.height // count < rows:
                section.is_open = False

    def on_section_unfolded(self, event: Section.Unfolded) -> None:
        """Unfolded by hand, it makes itself room too."""
        self._make_room(event.key, _LEAST_ROWS)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """While a text is edited, its section has more room than the others."""
        self._mark_edited(event.widget, is_edited=True)

    def on_descendant_blur(self, event: events.DescendantBlur) -> None:
        """All have the same room again."""
        self._mark_edited(event.widget, is_edited=False)

    def _mark_edited(self, widget: Widget, *, is_edited: bool) -> None:
        if isinstance(widget, FieldEditor):
            for section in self.sections.values():
                section.set_class(is_edited and section in widget.ancestors, "-edited")

    def close(self, key: str) -> None:
        """Fold a section; without an open one the panel goes away."""
        self.sections[key].is_open = False
        if not any(section.is_open for section in self.sections.values()):
            self.remove_class("-shown")
