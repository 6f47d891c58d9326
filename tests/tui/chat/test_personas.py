"""Who the user is: personas in the app, and macros of the card that a story begins with."""

from __future__ import annotations

from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from shoritui.cards import Character, find_personas, keep_persona, load_card
from shoritui.settings import load_settings, save_settings
from shoritui.tui.chat.app import ShoriTUI
from shoritui.tui.chat.personas.screen import PersonaScreen
from shoritui.tui.widgets.chooser import LinePrompt
from shoritui.tui.widgets.field import Editor
from tests.tui.conftest import enter, idle, news, running, screen_text, until

WREN = Character(name="Wren", description="{{user}} keeps the log.")
GLADE = """
scenario = "{{char}} waits for {{user}}. {{weather}}"
[[character]]
name = "Sefa"
description = "{{char}} hosts {{user}}."
"""


def last(app: ShoriTUI) -> tuple[str, str, str]:
    assert app.chat is not None and app.chat.last is not None
    entry = app.chat.last
    return entry.kind, entry.speaker, entry.text


async def write(pilot: Pilot[int], text: str, key: str) -> None:
    """Replaces what stands in the line or the area, and presses a key."""
    focused = pilot.app.focused
    if isinstance(focused, Input):
        focused.value = text
    else:
        assert isinstance(focused, TextArea)
        focused.text = text
    await pilot.pause()
    await pilot.press(key)


async def test_persona_is_taken_up_by_name_and_undone() -> None:
    keep_persona(WREN)
    async with running(with_model=False) as (app, pilot):
        assert app.chat is not None
        before = app.chat.user
        await enter(app, pilot, "/persona Wren")
        await until(pilot, lambda: app.chat is not None and app.chat.user == "Wren")
        await idle(app, pilot)
        assert last(app) == ("description", "Wren", "Wren keeps the log.")
        assert "Wren keeps the log." in screen_text(app)
        await enter(app, pilot, "/undo")
        await until(pilot, lambda: app.chat is not None and app.chat.user == before)
        assert last(app)[0] == "message"
        await enter(app, pilot, "/persona Wrenn")
        await until(pilot, lambda: 'no persona "Wrenn"' in news(app))


async def test_persona_is_written_changed_deleted_and_brought_back() -> None:
    async with running(with_model=False) as (app, pilot):
        await pilot.press("f10")
        await until(pilot, lambda: isinstance(app.screen, PersonaScreen))
        screen = app.screen
        await until(pilot, lambda: "^n writes one" in screen_text(app))
        await pilot.press("ctrl+n")
        await until(pilot, lambda: isinstance(app.screen, LinePrompt))
        await write(pilot, "Bosun", "enter")
        await until(pilot, lambda: isinstance(app.screen, Editor))
        await write(pilot, "A loud man.", "ctrl+s")
        await until(pilot, lambda: app.screen is screen and "A loud man." in screen_text(app))
        await pilot.press("ctrl+t")
        await until(pilot, lambda: isinstance(app.screen, LinePrompt))
        await write(pilot, "Pike,  the bosun", "enter")
        await until(pilot, lambda: "Pike · the bosun" in screen_text(app))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: load_settings().persona == "Bosun")
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, LinePrompt))
        await write(pilot, "Bosun Pike", "enter")
        await until(pilot, lambda: load_settings().persona == "Bosun Pike")
        [kept] = find_personas()[0]
        assert kept.character == Character(
            name="Bosun Pike", aliases=("Pike", "the bosun"), description="A loud man.", user=True
        )
        await pilot.press("delete")
        await until(pilot, lambda: not find_personas()[0])
        await pilot.press("tab")
        await until(pilot, lambda: "Bosun Pike" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: bool(find_personas()[0]))
        await pilot.press("tab", "ctrl+z", "ctrl+z")
        await until(pilot, lambda: bool(find_personas()[0]))
        await until(pilot, lambda: "A loud man." in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.chat is not None and app.chat.user == "Bosun Pike")
        await until(pilot, lambda: last(app)[2] == "A loud man.")


async def test_new_story_begins_as_the_default_persona_with_settled_macros(home: Path) -> None:
    keep_persona(WREN)
    save_settings(persona="Wren")
    card = home / "glade.toml"
    card.write_text(GLADE, encoding="utf-8")
    async with running(cards=[card], with_model=False) as (app, pilot):
        chat = app.chat
        assert chat is not None
        assert (chat.user, chat.cast) == ("Wren", ["Sefa", "Wren"])
        assert chat.scene.scenario == "Sefa waits for Wren. "
        assert [each.description for each in chat.scene.characters] == [
            "Sefa hosts Wren.",
            "Wren keeps the log.",
        ]
        told = "glade.toml, the scenario: {{weather}} is no macro known here; it is left out."
        await until(pilot, lambda: told in news(app))
        await enter(app, pilot, "/reload")
        await until(pilot, lambda: "The scene is as its card is." in news(app))
        assert chat.as_written(load_card(card)) == load_card(card)
