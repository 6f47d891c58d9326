"""Wrapping against an oracle that tries every break, one grapheme at a time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len, get_character_cell_size, split_graphemes

from shoritui.tui.widgets.wrap import _NO_ROW_START, fit, height, offset_at, wrap

LETTERS = "ab é—‘’漢字、。🙂☺\u0301\u200d\ufe0f👩  "
lines = st.text(alphabet=LETTERS, max_size=40) | st.text(
    alphabet=st.characters(blacklist_categories=("Cc", "Cs")), max_size=30
)
widths = st.integers(min_value=1, max_value=20)


def oracle(line: str, width: int) -> list[int]:
    """Takes the longest row that fits, again and again, by looking at every place to break."""
    graphemes = split_graphemes(line)[0]
    starts = [0]
    while True:
        begin = starts[-1]
        rest = [grapheme for grapheme in graphemes if grapheme[0] >= begin]
        used, last_break, cut = 0, None, None
        before = ""
        for start, end, cells in rest:
            first = line[start]
            if first == " ":
                used += cells
                last_break = end
                before = " "
                continue
            wide = get_character_cell_size(first) > 1
            beside = get_character_cell_size(before) > 1 if before else False
            may = (wide or (beside and first.isalnum())) and first not in _NO_ROW_START
            if start > begin and may:
                last_break = start
            if used + cells > width and start > begin:
                cut = last_break if last_break is not None else start
                break
            used += cells
            before = first if cells else before
        if cut is None:
            return starts
        starts.append(cut)


@given(lines, widths)
def test_rows_are_the_longest_that_fit(line: str, width: int) -> None:
    assert wrap(line, width) == oracle(line, width)


@given(lines, widths)
def test_no_row_is_wider_than_the_column(line: str, width: int) -> None:
    starts = wrap(line, width)
    for start, end in zip(starts, [*starts[1:], len(line)], strict=True):
        graphemes = split_graphemes(line[start:end])[0]
        while graphemes and line[start + graphemes[-1][0]] == " ":
            graphemes.pop()
        assert sum(cells for _, _, cells in graphemes) <= width or len(graphemes) == 1


@given(st.lists(lines, max_size=4), widths)
def test_height_is_the_number_of_rows(paragraphs: list[str], width: int) -> None:
    text = "\n".join(paragraphs)
    assert height(text, width) == sum(len(wrap(line, width)) for line in text.split("\n"))


def test_spaces_hang_and_words_wider_than_the_row_are_cut() -> None:
    assert wrap("one   two", 3) == [0, 6]
    assert wrap("abcdefgh", 3) == [0, 3, 6]
    assert wrap("trailing     ", 8) == [0]


def test_japanese_breaks_between_characters_but_no_row_begins_with_a_full_stop() -> None:
    assert wrap("灯りは暖かい。", 8) == [0, 4]
    assert wrap("灯りは暖。", 8) == [0, 3]


@given(lines, st.integers(min_value=0, max_value=30))
def test_a_cell_belongs_to_the_character_drawn_there(line: str, cell: int) -> None:
    offset = offset_at(line, cell)
    assert cell_len(line[:offset]) <= cell or offset == 0


@given(lines, widths)
def test_a_cut_text_fits(line: str, width: int) -> None:
    assert cell_len(fit(line, width)) <= width
