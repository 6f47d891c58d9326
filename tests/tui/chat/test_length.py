"""How long replies are, chosen in the app: for all, for one character, and the guide."""

from __future__ import annotations

from tests.tui.conftest import enter, news, running, until


async def test_hints_and_the_guide_by_command() -> None:
    async with running() as (app, pilot):
        chat = app.chat
        assert chat is not None
        name = chat.cast[0]
        await enter(app, pilot, f"/length tiny {name}")
        await until(pilot, lambda: chat.length_of(name) == "tiny")
        assert chat.length == "medium"
        await enter(app, pilot, "/length tiny Nobody")
        await until(pilot, lambda: "There is no Nobody in the cast" in news(app))
        await enter(app, pilot, "/length model")
        await until(pilot, lambda: chat.hint() == "model")
        await enter(app, pilot, "/length-guide on")
        await until(pilot, lambda: "The length guide is on" in news(app))
        assert chat.length_guide == "on"


async def test_one_character_is_chosen_from_a_list() -> None:
    async with running() as (app, pilot):
        chat = app.chat
        assert chat is not None
        await pilot.press("ctrl+l")
        await until(pilot, lambda: len(app.screen_stack) > 1)
        await pilot.press(*"one")
        await pilot.press("enter")
        await until(pilot, lambda: "Whose" in str(app.screen.query_one("Vertical").border_title))
        await pilot.press("enter")
        await until(pilot, lambda: "How long" in str(app.screen.query_one("Vertical").border_title))
        await pilot.press(*"nano")
        await pilot.press("enter")
        await until(pilot, lambda: chat.length_of(chat.cast[0]) == "nano")
        assert chat.length == "medium"
