"""Type-ahead in the app: what was typed is evaluated before Enter, and typing never waits."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from shoritui.demo import model_path
from shoritui.director import Director
from shoritui.settings import load_settings, save_settings
from shoritui.tui.chat.app import ShoriTUI
from tests.engine.adapter_file import write_adapter_folder
from tests.tui.conftest import enter, heard, idle, news, running, screen_text, until

pytestmark = pytest.mark.slow

MESSAGE = (
    "Sable set the lamp down on the bar, counted the keys on their hooks twice, and turned round. "
    "There were nine keys and ten rooms, she said, and one guest upstairs who had never signed."
)


@pytest.fixture(autouse=True)
def short_replies(home: Path) -> None:
    (home / "config").mkdir()
    save_settings(max_tokens=8, kv_cache_gb=0)


async def loaded(app: ShoriTUI, pilot: Pilot[int]) -> Director:
    """The director once the model is there and has read what is likely."""
    await until(pilot, lambda: app.main.status.doing.now.startswith("ready"))
    assert app.director is not None
    await app.director.settled()
    return app.director


async def send(app: ShoriTUI, pilot: Pilot[int]) -> None:
    """Enter, and the whole reply."""
    count = len(app.main.story.passages)
    await pilot.press("enter")
    await until(pilot, lambda: len(app.main.story.passages) > count)
    await idle(app, pilot)


async def test_an_opened_story_and_every_next_turn_are_read_before_enter() -> None:
    async with running(size=(120, 30)) as (app, pilot):
        director = await loaded(app, pilot)
        for _ in range(2):
            await send(app, pilot)
            assert director.figures.evaluated == 0 and director.figures.reused
            await director.settled()
        mode = director.engine.info.context_mode if director.engine.info else ""
        assert f" {mode}" in screen_text(app).splitlines()[-2]


async def test_what_was_typed_is_read_before_enter() -> None:
    async with running() as (app, pilot):
        director = await loaded(app, pilot)
        [message] = await director.engine.count([MESSAGE])
        await pilot.press(*"@Cadmus ")
        app.main.completions.display = False
        for word in MESSAGE.split(" "):
            app.main.composer.insert(word + " ")
            await pilot.pause()
        await pilot.press("backspace", *" Well? ", *["backspace"] * 7)
        await director.settled()
        await send(app, pilot)
        said, reply = app.main.story.passages[-2:]
        assert (said.text, reply.speaker) == (MESSAGE, "Cadmus")
        assert message > 40 and director.figures.evaluated < 24


async def test_commands_are_not_read_and_an_emptied_composer_expects_the_next() -> None:
    async with running() as (app, pilot):
        director = await loaded(app, pilot)
        await pilot.press(*"Some words of hers ")
        await director.settled()
        app.main.composer.clear()
        await enter(app, pilot, "/next Cadmus")
        await pilot.press(*"/note be brief and so on")
        await director.settled()
        app.main.composer.clear()
        await pilot.pause()
        await director.settled()
        await send(app, pilot)
        assert app.main.story.passages[-1].speaker == "Cadmus"
        assert director.figures.evaluated == 0


async def test_an_adapter_that_is_not_there_is_told_in_one_sentence(home: Path) -> None:
    async with running() as (app, pilot):
        await loaded(app, pilot)
        await enter(app, pilot, f"/adapter {home}/no such.gguf 0.5")
        await until(pilot, lambda: bool(heard(app)))
        await enter(app, pilot, "/adapter")
        await until(pilot, lambda: len(heard(app)) > 1)
        said = heard(app)
        assert "no such.gguf" in said[0] and said[1].startswith("No adapter is on")
        assert load_settings().adapters == []
        await enter(app, pilot, "/adapter off")
        await pilot.pause(0.2)
        assert len(heard(app)) == 2  # The same sentence is not said twice.


async def test_the_folder_that_peft_saved_is_put_on_and_a_wrong_one_is_told(home: Path) -> None:
    folder = write_adapter_folder(home / "v0.2 noir", model_path())
    wrong = write_adapter_folder(home / "wrong", model_path(), wide=2)
    async with running() as (app, pilot):
        await loaded(app, pilot)
        await enter(app, pilot, f"/adapter {folder} 0.5")
        await until(pilot, lambda: bool(heard(app)))
        assert heard(app) == ["Adapters that are on: v0.2 noir at 0.5."]
        assert app.director is not None and app.director.engine.info is not None
        (worn,) = app.director.engine.info.adapters
        assert (worn.path, worn.scale) == (folder, 0.5)
        await enter(app, pilot, f"/adapter {wrong}")
        await until(pilot, lambda: "trained on another base" in news(app))
        assert all(each.isprintable() for each in heard(app))
        assert [each.path for each in load_settings().adapters] == [str(folder)]
        await send(app, pilot)
        assert app.main.story.passages[-1].speaker


@pytest.mark.parametrize("scale", ["inf", "-inf", "nan", "1e39"])
async def test_an_adapters_scale_is_finite(home: Path, scale: str) -> None:
    async with running() as (app, pilot):
        await enter(app, pilot, f"/adapter {home}/noir.gguf {scale}")
        await until(pilot, lambda: bool(heard(app)))
        (toast,) = app._notifications
        assert "must be a number from -1,000 to 1,000, not" in toast.message
        assert load_settings().adapters == []


@pytest.mark.parametrize("path", ["~nobody-of-this-name/x.gguf", "x" * 256])
async def test_an_adapter_whose_path_can_be_none_is_told_in_one_sentence(path: str) -> None:
    async with running() as (app, pilot):
        await enter(app, pilot, f"/adapter {path}")
        await until(pilot, lambda: bool(heard(app)))
        (toast,) = app._notifications
        assert "cannot be used" in toast.message
        assert load_settings().adapters == []


async def test_an_adapter_that_has_gone_can_be_taken_off_and_the_model_loads(home: Path) -> None:
    save_settings(adapters=[{"path": f"{home}/gone.gguf"}])
    async with running() as (app, pilot):
        await until(pilot, lambda: app.main.status.doing.trouble)
        assert "no such adapter file" in app.main.status.doing.now
        await enter(app, pilot, "/adapter off")
        await loaded(app, pilot)
        await until(pilot, lambda: not app.main.status.doing.trouble)
        assert load_settings().adapters == []
