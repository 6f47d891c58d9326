"""Chats, presets and whole folders of other programs, taken in and written out again."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from shoritui.interop import FORMATS
from shoritui.story import Library
from tests.fuzz.run import Input
from tests.fuzz.world import World
from tests.interop.cards.mutations import BOOK, CARD, text_of
from tests.interop.chats.mutation import samples
from tests.interop.datasets.formats import RECORDS, chatml

_SAID = (("Mara", "Hm."), ("Ilse", '"No," Ilse said.'), ("Mara", "Oh."), ("Ilse", "Well."))
_PRESET = {
    **{"temp": 1.1, "top_p": 0.9, "top_k": 40, "min_p": 0.05, "rep_pen": 1.1, "rep_pen_range": 512},
    **{"dry_multiplier": 0.8, "dry_sequence_breakers": '["\\n", ":"]', "samplers": ["top_k"]},
    **{"sampler_priority": ["top_k", "min_p"], "logit_bias": [{"text": "a", "value": -2}]},
}
_BLOCKML = """\
▀title
The ferry▄
▀description
Ada (she/her): Patient.▄
▀scenario
Rain.▄
▀message (length: tiny)
Ada: "Hm." _No._ *Tick.*▄
▀message
Bram: No.▄
"""


def seeds() -> Iterator[Input]:
    """A file of each kind, and a folder of some as an archive."""
    for name, text in samples().items():
        yield Input(f"chat{Path(name).suffix}", text.encode())
    for build in RECORDS.values():
        yield Input("chat.json", text_of(build(_SAID)))
    yield Input("chat.txt", chatml(_SAID).encode())
    yield Input("chat.txt", _BLOCKML.encode())
    yield Input("preset.json", text_of(_PRESET))
    yield Input("folder.zip", _folder())


def _folder() -> bytes:
    """A user's folder of SillyTavern, small."""
    files = {
        "characters/Ada.json": text_of(CARD),
        "chats/Ada/it.jsonl": samples()["it.jsonl"].encode(),
        "groups/17.json": samples()["group.json"].encode(),
        "group chats/it.jsonl": samples()["group.jsonl"].encode(),
        "worlds/Harbour.json": text_of({"entries": {"0": BOOK["entries"][0]}}),
        "TextGen Settings/Mine.json": text_of(_PRESET),
        "settings.json": json.dumps({"power_user": {"personas": {"a.png": "Wren"}}}).encode(),
    }
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        for name, content in files.items():
            file.writestr(name, content)
    return made.getvalue()


def play(world: World, path: Path) -> None:
    """Take it in, read and write all that is there then, and take it back."""
    if path.suffix == ".zip":
        _play_folder(world, path)
        return
    if path.stem == "preset":
        world.door("import", path)
        _look_at_presets(world)
        return
    world.door("chats", "import", path)
    world.door("import", path)
    _look_at_chats(world)
    world.door("import", "--undo")


def _play_folder(world: World, path: Path) -> None:
    folder = world.home / "given"
    _unpack(path, folder)
    world.door("import", folder)
    _look_at_chats(world)
    _look_at_presets(world)
    world.door("cards", "check", codes=(0,))
    world.door("lore", "list")
    world.door("import", folder)
    world.door("import", "--undo")


def _look_at_chats(world: World) -> None:
    world.door("chats", "list")
    if not (world.home / "data" / "library.db").exists():
        return
    with closing(Library(world.home / "data" / "library.db")) as library:
        chats = [chat.id for chat in library.summaries()][:3]
    for chat in chats:
        world.door("chats", "show", chat, codes=(0,))
        world.door("chats", "show", chat, "--json", codes=(0,))
        for form in FORMATS:
            world.door("chats", "export", chat, "--to", world.out, "--format", form, codes=(0,))
    if written := sorted(world.out.glob("*.json*")):
        world.door("chats", "import", *written)
    world.door("chats", "search", "no")
    world.door("chats", "check", codes=(0,))
    world.door("chats", "export", "--preferences", "--to", world.out, "--yes")


def _look_at_presets(world: World) -> None:
    world.door("presets", "list", codes=(0,))
    for each in sorted((world.home / "config" / "presets").glob("*.toml")):
        world.door("presets", "export", each.stem, "--to", world.out, codes=(0,))


def _unpack(path: Path, folder: Path) -> None:
    """Write what an archive holds below a folder, as far as there can be such files."""
    folder.mkdir()
    try:
        with zipfile.ZipFile(path) as file:
            members = [(each.filename, file.read(each)) for each in file.infolist()]
    except Exception:  # whatever zipfile makes of it: this is not what is tested
        members = [("x.json", path.read_bytes())]
    for name, content in members[:100]:
        target = folder / name.lstrip("/")
        if ".." in target.parts:
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        except (OSError, ValueError):
            continue
