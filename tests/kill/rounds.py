"""The rounds of a library: what is killed in each, and what has to be true afterwards."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

from shoritui.cards import card_to_json
from shoritui.files import UNFINISHED
from shoritui.folders import bundled_dir
from shoritui.story import Library, backups
from shoritui.story.migrations import MIGRATIONS, VERSION
from tests.benchmarks._pty import Pty, running
from tests.kill.processes import family, is_running, kill_family
from tests.story.conftest import SCENE
from tests.story.test_file import FORMAT_1

ORPHAN_SECONDS = 2.0
"""How long a process of a dead app may live on."""
LOST_SECONDS = 1.0
"""How long before a kill what it costs of a reply may have been shown."""
OLD_MESSAGES = 3_000
"""Entries of the library that is brought up to date."""
_PATIENCE = 120.0
_WILD = 'title = "Wild"\ntemperature = 20.0\n'
"""Words without sense, of which there is hardly an end."""
_MIGRATE = """
import sys
from pathlib import Path
from shoritui.story import Library
print("go", flush=True)
Library(Path(sys.argv[1])).close()
print("done", flush=True)
"""


@dataclass
class Home:
    """A user's folder, which the rounds share: each one opens what the one before left."""

    folder: Path
    promised: dict[int, str] = field(default_factory=dict)
    """What is on the disk for ever, by the entry's id."""
    most_lost: float = 0.0
    """How many seconds before a kill the oldest text was shown that it has cost."""
    in_the_midst: Counter[str] = field(default_factory=Counter)
    """How many kills came while a reply streamed or a migration was under way."""
    slowest_end: float = 0.0
    """Seconds that a process of a dead one has lived on at most."""
    slowest_save: float = 0.0
    """Seconds that a run has taken at most to save, once whoever watched it was dead."""

    @property
    def library(self) -> Path:
        """The library's file."""
        return self.folder / "data" / "library.db"

    @property
    def env(self) -> dict[str, str]:
        """Where a command finds this home, and what is temporary."""
        return {"SHORITUI_HOME": str(self.folder), "TMPDIR": str(self.folder / "tmp")}

    def beside(self, folder: Path) -> Home:
        """Return another home, whose kills are counted with those of this one."""
        return Home(folder, in_the_midst=self.in_the_midst)

    def note_end(self, seconds: float) -> None:
        """Take in how long processes of a dead one have lived on."""
        self.slowest_end = max(self.slowest_end, seconds)
        expect(seconds <= ORPHAN_SECONDS, f"a process of a dead one lived on for {seconds:.1f} s")

    def left_overs(self) -> list[Path]:
        """Return what killed processes have left here and nobody has swept up."""
        folders = [self.folder / name for name in ("config", "data", "cache", "tmp")]
        found = [path for folder in folders for path in folder.rglob("*")]
        return [
            path
            for path in found
            if UNFINISHED.fullmatch(path.name) or path.suffix in (".part", ".old")
        ]


def new_home(folder: Path) -> Home:
    """Return a home with the preset whose replies hardly end, and an empty library."""
    (folder / "config" / "presets").mkdir(parents=True)
    (folder / "config" / "presets" / "wild.toml").write_text(_WILD, encoding="utf-8")
    (folder / "tmp").mkdir()
    home = Home(folder)
    Library(home.library).close()
    return home


# The app and its worker.


def app_before_the_first_token(home: Home, dice: random.Random) -> None:
    """The app, between Enter and the first word of the reply."""
    with _app(home) as (terminal, record), writer(home, dice):
        terminal.drain(dice.uniform(0, 1))
        _say(terminal)
        if dice.random() < 0.5:
            _wait(terminal, partial(record.has_shown, {"begun"}))
        terminal.drain(dice.uniform(0, 0.1))
        _kill_app(home, record)
    _check_record(home, record)


def app_in_mid_stream(home: Home, dice: random.Random) -> None:
    """The app, while a reply streams and others write into the same library."""
    with _app(home) as (terminal, record), writer(home, dice):
        _until_it_streams(terminal, record)
        terminal.drain(dice.uniform(0, 2))
        _kill_app(home, record)
    _check_record(home, record)


def worker_in_mid_stream(home: Home, dice: random.Random) -> None:
    """The app's worker, while it writes; then the app, which has told of it."""
    with _app(home) as (terminal, record):
        _until_it_streams(terminal, record)
        told = len(record.lines())
        terminal.drain(dice.uniform(0, 1))
        workers = family(record.pid) - {record.pid}
        expect(bool(workers), "there is no worker to kill")
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        _wait(terminal, partial(record.has_shown, {"kept", "failed"}, told))
        terminal.drain(0.3)
        expect(is_running(record.pid), "the app died with its worker")
        _wait(terminal, lambda: not home.left_overs())
        _kill_app(home, record)
    _check_record(home, record)


@dataclass
class Record:
    """What an app has shown so far."""

    path: Path
    pid: int = 0
    killed: float = 0.0

    def lines(self) -> list[tuple[str, float, int, str]]:
        """Return what was shown, and when."""
        if not self.path.exists():
            return []
        whole = self.path.read_text(encoding="utf-8").rpartition("\n")[0]
        return [tuple(json.loads(line)) for line in whole.splitlines()]

    def has_shown(self, kinds: set[str], start: int = 0) -> bool:
        """Return whether any of these kinds of things was shown, from a line on."""
        return any(line[0] in kinds for line in self.lines()[start:])


@contextmanager
def _app(home: Home) -> Iterator[tuple[Pty, Record]]:
    record = Record(home.folder / f"record-{time.monotonic_ns()}")
    card = sorted(bundled_dir("characters").glob("*.toml"))[0]
    command = [sys.executable, "-m", "tests.kill.app", str(record.path), str(card)]
    with running(command, home.env) as terminal:
        record.pid = terminal.pid
        terminal.until(b"What does", _PATIENCE)
        yield terminal, record


def _say(terminal: Pty) -> None:
    terminal.write("Tell me everything.")
    terminal.drain(0.1)
    terminal.write("\r")


def _until_it_streams(terminal: Pty, record: Record) -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        told = len(record.lines())
        _say(terminal)  # once more where it was refused: the app was busy, or the library
        _comes(terminal, partial(record.has_shown, {"wrote", "removed", "failed"}, told), 10)
        terminal.drain(0.2)
        if [line[0] for line in record.lines()[told:]][-1:] == ["wrote"]:
            return
    raise AssertionError("no long reply came")


def _wait(terminal: Pty, holds: Callable[[], bool]) -> None:
    expect(_comes(terminal, holds, _PATIENCE), "the app never did what was waited for")


def _comes(terminal: Pty, holds: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        terminal.drain(0.02)
    return True


def _kill_app(home: Home, record: Record) -> None:
    record.killed = time.monotonic()
    home.note_end(kill_family(record.pid))


def _check_record(home: Home, record: Record) -> None:
    """What was shown is on the disk, but for the last second of what streamed."""
    with opened(home.library) as (_, texts):
        streamed: dict[int, list[tuple[float, str]]] = {}
        for what, at, entry_id, text in record.lines():
            if what == "begun":
                streamed[entry_id] = [(at, text)]
            elif what == "wrote":
                streamed[entry_id].append((at, text))
            elif what == "kept":
                streamed.pop(entry_id, None)
                home.promised[entry_id] = text
            elif what == "removed":
                streamed.pop(entry_id, None)
        home.in_the_midst["reply"] += bool(streamed)
        for entry_id, pieces in streamed.items():
            on_disk, shown = texts.get(entry_id, ""), ""
            for at, piece in pieces:
                shown += piece
                if not on_disk.startswith(shown):
                    lost = record.killed - at
                    home.most_lost = max(home.most_lost, lost)
                    expect(lost <= LOST_SECONDS, f"{lost:.2f} s of a reply were lost")
                    break
            if on_disk:
                home.promised[entry_id] = on_disk
    record.path.unlink(missing_ok=True)
    check_library(home)


# Two who write at once.


def writers(home: Home, dice: random.Random) -> None:
    """Two processes that do everything a story allows."""
    with writer(home, dice) as one, writer(home, dice):
        time.sleep(dice.uniform(0, 0.6))
        one.kill()
        one.wait()
        time.sleep(dice.choice((0, 0, 0.2)))
    check_library(home)


@contextmanager
def writer(home: Home, dice: random.Random) -> Iterator[subprocess.Popen[str]]:
    """A writer who has begun; afterwards it is dead, and what it was promised is checked."""
    command = [
        sys.executable,
        "-m",
        "tests.kill.writer",
        str(home.library),
        str(dice.randrange(10**9)),
    ]
    output = home.folder / f"promises-{time.monotonic_ns()}"
    with output.open("w") as file:
        process = subprocess.Popen(command, stdout=file, text=True)
    try:
        end = time.monotonic() + _PATIENCE
        while not output.stat().st_size:
            expect(process.poll() is None and time.monotonic() < end, "a writer never began")
            time.sleep(0.01)
        yield process
        expect(process.poll() in (None, -signal.SIGKILL), "a writer ended by itself")
    finally:
        process.kill()
        process.wait()
    whole = output.read_text(encoding="utf-8").rpartition("\n")[0]
    output.unlink()
    _check_promises(home, [json.loads(line) for line in whole.splitlines()])


def _check_promises(home: Home, lines: list[tuple[str, int, object]]) -> None:
    paths: dict[int, object] = {}
    streaming: dict[int, str] = {}
    for what, number, rest in lines:
        match what:
            case "kept":
                home.promised[number] = str(rest)
                streaming.pop(number, None)
            case "wrote":
                streaming[number] = str(rest)
            case "acting":
                paths.pop(number, None)
            case "path":
                paths[number] = rest
    with opened(home.library) as (library, texts):
        for entry_id, text in streaming.items():
            expect(texts[entry_id].startswith(text), f"text of entry {entry_id} was lost")
        for chat_id, path in paths.items():
            now = [entry.id for entry in library.entries(chat_id)]
            expect(now == path, f"the path of story {chat_id} is another one")


# A library that is brought up to date.


def migration(home: Home, dice: random.Random) -> None:
    """A process that brings a library of the format before up to date."""
    template, seconds = _old_library(home.folder)
    folder = home.folder / "old"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    library = folder / "library.db"
    shutil.copy(template, library)
    with subprocess.Popen(
        [sys.executable, "-c", _MIGRATE, str(library)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(dice.uniform(0, seconds))
        process.kill()
        home.in_the_midst["migration"] += "done" not in process.stdout.read()
    texts = _old_texts()
    for copy in backups(library):
        _expect_sound_copy(copy.path, texts)
    with opened(library) as (updated, _):
        path = updated.entries(1)
        expect([entry.text for entry in path] == texts, "a migration has lost something")
        expect(all(entry.slot == entry.id for entry in path), "a slot is wrong")
        expect(len(updated.search("number 17.")) >= 1, "the search finds nothing")
    expect(len(backups(library)) >= 1, "there is no copy from before the update")
    for copy in backups(library):
        _expect_sound_copy(copy.path, texts)


@cache
def _old_library(folder: Path) -> tuple[Path, float]:
    """A library of format 2, and how many seconds it takes to bring it up to date."""
    template = folder / "format-2.db"
    with closing(sqlite3.connect(template)) as old:
        old.executescript(FORMAT_1)
        for statement in MIGRATIONS[1]:
            old.execute(statement)
        old.execute(
            "INSERT INTO chats VALUES (1, 'Old', ?, 'Marisa', NULL, '{}', 5.0, 6.0, '')",
            (card_to_json(SCENE),),
        )
        for number, text in enumerate(_old_texts(), 1):
            old.execute(
                "INSERT INTO entries VALUES "
                "(?, 1, ?, 'message', 'Reimu', NULL, ?, 'complete', NULL, 5.5, 2)",
                (number, number - 1 or None, text),
            )
        old.execute("UPDATE chats SET head = ?", (OLD_MESSAGES,))
        old.execute("PRAGMA user_version = 2")
        old.commit()
    trial = folder / "trial" / "library.db"
    trial.parent.mkdir()
    shutil.copy(template, trial)
    started = time.monotonic()
    Library(trial).close()
    return template, 1.2 * (time.monotonic() - started)


@cache
def _old_texts() -> list[str]:
    dice = random.Random(1)
    words = ["lantern", "harbour", "fog", "bell", "ferry", "rope", "said", "nobody", "tide"]
    return [
        f"Message number {number}. " + " ".join(dice.choices(words, k=100))
        for number in range(OLD_MESSAGES)
    ]


def _expect_sound_copy(copy: Path, texts: list[str]) -> None:
    with closing(sqlite3.connect(f"{copy.as_uri()}?mode=ro", uri=True)) as db:
        expect(db.execute("PRAGMA quick_check").fetchall() == [("ok",)], "a backup is damaged")
        found = [text for (text,) in db.execute("SELECT text FROM entries ORDER BY id")]
        expect(found == texts, "a backup has lost something")


# What holds after every round.


def check_library(home: Home) -> None:
    """Whatever was promised is there, and the copies are sound."""
    with opened(home.library) as (library, texts):
        for entry_id, text in home.promised.items():
            expect(texts.get(entry_id) == text, f"entry {entry_id}, which was kept, is lost")
        for copy in backups(library.path):
            with closing(sqlite3.connect(f"{copy.path.as_uri()}?mode=ro", uri=True)) as db:
                sound = db.execute("PRAGMA quick_check").fetchall()
            expect(sound == [("ok",)], "a backup is damaged")


@contextmanager
def opened(path: Path) -> Iterator[tuple[Library, dict[int, str]]]:
    """The library as the next window opens it, and every text in it; all of it is sound."""
    with closing(Library(path)) as library:
        with closing(sqlite3.connect(path)) as db:
            texts = dict(db.execute("SELECT id, text FROM entries"))
            expect(db.execute("PRAGMA user_version").fetchone() == (VERSION,), "the format is old")
            [streaming] = db.execute("SELECT count(*) FROM entries WHERE status = 'streaming'")
        problems = library.check()
        expect(not problems, f"the library is not sound: {problems}")
        expect(streaming == (0,), "what a dead process streamed is not cut")
        expect(all(text.strip() for text in texts.values()), "there is an empty message")
        for summary in library.summaries():
            library.chat(summary.id)
            library.entries(summary.id)
            library.tree(summary.id)
        yield library, texts


def expect(holds: object, otherwise: str) -> None:
    """Raise unless it holds."""
    if not holds:
        raise AssertionError(otherwise)
