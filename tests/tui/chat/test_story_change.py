"""From one story to another: each has its draft, and a story that goes takes its traces along."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from textual.pilot import Pilot

from shoritui.director import Disk
from shoritui.errors import UserError
from shoritui.story import Chat, Library
from shoritui.tui.chat.app import ShoriTUI
from shoritui.tui.chat.library_screen import LibraryScreen
from shoritui.tui.chat.search_screen import Place
from shoritui.tui.chat.verbs.library import go
from tests.tui.conftest import running, screen_text, until


async def two_stories(app: ShoriTUI, pilot: Pilot[int]) -> tuple[int, int]:
    """The story of before, and a blank one, which is open."""
    from shoritui.cards import Card

    assert app.chat is not None
    first = app.chat.id
    await app.begin(Card())
    await until(pilot, lambda: app.chat is not None and app.chat.id != first)
    return first, app.chat.id


async def test_each_story_has_its_own_draft() -> None:
    async with running(with_model=False) as (app, pilot):
        app.main.composer.insert("To Brindle")
        first, second = await two_stories(app, pilot)
        assert app.main.composer.text == ""
        app.main.composer.insert("To nobody")
        await go(app, Place(first))
        assert app.main.composer.text == "To Brindle"
        await pilot.pause(0.6)  # the draft is kept once typing pauses
        await go(app, Place(second))
        assert app.main.composer.text == "To nobody"
        app.main.composer.clear()
        app.main.composer.insert("To Brindle")  # the words that were kept last, in the other story
        assert app.session is not None
        disk = app.session.disk
        async with asyncio.timeout(60):
            while await disk.run(Library.draft, second) != "To Brindle":
                await pilot.pause(0.05)


async def test_what_is_typed_while_a_story_opens_stands_below_its_draft(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running(with_model=False) as (app, pilot):
        app.main.composer.insert("Half a thought")
        first, _ = await two_stories(app, pilot)
        show_end = app._show_end

        async def typed_meanwhile(chat: Chat) -> None:
            app.main.composer.insert("XYZ")
            await show_end(chat)

        monkeypatch.setattr(app, "_show_end", typed_meanwhile)
        await go(app, Place(first))
        assert app.main.composer.text == "Half a thought\nXYZ"


async def test_a_draft_that_cannot_be_kept_stays_with_its_story(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running(with_model=False) as (app, pilot):
        first, second = await two_stories(app, pilot)
        app.main.composer.insert("Not to be lost")

        def full(self: Library, chat_id: int, text: str) -> None:
            raise UserError("The disk is full.")

        with monkeypatch.context() as patch:
            patch.setattr(Library, "save_draft", full)
            await go(app, Place(first))
        assert app.chat is not None and app.chat.id == second
        assert app.main.composer.text == "Not to be lost"
        await pilot.pause()


async def test_a_deleted_story_leaves_nothing_of_itself_on_the_screen() -> None:
    async with running(size=(120, 40), with_model=False) as (app, pilot):
        await until(pilot, lambda: "Brindle" in screen_text(app))
        app.main.composer.insert("To Brindle")
        assert app.chat is not None
        gone = app.chat.id
        await pilot.press("f8")
        await until(pilot, lambda: isinstance(app.screen, LibraryScreen))
        await until(pilot, lambda: app.screen.query_one("OptionList").option_count)  # type: ignore[attr-defined]
        await pilot.press("delete")
        await until(pilot, lambda: app.director is None)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)
        await until(pilot, lambda: "No story is open." in screen_text(app))
        shown = screen_text(app)
        assert not any(word in shown for word in ("Brindle", "Sable", "The Inn", "answers"))
        assert app.session is not None
        assert await app.session.disk.run(Library.draft, gone) == "To Brindle"


async def test_the_library_may_be_closed_before_it_was_read(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(with_model=False) as (app, pilot):
        screen: LibraryScreen
        read = Disk.read

        async def slow(self: Disk, call: object, *values: object, **named: object) -> object:
            found: object = await read(self, call, *values, **named)  # type: ignore[arg-type]
            if call is Library.summaries:
                await until(pilot, lambda: not screen.query("#keys"))
            return found

        await pilot.press("f8")
        await until(pilot, lambda: isinstance(app.screen, LibraryScreen))
        screen = app.screen  # type: ignore[assignment]
        monkeypatch.setattr(Disk, "read", slow)
        reading = asyncio.create_task(screen.read())
        await pilot.press("escape")
        await reading
        await until(pilot, lambda: app.screen is app.main)


async def test_an_untouched_blank_story_vanishes_once_it_is_left() -> None:
    async with running(with_model=False) as (app, pilot):
        first, blank = await two_stories(app, pilot)
        await go(app, Place(first))
        assert app.session is not None
        stories = await app.session.disk.run(Library.summaries)
        assert [chat.id for chat in stories] == [first] != [blank]
