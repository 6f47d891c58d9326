"""Everything can be done by keyboard alone: each action has keys that reach it and a name that the
palette finds, and Tab goes to whatever takes keys.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widget import Widget

from shoritui.settings import load_settings
from shoritui.tui.action import Where, keys_of
from shoritui.tui.base_app import ActionPalette
from shoritui.tui.chat.actions import ACTIONS, BY_ID
from tests.tui.conftest import INN, Silent, press_at_once, running, screen_text, until


class Listener(Silent):
    """The app, which from some moment on only notes what it is asked to do."""

    asked: list[str] | None = None

    async def do(self, action_id: str, argument: str = "") -> None:
        if self.asked is None:
            await super().do(action_id, argument)
        else:
            self.asked.append(action_id)

    def start_action(self, action_id: str, argument: str = "") -> None:
        if self.asked is None:
            super().start_action(action_id, argument)
        else:
            self.asked.append(action_id)


@asynccontextmanager
async def listening() -> AsyncGenerator[tuple[Listener, Pilot[int], list[str]]]:
    """The app with an open story, and the list of what it is asked."""
    app = Listener(load_settings(), cards=[INN])
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.director is not None)
        app.asked = []
        yield app, pilot, app.asked
        await app.leave(0)


@pytest.mark.parametrize(
    ("focused", "places"),
    [("composer", ("composer", "anywhere")), ("story", ("transcript", "anywhere"))],
)
async def test_every_action_is_reached_by_each_of_its_keys(
    focused: str, places: Collection[Where]
) -> None:
    pressed = [
        (key, action.id)
        for action in ACTIONS
        if action.where in places
        for key in keys_of(action, {})
    ]
    assert len(pressed) > len(ACTIONS) // 2
    async with listening() as (app, pilot, asked):
        getattr(app.main, focused).focus()
        await pilot.pause()
        press_at_once(app, *(key for key, _ in pressed))
        await until(pilot, lambda: len(asked) >= len(pressed))
        # Keys with priority overtake others.
        assert Counter(asked) == Counter(action_id for _, action_id in pressed)


async def test_a_word_typed_fast_while_reading_is_no_row_of_keys() -> None:
    async with running(with_model=False) as (app, pilot):
        told = [(item.text, item.label) for item in app.main.story.passages]
        await pilot.press("alt+up")
        assert app.main.story.has_focus
        press_at_once(app, *"/branch do")
        await until(pilot, lambda: app.main.composer.text == "/branch do")
        assert app.main.composer.has_focus
        assert [(item.text, item.label) for item in app.main.story.passages] == told
        await pilot.press("alt+up", "b")
        await until(pilot, lambda: any(item.label for item in app.main.story.passages))


async def test_every_action_is_found_in_the_palette_by_its_name() -> None:
    async with listening() as (app, pilot, asked):
        palette = ActionPalette(app.screen)
        for action in ACTIONS:
            hits = [hit async for hit in palette.search(action.title.casefold())]
            best = max(hits, key=lambda hit: hit.score)
            assert best.text == action.title
            best.command()
            assert asked[-1:] == [action.id]
        asked.clear()
        app.action_command_palette()
        await until(pilot, lambda: app.screen is not app.main)
        await pilot.press(*"story: undo")
        await until(pilot, lambda: "Story: Undo" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: asked == ["undo"])


def takes_keys(screen: Screen[Any]) -> set[Widget]:
    """Every widget on a screen that can have the focus."""
    return {
        widget
        for widget in screen.query("*")
        if widget.focusable and all(each.display for each in widget.ancestors_with_self)
    }


async def assert_walked(pilot: Pilot[int], key: str) -> None:
    """The key goes to everything that can have the focus, and to nothing else."""
    app, screen = pilot.app, pilot.app.screen
    there, seen = takes_keys(screen), {screen.focused}

    def note(focused: Widget | None) -> None:
        seen.add(focused)

    app.watch(screen, "focused", note)
    assert isinstance(app, Silent)
    press_at_once(app, *[key] * len(there))
    await until(pilot, lambda: seen >= there)
    assert seen - {None} == there


@pytest.mark.parametrize("key", ["tab", "shift+tab"])
@pytest.mark.parametrize("section", ["scene", "sampler", "ooc"])
async def test_tab_goes_everywhere_on_the_main_screen(section: str, key: str) -> None:
    async with running(with_model=False, size=(100, 30)) as (app, pilot):
        await app.open_section(section)
        app.main.composer.focus()
        await pilot.pause()
        assert takes_keys(app.screen) >= {app.main.composer, app.main.story}
        await assert_walked(pilot, key)


@pytest.mark.parametrize(
    "action", ["new", "open", "search", "settings", "keys", "help", "tree", "persona", "who"]
)
async def test_tab_goes_everywhere_on_the_screens_over_it(action: str) -> None:
    async with running(with_model=False, size=(100, 30)) as (app, pilot):
        await pilot.press(keys_of(BY_ID[action], {})[0])
        await until(pilot, lambda: app.screen is not app.main and app.focused is not None)
        await assert_walked(pilot, "tab")
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)
