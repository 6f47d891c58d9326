"""The popup of completions above the composer, and how completions are ranked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from shoritui.tui.widgets.styles import inks_of
from shoritui.tui.widgets.wrap import fit

ROWS = 8
_MISSED = 3
_LONGEST = 64
"""Letters of a word that may be all of a shorter one."""


@dataclass(frozen=True, slots=True)
class Completion:
    """One row: what stands in the composer once it is taken, and what it says of itself."""

    text: str
    """The whole text of the composer after it."""
    label: str
    detail: str = ""


def ranked(query: str, completions: Iterable[tuple[str, Completion]]) -> list[Completion]:
    """Return the completions whose word holds the query's letters in order, the best first.

    Of those that are as good, one that begins another is first: `/export`, then `/export-lore`.

    Not `textual.fuzzy`: it tries every way in which the letters fit, so that nine letters of `a`
    in a name of some hundred take seconds, and names come from foreign cards.
    """
    scored = [(_score(query.casefold(), word.casefold()), word, each) for word, each in completions]
    scored = [each for each in sorted(scored, key=itemgetter(0)) if each[0] < _MISSED]
    known = {(score, word): each for score, word, each in scored}
    found: dict[Completion, None] = {}
    for score, word, each in scored:
        beginnings = (word[:end] for end in range(1, min(len(word), _LONGEST) if query else 0))
        found |= {known[score, short]: None for short in beginnings if (score, short) in known}
        found[each] = None
    return list(found)


def _score(query: str, word: str) -> int:
    """Return 0 for a prefix, 1 for a part, 2 for scattered letters, or `_MISSED`."""
    if word.startswith(query):
        return 0
    if query in word:
        return 1
    letters = iter(word)
    return 2 if all(letter in letters for letter in query) else _MISSED


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

    @dataclass
    class Taken(Message):
        """A row was clicked."""

        completion: Completion

    def __init__(self) -> None:
        super().__init__()
        self.rows: Sequence[Completion] = ()

    def offer(self, rows: Sequence[Completion], above: int) -> None:
        """Show these rows, `above` rows over the bottom; none hides the list."""
        self.rows = rows
        self.chosen = 0
        self.styles.margin = (0, 1, above, 1)
        self.display = bool(rows)
        self.refresh(layout=True)

    def move(self, step: int) -> None:
        """Highlight another row."""
        if self.rows:
            self.chosen = (self.chosen + step) % len(self.rows)

    @property
    def current(self) -> Completion | None:
        """The highlighted row."""
        return self.rows[self.chosen] if self.display and self.rows else None

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return as many rows as there are, up to eight."""
        return min(len(self.rows), ROWS)

    @property
    def _first(self) -> int:
        return max(0, min(self.chosen - ROWS // 2, len(self.rows) - ROWS))

    def render_line(self, y: int) -> Strip:
        """Return one completion: its label and, fainter, what it does."""
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
        """Take the row under the mouse."""
        index = self._first + event.y - 1
        if 0 <= index < len(self.rows):
            self.post_message(self.Taken(self.rows[index]))
