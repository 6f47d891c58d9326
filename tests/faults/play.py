"""Play every act of the app while something is wrong, and look at what it leaves."""

from __future__ import annotations

import re
import sqlite3
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from shoritui.cards import load_cards
from shoritui.demo import model_path
from shoritui.folders import bundled_dir
from shoritui.story import Draft, Library
from shoritui.tui.chat.actions import ACTIONS
from shoritui.tui.widgets.composer import DRAFT_SECONDS
from tests.e2e.terminal import PATIENCE, Terminal
from tests.faults.app import FAIL, HEARD, SECRET, SETTLE, SETTLED
from tests.faults.evils import Evil, Stage, denied_as_others
from tests.faults.keys import bytes_of

CARD: Final = bundled_dir("characters") / "mudlark-inn.toml"
LATEST: Final = 15.0
"""Seconds within which a key is answered, even where each act waits for a locked library."""
_USER: Final = "Wren"
_OLDER: Final = "An older line, number {}."
_ENDS: Final = {"quit", "interrupt", "web"}
"""What ends the app, or starts another program."""
_CHOOSES: Final = {"theme", "preset", "persona", "length", "mood", "as", "turns"}
_ASKS: Final = {"title", "note", "find", "search", "roll", "checkpoint", "keep_preset"}
_WRITES: Final = {"edit", "insert", "insert_before", "split"}
_LEAVES: Final = "Leave, losing the changes"
_LOSES: Final = "quit once more to lose it"
_NO_STORY: Final = "Pick a scene"
_TRIES: Final = 8
"""So many times Escape is pressed to be back in the composer."""
_ROOM: Final = 80
"""Characters of the composer that are taken back before another text is typed."""
_PASTE: Final = "paste:"
_BROKEN: Final = re.compile(r"Traceback|\.py[\":, ]+line \d+")
_BOX: Final = re.compile(r"^[╭┏][^\n]*\n(.*?)^[╰┗]", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Act:
    """Something a user does, by its keys."""

    name: str
    keys: tuple[str, ...]


def acts() -> list[Act]:
    """Every action that has a key, with what it asks for, and typing; last a fault."""
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
    return [*found, Act("fail", (FAIL,))]


@dataclass(slots=True)
class Outcome:
    """What a play has come to."""

    acts: int = 0
    faults: list[str] = field(default_factory=list)
    """A sentence for each promise that was not kept."""
    latest: float = 0.0
    """Seconds that the slowest answer to a key took."""


def new_home(folder: Path) -> Path:
    """A home with one story of a few messages, and a model."""
    for name in ("config", "cache"):
        (folder / name).mkdir(parents=True)
    (folder / "model.gguf").write_bytes(model_path().read_bytes())
    settings = f'max_tokens = 12\nmodel = "{folder / "model.gguf"}"\n'
    (folder / "config" / "settings.toml").write_text(settings, encoding="utf-8")
    with closing(Library(Stage(folder, folder).library)) as library:
        chat = library.create_chat(load_cards([CARD]), _USER).id
        for number in range(6):
            library.append(chat, Draft("message", _USER, _OLDER.format(number)))
    return folder


class Ended(Exception):
    """The app is gone."""


class Player:
    """Whoever sits before an app, and looks at its screen alone."""

    def __init__(self, stage: Stage, name: str = "unsent") -> None:
        self.stage = stage
        self.outcome = Outcome()
        self.said: list[str] = []
        """What the app has taken as said."""
        self.seen = ""
        """What was on the screen after each key."""
        self.unsent = ""
        """What stands in the composer."""
        self._name = name
        self._number = self._asked = 0

    @contextmanager
    def playing(self, *arguments: str) -> Iterator[Player]:
        """Begin the app, with the last story open unless the arguments say otherwise."""
        command = (sys.executable, "-m", "tests.faults.app", "chat", *arguments)
        env = self.stage.env()
        with Terminal(command, env=env, before=denied_as_others) as self.terminal:
            self.stage.terminal = self.terminal
            self.terminal.wait_for(lambda text: "╭─ as " in text or _NO_STORY in text)
            self._asked = 0
            self.settle()
            self.press("escape")
            yield self

    @property
    def is_alive(self) -> bool:
        """Whether the app goes on."""
        return self.terminal.process.poll() is None

    @property
    def composer(self) -> str:
        """What the screen shows in the composer."""
        boxes = _BOX.findall(self.terminal.text)
        return "".join(row.strip("│┃\n ") for row in boxes[-1].splitlines()) if boxes else ""

    def press(self, *keys: str) -> None:
        """Press keys; before the next one the app has done what the last one asked for."""
        for key in keys:
            sent = f"\x1b[200~{key[len(_PASTE) :]}\x1b[201~" if key.startswith(_PASTE) else key
            self.terminal.send(bytes_of(sent))
            self.settle()

    def settle(self) -> None:
        """Wait until nothing is left to do, and note how late a key comes through."""
        self._asked += 1
        start, pressed = len(self.terminal.output), time.monotonic()
        self.terminal.send(bytes_of(SETTLE))
        try:
            self.terminal.wait_for_output(f"{HEARD} {self._asked}\a".encode(), start)
            late = time.monotonic() - pressed
            self.outcome.latest = max(self.outcome.latest, late)
            self.terminal.wait_for_output(f"{SETTLED} {self._asked}\a".encode(), start)
        except AssertionError:
            if not self.is_alive:
                raise Ended from None
            raise
        self.seen += self.terminal.text.replace("\n", "")
        if late > LATEST:
            self.outcome.faults.append(f"a key was answered after {late:.1f} s")

    def type_unsent(self, about: str) -> None:
        """Empty the composer and paste a text that was never there.

        It is pasted, as keys would be taken for commands elsewhere.
        """
        self._number += 1
        self.unsent = f"{self._name}-{self._number}-{about}"
        for _ in range(_TRIES):
            self.terminal.send(bytes_of("escape"))
            self.press(bytes_of("backspace") * _ROOM, _PASTE + self.unsent)
            if self.composer == self.unsent:
                return
            self.press(*(("down", "enter") if _LEAVES in self.terminal.text else ("escape",)))
        self.outcome.faults.append(f"{about}: nothing can be typed:\n{self.terminal.text}")

    def expect_said(self, words: str) -> None:
        """The app has said what is wrong, or says it soon: news waits for other news."""
        self.settle()
        if words in self.seen:
            self.seen = ""
            return
        try:
            self.terminal.wait_for(lambda text: words in text.replace("\n", ""))
        except AssertionError as error:
            self.outcome.faults.append(f"“{words}” was never said: {error}")

    def act(self, act: Act) -> None:
        """Do something with a text unsent; it has to be there afterwards, or to be said."""
        self.type_unsent(act.name)
        problem = ""
        for key in act.keys:
            self.press(key)
            if _BROKEN.search(self.terminal.text):
                problem = f"a traceback is shown:\n{self.terminal.text}"
        problem = problem or self._what_became_of_it(act) or self._noted(act)
        if problem:
            self.outcome.faults.append(f"{act.name}: {problem}")
        self.outcome.acts += 1

    def _what_became_of_it(self, act: Act) -> str:
        for _ in range(_TRIES):
            if self.unsent in self.composer:
                return ""
            if _LEAVES in self.terminal.text:
                self.press("down", "enter")
            elif "enter" in act.keys and self.unsent in self.terminal.text:
                self.said.append(self.unsent)
                return ""
            else:
                self.press("escape")
        return f"the unsent text is gone:\n{self.terminal.text}"

    def _noted(self, act: Act) -> str:
        """What the log of faults holds that it should not."""
        log = self.stage.home / "cache" / "faults.log"
        if not log.is_file():
            return ""
        text = log.read_text(encoding="utf-8")
        log.unlink()
        if SECRET in text or _USER in text or self._name in text:
            return f"text of the story was noted:\n{text}"
        if any("KeyError" not in line for line in text.splitlines() if line[:1] != " "):
            return f"a fault was noted:\n{text}"
        return ""

    def quit(self, *, is_kept: bool = True) -> None:
        """Quit, twice if what is unsent cannot be kept; the app ends well, with no traceback."""
        before = len(self.terminal.output)
        if not is_kept:
            self.press("ctrl+q")
            self.expect_said(_LOSES)
        self.terminal.press(bytes_of("escape"), "ctrl+q")
        try:
            code = self.terminal.wait_until_ended()
        except AssertionError as error:
            self.outcome.faults.append(f"quit: {error}")
            return
        left = self.terminal.output[before:].decode(errors="replace")
        if code or _BROKEN.search(left):
            self.outcome.faults.append(f"quit: the exit code was {code}:\n{left[-2000:]}")


def play(stage: Stage, evils: Mapping[str, Evil], chosen: Mapping[str, Sequence[Act]]) -> Outcome:
    """Play acts under each evil, one after another; the app has to outlive all of them.

    Args:
        stage: Where it is played.
        evils: What happens, by name; one that is there before the app begins is alone.
        chosen: The acts under each, by the evil's name.
    """
    player = Player(stage)
    outcome = player.outcome
    try:
        with ExitStack() as stack:
            for evil in evils.values():
                if evil.before:
                    stack.enter_context(evil.happens(stage))
            stack.enter_context(player.playing())
            for name, evil in evils.items():
                with ExitStack() if evil.before else evil.happens(stage):
                    for act in chosen[name]:
                        player.act(act)
                    player.type_unsent("last")
                    player.terminal.read(2 * DRAFT_SECONDS)  # it has been tried to keep it
                    player.expect_said(evil.says)
                if evil.keeps == "draft" and not evil.before:
                    _expect_kept(player, name)
            player.quit(is_kept=evil.keeps != "nothing")
        _begin_again(player, evil)
    except Ended:
        outcome.faults.append(f"the app ended:\n{player.terminal.text}")
    return outcome


def _expect_kept(player: Player, evil: str) -> None:
    """What is unsent comes to the disk without another key."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with closing(sqlite3.connect(player.stage.library)) as library:
            if library.execute("SELECT 1 FROM chats WHERE draft = ?", (player.unsent,)).fetchone():
                return
        player.terminal.read(0.2)
    player.outcome.faults.append(f"{evil}: once it was over, what is unsent was not kept")


def _begin_again(player: Player, evil: Evil) -> None:
    """What was unsent is there again, and what was taken as said is on the disk."""
    outcome, last, ups = player.outcome, player.unsent, 0
    with player.playing(*([] if evil.keeps == "history" else ["--story", "1"])):
        while evil.keeps == "history" and player.composer != last and ups < _TRIES:
            player.press("up")
            ups += 1
        if evil.keeps != "nothing" and player.composer != last:
            outcome.faults.append(f"begun again, “{last}” is not there:\n{player.terminal.text}")
    with closing(sqlite3.connect(player.stage.library)) as library:
        kept = "\n".join(text for (text,) in library.execute("SELECT text FROM entries"))
    for text in player.said:
        if text not in kept:
            outcome.faults.append(f"“{text}” was taken as said, and is lost")
    with closing(Library(player.stage.library)) as opened:
        outcome.faults += opened.check()
