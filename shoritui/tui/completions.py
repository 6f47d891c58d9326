"""The popup of completions above the composer.

It does not know what a completion means: it is given rows and tells which one is chosen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from shoritui.tui.inks import inks_of
from shoritui.tui.wrapping import fit

ROWS = 8


@dataclass(frozen=True, slots=True)
class Completion:
    """One row: what stands in the composer once it is taken, and what it says of itself."""

    text: str
    """The whole text of the composer after it."""
    label: str
    detail: str = ""


def ranked(query: str, completions: Iterable[tuple[str, Completion]]) -> list[Completion]:
    """The completions whose word holds the query's letters in order, the best first."""
    scored = []
    for number, (word, completion) in enumerate(completions):
        score = _score(query.casefold(), word.casefold())
        if score is not None:
            scored.append((score, number, completion))
    return [completion for _, _, completion in sorted(scored, key=lambda each: each[:2])]


def _score(query: str, word: str) -> int | None:
    """Smaller is better: a prefix, then a part, then scattered letters; none if they lack."""
    if word.startswith(query):
        return 0
    if query in word:
        return 1
    letters = iter(word)
    return 2 if all(letter in letters for letter in query) else None


class Completions(Widget):
    """A short list; the highlighted row is taken with Tab or Enter."""

    DEFAULT_CSS = """
    Completions {
        display: none; layer: popup; dock: bottom;
        height: auto; max-height: 10; width: 100%; max-width: 88;
        margin: 0 1;
        background: $panel; color: $foreground;
        border: round $border;
    }
    """

    chosen: reactive[int] = reactive(0)

    class Taken(Message):
        """A row was clicked."""

        def __init__(self, completion: Completion) -> None:
            super().__init__()
            self.completion = completion

    def __init__(self) -> None:
        super().__init__()
        self.rows: Sequence[Completion] = ()

    def offer(self, rows: Sequence[Completion], above: int) -> None:
        """Shows these rows, `above` rows over the bottom; none hides the list."""
        self.rows = rows
        self.chosen = 0
        self.styles.margin = (0, 1, above, 1)
        self.display = bool(rows)
        self.refresh(layout=True)

    def move(self, step: int) -> None:
        """Highlights another row."""
        if self.rows:
            self.chosen = (self.chosen + step) % len(self.rows)

    @property
    def current(self) -> Completion | None:
        """The highlighted row."""
        return self.rows[self.chosen] if self.display and self.rows else None

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many rows as there are, up to eight."""
        return min(len(self.rows), ROWS)

    @property
    def _first(self) -> int:
        return max(0, min(self.chosen - ROWS // 2, len(self.rows) - ROWS))

    def render_line(self, y: int) -> Strip:
        """One completion: its label and, fainter, what it does."""
        width, base = self.content_size.width, self.rich_style
        index = self._first + y
        if index >= len(self.rows):
            return Strip.blank(width, base)
        row = self.rows[index]
        inks = inks_of(self)
        ink, faint = base, inks["faint"]
        if index == self.chosen:
            ink = faint = inks["chosen"]
        label = fit(f" {row.label} ", width)
        column = min(max(cell_len(each.label) for each in self.rows) + 4, 34)
        gap = " " * (column - cell_len(label))
        segments = [Segment(label + gap, ink), Segment(fit(row.detail, width - column - 1), faint)]
        return Strip(segments).crop_extend(0, width, ink)

    def on_click(self, event: events.Click) -> None:
        """Takes the row under the mouse."""
        index = self._first + event.y - 1
        if 0 <= index < len(self.rows):
            self.post_message(self.Taken(self.rows[index]))
