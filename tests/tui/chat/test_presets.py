"""Presets and templates of other programs in the app: there at once, offered, written."""

from __future__ import annotations

import json
from pathlib import Path

from shoritui.engine.presets.foreign import import_preset
from shoritui.interop.templates import import_template
from tests.tui.chat.test_steering import choose_instruction
from tests.tui.conftest import enter, news, running, screen_text, until


def write(path: Path, values: object) -> Path:
    path.write_text(json.dumps(values), encoding="utf-8")
    return path


async def test_an_imported_preset_is_at_once_among_those_to_choose(tmp_path: Path) -> None:
    file = write(tmp_path / "Wild.json", {"temp": 1.7, "top_p": 1, "top_k": 0, "min_p": 0.1})
    async with running(size=(100, 40), with_model=False) as (app, pilot):
        assert import_preset(file) is not None
        await pilot.press("alt+p")
        await until(pilot, lambda: "wild" in screen_text(app))
        await pilot.press(*"wild", "enter")
        await until(pilot, lambda: app.chat is not None and app.chat.preset == "wild")
        assert app.chat is not None and app.chat.sampling.temperature == 1.7


async def test_an_instruction_that_came_with_a_template_is_offered(tmp_path: Path) -> None:
    text = "Write as {{char}} for {{user}}. {{nonsense::x}}"
    file = write(tmp_path / "Novelist.json", {"name": "Novelist", "content": text})
    assert import_template(file) is not None
    async with running(size=(120, 40), with_model=False) as (app, pilot):
        chat = app.chat
        assert chat is not None
        await choose_instruction(app, pilot, "Take that of Novelist")
        await until(pilot, lambda: chat.form.instruction.startswith("Write as "))
        others = " and ".join(name for name in chat.cast if name != chat.user)
        assert chat.form.instruction == f"Write as {others} for {chat.user}."
        await enter(app, pilot, "/instruction off")
        await until(pilot, lambda: chat.form.instruction == "")
        await enter(app, pilot, "/instruction Novelist")
        await until(pilot, lambda: chat.form.instruction.startswith("Write as "))


async def test_templates_are_written_from_the_app(tmp_path: Path) -> None:
    async with running(size=(120, 40), with_model=False) as (app, pilot):
        await enter(app, pilot, f"/export-templates {tmp_path / 'out'}")
        await until(pilot, lambda: "4 templates are in" in news(app))
        assert len(list((tmp_path / "out").glob("*.json"))) == 4
        await pilot.press("alt+shift+p")
        await until(pilot, lambda: "Into which folder?" in screen_text(app))
        await pilot.press("escape")
        (tmp_path / "file").write_text("")
        await enter(app, pilot, f"/export-templates {tmp_path / 'file'}")
        await until(pilot, lambda: "cannot be written" in news(app))
