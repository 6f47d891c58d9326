"""The panel beside the story: sections that fold, each made when it is first opened.

It does not know what the sections hold.
"""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from shoritui.tui.bars import Bar
from shoritui.tui.ooc_panel import OocPanel
from shoritui.tui.sampler_panel import SamplerPanel
from shoritui.tui.scene_panel import ScenePanel


class SectionHead(Bar, can_focus=True):
    """The row that folds and unfolds what is under it."""

    label: reactive[tuple[str, str]] = reactive(("", ""))
    """What stands at the left, and at the right."""

    def render_line(self, y: int) -> Strip:
        """The one row."""
        left, right = self.label
        ink = "accent" if self.has_focus else "title"
        return self.row([(left, ink)], [(f"{right} ", "faint")])

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "fold", show=False),
        Binding("up", "app.focus_previous", show=False),
        Binding("down", "app.focus_next", show=False),
    ]

    class Folded(Message):
        """The row was clicked or Enter pressed on it."""

    def on_click(self) -> None:
        """A click folds."""
        self.action_fold()

    def action_fold(self) -> None:
        """Asks the section to fold or unfold."""
        self.post_message(self.Folded())


class Section(Vertical):
    """A head and a body; the body is made when it is first unfolded."""

    DEFAULT_CSS = """
    Section { height: auto; width: 100%; }
    Section.-open { height: 1fr; }
    Section > SectionHead { background: $panel; &:hover { background: $boost; } }
    Section > SectionHead:focus { text-style: underline; }
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
        yield SectionHead()

    def on_mount(self) -> None:
        """Names the section."""
        self._update_head()

    async def ready(self) -> None:
        """Makes the body, if it was not there before."""
        if not self.body.is_attached:
            await self.mount(self.body)

    def focus_body(self) -> None:
        """Goes to the first thing in the body that takes keys."""
        inside = [widget for widget in self.body.query("*") if widget.focusable]
        preferred = [widget for widget in inside if widget.has_class("-first")]
        for widget in [*preferred, *inside][:1]:
            widget.focus()

    def watch_is_open(self, is_open: bool) -> None:
        """Shows the body, or hides it."""
        self.set_class(is_open, "-open")
        self.body.display = is_open
        if is_open:
            self.news = 0
        self._update_head()

    def watch_news(self) -> None:
        """Tells of the news in the head."""
        self._update_head()

    def _update_head(self) -> None:
        news = f"● {self.news} new  " if self.news else ""
        mark = "▾" if self.is_open else "▸"
        for head in self.query(SectionHead):
            head.label = (f"{mark} {self._title}", f"{news}{self._key_hint}")

    async def on_section_head_folded(self, event: SectionHead.Folded) -> None:
        """Folds or unfolds."""
        event.stop()
        await self.ready()
        self.is_open = not self.is_open
        if self.is_open:
            self.post_message(self.Unfolded(self.key))

    class Unfolded(Message):
        """A section was unfolded by hand: it may need something to show."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key


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

    def __init__(self) -> None:
        super().__init__(id="side")
        self.scene = ScenePanel()
        self.sampler = SamplerPanel()
        self.ooc = OocPanel()
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
        """Shows a section; `alone` folds the others."""
        for name, section in self.sections.items():
            if name == key:
                section.is_open = True
            elif alone:
                section.is_open = False
        self.add_class("-shown")

    def close(self, key: str) -> None:
        """Folds a section; without an open one the panel goes away."""
        self.sections[key].is_open = False
        if not any(section.is_open for section in self.sections.values()):
            self.remove_class("-shown")
