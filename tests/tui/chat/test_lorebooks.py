"""A lorebook of another program comes in, fires in the open story, and goes out again."""

from __future__ import annotations

import json
from pathlib import Path

from shoritui.tui.widgets.chooser import Chooser
from tests.tui.conftest import enter, idle, running, screen_text, until

CARD = """
title = "The quay"
[[character]]
name = "Mara"
[[character]]
name = "Wren"
user = true
[[message]]
speaker = "Mara"
text = "Mara yawned."
"""
BOOK = {
    "entries": {
        "0": {
            "uid": 0,
            "key": ["shadowfang"],
            "keysecondary": ["forest"],
            "selective": False,
            "comment": "",
            "content": "Shadowfangs fear {{user}}.",
            "constant": False,
            "position": 0,
            "disable": False,
            "triggers": ["swipe"],
        },
        "1": {"uid": 1, "key": ["moat"], "content": "It is dry.", "disable": True},
    }
}


async def test_world_info_comes_in_fires_and_goes_out(tmp_path: Path) -> None:
    card, book, out = tmp_path / "quay.toml", tmp_path / "Woods.json", tmp_path / "out"
    card.write_text(CARD, encoding="utf-8")
    book.write_text(json.dumps(BOOK), encoding="utf-8")
    out.mkdir()
    async with running(cards=[card], new=True) as (app, pilot):
        await until(pilot, lambda: app.session and app.session.engine.info)
        await enter(app, pilot, f"/import {book}")
        await until(pilot, lambda: isinstance(app.screen, Chooser))
        assert "woods is a lorebook" in screen_text(app)
        await pilot.press("enter")
        await until(pilot, lambda: app.chat and len(app.chat.scene.lore) == 2)

        await enter(app, pilot, "Two Shadowfangs stood there.")
        await idle(app, pilot)
        await until(pilot, lambda: app.main.story.passages[1].lore == "shadowfang")
        assert app.director is not None
        rows = await app.director.lore("")
        assert [row.verdict.state for row in rows] == ["fired", "off"]

        await enter(app, pilot, f"/export-lore sillytavern {out}")
        await until(pilot, lambda: "The lore is in" in screen_text(app))
        written = json.loads((out / "The-quay.json").read_text(encoding="utf-8"))
        assert written == BOOK  # its macro too, which the story has settled


async def test_a_story_need_not_take_what_came_in(tmp_path: Path) -> None:
    book = tmp_path / "woods.json"
    book.write_text(json.dumps(BOOK), encoding="utf-8")
    card = tmp_path / "quay.toml"
    card.write_text(CARD, encoding="utf-8")
    async with running(cards=[card], new=True) as (app, pilot):
        await until(pilot, lambda: app.session and app.session.engine.info)
        await enter(app, pilot, f"/import {book}")
        await until(pilot, lambda: isinstance(app.screen, Chooser))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, Chooser))
        assert app.chat is not None and not app.chat.scene.lore
