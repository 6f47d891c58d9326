"""The story on the screen: one line-API widget, however many messages there are.

It does not know the director or the store: it is given passages and pieces of text. A story of
10,000 messages costs what its visible rows cost; text that streams in is gathered and painted at
most 30 times a second, and only the rows that differ.

Run alone (`python -m shoritui.tui.transcript`) it plays a recorded scene.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable
from itertools import accumulate
from time import monotonic

from textual import events
from textual.geometry import Offset, Region, Size
from textual.message import Message
from textual.reactive import var
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollBar
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

from shoritui.tui.decor import CHIP_CELLS, centred, with_bar, with_chip, with_mark
from shoritui.tui.inks import Inks, SpeakerColours, inks_of
from shoritui.tui.passage import Passage
from shoritui.tui.typeset import Measure, Row, Typeset, measure, rows_of

FRAME_SECONDS = 1 / 30
_KEPT_TYPESETS = 256
_LEAD = 1
"""Blank rows above the first passage."""


class Transcript(ScrollView, can_focus=True):
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

    class TypedElsewhere(Message):
        """A letter that is no key here: it belongs into the composer."""

        def __init__(self, character: str) -> None:
            super().__init__()
            self.character = character

    class CursorMoved(Message):
        """The message cursor came to another passage, or left."""

    class VersionAsked(Message):
        """An arrow of `◀ 2/3 ▶` was clicked."""

        def __init__(self, passage: Passage, step: int) -> None:
            super().__init__()
            self.passage = passage
            self.step = step

    def __init__(self, *, show_marks: bool = True, widget_id: str | None = None) -> None:
        super().__init__(id=widget_id)
        self.passages: list[Passage] = []
        self.speakers = SpeakerColours()
        self._show_marks = show_marks
        self._index: dict[int, int] = {}
        self._heights: list[int] = []
        self._tops: list[int] = [_LEAD]
        self._typesets: OrderedDict[int, Typeset] = OrderedDict()
        self._measure: Measure = measure(80)
        self._measured_width = 0
        self._inks: Inks | None = None
        self._pending: dict[int, list[str]] = {}
        self._last_flush = 0.0
        self._flush_planned = False
        self._unseen = False
        self._follow = True
        self._thumb = (0, 0, 0)

    # What is shown

    def show(self, passages: Iterable[Passage], *, at_end: bool = True) -> None:
        """Replaces everything, and goes to the end, or to the beginning."""
        self._pending.clear()
        self.passages = list(passages)
        self.cursor = None
        self._unseen = False
        self._remeasure()
        if at_end:
            self.to_end()
        else:
            self._follow = False
            self.scroll_to(y=0, animate=False, force=True)

    def append(self, item: Passage) -> None:
        """Adds a passage at the end."""
        was_at_end = self.is_at_end
        self._flush()
        self._index[item.id] = len(self.passages)
        self.passages.append(item)
        self._heights.append(self._rows_of(item))
        self._grow(len(self.passages) - 1, was_at_end)
        self.refresh()

    def extend(self, passage_id: int, piece: str, tokens: int = 0) -> None:
        """Adds text to a passage; it is painted within a thirtieth of a second."""
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

    def replace(self, item: Passage) -> None:
        """Shows a passage's new state: its text, status, length or version."""
        index = self._index.get(item.id)
        if index is None:
            return
        was_at_end = self.is_at_end
        self._pending.pop(item.id, None)
        self.passages[index] = item
        self._typesets.pop(index, None)
        height = self._rows_of(item)
        if height != self._heights[index]:
            self._heights[index] = height
            self._grow(index, was_at_end)
        self.refresh()

    def take_away(self, passage_ids: Iterable[int]) -> None:
        """Takes passages away."""
        gone = set(passage_ids)
        self._pending = {key: text for key, text in self._pending.items() if key not in gone}
        at_end = self.is_at_end
        cursor = self.cursor
        self.passages = [item for item in self.passages if item.id not in gone]
        self.screen.clear_selection()
        self._remeasure()
        if cursor is not None:
            self.cursor = min(cursor, len(self.passages) - 1) if self.passages else None
        if at_end:
            self.to_end()

    def holds(self, passage_id: int) -> bool:
        """Whether the passage is shown."""
        return passage_id in self._index

    def version_of(self, passage_id: int) -> tuple[int, int]:
        """Which of how many alternatives the passage is shown as."""
        index = self._index.get(passage_id)
        return (1, 1) if index is None else self.passages[index].version

    def mark_version(self, passage_id: int, version: tuple[int, int]) -> None:
        """Shows `◀ 2/3 ▶` at this passage, and at no other: here is where one may choose."""
        for index, item in enumerate(self.passages):
            wanted = version if item.id == passage_id else (1, 1)
            if item.version != wanted:
                item.version = wanted
                self._typesets.pop(index, None)
                self.refresh()

    @property
    def at_cursor(self) -> Passage | None:
        """The passage under the message cursor."""
        return None if self.cursor is None else self.passages[self.cursor]

    # Measuring and painting

    @property
    def is_at_end(self) -> bool:
        """Whether the reader is at the end, or one row away."""
        return self.scroll_offset.y >= self.max_scroll_y - 1

    def to_end(self) -> None:
        """Goes to the end, and stays there while the story grows."""
        self._follow = True
        self.scroll_to(y=self.max_scroll_y, animate=False, force=True)
        if self._unseen:
            self._unseen = False
            self.refresh()

    def _rows_of(self, item: Passage) -> int:
        return rows_of(item, self._measure, show_marks=self._show_marks)

    def _remeasure(self) -> None:
        width = self._measured_width
        self._measure = measure(width or 80)
        self._typesets.clear()
        self._index = {item.id: index for index, item in enumerate(self.passages)}
        self._heights = [self._rows_of(item) for item in self.passages]
        self._tops = list(accumulate(self._heights, initial=_LEAD))
        self._set_extent()
        self.refresh()

    def _grow(self, index: int, stay_at_end: bool) -> None:
        del self._tops[index + 1 :]
        for height in self._heights[index:]:
            self._tops.append(self._tops[-1] + height)
        self._set_extent()
        if stay_at_end:
            self.to_end()
        elif not self._unseen:
            self._unseen = True
            self.refresh()

    def _set_extent(self) -> None:
        """Tells the scrollbar how long the story is, without laying out the whole screen.

        Assigning `virtual_size` would do that, at 9 ms a time.
        """
        rows = self._tops[-1]
        self.set_reactive(Widget.virtual_size, Size(self._measured_width, rows))
        self._move_thumb()
        if self.scroll_offset.y > self.max_scroll_y:
            self.scroll_to(y=self.max_scroll_y, animate=False, force=True)

    def on_resize(self) -> None:
        """Sets the story for the new width, keeping the reader's place."""
        width = self.scrollable_content_region.width
        if not width or width == self._measured_width:
            self.call_after_refresh(self._keep_end)
            return
        place = self._place()
        self._measured_width = width
        self._remeasure()
        if self._follow:
            self.to_end()
            self.call_after_refresh(self._keep_end)
        else:
            index, row = place
            self.scroll_to(y=self._tops[index] + min(row, self._heights[index] - 1), animate=False)

    def _keep_end(self) -> None:
        if self._follow:
            self.to_end()

    def _place(self) -> tuple[int, int]:
        """The passage at the top of the window, and its row there."""
        y = min(self.scroll_offset.y, max(0, self._tops[-1] - 1))
        index = max(0, min(bisect_right(self._tops, y) - 1, len(self._heights) - 1))
        return index, y - self._tops[index]

    def notify_style_update(self) -> None:
        """Forgets every style: the theme or the focus changed."""
        super().notify_style_update()
        self._inks = None
        self._typesets.clear()

    @property
    def inks(self) -> Inks:
        """The styles of the current theme."""
        if self._inks is None:
            self._inks = inks_of(self)
        return self._inks

    def _typeset(self, index: int) -> Typeset:
        known = self._typesets.get(index)
        if known is not None:
            self._typesets.move_to_end(index)
            return known
        item = self.passages[index]
        speaker = self.speakers.number(item.speaker)
        made = Typeset(item, self._measure, self.inks, speaker, show_marks=self._show_marks)
        self._typesets[index] = made
        if len(self._typesets) > _KEPT_TYPESETS:
            self._typesets.popitem(last=False)
        return made

    def _flush(self) -> None:
        """Paints the text that has arrived since the last time."""
        self._flush_planned = False
        self._last_flush = monotonic()
        pending, self._pending = self._pending, {}
        for passage_id, pieces in pending.items():
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
            self._heights[index] = len(rows) + 1
            self._grow(index, was_at_end)
        last = len(rows) + 1 if index == len(self.passages) - 1 else self.size.height
        self._refresh_rows(self._tops[index], 1)
        self._refresh_rows(self._tops[index] + first, last - first)

    def _refresh_rows(self, y: int, count: int) -> None:
        top = y - self.scroll_offset.y
        first, last = max(0, top), min(self.size.height, top + count)
        if first < last:
            self.refresh(Region(0, first, self.size.width, last - first))

    def render_lines(self, crop: Region) -> list[Strip]:
        """Rows of the window, without Textual's cache of styles between.

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
        """One row of the window."""
        width, base = self.size.width, self.inks.base
        if not self.passages:
            lines = self.empty_text.split("\n")
            return centred(lines, y, width, self.size.height, self.inks)
        row_y = self.scroll_offset.y + y
        strip = self._row_strip(row_y).crop_extend(0, width, base)
        if self._unseen and y == self.size.height - 1:
            return with_chip(strip, width, self.inks)
        return strip

    def _row_strip(self, row_y: int) -> Strip:
        found = self._row_at(row_y)
        if found is None:
            return Strip.blank(self.size.width, self.inks.base)
        index, row = found
        strip = row.strip if row else Strip([])
        if row is not None:
            strip = self._with_selection(strip, index, row)
        if index == self.cursor and row is not None:
            strip = with_bar(strip, self._measure.left - 2, self.size.width, self.inks)
        return strip

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
        """Moves the message cursor; the first move takes the last message in sight."""
        if not self.passages:
            return
        if self.cursor is None:
            bottom = self.scroll_offset.y + self.size.height - 1
            last = min(bisect_right(self._tops, bottom) - 1, len(self.passages) - 1)
            self.cursor = last if step < 0 or last < len(self.passages) - 1 else None
        else:
            self.cursor = max(0, min(self.cursor + step, len(self.passages) - 1))
        self._show_cursor()

    def _show_cursor(self) -> None:
        if self.cursor is None:
            return
        top, bottom = self._tops[self.cursor], self._tops[self.cursor + 1]
        y, height = self.scroll_offset.y, self.size.height
        if self.cursor == 0:
            self.scroll_to(y=0, animate=False)
        elif self.cursor == len(self.passages) - 1 and bottom - top < height:
            self.to_end()
        elif top < y or bottom - top >= height:
            self.scroll_to(y=top, animate=False)
        elif bottom > y + height:
            self.scroll_to(y=bottom - height, animate=False)

    def watch_cursor(self) -> None:
        """Repaints the bar beside the message."""
        self.refresh()
        self.post_message(self.CursorMoved())

    def watch_empty_text(self) -> None:
        """Repaints the middle."""
        self.refresh()

    def _move_thumb(self) -> None:
        """Tells the scrollbar where it stands, and repaints it only where that can be seen."""
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
        """Takes the chip away once the reader is at the end."""
        self._move_thumb()
        if round(old_value) != round(new_value):
            self.refresh(self.size.region)
        self._follow = self.is_at_end
        if self._unseen and self.is_at_end:
            self._unseen = False
            self.refresh()

    def on_key(self, event: events.Key) -> None:
        """Hands letters on that no action here is bound to."""
        character = event.character
        if event.is_printable and character and event.key not in self.screen.active_bindings:
            event.stop()
            self.post_message(self.TypedElsewhere(character))

    def on_click(self, event: events.Click) -> None:
        """Goes to the end, steps between alternatives, or takes the message cursor there."""
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
        """The place in the story's text that is drawn at a cell of the window."""
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
        return with_mark(strip, first, last, self.inks) if last > first else strip

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected source text: not its rows, and with the names between messages."""
        parts: list[str] = []
        for index, item in enumerate(self.passages):
            span = selection.get_span(index)
            if span is None:
                continue
            start, end = span
            text = item.text[start : len(item.text) if end < 0 else end]
            parts.append(f"{item.speaker}: {text}" if parts and item.speaker else text)
        return ("\n\n".join(parts), "\n") if parts else None


if __name__ == "__main__":
    from shoritui.tui.rehearsal import Rehearsal

    Rehearsal().run()
