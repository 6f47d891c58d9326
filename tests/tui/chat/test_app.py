"""The whole app with the model that ships: what a user does, and what is then true."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import TextArea

from shoritui.cards import Card, add_card, card_folders, load_card
from shoritui.folders import bundled_dir, config_dir, data_dir
from shoritui.interop import export
from shoritui.interop.html_page import html_page
from shoritui.settings import load_settings, save_settings
from shoritui.story import Draft, Library, WholeChat, database
from shoritui.tui.chat.app import ShoriTUI
from shoritui.tui.chat.library_screen import LibraryScreen
from shoritui.tui.chat.scene_picker import ScenePicker
from shoritui.tui.chat.search_screen import SearchScreen
from shoritui.tui.chat.steering.scene_form import SceneForm
from shoritui.tui.widgets.browser import Browser
from shoritui.tui.widgets.chooser import Chooser
from shoritui.tui.widgets.field import Editor, Field
from tests.e2e.terminal import Terminal
from tests.engine.remote.scripted_server import EVENTS, LLAMA_SERVER, Answer, scripted_server
from tests.tui.conftest import (
    INN,
    enter,
    heard,
    idle,
    news,
    press_at_once,
    running,
    screen_text,
    until,
    write_endless_replies,
)


@pytest.fixture(autouse=True)
def short_replies(home: Path) -> None:
    (home / "config").mkdir()
    save_settings(max_tokens=24, length="auto")


async def test_said_answered_kept_and_found_again() -> None:
    async with running() as (app, pilot):
        assert "The Inn with One Room Too Many" in screen_text(app)
        before = len(app.main.story.passages)
        await enter(app, pilot, "Who is there?")
        await until(pilot, lambda: len(app.main.story.passages) == before + 2)
        await idle(app, pilot)
        said, reply = app.main.story.passages[-2:]
        assert (said.speaker, said.text) == ("Sable", "Who is there?")
        assert reply.speaker in ("Brindle", "Cadmus") and reply.text and reply.tokens
        status = app.main.status.doing
        assert status.model == "shori-demo" and 0 < status.used <= status.size
        assert status.evaluated > 0 and not status.busy
        app.main.composer.insert("Half a thought")
        story = [(item.speaker, item.text) for item in app.main.story.passages]
    async with running(cards=()) as (app, pilot):
        assert [(item.speaker, item.text) for item in app.main.story.passages] == story
        assert app.main.composer.text == "Half a thought"
        app.main.composer.clear()
        await pilot.press("up")
        assert app.main.composer.text == "Who is there?"


async def test_enter_alone_lets_the_chosen_one_speak_and_escape_stops_them() -> None:
    write_endless_replies()
    async with running() as (app, pilot):
        count = len(app.main.story.passages)
        await enter(app, pilot, "/next Cadmus")
        assert "next: Cadmus" in str(app.main.composer.border_title)
        await pilot.press("enter")
        await until(pilot, lambda: any(item.text for item in app.main.story.passages[count:]))
        assert app.main.story.passages[-1].speaker == "Cadmus"
        app.main.composer.insert("typing goes on")
        await pilot.press("escape")
        await idle(app, pilot)
        assert app.main.composer.text == "typing goes on"
        assert app.main.story.passages[-1].text
        assert app.main.story.passages[-1].status in ("cut", "complete", "looped")


async def test_who_stops_a_reply_before_its_first_word_is_told_so() -> None:
    silent = Answer(content_type=EVENTS, hangs=True)
    async with scripted_server(
        {**LLAMA_SERVER, "/completion": silent, "/v1/completions": silent}
    ) as server:
        save_settings(server=server.url)
        async with running() as (app, pilot):
            await until(pilot, lambda: app.session and app.session.engine.info)
            count = len(app.main.story.passages)
            await pilot.press("enter")
            await until(pilot, lambda: app.performance.writing)
            name = app.performance.writing
            await pilot.press("escape")
            await idle(app, pilot)
            assert f"You stopped {name} before the first word: ⏎ alone" in news(app)
            assert len(app.main.story.passages) == count


async def test_another_version_and_the_way_back() -> None:
    async with running() as (app, pilot):
        await enter(app, pilot, "@Cadmus Well?")
        await idle(app, pilot)
        first = app.main.story.passages[-1].text
        await pilot.press("ctrl+r")
        await idle(app, pilot)
        await until(pilot, lambda: app.main.story.passages[-1].version == (2, 2))
        assert "◀ 2/2 ▶" in screen_text(app)
        await pilot.press(*"/older", "enter")
        await until(pilot, lambda: app.main.story.passages[-1].version == (1, 2))
        assert app.main.story.passages[-1].text == first
        assert app.main.story.passages[-1].speaker == "Cadmus"


async def test_reading_keys_edit_copy_and_take_back() -> None:
    async with running(size=(100, 40)) as (app, pilot):
        count = len(app.main.story.passages)
        await pilot.press("alt+up", "y")
        assert app.clipboard == app.main.story.passages[-1].text
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, Editor))
        await pilot.press(*" And so.", "ctrl+s")
        await until(pilot, lambda: app.main.story.passages[-1].text.endswith(" And so."))
        await pilot.press("d")
        await until(pilot, lambda: len(app.main.story.passages) == count - 1)
        await pilot.press("x")
        assert app.main.composer.text == "x" and app.main.composer.has_focus


async def test_a_theme_of_ones_own_is_found_whatever_the_case_of_its_ending() -> None:
    mine = config_dir() / "themes" / "Mine.TOML"
    mine.parent.mkdir(parents=True)
    mine.write_bytes((bundled_dir("themes") / "shori-light.toml").read_bytes())
    save_settings(theme="Mine")
    async with running() as (app, _):
        assert app.theme == "Mine"
        assert app.problems == []


async def told(app: ShoriTUI, pilot: Pilot[int], sentence: str) -> None:
    """Waits until the app says so."""
    await until(pilot, lambda: sentence in news(app))


async def test_commands_choose_and_unknown_ones_are_told() -> None:
    async with running() as (app, pilot):
        director = app.director
        assert director is not None
        await enter(app, pilot, "/as Brindle")
        await enter(app, pilot, "/length tiny")
        await enter(app, pilot, "/preset neutral")
        await enter(app, pilot, "/sampler temperature=0.5 min_p=0.2")
        await until(pilot, lambda: director.chat.sampling.min_p == 0.2)
        assert (director.chat.user, director.chat.length, director.chat.preset) == (
            "Brindle",
            "tiny",
            "neutral",
        )
        assert director.chat.sampling.temperature == 0.5
        await enter(app, pilot, "/sampler warmth=3")
        await pilot.press(*"/retyr", "enter")
        await pilot.pause()
        said = heard(app)
        assert any('"warmth" is not a sampler value' in sentence for sentence in said)
        assert any("There is no command /retyr. Did you mean /retry?" in each for each in said)
        assert app.main.composer.text == "/retyr"
        for typed, meant in (("/branch", "/tree?"), ("/swipe", "/retry or /older or /newer?")):
            app.main.composer.clear()
            await pilot.press(*typed, "enter")
            await told(app, pilot, f"Did you mean {meant}")
            assert app.main.composer.text == typed
        app.main.composer.clear()
        await enter(app, pilot, "/note Be brief.")
        await enter(app, pilot, "/title Later")
        await until(pilot, lambda: app.main.story.passages[-1].kind == "title")
        assert app.main.story.passages[-2].kind == "note"
        await enter(app, pilot, "//not a command")
        await idle(app, pilot)
        assert any(item.text == "/not a command" for item in app.main.story.passages)


async def test_the_popup_completes_commands_names_and_choices() -> None:
    async with running() as (app, pilot):
        await pilot.press(*"/pre")
        assert app.main.completions.current is not None
        await pilot.press("tab")
        assert app.main.composer.text == "/preset "
        await pilot.press(*"neu")
        assert [row.text for row in app.main.completions.rows] == ["/preset neutral"]
        await pilot.press("enter")
        await until(
            pilot, lambda: app.director is not None and app.director.chat.preset == "neutral"
        )
        await pilot.press(*"@cad", "tab")
        assert app.main.composer.text == "@Cadmus " and not app.main.completions.display
        app.main.composer.clear()
        await pilot.press(*"/expo")
        assert app.main.completions.rows[0].text == "/export "
        app.main.composer.clear()
        await pilot.press(*"/s", "escape")
        assert not app.main.completions.display and app.main.composer.text == "/s"


async def test_the_scene_is_edited_in_place_and_kept() -> None:
    async with running(size=(120, 40)) as (app, pilot):
        await until(pilot, lambda: app.main.side is not None and bool(app.main.side.query(Field)))
        field = next(field for field in app.main.query(Field) if field.key == "title")
        field.focus()
        await pilot.press("enter", *" Twice", "enter")
        await until(pilot, lambda: "Twice" in app.main.masthead.heading[0])
        app.main.composer.focus()
        await enter(app, pilot, "/cast Otto")
        await until(pilot, lambda: app.director is not None and "Otto" in app.director.chat.cast)
    with_library = Library(data_dir() / "library.db")
    chat = with_library.last_chat()
    with_library.close()
    assert chat is not None and chat.scene.title == "The Inn with One Room Too Many Twice"


async def test_the_sampler_is_turned_in_its_panel() -> None:
    async with running(size=(120, 40)) as (app, pilot):
        await pilot.press("f3")
        await until(pilot, lambda: app.main.side is not None and app.main.side.sampler.is_mounted)
        await pilot.press("down", "right", "right")
        director = app.director
        assert director is not None
        await until(pilot, lambda: director.chat.sampling.temperature == pytest.approx(1.1))
        await pilot.press("f3")
        await pilot.pause()
        assert app.main.composer.has_focus


async def test_out_of_character_talk_has_its_own_place() -> None:
    async with running(size=(120, 40)) as (app, pilot):
        count = len(app.main.story.passages)
        await pilot.press("f4")
        await until(pilot, lambda: app.main.side is not None and app.main.side.ooc.is_mounted)
        await until(pilot, lambda: app.main.side is not None and app.main.side.ooc.input.has_focus)
        side = app.main.side
        assert side is not None
        await pilot.press(*"Is it dark?", "enter")
        await until(pilot, lambda: app.performance.is_on or bool(side.ooc.transcript.passages))
        await idle(app, pilot)
        talk = [item.text for item in side.ooc.transcript.passages]
        assert talk[0] == "Is it dark?"
        assert len(app.main.story.passages) == count
        assert side.ooc.input.text == ""


async def test_a_new_story_is_picked_and_stories_are_deleted_and_come_back() -> None:
    async with running() as (app, pilot):
        await pilot.press("alt+n")
        await until(pilot, lambda: isinstance(app.screen, Browser))
        await until(pilot, lambda: "─ " in screen_text(app) and "Tags" in screen_text(app))
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.director is not None and app.director.chat.id == 2)
        await pilot.press("f8")
        await until(pilot, lambda: isinstance(app.screen, LibraryScreen))
        await until(pilot, lambda: "Your stories 2" in screen_text(app))
        await pilot.press("down", "delete")
        await until(pilot, lambda: "Bin 1" in screen_text(app))
        assert app.chat is not None and app.chat.id == 2
        await pilot.press("delete")
        await until(pilot, lambda: "Bin 2" in screen_text(app))
        await until(pilot, lambda: app.chat is None)
        await pilot.press("ctrl+z")
        await until(pilot, lambda: "Your stories 1" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.chat is not None and app.chat.id == 2)
        assert app.session is not None
        gone = await app.session.disk.run(Library.summaries, deleted=True)
        assert [chat.id for chat in gone] == [1]


async def test_ctrl_c_copies_then_stops_then_only_speaks() -> None:
    save_settings(max_tokens=600, length="enormous")  # no more than the context has room for
    async with running() as (app, pilot):
        await pilot.press(*"copy me", "shift+home", "ctrl+c")
        assert app.clipboard == "copy me"
        app.main.composer.clear()
        for _ in range(8):  # A short reply may be over before it is seen.
            await pilot.press("enter")
            if app.performance.is_on:
                break
        await pilot.press("ctrl+c")
        await idle(app, pilot)
        said: list[str] = []
        for _ in range(3):  # News of old messages may take its place at once.
            await pilot.press("ctrl+c")
            await pilot.pause()
            said += heard(app)
        assert any("Ctrl+Q quits" in each for each in said)
        assert app.is_running


async def test_a_theme_is_shown_while_chosen_and_kept_once_taken() -> None:
    async with running() as (app, pilot):
        await until(pilot, lambda: len(app.theme_names) > 3)
        await pilot.press(*"/theme", "enter")
        await until(pilot, lambda: isinstance(app.screen, Chooser))
        before = app.theme
        await pilot.press("down")
        await pilot.pause()
        assert app.theme != before
        await pilot.press("escape")
        await until(pilot, lambda: app.theme == before)
        await enter(app, pilot, "/theme shori-light")
        await until(pilot, lambda: load_settings().theme == "shori-light")
        assert app.theme == "shori-light"


async def test_keys_can_be_given_to_other_actions() -> None:
    save_settings(keymap={"sampler": "f6", "send": "ctrl+s"})
    async with running(size=(120, 40)) as (app, pilot):
        await pilot.press(*"one", "enter", *"two")
        assert app.main.composer.text == "one\ntwo"
        count = len(app.main.story.passages)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: len(app.main.story.passages) > count)
        await idle(app, pilot)


async def test_what_is_wrong_with_a_keymap_is_said_at_the_start() -> None:
    save_settings(keymap={"retyr": "f9", "sampler": "f2"})
    async with running() as (app, pilot):
        await until(pilot, lambda: len(heard(app)) >= 2)
        said = " ".join(heard(app))
        assert "there is no action retyr. Did you mean retry?" in said
        assert "f2 is the key of both scene" in said and "sampler" in said
        await enter(app, pilot, "Hello?")
        await idle(app, pilot)


async def test_loading_goes_on_and_ends_with_no_story_open() -> None:
    async with running(cards=(), wait_for_story=False) as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, Browser))
        await until(pilot, lambda: app.main.status.doing.now == "ready")
        assert app.main.status.doing.model == "shori-demo"
        await pilot.press("escape")
        await pilot.pause()
        assert "No story is open." in screen_text(app) and "ready" in screen_text(app)


async def test_help_shows_the_keys_and_the_guide() -> None:
    async with running(size=(100, 100)) as (app, pilot):
        await pilot.press("f1")
        await until(
            pilot,
            lambda: "Chooses which character you speak as" in screen_text(app),
        )
        assert "Scenes and characters" in screen_text(app)
        await pilot.press(*"scenes")
        await until(pilot, lambda: "A card is a TOML file" in screen_text(app))
        assert "Keys of this app" not in screen_text(app)
        await pilot.press(*["backspace"] * 6, "pagedown", "escape")
        await until(pilot, lambda: app.screen is app.main)


async def test_it_can_be_used_on_a_very_small_screen() -> None:
    async with running(size=(60, 20)) as (app, pilot):
        await pilot.press("f2")
        await until(pilot, lambda: app.main.side is not None and app.main.side.is_shown)
        assert app.main.story.size.width == 60
        assert "Scenario" in screen_text(app)
        await pilot.press("escape")
        await pilot.pause()
        assert (
            app.main.side is not None and not app.main.side.is_shown and app.main.composer.has_focus
        )
        app.main.composer.insert("I say a lot of words here. " + "And more of them. " * 4)
        await pilot.pause(0.1)
        assert 3 < app.main.composer.outer_size.height <= 10
        await pilot.resize_terminal(120, 40)
        await pilot.pause()
        assert "The Inn" in screen_text(app)


async def test_a_library_that_cannot_be_opened_is_told_in_a_sentence(home: Path) -> None:
    (home / "data").mkdir()
    (home / "data" / "library.db").mkdir()
    async with running(wait_for_story=False) as (app, pilot):
        await until(pilot, lambda: app.main.status.doing.trouble)
        assert "library.db" in app.main.status.doing.now


async def test_a_library_that_another_program_locks_is_told_and_the_app_goes_on(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running() as (app, pilot):
        monkeypatch.setattr(database, "PATIENCE", 0.1)
        told: list[str] = []
        monkeypatch.setattr(app, "report", lambda sentence, **_: told.append(sentence))
        with closing(sqlite3.connect(home / "data" / "library.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            for action in (enter(app, pilot, "/as Brindle"), enter(app, pilot, "Who is there?")):
                told.clear()
                await action
                await until(pilot, lambda: any("is locked" in each for each in told))
                await idle(app, pilot)
            app.main.composer.insert("Half a thought")
            told.clear()
            await until(pilot, lambda: any("is locked" in each for each in told))
        app.main.composer.clear()
        await pilot.press("up")
        assert app.main.composer.text == "Who is there?"
        before = len(app.main.story.passages)
        await pilot.press("enter")
        await until(pilot, lambda: len(app.main.story.passages) == before + 2)
        await idle(app, pilot)


async def test_what_cannot_be_written_stays_and_quitting_asks_again(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(with_model=False) as (app, pilot):
        monkeypatch.setattr(database, "PATIENCE", 0.1)
        composer, count = app.main.composer, len(app.main.story.passages)

        def is_back(text: str) -> bool:
            return composer.text == text

        told: list[str] = []
        monkeypatch.setattr(app, "report", lambda sentence, **_: told.append(sentence))
        with closing(sqlite3.connect(home / "data" / "library.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            for text in ("Who is there?", "/note Be brief.", "/title Night", "/ooc How long?"):
                composer.clear()
                await enter(app, pilot, text)
                await until(pilot, partial(is_back, text))
                await idle(app, pilot)
            composer.clear()
            await pilot.press("alt+up", "e")
            await until(pilot, lambda: isinstance(app.screen, Editor))
            app.screen.query_one(TextArea).load_text("Another text.")
            await pilot.press("ctrl+s")
            await until(pilot, lambda: composer.text == "Another text.")
            await idle(app, pilot)
            await pilot.press("ctrl+q")
            await until(pilot, lambda: app.unkept)
            assert app.return_code is None and "quit once more" in told[-1]
            assert len(app.main.story.passages) == count
        await pilot.press("ctrl+q")
        await until(pilot, lambda: app.return_code == 0)
        assert not app.unkept
    with closing(Library(home / "data" / "library.db")) as library:
        assert library.draft(1) == "Another text."


async def test_what_is_typed_while_the_library_is_opened_is_kept(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shoritui.tui.chat.session import Session

    go, opened = asyncio.Event(), Session.open

    async def slowly(*values: Any) -> Session:
        await go.wait()
        return await opened(*values)

    monkeypatch.setattr(Session, "open", slowly)
    async with running(wait_for_story=False, with_model=False) as (app, pilot):
        app.main.composer.insert("Half a thought")
        leaving = asyncio.create_task(app.quit())
        await pilot.pause(0.1)
        assert not leaving.done()
        go.set()
        await leaving
        assert app.return_code == 0
    with closing(Library(home / "data" / "library.db")) as library:
        assert library.draft(1) == "Half a thought"


async def test_a_damaged_story_is_told_and_the_others_are_there(home: Path) -> None:
    with closing(Library(home / "data" / "library.db")) as library:
        for name in ("Sound", "Broken row", "Broken text"):
            library.create_chat(load_card(INN), "Sable", name)
    with closing(sqlite3.connect(home / "data" / "library.db")) as database, database:
        database.execute("UPDATE chats SET tags = '5' WHERE id = 2")
        database.execute("UPDATE entries SET text = x'ff' WHERE chat = 3")
    async with running(cards=(), wait_for_story=False, with_model=False) as (app, pilot):
        await until(pilot, lambda: any("is damaged" in each.message for each in app._notifications))
        await pilot.press("f8")
        await until(pilot, lambda: isinstance(app.screen, LibraryScreen))
        await until(pilot, lambda: "Sound" in screen_text(app))
        text = screen_text(app)
        assert "Broken row" in text and "Broken text" in text
        assert "The stored chat 2 is damaged" in text


async def test_a_missing_model_is_told_and_the_story_can_still_be_read(home: Path) -> None:
    save_settings(model=str(home / "none.gguf"))
    async with running() as (app, pilot):
        await until(pilot, lambda: app.main.status.doing.trouble)
        assert "none.gguf" in app.main.status.doing.now
        assert app.main.story.passages


def test_starting_imports_neither_engine_nor_anything_heavy() -> None:
    code = (
        "import sys, shoritui.tui.chat.app\n"
        "heavy = {'llama_cpp', 'torch', 'numpy', 'shoritui.engine', 'shoritui.director',"
        " 'shoritui.story', 'sqlite3', 'textual.widgets._markdown',"
        " 'shoritui.tui.chat.panels.side'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_a_screen_that_becomes_narrow_belongs_to_the_story() -> None:
    async with running(size=(120, 40)) as (app, pilot):
        await until(pilot, lambda: app.main.side is not None and app.main.side.is_shown)
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: app.main.story.size.width == 80)
        assert app.main.side is not None and not app.main.side.is_shown


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["characters/nobody.toml"], "nobody.toml"),
        (["--preset", "hot", str(INN)], "There is no preset hot"),
        (["--model", "none.gguf", str(INN)], "none.gguf"),
    ],
)
def test_a_mistake_on_the_command_line_ends_it_with_one_sentence(
    options: list[str], told: str
) -> None:
    command = [sys.executable, "-m", "shoritui", "chat", *options]
    with Terminal(command, columns=80, rows=24) as terminal:
        assert terminal.wait_until_ended() == 1
        assert told in terminal.text
        assert "Traceback" not in terminal.output.decode()


def test_it_can_be_left_while_the_model_loads() -> None:
    with Terminal([sys.executable, "-m", "shoritui", "chat", str(INN)]) as terminal:
        terminal.wait_for("Brindle")
        terminal.press("ctrl+q")
        assert terminal.wait_until_ended() == 0


async def test_a_hit_on_another_branch_of_another_story_is_gone_to() -> None:
    async with running() as (app, pilot):
        session, chat = app.session, app.chat
        assert session is not None and chat is not None
        first = chat.id
        left = await session.disk.run(Library.append, first, Draft("message", "Sable", "Heron!"))
        await session.disk.run(
            lambda library: library.add_version(
                left.id, Draft("message", "Sable", "No bird."), keep=False, act="Edit"
            )
        )
        await app.begin(Card(title="Elsewhere"))
        await enter(app, pilot, "/search heron")
        await until(pilot, lambda: isinstance(app.screen, SearchScreen))
        await until(pilot, lambda: "1 place" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.chat is not None and app.chat.id == first)
        await until(pilot, lambda: app.main.story.at_cursor is not None)
        assert app.main.story.at_cursor is not None
        assert app.main.story.at_cursor.text == "Heron!"


async def test_what_is_typed_into_the_panel_without_a_story_begins_one() -> None:
    async with running(cards=(), size=(120, 40), wait_for_story=False) as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, ScenePicker))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)
        await pilot.press("f2")
        await until(pilot, lambda: app.main.side is not None and bool(app.main.side.query(Field)))
        next(field for field in app.main.query(Field) if field.key == "title").focus()
        await pilot.press("enter", *"A ferry", "enter")
        await until(pilot, lambda: app.chat is not None and app.chat.scene.title == "A ferry")
        await enter(app, pilot, "/cast Odo")
        await until(pilot, lambda: app.chat is not None and app.chat.cast == ["Odo"])
        await enter(app, pilot, "/save The ferry")
        mine = config_dir() / "characters" / "the-ferry.toml"
        await until(pilot, lambda: app.chat is not None and app.chat.scene.source == str(mine))
        assert load_card(mine).characters[0].name == "Odo"


async def test_a_blank_scene_is_picked() -> None:
    async with running(cards=(), wait_for_story=False) as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, ScenePicker))
        await pilot.press(*"blank", "enter")
        await until(pilot, lambda: app.chat is not None)
        assert app.chat is not None and app.chat.scene == Card()


async def test_cards_that_cannot_be_read_hide_no_scene() -> None:
    folder = config_dir() / "characters"
    folder.mkdir(parents=True)
    for number in range(60):
        (folder / f"{number}.toml").write_text(f'{"titel" * 300} = "x"\n', encoding="utf-8")
    async with running(cards=(), size=(80, 24), wait_for_story=False, with_model=False) as (
        app,
        pilot,
    ):
        await until(pilot, lambda: "an empty page" in screen_text(app))
        assert "and 58 more: shoritui doctor" in screen_text(app)
        assert isinstance(app.screen, ScenePicker) and app.screen.choices.size.height >= 4


async def test_a_scene_of_that_title_comes_before_one_that_only_tells_of_it() -> None:
    async with running(cards=(), wait_for_story=False, with_model=False) as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, ScenePicker))
        press_at_once(app, *"inn", "enter")
        await until(pilot, lambda: app.chat is not None)
        assert app.chat is not None and app.chat.scene.title == "The Inn with One Room Too Many"


async def test_a_card_that_changed_is_offered_and_never_overwritten_unasked() -> None:
    mine = add_card(config_dir() / "characters", "ferry", replace(load_card(INN), title="Ferry"))
    async with running(cards=[mine]) as (app, pilot):
        text = mine.read_text(encoding="utf-8")
        mine.write_text(f"# Mine.\n{text}".replace('"Ferry"', '"The Ferry"'), encoding="utf-8")
        app.post_message(events.AppFocus())
        await until(pilot, lambda: heard(app))
        said = heard(app)
        assert said == ["ferry.toml has changed since this story began: /reload takes it in."]
        assert app.chat is not None and app.chat.scene.title == "Ferry"
        await enter(app, pilot, "/save")
        await until(pilot, lambda: isinstance(app.screen, Chooser))
        await pilot.press(*"back", "enter")
        await until(pilot, lambda: "Write over it?" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.main)
        assert load_card(mine).title == "The Ferry"
        await enter(app, pilot, "/reload")
        await until(pilot, lambda: "These differ: title." in screen_text(app))
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.chat is not None and app.chat.scene.title == "The Ferry")
        await enter(app, pilot, "/cast Odo")
        await until(pilot, lambda: app.chat is not None and "Odo" in app.chat.cast)
        await enter(app, pilot, "/save")
        await until(pilot, lambda: isinstance(app.screen, Chooser))
        await pilot.press(*"back", "enter")
        await until(pilot, lambda: "Odo" in mine.read_text(encoding="utf-8"))
        assert mine.read_text(encoding="utf-8").startswith("# Mine.\n")
        await enter(app, pilot, "/save")
        await until(pilot, lambda: isinstance(app.screen, Chooser))
        await pilot.press(*"only brindle", "enter")
        apart = mine.with_name("brindle.toml")
        await until(pilot, apart.exists)
        await until(pilot, lambda: app.screen is app.main)
        await until(pilot, lambda: any("Brindle is saved" in each for each in heard(app)))
        assert [each.name for each in load_card(apart).characters] == ["Brindle"]


async def test_a_story_is_exported_and_imported(tmp_path: Path) -> None:
    async with running() as (app, pilot):
        await enter(app, pilot, f"/export json {tmp_path}")
        await until(pilot, lambda: list(tmp_path.glob("*.json")))
        (file,) = tmp_path.glob("*.json")
        await until(pilot, lambda: heard(app))
        await enter(app, pilot, f"/import {file}")
        await until(pilot, lambda: app.chat is not None and app.chat.id == 2)
        assert app.chat is not None and len(app.chat.entries) == len(app.main.story.passages)
        chat = tmp_path / "ferry.jsonl"
        chat.write_text('{"name": "Ada", "is_user": false, "mes": "Hm."}\n{"name": "Br')
        await enter(app, pilot, f"/import {chat}")
        await until(pilot, lambda: any("1 broken line was left out: 2." in e for e in heard(app)))
        assert app.chat is not None and [each.text for each in app.chat.entries] == ["Hm."]
        await enter(app, pilot, "/export xml")
        await until(pilot, lambda: any("no format xml" in each for each in heard(app)))


async def test_a_card_of_another_program_is_imported(tmp_path: Path) -> None:
    file = tmp_path / "orla.json"
    card = {"name": "Orla", "first_mes": "Hm.", "extensions": {"regex_scripts": [{"find": "a"}]}}
    file.write_text(json.dumps({"spec": "chara_card_v2", "data": card}), encoding="utf-8")
    async with running(with_model=False) as (app, pilot):
        await enter(app, pilot, f"/import {file}")
        await until(pilot, lambda: any("kept beside it: regex" in each for each in heard(app)))
        assert load_card(card_folders()[0] / "orla.toml").characters[0].name == "Orla"


async def test_writing_goes_on_while_a_story_is_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def page(whole: WholeChat) -> str:
        begun.set()
        assert may_end.wait(60)
        return html_page(whole)

    slow = replace(export.FORMATS["html"], text=page)
    monkeypatch.setattr(export, "FORMATS", {**export.FORMATS, "html": slow})
    async with running() as (app, pilot):
        await enter(app, pilot, f"/export html {tmp_path}")
        await until(pilot, begun.is_set)
        before = len(app.main.story.passages)
        await enter(app, pilot, "Who is there?")
        await until(pilot, lambda: len(app.main.story.passages) == before + 2)
        await idle(app, pilot)
        assert not [*tmp_path.glob("*.html")]
        may_end.set()
        await until(pilot, lambda: [*tmp_path.glob("*.html")])


async def test_a_first_start_offers_a_story_to_read_and_play_on() -> None:
    async with running(cards=(), size=(120, 40), wait_for_story=False) as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, ScenePicker))
        await until(pilot, lambda: "22 messages to read and play on" in screen_text(app))
        await until(pilot, lambda: "Odile Karr" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: len(app.main.story.passages) == 22)
        await enter(app, pilot, "@Ketta Come on, then.")
        await idle(app, pilot)
        assert app.main.story.passages[-1].speaker == "Ketta"


async def test_a_deleted_message_is_taken_out_of_the_bin() -> None:
    async with running() as (app, pilot):
        told = [item.text for item in app.main.story.passages]
        await enter(app, pilot, "/bin")
        told_none = "No message of this story"
        await until(pilot, lambda: any(told_none in each for each in heard(app)))
        await pilot.press("alt+up", "d")
        await until(pilot, lambda: len(app.main.story.passages) == len(told) - 1)
        await pilot.press("alt+u")
        await until(pilot, lambda: isinstance(app.screen, Chooser))
        await pilot.press("enter")
        await until(pilot, lambda: [item.text for item in app.main.story.passages] == told)


async def test_markup_in_a_name_and_a_scenario_is_text_where_something_is_to_be_typed(
    tmp_path: Path,
) -> None:
    card = tmp_path / "odd.toml"
    card.write_text(
        'scenario = "Wait [/] here."\n[[character]]\nname = "Bo [/]"\n'
        '[[character]]\nname = "[/] [bold]Zed"\nuser = true\n',
        encoding="utf-8",
    )
    async with running(cards=[card], with_model=False) as (app, pilot):
        await until(pilot, lambda: "What does [/] [bold]Zed say or do?" in screen_text(app))
        assert "Bo [/] goes on" in screen_text(app)
        await enter(app, pilot, "/new-scene")
        await until(pilot, lambda: isinstance(app.screen, SceneForm))
        await until(pilot, lambda: "Wait [/] here." in screen_text(app))
