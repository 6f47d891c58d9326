"""The app itself, with hostile words wherever it shows any, and every action by its keys."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any, Final
from zlib import crc32

import tomlkit
from textual.pilot import Pilot

from shoritui.cards import Card, Character, Lore
from shoritui.settings import load_settings
from shoritui.story import Draft, Library
from shoritui.text import encodable
from shoritui.tui.chat.app import ShoriTUI
from tests.faults.play import acts
from tests.fuzz.run import Input
from tests.fuzz.world import LONGEST, Broken, World

_ACTS: Final = 12
_WORDS: Final = {
    **{"name": "Ada", "other": "Bram", "alias": "Addie", "title": "The ferry", "tag": "sea"},
    **{
        "text": '"Hm." _No._',
        "note": "Be brief.",
        "ooc": "Back soon.",
        "lore": "Fog.",
        "key": "fog",
    },
    **{"scenario": "Rain.", "chat": "A night", "label": "here", "act": "Edit", "file": "mine"},
    **{"preset": "Mine", "theme": "hanabi", "model": "x.gguf", "persona": "Wren", "typed": "Oh."},
}


def seeds() -> Iterator[Input]:
    """Harmless words."""
    yield Input("words.json", json.dumps(_WORDS).encode())


def play(world: World, path: Path) -> None:
    """Write a home in which they are, open its story, and act."""
    words = _words(path.read_bytes())
    _write(world.home, words)
    random = Random(crc32(path.read_bytes()))
    with world.promises("the app", seconds=20 * LONGEST):
        asyncio.run(_act(words, random))


def _words(content: bytes) -> dict[str, str]:
    """The words, as far as a mutated file still says any."""
    try:
        found: Any = json.loads(content.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        found = content.decode("utf-8", "replace")
    if not isinstance(found, dict):
        found = dict.fromkeys(_WORDS, found)
    return {key: str(found.get(key, word)) for key, word in _WORDS.items()}


def _write(home: Path, words: Mapping[str, str]) -> None:
    """Put the words into files, and into a library as only somebody else could write it."""
    config = home / "config"
    card = {"character": [{"name": words["name"], "description": words["text"]}]}
    files: dict[str, object] = {
        "settings.toml": {
            **{"model": words["model"], "theme": words["theme"], "persona": words["persona"]},
            **{"instruction": words["note"], "keymap": {words["act"]: words["key"]}},
        },
        f"presets/{words['file']}.toml": {"title": words["preset"], "temperature": 1.0},
        f"themes/{words['file']}.toml": {"title": words["theme"]},
        f"personas/{words['file']}.toml": {"character": [{"name": words["persona"]}]},
        f"characters/{words['file']}.toml": {"title": words["title"], **card},
        f"lore/{words['file']}.toml": {
            "title": words["title"],
            "lore": [{"text": words["lore"], "keys": [words["key"]]}],
        },
    }
    for name, data in files.items():
        try:
            path = config / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(encodable(tomlkit.dumps(data)), encoding="utf-8")  # type: ignore[arg-type]
        except (OSError, ValueError):  # no file can have this name, no TOML these words
            continue
    words = {key: encodable(word) for key, word in words.items()}
    scene = Card(
        title=words["title"],
        tags=(words["tag"],),
        characters=(
            Character(name=words["name"], description=words["text"], aliases=(words["alias"],)),
            Character(name=words["other"], user=True),
        ),
        lore=(Lore(name=words["key"], text=words["lore"], keys=(words["key"],)),),
        scenario=words["scenario"],
    )
    with closing(Library(home / "data" / "library.db")) as library:
        for _ in range(2):
            chat = library.create_chat(scene, words["other"], words["chat"])
            said = (
                Draft("message", words["other"], words["text"]),
                Draft("note", "", words["note"]),
                Draft("ooc", words["name"], words["ooc"]),
                Draft("message", words["name"], words["text"]),
            )
            last = library.append_all(chat.id, said, act=words["act"])
            library.set_label(last.id, words["label"])
            library.save_draft(chat.id, words["typed"])


async def _act(words: Mapping[str, str], random: Random) -> None:
    app = ShoriTUI(load_settings())
    async with app.run_test(size=(random.choice((30, 100, 160)), random.choice((12, 40)))) as pilot:
        try:
            for _ in range(500):
                await pilot.pause(0.01)
                if app.director is not None:
                    break
            _look(app)
            for act in random.sample(acts(), _ACTS):
                for key in (*act.keys, "escape"):
                    await _press(app, pilot, key)
                if random.random() < 0.3:
                    app.main.composer.insert(words[random.choice(list(words))])
                    await _press(app, pilot, "enter")
        finally:
            await app.leave(0)


async def _press(app: ShoriTUI, pilot: Pilot[int], key: str) -> None:
    began = time.process_time()
    await pilot.press(key)
    await pilot.pause()
    if time.process_time() - began > LONGEST:
        raise Broken(f"the app: {key} hangs")
    _look(app)


def _look(app: ShoriTUI) -> None:
    """Nothing that a terminal would obey is painted, and no word has become a link or an act."""
    for strip in app.screen._compositor.render_strips():
        for segment in strip:
            if any(not (c.isprintable() or c == " ") for c in segment.text):
                raise Broken("the app: unprintable text is painted", repr(segment.text))
            if segment.style and ("fuzzed" in str(segment.style.meta) or segment.style.link):
                raise Broken("the app: text has become an action", repr(segment))
