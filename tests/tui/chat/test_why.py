"""Why lore fired and why not: the screen, the margin, and a lorebook taken into a story."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from textual.app import App

from shoritui.cards import Lore
from shoritui.director import LoreRow
from shoritui.folders import bundled_dir
from shoritui.story import Entry, Verdict, fire
from shoritui.tui.chat.lore.why_screen import WhyScreen, about, words_of
from shoritui.tui.themes import find_themes
from tests.tui.conftest import enter, idle, running, screen_text, until

SAID = Entry(7, None, "message", "Mara", None, "The bell rang in the fog.", "complete", 0.0, 9)
LORE = (
    Lore(name="The bell", text="It has no clapper.", keys=("bell",)),
    Lore(name="The rope", text="It is wet.", keys=("bell",), secondary_keys=("rope",)),
    Lore(name="The harbour", text="It is shut."),
    Lore(name="The moat", text="It is dry.", keys=("moat", "ditch")),
    Lore(name="\x1b[2JOff", text="No.", keys=("fog",), enabled=False),
    Lore(name="The fog", text="It comes.", keys=("fog",), place="top"),
)
CARD = """
[[character]]
name = "Mara"
[[character]]
name = "Wren"
user = true
[[message]]
speaker = "Mara"
text = "Mara yawned."
[[lore]]
name = "The bell"
keys = ["bell*"]
text = "The bell has no clapper."
"""
BOOK = """
[[lore]]
name = "The moat"
keys = ["moat"]
text = "The moat has a name."
"""


def rows(entries: Sequence[Entry]) -> list[LoreRow]:
    firing = fire(LORE, entries)
    verdicts: list[Verdict] = [firing.verdict(number) for number in range(len(LORE))]
    return [LoreRow(each, 12, 340) for each in verdicts]


class Alone(App[None]):
    """The screen alone."""

    def __init__(self) -> None:
        super().__init__()
        for theme in find_themes([bundled_dir("themes")])[0].values():
            self.register_theme(theme)
        self.theme = "shori-dark"
        self.asked: list[str] = []

    async def ask(self, words: str) -> list[LoreRow]:
        self.asked.append(words)
        draft = Entry(0, None, "message", "Wren", None, words, "complete", 0.0, 0)
        return rows([SAID, draft] if words else [SAID])


def test_each_piece_has_its_rule() -> None:
    texts = ["".join(text for text, _ in words_of(row)) for row in rows([SAID])]
    assert [text[0] for text in texts] == ["●", "○", "◆", "○", "✕", "●"]
    assert "none of its secondary keys came up (rope)" in texts[1]
    assert all(text.isprintable() for text in texts)


def test_what_is_said_of_a_piece() -> None:
    bell, _, harbour, moat, _, fog = map(about, rows([SAID]))
    assert "Key “bell”, in Mara: The bell rang in the fog." in bell
    assert bell[-1] == "12 tokens · stands once after the message, and stays"
    assert "header" in harbour[-1] and "Keys: moat, ditch" in moat
    assert "340 tokens are read again" in fog[-1]


def test_of_a_long_message_the_words_around_the_key_are_told() -> None:
    long = "The tide was out. " * 20
    said = replace(SAID, text=f"{long}The BELL rang. {long}")
    [line] = [line for line in about(rows([said])[0]) if line.startswith("Key")]
    assert line.startswith("Key “bell”, in Mara: … ") and line.endswith(" …")
    assert "out. The BELL rang. The tide" in line and len(line) < 200


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (60, 20)])
async def test_the_screen_filters_and_tries_words(size: tuple[int, int]) -> None:
    app = Alone()
    async with app.run_test(size=size) as pilot:
        chosen: list[int | None] = []
        app.push_screen(WhyScreen(app.ask), chosen.append)
        await until(pilot, lambda: "The moat" in screen_text(app))
        await pilot.press(*"moat")
        await until(pilot, lambda: "The bell  " not in screen_text(app))
        await pilot.press("escape", "shift+tab", *"a moat")
        await until(pilot, lambda: app.asked[-1] == "a moat" and "● The moat" in screen_text(app))
        screen = app.screen
        assert isinstance(screen, WhyScreen)
        await pilot.press("enter")
        assert chosen == []  # what if has no message to go to
        await pilot.press("ctrl+home")
        await until(pilot, lambda: "Mara: The bell" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: chosen == [7])


async def test_lore_shows_in_the_margin_and_a_book_is_taken_in(tmp_path: Path) -> None:
    card = tmp_path / "quay.toml"
    card.write_text(CARD, encoding="utf-8")
    folder = tmp_path / "config" / "lore"
    folder.mkdir(parents=True)
    (folder / "moats.toml").write_text(BOOK, encoding="utf-8")
    (folder / "empty.toml").write_text('title = "x"\n', encoding="utf-8")
    async with running(cards=[card], new=True) as (app, pilot):
        await until(pilot, lambda: app.session and app.session.engine.info)
        await enter(app, pilot, "/lorebook moats")
        await until(pilot, lambda: app.chat and len(app.chat.scene.lore) == 2)
        await enter(app, pilot, "The bells! The moat!")
        await idle(app, pilot)
        await until(pilot, lambda: app.main.story.passages[1].lore == "The bell, The moat")
        assert "✦Wren" in screen_text(app)
        await enter(app, pilot, "/lorebook moats")
        await idle(app, pilot)
        assert app.chat is not None and len(app.chat.scene.lore) == 2
        await enter(app, pilot, "/why")
        await until(pilot, lambda: isinstance(app.screen, WhyScreen))
        await until(pilot, lambda: "in Wren: The bells!" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.main.story.cursor == 1)
