"""A library with a damaged chat, in the app: it is shown as unreadable, and all others open."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from textual.pilot import Pilot

from shoritui.tui.chat.app import ShoriTUI
from shoritui.tui.chat.library_screen import LibraryScreen
from tests.story.damage import FIRST, KINDS, LAST, stories
from tests.tui.conftest import news, running, until

SHOWN = (
    *("a scene of a newer format", "a scene nested too deep", "a scene that is not UTF-8"),
    *("settings that are another JSON", "no name", "tags of other types", "used for ever"),
    *("a last entry that is not there", "a last entry of another chat", "a text of bytes"),
    *("a text that is not UTF-8", "no text", "an unknown kind of entry", "no slot"),
    *("an entry of the far future", "a whisper to nobody knows whom", "a long circle"),
    *("an entry that follows one of another chat", "an act that is no JSON", "a damaged page"),
    *("a draft that is not UTF-8", "a history that is not UTF-8", "no search index"),
    *("names of control characters", "a text of control characters", "damaged backups"),
)
"""One kind of each part of the app that reads it."""


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library before it is damaged."""
    path = tmp_path_factory.mktemp("sound") / "library.db"
    stories(path)
    return path


def shows(app: ShoriTUI, beginning: str) -> bool:
    """Whether the open story ends with a message that begins so."""
    passages = app.main.story.passages
    return bool(app.director) and len(passages) > 0 and passages[-1].text.startswith(beginning)


async def choose(app: ShoriTUI, pilot: Pilot[int], number: int, says: str = "") -> None:
    """Open a story out of the library, whose look inside says something."""
    await pilot.press("f8")
    await until(pilot, lambda: isinstance(app.screen, LibraryScreen))
    screen = app.screen
    assert isinstance(screen, LibraryScreen)
    await until(pilot, lambda: screen.choices.option_count == 3)
    screen.choices.highlighted = screen.choices.get_option_index(str(number))
    await until(pilot, lambda: any(re.search(says, each.text) for each in screen.preview.passages))
    await pilot.press("enter")
    await until(pilot, lambda: app.screen is not screen)


@pytest.mark.parametrize("name", SHOWN)
async def test_a_damaged_chat_is_told_and_the_others_open(
    home: Path, sound: Path, name: str
) -> None:
    (home / "data").mkdir()
    shutil.copy(sound, home / "data" / "library.db")
    damage = KINDS[name]
    damage.do(home / "data" / "library.db")
    async with running(cards=(), wait_for_story=False, with_model=False, size=(120, 40)) as (
        app,
        pilot,
    ):
        await until(pilot, app._has_begun.is_set)
        await choose(app, pilot, FIRST)
        await until(pilot, lambda: shows(app, "The end of First"))
        await choose(app, pilot, damage.chat, damage.says if damage.is_listed else "")
        if damage.says:
            await until(pilot, lambda: re.search(damage.says, news(app)))
        else:
            await until(pilot, lambda: shows(app, "The end of Broken"))
        await choose(app, pilot, LAST)
        await until(pilot, lambda: shows(app, "The end of Last"))
        assert app.chat is not None and app.chat.id == LAST and app.chat.is_mine
