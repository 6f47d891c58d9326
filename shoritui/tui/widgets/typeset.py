"""One passage set into rows of styled text for a column of some width.

Each row knows which characters of the source stand in it. Text that streams in is set from the last
row on: a row that has another below it never changes its wording again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from shoritui.blockml import ProseLexer, Span, moods
from shoritui.tui.widgets.passage import Item, Passage
from shoritui.tui.widgets.styles import Inks
from shoritui.tui.widgets.wrap import fit, height, is_single_cell, offset_at, wrap

MoodPlace: TypeAlias = Literal["text", "name", "hidden"]
"""Where the emoji before a message are shown."""
PROSE_CELLS = 84
CARET = "▍"
_LABEL_CELLS = 24
"""How much of a bookmark's name stands beside its message."""
_LABELS = {"note": "Author's note", "description": "Enters the story", "lore": "Lore"}
_LABELS |= {"tags": "Tags", "scenario": "Scenario"}
_COMINGS = ("enter", "leave")
"""What is told in a line of its own, without a name above it."""
_MOST_MOODS = 3
"""So many moods stand beside a name."""
_STATES = {"streaming": " ● writing", "cut": " ✂ cut short", "looped": " ✂ repeated itself"}
_MARK_CHARACTERS = str.maketrans("", "", "*_")
_HIDEABLE = {"thought": "_", "sound": "*", "emphasis": "**"}


@dataclass(frozen=True, slots=True)
class Measure:
    """Where names and prose stand in a transcript."""

    left: int
    """The column of names."""
    indent: int
    """How much further right the prose stands."""
    right: int
    """The column after the last one of the prose."""

    @property
    def text_column(self) -> int:
        """Where the prose begins."""
        return self.left + self.indent

    @property
    def text_width(self) -> int:
        """How many cells a row of prose has."""
        return max(1, self.right - self.left - self.indent)


def measure(width: int) -> Measure:
    """Return the measure for a widget of some width: narrow screens get slim margins."""
    gutter, indent = (2, 2) if width >= 72 else (2, 1)
    column = max(indent + 1, min(width - 2 * gutter, PROSE_CELLS + indent))
    left = max(gutter, (width - column) // 2)
    return Measure(left, indent, left + column)


@dataclass(slots=True)
class Row:
    """One row of a passage; offsets count characters of the passage's text."""

    strip: Strip
    start: int
    end: int
    column: int = 0
    """The cell where the first piece stands."""
    pieces: tuple[tuple[int, str], ...] = ()
    """What is drawn of the source: its offset and its text."""
    buttons: tuple[tuple[int, int, int], ...] = ()
    """Cells that can be clicked: first, last + 1, and the step between alternatives."""

    def source_at(self, cell: int) -> int:
        """Return the source offset of the character drawn at a cell, or nearest to it."""
        at = cell - self.column
        for offset, text in self.pieces:
            cells = cell_len(text)
            if at < cells:
                return offset + offset_at(text, at)
            at -= cells
        return self.end if self.pieces else self.start

    def cells_of(self, start: int, end: int) -> tuple[int, int]:
        """Return the cells that the source range `[start, end)` takes in this row."""
        first = last = column = self.column
        for offset, text in self.pieces:
            stop = offset + len(text)
            if offset < start:
                first = column + cell_len(text[: start - offset])
            if offset < end:
                last = column + cell_len(text[: max(0, min(end, stop) - offset)])
            column += cell_len(text)
        return first, max(first, last)


def estimated_rows(item: Item, where: Measure) -> int:
    """Return about how many rows a passage takes, from nothing but the length of its text."""
    if item.kind == "title":
        return 2
    # Words leave about three cells of a row empty.
    return len(item.text) // max(1, where.text_width - 3) + item.text.count("\n") + 3


def rows_of(item: Passage, where: Measure, *, show_marks: bool, mood: MoodPlace = "text") -> int:
    """Return how many rows the passage takes, its blank last row included, without setting it."""
    if item.kind == "title":
        return 2
    if item.kind in _COMINGS:
        return height(item.text, where.text_width) + 1
    if show_marks or item.kind != "message":
        text = item.text
        for start, end in reversed(_moods(item, mood)):
            text = text[:start] + text[end:]
        return height(text, where.text_width) + 2
    if _moods(item, mood):
        typeset = Typeset(item, where, _BLANK_INKS, 1, show_marks=False, mood=mood)
        return len(typeset.rows) + 1
    if "```" in item.text:
        return _exact_rows(item.text, where) + 2
    *lines, last = item.text.split("\n")
    rows = sum(_rows_without_marks(line, "\n", where) for line in lines)
    return rows + _rows_without_marks(last, "", where) + 2


def _rows_without_marks(line: str, end: str, where: Measure) -> int:
    """How many rows a line takes with its marks hidden.

    Shorter words never take more rows (beside wide characters they may): only where hiding every
    mark character saves a row must the line be read to know which of them are marks.
    """
    if not is_single_cell(line):
        return _exact_rows(line + end, where) - len(end)
    most = height(line, where.text_width)
    least = height(line.translate(_MARK_CHARACTERS), where.text_width)
    return most if most == least else _exact_rows(line + end, where) - len(end)


def _exact_rows(text: str, where: Measure) -> int:
    item = Passage(0, "message", "", text)
    return len(Typeset(item, where, _BLANK_INKS, 1, show_marks=False).rows) - 1


class Typeset:
    """The rows of a passage, the blank one after it left out."""

    def __init__(
        self,
        item: Passage,
        where: Measure,
        inks: Inks,
        speaker: int,
        *,
        show_marks: bool,
        mood: MoodPlace = "text",
    ) -> None:
        self.item = item
        self.rows: list[Row] = []
        self._where = where
        self._inks = inks.all_as("hidden") if item.hidden else inks
        self._speaker = speaker
        self._show_marks = show_marks
        self._mood_place: MoodPlace = mood
        self._moods = _moods(item, mood)
        """What is not drawn of the text, though the name may show it."""
        self._lexer = ProseLexer() if item.kind == "message" else None
        if self._lexer is not None:
            self._lexer.feed(item.text)
        if item.kind == "title":
            self.rows.append(self._rule())
        else:
            if item.kind not in _COMINGS:
                self.rows.append(self._heading())
            self._set_from(0)

    def feed(self, piece: str) -> int:
        """Take text that was added to the passage; returns the first row that may differ."""
        changed = self._lexer.feed(piece) if self._lexer is not None else len(self.item.text)
        rows, before = self.rows, self._moods
        self._moods = _moods(self.item, self._mood_place)
        changed = min([changed, *(start for start, _ in {*before} ^ {*self._moods})])
        first = len(rows) - 1
        while first > 1 and rows[first].start > changed:
            first -= 1
        at = rows[first].start
        del rows[first:]
        self._set_from(at)
        self.rows[0] = self._heading()
        return first

    def row_of(self, at: int) -> int:
        """Return the row of words in which a character stands."""
        index = len(self.rows) - 1
        while index > 1 and self.rows[index].start > at:
            index -= 1
        return index

    def _set_from(self, at: int) -> None:
        text = self.item.text
        while True:
            newline = text.find("\n", at)
            end = len(text) if newline < 0 else newline
            self._set_line(at, end)
            if newline < 0:
                break
            at = newline + 1
        if self.item.status == "streaming":
            self._add_caret()

    def _set_line(self, at: int, end: int) -> None:
        pieces = self._pieces(at, end)
        drawn = "".join(text for _, text, _ in pieces)
        starts = wrap(drawn, self._where.text_width)
        piece = skipped = 0
        for start, stop in zip(starts, [*starts[1:], len(drawn)], strict=True):
            row: list[tuple[int, str, Style]] = []
            length = stop - start
            while length > 0:
                offset, text, style = pieces[piece]
                part = text[skipped : skipped + length]
                row.append((offset + skipped, part, style))
                length -= len(part)
                skipped += len(part)
                if skipped == len(text):
                    piece, skipped = piece + 1, 0
            first = row[0][0] if row else at
            last = row[-1][0] + len(row[-1][1]) if row else at
            self.rows.append(self._row(first, last, row))

    def _row(self, start: int, end: int, row: list[tuple[int, str, Style]]) -> Row:
        if row:
            offset, text, style = row[-1]
            row[-1] = (offset, text.rstrip(" "), style)
        segments = self._margin()
        segments += [Segment(text, style) for _, text, style in row if text]
        column = self._where.text_column
        cells = sum(cell_len(text) for _, text, _ in row)
        if row and self._inks_fence(start):
            padding = self._where.text_width - cells
            segments.append(Segment(" " * max(0, padding), self._inks["fence"]))
            strip = Strip(segments)
        else:
            strip = Strip(segments, column + cells)
        return Row(strip, start, end, column, tuple((offset, text) for offset, text, _ in row))

    def _margin(self) -> list[Segment]:
        where, base = self._where, self._inks.base
        if self.item.kind in _LABELS:
            bar = "┆".ljust(where.indent)
            return [Segment(" " * where.left, base), Segment(bar, self._inks["bar"])]
        return [Segment(" " * where.text_column, base)]

    def _inks_fence(self, at: int) -> bool:
        spans = self._lexer.spans if self._lexer is not None else ()
        if not spans:
            return False
        return spans[_span_at(spans, at)].kinds == ("fence",)

    def _pieces(self, start: int, end: int) -> list[tuple[int, str, Style]]:
        """The drawn parts of the source range: offset, text, style."""
        text = self.item.text
        if self._lexer is None:
            is_aside = self.item.kind in _LABELS or self.item.kind in _COMINGS
            ink = self._inks["note"] if is_aside else self._inks.base
            return [(start, text[start:end], ink)] if end > start else []
        spans = self._lexer.spans
        pieces = []
        index = _span_at(spans, start) if start < end else len(spans)
        while index < len(spans) and spans[index].start < end:
            span = spans[index]
            first, last = max(start, span.start), min(end, span.end)
            if not self._show_marks:
                begin, stop = _without_marks(text, spans, index)
                first, last = max(first, begin), min(last, stop)
            ink = self._inks.prose(span.kinds)
            pieces += [(a, text[a:b], ink) for a, b in _outside(first, last, self._moods)]
            index += 1
        return pieces

    def _add_caret(self) -> None:
        last = self.rows[-1]
        segments = [*last.strip, Segment(CARET, self._inks["caret"])]
        last.strip = Strip(segments, last.strip.cell_length + 1)

    def _heading(self) -> Row:
        item, where, inks = self.item, self._where, self._inks
        if item.kind in _LABELS:
            words = [item.speaker or _LABELS[item.kind], *_states(item)]
            label = Segment(" · ".join(words), inks["label"])
            return Row(Strip([*self._margin(), label]), 0, 0)
        right, buttons = self._heading_right()
        taken = sum(cell_len(text) for text, _ in right)
        state = _STATES.get(item.status, "")
        if item.heard is not None:
            state = f" ≈ to {item.heard or 'nobody'}{state}"
        room = where.right - where.left - taken - 2
        mood = self._beside_the_name()
        name = fit(item.speaker, max(4, room - cell_len(state + mood))) + mood
        if cell_len(name) + cell_len(state) > room:
            state = state[:2]
        gap = max(1, where.right - where.left - cell_len(name) - cell_len(state) - taken)
        mark = "✦" if item.lore else ""
        segments = [
            Segment(" " * (where.left - len(mark)), inks.base),
            Segment(mark, inks["label"]),
            Segment(name, inks[f"speaker-{self._speaker}"]),
            Segment(state, inks["writing" if item.status == "streaming" else "cut"]),
            Segment(" " * gap, inks.base),
            *(Segment(text, inks[ink]) for text, ink in right),
        ]
        start = where.right - taken
        placed = tuple((start + first, start + last, step) for first, last, step in buttons)
        return Row(Strip([segment for segment in segments if segment.text]), 0, 0, buttons=placed)

    def _beside_the_name(self) -> str:
        """Return the first moods of the message, where they stand beside its name."""
        if self._mood_place != "name":
            return ""
        text = self.item.text
        shown = dict.fromkeys("".join(text[start:end].split()) for start, end in self._moods)
        return "".join(f" {each}" for each in list(shown)[:_MOST_MOODS])

    def _heading_right(self) -> tuple[list[tuple[str, str]], list[tuple[int, int, int]]]:
        """What stands at the right of the name: alternatives, length hint, tokens."""
        item = self.item
        parts: list[tuple[str, str]] = []
        buttons: list[tuple[int, int, int]] = []
        position, count = item.version
        if count > 1:
            label = f"◀ {position}/{count} ▶"
            parts += [(label, "version"), ("  ", "info")]
            buttons = [(0, 2, -1), (len(label) - 2, len(label), 1)]
        tokens = f"{item.tokens}{'…' if item.status == 'streaming' else ''}" if item.tokens else ""
        if item.lore:
            parts += [(fit(item.lore, _LABEL_CELLS), "label"), ("  ", "info")]
        if item.label:
            parts += [(f"⚑ {fit(item.label, _LABEL_CELLS)}", "bookmark"), ("  ", "info")]
        info = " · ".join(word for word in (*_states(item), item.length, tokens) if word)
        if info:
            parts.append((info, "info"))
        return parts, buttons

    def _rule(self) -> Row:
        where, inks = self._where, self._inks
        width = where.right - where.left
        title = fit(" ".join(self.item.text.split()), width - 8)
        dashes = width - cell_len(title) - 2
        segments = [
            Segment(" " * where.left, inks.base),
            Segment("─" * (dashes // 2), inks["rule"]),
            Segment(f" {title} ", inks["title"]),
            Segment("─" * (dashes - dashes // 2), inks["rule"]),
        ]
        pieces = ((0, title),) if title == self.item.text else ()
        column = where.left + dashes // 2 + 1
        return Row(Strip(segments), 0, len(self.item.text), column, pieces)


def _moods(item: Passage, place: MoodPlace) -> list[tuple[int, int]]:
    """Return the moods that are not shown in the text."""
    return moods(item.text) if place != "text" and item.kind == "message" else []


def _outside(start: int, end: int, spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield what is left of a range without these spans."""
    for first, last in spans:
        if start < first < end:
            yield start, first
        if first < end:
            start = max(start, last)
    if start < end:
        yield start, end


_BLANK_INKS = Inks(Style.null(), {})


def _states(item: Passage) -> list[str]:
    """Return how the model reads a passage, if not as others."""
    states = {"hidden from the model": item.hidden, "pinned": item.pinned}
    return [words for words, holds in states.items() if holds]


def _span_at(spans: list[Span], offset: int) -> int:
    return max(0, bisect_right(spans, offset, key=lambda span: span.start) - 1)


def _without_marks(text: str, spans: list[Span], index: int) -> tuple[int, int]:
    """The part of a span left when the marks of what begins and ends there are hidden."""
    span = spans[index]
    before = spans[index - 1].kinds if index else ()
    after = spans[index + 1].kinds if index + 1 < len(spans) else ()
    first, last = span.start, span.end
    for kind in span.kinds:
        mark = _HIDEABLE.get(kind, "")
        if mark and kind not in before and text.startswith(mark, first, last):
            first += len(mark)
    for kind in reversed(span.kinds):
        mark = _HIDEABLE.get(kind, "")
        if mark and kind not in after and text.endswith(mark, first, last):
            last -= len(mark)
    return first, last
