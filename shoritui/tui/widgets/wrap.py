"""Where the rows of a paragraph begin, counted in terminal cells.

    wrap("Nobody has oiled it.", 10)    [0, 11]

A row breaks after spaces, and beside wide characters (Chinese, Japanese, emoji) unless the next
one may not begin a row. Spaces at a row's end hang: they take no width. A word wider than a row
is cut between graphemes. Breaking is greedy, so a row never changes when text is appended after
the row that follows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.cells import cell_len, get_character_cell_size, split_graphemes

_SINGLE = "\x21-\x7e\xa0-\xac\xae-\u02ff\u0370-\u0482\u2010-\u2027\u2030-\u205e\u2500-\u25fc"
_NOT_SINGLE = re.compile(f"[^ {_SINGLE}]")
_CHUNK = re.compile(f" +|[{_SINGLE}]+|(.)", re.DOTALL)
_JOINERS = re.compile("[\u200d\ufe0f]")
_NO_ROW_START = frozenset("、。，．・：；？！゛゜ヽヾゝゞ々ー）］｝〕〉》」』】〙〗’”,.:;!?)]}'\"…")


def is_single_cell(text: str) -> bool:
    """Return whether every character of the text is one grapheme, one cell wide."""
    return text.isascii() or _NOT_SINGLE.search(text) is None


def wrap(line: str, width: int) -> list[int]:
    """Return the offset of each row's first character; `line` holds no newline, `width` is >= 1."""
    if is_single_cell(line):
        return _wrap_single(line, width)
    return _wrap_cells(line, width)


def wrapped(line: str, width: int) -> list[str]:
    """Return the rows of a line, without the spaces at their ends."""
    starts = wrap(line, max(1, width))
    return [line[a:b].rstrip() for a, b in zip(starts, [*starts[1:], len(line)], strict=True)]


def height(text: str, width: int) -> int:
    """Return how many rows a text of one or more lines takes."""
    if is_single_cell(text):
        return sum(
            len(_wrap_single(line, width)) if len(line) > width else 1 for line in text.split("\n")
        )
    return sum(len(wrap(line, width)) if 2 * len(line) > width else 1 for line in text.split("\n"))


def _wrap_single(line: str, width: int) -> list[int]:
    starts, at = [0], 0
    end = len(line.rstrip(" "))
    while end - at > width:
        space = line.rfind(" ", at, at + width + 1)
        if space < at:
            at += width
        else:
            at = space + 1
            while line[at] == " ":
                at += 1
        starts.append(at)
    return starts


def _wrap_cells(line: str, width: int) -> list[int]:
    starts, row_start, used = [0], 0, 0
    break_at, used_at_break = 0, 0
    after_wide = False
    for start, end, cells, is_run in _chunks(line):
        first = line[start]
        if first == " " or (not cells and 0 < start == break_at):
            used += cells
            break_at, used_at_break, after_wide = end, used, False
            continue
        if not cells:
            continue
        wide = not is_run and get_character_cell_size(first) > 1
        if (wide or (after_wide and first.isalnum())) and first not in _NO_ROW_START:
            break_at, used_at_break = start, used
        if used + cells > width and break_at > row_start:
            row_start, used = break_at, used - used_at_break
            starts.append(row_start)
        while used + cells > width:
            room = max(0, width - used) if is_run else 0
            if start + room <= row_start:
                break
            start += room
            cells -= room
            row_start, used = start, 0
            starts.append(row_start)
        used += cells
        after_wide = wide
    return starts


def _chunks(line: str) -> Iterator[tuple[int, int, int, bool]]:
    """Start, end and cells of each run of spaces or single cells, or else of one grapheme."""
    if _JOINERS.search(line):
        for start, end, cells in split_graphemes(line)[0]:
            yield start, end, cells, False
        return
    for match in _CHUNK.finditer(line):
        start, end = match.span()
        if match.lastindex is None:
            yield start, end, end - start, True
        else:
            yield start, end, get_character_cell_size(match[0]), False


def offset_at(text: str, cell: int) -> int:
    """Return the offset of the character that covers a cell of a text; its length past the end."""
    if is_single_cell(text):
        return min(max(cell, 0), len(text))
    used = 0
    for start, _end, cells in split_graphemes(text)[0]:
        used += cells
        if used > cell:
            return start
    return len(text)


def fit(text: str, width: int) -> str:
    """Return the text cut to at most `width` cells, with `…` in place of what was cut."""
    if cell_len(text) <= width:
        return text
    if width <= 0:
        return ""
    return text[: offset_at(text, width - 1)] + "…"
