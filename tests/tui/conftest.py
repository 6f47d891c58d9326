"""A home of its own for every test, and apps to press keys in."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.app import App
from textual.events import Key
from textual.pilot import Pilot

from shoritui.folders import HOME_VARIABLE, bundled_dir, config_dir
from shoritui.settings import load_settings, save_settings
from shoritui.tui.chat.app import ShoriTUI

INN = bundled_dir("characters") / "mudlark-inn.toml"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings, library and themes of this test alone."""
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.setattr(App, "NOTIFICATION_TIMEOUT", 600)  # A busy machine would miss them.
    monkeypatch.delenv("NO_COLOR", raising=False)
    return tmp_path


class Silent(ShoriTUI):
    """The app without a model, for what needs none."""

    async def _load_model(self) -> None:
        assert self.session is not None
        self.session.engine.expecting = False


async def until(pilot: Pilot[Any], holds: Callable[[], object], seconds: float = 60) -> None:
    """Waits for something to become true."""
    for _ in range(round(seconds / 0.02)):
        if holds():
            await pilot.pause()
            return
        await pilot.pause(0.02)
    raise AssertionError("it never became true")


def write_endless_replies() -> None:
    """From the next start on: words without sense, of which there is hardly an end."""
    preset = config_dir() / "presets" / "wild.toml"
    preset.parent.mkdir(parents=True)
    preset.write_text('title = "Wild"\ntemperature = 20.0\n', encoding="utf-8")
    save_settings(max_tokens=100_000, length="enormous", preset="wild")


@asynccontextmanager
async def running(
    *,
    cards: Sequence[Path] = (INN,),
    size: tuple[int, int] = (100, 30),
    new: bool = False,
    wait_for_story: bool = True,
    with_model: bool = True,
) -> AsyncGenerator[tuple[ShoriTUI, Pilot[int]]]:
    """The app with the model that ships, from its start to its end."""
    app = (ShoriTUI if with_model else Silent)(load_settings(), cards=cards, new=new)
    async with app.run_test(size=size) as pilot:
        if wait_for_story:
            await until(pilot, lambda: app.director is not None and not app.main.composer.disabled)
            await until(pilot, lambda: app.main.masthead.heading[0] != "ShoriTUI")
        try:
            yield app, pilot
        finally:
            await app.leave(0)


async def enter(app: ShoriTUI, pilot: Pilot[int], text: str) -> None:
    """Types a text at once, and Enter."""
    app.main.composer.focus()
    app.main.composer.insert(text)
    await pilot.pause()
    await pilot.press("enter")
    await pilot.pause()


async def idle(app: ShoriTUI, pilot: Pilot[int]) -> None:
    """Waits until nobody writes any more."""
    await until(pilot, lambda: not app.performance.is_on)


def screen_text(app: App[Any]) -> str:
    """What is on the screen, a line a row."""
    lines = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in line) for line in lines)


def heard(app: ShoriTUI) -> list[str]:
    """What the app has said lately, what stands in the status line last."""
    return [*(toast.message for toast in app._notifications), *filter(None, [app.status.news])]


def news(app: ShoriTUI) -> str:
    """The same as one text."""
    return "\n".join(heard(app))


def press_at_once(app: ShoriTUI, *keys: str) -> None:
    """Keys as a terminal sends them that are pressed faster than they are taken."""
    for key in keys:
        app.post_message(Key(key, key if len(key) == 1 else None))
