"""The panes of the training screen: ladder, figures, curve, replies, worst documents, news.

Each is given the whole course, and sets its rows anew only when what it shows has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from shoritui.finetune.events import Preparing
from shoritui.text import clean, one_line
from shoritui.tui.training.figures import ladder, ladder_line, shown_figures
from shoritui.tui.training.plot import Curve, InkedText, figure, plot
from shoritui.tui.training.run_state import Course, TierCourse
from shoritui.tui.widgets.passage import Passage
from shoritui.tui.widgets.styles import Inked, SpeakerColours
from shoritui.tui.widgets.typeset import Measure, Typeset
from shoritui.tui.widgets.wrap import fit, wrapped

_BAR = 24
_NAME = 14
_LOW = 2
"""A pane of no more rows has no room for a list."""


class Pane(ScrollView, Inked, can_focus=True):
    """A framed list of rows that can be scrolled."""

    DEFAULT_CSS = """
    Pane {
        border: round $prose-rule; border-title-color: $prose-title; border-title-style: bold;
        border-subtitle-color: $prose-info; background: $background; color: $foreground;
        overflow-x: hidden; overflow-y: auto; padding: 0 0 0 1;
        scrollbar-size: 0 1; scrollbar-gutter: stable;
    }
    Pane:focus { border: round $accent; }
    Pane:nocolor:focus { border: heavy $accent; }
    """
    HEADING = ""

    def __init__(self, widget_id: str) -> None:
        super().__init__(id=widget_id)
        self.course = Course()
        self.border_title = self.HEADING
        self._rows: list[Strip] = []
        self._stamp: object = None

    def show(self, course: Course) -> None:
        """Show how the run stands."""
        self.course = course
        self._set()

    def stamp(self) -> object:
        """Differs when the rows would."""
        raise NotImplementedError

    def set_rows(self, width: int, height: int) -> Iterable[Strip]:
        """Return all rows for a size."""
        raise NotImplementedError

    def strip(self, words: Sequence[tuple[str, str]]) -> Strip:
        """Return a row of texts and their inks."""
        return Strip([Segment(text, self.inks[ink]) for text, ink in words])

    def notify_style_update(self) -> None:
        """Forget every style: the theme changed."""
        super().notify_style_update()
        self._stamp = None
        self._set()

    def on_resize(self) -> None:
        """Set the rows for the new size."""
        self._set()

    def _set(self) -> None:
        size = self.scrollable_content_region.size
        if not self.is_mounted or not size.width or not size.height:
            return
        stamp = (self.stamp(), size)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        self._rows = list(self.set_rows(size.width, size.height))
        if self.virtual_size != Size(size.width, len(self._rows)):
            self.virtual_size = Size(size.width, len(self._rows))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Return one row of the window."""
        row = y + self.scroll_offset.y
        width = self.scrollable_content_region.width
        if row >= len(self._rows):
            return Strip.blank(width, self.inks.base)
        return self._rows[row].crop_extend(0, width, self.inks.base)


class Tiers(Pane):
    """The tiers as a ladder; a click shows a tier's curve."""

    HEADING = "Tiers"
    DEFAULT_CSS = "Tiers { height: auto; max-height: 60%; }"

    @dataclass
    class Chosen(Message):
        """A tier was clicked."""

        name: str

    def __init__(self, widget_id: str) -> None:
        super().__init__(widget_id)
        self.chosen = ""
        self._names: list[str] = []

    def stamp(self) -> object:
        """Return each tier's standing."""
        tiers = self.course.tiers.values()
        return self.chosen, [(tier.standing, tier.step, tier.steps) for tier in tiers]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return the height of the ladder."""
        return max(1, len(ladder(self.course, self.chosen, max(width, 8))))

    def set_rows(self, width: int, height: int) -> Iterable[Strip]:
        """Return the ladder, or in one row as much of it as fits."""
        rows = ladder(self.course, self.chosen, width)
        if len(rows) != len(self._names):
            self.call_later(self.refresh, layout=True)
        self._names = [name for name, _ in rows]
        if height < _LOW:
            return [self.strip(ladder_line(self.course, self.chosen, width))]
        return [self.strip(words) for _, words in rows]

    def on_click(self, event: events.Click) -> None:
        """Choose the tier under the mouse."""
        place = event.get_content_offset(self)
        row = place.y + self.scroll_offset.y if place is not None else len(self._names)
        if len(self._rows) > 1 and row < len(self._names):
            self.post_message(self.Chosen(self._names[row]))


class Figures(Pane):
    """The figures of a tier and of the whole run."""

    HEADING = "Figures"

    def __init__(self, widget_id: str) -> None:
        super().__init__(widget_id)
        self.chosen = ""

    def stamp(self) -> object:
        """Return the figures themselves."""
        return shown_figures(self.course, self.chosen)

    def set_rows(self, width: int, height: int) -> Iterable[Strip]:
        """Return the figures one below the other, or where it is low, beside each other."""
        found = shown_figures(self.course, self.chosen)
        if height > 4:
            return [
                self.strip([(f"{name:<{_NAME}}", "info"), (fit(text, width - _NAME), "")])
                for name, text in found
            ]
        return [self.strip(row) for row in _flowed(found, width)]


def _flowed(figures: Sequence[tuple[str, str]], width: int) -> list[InkedText]:
    rows: list[InkedText] = [[]]
    used = 0
    for name, text in figures:
        cells = cell_len(name) + cell_len(text) + 4
        if used and used + cells - 3 > width:
            rows.append([])
            used = 0
        rows[-1] += [(f"{name} ", "info"), (f"{text}   ", "")]
        used += cells
    return rows


class LossCurve(Pane):
    """The curve of one tier; before the first step, what is being prepared."""

    HEADING = "Loss"
    DEFAULT_CSS = "LossCurve { overflow-y: hidden; scrollbar-gutter: auto; padding: 0 1; }"

    def __init__(self, widget_id: str) -> None:
        super().__init__(widget_id)
        self.chosen = ""

    @property
    def tier(self) -> TierCourse | None:
        """The tier that is shown."""
        return self.course.tiers.get(self.chosen)

    def stamp(self) -> object:
        """Return what is drawn."""
        tier = self.tier
        if tier is None or not tier.losses.count:
            return self.chosen, tier and tier.standing, self.course.preparing, self.course.is_over
        return self.chosen, tier.losses.count, len(tier.evaluations), tier.steps

    def set_rows(self, width: int, height: int) -> Iterable[Strip]:
        """Return the plot, or a few words in the middle."""
        tier = self.tier
        self.border_title = Content(f"Loss · {one_line(self.chosen)}" if tier else "Loss")
        self.border_subtitle = Content(_legend(tier, width))
        if tier is not None and (tier.losses.count or tier.evaluations):
            marks = [(one.step, one.loss, one.is_best) for one in tier.evaluations]
            rows = plot(Curve(tier.losses.kept, tier.smooth.kept, marks, tier.steps), width, height)
            return [self.strip(row) for row in rows]
        return self._centred(_waiting(self.course, tier, width), width, height)

    def _centred(self, lines: list[InkedText], width: int, height: int) -> list[Strip]:
        rows = [Strip([]) for _ in range(max(0, (height - len(lines)) // 2))]
        for words in lines:
            cells = sum(cell_len(text) for text, _ in words)
            rows.append(self.strip([(" " * max(0, (width - cells) // 2), ""), *words]))
        return rows


def _legend(tier: TierCourse | None, width: int) -> str:
    """What the dots and marks mean, as far as there is room."""
    if tier is None or not tier.losses.count:
        return ""
    words = ["⠂ step · ⠒⠒ smoothed", "◆ best  ◇ evaluation"][: 2 if tier.evaluations else 1]
    while words and cell_len(" · ".join(words)) > width - 4:
        words.pop(0)
    return " · ".join(words)


def _waiting(course: Course, tier: TierCourse | None, width: int) -> list[InkedText]:
    if course.preparing is not None:
        return preparing_words(course.preparing, width)
    if tier is not None and tier.standing == "cached":
        return [[("as it was trained: nothing of it has changed", "empty")]]
    if tier is not None and not course.is_over:
        word = "preparing the first step" if tier.standing == "running" else "waiting"
        return [[(word, "empty")]]
    return [[("" if course.is_over else "preparing", "empty")]]


def preparing_words(event: Preparing, width: int) -> list[InkedText]:
    """Return what is being prepared, and how far it is."""
    what = fit(one_line(event.what), width)
    if not event.total:
        return [[(what, "")]]
    cells = max(4, min(_BAR, width - 8))
    done = min(max(event.done, 0), event.total)
    filled = cells * done // event.total
    bar: InkedText = [("▰" * filled, "accent"), ("▱" * (cells - filled), "faint")]
    return [[(what, "")], [*bar, (f" {100 * done // event.total:3} %", "info")]]


class Replies(Pane):
    """Sample replies, newest first, set as the story is."""

    HEADING = "Sample replies"

    def stamp(self) -> object:
        """Return how many replies there were."""
        return self.course.replied

    def set_rows(self, width: int, height: int) -> Iterable[Strip]:
        """Return a heading and the prose of each."""
        measure = Measure(0, 1, width)
        speakers = SpeakerColours(sorted({one_line(one.prompt) for one in self.course.replies}))
        rows: list[Strip] = []
        for number, reply in enumerate(reversed(self.course.replies)):
            name = one_line(reply.prompt)
            where = f"{one_line(reply.tier)} {reply.step:,}"
            item = Passage(number, "message", name, clean(reply.text), length=where)
            typeset = Typeset(item, measure, self.inks, speakers.number(name), show_marks=True)
            rows += [*(row.strip for row in typeset.rows), Strip([])]
        return rows or [self.strip([("none yet", "empty")])]


class Worst(Pane):
    """The documents that are predicted worst."""

    HEADING = "Worst documents"

    def __init__(self, widget_id: str) -> None:
        super().__init__(widget_id)
        self.chosen = ""

    def stamp(self) -> object:
        """Return what was reported last."""
        tier = self.course.tiers.get(self.chosen)
        return self.chosen, tier and tier.worst

    def set_rows(self, width: int, height: int) -> Iterable[Strip]:
        """Loss and place; of a long place the end stays."""
        tier = self.course.tiers.get(self.chosen)
        if tier is None or tier.worst is None:
            return [self.strip([("none yet", "empty")])]
        self.border_subtitle = Content(f"{one_line(tier.planned.name)}, step {tier.worst.step:,}")
        return [
            self.strip([(f"{figure(one.loss):>5}  ", "accent"), (_tail(one.source, width - 7), "")])
            for one in tier.worst.documents
        ]


def _tail(source: str, width: int) -> str:
    text = one_line(source)
    if cell_len(text) <= width:
        return text
    while text and cell_len(text) > width - 1:
        text = text[1:]
    return f"…{text}"


class News(Pane):
    """What whoever watches should know, newest first."""

    HEADING = "News"

    def stamp(self) -> object:
        """Return how much news there is."""
        return len(self.course.notices)

    def set_rows(self, width: int, height: int) -> Iterable[Strip]:
        """Return each sentence wrapped, with a mark."""
        rows: list[Strip] = []
        for notice in reversed(self.course.notices):
            mark = ("✕ ", "warning") if notice.trouble else ("· ", "accent")
            lines = wrapped(one_line(notice.text), width - 2)
            for number, line in enumerate(lines):
                rows.append(self.strip([mark if not number else ("  ", ""), (line, "")]))
        return rows or [self.strip([("none yet", "empty")])]


class Ending(Pane):
    """How the run ended, and what comes next."""

    HEADING = "The end"
    DEFAULT_CSS = "Ending { height: auto; max-height: 60%; display: none; border: round $accent; }"

    def __init__(self, widget_id: str) -> None:
        super().__init__(widget_id)
        self.lines: Sequence[str] = ()

    def stamp(self) -> object:
        """Return the lines."""
        return tuple(self.lines)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return the height of its lines."""
        return len(self._wrapped(width - self.scrollbar_size_vertical))

    def set_rows(self, width: int, height: int) -> Iterable[Strip]:
        """Return each line wrapped, what is left of it further in."""
        return [self.strip([(row, "")]) for row in self._wrapped(width)]

    def _wrapped(self, width: int) -> list[str]:
        rows: list[str] = []
        for line in self.lines:
            first = wrapped(line, width)[0]
            left = line[len(first) :].lstrip()
            rows += [first, *(f"    {row}" for row in wrapped(left, width - 4) if left)]
        return rows
