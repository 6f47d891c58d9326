"""The transcript: what its rows say and look like, how it scrolls, selects and streams."""

from __future__ import annotations

from typing import Any

import pytest
from textual.app import App, ComposeResult
from textual.geometry import Offset
from textual.screen import Screen

from shoritui.settings import bundled_dir
from shoritui.tui.passage import Passage, one_line, safe
from shoritui.tui.story_screen import StoryScreen
from shoritui.tui.themes import find_themes
from shoritui.tui.transcript import Transcript
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
    item = Passage(1, "message", one_line("M\x1b[31mara\n"), safe(hostile))
    app = Reader([item])
    async with app.run_test(size=(80, 12)) as pilot:
        app.story.extend(1, safe("\x1b[5mblink"))
        await pilot.pause(0.1)
        text = "\n".join(rows(app.story))
        assert all(char.isprintable() for char in text.replace("\n", ""))
        assert "[bold red]x[/] [@click=app.quit]y[/]" in text


async def test_without_colours_every_kind_still_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    text = "plain _thought_ *sound* **emphasis** LOUD"
    app = Reader([said(1, text)], ansi_color=True)
    async with app.run_test(size=(80, 12)):
        app.theme = "terminal"
        looks = {}
        for y in range(12):
            for segment in app.story.render_line(y):
                style = segment.style
                assert style is not None
                looks[segment.text.strip()] = (style.bold, style.italic, style.underline)
        wanted = [looks[words] for words in ("plain", "_thought_", "*sound*", "**emphasis**")]
        assert len(set(wanted)) == 4


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


def test_the_rehearsal_is_the_file_run_alone() -> None:
    from shoritui.tui.rehearsal import scene

    kinds = {item.kind for item in scene()}
    assert kinds == {"title", "message", "note"}
