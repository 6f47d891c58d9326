"""`/export-card`: the scene's characters as files of other programs, with what a story changed."""

from __future__ import annotations

import json
from pathlib import Path

from shoritui.interop.cards import import_card
from tests.tui.conftest import enter, news, running, screen_text, until

FOUND = {
    "spec": "chara_card_v2",
    "spec_version": "2.0",
    "data": {"name": "Orla", "description": "{{char}} keeps the light.", "extensions": {"x": [1]}},
}


async def test_the_card_of_a_story_goes_out_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "orla.json"
    file.write_text(json.dumps(FOUND))
    imported = import_card(file)
    assert imported is not None
    async with running(cards=[imported.path], with_model=False) as (app, pilot):
        await enter(app, pilot, f"/export-card v2 {tmp_path / 'out'}")
        await until(pilot, lambda: (tmp_path / "out/Orla.v2.json").exists())
        await until(pilot, lambda: "The card is in " in news(app))
        await enter(app, pilot, "/export-card gif")
        await until(pilot, lambda: "There is no format gif" in news(app))
    data = json.loads((tmp_path / "out/Orla.v2.json").read_text(encoding="utf-8"))["data"]
    assert data["description"] == "{{char}} keeps the light." and data["extensions"] == {"x": [1]}


async def test_a_card_saved_under_another_name_goes_out_as_fully(tmp_path: Path) -> None:
    file = tmp_path / "orla.json"
    file.write_text(json.dumps(FOUND))
    imported = import_card(file)
    assert imported is not None
    async with running(cards=[imported.path], with_model=False) as (app, pilot):
        await enter(app, pilot, "/save Keeper")
        await until(pilot, lambda: "The scene is saved in " in news(app))
        await enter(app, pilot, f"/export-card v2 {tmp_path / 'out'}")
        await until(pilot, lambda: "The card is in " in news(app))
    assert (imported.path.parent / "keeper.json").exists()
    data = json.loads((tmp_path / "out/Orla.v2.json").read_text(encoding="utf-8"))["data"]
    assert data["description"] == "Orla keeps the light." and data["extensions"]["x"] == [1]


async def test_format_and_folder_are_asked_for(tmp_path: Path) -> None:
    async with running(with_model=False) as (app, pilot):
        await pilot.press("alt+shift+w")
        await until(pilot, lambda: "Export the card as" in screen_text(app))
        await pilot.press("down", "enter")
        await until(pilot, lambda: "Into which folder?" in screen_text(app))
        await pilot.press("ctrl+a", *"/nowhere/at/all", "escape")
        await until(pilot, lambda: app.screen is app.main)
    assert not list(tmp_path.rglob("*.v3.json"))
