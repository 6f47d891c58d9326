"""No act of the app touches a file or the library in the thread of its event loop."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Final

import pytest
from PIL import Image
from textual.pilot import Pilot

from shoritui.demo import adapter_path, model_path
from shoritui.files import content_of
from shoritui.settings import load_settings
from shoritui.story import Library
from shoritui.tui.chat.actions import ACTIONS
from shoritui.tui.chat.app import ShoriTUI
from tests.tui.conftest import INN, Silent, idle, until
from tests.tui.loop_access import watched

pytestmark = pytest.mark.slow

ENDS: Final = ("quit", "web")
"""The actions that end the app, or start another program."""
ARGUMENTS: Final = {
    "adapter": ("{adapter} 0.5", "off"),
    "as": ("Wren",),
    "cast": ("Newbie",),
    "enter": ("Brindle",),
    "export": ("json {out}", "html {out}"),
    "export_card": ("json {out}",),
    "export_lore": ("json {out}",),
    "export_templates": ("{out}",),
    "find": ("inn",),
    "help": ("lore",),
    "import": ("{card}", "last"),
    "instruction": ("Be kind.",),
    "keep_preset": ("mine",),
    "leave": ("Brindle",),
    "length": ("tiny",),
    "lore": ("A thing",),
    "lorebook": ("woods", "none"),
    "model": ("{model}",),
    "mood": ("name",),
    "next": ("auto",),
    "note": ("--depth 4 It rains.",),
    "ooc": ("Hello.",),
    "persona": ("Wren", "none"),
    "preset": ("mine", "none"),
    "sampler": ("min_p=0.1", "banned=a shiver"),
    "save_card": ("mine",),
    "search": ("inn",),
    "theme": ("hanabi", "none"),
    "title": ("Later",),
    "turns": ("random",),
    "whisper": ("Brindle psst",),
}
"""What is written behind a command, beside nothing."""


@pytest.fixture
def places(home: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """A card with a picture, a lorebook, a persona and a folder to write into."""
    config, out = home / "config", home / "out"
    for name in ("characters", "lore", "personas"):
        (config / name).mkdir(parents=True)
    out.mkdir()
    monkeypatch.chdir(out)  # where what is written goes that nobody gives a place
    card = config / "characters" / "inn.toml"
    shutil.copy(INN, card)
    Image.new("RGB", (8, 8), (200, 20, 30)).save(card.with_suffix(".png"))
    lore = '[[lore]]\nname = "Gate"\ntext = "It is shut."\n'
    (config / "lore" / "woods.toml").write_text(lore, encoding="utf-8")
    persona = 'name = "Wren"\ndescription = "A bird."\n'
    (config / "personas" / "wren.toml").write_text(persona, encoding="utf-8")
    adapter, model = adapter_path(), model_path()
    return {"card": card, "out": out, "adapter": adapter, "model": model}


def test_what_this_thread_touches_is_told(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.touch()
    with watched() as found:
        in_thread = threading.Thread(target=content_of, args=(file,))
        in_thread.start()
        in_thread.join()
        assert not found
        content_of(file)
        Library(tmp_path / "library.db").close()
    opened = "files.py _opened < files.py open_file < files.py content_of: open"
    assert found[opened] == 1
    assert any("database.py" in each and each.endswith("SQL") for each in found)


async def close_all(app: ShoriTUI, pilot: Pilot[int]) -> None:
    """Back to the story, whatever is open."""
    while len(app.screen_stack) > 1:
        app.pop_screen()
    await pilot.pause()


async def play(app: ShoriTUI, pilot: Pilot[int], action_id: str, argument: str) -> None:
    """Do an action; from what it opens, take the first thing, and another, and leave."""
    app.main.composer.focus()
    await app.do(action_id, argument)
    await pilot.pause(0.02)
    if len(app.screen_stack) > 1:
        await pilot.press("down", "enter")
        await pilot.pause(0.02)
    await close_all(app, pilot)


async def test_no_act_touches_a_file_in_the_event_loop(places: dict[str, Path]) -> None:
    app = Silent(load_settings(), cards=[places["card"]])
    touched: dict[str, list[str]] = {}
    with watched() as found:

        def collect(what: str) -> None:
            if found:
                touched[what] = sorted(found)
            found.clear()

        async with app.run_test(size=(110, 36)) as pilot:
            await until(pilot, lambda: app.director is not None)
            await until(pilot, lambda: app.session and app.session.lorebook_names)
            collect("start")
            for action in ACTIONS:
                if action.id in ENDS:
                    continue
                for choice in action.choices(app)[:3] if action.choices is not None else ():
                    if action.choice_details is not None:
                        action.choice_details(app, choice)
                collect(f"completing /{action.slash}")
                for argument in ("", *ARGUMENTS.get(action.id, ())):
                    await play(app, pilot, action.id, argument.format(**places))
                    collect(f"{action.id} {argument}".strip())
            await idle(app, pilot)
            await app.leave(0)
            collect("quit")
    assert not touched
