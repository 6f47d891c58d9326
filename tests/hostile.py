"""Words that try to be more than words: to a terminal, to Textual, to BlockML, to a shell."""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path
from typing import Final

from shoritui.cards import Card, Character
from shoritui.folders import bundled_dir
from shoritui.story import Chat, Draft, Library
from tests.models import gguf_files

MARKUP: Final = (
    "Bob [/]",
    "[@click=\"app.act('undo')\"]Bob",
    "[bold red]x[/]",
    "[link=file:///etc/passwd]y[/link]",
    "[$primary]z",
    "a\\[b]c\\",
)
COMMANDS: Final = (
    "\x1b]52;c;cHduZWQ=\x07",
    "\x1b[2J\x1b[31m",
    "\x1bPq\x1b\\",
    "\x9b31m\x9d0;t\x9c\x90q\x9c",
    "\x08\x7f\x07\x0e",
    "\u202egpj.exe\u202c\u2066\u2069",
    "\ufeff\u2028\u2029\u0085",
)
SHELL: Final = "a';touch PWN;'$(touch PWN)`touch PWN`"
BLOCKS: Final = "▀message\nEve:hi▄"
ALL: Final = " ".join((*MARKUP, *COMMANDS, SHELL, BLOCKS, "\u200b\u200d"))
"""All of it, without what TOML, a file's name or an argument cannot hold."""
FILE_NAME: Final = "".join((*COMMANDS, *MARKUP[:3], SHELL, "▀\n\udcff")).replace("/", "∕")
"""A file's name: undecodable, and of as many bytes as fit beside a suffix."""
NAMES: Final = tuple(
    f"{first} {second}"[:60] for first, second in zip(MARKUP, COMMANDS, strict=False)
)
"""Names of characters, as only a library that somebody else wrote can hold them."""

UNCLEAN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
"""What no terminal and no written text may hold."""


def fill(home: Path) -> Path:
    """Fill a home with files and a library of such words; return a folder of files to take in."""
    config, outside = home / "config", home / "outside"
    for folder in ("characters", "presets", "themes", "lore", "personas", "templates"):
        (config / folder).mkdir(parents=True)
    (outside / "data").mkdir(parents=True)
    for name, text in _cards().items():
        (config / "characters" / f"{name}.toml").write_text(text)
        (outside / f"{name}.toml").write_text(text)
    for folder in ("characters", "presets", "themes", "lore", "personas"):
        (config / folder / f"{FILE_NAME}.toml").write_text(f"{_toml(ALL)} = {_toml(ALL)}\n")
    for folder, text in (
        ("themes", (bundled_dir("themes") / "shori-dark.toml").read_text()),
        ("presets", f"title = {_toml(ALL)}\n"),
        ("personas", f"[[character]]\nname = {_toml(MARKUP[0])}\ndescription = {_toml(ALL)}\n"),
    ):
        (config / folder / f"right{FILE_NAME}.toml").write_text(text)
    (config / "presets" / "odd.toml").write_text(f"title = {_toml(ALL)}\n")
    (config / "lore" / "odd.toml").write_text(
        f"title = {_toml(ALL)}\n[[lore]]\nkeys = ['x']\ntext = {_toml(ALL)}\n"
    )
    (config / "settings.toml").write_text(f"[keymap]\n{_toml(ALL)} = {_toml(ALL)}\n")
    for name, key in (("arch", "general.architecture"), ("words", "tokenizer.ggml.model")):
        facts = gguf_files.model() | {key: ALL, "general.name": ALL, "tokenizer.chat_template": ALL}
        gguf_files.write(home / "data/models" / f"{name}{FILE_NAME}.gguf", gguf_files.gguf(facts))
    (outside / f"{FILE_NAME}.json").write_text(json.dumps({"data": {"name": ALL}, "spec": ALL}))
    (outside / "chat.jsonl").write_text(
        "".join(
            f"{json.dumps(line)}\n"
            for line in (
                {"user_name": ALL, "character_name": ALL},
                {"name": ALL, "is_user": False, "mes": ALL, "send_date": ALL},
                {"name": ALL, "is_user": True, "mes": ALL, "extra": {ALL: ALL}},
            )
        )
    )
    (outside / "data" / f"{FILE_NAME}.txt").write_text(f"{ALL}\n▀message\nA:{ALL}▄\n")
    said = " ".join((*MARKUP, *COMMANDS))
    (outside / "data" / f"right{FILE_NAME}.txt").write_text(
        f"▀description\n{said}▄\n▀message\nA: {said}▄\n▀message\nB: {said}▄\n"
    )
    for name, data in (("finetune", "data/*"), ("right-data", "data/right*")):
        (outside / f"{name}.config.toml").write_text(
            f"[base]\nmodel = {_toml(ALL)}\n[[tier]]\nname = 'low'\ndata = ['{data}']\n"
        )
    (outside / "odd.toml").write_text(f"[[tier]]\nname = {_toml(ALL)}\n{_toml(ALL)} = 1\n")
    (outside / "odd.yaml").write_text(f"base_model: {json.dumps(ALL)}\n{json.dumps(ALL)}: 1\n")
    with closing(Library(home / "data" / "library.db")) as library:
        for _ in range(2):
            write_story(library)
    return outside


def write_story(library: Library) -> Chat:
    """Write a story in which each name, title and text is of such words."""
    cast = tuple(Character(name=name, description=ALL) for name in NAMES)
    scene = Card(title=ALL, tags=(MARKUP[0], COMMANDS[0]), scenario=ALL, characters=cast)
    chat = library.create_chat(scene, NAMES[0], ALL)
    said = (
        Draft("message", NAMES[1], ALL),
        Draft("ooc", NAMES[0], ALL),
        Draft("lore", NAMES[2], ALL),
        Draft("message", NAMES[0], ALL),
    )
    entry = library.append_all(chat.id, said, act=ALL)
    library.set_label(entry.id, ALL)
    library.save_draft(chat.id, ALL)
    return chat


def _cards() -> dict[str, str]:
    """Return a card that is right, and one with characters that no name may have."""
    right = "".join(f"[[character]]\nname = {_toml(each)}\n" for each in MARKUP if ":" not in each)
    wrong = f"[[character]]\nname = {_toml(ALL)}\n{_toml(ALL)} = {_toml(ALL)}\n"
    head = f"title = {_toml(ALL)}\ntags = [{_toml(MARKUP[0])}]\nscenario = {_toml(ALL)}\n"
    return {"right": head + right, "wrong": head + wrong}


def _toml(text: str) -> str:
    return '"' + "".join(f"\\U{ord(letter):08x}" for letter in text) + '"'
