"""A card of another program in the app: what is said of it, and its greetings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shoritui.interop.cards import import_card
from shoritui.settings import save_settings
from shoritui.tui.chat.scene_picker import ScenePicker
from tests.tui.conftest import enter, idle, running, screen_text, until

DATA = {
    "name": "Orla",
    "description": "Orla keeps the light.",
    "first_mes": "Mind the step, {{user}}.",
    "alternate_greetings": ["The horn blew.", "Fog."],
    "post_history_instructions": "Stay calm.",
    "creator": "Ann\x1b[31m",
    "creator_notes": "Best read [b]at night[/b].",
    "character_version": "1.2",
    "tags": ["sea", "light"],
}


@pytest.fixture(autouse=True)
def card(home: Path, tmp_path: Path) -> None:
    (home / "config").mkdir()
    save_settings(max_tokens=8, length="auto", keep_following="keep")
    path = tmp_path / "orla.json"
    path.write_text(json.dumps({"spec": "chara_card_v2", "data": DATA}), encoding="utf-8")
    import_card(path)


async def test_a_card_says_what_it_is_and_another_greeting_is_chosen() -> None:
    async with running(cards=(), wait_for_story=False, size=(110, 40)) as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, ScenePicker))
        await pilot.press(*"light orla")
        await until(pilot, lambda: "Best read [b]at night[/b]." in screen_text(app))
        shown = screen_text(app)
        assert "3 greetings to choose from · #sea · #light" in shown
        assert "By Ann · version 1.2 · #sea · #light" in shown
        await pilot.press("enter")
        await until(pilot, lambda: app.chat is not None)
        note, opening = app.main.story.passages
        assert (note.kind, note.text) == ("note", "Stay calm.")
        assert (opening.text, opening.version) == ("Mind the step, You.", (1, 3))
        await idle(app, pilot)
        app.main.story.focus()
        app.main.story.go_to(opening.id)
        await pilot.press("l")
        await until(pilot, lambda: app.main.story.passages[-1].text == "The horn blew.")
        assert app.main.story.passages[-1].version == (2, 3)
        await pilot.press("l")
        await until(pilot, lambda: app.main.story.passages[-1].text == "Fog.")
        await pilot.press("h")
        await until(pilot, lambda: app.main.story.passages[-1].text == "The horn blew.")
        await enter(app, pilot, "Hm.")
        await until(pilot, lambda: len(app.main.story.passages) == 4)
        await idle(app, pilot)
        told = [each.text for each in app.main.story.passages[:3]]
        assert told == ["Stay calm.", "The horn blew.", "Hm."]
