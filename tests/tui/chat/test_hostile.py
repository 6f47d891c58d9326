"""Hostile names in everything that the app shows: each is text, on every screen."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Static, TextArea
from textual.widgets.option_list import Option

from shoritui import tui
from shoritui.settings import load_settings
from shoritui.tui.base_app import BaseApp
from shoritui.tui.chat.app import ShoriTUI
from tests.hostile import ALL, FILE_NAME, MARKUP, UNCLEAN, fill
from tests.tui.conftest import Silent, until


def painted(app: App[Any]) -> str:
    """Return the screen's text, in which nothing is more than text."""
    lines = []
    for strip in app.screen._compositor.render_strips():
        for text, style, control in strip:
            assert not control and not UNCLEAN.search(text), repr(text)
            click = str(style.meta.get("@click", "")) if style is not None else ""
            assert "undo" not in click and "passwd" not in click, click
            assert style is None or style.link is None, style.link
        lines.append(strip.text)
    return "\n".join(lines)


async def close_all(app: ShoriTUI, pilot: Pilot[int]) -> None:
    while len(app.screen_stack) > 1:
        app.pop_screen()
        await pilot.pause()


@pytest.mark.slow
async def test_names_are_only_names_on_every_screen(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(home)
    monkeypatch.chdir(home)  # some of the actions write files
    seen = []
    app = Silent(load_settings())
    async with app.run_test(size=(100, 28), tooltips=True, notifications=True) as pilot:
        await until(pilot, lambda: app.director is not None and not app.main.composer.disabled)
        await pilot.press("alt+s", *"Bob")
        await until(pilot, lambda: "Search everything" in painted(app))
        await until(pilot, lambda: app.screen.query_one(OptionList).option_count > 0)
        seen.append(painted(app))
        await close_all(app, pilot)
        await app.learn_themes()
        await app.choose_theme(f"right{FILE_NAME}")
        assert app.theme == f"right{FILE_NAME}"
        for action in app.actions:
            if action.choices is not None:
                app.main.composer.text = f"/{action.slash} "
                app.main.composer.move_cursor((0, len(action.slash) + 2))
                await pilot.pause()
                seen.append(painted(app))
        app.main.composer.text = ""
        for action in app.actions:
            for said in ("", ALL) if action.argument else ("",):
                app.start_action(action.id, said)
                await pilot.pause()
                seen.append(painted(app))
                if app.screen is not app.main:
                    await pilot.press("down", "tab")
                    seen.append(painted(app))
                await close_all(app, pilot)
        await app.leave(0)
    everything = "\n".join(seen)
    assert [each for each in MARKUP if each[:16] not in everything] == []


class Plain(BaseApp):
    """Every widget that the apps are made of, given strings."""

    CSS = "Static { border: round red; } TextArea { height: 5; }"

    def __init__(self) -> None:
        super().__init__(load_settings(), {})

    def compose(self) -> ComposeResult:
        static = Static(MARKUP[0])
        static.border_title, static.border_subtitle, static.tooltip = MARKUP[1:4]
        yield OptionList(MARKUP[3], Option(MARKUP[4]))
        yield TextArea(placeholder=MARKUP[2])
        yield Input(placeholder=MARKUP[1])
        yield Static(id="later")
        yield static

    def on_mount(self) -> None:
        self.query_one("#later", Static).update(MARKUP[5])
        self.notify(MARKUP[3], title=MARKUP[0])


async def test_no_string_is_markup_in_any_widget() -> None:
    app = Plain()
    shown = [2, 2, 2, 2, 1, 1]
    async with app.run_test(size=(120, 40), tooltips=True, notifications=True) as pilot:
        await until(pilot, lambda: [painted(app).count(each) for each in MARKUP] == shown, 9)
        await pilot.hover(app.query(Static).last(), offset=(4, 1))
        await until(pilot, lambda: painted(app).count(MARKUP[3]) == 3, 9)


def test_the_apps_are_made_of_the_widgets_above_alone() -> None:
    """Tables, trees, logs and tabs take strings for markup in ways of their own."""
    folder = Path(tui.__file__).parent
    texts = {path.name: path.read_text(encoding="utf-8") for path in folder.rglob("*.py")}
    found = [
        (name, imported)
        for name, text in texts.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("textual.widgets")
        for imported in (each.name for each in node.names)
    ]
    known = {"Input", "Option", "OptionList", "Static", "TextArea"}
    assert {name for name, imported in found if imported not in known} == {"help_screen.py"}
    assert [
        name for name, text in texts.items() if "rich.markup" in text or "Text.from" in text
    ] == []
