"""Files and folders taken in while the app runs, dropped paths, and the way back."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual import events

from shoritui.cards import card_folders
from shoritui.interop.folders.import_all import Import, Progress
from shoritui.story import Library
from shoritui.tui.chat.imports.result_screen import ResultScreen
from shoritui.tui.widgets.chooser import Chooser
from tests.benchmarks._tavern import write_tavern
from tests.tui.conftest import enter, news, running, screen_text, until


@pytest.fixture
def tavern(tmp_path: Path) -> Path:
    folder = tmp_path / "tavern/default-user"
    write_tavern(folder, cards=3, chats=2, lorebooks=1, size=4000)
    return folder


def _cards() -> list[str]:
    return sorted(each.stem for each in card_folders()[0].glob("*.toml"))


async def test_a_folder_comes_in_beside_the_story_and_goes_back(tavern: Path) -> None:
    async with running(with_model=False) as (app, pilot):
        assert app.session is not None
        disk = app.session.disk
        await enter(app, pilot, f"/import {tavern}")
        await until(pilot, lambda: isinstance(app.screen, ResultScreen))
        assert "card person-2" in screen_text(app) and "passed over" in screen_text(app)
        assert _cards() == ["person-0", "person-1", "person-2"]
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)
        assert app.session.importing is None and len(await disk.run(Library.summaries)) == 3
        await enter(app, pilot, "/import last")
        await until(pilot, lambda: isinstance(app.screen, ResultScreen))
        await pilot.press("enter")
    async with running(with_model=False) as (app, pilot):  # what was imported elsewhere, or before
        assert app.session is not None
        disk = app.session.disk
        await enter(app, pilot, "/import last")
        await until(pilot, lambda: isinstance(app.screen, ResultScreen))
        assert "card person-2" in screen_text(app)
        await pilot.press("enter")
        await pilot.press("alt+7")
        await until(pilot, lambda: isinstance(app.screen, Chooser))
        assert "What came of 6 files goes into the bin" in screen_text(app)
        await pilot.press("enter")
        await until(pilot, lambda: "Taken back: 6 things." in news(app))
        assert _cards() == [] and len(await disk.run(Library.summaries)) == 2
        await enter(app, pilot, "/undo-import")
        await until(pilot, lambda: "There is no import to take back." in news(app))


async def test_a_story_that_is_open_is_closed_when_its_import_is_taken_back(
    tmp_path: Path,
) -> None:
    file = tmp_path / "quay.jsonl"
    file.write_text(json.dumps({"name": "Ada", "is_user": False, "mes": "So."}), encoding="utf-8")
    async with running(with_model=False) as (app, pilot):
        await enter(app, pilot, f"/import {file}")
        await until(pilot, lambda: app.chat is not None and app.chat.id == 2)
        await enter(app, pilot, f"/import {file}")
        await until(pilot, lambda: "quay.jsonl is already here" in news(app))
        await enter(app, pilot, "/undo-import")
        await until(pilot, lambda: isinstance(app.screen, Chooser))
        await pilot.press("enter")
        await until(pilot, lambda: app.chat is None)
        assert "No story is open." in screen_text(app)


async def test_escape_stops_an_import_and_quitting_does(
    tavern: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on, steps = threading.Event(), Import._steps

    def held(work: Import, library: Library) -> Iterator[Progress]:
        for step in steps(work, library):
            yield step
            if len(_cards()) > 2:
                may_go_on.wait(60)

    monkeypatch.setattr(Import, "_steps", held)
    write_tavern(tavern.with_name("many"), cards=40, chats=0, lorebooks=0, size=0)
    async with running(with_model=False) as (app, pilot):
        assert app.session is not None
        session = app.session
        await enter(app, pilot, f"/import {tavern.with_name('many')}")
        await until(pilot, lambda: session.importing is not None and len(_cards()) > 2)
        await until(pilot, lambda: "importing" in screen_text(app))
        assert "esc stops" in screen_text(app)
        app.main.composer.insert("I go on writing.")
        await pilot.press("escape")
        await until(pilot, lambda: session.importing is not None and session.importing.is_stopped)
        may_go_on.set()
        await until(pilot, lambda: session.importing is None)
        assert app.screen is app.main and app.main.composer.text == "I go on writing."
        await until(pilot, lambda: "Stopped; what is in stays in." in news(app))
        assert 2 < len(_cards()) < 40
        app.main.composer.clear()
        app.start_action("import", str(tavern.with_name("many")))
        await until(pilot, lambda: session.importing is not None)


async def test_a_dropped_path_is_imported_after_a_yes(tmp_path: Path) -> None:
    file = tmp_path / "Orla's card.json"
    file.write_text('{"name": "Orla", "first_mes": "Hm."}', encoding="utf-8")
    async with running(with_model=False) as (app, pilot):
        composer = app.main.composer
        composer.focus()

        async def drop(text: str) -> None:
            app.post_message(events.Paste(text))
            await until(pilot, lambda: composer.text == text)

        await drop(f"Look at {file}")
        await pilot.pause()
        assert app.screen is app.main
        composer.clear()
        await drop(file.as_uri())
        await until(pilot, lambda: isinstance(app.screen, Chooser))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)
        assert composer.text == file.as_uri() and _cards() == []
        composer.clear()
        await drop(str(file).replace("'", "\\'").replace(" ", "\\ "))
        await until(pilot, lambda: isinstance(app.screen, Chooser))
        assert "Import Orla's card.json" in screen_text(app)
        await pilot.press("enter")
        await until(pilot, lambda: _cards() == ["orla"])
        await until(pilot, lambda: composer.text == "")


async def test_a_path_that_is_none_is_said(tmp_path: Path) -> None:
    async with running(with_model=False) as (app, pilot):
        await enter(app, pilot, f"/import {tmp_path / 'none'}")
        await until(pilot, lambda: "none cannot be read" in news(app))
        assert app.session is not None and app.session.importing is None
