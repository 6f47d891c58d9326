"""Where the parts of the live view lie, at every size of the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.strip import Strip

from shoritui.tui.training.panes import (
    Ending,
    Figures,
    LossCurve,
    News,
    Pane,
    Replies,
    Tiers,
    Worst,
)
from shoritui.tui.widgets.bars import Bar, KeyBar, Masthead

_TALL = 34

CSS = """
TrainingScreen { background: $background; }
TrainingScreen #body { height: 1fr; width: 100%; }
TrainingScreen #side { width: 36; }
TrainingScreen #main { width: 1fr; }
TrainingScreen #curve { height: 3fr; min-height: 6; }
TrainingScreen #below { height: 2fr; }
TrainingScreen #replies { width: 3fr; height: 100%; }
TrainingScreen #notes { width: 2fr; height: 100%; }
TrainingScreen #worst, TrainingScreen #news { height: 1fr; }
TrainingScreen #figures { height: 1fr; }
TrainingScreen .-hidden { display: none; }
TrainingScreen.-medium #side { width: 30; }
TrainingScreen.-medium #notes, TrainingScreen.-narrow #notes { width: 1fr; }
TrainingScreen.-narrow #body { layout: vertical; }
TrainingScreen.-narrow #side { width: 100%; height: auto; }
TrainingScreen.-narrow #main { width: 100%; height: 1fr; }
TrainingScreen.-narrow #tiers { height: 1; max-height: 1; }
TrainingScreen.-narrow #figures { height: 3; }
TrainingScreen.-narrow #side Pane {
    border: none; overflow-y: hidden; scrollbar-gutter: auto; padding: 0 1;
}
TrainingScreen.-low #below { display: none; }
"""


class RunLine(Bar):
    """What the run is doing, and how much time it takes."""

    left: tuple[tuple[str, str], ...] = ()
    right: tuple[tuple[str, str], ...] = ()

    def say(self, left: tuple[tuple[str, str], ...], right: tuple[tuple[str, str], ...]) -> None:
        """Show words with their inks."""
        if (left, right) != (self.left, self.right):
            self.left, self.right = left, right
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """Return the one row."""
        return self.row(self.left, self.right)


class TrainingScreen(Screen[None]):
    """Where the parts lie; what is hidden is hidden here."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (72, "-medium"), (110, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-low"), (17, "-high")]  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__(id="_default")
        self.masthead = Masthead()
        self.tiers = Tiers("tiers")
        self.figures = Figures("figures")
        self.curve = LossCurve("curve")
        self.replies = Replies("replies")
        self.worst = Worst("worst")
        self.news = News("news")
        self.ending = Ending("ending")
        self.line = RunLine()
        self.key_bar = KeyBar()
        self._hidden: set[str] = set()
        self._front = "replies"

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield self.masthead
        with Horizontal(id="body"):
            with Vertical(id="side"):
                yield self.tiers
                yield self.figures
            with Vertical(id="main"):
                yield self.curve
                yield self.ending
                with Horizontal(id="below"):
                    yield self.replies
                    with Vertical(id="notes"):
                        yield self.worst
                        yield self.news
        yield self.line
        yield self.key_bar

    @property
    def panes(self) -> tuple[Pane, ...]:
        """All of them."""
        return (
            *(self.tiers, self.figures, self.curve, self.replies),
            *(self.worst, self.news, self.ending),
        )

    def on_mount(self) -> None:
        """The replies scroll with the arrows from the first moment."""
        self.replies.focus()
        self.lay_out()

    def on_resize(self) -> None:
        """A screen of another width shows other panes."""
        self.call_after_refresh(self.lay_out)

    def toggle(self, name: str) -> None:
        """Show or hide a pane; where there is room for one, that one comes to the front."""
        if name == "side" or self.has_class("-wide"):
            self._hidden ^= {name}
        else:
            self._front = "" if self._front == name else name
            self._hidden.discard(name)
        self.lay_out()

    def end(self, lines: Sequence[str]) -> None:
        """Show how it ended; a small screen has no room for more than that and the curve."""
        self.ending.lines = lines
        self.ending.display = True
        self.ending.focus()
        if not self.has_class("-wide") or self.size.height < _TALL:
            self._hidden |= {"replies", "worst", "news"}
            self._front = ""
            self.lay_out()

    def lay_out(self) -> None:
        """Show what is wanted and has room."""
        is_wide = self.has_class("-wide")
        shown = {"replies", "worst", "news"} - self._hidden if is_wide else {self._front}
        for pane in (self.replies, self.worst, self.news):
            pane.set_class(pane.id not in shown, "-hidden")
        self.query_one("#notes").set_class(not shown & {"worst", "news"}, "-hidden")
        self.query_one("#below").set_class(not shown & {"replies", "worst", "news"}, "-hidden")
        self.query_one("#side").set_class("side" in self._hidden, "-hidden")
