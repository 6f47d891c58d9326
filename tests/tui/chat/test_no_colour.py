"""Under NO_COLOR (https://no-color.org) nothing is told by colour alone."""

from __future__ import annotations

from typing import TypeAlias

import pytest
from rich.style import Style
from textual.widget import Widget

from shoritui.tui.chat.app import ShoriTUI
from shoritui.tui.widgets.transcript import Transcript
from tests.tui.conftest import running, screen_text, until

Look: TypeAlias = tuple[str, bool, bool, bool, bool, bool]


@pytest.fixture(autouse=True)
def no_colour(monkeypatch: pytest.MonkeyPatch, home: object) -> None:
    monkeypatch.setenv("NO_COLOR", "1")


def look(character: str, style: Style | None) -> Look:
    style = style or Style.null()
    attributes = (style.bold, style.italic, style.underline, style.dim, style.reverse)
    return (character, *map(bool, attributes))  # type: ignore[return-value]


def looks(app: ShoriTUI, first: int = 0, stop: int | None = None) -> list[list[Look]]:
    """Every cell of these rows of the screen, without colours."""
    return [
        [look(character, style) for text, style, _ in strip for character in text]
        for strip in app.screen._compositor.render_strips()[first:stop]
    ]


def looks_of(app: ShoriTUI, widget: Widget) -> list[list[Look]]:
    """The cells of one widget."""
    region = widget.region
    return [row[region.x : region.right] for row in looks(app, region.y, region.bottom)]


def reversed_text(app: ShoriTUI) -> str:
    """What stands out on the screen."""
    return "".join(cell[0] if cell[-1] else "" for row in looks(app) for cell in row)


async def test_no_cell_has_a_colour_and_prose_keeps_its_kinds() -> None:
    async with running(with_model=False, size=(120, 40)) as (app, pilot):
        await pilot.press("f2")
        await until(pilot, lambda: "Scenario" in screen_text(app))
        for strip in app.screen._compositor.render_strips():
            for _, style, _ in strip:
                for colour in (style.color, style.bgcolor) if style else ():
                    assert colour is None or colour.is_default
        seen = {
            word: next(
                row[column][1:]
                for row in looks(app)
                if (column := "".join(cell[0] for cell in row).find(word)) >= 0
            )
            for word in ("Shut the door", "had a", "So he has", "Plip", "post**")
        }
        assert len(set(seen.values())) == 5


async def test_what_has_the_focus_stands_out() -> None:
    kinds: set[str] = set()
    async with running(with_model=False, size=(120, 50)) as (app, pilot):
        for section in ("scene", "sampler", "ooc"):
            await app.open_section(section)
            await pilot.pause()
            one_of_each = {type(widget).__name__: widget for widget in app.screen.focus_chain}
            for kind, widget in one_of_each.items():
                if kind in kinds:
                    continue
                kinds.add(kind)
                widget.focus(scroll_visible=False)
                widget.scroll_visible(animate=False, immediate=True)
                await pilot.pause()
                # A transcript has nothing of its own before a message is chosen; the key bar has.
                seen = app.screen if isinstance(widget, Transcript) else widget
                focused = looks_of(app, seen)
                other = app.main.story if widget is app.main.composer else app.main.composer
                other.focus(scroll_visible=False)
                await pilot.pause()
                assert looks_of(app, seen) != focused, kind
    assert {"StoryComposer", "Story", "FoldHead", "Field", "Knob", "OocInput", "Talk"} <= kinds


async def test_what_is_selected_or_highlighted_stands_out() -> None:
    async with running(with_model=False, size=(120, 40)) as (app, pilot):

        async def stands_out(words: str) -> None:
            await until(pilot, lambda: words in reversed_text(app), seconds=20)

        app.main.composer.insert("a wet coat")
        app.main.composer.action_select_all()
        await stands_out("a wet coat")
        app.main.composer.clear()
        await pilot.press("slash", "r", "e")
        await stands_out("/retry")
        app.main.composer.clear()
        await pilot.press("f8")
        await stands_out("The Inn with One Room")
        await pilot.press(*"inn", "shift+home")
        await stands_out("inn")
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)
        await pilot.press("ctrl+p", *"undo")
        await stands_out("Story: Undo")
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)
        await pilot.press("f5")
        await stands_out("model")


async def test_an_empty_variable_leaves_the_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "")
    async with running(with_model=False) as (app, _):
        styles = [
            style for strip in app.screen._compositor.render_strips() for _, style, _ in strip
        ]
        assert any(style and style.color and not style.color.is_default for style in styles)
