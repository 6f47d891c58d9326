"""The story on the screen: one line-API widget, however many messages there are.

Only what is in sight, and a page above and below it, is measured and set; the height of the rest is
estimated from its length. When a passage turns out taller than estimated, what the reader sees
stays where it is. Text that streams in is gathered and painted at most 30 times a second, and only
the rows that differ.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from time import monotonic

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.errors import NoWidget
from textual.geometry import Offset, Region, Size
from textual.message import Message
from textual.reactive import var
from textual.screen import Screen
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollBar
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

from shoritui.tui.widgets.passage import Item, Passage, Passages, is_same, passage
from shoritui.tui.widgets.styles import Inked, Inks, SpeakerColours
from shoritui.tui.widgets.typeset import (
    Measure,
    MoodPlace,
    Row,
    Typeset,
    estimated_rows,
    measure,
    rows_of,
)
from shoritui.tui.widgets.wrap import fit

FRAME_SECONDS = 1 / 30
_KEPT_TYPESETS = 256
_LEAD = 1
"""Blank rows above the first passage."""
CHIP = " ▼ new "
CHIP_CELLS = len(CHIP) + 1
"""How many cells at the right the chip and its margin take."""
_BAR = "▌"


class Transcript(ScrollView, Inked, can_focus=True):
    """Shows passages, newest last, and stays at the end while the reader is there."""

    DEFAULT_CSS = """
    Transcript {
        width: 1fr; height: 1fr;
        overflow-x: hidden; overflow-y: scroll;
        scrollbar-size-vertical: 1;
        background: $background; color: $prose-narration;
    }
    """

    cursor: var[int | None] = var[int | None](None)
    """The index of the passage that the message keys act on."""
    empty_text: var[str] = var("")
    """What stands in the middle while there is nothing to read."""
    boundary: var[tuple[int, str] | None] = var[tuple[int, str] | None](None)
    """The passage above which a line is drawn, by its id, and what the line says."""

    @dataclass
    class TypedElsewhere(Message):
        """A letter that is no key here: it belongs into the composer."""

        character: str
        transcript: Transcript
        """Where it was typed; until its `is_typed_on` is unset, no letter is a key there."""

    class CursorMoved(Message):
        """The message cursor came to another passage, or left."""

    @dataclass
    class VersionAsked(Message):
        """An arrow of `◀ 2/3 ▶` was clicked."""

        passage: Passage
        step: int

    def __init__(
        self, *, show_marks: bool = True, mood: MoodPlace = "text", widget_id: str | None = None
    ) -> None:
        super().__init__(id=widget_id)
        self.passages = Passages((), self._made)
        self.speakers = SpeakerColours()
        self.versions: Mapping[int, Sequence[int]] = {}
        """The ids of all versions of each message that has several, by its slot."""
        self.lore: Mapping[int, str] = {}
        """The names of the lore that fired at passages, by their ids."""
        self._show_marks = show_marks
        self._mood: MoodPlace = mood
        self._index: dict[int, int] = {}
        self._heights: list[int] = []
        self._exact = bytearray()
        """Whether a height was measured, not estimated."""
        self._tops: list[int] = [_LEAD]
        self._typesets: OrderedDict[int, Typeset] = OrderedDict()
        """By the identity of their passages, which they hold."""
        self._measure: Measure = measure(80)
        self._measured_width = 0
        self._pending: dict[int, list[str]] = {}
        self._last_flush = 0.0
        self._flush_planned = False
        self._unseen = False
        self.is_typed_on = False
        """Whether a letter was handed on and the composer does not have the keys yet."""
        self._follow = True
        self._settling = False
        self._thumb = (0, 0, 0)
        self._words: re.Pattern[str] | None = None
        """What is being looked for."""

    # What is shown

    @property
    def show_marks(self) -> bool:
        """Whether the prose's own marks are seen."""
        return self._show_marks

    @show_marks.setter
    def show_marks(self, shown: bool) -> None:
        if shown != self._show_marks:
            self._show_marks = shown
            self._set_anew()

    @property
    def mood(self) -> MoodPlace:
        """Where the emoji before a message are shown."""
        return self._mood

    @mood.setter
    def mood(self, place: MoodPlace) -> None:
        if place != self._mood:
            self._mood = place
            self._set_anew()

    def _set_anew(self) -> None:
        """Set the story otherwise, where the reader is."""
        follow, (index, _) = self._follow, self._place()
        self._remeasure()
        if follow:
            self.to_end()
        else:
            self._go_to_row(self._tops[index])

    def show(self, items: Iterable[Item], *, at_end: bool = True) -> None:
        """Replace everything, and go to the end, or to the beginning."""
        self._pending.clear()
        self.passages = Passages(items, self._made)
        self.cursor = None
        self._unseen = False
        self._follow = at_end
        self._remeasure()
        if at_end:
            self.to_end()
        else:
            self._go_to_row(0)

    def update(self, items: Sequence[Item]) -> None:
        """Show another path through the story; what both have in common stays as it is.

        The cursor stays on its message, or on the one that took its place.
        """
        old = self.passages.items
        first, shortest = 0, min(len(old), len(items))
        while first < shortest and self._is_shown(old[first], items[first]):
            first += 1
        rest = 0
        while rest < shortest - first and self._is_shown(old[-1 - rest], items[-1 - rest]):
            rest += 1
        stop, new_stop = len(old) - rest, len(items) - rest
        if first == stop and first == new_stop:
            return
        at_end, (index, row), cursor = self.is_at_end, self._place(), self.cursor
        self._flush()
        changed = items[first:new_stop]
        old[first:stop] = changed
        self._heights[first:stop] = [estimated_rows(item, self._measure) for item in changed]
        self._exact[first:stop] = bytes(len(changed))
        self._index = {item.id: number for number, item in enumerate(old)}
        self.screen.clear_selection()
        self._follow = at_end
        self._stack(first)
        if cursor is not None:
            self.cursor = _moved(cursor, first, stop, new_stop, len(old)) if old else None
        if at_end:
            self.to_end()
        elif old:
            index = _moved(index, first, stop, new_stop, len(old))
            self._go_to_row(self._tops[index] + min(row, self._heights[index] - 1))
        self.refresh()

    def append(self, item: Item) -> None:
        """Add a passage at the end."""
        was_at_end = self.is_at_end
        self._flush()
        shown = self._made(item)
        self._index[shown.id] = len(self.passages)
        self.passages.items.append(shown)
        self._heights.append(self._rows_of(shown))
        self._exact.append(1)
        self._stack(len(self.passages) - 1)
        if was_at_end:
            self.to_end()
        self._tell_of_news(len(self.passages) - 1)
        self.refresh()

    def extend(self, passage_id: int, piece: str, tokens: int = 0) -> None:
        """Add text to a passage; it is painted within a thirtieth of a second."""
        if passage_id not in self._index:
            return
        self._pending.setdefault(passage_id, []).append(piece)
        self.passages[self._index[passage_id]].tokens += tokens
        if self._flush_planned:
            return
        wait = self._last_flush + FRAME_SECONDS - monotonic()
        if wait <= 0:
            self._flush()
        else:
            self._flush_planned = True
            self.set_timer(wait, self._flush)

    def replace(self, item: Item) -> None:
        """Show a passage's new state: its text, status, length or version."""
        index = self._index.get(item.id)
        if index is None:
            return
        was_at_end = self.is_at_end
        self._pending.pop(item.id, None)
        shown = self._made(item)
        self.passages.items[index] = shown
        self._typesets.pop(id(shown), None)
        self._set_height(index, self._rows_of(shown), was_at_end)
        self.refresh()

    def take_away(self, passage_ids: Iterable[int]) -> None:
        """Take passages away."""
        gone = set(passage_ids)
        self._pending = {key: text for key, text in self._pending.items() if key not in gone}
        self.update([item for item in self.passages.items if item.id not in gone])

    def holds(self, passage_id: int) -> bool:
        """Return whether the passage is shown."""
        return passage_id in self._index

    def show_lore(self, lore: Mapping[int, str]) -> None:
        """Show in the margin at which passages lore fired."""
        old, self.lore = self.lore, lore
        for passage_id in {**old, **lore}:
            index = self._index.get(passage_id)
            shown = self.passages.items[index] if index is not None else None
            if isinstance(shown, Passage) and shown.lore != lore.get(passage_id, ""):
                shown.lore = lore.get(passage_id, "")
                self._typesets.pop(id(shown), None)
                self.refresh()

    def _made(self, item: Item) -> Passage:
        if isinstance(item, Passage):
            return item
        made = passage(item, self._version(item))
        made.lore = self.lore.get(item.id, "")
        return made

    def _version(self, item: Item) -> tuple[int, int]:
        """Return which of how many versions of its message this is."""
        if isinstance(item, Passage):
            return item.version
        ids = self.versions.get(item.slot, ())
        return (ids.index(item.id) + 1, len(ids)) if item.id in ids else (1, 1)

    def _is_shown(self, shown: Item, item: Item) -> bool:
        if shown is item:
            return True
        if isinstance(shown, Passage) and shown.version != self._version(item):
            return False
        return is_same(shown, item)

    @property
    def at_cursor(self) -> Passage | None:
        """The passage under the message cursor."""
        return None if self.cursor is None else self.passages[self.cursor]

    @property
    def place(self) -> int:
        """Where the reader is: the passage under the cursor, else the one at the top."""
        return self._place()[0] if self.cursor is None else self.cursor

    # Measuring and painting

    @property
    def is_at_end(self) -> bool:
        """Whether the reader is at the end, or one row away."""
        return self.scroll_offset.y >= self.max_scroll_y - 1

    def to_end(self) -> None:
        """Go to the end, and stay there while the story grows."""
        self._follow = True
        self._go_to_row(self.max_scroll_y)
        if self._unseen:
            self._unseen = False
            self.refresh()

    def go_to(self, passage_id: int, at: int = 0) -> bool:
        """Take the message cursor to a passage and show it, the one character of it at least."""
        index = self._index.get(passage_id)
        if index is None:
            return False
        self.cursor = index
        self._show_cursor()
        row = self._tops[index] + self._typeset(index).row_of(at)
        if not self.scroll_offset.y <= row < self.scroll_offset.y + self.size.height:
            self._go_to_row(row - self.size.height // 2)
        return True

    def _go_to_row(self, y: int) -> None:
        self.scroll_to(y=max(0, y), animate=False, force=True)
        self._settle()

    def _rows_of(self, item: Passage) -> int:
        return rows_of(item, self._measure, show_marks=self._show_marks, mood=self._mood)

    def _remeasure(self) -> None:
        self._measure = measure(self._measured_width or 80)
        self._typesets.clear()
        items = self.passages.items
        self._index = {item.id: index for index, item in enumerate(items)}
        self._heights = [estimated_rows(item, self._measure) for item in items]
        self._exact = bytearray(len(items))
        self._stack(0)
        self.refresh()

    def _stack(self, first: int) -> None:
        """Find the rows where passages begin, from the first one whose height is another."""
        self._tops[first:] = accumulate(self._heights[first:], initial=self._tops[first])
        self._set_extent()

    def _settle(self) -> None:
        """Measure what is in sight and a page around it; what the reader sees stays in place."""
        if self._settling or not self._measured_width:
            return
        self._settling = True
        follow, page = self._follow, max(1, self.size.height)
        try:
            while self.passages:
                y = self.scroll_offset.y
                near = range(self._at_row(y - page), self._at_row(y + 2 * page) + 1)
                rough = [index for index in near if not self._exact[index]]
                if not rough:
                    return
                index, row = self._place()
                for each in rough:
                    self._heights[each] = self._rows_of(self.passages[each])
                    self._exact[each] = 1
                self._stack(rough[0])
                seen = self._tops[index] + min(row, self._heights[index] - 1)
                y = self.max_scroll_y if follow else seen
                self.scroll_to(y=y, animate=False, force=True)
        finally:
            self._settling = False
            self._follow = follow

    def _tell_of_news(self, index: int) -> None:
        """Words have come; if the reader cannot see them, a chip says so."""
        seen = self.scroll_offset.y + self.size.height
        if not self._unseen and not self.is_at_end and self._tops[index + 1] > seen:
            self._unseen = True
            self.refresh()

    def _set_height(self, index: int, rows: int, was_at_end: bool) -> None:
        """A passage takes other rows; what is seen of those below it stays where it is."""
        if rows == self._heights[index]:
            self._exact[index] = 1
            return
        top, row = self._place()
        self._heights[index], self._exact[index] = rows, 1
        self._stack(index)
        if was_at_end:
            self.to_end()
        elif index < top:
            self._go_to_row(self._tops[top] + row)
        else:
            self._settle()

    def _set_extent(self) -> None:
        """Tell the scrollbar how long the story is, without laying out the whole screen.

        Assigning `virtual_size` would do that, at 9 ms a time.
        """
        rows = self._tops[-1]
        self.set_reactive(Widget.virtual_size, Size(self._measured_width, rows))
        self._move_thumb()
        if self.scroll_offset.y > self.max_scroll_y:
            self.scroll_to(y=self.max_scroll_y, animate=False, force=True)

    def on_resize(self) -> None:
        """Set the story for the new width, keeping the reader's place."""
        width = self.scrollable_content_region.width
        if not width or width == self._measured_width:
            self._settle()
            self.call_after_refresh(self._keep_end)
            return
        follow, (index, row) = self._follow, self._place()
        words = self._typeset(index).rows[row:] if row > 0 and self._measured_width else []
        self._measured_width = width
        self._remeasure()
        if follow or not self.passages:
            self.to_end()
            self.call_after_refresh(self._keep_end)
            return
        typeset = self._typeset(index)
        row = typeset.row_of(words[0].start) if words else len(typeset.rows) if row > 0 else 0
        self._go_to_row(self._tops[index] + row)

    def _keep_end(self) -> None:
        if self._follow:
            self.to_end()

    def _place(self) -> tuple[int, int]:
        """The passage at the top of the window, and its row there."""
        y = min(self.scroll_offset.y, max(0, self._tops[-1] - 1))
        index = self._at_row(y)
        return index, y - self._tops[index]

    def _at_row(self, y: int) -> int:
        """The passage at a row of the story, or the one nearest to it."""
        return max(0, min(bisect_right(self._tops, y) - 1, len(self._heights) - 1))

    def notify_style_update(self) -> None:
        """Forget every style: the theme or the focus changed."""
        super().notify_style_update()
        self._typesets.clear()

    def _typeset(self, index: int) -> Typeset:
        item = self.passages[index]
        known = self._typesets.get(id(item))
        if known is not None:
            self._typesets.move_to_end(id(item))
            return known
        speaker = self.speakers.number(item.speaker)
        made = Typeset(
            *(item, self._measure, self.inks, speaker),
            show_marks=self._show_marks,
            mood=self._mood,
        )
        self._typesets[id(item)] = made
        if len(self._typesets) > _KEPT_TYPESETS:
            self._typesets.popitem(last=False)
        return made

    def _flush(self) -> None:
        """Paint the text that has arrived since the last time."""
        self._flush_planned = False
        self._last_flush = monotonic()
        pending, self._pending = self._pending, {}
        for passage_id, pieces in pending.items():
            if passage_id in self._index:
                self._add_text(self._index[passage_id], "".join(pieces))

    def _add_text(self, index: int, piece: str) -> None:
        was_at_end = self.is_at_end
        typeset = self._typeset(index)
        before = [row.strip for row in typeset.rows]
        self.passages[index].text += piece
        first = typeset.feed(piece)
        rows = typeset.rows
        while first < min(len(before), len(rows)) and before[first] == rows[first].strip:
            first += 1
        if len(rows) + 1 != self._heights[index]:
            self._set_height(index, len(rows) + 1, was_at_end)
            self._tell_of_news(index)
        last = len(rows) + 1 if index == len(self.passages) - 1 else self.size.height
        self._refresh_rows(self._tops[index], 1)
        self._refresh_rows(self._tops[index] + first, last - first)

    def _refresh_rows(self, y: int, count: int) -> None:
        top = y - self.scroll_offset.y
        first, last = max(0, top), min(self.size.height, top + count)
        if first < last:
            self.refresh(Region(0, first, self.size.width, last - first))

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return rows of the window, without Textual's cache of styles between.

        There is no border or padding to add, and a row that was painted before is the same strip
        again, which remembers what became of it: that halves the cost of scrolling.
        """
        filters, background = self.get_line_filters(), self.background_colors[1]
        first, last = crop.column_span
        strips = []
        for y in crop.line_range:
            strip = self.render_line(y)
            for line_filter in filters:
                strip = strip.apply_filter(line_filter, background)
            strips.append(strip.crop(first, last))
        return strips

    def render_line(self, y: int) -> Strip:
        """Return one row of the window."""
        width, base = self.size.width, self.inks.base
        if not self.passages:
            lines = self.empty_text.split("\n")
            return _centred(lines, y, width, self.size.height, self.inks)
        row_y = self.scroll_offset.y + y
        strip = self._row_strip(row_y).crop_extend(0, width, base)
        if self._unseen and y == self.size.height - 1:
            return _with_chip(strip, width, self.inks)
        return strip

    def _row_strip(self, row_y: int) -> Strip:
        found = self._row_at(row_y)
        if found is None:
            return Strip.blank(self.size.width, self.inks.base)
        index, row = found
        if row is None:
            return self._between(index + 1)
        strip = self._with_selection(self._with_found(row.strip, index, row), index, row)
        if index == self.cursor:
            strip = _with_bar(strip, self._measure.left - 2, self.size.width, self.inks)
        return strip

    def _between(self, index: int) -> Strip:
        """The row above a passage: blank, or the line from which on the model reads."""
        if self.boundary is None or self._index.get(self.boundary[0]) != index:
            return Strip([])
        left, right = self._measure.left, self._measure.right
        words = fit(f"┄┄ {self.boundary[1]} ", right - left)
        line = words + "┄" * (right - left - cell_len(words))
        return Strip([Segment(" " * left, self.inks.base), Segment(line, self.inks["label"])])

    def _row_at(self, row_y: int) -> tuple[int, Row | None] | None:
        """The passage at a row of the story and its row; none for the blank one below it."""
        if not self._tops[0] <= row_y < self._tops[-1]:
            return None
        index = bisect_right(self._tops, row_y) - 1
        rows = self._typeset(index).rows
        inside = row_y - self._tops[index]
        return index, rows[inside] if inside < len(rows) else None

    # Reading keys, the message cursor

    def move_cursor(self, step: int) -> None:
        """Move the message cursor; the first move takes the last message in sight."""
        if not self.passages:
            return
        last = len(self.passages) - 1
        if self.cursor is None:
            self.cursor = self._at_row(self.scroll_offset.y + self.size.height - 1)
        else:
            self.cursor = max(0, min(self.cursor + step, last))
        self._show_cursor()

    def _show_cursor(self) -> None:
        index, height = self.cursor, self.size.height
        if index is None:
            return
        if not self._exact[index]:
            self._set_height(index, self._rows_of(self.passages[index]), self.is_at_end)
        for _ in range(2):  # Going there may measure what stands between.
            top, bottom, y = self._tops[index], self._tops[index + 1], self.scroll_offset.y
            if index == 0 and bottom - top < height:
                self._go_to_row(0)
            elif index == len(self.passages) - 1 and bottom - top < height:
                self.to_end()
            elif top < y or bottom - top >= height:
                self._go_to_row(top)
            elif bottom > y + height:
                self._go_to_row(bottom - height)

    def watch_cursor(self) -> None:
        """Repaint the bar beside the message."""
        self.refresh()
        self.post_message(self.CursorMoved())

    def watch_empty_text(self) -> None:
        """Repaint the middle."""
        self.refresh()

    def watch_boundary(self) -> None:
        """Repaint the line."""
        self.refresh()

    # Finding

    def find(self, words: str) -> list[int]:
        """Mark these words wherever they stand, or nothing; return the places of what has them."""
        self._words = re.compile(re.escape(words), re.IGNORECASE) if words else None
        self.refresh()
        if self._words is None:
            return []
        folded = words.casefold()
        items = enumerate(self.passages.items)
        return [place for place, item in items if folded in item.text.casefold()]

    def first_found(self, place: int) -> int:
        """Return where in a passage the words that are looked for stand first."""
        text = self.passages[place].text
        found = self._words.search(text) if self._words is not None else None
        return found.start() if found is not None else 0

    def _with_found(self, strip: Strip, index: int, row: Row) -> Strip:
        if self._words is None or not row.pieces:
            return strip
        for found in self._words.finditer(self.passages[index].text):
            if found.start() < row.end and found.end() > row.start:
                first, last = row.cells_of(*found.span())
                strip = _with_mark(strip, first, last, self.inks.over("found"))
        return strip

    def _move_thumb(self) -> None:
        """Tell the scrollbar where it stands, and repaint it only where that can be seen."""
        if not self.show_vertical_scrollbar:
            return
        bar, rows, height = self.vertical_scrollbar, self._tops[-1], max(1, self.size.height)
        bar.set_reactive(ScrollBar.window_virtual_size, rows)
        bar.set_reactive(ScrollBar.position, self.scroll_y)
        eighths = 8 * height / max(1, rows)
        thumb = (round(self.scroll_y * eighths), round(height * eighths), height)
        if thumb != self._thumb:
            self._thumb = thumb
            bar.refresh()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Take the chip away once the reader is at the end."""
        self._move_thumb()
        if round(old_value) != round(new_value):
            self.refresh(self.size.region)
        if not self._settling:
            self._follow = self.is_at_end
            self._settle()
        if self._unseen and self.is_at_end:
            self._unseen = False
            self.refresh()

    def on_key(self, event: events.Key) -> None:
        """Hand letters on that no action here is bound to."""
        character = event.character
        is_key = event.key in self.screen.active_bindings and not self.is_typed_on
        if event.is_printable and character and not is_key:
            event.stop()
            # What comes before the composer has the keys, however fast, is of the same word.
            self.is_typed_on = True
            self.post_message(self.TypedElsewhere(character, self))

    def on_click(self, event: events.Click) -> None:
        """Go to the end, step between alternatives, or take the message cursor there."""
        if (
            self._unseen
            and event.y == self.size.height - 1
            and event.x >= self.size.width - CHIP_CELLS
        ):
            self.to_end()
            return
        found = self._row_at(self.scroll_offset.y + event.y)
        if found is None or self.screen.get_selected_text():
            return
        index, row = found
        for first, last, step in row.buttons if row else ():
            if first <= event.x < last:
                self.post_message(self.VersionAsked(self.passages[index], step))
                return
        self.cursor = index

    # Selection: x is an offset in a passage's text, y the passage's index

    def source_offset(self, x: int, y: int) -> Offset | None:
        """Return the place in the story's text that is drawn at a cell of the window."""
        row_y = max(self._tops[0], min(self.scroll_offset.y + y, self._tops[-1] - 1))
        found = self._row_at(row_y)
        if found is None:
            return None
        index, row = found
        end = len(self.passages[index].text)
        return Offset(end if row is None else row.source_at(x), index)

    def _with_selection(self, strip: Strip, index: int, row: Row) -> Strip:
        selection = self.text_selection
        span = selection.get_span(index) if selection is not None else None
        if span is None or not row.pieces:
            return strip
        start, end = span
        first, last = row.cells_of(start, len(self.passages[index].text) if end < 0 else end)
        return _with_mark(strip, first, last, self.inks.over("selection"))

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Return the selected source text: not its rows, and with the names between messages."""
        first = selection.start.y if selection.start is not None else 0
        last = selection.end.y if selection.end is not None else len(self.passages) - 1
        parts: list[str] = []
        for index in range(first, min(last + 1, len(self.passages))):
            item, span = self.passages[index], selection.get_span(index)
            if span is None:
                continue
            start, end = span
            text = item.text[start : len(item.text) if end < 0 else end]
            parts.append(f"{item.speaker}: {text}" if parts and item.speaker else text)
        return ("\n\n".join(parts), "\n") if parts else None


class StoryScreen(Screen[None]):
    """A screen where text in transcripts is selected by its source, not by its rows."""

    def get_widget_and_offset_at(self, x: int, y: int) -> tuple[Widget | None, Offset | None]:
        """Return the widget at a cell, and the place in its text."""
        try:
            widget, region = self.get_widget_at(x, y)
        except NoWidget:
            return None, None
        if isinstance(widget, Transcript):
            return widget, widget.source_offset(x - region.x, y - region.y)
        return super().get_widget_and_offset_at(x, y)


def _with_chip(strip: Strip, width: int, inks: Inks) -> Strip:
    """The row with the chip that leads to the end."""
    start = max(0, width - CHIP_CELLS)
    chip = Strip([Segment(CHIP, inks["chip"])], len(CHIP))
    return Strip.join([strip.crop(0, start), chip, strip.crop(start + len(CHIP))])


def _with_bar(strip: Strip, column: int, width: int, inks: Inks) -> Strip:
    """The row with the message cursor's bar in its margin."""
    margin = Strip([Segment(" " * column, inks.base), Segment(_BAR, inks["cursor"])])
    return Strip.join([margin, strip.crop_extend(column + 1, width, inks.base)])


def _with_mark(strip: Strip, first: int, last: int, mark: Style) -> Strip:
    """The row with the cells from `first` to before `last` marked."""
    if last <= first:
        return strip
    chosen = strip.crop(first, last)
    marked = Strip([Segment(text, (style or Style.null()) + mark) for text, style, _ in chosen])
    return Strip.join([strip.crop(0, first), marked, strip.crop(last)])


def _moved(index: int, first: int, stop: int, new_stop: int, count: int) -> int:
    """Where something stands once `new_stop - first` passages took the place of others."""
    if index >= stop:
        return index + new_stop - stop
    return index if index < first else min(index, max(first, new_stop - 1), count - 1)


def _centred(lines: list[str], y: int, width: int, height: int, inks: Inks) -> Strip:
    """Row `y` of an empty window with some lines in its middle."""
    index = y - max(0, (height - len(lines)) // 2)
    if not 0 <= index < len(lines):
        return Strip.blank(width, inks.base)
    segment = Segment(lines[index].strip().center(width), inks["empty"])
    return Strip([segment]).crop_extend(0, width, inks.base)
