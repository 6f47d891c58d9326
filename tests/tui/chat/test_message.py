"""Acts on any message: by key, by command, undone and done again; branches, bookmarks, find."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import TextArea

from shoritui.director import Disk
from shoritui.engine import Event, Finished, Outcome, Text
from shoritui.folders import data_dir
from shoritui.settings import load_settings, save_settings
from shoritui.story import Draft, Library
from shoritui.tui.chat.app import ShoriTUI
from shoritui.tui.chat.tree_screen import TreeScreen
from shoritui.tui.widgets.chooser import Chooser
from shoritui.tui.widgets.field import Editor, Splitter
from tests.tui.conftest import (
    enter,
    heard,
    idle,
    news,
    running,
    screen_text,
    until,
    write_endless_replies,
)

Press = Callable[..., Awaitable[None]]
COUNT = 8


@asynccontextmanager
async def told(count: int = COUNT) -> AsyncGenerator[tuple[ShoriTUI, Pilot[int], Press]]:
    """The inn's story with so many more messages, by turns Brindle's and Sable's; no model."""
    async with running(size=(100, 40), with_model=False) as (app, pilot):
        director, session = app.director, app.session
        assert director is not None and session is not None

        def write(library: Library) -> None:
            for number in range(count):
                name = "Sable" if number % 2 else "Brindle"
                library.append(director.chat.id, Draft("message", name, f"Said {number}. And so."))

        await session.disk.run(write)
        await director.chat.reload()
        app.performance.open(director)

        async def press(*keys: str) -> None:
            await pilot.press(*keys)
            await pilot.pause()
            await idle(app, pilot)

        yield app, pilot, press


def texts(app: ShoriTUI) -> list[str]:
    return [item.text.split(".")[0] for item in app.main.story.passages][-COUNT:]


def select(app: ShoriTUI, text: str) -> int:
    """Take the cursor to a message; where it is."""
    place = next(n for n, item in enumerate(app.main.story.passages) if item.text.startswith(text))
    app.main.story.focus()
    app.main.story.go_to(app.main.story.passages[place].id)
    return place


async def answer(app: ShoriTUI, pilot: Pilot[int], *keys: str) -> None:
    """Press keys in the chooser that comes."""
    await until(pilot, lambda: isinstance(app.screen, Chooser))
    await pilot.press(*keys)
    await until(pilot, lambda: app.screen is app.main)
    await idle(app, pilot)


async def test_delete_takes_the_message_under_the_cursor_and_undo_brings_it_back() -> None:
    async with told() as (app, pilot, press):
        place, before = select(app, "Said 3"), texts(app)
        await press("d")
        assert "Said 3" not in texts(app) and "Said 7" in texts(app)
        assert app.main.story.cursor == place
        assert "Delete a message · ^z undoes it" in app.main.status.doing.now
        await press("d", "d")
        assert "Said 5" not in texts(app)
        await press("ctrl+z", "ctrl+z", "ctrl+z")
        assert texts(app) == before
        assert app.main.status.doing.now == "Undone: Delete a message · ^y redoes it"
        await press("ctrl+y")
        assert "Said 3" not in texts(app)
        assert app.main.status.doing.now == "Redone: Delete a message · ^z undoes it"
        await enter(app, pilot, "/undo")
        await until(pilot, lambda: texts(app) == before)


async def test_what_was_done_is_told_for_a_while_and_an_empty_list_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shoritui.tui.chat.act_queue._NOTE_SECONDS", 0.5)
    async with told() as (app, pilot, press):
        select(app, "Said 3")
        await press("b")
        await until(pilot, lambda: "undoes it" not in app.main.status.doing.now)
        await press("ctrl+y")
        await until(pilot, lambda: any("Nothing to redo." in each for each in heard(app)))
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, Editor))
        await pilot.pause()
        assert app.screen.query_one("Vertical").outer_size.height < 10
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)
        await pilot.press("alt+y")
        await until(pilot, lambda: isinstance(app.screen, TreeScreen))
        await pilot.press(*"zzz")
        await until(pilot, lambda: "There is nothing here." in screen_text(app))


async def test_undo_in_the_composer_takes_back_typing_first() -> None:
    async with told() as (app, pilot, press):
        before = texts(app)
        await enter(app, pilot, "/delete")
        await until(pilot, lambda: "Said 7" not in texts(app))
        await press(*"word", "ctrl+z")
        assert app.main.composer.text == "" and "Said 7" not in texts(app)
        await press("ctrl+z")
        await until(pilot, lambda: texts(app) == before)


async def test_versions_anywhere_and_what_follows_is_asked_once() -> None:
    async with told() as (app, pilot, press):
        place = select(app, "Said 2")
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, Editor))
        app.screen.query_one(TextArea).text = "Unsaid."
        await pilot.press("ctrl+s")
        await answer(app, pilot, *"xyz", "down", "up", "enter")  # letters do nothing
        assert load_settings().keep_following == "keep"
        assert texts(app)[2:4] == ["Unsaid", "Said 3"] and app.main.story.cursor == place
        assert app.main.story.passages[place].version == (2, 2)
        assert "◀ 2/2 ▶" in screen_text(app)
        await press("h")
        assert texts(app)[2:4] == ["Said 2", "Said 3"]
        assert app.main.story.passages[place].version == (1, 2)
        await press("l", "l", "l")
        assert texts(app)[2] == "Unsaid" and app.main.story.cursor == place
        select(app, "Said 4")
        await press("l")
        assert any("no other version" in each for each in heard(app))


async def test_paging_through_versions_asks_nothing() -> None:
    async with told() as (app, pilot, press):
        select(app, "Said 2")
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, Editor))
        app.screen.query_one(TextArea).text = "Unsaid."
        await pilot.press("ctrl+s")
        await answer(app, pilot, "enter")
        for text in ("Said 2", "Unsaid", "Said 2"):
            await press("h")
            assert app.screen is app.main and texts(app)[2:4] == [text, "Said 3"]
        assert load_settings().keep_following == "keep"


async def test_what_follows_can_be_left_on_its_branch_and_the_tree_leads_back() -> None:
    save_settings(keep_following="branch")
    async with told() as (app, pilot, _):
        before = texts(app)
        select(app, "Said 4")
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, Editor))
        app.screen.query_one(TextArea).text = "Another way."
        await pilot.press("ctrl+s")
        await until(pilot, lambda: texts(app)[-1] == "Another way")
        await pilot.press("alt+y")
        await until(pilot, lambda: isinstance(app.screen, TreeScreen))
        assert "1/2" in screen_text(app) and "2/2" in screen_text(app)
        await pilot.press(*"said 7", "enter")
        await until(pilot, lambda: texts(app) == before)
        assert app.main.story.at_cursor is not None
        assert app.main.story.at_cursor.text.startswith("Said 7")


async def test_moving_merging_splitting_inserting_and_hiding() -> None:
    async with told() as (app, pilot, press):
        before = texts(app)
        select(app, "Said 5")
        await press("K")
        assert texts(app)[4:6] == ["Said 5", "Said 4"]
        assert app.main.story.at_cursor is not None
        assert app.main.story.at_cursor.text.startswith("Said 5")
        await press("K", "J", "J")
        assert texts(app) == before
        await press("K", "k", "m")  # Said 3 and Said 5 are both Sable's.
        assert app.main.story.at_cursor.text == "Said 3. And so.\n\nSaid 5. And so."
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, Splitter))
        await pilot.press("end", "enter")
        await until(pilot, lambda: app.screen is app.main)
        await idle(app, pilot)
        assert texts(app)[3:5] == ["Said 3", "Said 5"]
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, Editor))
        await pilot.press(*"@Cadmus Hm.", "ctrl+s")
        await until(pilot, lambda: "Hm" in texts(app))
        assert app.main.story.at_cursor.speaker == "Cadmus"
        await press("v")
        assert app.main.story.at_cursor.hidden and "hidden from the model" in screen_text(app)
        await enter(app, pilot, "/hide")
        await until(pilot, lambda: not app.main.story.passages[-1].hidden)


async def test_bookmarks_are_set_listed_and_gone_to() -> None:
    async with told(30) as (app, pilot, press):
        select(app, "Said 3.")
        await press("b")
        assert "⚑ Said 3. And so." in screen_text(app)
        await press("alt+k")
        assert app.main.story.passages[-1].label == "Checkpoint 1"
        await pilot.press("B")
        await answer(app, pilot, "enter")
        assert app.main.story.at_cursor is not None
        assert app.main.story.at_cursor.label == "Said 3. And so."
        await press("b")
        assert app.main.story.at_cursor.label == ""


async def test_words_are_found_and_escape_ends_it() -> None:
    async with told(40) as (app, pilot, press):
        await pilot.press("ctrl+f", *"said 1", "enter")
        await until(pilot, lambda: app.main.focused is app.main.story)
        story = app.main.story
        assert "of 11 messages" in str(app.main.find_bar.border_subtitle)
        await press("g", "n")
        assert story.at_cursor is not None and story.at_cursor.text.startswith("Said 1.")
        await press("n", "n")
        assert story.at_cursor.text.startswith("Said 11.")
        await press("N")
        assert story.at_cursor.text.startswith("Said 10.")
        await press("escape")
        assert not app.main.find_bar.display and story.at_cursor.text.startswith("Said 10.")
        await enter(app, pilot, "/find said 39")
        await until(pilot, lambda: story.at_cursor and story.at_cursor.text.startswith("Said 39"))


async def test_the_cursor_stays_in_the_story_and_what_is_sent_is_shown() -> None:
    async with told(40) as (app, pilot, press):
        select(app, "Said 39")
        await press("j", "j")
        assert (
            app.main.story.has_focus and app.main.story.cursor == len(app.main.story.passages) - 1
        )
        await press("g")
        app.main.composer.focus()
        await enter(app, pilot, "Here I am.")
        await until(pilot, lambda: "Here I am." in screen_text(app))
        assert app.main.story.cursor is None


async def test_a_line_shows_from_where_on_the_model_reads() -> None:
    async with told(20) as (app, _, press):
        assert app.director is not None
        chat = app.director.chat
        await chat.keep_from(chat.entries[-5].id)
        await press("alt+k")
        assert "the model reads from here on" in screen_text(app)


@pytest.mark.parametrize("goes_on", [False, True])
async def test_a_story_open_in_another_window_is_read_or_copied(goes_on: bool) -> None:
    async with running(with_model=False):
        pass
    other = await Disk.open(data_dir() / "library.db")
    try:
        assert await other.run(Library.claim, 1)
        async with running(cards=(), with_model=False) as (app, pilot):
            assert app.main.masthead.heading[2] == "read only"
            await answer(app, pilot, *(["down", "enter"] if goes_on else ["enter"]))
            assert app.director is not None
            if goes_on:
                await until(pilot, lambda: app.director is not None and app.director.chat.id == 2)
                assert app.main.masthead.heading[2] == "ShoriTUI"
                return
            await enter(app, pilot, "/delete")
            await until(pilot, lambda: any("another window" in each for each in heard(app)))
            await other.run(Library.append, 1, Draft("message", "Sable", "From elsewhere."))
            await until(pilot, lambda: "From elsewhere." in screen_text(app))
    finally:
        await other.close()


async def test_a_message_in_the_middle_is_written_anew_where_it_stands() -> None:
    save_settings(max_tokens=16, length="auto", keep_following="keep")
    async with running(size=(100, 40)) as (app, pilot):
        await enter(app, pilot, "@Cadmus Well?")
        await idle(app, pilot)
        await enter(app, pilot, "@Brindle And you?")
        await idle(app, pilot)
        after = [item.text for item in app.main.story.passages[-2:]]
        app.main.story.focus()
        place = len(app.main.story.passages) - 3
        item = app.main.story.passages[place]
        app.main.story.go_to(item.id)
        await pilot.press("ctrl+r")
        await until(pilot, lambda: app.main.story.passages[place].version == (2, 2))
        await idle(app, pilot)
        assert app.main.story.cursor == place and app.main.story.passages[place].text
        assert app.main.story.passages[place].speaker == "Cadmus"
        assert [each.text for each in app.main.story.passages[-2:]] == after
        await pilot.press("h")
        await until(pilot, lambda: app.main.story.passages[place].text == item.text)
        await pilot.press("G", "ctrl+r")
        await until(pilot, lambda: app.main.story.passages[-1].version == (2, 2))
        await idle(app, pilot)
        assert app.main.story.cursor == len(app.main.story.passages) - 1
        assert app.main.story.passages[-1].status != "streaming"
        await pilot.press("ctrl+z")
        await until(pilot, lambda: app.main.story.passages[-1].text == after[-1])
        assert app.main.story.cursor == len(app.main.story.passages) - 1


async def test_a_reply_that_speaks_for_another_is_cut_and_one_key_hands_the_turn_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = ""

    async def generate(*_: Any, **__: Any) -> AsyncGenerator[Event]:
        yield Text(text, 9)
        yield Finished(Outcome("block_end", text, 10, 0, 10, 9, 1.0, 1.0))

    async with running(size=(120, 40)) as (app, pilot):
        assert app.session is not None and app.director is not None
        await until(pilot, lambda: app.main.status.doing.now.startswith("ready"))
        first, second = app.director.chat.cast[:2]
        text = f' "Aye," said {first}.\n\n{second}: "Not in my house."'
        monkeypatch.setattr(app.session.engine, "generate", generate)
        await enter(app, pilot, f"@{first}")
        await idle(app, pilot)
        assert app.main.story.passages[-1].text == f'"Aye," said {first}.'
        offer = f"alt+h lets {second} go on"
        await until(pilot, lambda: offer in app.main.status.doing.now)
        text = " He sat down."
        await pilot.press("alt+h")
        await idle(app, pilot)
        last = app.main.story.passages[-1]
        assert (last.speaker, last.text) == (second, '"Not in my house." He sat down.')
        await pilot.press("alt+d")
        await idle(app, pilot)
        await until(pilot, lambda: app.main.story.passages[-1].version == (2, 2))
        assert app.main.story.passages[-1].text == "He sat down."


async def test_the_odds_are_shown_one_key_overrules_them_and_a_scene_plays_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = " He sat down."

    async def generate(*_: Any, **__: Any) -> AsyncGenerator[Event]:
        yield Text(text, 4)
        yield Finished(Outcome("block_end", text, 10, 0, 10, 4, 1.0, 1.0))

    async with running(size=(120, 40)) as (app, pilot):
        assert app.session is not None and app.director is not None
        chat, border = app.director.chat, app.main.composer
        await until(pilot, lambda: app.main.status.doing.now.startswith("ready"))
        monkeypatch.setattr(app.session.engine, "generate", generate)
        await enter(app, pilot, "/turns model")
        await until(pilot, lambda: "% · " in str(border.border_title))
        likeliest = chat.who_next()
        await pilot.press("alt+x")
        other = chat.who_next()
        assert other != likeliest and f"next: {other}" in str(border.border_title)
        await pilot.press("enter")
        await idle(app, pilot)
        assert app.main.story.passages[-1].speaker == other
        await enter(app, pilot, "/turns in-turn")
        assert "next: in turn" in str(border.border_title)
        await enter(app, pilot, "Well?")
        await idle(app, pilot)
        count = len(app.main.story.passages)
        await enter(app, pilot, "/auto 9")
        await idle(app, pilot)
        assert 0 < len(app.main.story.passages) - count < len(chat.cast)
        assert f"It is your turn, {chat.user}." in heard(app)
        await enter(app, pilot, "/turns choose")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Chooser))


async def test_a_reply_being_written_is_overruled() -> None:
    write_endless_replies()
    async with running() as (app, pilot):
        assert app.director is not None
        chat, count = app.director.chat, len(app.director.chat.entries)
        await pilot.press("enter")
        await until(pilot, lambda: app.director is not None and app.director.writing is not None)
        assert app.director.writing is not None
        first = app.director.writing.speaker
        await pilot.press("alt+x")
        await until(pilot, lambda: len(chat.entries) > count and chat.entries[count].text)
        await until(pilot, lambda: chat.entries[count].speaker != first)
        await pilot.press("escape")
        await idle(app, pilot)
        assert len(chat.entries) == count + 1 and chat.entries[-1].speaker not in (first, chat.user)


async def test_what_acts_on_a_message_says_that_there_is_none(tmp_path: Path) -> None:
    card = tmp_path / "bare.toml"
    card.write_text('title = "Bare"\n[[character]]\nname = "Mara"\n', encoding="utf-8")
    async with running(cards=[card], with_model=False) as (app, pilot):
        for command in ("/delete", "/pin"):
            app.status.news = ""
            await enter(app, pilot, command)
            await until(pilot, lambda: "There is no message yet." in news(app))
