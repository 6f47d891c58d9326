"""The inspector's screens: the next prompt, its tokens, and another way for a message to go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path

import pytest

from shoritui.director import Event, Notice
from shoritui.story import Library
from shoritui.tui.chat.inspect.inspect_screen import InspectScreen
from shoritui.tui.chat.inspect.token_screen import TokenScreen
from tests.benchmarks._story import write_story
from tests.tui.conftest import enter, idle, news, running, screen_text, until


def inspect_screen(app: object) -> InspectScreen:
    screen = getattr(app, "screen", None)
    assert isinstance(screen, InspectScreen)
    return screen


async def test_the_next_prompt_is_shown_searched_and_copied() -> None:
    async with running(size=(120, 40), new=True) as (app, pilot):
        await until(pilot, lambda: app.session and app.session.engine.info)
        await pilot.press("f7")
        await until(pilot, lambda: isinstance(app.screen, InspectScreen))
        screen = inspect_screen(app)
        await until(pilot, lambda: screen.inspection is not None)
        told = screen.inspection
        assert told is not None and told.speaker == "Brindle"
        words = f"Brindle reads {told.tokens:,} of {told.context_size:,} tokens"
        await until(pilot, lambda: words in screen_text(app))
        assert "description · Brindle" in screen_text(app)
        await pilot.press("y")
        assert app.clipboard == told.text
        await pilot.press("slash", *"eighth door")
        await until(pilot, lambda: 0 < len(screen.rows) < len(told.blocks))
        assert all("eighth door" in row.text for row in screen.rows)
        await pilot.press("escape", "right")
        await until(pilot, lambda: screen.inspection not in (None, told))
        assert screen.inspection is not None and screen.inspection.text != told.text
        await pilot.press("home", "enter")
        await until(pilot, lambda: isinstance(app.screen, TokenScreen))
        await until(pilot, lambda: "token 1 of" in screen_text(app) and "id " in screen_text(app))
        await pilot.press("escape", "escape")
        await until(pilot, lambda: app.screen is app.main)
        await enter(app, pilot, "/inspect Brindel")
        assert "Did you mean Brindle?" in news(app)


async def test_a_message_goes_on_from_another_token(home: Path) -> None:
    (home / "config").mkdir()
    (home / "config" / "settings.toml").write_text("max_tokens = 24\n", encoding="utf-8")
    async with running(size=(120, 40), new=True) as (app, pilot):
        await until(pilot, lambda: app.session and app.session.engine.info)
        await enter(app, pilot, "Is the eighth door locked?")
        await idle(app, pilot)
        assert app.chat is not None
        old = app.chat.entries[-1]
        await pilot.press("alt+up", "f7")
        await until(pilot, lambda: isinstance(app.screen, InspectScreen))
        screen = inspect_screen(app)
        await until(
            pilot, lambda: screen.highlighted is not None and screen.highlighted.entry == old
        )
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, TokenScreen))
        tokens = app.screen
        assert isinstance(tokens, TokenScreen)
        await until(pilot, lambda: tokens.likelihoods)
        assert "".join(each.token.text for each in tokens.likelihoods) == f" {old.text}▄"
        await pilot.press("right", "right")
        here = tokens.likelihoods[2]
        while not here.top[tokens.others.highlighted].text.strip(" ,.").isalpha():
            await pilot.press("tab")
        other = here.top[tokens.others.highlighted]
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.main)
        await until(pilot, lambda: app.chat and app.chat.entries[-1].id != old.id)
        await idle(app, pilot)
        new = app.chat.entries[-1]
        kept = "".join(each.token.text for each in tokens.likelihoods[:2]) + other.text
        assert new.slot == old.slot and new.text.startswith(kept.lstrip())
        app.main.story.focus()
        await pilot.press("ctrl+z")
        await idle(app, pilot)
        assert app.chat.entries[-1] == old


async def test_it_opens_while_a_reply_is_written_and_waits_for_its_end() -> None:
    ended = asyncio.Event()

    async def reply() -> AsyncGenerator[Event]:
        await ended.wait()
        yield Notice("It is over.")

    async with running(with_model=False) as (app, pilot):
        app.performance.play(reply())
        await pilot.press("f7")
        await until(pilot, lambda: isinstance(app.screen, InspectScreen))
        await until(pilot, lambda: "waiting until the reply has ended" in screen_text(app))
        ended.set()
        await until(pilot, lambda: "✕ No model is open." in screen_text(app))
        await pilot.press("enter", "right", "y", "slash", "escape", "escape")
        await until(pilot, lambda: app.screen is app.main)


@pytest.mark.parametrize("size", [(80, 24), (60, 20)])
async def test_a_message_that_left_the_context_can_be_looked_at(
    home: Path, size: tuple[int, int]
) -> None:
    with closing(Library(home / "data" / "library.db")) as library:
        write_story(library, 2_000, characters=300)
    async with running(cards=(), size=size) as (app, pilot):
        await until(pilot, lambda: app.session and app.session.engine.info)
        await pilot.press("f7")
        await until(pilot, lambda: isinstance(app.screen, InspectScreen))
        screen = inspect_screen(app)
        await until(pilot, lambda: screen.inspection is not None, 120)
        told = screen.inspection
        assert told is not None and told.tokens + told.reserve <= told.context_size
        await until(pilot, lambda: "Left out: " in screen_text(app))
        assert told.sums["trimmed"].entries == len(told.left_out) > 1_500
        assert len(screen.rows) == len(told.blocks) + len(told.left_out)
        await pilot.press("slash", *"Number 1500.", "enter", "g")
        await until(pilot, lambda: app.screen is app.main)
        at = app.main.story.at_cursor
        assert at is not None and at.text.startswith("Number 1500.")
