"""Settings, keys and the model, changed in the running app."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from shoritui.demo import model_path
from shoritui.engine import SPLIT_MARKS
from shoritui.engine.remote.usual_ports import USUAL_PORTS
from shoritui.folders import models_dir, settings_path
from shoritui.settings import load_settings, save_settings
from shoritui.tui.chat.settings.keys_screen import KeyPrompt, KeysScreen
from shoritui.tui.chat.settings.model_picker import ModelPicker
from shoritui.tui.chat.settings.settings_screen import _NAMES, SettingsScreen
from shoritui.tui.widgets.chooser import Chooser, LinePrompt
from tests.engine.remote.scripted_server import LLAMA_SERVER, scripted_server, told
from tests.tui.conftest import enter, idle, news, running, screen_text, until


@pytest.fixture(autouse=True)
def own_settings(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "config").mkdir()
    settings_path().write_text("# mine\nlength = 'tiny'  # short ones\n", encoding="utf-8")
    for name in list(USUAL_PORTS):
        monkeypatch.delitem(USUAL_PORTS, name)  # What runs here is not the test's.


async def test_a_setting_is_found_changed_and_taken_back_and_comments_stay() -> None:
    async with running(with_model=False) as (app, pilot):
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(app.screen, SettingsScreen))
        await pilot.press(*"longest", "enter")
        await until(pilot, lambda: isinstance(app.screen, LinePrompt))
        await pilot.press("backspace", "backspace", "backspace", "backspace", *"many")
        await until(pilot, lambda: "must be a whole" in screen_text(app))
        await pilot.press("enter")
        assert isinstance(app.screen, LinePrompt)
        await pilot.press("backspace", "backspace", "backspace", "backspace", *"77", "enter")
        await until(pilot, lambda: load_settings().max_tokens == 77)
        await until(pilot, lambda: "• max_tokens         77" in screen_text(app))
        await pilot.press("ctrl+z")
        await until(pilot, lambda: load_settings().max_tokens == 1024)
        text = settings_path().read_text(encoding="utf-8")
        assert text.startswith("# mine\nlength = 'tiny'  # short ones\n")


async def test_each_setting_says_what_it_means() -> None:
    async with running(with_model=False, size=(120, 40)) as (app, pilot):
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(app.screen, SettingsScreen))
        screen = app.screen
        assert isinstance(screen, SettingsScreen)
        for name in _NAMES:
            _, [title, *parts] = await screen.look(name)
            assert title.text == name and parts[0].text.endswith(".")


async def test_what_is_changed_counts_in_the_open_story() -> None:
    async with running(with_model=False) as (app, pilot):
        assert app.chat is not None and app.chat.length == "tiny"
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(app.screen, SettingsScreen))
        await pilot.press(*"hint", "enter")
        await until(pilot, lambda: isinstance(app.screen, Chooser))
        await pilot.press(*"huge", "enter")
        await until(pilot, lambda: app.settings.length == "huge")
        await pilot.press(*["backspace"] * 4, *"marks", "enter")
        await until(pilot, lambda: not app.main.story.show_marks)
        await pilot.press("escape")
        await until(pilot, lambda: app.chat is not None and app.chat.length == "huge")
        assert "· huge ·" in screen_text(app)


async def test_a_file_that_cannot_be_read_is_said_and_left_alone() -> None:
    async with running(with_model=False) as (app, pilot):
        settings_path().write_text("length = 'tiny\n", encoding="utf-8")
        assert not await app.save(length="long")
        await until(pilot, lambda: "line 1" in news(app))
        assert not app.can_undo_setting
        assert settings_path().read_text(encoding="utf-8") == "length = 'tiny\n"


async def test_an_action_gets_another_key_unless_that_is_taken() -> None:
    async with running(with_model=False) as (app, pilot):
        await pilot.press("alt+z")
        await until(pilot, lambda: isinstance(app.screen, KeysScreen))
        await pilot.press(*"branches", "enter")
        await until(pilot, lambda: isinstance(app.screen, KeyPrompt))
        await pilot.press("f2")
        await until(pilot, lambda: "f2 is the key of both" in screen_text(app))
        await pilot.press("ctrl+b")
        await until(pilot, lambda: load_settings().keymap == {"tree": "ctrl+b"})
        await pilot.press("escape", "ctrl+b")
        await until(pilot, lambda: type(app.screen).__name__ == "TreeScreen")
        await pilot.press("escape")
        await pilot.press("alt+z", *"branches", "delete")
        await until(pilot, lambda: load_settings().keymap == {})
        await pilot.press("ctrl+z")
        await until(pilot, lambda: load_settings().keymap == {"tree": "ctrl+b"})


async def test_another_model_is_chosen_in_a_running_story() -> None:
    models_dir().mkdir(parents=True)
    shutil.copy(model_path(), models_dir() / "second.gguf")
    save_settings(max_tokens=16)
    async with running() as (app, pilot):
        session = app.session
        assert session is not None
        await until(pilot, lambda: session.engine.state.phase == "ready")
        await pilot.press("alt+g")
        await until(pilot, lambda: isinstance(app.screen, ModelPicker))
        await until(pilot, lambda: "second" in screen_text(app))
        assert "● shori-demo" in screen_text(app)
        await pilot.press(*"second", "enter")
        await until(pilot, lambda: app.settings.model.endswith("second.gguf"))
        assert session.engine.info is not None
        assert session.engine.info.path == models_dir() / "second.gguf"
        assert load_settings().model == str(models_dir() / "second.gguf")
        await until(pilot, lambda: session.engine.state.phase == "ready")
        await idle(app, pilot)
        await pilot.press("enter")
        await idle(app, pilot)
        await until(pilot, lambda: app.main.story.passages[-1].tokens > 0)
        await until(pilot, lambda: "second" in session.model_names)
        assert SPLIT_MARKS not in news(app)

        # One that cannot be loaded leaves the one before.
        (models_dir() / "broken.gguf").write_bytes(b"GGUF" * 100)
        await enter(app, pilot, f"/model {models_dir() / 'broken.gguf'}")
        await until(pilot, lambda: "broken.gguf" in news(app))
        await until(pilot, lambda: session.engine.info is not None)
        assert session.engine.info.path.name == "second.gguf"
        assert load_settings().model.endswith("second.gguf")


async def test_a_server_on_its_usual_port_is_found_and_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    models = told({"data": [{"id": "mara-7b"}, {"id": "tobiah-7b"}]})
    async with scripted_server({**LLAMA_SERVER, "/v1/models": models}) as server:
        monkeypatch.setitem(USUAL_PORTS, "llama-server", server.port)
        async with running() as (app, pilot):
            session = app.session
            assert session is not None
            await until(pilot, lambda: session.engine.state.phase == "ready")
            assert not server.heard
            await pilot.press("alt+g")
            await until(pilot, lambda: "tobiah-7b" in screen_text(app))
            await pilot.press(*"tobiah", "enter")
            await until(pilot, lambda: app.settings.server == server.url)
            info = session.engine.info
            assert info is not None and info.server == server.url
            assert load_settings().server_model == "tobiah-7b"
            assert app.director is not None and app.director.engine is session.engine

            # A server that is none is said, and the one before is used again.
            await enter(app, pilot, "/model http://127.0.0.1:9/")
            await until(pilot, lambda: "127.0.0.1:9" in news(app))
            assert app.settings.server == server.url
            await until(pilot, lambda: session.engine.info is not None)

            await enter(app, pilot, "/model shori-demo")
            await until(pilot, lambda: app.settings.server == "")
            info = session.engine.info
            assert info is not None and not info.server
            assert load_settings().server == "" and load_settings().model == ""
