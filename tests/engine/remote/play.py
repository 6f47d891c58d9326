"""Play every behaviour of a hostile server against `say` and against the app in a terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.benchmarks._pty import Pty, running
from tests.engine.remote.hostile import KEY
from tests.faults.play import CARD, new_home

MOST_TOKENS: Final = 40
LETTERS: Final = [chr(code) for code in (*range(0x531, 0x557), *range(0x561, 0x587))]
"""What nothing else on the screen shows, so that its paint is known."""
_MOST_MEMORY: Final = 300 << 10
"""KiB; the app has 100 MiB without any server."""
_HANGS: Final = 30.0
_KEYS: Final = 16
_BETWEEN: Final = 0.06
_EVIL: Final = re.compile(rb"Traceback|\x1b\]52|\x1b\]0;owned|" + KEY.encode())
_FORBIDDEN: Final = re.compile(r"Traceback|" + KEY[:12])


@dataclass(slots=True)
class Played:
    """What a behaviour came to."""

    faults: list[str] = field(default_factory=list)
    worst_key_ms: float = 0.0
    memory: int = 0
    """KiB, the most that the app had."""


def problem_of_say(code: int | None, out: str, err: str) -> str:
    """Return what is wrong with how `say` ended; nothing if it is as it should be."""
    said = out + err
    if code not in (0, 1):
        return f"it ended with {code}: {err[-2000:]}"
    if found := _FORBIDDEN.search(said):
        return f"it printed {found[0]}: {err[-2000:]}"
    if not said.replace("\n", "").isprintable():
        return f"it printed control characters: {said!r}"
    if code == 1 and not err.strip():
        return "it failed without a word"
    if len(out) > 64 * (MOST_TOKENS + 8) or len(err) > 2000:
        return f"it printed {len(out):,} and {len(err):,} characters"
    return ""


def write_settings(home: Path, url: str) -> None:
    """Let a home use a server, with a key."""
    (home / "config").mkdir(parents=True, exist_ok=True)
    text = f'server = "{url}"\nserver_key = "HOSTILE_KEY"\nmax_tokens = {MOST_TOKENS}\n'
    (home / "config" / "settings.toml").write_text(text, encoding="utf-8")


def play(name: str) -> Played:
    """Play one behaviour, in the three processes that it has in life: server, `say`, app."""
    played = Played()
    with _served(name) as url, tempfile.TemporaryDirectory() as folder:
        home = new_home(Path(folder))
        write_settings(home, url)
        if problem := _say(home):
            played.faults.append(f"say: {problem}")
        try:
            _act(home, played)
        except AssertionError as error:
            played.faults.append(f"app: {str(error)[-2000:]}")
        log = home / "cache" / "faults.log"
        if log.exists():
            played.faults.append(f"app: a fault was noted: {log.read_text(encoding='utf-8')}")
    return played


@contextmanager
def _served(name: str) -> Iterator[str]:
    command = (sys.executable, "-m", "tests.engine.remote.hostile", name)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.kill()


def _environment(home: Path) -> dict[str, str]:
    return {"SHORITUI_HOME": str(home), "HOSTILE_KEY": KEY}


def _say(home: Path) -> str:
    command = (sys.executable, "-m", "tests.engine.remote.door", "say", "Hm.", str(CARD), "--json")
    try:
        said = subprocess.run(
            command,
            env={**os.environ, **_environment(home)},
            capture_output=True,
            text=True,
            check=False,
            timeout=_HANGS,
        )
    except subprocess.TimeoutExpired:
        return f"it did not end within {_HANGS:.0f} s"
    return problem_of_say(said.returncode, said.stdout, said.stderr)


def _act(home: Path, played: Played) -> None:
    """Ask for a reply in the app, type while it comes, end it with Escape, ask again, leave."""
    letters = iter(LETTERS)
    with running((sys.executable, "-m", "shoritui", "chat"), _environment(home)) as terminal:
        terminal.until(b"number 5.")
        terminal.drain(1.0)
        for _ in range(2):
            terminal.write("Hm.\r")
            for _ in range(_KEYS):
                terminal.drain(_BETWEEN)
                played.worst_key_ms = max(played.worst_key_ms, _key(terminal, next(letters)))
            terminal.write("\x1b")
            terminal.drain(0.3)
            played.worst_key_ms = max(played.worst_key_ms, _key(terminal, next(letters)))
        played.memory = _most_memory(terminal.pid)
        if played.memory > _MOST_MEMORY:
            played.faults.append(f"app: it had {played.memory >> 10} MiB")
        terminal.write("\x11")
        terminal.drain(0.2)
    if found := _EVIL.search(terminal.painted):
        played.faults.append(f"app: it painted {found[0]!r}")


def _key(terminal: Pty, letter: str) -> float:
    """Return how many milliseconds pass until a key is painted."""
    begun = time.perf_counter()
    terminal.write(letter)
    terminal.until(letter.encode(), _HANGS)
    return 1000 * (time.perf_counter() - begun)


def _most_memory(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0
