"""Who is here and who hears it, with keys and commands."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from shoritui.cards import Card, Character
from shoritui.names import names_first
from shoritui.story import Library
from shoritui.text import one_line
from shoritui.tui.chat.presence.who_screen import HearersScreen, WhoScreen
from shoritui.tui.widgets.chooser import Choice, Chooser
from tests.tui.conftest import enter, idle, news, running, screen_text, until

CARD = """
title = "The quay"
[[character]]
name = "Mara"
description = "Mara is warm."
[[character]]
name = "Bo"
[[character]]
name = "Cy"
present = false
[[character]]
name = "Wren"
user = true
"""


@pytest.fixture
def card(tmp_path: Path) -> Path:
    file = tmp_path / "quay.toml"
    file.write_text(CARD, encoding="utf-8")
    return file


async def test_who_is_here_is_seen_and_changed(card: Path) -> None:
    async with running(cards=[card], with_model=False, size=(120, 40)) as (app, pilot):
        chat = app.chat
        assert chat is not None
        await pilot.press("f6")
        await until(pilot, lambda: isinstance(app.screen, WhoScreen))
        assert "○ Cy     absent" in screen_text(app)
        await pilot.press("enter")
        await until(pilot, lambda: "Mara" in chat.absent)
        await pilot.press("down", "m")
        await until(pilot, lambda: "muted" in screen_text(app))
        assert chat.scene.characters[1].speaks == "never"
        await pilot.press("n")
        await until(pilot, lambda: "only when named" in screen_text(app))
        await pilot.press("n")
        await until(pilot, lambda: chat.scene.characters[1].speaks == "freely")
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)
        assert "Mara leaves." in screen_text(app)
        assert "Mara  · absent" in screen_text(app), "in the panel of the scene"
        await enter(app, pilot, "/enter mara comes in, dripping wet")
        await until(pilot, lambda: "Mara comes in, dripping wet." in screen_text(app))
        assert chat.absent == {"Cy"} and "Mara  · absent" not in screen_text(app)
        await enter(app, pilot, "/undo")
        await until(pilot, lambda: "Mara  · absent" in screen_text(app))
        await enter(app, pilot, "/enter Nobody")
        await until(pilot, lambda: "no Nobody in the cast" in news(app))


async def test_one_who_is_asked_and_absent_may_be_let_in(card: Path) -> None:
    async with running(cards=[card]) as (app, pilot):
        chat = app.chat
        assert chat is not None
        await enter(app, pilot, "@Cy Are you there?")
        await until(pilot, lambda: isinstance(app.screen, Chooser))
        await pilot.press("enter")
        await until(pilot, lambda: len(chat.entries) > 2)
        await idle(app, pilot)
        assert [(each.kind, each.speaker) for each in chat.entries] == [
            ("enter", "Cy"),
            ("message", "Wren"),
            ("message", "Cy"),
        ]


async def test_the_composer_whispers_and_says_what_that_costs(card: Path) -> None:
    async with running(cards=[card]) as (app, pilot):
        chat, composer = app.chat, app.main.composer
        assert chat is not None and app.director is not None
        await until(pilot, lambda: app.director and app.director.engine.info)
        await pilot.press("f9")
        await until(pilot, lambda: isinstance(app.screen, HearersScreen))
        assert "Cy" not in screen_text(app)
        await until(pilot, lambda: "tokens or more are read" in screen_text(app))
        [told] = [row for row in screen_text(app).splitlines() if "tokens or more" in row]
        assert told.count("│") >= 2, "in the frame"
        await pilot.press("down", "space", "enter")
        await until(pilot, lambda: "whispers to Bo" in str(composer.border_title))
        await until(pilot, lambda: "tokens or more are read" in str(composer.border_subtitle))
        await enter(app, pilot, "Meet me at dawn.")
        await until(pilot, lambda: len(chat.entries) == 2)
        await idle(app, pilot)
        said, answer = chat.entries
        assert said.details.heard == ("Bo",) and answer.details.heard == ("Wren", "Bo")
        assert answer.speaker == "Bo" and "Wren ≈ to Bo" in screen_text(app)
        assert "Bo ≈ to Wren " in screen_text(app)
        await pilot.press("f9")
        await until(pilot, lambda: "whispers" not in str(composer.border_title))
        await until(pilot, lambda: not composer.border_subtitle)
        composer.insert("/whisper Bo, M")
        await until(pilot, lambda: app.main.completions.current is not None)
        await pilot.press("tab")
        assert composer.text == "/whisper Bo, Mara"
        composer.insert(" Come.")
        await until(pilot, lambda: "nothing is read again" in str(composer.border_subtitle))
        await pilot.press("enter")
        await until(pilot, lambda: len(chat.entries) == 4)
        await idle(app, pilot)
        assert chat.entries[2].details.heard == ("Bo", "Mara")
        await enter(app, pilot, "/whisper Cy Hm.")
        assert "Cy is not here to hear it." in one_line(news(app))
        await enter(app, pilot, "/whisper Wren Hm.")
        assert "You speak as Wren: whisper to somebody else." in one_line(news(app))


def test_the_names_that_a_whisper_begins_with() -> None:
    names = {"Bo": (), "Mara Lind": ("Mara",), "Cy": ()}
    assert names_first("Bo Hello, Cy.", names) == (("Bo",), "Hello, Cy.")
    assert names_first("bo, mara: Hello.", names) == (("Bo", "Mara Lind"), "Hello.")
    assert names_first("Bo, Eve", names) == (("Bo",), "Eve")
    assert names_first("Bob", names) == ((), "Bob")


async def test_two_of_one_name_each_have_a_row(home: Path) -> None:
    cast = tuple(Character(name=name) for name in ("Mara", "Mara", "Wren"))
    with closing(Library(home / "data" / "library.db")) as library:
        library.create_chat(Card(characters=cast), "Wren")
    async with running(cards=(), with_model=False) as (app, pilot):
        await pilot.press("f6")
        await until(pilot, lambda: isinstance(app.screen, WhoScreen))
        assert screen_text(app).count("● Mara") == 2
        await pilot.press("escape")
        app.push_screen(Chooser("Who", [Choice("Mara", "Mara")] * 2))
        await until(pilot, lambda: screen_text(app).count("  Mara") == 1)
