"""No door of the command line prints or writes what a terminal would obey, whatever it reads."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Final

import pytest

from shoritui.cli import main
from tests.hostile import ALL, FILE_NAME, UNCLEAN, fill

FORMATS: Final = [
    "json",
    "sillytavern",
    "sillytavern-group",
    "html",
    "markdown",
    "prose",
    "blockml",
    "jsonl",
]
_DOORS: Final = """
chats | chats --json | chats --bin | chats list | chats search Bob | chats search {all}
chats search Bob --json | chats show 1 | chats show 1 --json | chats show {all}
chats export --all --to {out}/{file} | chats export 1 --to {outside}/odd.toml
chats export 1 --preferences --yes -o {out}/{file} | chats export 1 --tier {all}
chats import {outside}/chat.jsonl | chats import {outside}/{file}.json
chats rename 2 {all} | chats delete 2 | chats list --bin | chats undelete 2 | chats delete 2
chats erase 2 | chats backup | chats restore | chats restore {all} | chats check
cards check | cards check {outside}/wrong.toml | cards check {all} --json
cards export right --to {out} | cards export right --as v3 --to {out} | cards export {all}
cards export {outside}/wrong.toml | cards export right --as charx --to {out}/{file}
lore | lore list | lore export odd --as v3 --to {out} | lore export {all} --as risu
presets | presets list --json | presets export odd --to {out} | presets export {all}
presets templates --to {out} | presets templates --to {outside}/odd.toml
models | models --json | models list | models use {all} | models use {file}.gguf
models use arch{file} | models use words{file} | models pull {all} | models pull a/b:{all}
import {outside} | import {outside}/{file}.json | import {all} | import --undo
export {all} | export right --to {out} | export 1 --as {all} | export --all {out}/all
prompt {outside}/right.toml --model {all} | prompt {outside}/wrong.toml | prompt {all}
prompt --chat 1 --model arch{file} | prompt --chat {all} | prompt right --speaker {all}
say {all} {outside}/wrong.toml | say x {all} | say x right --server http://{all}
say x right --preset {all} | say x right --server http://127.0.0.1:9/{all}
lengths --model {all} | lengths --stories {outside} | eval --model {all} | eval --judge {all}
eval --stories {outside} | eval --preset {all} | bench {all} | bench --model {all}
doctor --model {all} | doctor --model arch{file} --json | doctor --server http://{all}
help {all} | help | serve --host {all} --password x
chat {all} | chat --preset {all} | chat --model {all} | chat --linear {outside}/wrong.toml
finetune {outside}/finetune.config.toml --plain | finetune run {all} | finetune run {file}.toml
finetune check {outside}/finetune.config.toml | finetune check {outside}/odd.toml --json
finetune stats {outside}/finetune.config.toml | finetune plan {outside}/finetune.config.toml
finetune plan --shape {all} | finetune export {outside}/finetune.config.toml --tier {all}
finetune init {out}/{file} | finetune init {outside}/odd.toml | finetune bench {all}
finetune import-axolotl {outside}/odd.yaml --to {out}/odd.toml | finetune import-axolotl {all}
finetune export-axolotl {outside}/finetune.config.toml
finetune check {outside}/right-data.config.toml | finetune check {outside}/odd.toml
finetune check {outside}/right-data.config.toml --repair {out}/repaired
finetune export-axolotl {outside}/right-data.config.toml --to {out}/axolotl
{all} | {file} | chats {all} | finetune {all} | finetune {file}.toml | lore {all}
"""
DOORS: Final = (
    *(f"chats export 1 --to {{out}} --format {each}" for each in FORMATS),
    *(door.strip() for line in _DOORS.strip().splitlines() for door in line.split(" | ")),
)


def leaves(package: str = "shoritui.commands", words: str = "") -> Iterator[str]:
    for name in import_module(package).COMMANDS:
        inner = import_module(f"{package}.{name.replace('-', '_')}")
        if hasattr(inner, "add_arguments"):
            yield f"{words}{name}"
        else:
            yield from leaves(inner.__name__, f"{words}{name} ")


def test_every_command_is_a_door_that_is_tried() -> None:
    assert [
        each for each in leaves() if not any(f"{door} ".startswith(f"{each} ") for door in DOORS)
    ] == []


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    fill(folder)
    return folder


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("door", DOORS)
def test_no_door_lets_a_command_through(
    door: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHORITUI_HOME", str(home))
    monkeypatch.setenv(
        "HF_ENDPOINT",
        f"http://u:{ALL.encode('utf-8', 'replace').decode()}@127.0.0.1:9".replace("\0", ""),
    )
    monkeypatch.chdir(home)
    places = {"all": ALL, "file": FILE_NAME, "out": home / "out", "outside": home / "outside"}
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    words = [word.format(**places) for word in door.split(" ")]
    out, errors = io.StringIO() if "--json" in door else Terminal(), Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", errors)
    try:
        main(words)
    except SystemExit as end:
        assert end.code == 2
    bars_left_out = errors.getvalue().replace("\r", "").replace("\x1b[K", "")
    for text in (out.getvalue(), bars_left_out):
        assert not UNCLEAN.findall(text), text
        assert "Traceback" not in text and "A fault in ShoriTUI" not in text
    if "--json" in door and out.getvalue():
        json.loads(out.getvalue())


@pytest.mark.parametrize(
    ("words", "typed"),
    [
        (["chats", "show", "1"], b""),
        (["models"], b""),
        (["prompt", "right"], b""),
        (["chat", "--linear", "--story", "1"], b"/cast\n/quit\n"),
        ([ALL], b""),
    ],
    ids=["a story", "models", "a prompt", "plain lines", "wrong usage"],
)
def test_no_command_reaches_a_real_terminal(words: list[str], typed: bytes, home: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "shoritui", *words]
    env = {**os.environ, "SHORITUI_HOME": str(home), "TERM": "xterm"}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env) as process:
        os.close(theirs)
        os.write(ours, typed)
        shown = b""
        with suppress(OSError):  # of a terminal whose program has ended
            while piece := os.read(ours, 65536):
                shown += piece
    os.close(ours)
    assert process.returncode in (0, 2) and len(shown) > 99, shown
    text = shown.decode().replace("\r\n", "\n")
    assert not UNCLEAN.findall(text), text


def test_no_written_file_holds_a_command(home: Path) -> None:
    texts = [path for path in (home / "out").rglob("*") if path.suffix not in (".png", ".charx")]
    files = [path for path in texts if path.is_file()]
    assert len(files) > len(FORMATS)
    assert [path.name for path in files if UNCLEAN.search(path.read_text(encoding="utf-8"))] == []
