"""Play every act of the app while something is wrong, and look at what it leaves."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from shoritui.cards import load_cards
from shoritui.folders import bundled_dir
from shoritui.story import Draft, Library
from shoritui.tui.chat.actions import ACTIONS
from tests.e2e.terminal import Terminal
from tests.faults.evils import Evil, library_of
from tests.faults.keys import bytes_of

CARD: Final = bundled_dir("characters") / "mudlark-inn.toml"
_USER: Final = "Wren"
_SETTINGS: Final = "max_tokens = 12\n"
_ENDS: Final = {"quit", "interrupt", "web"}
"""What ends the app, or starts another program."""
_CHOOSES: Final = {"theme", "preset", "persona", "length", "mood", "as", "turns"}
_ASKS: Final = {"title", "note", "find", "search", "roll", "checkpoint", "keep_preset"}
_WRITES: Final = {"edit", "insert", "insert_before", "split"}
_SECONDS: Final = 0.3
"""Without a new frame, after which a key is taken to have done its work."""
_LONGEST: Final = 5.0
_LEAVES: Final = "Leave, losing the changes"
_PATIENCE: Final = 20.0
_ROOM: Final = 80
"""Characters of the composer that are taken back before another text is typed."""
_BROKEN: Final = re.compile(r"Traceback|\.py[\":, ]+line \d+")


@dataclass(frozen=True, slots=True)
class Act:
    """Something a user does, by its keys."""

    name: str
    keys: tuple[str, ...]


def acts() -> list[Act]:
    """Every action that has a key, with what it asks for, and typing."""
    found = [Act("type", ("a", "b", " ")), Act("history", ("up", "down"))]
    for action in ACTIONS:
        if action.id in _ENDS or not action.keys:
            continue
        keys = [action.keys.split(",")[0]]
        if action.where == "transcript":
            keys = ["alt+up", *keys]
        if action.id in _CHOOSES:
            keys += ["down", "enter"]
        elif action.id in _ASKS:
            keys += ["2"]  # its words would be those unsent
        elif action.id in _WRITES:
            keys += ["Z", "ctrl+s", "enter"]
        found.append(Act(action.id, tuple(keys)))
    return found


@dataclass(slots=True)
class Outcome:
    """What a play has come to."""

    acts: int = 0
    faults: list[str] = field(default_factory=list)
    """A sentence for each promise that was not kept."""


def new_home(folder: Path) -> Path:
    """A home with one story of a few messages."""
    (folder / "config").mkdir(parents=True)
    (folder / "config" / "settings.toml").write_text(_SETTINGS, encoding="utf-8")
    with closing(Library(library_of(folder))) as library:
        chat = library.create_chat(load_cards([CARD]), _USER).id
        for number in range(6):
            library.append(chat, Draft("message", _USER, f"An older line, number {number}."))
    return folder


@contextmanager
def app_in(home: Path, record: Path = Path(os.devnull)) -> Iterator[Terminal]:
    """The app with the last story open; what holds up its keys is written into `record`."""
    env = {"SHORITUI_HOME": str(home), "TEXTUAL_ANIMATIONS": "none", "EDITOR": "true"}
    with Terminal((sys.executable, "-m", "tests.faults.app", str(record)), env=env) as terminal:
        terminal.wait_for("number 5.")
        _rest(terminal)
        yield terminal


def _rest(terminal: Terminal) -> None:
    """Read until nothing more is painted."""
    end = time.monotonic() + _LONGEST
    while time.monotonic() < end:
        before = len(terminal.output)
        terminal.read(_SECONDS)
        if len(terminal.output) == before:
            return


def play(home: Path, evil: Evil, chosen: Sequence[Act]) -> Outcome:
    """Play acts under an evil, each with a text unsent; the app has to outlive all of them."""
    outcome = Outcome()
    logs = {"a fault was noted": home / "cache" / "faults.log"}
    with tempfile.TemporaryDirectory() as elsewhere, ExitStack() as stack:
        logs["keys waited"] = record = Path(elsewhere) / "record"  # the home's disk may be full
        terminal = stack.enter_context(app_in(home, record))
        with evil(home):
            for number, act in enumerate(chosen):
                unsent = f"unsent-{number}-{act.name}"
                if not _type(terminal, unsent):
                    outcome.faults.append(f"{act.name}: nothing can be typed:\n{terminal.text}")
                    continue
                for key in act.keys:
                    terminal.press(bytes_of(key))
                    _rest(terminal)
                outcome.acts += 1
                problem = _problem(terminal, logs, unsent)
                if problem:
                    outcome.faults.append(f"{act.name}: {problem}")
                if terminal.process.poll() is not None:
                    return outcome
        _end(terminal, outcome)
    return outcome


def _type(terminal: Terminal, unsent: str) -> bool:
    """Go to the composer, empty it and paste a text; return whether it can be seen there.

    It is pasted, as keys would be taken for commands elsewhere.
    """
    paste = f"\x1b[200~{unsent}\x1b[201~"
    for _ in range(5):
        if _LEAVES in terminal.text:
            terminal.press("down", "enter")
            _rest(terminal)
        for key in ("escape", "escape", "\x7f" * _ROOM, paste):
            terminal.press(key)
            _rest(terminal)
        if unsent in terminal.text or terminal.process.poll() is not None:
            return True
    return False


def _problem(terminal: Terminal, logs: Mapping[str, Path], unsent: str) -> str:
    if _settles(terminal, unsent):
        if _BROKEN.search(terminal.text):
            return "a traceback is shown"
    elif terminal.process.poll() is not None:
        told = "".join(log.read_text(encoding="utf-8") for log in logs.values() if log.exists())
        return f"the app ended ({terminal.process.returncode}):\n{told}{terminal.text}"
    else:
        return f"the unsent text is gone:\n{terminal.text}"
    for what, log in logs.items():
        if log.exists() and (text := log.read_text(encoding="utf-8")):
            log.write_text("", encoding="utf-8")
            return f"{what}:\n{text}"
    return ""


def _settles(terminal: Terminal, unsent: str) -> bool:
    """Whether the unsent text is seen again once all that was opened is closed."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and terminal.process.poll() is None:
        if unsent in terminal.text.replace("\n", ""):
            return True
        terminal.press("escape")
        _rest(terminal)
    return False


def _end(terminal: Terminal, outcome: Outcome) -> None:
    terminal.press("escape", bytes_of("ctrl+q"))
    try:
        code = terminal.wait_until_ended(_PATIENCE)
    except AssertionError as error:
        outcome.faults.append(f"quit: {error}")
        return
    if code:
        outcome.faults.append(f"quit: the exit code was {code}:\n{terminal.text}")
