"""Setting one passage: rows, offsets, styles; pieces give what the whole gives."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.segment import Segment
from rich.style import Style

from shoritui.text import clean
from shoritui.tui.widgets.passage import Passage
from shoritui.tui.widgets.styles import Inks, SpeakerColours
from shoritui.tui.widgets.typeset import MoodPlace, Typeset, measure, rows_of

texts = st.text(alphabet="ab _*\"'>`ABC\n漢。🙂\u200d☺\ufe0f\u0301", max_size=120)
moody = st.one_of(
    texts, texts.map("🙂".__add__), st.sampled_from(["🙂\u200d", "☺", "\ufe0f", " 🙂🙂 _a", "\n🙂"])
)
widths = st.integers(min_value=8, max_value=40)


class NamedInks(Inks):
    """Every ink is told by the name of a link, so that a test can read which one was used."""

    def _made(self, name: str) -> Style:
        return Style(link=name)


def named_inks() -> Inks:
    return NamedInks(Style.null(), {})


places: st.SearchStrategy[MoodPlace] = st.sampled_from(["text", "name", "hidden"])


def setting(
    text: str, width: int, *, show_marks: bool = True, mood: MoodPlace = "text", **rest: object
) -> Typeset:
    item = Passage(1, "message", "Mara", text, **rest)  # type: ignore[arg-type]
    return Typeset(item, measure(width), named_inks(), 1, show_marks=show_marks, mood=mood)


def drawn(typeset: Typeset) -> list[list[tuple[str, str | None]]]:
    return [
        [
            (segment.text, segment.style.link if segment.style is not None else None)
            for segment in row.strip
        ]
        for row in typeset.rows
    ]


def ink_of(typeset: Typeset, words: str) -> str | None:
    found = [
        segment.style.link
        for row in typeset.rows
        for segment in row.strip
        if isinstance(segment, Segment) and segment.style is not None and words in segment.text
    ]
    assert found, f"{words!r} is not drawn"
    return found[0]


def joined(typeset: Typeset) -> list[tuple[tuple[str, str | None], ...]]:
    """Rows as characters with their ink, however they were cut into segments."""
    return [tuple((char, link) for text, link in row for char in text) for row in drawn(typeset)]


@given(st.lists(moody, min_size=1, max_size=6), widths, st.booleans(), places)
def test_text_in_pieces_is_set_like_the_whole(
    pieces: list[str], width: int, show_marks: bool, mood: MoodPlace
) -> None:
    streamed = setting(pieces[0], width, show_marks=show_marks, mood=mood)
    for piece in pieces[1:]:
        streamed.item.text += piece
        streamed.feed(piece)
    whole = setting("".join(pieces), width, show_marks=show_marks, mood=mood)
    assert joined(streamed) == joined(whole)


@given(moody, widths, st.booleans(), places)
def test_the_height_is_known_before_anything_is_set(
    text: str, width: int, show_marks: bool, mood: MoodPlace
) -> None:
    whole = setting(text, width, show_marks=show_marks, mood=mood)
    rows = rows_of(whole.item, measure(width), show_marks=show_marks, mood=mood)
    assert rows == len(whole.rows) + 1


@given(texts, widths)
def test_every_character_is_drawn_once_and_knows_its_offset(text: str, width: int) -> None:
    for row in setting(text, width).rows[1:]:
        for offset, piece in row.pieces:
            assert text[offset : offset + len(piece)] == piece
    rows = setting(text, width).rows[1:]
    assert "".join(text[row.start : row.end] for row in rows) == text.replace("\n", "")


def test_each_kind_of_prose_has_its_ink() -> None:
    text = "\"Hi,\" _hm_ *thud* **now** ''so'' RUN away\n> old\n```\ncode\n```\nplain"
    kinds = {
        "Hi": "dialogue",
        "hm": "thought",
        "thud": "sound",
        "now": "emphasis",
        "so": "quote",
        "RUN": "loud",
        "old": "cited",
        "code": "fence",
    }
    typeset = setting(text, 80)
    for words, kind in kinds.items():
        assert ink_of(typeset, words) == kind
    assert ink_of(typeset, "plain") is None


def test_hidden_marks_are_not_drawn_but_quotes_are() -> None:
    rows = setting('"So," _she_ *thud* **now**', 80, show_marks=False).rows
    assert rows[1].strip.text.strip() == '"So," she thud now'
    assert rows[1].source_at(rows[1].column + 6) == 7


def test_a_mood_stands_in_the_text_beside_the_name_or_nowhere() -> None:
    text = '😊 😄 "You came!" she said. 😟 "Now?"'
    prose = '"You came!" she said. "Now?"'
    shown: dict[MoodPlace, tuple[str, str]] = {
        "text": ("Mara", text),
        "name": ("Mara 😊😄 😟", prose),
        "hidden": ("Mara", prose),
    }
    for place, rows in shown.items():
        typeset = setting(text, 80, mood=place)
        assert tuple(row.strip.text.strip() for row in typeset.rows) == rows
        row = typeset.rows[1]
        assert row.source_at(row.cells_of(5, 6)[0]) == 5 and text[5] == "Y"
    assert setting("😊", 80, mood="hidden").rows[1].strip.text.strip() == "😊"


def test_an_open_mark_does_not_bleed_past_its_paragraph() -> None:
    typeset = setting('"never closed\n\nnarration', 80)
    assert ink_of(typeset, "narration") is None


def test_a_streaming_passage_says_so_and_ends_in_a_caret() -> None:
    typeset = setting('"Wait', 60, status="streaming", tokens=3, length="short")
    assert "writing" in typeset.rows[0].strip.text
    assert "short · 3…" in typeset.rows[0].strip.text
    assert typeset.rows[-1].strip.text.endswith("▍")


def test_the_heading_never_passes_the_column_and_tells_which_version_it_is() -> None:
    for width in range(12, 90):
        item = Passage(1, "message", "A very long name indeed", "x", "enormous", 12345, "cut")
        item.version = (2, 13)
        typeset = Typeset(item, measure(width), named_inks(), 1, show_marks=True)
        where = measure(width)
        if where.right - where.left > 32:
            assert typeset.rows[0].strip.cell_length <= where.right
            assert "◀ 2/13 ▶" in typeset.rows[0].strip.text


def test_hostile_text_is_made_safe() -> None:
    text = clean("\x1b[31mred\x1b]0;title\x07\x9b2J\r\nnext\tone\u202eevil\u2066")
    assert "\x1b" not in text and "\x9b" not in text and "\x07" not in text
    assert "\u202e" not in text and "\r" not in text
    assert clean("[bold]not markup[/bold]") == "[bold]not markup[/bold]"


def test_speakers_of_one_cast_never_share_a_colour_and_keep_theirs() -> None:
    cast = ["Mara", "Tobiah", "Kotone", "Ivo", "Nell", "Sorrel", "Quill", "Bram"]
    colours = SpeakerColours(cast)
    numbers = [colours.number(name) for name in cast]
    assert sorted(numbers) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [colours.number(name) for name in cast] == numbers
    assert SpeakerColours(["Mara"]).number("Mara") == SpeakerColours(["Mara", "X"]).number("Mara")
