"""The rounds of commands: what each writes is the old or the new, and nothing of it stays about."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from functools import cache
from pathlib import Path

from safetensors import safe_open

from shoritui.files import replace_text
from shoritui.folders import bundled_dir
from shoritui.gguf.read import GgufFile
from shoritui.story import Draft, Library, back_up
from tests.e2e.test_training import CONFIG
from tests.finetune.run.small import make_base, write_data
from tests.kill.processes import family, kill_family
from tests.kill.rounds import Home, check_library, expect, opened, writer
from tests.story.conftest import SCENE

_MESSAGES = 300
"""Entries of the library that is restored, exported and imported."""
_STORIES = 20
_PATIENCE = 60.0
_LONGEST = 600.0
"""Seconds that a command may take on a machine that does much else."""
_SAVE = """
from shoritui.settings import save_settings
for number in range(1000, 10**6):
    save_settings(max_tokens=number)
    print(number, flush=True)
"""
_READ = "from shoritui.settings import load_settings; print(load_settings().max_tokens)"


def say(home: Home, dice: random.Random) -> None:
    """`say`, from its first moment to the middle of a long reply, beside one who writes."""
    card = sorted(bundled_dir("characters").glob("*.toml"))[0]
    words = ("say", "Tell me everything.", card, "--preset", "wild", "--length", "enormous")
    with writer(home, dice):
        _killed(home, words, dice.uniform(0, 5))
    check_library(home)


def backup(home: Home, dice: random.Random) -> None:
    """A copy of the library, while another one writes."""
    with writer(home, dice):
        _killed(home, ("chats", "backup"), dice.uniform(0, _usual(home, ("chats", "backup"))))
    check_library(home)


def restored(home: Home, dice: random.Random) -> None:
    """A copy that takes the library's place."""
    template, old, new = _with_a_copy(home.folder / "restored")
    place = home.beside(_fresh(template, home.folder / "restoring"))
    usual = _usual(Home(template), ("chats", "list"))
    _killed(place, ("chats", "restore", "1"), dice.uniform(0, 1.5 * usual))
    with opened(place.library) as (_, texts):
        found = list(texts.values())
    expect(found in (old, new), "the library is neither the old one nor the copy")
    if found == old:
        kept = [_texts(path) for path in (place.folder / "data" / "backups").glob("*restore.db")]
        expect(new in kept, "what was there before the copy is lost")


def everything_exported(home: Home, dice: random.Random) -> None:
    """All that there is, into a new folder."""
    template = _told(home.folder / "told")
    place = home.beside(_fresh(template, home.folder / "exporting"))
    out = place.folder / "out"
    words = ("export", "--all", out / "all")
    usual = _usual(Home(template), ("export", "--all", template / "out"))
    _killed(place, words, dice.uniform(0, 1.2 * usual))
    if (out / "all").exists():
        count = len(list((out / "all" / "stories").iterdir()))
        expect(count == _STORIES, f"{count} stories stand for all of them")
        shutil.rmtree(out / "all")
    _finish(place, words)
    expect([each.name for each in out.iterdir()] == ["all"], "an export has left something")


def imported(home: Home, dice: random.Random) -> None:
    """A folder of another program."""
    template = _told(home.folder / "told")
    source = template / "out" / "SillyTavern"
    _usual(Home(template), ("export", "--all", source.parent))
    place = home.beside(_fresh(None, home.folder / "importing"))
    words = ("import", source)
    _killed(place, words, dice.uniform(0, 3))
    _finish(place, words)
    with opened(place.library) as (library, _):
        count = len(library.summaries())
    expect(count == _STORIES, f"{_STORIES} stories came in as {count}")
    cards = list((place.folder / "config" / "characters").glob("*.toml"))
    expect(len(cards) == len(set(map(_text, cards))), "a card has come in twice")
    expect(not place.left_overs(), f"an import has left {place.left_overs()}")


def settings(home: Home, dice: random.Random) -> None:
    """A process that saves the settings again and again."""
    env = {**os.environ, **home.env}
    with subprocess.Popen(
        [sys.executable, "-c", _SAVE], env=env, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(dice.uniform(0, 0.3))
        home.note_end(kill_family(process.pid))
        told = process.stdout.read().split()
    found = int(subprocess.check_output([sys.executable, "-c", _READ], env=env, text=True))
    last = int(told[-1]) if told else 1000
    expect(found in (last, last + 1), f"{found} was saved where {last} was told")


def training(home: Home, dice: random.Random) -> None:
    """A run of training, or whoever watches it; the next one goes on from there."""
    place = _work(home.folder / "training", epochs=500)
    before = _steps(place)
    process = _begun(home, ("finetune", "run", "--plain", place / "finetune.toml"))
    end = time.monotonic() + dice.choice((dice.uniform(0, 5), _PATIENCE))
    wanted = len(before) + dice.randrange(1, 20)
    while time.monotonic() < end and len(_steps(place)) < wanted:
        time.sleep(0.05)
    is_on = len(_steps(place)) > len(before)
    home.in_the_midst["training"] += is_on
    if dice.random() < 0.3 and _kill_children(process.pid):
        process.wait(30)
    elif not is_on:
        home.note_end(kill_family(process.pid))
        process.wait()
    else:
        home.slowest_save = max(home.slowest_save, kill_family(process.pid))
        process.wait()
    steps = _steps(place)
    expect(steps == [("low", step) for step in range(1, len(steps) + 1)], "steps are lost")
    weights = place / "adapters" / "low" / "adapter_model.safetensors"
    if weights.exists():
        with safe_open(weights, "numpy") as tensors:
            expect(len(list(tensors.keys())) > 0, "an adapter is empty")


def exported_adapter(home: Home, dice: random.Random) -> None:
    """A trained tier, as a file of another program."""
    place = _work(home.folder / "trained", epochs=1)
    out = place / "out"
    words = (
        "finetune",
        "export",
        "--tier",
        "low",
        "--as",
        dice.choice(("lora", "f16", "q8_0")),
        "--to",
    )
    config = place / "finetune.toml"
    if not out.exists():
        _finish(home, ("finetune", "run", "--plain", config))
        _finish(home, (*words, out / "first.gguf", config))
    target = out / "killed.gguf"
    target.unlink(missing_ok=True)
    _killed(home, (*words, target, config), dice.uniform(0, 10))
    if target.exists():
        expect(len(GgufFile(target).tensors) > 0, "a file is empty")
    replace_text(out / "note", "the next that writes there sweeps up")
    left = {each.name for each in out.iterdir()} - {"first.gguf", "killed.gguf", "note"}
    expect(not left, f"an export has left {left}")


# What the rounds share.


def _killed(home: Home, words: Sequence[object], seconds: float) -> None:
    """Begin a command, and kill it after so long, unless it has ended."""
    process = _begun(home, words)
    try:
        code = process.wait(seconds)
        expect(code == 0, f"{words[0]} ended with {code}")
    except subprocess.TimeoutExpired:
        home.in_the_midst[str(words[0])] += 1
        home.note_end(kill_family(process.pid))
        process.wait()


def _begun(home: Home, words: Sequence[object]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "shoritui", *map(str, words)],
        env={**os.environ, **home.env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _finish(home: Home, words: Sequence[object]) -> None:
    code = _begun(home, words).wait(_LONGEST)
    expect(code == 0, f"{words[0]} ended with {code} after one that was killed")


_USUAL: dict[tuple[object, ...], float] = {}


def _usual(home: Home, words: Sequence[object]) -> float:
    """How many seconds a command takes to its end."""
    if (key := (home.folder, *words)) not in _USUAL:
        started = time.monotonic()
        _finish(home, words)
        _USUAL[key] = time.monotonic() - started
    return _USUAL[key]


def _fresh(template: Path | None, folder: Path) -> Path:
    """A home that no round has touched."""
    shutil.rmtree(folder, ignore_errors=True)
    if template is not None:
        shutil.copytree(template, folder, ignore=shutil.ignore_patterns("tmp", "out"))
    (folder / "tmp").mkdir(parents=True)
    return folder


@cache
def _with_a_copy(folder: Path) -> tuple[Path, list[str], list[str]]:
    """A home with a copy of its library; the texts of the copy, and all that came to be."""
    (folder / "tmp").mkdir(parents=True)
    path = Home(folder).library
    with closing(Library(path)) as library:
        chat = library.create_chat(SCENE, "Marisa").id
        for number in range(_MESSAGES):
            library.append(chat, Draft("message", "Reimu", f"number {number}. " * 100))
        back_up(path, "daily")
        for number in range(_MESSAGES):
            library.append(chat, Draft("message", "Reimu", f"later {number}. " * 100))
        shutil.copytree(folder, folder.with_name("crashed"))  # with what lies in its log
    shutil.rmtree(folder)
    folder.with_name("crashed").rename(folder)
    return folder, _texts(*(folder / "data" / "backups").glob("*.db")), _texts(path)


@cache
def _told(folder: Path) -> Path:
    """A home with stories."""
    (folder / "tmp").mkdir(parents=True)
    with closing(Library(Home(folder).library)) as library:
        for story in range(_STORIES):
            chat = library.create_chat(SCENE, "Marisa", f"Story {story}").id
            for number in range(_MESSAGES // _STORIES):
                library.append(chat, Draft("message", "Reimu", f"{story} {number}. " * 100))
    return folder


@cache
def _work(folder: Path, *, epochs: int) -> Path:
    """A folder with a small base, data and a config."""
    (folder / "base").mkdir(parents=True)
    make_base(folder / "base")
    write_data(folder)
    (folder / "finetune.toml").write_text(CONFIG.format(epochs=epochs), encoding="utf-8")
    return folder


def _steps(place: Path) -> list[tuple[str, int]]:
    path = place / "adapters" / "metrics.jsonl"
    whole = path.read_text().rpartition("\n")[0] if path.exists() else ""
    rows = map(json.loads, whole.splitlines())
    return [(row["tier"], row["step"]) for row in rows if row["event"] == "stepped"]


def _kill_children(pid: int) -> bool:
    """Kill what a process has begun; return whether there was anything."""
    children = family(pid) - {pid}
    for child in children:
        os.kill(child, signal.SIGKILL)
    return bool(children)


def _texts(path: Path) -> list[str]:
    """The texts of a library, in their order; it is read in a copy of its own."""
    scratch = path.with_name("read")
    shutil.copytree(path.parent, scratch, ignore=shutil.ignore_patterns("read", "backups"))
    try:
        with closing(Library(scratch / path.name)) as library:
            [chat] = library.summaries()
            return [entry.text for entry in library.entries(chat.id)]
    finally:
        shutil.rmtree(scratch)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
