"""While the library does not answer, keys are taken: acts wait in their order, letters go on."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Final

import pytest
from textual.binding import BindingsMap
from textual.message import Message
from textual.pilot import Pilot

from shoritui.cards import Character, keep_persona
from shoritui.story import Library, database
from shoritui.tui.chat.actions import ACTIONS
from shoritui.tui.chat.app import ShoriTUI
from shoritui.tui.chat.library_screen import LibraryScreen
from shoritui.tui.chat.panels.ooc import OocInput
from shoritui.tui.chat.panels.sampler import SamplerPanel
from shoritui.tui.chat.panels.scene import ScenePanel
from shoritui.tui.chat.scene_picker import ScenePicker
from shoritui.tui.widgets.browser import Browser
from tests.tui.conftest import enter, idle, news, press_at_once, running, screen_text, until

pytestmark = pytest.mark.slow

ENDS: Final = ("quit", "web")
"""The actions that end the app, or start another program."""
ARGUMENTS: Final = {
    "cast": "Newbie",
    "checkpoint": "here",
    "lore": "A thing",
    "next": "auto",
    "note": "It rains.",
    "ooc": "Hello.",
    "ooc_read": "out",
    "sampler": "min_p=0.1 top_k=3",
    "title": "Later",
}


@asynccontextmanager
async def held_up(app: ShoriTUI) -> AsyncGenerator[None]:
    """The threads that read the library and files wait for a disk, or for another's lock."""
    assert app.session is not None
    go_on, loop = threading.Event(), asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(1))
    waiting = [
        asyncio.create_task(app.session.disk.run(lambda _: go_on.wait())),
        loop.run_in_executor(None, go_on.wait),
    ]
    await asyncio.sleep(0)
    try:
        yield
    finally:
        go_on.set()
        await asyncio.gather(*waiting)


def told(app: ShoriTUI) -> list[str]:
    """The texts of the story."""
    return [each.text for each in app.main.story.passages]


async def is_typed(app: ShoriTUI, pilot: Pilot[int], text: str) -> bool:
    """Press letters; return whether they come to stand in the composer."""
    app.main.composer.focus()
    before = app.main.composer.text
    await pilot.press(*text)
    return app.main.composer.text == before + text


async def test_no_act_holds_up_the_keys() -> None:
    async with running(with_model=False) as (app, pilot):
        await enter(app, pilot, "A first line.")
        await idle(app, pilot)
        async with held_up(app):
            for action in ACTIONS:
                if action.id in ENDS:
                    continue
                for argument in {"", ARGUMENTS.get(action.id, "")}:
                    async with asyncio.timeout(5):
                        await app.do(action.id, argument)
                await pilot.pause()
                while len(app.screen_stack) > 1:
                    app.pop_screen()


async def test_until_all_is_kept_quitting_holds_up_no_key(home: Path) -> None:
    async with running(with_model=False) as (app, pilot):
        async with held_up(app):
            assert await is_typed(app, pilot, "ab")
            await answered(app, "ctrl+q")
            assert await is_typed(app, pilot, "cd")
            await answered(app, "ctrl+q")
            assert await is_typed(app, pilot, "ef") and app.return_code is None
        await until(pilot, lambda: app.return_code == 0)
    with closing(Library(home / "data" / "library.db")) as library:
        assert library.draft(1) == "abcdef"


async def test_no_message_of_a_panel_holds_up_the_keys() -> None:
    async with running(with_model=False) as (app, pilot):
        await pilot.press("f4")
        await until(pilot, lambda: app.main.side is not None and app.main.side.ooc.is_mounted)
        assert app.chat is not None and app.main.side is not None
        messages: list[Message] = [
            ScenePanel.Changed(app.chat.scene),
            SamplerPanel.Changed("min_p", 0.1),
            OocInput.Said(app.main.side.ooc.input, "Hello."),
        ]
        async with held_up(app):
            for message in messages:
                app.post_message(message)
                assert await is_typed(app, pilot, "ab")
        await until(pilot, lambda: app.chat and app.chat.sampling.min_p == 0.1)


async def answered(app: ShoriTUI, key: str) -> None:
    """Press a key, and wait until the screen has taken it, and the one that it opened."""
    press_at_once(app, key)
    for pump in (lambda: app, lambda: app.screen, lambda: app.screen):
        done = asyncio.Event()
        pump().call_later(done.set)
        async with asyncio.timeout(5):
            await done.wait()


def is_reading(app: ShoriTUI) -> bool:
    """Whether an action waits that has opened nothing."""
    asking = [each for each in app.workers if each.group == "asking" and each.is_running]
    return len(asking) >= len(app.screen_stack)


def is_opening(app: ShoriTUI) -> bool:
    """Whether an action asks for something, or is about to."""
    return any(each.group in ("asking", "help") and each.is_running for each in app.workers)


async def test_no_key_of_a_screen_waits_for_the_disk() -> None:
    keep_persona(Character(name="Wren", description="A bird."))
    tried = set()
    async with running(with_model=False) as (app, pilot):
        await enter(app, pilot, "A first line.")
        await enter(app, pilot, "/note It rains.")
        for action in ACTIONS:
            await idle(app, pilot)
            if action.id in ENDS:
                continue
            await app.do(action.id)
            await until(pilot, lambda: app.screen is not app.main or not is_opening(app))
            screen = app.screen
            if screen is app.main:
                continue
            if type(screen) in tried:
                await answered(app, "escape")
                continue
            tried.add(type(screen))
            own = BindingsMap(vars(type(screen)).get("BINDINGS", ())).key_to_bindings
            async with held_up(app):
                for key in ("x", *own, "enter", "escape", "escape"):
                    if screen in app.screen_stack:
                        await answered(app, key)
                    while app.screen is not screen and screen in app.screen_stack:
                        await answered(app, "escape")
                while app.screen is not app.main:
                    await answered(app, "escape")
                assert await is_typed(app, pilot, "ab")
    assert len(tried) > 12


async def test_the_screen_of_a_locked_library_is_closed_before_it_was_read(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PATIENCE", 60)
    async with running(with_model=False) as (app, pilot):
        await pilot.press("f8")
        await until(pilot, lambda: isinstance(app.screen, Browser) and app.screen.highlighted)
        file = home / "data" / "library.db"
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            await pilot.press("ctrl+l", "escape")  # what is read next waits for what is written
            await pilot.press("f8", "i", "n")
            assert isinstance(app.screen, Browser) and app.screen.typed == "in"
            assert "reading …" in screen_text(app)
            await pilot.press("escape")
            assert len(app.screen_stack) == 1
            assert await is_typed(app, pilot, "ab")
            other.execute("ROLLBACK")
        await pilot.press("f8")
        await until(pilot, lambda: "★" in screen_text(app))


async def test_what_is_asked_for_twice_is_opened_once() -> None:
    async with running(with_model=False) as (app, pilot):
        async with held_up(app):
            await pilot.press("alt+n", "alt+n", "f8", "alt+n")
            assert isinstance(app.screen, LibraryScreen)
        await until(pilot, lambda: not is_reading(app))
        assert isinstance(app.screen, LibraryScreen) and len(app.screen_stack) == 2
        await pilot.press("escape")
        async with held_up(app):
            await pilot.press("alt+n", "alt+n")
        await until(pilot, lambda: isinstance(app.screen, ScenePicker))
        await until(pilot, lambda: not is_reading(app))
        assert len(app.screen_stack) == 2


async def test_what_is_begun_on_a_screen_is_finished_once_that_is_closed() -> None:
    async with running(with_model=False) as (app, pilot):
        await enter(app, pilot, "A first line.")
        await idle(app, pilot)
        shows_marks = app.settings.show_marks
        await app.do("settings")
        await until(pilot, lambda: isinstance(app.screen, Browser))
        await pilot.press(*"show_marks")
        async with held_up(app):
            await pilot.press("enter", "escape")
        await until(pilot, lambda: app.settings.show_marks is not shows_marks)
        await pilot.press("f8")
        await until(pilot, lambda: isinstance(app.screen, Browser) and app.screen.highlighted)
        async with held_up(app):
            await pilot.press("delete", "escape")
            assert len(app.screen_stack) == 1
        await until(pilot, lambda: "No story is open." in screen_text(app))


async def test_acts_of_a_screen_keep_their_order() -> None:
    async with running(with_model=False) as (app, pilot):
        await pilot.press("f8")
        await until(pilot, lambda: isinstance(app.screen, LibraryScreen) and app.screen.highlighted)
        screen = app.screen
        assert isinstance(screen, LibraryScreen)
        async with held_up(app):
            await pilot.press("ctrl+l", "ctrl+z")
        await screen.acted()
        assert app.session is not None
        [story] = await app.session.disk.run(Library.summaries)
        assert not story.favourite


async def test_acts_and_what_is_sent_keep_their_order() -> None:
    async with running(with_model=False) as (app, pilot):
        await enter(app, pilot, "A first line.")
        await idle(app, pilot)
        before = told(app)
        async with held_up(app):
            await app.do("checkpoint", "here")
            await app.do("delete")
            await app.do("undo")
            await app.do("redo")
            assert await is_typed(app, pilot, "sent")
            await pilot.press("enter")
            assert await is_typed(app, pilot, "unsent")
            assert app.main.composer.text == "unsent" and told(app) == before
        await idle(app, pilot)
        assert told(app) == [*before[:-1], "sent"]
        await app.do("undo")  # of what was sent
        await app.do("undo")  # of the deletion
        await idle(app, pilot)
        assert told(app) == before
        assert app.chat is not None and app.chat.last_told is not None
        assert app.chat.last_told.label == "here"
        assert app.main.composer.text == "unsent"


async def test_where_an_act_fails_what_was_sent_after_it_is_given_back(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PATIENCE", 0.2)
    async with running(with_model=False) as (app, pilot):
        await enter(app, pilot, "A first line.")
        await idle(app, pilot)
        before = told(app)
        file = home / "data" / "library.db"
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            async with held_up(app):
                await app.do("delete")
                for text in ("one", "two"):
                    assert await is_typed(app, pilot, text)
                    await pilot.press("enter")
                assert await is_typed(app, pilot, "three")
                assert app.main.composer.text == "three"
            await idle(app, pilot)
            assert app.main.composer.text == "one\ntwo\nthree"
            assert "locked" in news(app)
            other.execute("ROLLBACK")
        assert told(app) == before
        await pilot.press("enter")
        await idle(app, pilot)
        assert told(app) == [*before, "one\ntwo\nthree"]
