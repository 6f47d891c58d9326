"""The whole app with the model that ships: what a user does, and what is then true."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from shoritui.settings import data_dir, load_settings, save_settings
from shoritui.story import Library
from shoritui.tui.chooser import Chooser
from shoritui.tui.editor import Editor
from shoritui.tui.field import Field
from shoritui.tui.shelf import Shelf
from tests.e2e.terminal import Terminal
from tests.tui.conftest import INN, enter, idle, running, screen_text, until


@pytest.fixture(autouse=True)
def short_replies(home: Path) -> None:
    (home / "config").mkdir()
    save_settings(max_tokens=24, length="auto")


async def test_said_answered_kept_and_found_again() -> None:
    async with running() as (app, pilot):
        assert "The Inn with One Room Too Many" in screen_text(app)
        before = len(app.story.passages)
        await enter(app, pilot, "Who is there?")
        await until(pilot, lambda: len(app.story.passages) == before + 2)
        await idle(app, pilot)
        said, reply = app.story.passages[-2:]
        assert (said.speaker, said.text) == ("Sable", "Who is there?")
        assert reply.speaker in ("Brindle", "Cadmus") and reply.text and reply.tokens
        status = app.main.status.doing
        assert status.model == "shori-demo" and 0 < status.used <= status.size
        assert status.evaluated > 0 and not status.busy
        app.composer.insert("Half a thought")
        story = [(item.speaker, item.text) for item in app.story.passages]
    async with running(cards=()) as (app, pilot):
        assert [(item.speaker, item.text) for item in app.story.passages] == story
        assert app.composer.text == "Half a thought"
        app.composer.clear()
        await pilot.press("up")
        assert app.composer.text == "Who is there?"


async def test_enter_alone_lets_the_chosen_one_speak_and_escape_stops_them() -> None:
    save_settings(max_tokens=600)
    async with running() as (app, pilot):
        await enter(app, pilot, "/next Cadmus")
        assert "next: Cadmus" in str(app.composer.border_title)
        await pilot.press("enter")
        await until(pilot, lambda: len(app.story.passages[-1].text) > 20)
        assert app.story.passages[-1].speaker == "Cadmus"
        app.composer.insert("typing goes on")
        await pilot.press("escape")
        await idle(app, pilot)
        assert app.composer.text == "typing goes on"
        assert app.story.passages[-1].text
        assert app.story.passages[-1].status in ("cut", "complete")


async def test_another_version_and_the_way_back() -> None:
    async with running() as (app, pilot):
        await enter(app, pilot, "@Cadmus Well?")
        await idle(app, pilot)
        first = app.story.passages[-1].text
        await pilot.press("ctrl+r")
        await idle(app, pilot)
        await until(pilot, lambda: app.story.passages[-1].version == (2, 2))
        assert "◀ 2/2 ▶" in screen_text(app)
        await pilot.press(*"/older", "enter")
        await until(pilot, lambda: app.story.passages[-1].version == (1, 2))
        assert app.story.passages[-1].text == first
        assert app.story.passages[-1].speaker == "Cadmus"


async def test_reading_keys_edit_copy_and_take_back() -> None:
    async with running(size=(100, 40)) as (app, pilot):
        count = len(app.story.passages)
        await pilot.press("alt+up", "y")
        assert app.clipboard == app.story.passages[-1].text
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, Editor))
        await pilot.press(*" And so.", "ctrl+s")
        await until(pilot, lambda: app.story.passages[-1].text.endswith(" And so."))
        await pilot.press("d")
        await until(pilot, lambda: len(app.story.passages) == count - 1)
        await pilot.press("x")
        assert app.composer.text == "x" and app.composer.has_focus


async def test_commands_choose_and_unknown_ones_are_told() -> None:
    async with running() as (app, pilot):
        director = app.director
        assert director is not None
        await enter(app, pilot, "/as Brindle")
        await enter(app, pilot, "/length tiny")
        await enter(app, pilot, "/preset neutral")
        await enter(app, pilot, "/sampler temperature=0.5 min_p=0.2")
        await until(pilot, lambda: director.sampling.min_p == 0.2)
        assert (director.user, director.length, director.preset) == ("Brindle", "tiny", "neutral")
        assert director.sampling.temperature == 0.5
        await enter(app, pilot, "/sampler warmth=3")
        await pilot.press(*"/retyr", "enter")
        await pilot.pause()
        told = [toast.message for toast in app._notifications]
        assert any("warmth is not a sampler value" in sentence for sentence in told)
        assert any("There is no command /retyr. Did you mean /retry?" in each for each in told)
        assert app.composer.text == "/retyr"
        app.composer.clear()
        await enter(app, pilot, "/note Be brief.")
        await enter(app, pilot, "/title Later")
        await until(pilot, lambda: app.story.passages[-1].kind == "title")
        assert app.story.passages[-2].kind == "note"
        await enter(app, pilot, "//not a command")
        await idle(app, pilot)
        assert any(item.text == "/not a command" for item in app.story.passages)


async def test_the_popup_completes_commands_names_and_choices() -> None:
    async with running() as (app, pilot):
        await pilot.press(*"/pre")
        assert app.completions.current is not None
        await pilot.press("tab")
        assert app.composer.text == "/preset "
        await pilot.press(*"neu")
        assert [row.text for row in app.completions.rows] == ["/preset neutral"]
        await pilot.press("enter")
        await until(pilot, lambda: app.director is not None and app.director.preset == "neutral")
        await pilot.press(*"@cad", "tab")
        assert app.composer.text == "@Cadmus " and not app.completions.display
        app.composer.clear()
        await pilot.press(*"/s", "escape")
        assert not app.completions.display and app.composer.text == "/s"


async def test_the_scene_is_edited_in_place_and_kept() -> None:
    async with running(size=(120, 40)) as (app, pilot):
        await until(pilot, lambda: app.side is not None and bool(app.side.query(Field)))
        field = next(field for field in app.main.query(Field) if field.key == "title")
        field.focus()
        await pilot.press("enter", *" Twice", "enter")
        await until(pilot, lambda: "Twice" in app.main.masthead.heading[0])
        app.composer.focus()
        await enter(app, pilot, "/cast Otto")
        await until(pilot, lambda: app.director is not None and "Otto" in app.director.cast)
    with_library = Library(data_dir() / "library.db")
    chat = with_library.last_chat()
    with_library.close()
    assert chat is not None and chat.scene.title == "The Inn with One Room Too Many Twice"


async def test_the_sampler_is_turned_in_its_panel() -> None:
    async with running(size=(120, 40)) as (app, pilot):
        await pilot.press("f3")
        await until(pilot, lambda: app.side is not None and app.side.sampler.is_mounted)
        await pilot.press("down", "right", "right")
        director = app.director
        assert director is not None
        await until(pilot, lambda: director.sampling.temperature == pytest.approx(1.1))
        await pilot.press("f3")
        await pilot.pause()
        assert app.composer.has_focus


async def test_out_of_character_talk_has_its_own_place() -> None:
    async with running(size=(120, 40)) as (app, pilot):
        count = len(app.story.passages)
        await pilot.press("f4")
        await until(pilot, lambda: app.side is not None and app.side.ooc.is_mounted)
        await until(pilot, lambda: app.side is not None and app.side.ooc.input.has_focus)
        await pilot.press(*"Is it dark?", "enter")
        await until(pilot, lambda: app.playing.is_on or bool(app.side.ooc.transcript.passages))  # type: ignore[union-attr]
        await idle(app, pilot)
        side = app.side
        assert side is not None
        talk = [item.text for item in side.ooc.transcript.passages]
        assert talk[0] == "Is it dark?"
        assert len(app.story.passages) == count
        assert side.ooc.input.text == ""


async def test_a_new_story_is_picked_and_an_old_one_deleted_after_a_question() -> None:
    async with running() as (app, pilot):
        await pilot.press("alt+n")
        await until(pilot, lambda: isinstance(app.screen, Shelf))
        await until(pilot, lambda: "─ " in screen_text(app) and "Tags" in screen_text(app))
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.director is not None and app.director.chat.id == 2)
        await pilot.press("f8")
        await until(pilot, lambda: isinstance(app.screen, Shelf))
        await pilot.press("down", "d")
        await until(pilot, lambda: isinstance(app.screen, Chooser))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Shelf))
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, Chooser))
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(app.screen, Shelf))
        await pilot.press("escape")
        assert app.session is not None
        chats = await app.session.disk.run(Library.chats)
        assert [chat.id for chat in chats] == [2]


async def test_ctrl_c_copies_then_stops_then_only_speaks() -> None:
    save_settings(max_tokens=600, length="enormous")
    async with running() as (app, pilot):
        await pilot.press(*"copy me", "shift+home", "ctrl+c")
        assert app.clipboard == "copy me"
        app.composer.clear()
        for _ in range(8):  # On a busy machine a short reply may be over before it is seen.
            await pilot.press("enter")
            if app.playing.is_on:
                break
        await pilot.press("ctrl+c")
        await idle(app, pilot)
        await pilot.press("ctrl+c")
        await pilot.pause()
        assert any("Ctrl+Q quits" in toast.message for toast in app._notifications)
        assert app.is_running


async def test_a_theme_is_shown_while_chosen_and_kept_once_taken() -> None:
    async with running() as (app, pilot):
        await until(pilot, lambda: len(app.theme_names()) > 3)
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
        assert app.composer.text == "one\ntwo"
        count = len(app.story.passages)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: len(app.story.passages) > count)
        await idle(app, pilot)


async def test_it_can_be_used_on_a_very_small_screen() -> None:
    async with running(size=(60, 20)) as (app, pilot):
        await pilot.press("f2")
        await until(pilot, lambda: app.side is not None and app.side.is_shown)
        assert app.story.size.width == 60
        assert "Still to happen" in screen_text(app)
        await pilot.press("escape")
        await pilot.pause()
        assert app.side is not None and not app.side.is_shown and app.composer.has_focus
        app.composer.insert("I say a lot of words here. " + "And more of them. " * 4)
        await pilot.pause(0.1)
        assert 3 < app.composer.outer_size.height <= 10
        await pilot.resize_terminal(120, 40)
        await pilot.pause()
        assert "The Inn" in screen_text(app)


async def test_a_library_that_cannot_be_opened_is_told_in_a_sentence(home: Path) -> None:
    (home / "data").mkdir()
    (home / "data" / "library.db").mkdir()
    async with running(wait_for_story=False) as (app, pilot):
        await until(pilot, lambda: app.main.status.doing.trouble)
        assert "library.db" in app.main.status.doing.now


async def test_a_missing_model_is_told_and_the_story_can_still_be_read(home: Path) -> None:
    save_settings(model=str(home / "none.gguf"))
    async with running() as (app, pilot):
        await until(pilot, lambda: app.main.status.doing.trouble)
        assert "none.gguf" in app.main.status.doing.now
        assert app.story.passages


def test_starting_imports_neither_engine_nor_anything_heavy() -> None:
    code = (
        "import sys, shoritui.tui.app\n"
        "heavy = {'llama_cpp', 'torch', 'numpy', 'shoritui.engine', 'shoritui.director',"
        " 'shoritui.story', 'sqlite3', 'textual.widgets._markdown', 'shoritui.tui.side_panel'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_a_screen_that_becomes_narrow_belongs_to_the_story() -> None:
    async with running(size=(120, 40)) as (app, pilot):
        await until(pilot, lambda: app.side is not None and app.side.is_shown)
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: app.story.size.width == 80)
        assert app.side is not None and not app.side.is_shown


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
        assert terminal.wait_until_ended(30) == 1
        assert told in terminal.text
        assert "Traceback" not in terminal.output.decode()


def test_it_can_be_left_while_the_model_loads() -> None:
    with Terminal([sys.executable, "-m", "shoritui", "chat", str(INN)]) as terminal:
        terminal.wait_for("Brindle")
        terminal.press("ctrl+q")
        assert terminal.wait_until_ended(20) == 0
