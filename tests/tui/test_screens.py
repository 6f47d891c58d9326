"""Screens at two sizes, as pictures: `pytest tests/tui/test_screens.py --snapshot-update` takes
them anew, and `snapshot_report.html` shows what changed. No model writes in them.
"""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, TextArea

from shoritui import guide
from shoritui.cards import card_folders, load_cards
from shoritui.director import (
    Appended,
    Event,
    InspectedBlock,
    Inspection,
    Inspector,
    LeftOut,
    TurnStarted,
    Wrote,
    header_segments,
)
from shoritui.engine import SampledToken, TokenLogprob
from shoritui.settings import load_settings
from shoritui.story import Entry, Form
from shoritui.tui.chat import library_screen, search_screen
from shoritui.tui.chat.app import ShoriTUI
from shoritui.tui.chat.inspect.inspect_screen import InspectScreen
from shoritui.tui.chat.inspect.token_screen import TokenScreen
from shoritui.tui.chat.library_screen import LibraryScreen
from shoritui.tui.chat.panels.side import SidePanel
from shoritui.tui.help_screen import Help
from shoritui.tui.training.app import TrainingApp
from shoritui.tui.widgets.bars import Doing
from shoritui.tui.widgets.browser import Browser
from tests.finetune.run.scripted import scripted
from tests.tui.conftest import INN, screen_text, until
from tests.tui.training.test_training import MID, START, WAIT

Compare = Callable[..., bool]
Steps = Callable[[Pilot[int]], Awaitable[None]]
TALK = ("Does the moat have a name?", "It had one. Nobody who uses it has a tongue any more.")
REPLY = (
    '"Nine keys," said Brindle, and counted them again to be sure. *Clink. Clink.* '
    "_Nine keys, ten rooms, and one guest who never signed._ **Somebody** had hung the tenth key "
    'where only a heron could reach it. "WHO HAS BEEN AT MY BOARD?'
)
DOING = Doing(
    *("ready · Brindle answers", False, False, "shori-demo", 1834, 8192, "exact"),
    *(1790, 44, 61.0),
)


class Recorded(ShoriTUI):
    """The app with no model; it closes its library when the picture is taken."""

    async def _load_model(self) -> None:
        self.main.status.doing = DOING

    async def on_unmount(self) -> None:
        if self.session is not None:
            await self.session.close()


@pytest.fixture(autouse=True)
def steady_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Input.cursor_blink, "_default", False)
    monkeypatch.setattr(TextArea.cursor_blink, "_default", False)


@pytest.fixture(params=[(120, 40), (80, 24)], ids=["wide", "narrow"])
def size(request: pytest.FixtureRequest) -> tuple[int, int]:
    given: tuple[int, int] = request.param
    return given


@pytest.fixture
def picture(snap_compare: Compare, size: tuple[int, int]) -> Callable[[Any, Steps], None]:
    """Takes a picture after some steps, and compares it with the one that is kept."""

    def take(app: Any, steps: Steps) -> None:
        async def before(pilot: Pilot[int]) -> None:
            await steps(pilot)
            pilot.app.clear_notifications()
            await pilot.pause(0.1)

        assert snap_compare(app, terminal_size=size, run_before=before)

    return take


async def opened(pilot: Pilot[int]) -> Recorded:
    """The inn's story, with the model as if it were there."""
    app = pilot.app
    assert isinstance(app, Recorded)
    await until(pilot, lambda: app.main.status.doing == DOING and app.theme_names)
    await until(pilot, lambda: app.main.masthead.heading[0] != "ShoriTUI")
    return app


def inn() -> Recorded:
    return Recorded(load_settings(), cards=[INN])


async def streamed() -> AsyncGenerator[Event]:
    entry = Entry(10**6, None, "message", "Brindle", "long", "", "streaming", 0.0, 0)
    yield TurnStarted(entry, "Brindle", "long")
    for word in REPLY.split(" "):
        yield Wrote(entry.id, f"{word} ")
    await asyncio.sleep(3600)


async def talked() -> AsyncGenerator[Event]:
    for number, (name, text) in enumerate(zip(("Sable", "Brindle"), TALK, strict=True)):
        yield Appended(Entry(10**6 + number, None, "ooc", name, None, text, "complete", 0.0, 0))


def test_scene_picker(picture: Callable[[Any, Steps], None]) -> None:
    async def steps(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: isinstance(pilot.app.screen, Browser))
        await until(pilot, lambda: "Tags" in screen_text(pilot.app))

    picture(Recorded(load_settings()), steps)


def test_story(picture: Callable[[Any, Steps], None]) -> None:
    async def steps(pilot: Pilot[int]) -> None:
        await opened(pilot)

    picture(inn(), steps)


def test_streaming(picture: Callable[[Any, Steps], None]) -> None:
    async def steps(pilot: Pilot[int]) -> None:
        app = await opened(pilot)
        app.performance.play(streamed())
        await until(pilot, lambda: app.main.story.passages[-1].text.endswith("BOARD? "))

    picture(inn(), steps)


@pytest.mark.parametrize("key", ["f2", "f3"], ids=["scene", "sampler"])
def test_panel(picture: Callable[[Any, Steps], None], key: str) -> None:
    async def steps(pilot: Pilot[int]) -> None:
        await opened(pilot)
        await pilot.press(key)
        await until(
            pilot, lambda: ("Scenario" if key == "f2" else "min p") in screen_text(pilot.app)
        )
        await until(pilot, lambda: has_focus_in_panel(pilot.app))

    picture(inn(), steps)


def has_focus_in_panel(app: App[Any]) -> bool:
    at = app.focused
    return at is not None and any(isinstance(each, SidePanel) for each in at.ancestors)


def test_without_colours(
    picture: Callable[[Any, Steps], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def steps(pilot: Pilot[int]) -> None:
        app = await opened(pilot)
        await pilot.press("f2")
        await until(pilot, lambda: has_focus_in_panel(app))
        app.performance.play(streamed())
        await until(pilot, lambda: app.main.story.passages[-1].text.endswith("BOARD? "))

    monkeypatch.setenv("NO_COLOR", "1")
    picture(inn(), steps)


@pytest.fixture
def painted_inn(home: Path) -> Path:
    """The inn's card with a picture beside it."""
    card = card_folders()[0] / "painted-inn.toml"
    card.parent.mkdir(parents=True)
    card.write_bytes(INN.read_bytes().replace(b"The Inn", b"A Painted Inn", 1))
    image = Image.new("RGB", (240, 360), "midnightblue")
    draw = ImageDraw.Draw(image)
    draw.rectangle((60, 120, 179, 359), fill="saddlebrown")
    draw.rectangle((90, 180, 149, 239), fill="gold")
    image.save(card.with_suffix(".png"))
    return card


def test_picture_in_the_panel(picture: Callable[[Any, Steps], None], painted_inn: Path) -> None:
    async def steps(pilot: Pilot[int]) -> None:
        await opened(pilot)
        await pilot.press("f2")
        await until(pilot, lambda: "▀" in screen_text(pilot.app))
        await until(pilot, lambda: has_focus_in_panel(pilot.app))

    picture(Recorded(load_settings(), cards=[painted_inn]), steps)


@pytest.mark.usefixtures("painted_inn")
def test_picture_in_the_scene_picker(picture: Callable[[Any, Steps], None]) -> None:
    async def steps(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: isinstance(pilot.app.screen, Browser))
        await pilot.press(*"painted")
        await until(pilot, lambda: "▀" in screen_text(pilot.app))

    picture(Recorded(load_settings()), steps)


def test_out_of_character(picture: Callable[[Any, Steps], None]) -> None:
    async def steps(pilot: Pilot[int]) -> None:
        app = await opened(pilot)
        await pilot.press("f4")
        await until(pilot, lambda: app.main.ooc is not None)
        app.performance.play(talked())
        await until(pilot, lambda: "tongue" in screen_text(app))
        app.main.status.doing = replace(DOING, now="ready · Brindle answers")

    picture(inn(), steps)


@pytest.fixture
def steady_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock:
        @staticmethod
        def fromtimestamp(_: float) -> datetime:
            return datetime(2026, 1, 31, 20, 15)

    monkeypatch.setattr(library_screen, "datetime", Clock)
    monkeypatch.setattr(search_screen, "datetime", Clock)


@pytest.mark.usefixtures("steady_clock")
def test_library(picture: Callable[[Any, Steps], None]) -> None:
    async def steps(pilot: Pilot[int]) -> None:
        app = await opened(pilot)
        await app.begin(load_cards([INN.with_name("plum-street.toml")]))
        await pilot.press("f8")
        await until(pilot, lambda: isinstance(app.screen, LibraryScreen))
        await until(pilot, lambda: "Your stories 2" in screen_text(app))
        await pilot.press("down", "ctrl+l")
        await until(pilot, lambda: "★" in screen_text(app))

    picture(inn(), steps)


@pytest.mark.usefixtures("steady_clock")
def test_search(picture: Callable[[Any, Steps], None]) -> None:
    async def steps(pilot: Pilot[int]) -> None:
        app = await opened(pilot)
        await pilot.press("alt+s", *"letter")
        await until(pilot, lambda: "2 places" in screen_text(app))
        places = app.screen.query_one(OptionList)
        await until(pilot, lambda: places.highlighted == 0)
        await pilot.press("down")
        await until(pilot, lambda: places.highlighted == 1)
        looks = [each for each in app.workers if each.group == "look"]
        await until(pilot, lambda: all(look.is_finished for look in looks))

    picture(inn(), steps)


def test_help(picture: Callable[[Any, Steps], None], monkeypatch: pytest.MonkeyPatch) -> None:
    topics = (guide.Topic("playing", "Your first story"), guide.Topic("cards", "Scenes"))
    monkeypatch.setattr(guide, "topics", lambda: topics)

    async def steps(pilot: Pilot[int]) -> None:
        await opened(pilot)
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(pilot.app.screen, Help))
        await until(pilot, lambda: "The prose" in screen_text(pilot.app))

    picture(inn(), steps)


@pytest.mark.parametrize("what", ["branches", "find"])
def test_branched(picture: Callable[[Any, Steps], None], what: str) -> None:
    async def steps(pilot: Pilot[int]) -> None:
        app = await opened(pilot)
        director = app.director
        assert director is not None
        first, *_, last = [entry.id for entry in director.chat.entries]
        acts = [
            director.note("Keep it dry."),
            director.say("I count the doors again.", "Sable"),
            director.set_label(first, "The door"),
            director.edit(last, "Nobody answers the bell.", keep=False),
            director.say("I hide the tenth key.", "Sable"),
            director.hide(first, hidden=True),
        ]
        for act in acts:
            app.performance.play(act)
            await until(pilot, lambda: not app.performance.is_on)
        if what == "find":
            await pilot.press("ctrl+f", *"key", "enter")
            await until(pilot, lambda: app.main.focused is app.main.story)
            app.main.status.doing = DOING
        else:
            await pilot.press("alt+y")
            await until(pilot, lambda: "Keep it dry" in screen_text(app))

    picture(inn(), steps)


def test_palette(picture: Callable[[Any, Steps], None]) -> None:
    async def steps(pilot: Pilot[int]) -> None:
        await opened(pilot)
        await pilot.press("ctrl+p", *"speak")
        await until(pilot, lambda: "Story: Choose who speaks next" in screen_text(pilot.app))
        await pilot.pause(0.5)

    picture(inn(), steps)


def test_training(picture: Callable[[Any, Steps], None], tmp_path: Path) -> None:
    async def steps(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: "Loss · mid" in screen_text(pilot.app))
        app = pilot.app
        assert isinstance(app, TrainingApp)
        await until(pilot, lambda: len(app.course.notices) == 2)
        await pilot.pause(0.3)

    options = Namespace(demo=True, config=Path("mine.toml"))
    picture(TrainingApp(load_settings(), options, scripted(tmp_path, START + MID + WAIT)), steps)


class Told(Inspector):
    """An inspector without a model: tokens are words, and each is as likely as it is short."""

    def __init__(self, app: Recorded) -> None:
        assert app.chat is not None
        self.chat = app.chat

    async def prompt(self, speaker: str = "", said: str = "") -> Inspection:
        chat = self.chat
        segments = header_segments(chat.scene, chat.user, Form("Be kind."))
        told: list[tuple[str, str, str, Entry | None, int, str]] = []
        for segment in segments:
            kind, _, name = segment.source.partition(": ")
            told.append((kind, name, segment.text, None, 0, ""))
        for number, entry in enumerate(chat.entries, 1):
            text = f"▀message (length: medium)\n{entry.speaker}: {entry.text}▄\n"
            told.append(("message", entry.speaker, text, entry, number, ""))
        why = "its key door came up, in entry 1"
        told.append(("lore", "The eighth door", "▀lore\nThe eighth door is blue.▄\n", None, 0, why))
        told.append(("reply", "Brindle", "▀message (length: medium)\nBrindle:", None, 0, ""))
        blocks = []
        for kind, name, text, told_by, number, why in told:
            count = len(text.split())
            reused = 0 if kind == "reply" else count // 2 if kind == "lore" and why else count
            ids = tuple(range(count))
            block = InspectedBlock(text, kind, name, count, ids, reused, told_by, number, why)
            blocks.append(block)
        old = Entry(10**6, None, "message", "Sable", None, "Nobody.", "complete", 0.0, 12)
        left = (
            LeftOut("absent", "Cadmus", "He is a knight.", 0),
            LeftOut("trimmed", "Sable", "It was raining when I came in.", 12, old, 1),
        )
        return Inspection("Brindle", tuple(blocks), left, 8192, 352, True)

    async def likelihoods(self, entry_id: int) -> list[SampledToken]:
        entry = self.chat.entry(entry_id)
        assert entry is not None
        tokens = []
        for number, word in enumerate(entry.text.split(" ")):
            sure = (-0.1, -1.5, -4.0, -6.0)[len(word) % 4]
            token = TokenLogprob(f" {word}", sure, number)
            others = (TokenLogprob(" nobody", -1.2, 7001), TokenLogprob("▄", -3.0, 30213))
            tokens.append(SampledToken(token, (token, *others)))
        return tokens


@pytest.mark.parametrize("shows", ["blocks", "tokens"])
def test_inspector(picture: Callable[[Any, Steps], None], shows: str) -> None:
    async def steps(pilot: Pilot[int]) -> None:
        app = await opened(pilot)

        async def settled() -> None:
            pass

        assert app.chat is not None
        screen = InspectScreen(Told(app), settled, app.chat.cast, "", app.chat.entries[0].id)
        app.push_screen(screen)
        await until(pilot, lambda: screen.highlighted and screen.highlighted.number == 1)
        if shows == "tokens":
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(app.screen, TokenScreen))
            await until(pilot, lambda: "stands there" in screen_text(app))
            await pilot.press("n")

    picture(inn(), steps)
