"""The transcript: what its rows say and look like, how it scrolls, selects and streams."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from textual.app import App, ComposeResult
from textual.geometry import Offset
from textual.screen import Screen
from textual.selection import Selection

from shoritui.folders import bundled_dir
from shoritui.story import Entry
from shoritui.text import clean, one_line
from shoritui.tui.themes import find_themes
from shoritui.tui.widgets.passage import Passage
from shoritui.tui.widgets.transcript import StoryScreen, Transcript
from tests.tui.conftest import until


class Reader(App[None]):
    """A transcript alone on a screen."""

    def __init__(self, passages: list[Passage], **options: Any) -> None:
        super().__init__(**options)
        self.passages = passages
        self.asked: list[Transcript.VersionAsked] = []
        for theme in find_themes([bundled_dir("themes")])[0].values():
            self.register_theme(theme)
        self.theme = "shori-dark"

    def get_default_screen(self) -> Screen[None]:
        return StoryScreen(id="_default")

    def compose(self) -> ComposeResult:
        yield Transcript()

    def on_mount(self) -> None:
        self.story.show(self.passages)

    @property
    def story(self) -> Transcript:
        return self.query_one(Transcript)

    def on_transcript_version_asked(self, event: Transcript.VersionAsked) -> None:
        self.asked.append(event)


def said(number: int, text: str, **rest: Any) -> Passage:
    return Passage(number, "message", "Mara" if number % 2 else "Tobiah", text, **rest)


def rows(story: Transcript) -> list[str]:
    return [story.render_line(y).text.rstrip() for y in range(story.size.height)]


def places(story: Transcript, words: str) -> tuple[int, int]:
    """The column and row where words are drawn."""
    for y, row in enumerate(rows(story)):
        if words in row:
            return row.index(words), y
    raise AssertionError(f"{words!r} is not on the screen")


LONG = [said(number, f"Message {number} " + "and so on " * 30) for number in range(40)]


async def test_it_opens_at_the_end_and_every_row_belongs_to_one_passage() -> None:
    app = Reader([said(1, '"One." She left.'), said(2, "Two\n\nand a half")])
    async with app.run_test(size=(60, 12)):
        assert rows(app.story)[:9] == [
            "",
            "  Mara",
            '   "One." She left.',
            "",
            "  Tobiah",
            "   Two",
            "",
            "   and a half",
            "",
        ]


async def test_streamed_text_is_painted_and_the_reader_at_the_end_follows() -> None:
    app = Reader(list(LONG))
    async with app.run_test(size=(80, 20)) as pilot:
        app.story.append(said(99, "", status="streaming"))
        for number in range(60):
            app.story.extend(99, f"word{number} ", 1)
        await until(pilot, lambda: any("word59" in row for row in rows(app.story)))
        assert app.story.is_at_end
        assert app.story.passages[-1].tokens == 60
        assert app.story.passages[-1].text == "".join(f"word{n} " for n in range(60))


async def test_a_reader_further_up_is_not_pulled_down_but_told() -> None:
    app = Reader(list(LONG))
    async with app.run_test(size=(80, 20)) as pilot:
        app.story.scroll_to(y=30, animate=False)
        await pilot.pause()
        before = rows(app.story)
        app.story.append(said(99, "Something new", status="streaming"))
        app.story.extend(99, " and more " * 40)
        await until(pilot, lambda: "▼ new" in rows(app.story)[-1])
        assert app.story.scroll_offset.y == 30
        assert rows(app.story)[:-1] == before[:-1]
        await pilot.click(Transcript, offset=(75, 19))
        await pilot.pause()
        assert app.story.is_at_end
        assert "▼ new" not in rows(app.story)[-1]


async def test_a_long_story_sets_only_what_is_seen() -> None:
    app = Reader([said(number, "word " * 100) for number in range(5000)])
    async with app.run_test(size=(80, 20)) as pilot:
        await pilot.pause()
        assert len(app.story._typesets) < 20
        height = 5000 * len(app.story._typeset(0).rows) + 5000 + 1
        assert app.story.virtual_size.height == height
        assert app.story.vertical_scrollbar.window_virtual_size == height


async def test_growth_reaches_the_scrollbar_without_a_layout_of_the_screen() -> None:
    app = Reader(list(LONG))
    async with app.run_test(size=(80, 20)) as pilot:
        await pilot.pause(0.2)
        layouts = 0
        arrange = app.screen._refresh_layout

        def counted(*args: Any, **kwargs: Any) -> None:
            nonlocal layouts
            layouts += 1
            arrange(*args, **kwargs)

        app.screen._refresh_layout = counted  # type: ignore[method-assign]
        app.story.append(said(99, "", status="streaming"))
        for _ in range(40):
            app.story.extend(99, "some more words " * 4)
            await pilot.pause(0.01)
        await pilot.pause(0.1)
        assert app.story.vertical_scrollbar.window_virtual_size == app.story._tops[-1]
        assert app.story.max_scroll_y == app.story._tops[-1] - 20
        assert layouts == 0


async def test_resizing_keeps_the_place_of_a_reader_and_the_end_of_a_writer() -> None:
    app = Reader(list(LONG))
    async with app.run_test(size=(100, 20)) as pilot:
        await pilot.resize_terminal(60, 20)
        await pilot.pause()
        assert app.story.is_at_end
        app.story.scroll_to(y=app.story._tops[7], animate=False)
        await pilot.pause()
        await pilot.resize_terminal(90, 20)
        await pilot.pause()
        assert app.story.scroll_offset.y == app.story._tops[7]


async def test_dragging_selects_source_text_also_while_more_streams_in() -> None:
    text = '"One two three," said she, *thump*, and went on and on about the lamps of the town.'
    app = Reader([said(1, text), said(2, "", status="streaming")])
    async with app.run_test(size=(50, 20)) as pilot:
        column, row = places(app.story, "two three")
        await pilot.mouse_down(Transcript, offset=(column, row))
        await pilot.hover(Transcript, offset=(column + 2, row + 1))
        for _ in range(20):
            app.story.extend(2, "token ")
        await pilot.mouse_up(Transcript, offset=(column + 2, row + 1))
        await pilot.pause()
        selected = app.screen.get_selected_text() or ""
        assert selected and selected in text and selected.startswith("two three")
        assert "\n" not in selected
        await pilot.resize_terminal(70, 20)
        await pilot.pause()
        assert app.screen.get_selected_text() == selected


async def test_a_selection_over_messages_names_the_speakers_between() -> None:
    app = Reader([said(1, "First words"), said(2, "Second words")])
    async with app.run_test(size=(60, 12)) as pilot:
        start, end = places(app.story, "words"), places(app.story, "Second words")
        await pilot.mouse_down(Transcript, offset=start)
        await pilot.hover(Transcript, offset=(end[0] + 5, end[1]))
        await pilot.mouse_up(Transcript, offset=(end[0] + 5, end[1]))
        await pilot.pause()
        assert app.screen.get_selected_text() == "words\n\nTobiah: Second"


@pytest.mark.parametrize("text", ["灯りは温かい。", "one 🙂 two", "e\u0301a\u0301 x"])
async def test_every_cell_of_a_row_points_at_the_character_drawn_there(text: str) -> None:
    app = Reader([said(1, text)])
    async with app.run_test(size=(60, 12)):
        column, row = places(app.story, text[:1])
        assert app.story.source_offset(column, row) == Offset(0, 0)
        last = app.story.source_offset(column + 40, row)
        assert last == Offset(len(text), 0)


async def test_the_message_cursor_walks_and_stays_in_sight() -> None:
    app = Reader(list(LONG))
    async with app.run_test(size=(80, 20)) as pilot:
        app.story.move_cursor(-1)
        assert app.story.cursor == 39
        for _ in range(10):
            app.story.move_cursor(-1)
        await pilot.pause()
        assert app.story.cursor == 29
        assert any(
            (row.startswith("▌ ") and "Tobiah" in row) or "Mara" in row for row in rows(app.story)
        )
        assert any("Message 29" in row for row in rows(app.story))


async def test_arrows_of_the_alternatives_can_be_clicked() -> None:
    app = Reader([said(1, "Text", version=(2, 3))])
    async with app.run_test(size=(60, 12)) as pilot:
        column, row = places(app.story, "◀ 2/3 ▶")
        await pilot.click(Transcript, offset=(column, row))
        await pilot.click(Transcript, offset=(column + 6, row))
        await pilot.pause()
        assert [event.step for event in app.asked] == [-1, 1]


async def test_all_kinds_of_passages_have_their_look() -> None:
    app = Reader(
        [
            Passage(1, "title", "", "A new morning"),
            Passage(2, "note", "", "Be brief."),
            Passage(3, "lore", "", "The fen is deep."),
            said(4, "Half a sent", status="cut", length="long", tokens=9),
        ]
    )
    async with app.run_test(size=(60, 16)):
        text = "\n".join(rows(app.story))
        assert "── A new morning ──" in text
        assert "┆Author's note" in text and "┆Be brief." in text and "┆Lore" in text
        assert "✂ cut short" in text and "long · 9" in text


async def test_nothing_a_terminal_would_obey_reaches_the_screen() -> None:
    hostile = (
        "\x1b[2J\x1b]0;owned\x07 [bold red]x[/] [@click=app.quit]y[/] \x9b1m \u202eabc\x00\r\x08"
    )
    item = Passage(1, "message", one_line("M\x1b[31mara\n"), clean(hostile))
    app = Reader([item])
    async with app.run_test(size=(80, 12)) as pilot:
        app.story.extend(1, clean("\x1b[5mblink"))
        await pilot.pause(0.1)
        text = "\n".join(rows(app.story))
        assert all(char.isprintable() for char in text.replace("\n", ""))
        assert "[bold red]x[/] [@click=app.quit]y[/]" in text


async def test_without_colours_every_kind_still_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    text = 'plain _thought_ *sound* **emphasis** "speech"'
    app = Reader([said(1, text)], ansi_color=True)
    async with app.run_test(size=(80, 12)):
        app.theme = "terminal"
        looks = {}
        for y in range(12):
            for segment in app.story.render_line(y):
                style = segment.style
                assert style is not None
                looks[segment.text.strip()] = (style.bold, style.italic, style.underline)
        kinds = ("plain", "_thought_", "*sound*", "**emphasis**", '"speech"')
        assert len({looks[words] for words in kinds}) == len(kinds)


async def test_a_theme_change_reaches_rows_that_were_painted_before() -> None:
    app = Reader([said(1, '"Hello"')])
    async with app.run_test(size=(60, 12)) as pilot:
        before = [segment.style for segment in app.story.render_line(2)]
        app.theme = "shori-light"
        await pilot.pause()
        assert [segment.style for segment in app.story.render_line(2)] != before


async def test_taking_passages_away_and_replacing_them() -> None:
    app = Reader([said(1, "One"), said(2, "Two"), said(3, "Three")])
    async with app.run_test(size=(60, 14)) as pilot:
        app.story.cursor = 2
        app.story.take_away([3])
        app.story.replace(said(2, "Two\nlines"))
        await pilot.pause()
        assert [row.strip() for row in rows(app.story) if row.strip()] == [
            "Mara",
            "One",
            "▌ Tobiah",
            "▌  Two",
            "▌  lines",
        ]


async def test_text_of_a_passage_that_is_taken_away_is_forgotten() -> None:
    app = Reader([said(1, "One"), said(2, "", status="streaming")])
    async with app.run_test(size=(60, 14)) as pilot:
        for _ in range(3):
            app.story.extend(2, "late ")
        app.story.take_away([2])
        await pilot.pause(0.1)
        assert not any("late" in row for row in rows(app.story))


def entry(number: int, text: str, **rest: Any) -> Entry:
    speaker = "Mara" if number % 2 else "Tobiah"
    return Entry(number, None, "message", speaker, None, text, "complete", 0.0, 0, number, **rest)


def mixed(number: int) -> str:
    """Texts whose heights nobody can estimate."""
    return f"Message {number} " + "supercalifragilistic\n" * (number % 7) + "a " * (number % 300)


async def test_a_change_far_up_sets_only_what_differs_and_keeps_the_place() -> None:
    before = [entry(number, mixed(number)) for number in range(2000)]
    app = Reader([])
    async with app.run_test(size=(80, 20)) as pilot:
        story = app.story
        story.show(before)
        assert story.go_to(1000)
        await pilot.pause()
        seen, kept = rows(story), story.passages.items[1000]
        version = entry(5000, "A word.\n" * 50)
        story.versions = {37: (37, 5000)}
        story.update([*before[:37], replace(version, slot=37), *before[38:]])
        assert (story.cursor, story.passages[37].text) == (1000, version.text)
        assert story.passages[37].version == (2, 2)
        await pilot.pause()
        assert rows(story) == seen and story.passages.items[1000] is kept
        assert sum(isinstance(item, Passage) for item in story.passages.items) < 60
        story.update([*before[:10], *before[20:990]])
        assert story.cursor == len(story.passages) - 1 == 979


async def test_rows_seen_while_scrolling_up_are_those_of_the_story_one_by_one() -> None:
    entries = [entry(number, mixed(number)) for number in range(300)]
    app = Reader([])
    async with app.run_test(size=(70, 20)) as pilot:
        story = app.story
        story.show(entries)
        await pilot.pause()
        read = [rows(story)]
        while story.scroll_offset.y > 0:
            story.scroll_relative(y=-7, animate=False)
            read.append(rows(story))
            assert read[-1][-13:] == read[-2][:13] or story.scroll_offset.y == 0
            if len(read) > 60:
                break
        assert len(read) > 60
        story.scroll_to(y=0, animate=False)
        assert "Message 0" in "\n".join(rows(story))


async def test_what_is_written_far_above_moves_nothing_that_is_read() -> None:
    app = Reader([])
    async with app.run_test(size=(80, 20)) as pilot:
        app.story.show([entry(number, mixed(number)) for number in range(100)])
        app.story.go_to(90)
        await pilot.pause()
        before = rows(app.story)
        app.story.extend(3, "more and more " * 80)
        await pilot.pause(0.1)
        assert rows(app.story) == before
        assert app.story.passages[3].text.endswith("more ")


async def test_resizing_keeps_the_words_at_the_top_of_the_window() -> None:
    app = Reader(
        [said(number, " ".join(f"w{number}x{n}" for n in range(900))) for number in (1, 2)]
    )
    async with app.run_test(size=(100, 20)) as pilot:
        app.story.scroll_to(y=40, animate=False)
        await pilot.pause()
        first = rows(app.story)[0].split()[0]
        await pilot.resize_terminal(61, 20)
        await pilot.pause()
        assert first in rows(app.story)[0]


async def test_a_hidden_message_is_dimmed_and_a_bookmark_is_shown() -> None:
    app = Reader([])
    async with app.run_test(size=(80, 12)):
        app.story.show([entry(1, '"Read me."'), entry(2, '"Not me."', hidden=True, label="Here")])
        assert "⚑ Here" in rows(app.story)[4] and "hidden from the model" in rows(app.story)[4]
        styles = [
            next(segment.style for segment in app.story.render_line(y) if '"' in segment.text)
            for y in (2, 5)
        ]
        assert styles[0] != styles[1]


async def test_a_line_says_from_where_on_the_model_reads() -> None:
    app = Reader([said(number, f"Message {number}") for number in range(4)])
    async with app.run_test(size=(80, 16)):
        app.story.boundary = (2, "the model reads from here on")
        at = next(y for y, row in enumerate(rows(app.story)) if "from here on" in row)
        assert "Message 1" in rows(app.story)[at - 1] and "Message 2" in rows(app.story)[at + 2]


async def test_words_looked_for_are_marked_in_every_message() -> None:
    app = Reader([said(1, "A lamp and a LAMP."), said(2, "Nothing."), said(3, "x " * 900 + "lamp")])
    async with app.run_test(size=(60, 14)) as pilot:
        assert app.story.find("lamp") == [0, 2]
        app.story.go_to(1, app.story.first_found(0))
        await pilot.pause()
        [row] = [y for y, row in enumerate(rows(app.story)) if "A lamp" in row]
        plain, marked = app.story.render_line(row), [*app.story.render_line(row)]
        assert [segment.text for segment in marked if segment.style.bgcolor is not None].count(
            "lamp"
        ) and "LAMP" in [segment.text for segment in plain]
        app.story.go_to(3, app.story.first_found(2))
        await pilot.pause()
        assert any(row.endswith("lamp") for row in rows(app.story))
        assert app.story.find("") == []


async def test_copying_a_selection_looks_only_at_what_is_selected() -> None:
    app = Reader([])
    async with app.run_test(size=(60, 12)):
        app.story.show([entry(number, f"Words {number}") for number in range(500)])
        selected = Selection(Offset(0, 10), Offset(5, 11))
        assert app.story.get_selection(selected) == ("Words 10\n\nMara: Words", "\n")
        assert sum(isinstance(item, Passage) for item in app.story.passages.items) < 30


def test_the_recorded_scene_has_every_kind() -> None:
    from tests.tui.rehearsal import scene

    kinds = {item.kind for item in scene()}
    assert kinds == {"title", "message", "note"}
