"""While the library does not answer, keys are taken: acts wait in their order, letters go on."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Final

import pytest
from textual.message import Message
from textual.pilot import Pilot

from shoritui.story import database
from shoritui.tui.chat.actions import ACTIONS
from shoritui.tui.chat.app import ShoriTUI
from shoritui.tui.chat.panels.ooc import OocInput
from shoritui.tui.chat.panels.sampler import SamplerPanel
from shoritui.tui.chat.panels.scene import ScenePanel
from tests.tui.conftest import enter, idle, news, running, until

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
    """The library's thread waits for a disk, or for another program's lock."""
    assert app.session is not None
    go_on = threading.Event()
    waiting = asyncio.create_task(app.session.disk.run(lambda _: go_on.wait()))
    await asyncio.sleep(0)
    try:
        yield
    finally:
        go_on.set()
        await waiting


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
