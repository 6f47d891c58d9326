"""Whatever raises, wherever: a sentence, the app goes on, and what is typed stays."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from textual.widgets import OptionList, Static

from shoritui.errors import UserError
from shoritui.settings import load_settings
from shoritui.tui.chat.app import ShoriTUI
from shoritui.tui.widgets.chooser import Choice, Chooser
from tests.tui.conftest import running, until

SECRET = "the letter under the hearthstone"


def fail(*_: object) -> None:
    raise RuntimeError(SECRET)


async def fail_later() -> None:
    fail()


class Broken(Static):
    """Raises with every key, and when it is laid out."""

    can_focus = True

    def key_x(self) -> None:
        fail()


def said(app: ShoriTUI) -> str:
    return "\n".join(note.message for note in app._notifications)


PLACES: dict[str, Callable[[ShoriTUI], object]] = {
    "a callback": lambda app: app.call_later(fail),
    "a timer": lambda app: app.set_timer(0.01, fail),
    "a worker": lambda app: app.run_worker(fail_later()),
    "a widget's callback": lambda app: app.main.composer.call_later(fail),
    "after the next frame": lambda app: app.main.composer.call_after_refresh(fail),
}


@pytest.mark.parametrize("place", PLACES)
async def test_the_app_goes_on(place: str, faults: list[BaseException]) -> None:
    async with running(with_model=False) as (app, pilot):
        app.main.composer.insert("not sent")
        PLACES[place](app)
        await until(pilot, lambda: "A fault in ShoriTUI (RuntimeError at " in said(app))
        faults.clear()
        assert SECRET not in said(app)
        await pilot.press("!")
        assert app.main.composer.text == "not sent!"


async def test_a_widget_that_failed_hears_its_next_key(faults: list[BaseException]) -> None:
    async with running(with_model=False) as (app, pilot):
        broken = Broken("here")
        await app.main.mount(broken)
        broken.focus()
        await pilot.press("x")
        await pilot.press("x")
        await until(pilot, lambda: len(faults) == 2)
        faults.clear()
        assert app.is_running


async def cancelled() -> None:
    waited_for = asyncio.ensure_future(asyncio.sleep(60))
    waited_for.cancel()
    await waited_for


@pytest.mark.parametrize("place", ["the app", "a widget"])
async def test_a_task_that_was_waited_for_may_be_cancelled(place: str) -> None:
    async with running(with_model=False) as (app, pilot):
        pump = app if place == "the app" else app.main.composer
        pump.call_later(cancelled)
        pump.call_next(cancelled)
        for _ in range(3):
            await pilot.pause()
        await pilot.press("!")
        assert app.is_running
        assert app.main.composer.text == "!"


async def test_a_failing_action_says_so(
    monkeypatch: pytest.MonkeyPatch, faults: list[BaseException]
) -> None:
    async with running(with_model=False) as (app, pilot):
        app.main.composer.insert("not sent")
        monkeypatch.setattr(app, "_calls", dict.fromkeys(app._calls, fail))
        for action in app.ACTIONS:
            app.start_action(action.id)
            await until(pilot, lambda: bool(faults))
            faults.clear()
            app._faults = type(app._faults)()
        assert "A fault in ShoriTUI" in said(app)
        assert app.main.composer.text == "not sent"


async def test_what_fails_without_end_ends_the_app(faults: list[BaseException]) -> None:
    async with running(with_model=False) as (app, pilot):
        app.main.composer.insert("kept as a draft")
        app.set_interval(0.005, fail)
        await until(pilot, lambda: not app.is_running)
    faults.clear()
    assert app.return_value == 1
    assert "RuntimeError" in app.fatal
    async with running(cards=(), with_model=False) as (again, _):
        assert again.main.composer.text == "kept as a draft"


async def test_what_a_user_can_mend_never_ends_the_app() -> None:
    """A key that is held down on a full disk fails many times a second."""

    def refuse() -> None:
        raise UserError("The disk is full.")

    async with running(with_model=False) as (app, pilot):
        for _ in range(50):
            app.call_later(refuse)
        await until(pilot, lambda: "The disk is full." in said(app))
        await pilot.press("!")
        assert app.is_running and app.main.composer.text == "!"


async def test_an_app_that_cannot_start_says_why(
    monkeypatch: pytest.MonkeyPatch, faults: list[BaseException]
) -> None:
    monkeypatch.setattr(ShoriTUI, "compose", fail)
    app = ShoriTUI(load_settings())
    await app.run_async(headless=True, size=(80, 24))
    faults.clear()
    assert app.fatal.startswith("A fault in ShoriTUI (RuntimeError at ")
    assert SECRET not in app.fatal


async def test_a_question_is_answered_once() -> None:
    """Enter comes twice before the list is gone."""
    async with running(with_model=False) as (app, pilot):
        answers: list[str | None] = []
        chooser = Chooser("Which?", [Choice("a", "A"), Choice("b", "B")])
        app.push_screen(chooser, answers.append)
        await until(pilot, lambda: chooser.is_mounted)
        rows = chooser.query_one(OptionList)
        for _ in range(3):
            rows.action_select()
        await until(pilot, lambda: app.screen is not chooser)
        await pilot.pause()
        assert answers == ["a"]
        assert app.screen is app.main


async def test_a_message_stopped_before_it_is_on_disk_comes_back(home: Path) -> None:
    async with running(with_model=False) as (app, pilot):
        with closing(sqlite3.connect(home / "data" / "library.db", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            app.main.composer.insert("not on disk")
            await pilot.press("enter")
            await until(pilot, lambda: app.performance.is_on)
            await pilot.press("escape")
            await until(pilot, lambda: app.main.composer.text == "not on disk")
            other.execute("ROLLBACK")
