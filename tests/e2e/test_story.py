"""A person at a terminal: picks a scene, talks, switches, leaves, comes back; and what kills it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shoritui.demo import model_path
from shoritui.story import Entry, Library
from tests.e2e.terminal import PATIENCE, Terminal

pytestmark = pytest.mark.slow

CHAT = (sys.executable, "-m", "shoritui", "chat")
SHORT = "max_tokens = 24\n"
LONG = "max_tokens = 100_000\nlength = 'enormous'\npreset = 'wild'\n"
WILD = 'title = "Wild"\ntemperature = 20.0\n'
"""Words without sense, of which there is hardly an end."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "config" / "presets").mkdir(parents=True)
    (tmp_path / "config" / "presets" / "wild.toml").write_text(WILD, encoding="utf-8")
    (tmp_path / "config" / "settings.toml").write_text(SHORT, encoding="utf-8")
    return tmp_path


def terminal(home: Path, *arguments: str, columns: int = 120, rows: int = 40) -> Terminal:
    env = {"SHORITUI_HOME": str(home), "TEXTUAL_ANIMATIONS": "none"}
    return Terminal((*CHAT, *arguments), columns=columns, rows=rows, env=env)


def story(home: Path) -> list[Entry]:
    library = Library(home / "data" / "library.db")
    try:
        chat = library.last_chat()
        return library.entries(chat.id) if chat else []
    finally:
        library.close()


def wait_for_entries(screen: Terminal, home: Path, count: int) -> list[Entry]:
    """The story on disk once it has so many entries and none is being written."""

    def are_whole() -> bool:
        entries = story(home)
        return len(entries) >= count and all(entry.status != "streaming" for entry in entries)

    screen.wait_for(lambda _: are_whole())
    return story(home)


def say(screen: Terminal, home: Path, text: str) -> Entry:
    """Says something and waits for the reply."""
    before = len(story(home))
    screen.press(text, "enter")
    screen.wait_for(lambda _: len(story(home)) > before)
    return wait_for_entries(screen, home, before + 2)[-1]


def children(process: subprocess.Popen[bytes]) -> list[int]:
    """The processes started by the app."""
    listing = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    return [int(pid) for pid in listing.stdout.split()]


def is_running(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_until_gone(pids: list[int]) -> None:
    end = time.monotonic() + PATIENCE
    while any(map(is_running, pids)):
        assert time.monotonic() < end, "a process of the app stayed behind"
        time.sleep(0.05)


@pytest.mark.parametrize(("columns", "rows"), [(120, 40), (80, 24), (60, 20)])
def test_an_evening_with_a_story(home: Path, columns: int, rows: int) -> None:
    with terminal(home, columns=columns, rows=rows) as screen:
        screen.wait_for("Pick a scene")
        screen.press("keeps its letters", "enter")
        screen.wait_for("as Wren")
        screen.wait_for("ready")
        first = say(screen, home, '"Somebody open it," Wren said.')
        assert first.speaker == "Maren" and first.kind == "message"
        other = say(screen, home, "@Tobias What would you do?")
        assert other.speaker == "Tobias"
        screen.press("/preset neutral", "enter")
        screen.press("f3")
        screen.wait_for(lambda text: "neutral" in text and "temperature" in text)
        screen.press("f3", "f4")
        screen.wait_for("out of character")
        screen.press("ctrl+q")
        assert screen.wait_until_ended() == 0
    left = story(home)
    assert [entry.text for entry in left if entry.speaker == "Wren"][-1] == "What would you do?"
    with terminal(home, columns=columns, rows=rows) as screen:
        screen.wait_for("What would you do?")
        screen.wait_for(other.text.split()[0][:12])
        assert story(home) == left
        screen.press("ctrl+q")
        assert screen.wait_until_ended() == 0


def test_a_draft_survives(home: Path) -> None:
    with terminal(home, "gannet-rock") as screen:
        screen.wait_for("as Wren")
        screen.press("She opened the")
        screen.wait_for("She opened the")
        screen.press("ctrl+q")
        assert screen.wait_until_ended() == 0
    with terminal(home) as screen:
        screen.wait_for("She opened the")


def test_one_may_type_before_the_model_is_there_and_no_key_is_lost(home: Path) -> None:
    with terminal(home, "gannet-rock") as screen:
        screen.wait_for("as Wren")
        screen.press("The quick brown fox, said Wren.", "enter")
        said = wait_for_entries(screen, home, 4)[2]
        assert (said.speaker, said.text) == ("Wren", "The quick brown fox, said Wren.")


def test_a_letter_with_alt_is_a_key_and_no_text(home: Path) -> None:
    with terminal(home, "gannet-rock") as screen:
        screen.wait_for("What does Wren say or do?")
        screen.press("\x1bp")
        screen.wait_for("Which sampler?")
        screen.press("escape")
        screen.wait_for(lambda text: "Which sampler?" not in text)
        screen.wait_for("What does Wren say or do?")


EMPTY = "ended before the first"
"""Of what is said, in a corner for a while, where a reply has no word."""


def freeze_in_mid_reply(screen: Terminal, home: Path) -> list[int]:
    """Asks until a reply is being written, and holds the worker there; its process ids."""
    screen.wait_for("ready")
    for _ in range(20):
        before = len(story(home))

        def is_written(before: int = before) -> bool:
            replies = story(home)[before + 1 :]
            return any(len(reply.text) > 20 or reply.status != "streaming" for reply in replies)

        screen.press("Tell me everything.", "enter")
        screen.wait_for(lambda text: is_written() or EMPTY in text)
        if not is_written():  # The model said nothing: ask again.
            screen.wait_for(lambda text: EMPTY not in text)
            continue
        workers = children(screen.process)
        for worker in workers:
            os.kill(worker, signal.SIGSTOP)
        screen.read(1)  # What the worker had sent before arrives and is written.
        if story(home)[-1].status == "streaming":
            return workers
        for worker in workers:  # The model ended just then: ask again.
            os.kill(worker, signal.SIGCONT)
        wait_for_entries(screen, home, before + 2)
    raise AssertionError(f"no long reply came:\n{screen.text}")


def test_killed_in_mid_reply_it_loses_nothing_committed(home: Path) -> None:
    (home / "config" / "settings.toml").write_text(LONG, encoding="utf-8")
    with terminal(home, "gannet-rock") as screen:
        workers = freeze_in_mid_reply(screen, home)
        written = story(home)[-1]
        os.kill(screen.process.pid, signal.SIGKILL)
        screen.process.wait()
        for worker in workers:
            os.kill(worker, signal.SIGCONT)
        wait_until_gone(workers)
    after = story(home)[-1]
    assert after.id == written.id and after.status == "cut"
    assert after.text.startswith(written.text) and len(written.text) > 20
    (home / "config" / "settings.toml").write_text(SHORT + "preset = 'wild'\n", encoding="utf-8")
    with terminal(home) as screen:
        screen.wait_for("cut short")
        screen.wait_for("ready")
        say(screen, home, "Where were we?")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_told_to_end_it_keeps_what_is_written_and_leaves_no_process(
    home: Path, number: signal.Signals
) -> None:
    (home / "config" / "settings.toml").write_text(LONG, encoding="utf-8")
    with terminal(home, "gannet-rock") as screen:
        workers = freeze_in_mid_reply(screen, home)
        for worker in workers:
            os.kill(worker, signal.SIGCONT)
        os.kill(screen.process.pid, number)
        screen.wait_until_ended()
        wait_until_gone(workers)
        assert b"\x1b[?1049l" in screen.output, "the terminal is as it was"
    assert story(home)[-1].status in ("cut", "complete") and story(home)[-1].text


@pytest.mark.parametrize("writes", [False, True])
def test_it_ends_with_a_terminal_that_no_signal_tells_of(home: Path, writes: bool) -> None:
    (home / "config" / "settings.toml").write_text(LONG, encoding="utf-8")
    with terminal(home, "gannet-rock") as screen:
        if writes:
            workers = freeze_in_mid_reply(screen, home)
            for worker in workers:
                os.kill(worker, signal.SIGCONT)
        else:
            screen.wait_for("ready")
            workers = children(screen.process)
        screen.hang_up()
        assert screen.process.wait(PATIENCE) == 128 + signal.SIGHUP
        wait_until_gone(workers)
    assert all(entry.status in ("cut", "complete") for entry in story(home))


def test_a_dead_worker_is_told_in_one_line_and_comes_back(home: Path) -> None:
    with terminal(home, "gannet-rock") as screen:
        screen.wait_for("ready")
        before = say(screen, home, "Is it you?")
        [worker] = children(screen.process)
        os.kill(worker, signal.SIGKILL)
        screen.wait_for(lambda text: bool(re.search(r"process ended|restart", text)))
        screen.wait_for("ready")
        after = say(screen, home, "Still you?")
        assert before.id < after.id and story(home)[-3] == before


def test_a_worker_that_cannot_come_back_is_told_and_tried_again(home: Path, tmp_path: Path) -> None:
    model, away = tmp_path / "m.gguf", tmp_path / "away.gguf"
    model.write_bytes(model_path().read_bytes())
    with terminal(home, "gannet-rock", "--model", str(model)) as screen:
        screen.wait_for("ready")
        model.rename(away)
        os.kill(children(screen.process)[0], signal.SIGKILL)
        screen.wait_for("tries once more")
        away.rename(model)
        say(screen, home, "Is it you?")


def test_a_worker_that_hangs_is_replaced_after_escape(home: Path) -> None:
    (home / "config" / "settings.toml").write_text(LONG, encoding="utf-8")
    with terminal(home, "gannet-rock") as screen:
        workers = freeze_in_mid_reply(screen, home)
        screen.press("escape")
        screen.wait_for("cut short")
        assert story(home)[-1].status == "cut"
        wait_until_gone(workers)
        screen.wait_for("ready")


def test_nothing_hostile_reaches_the_terminal(home: Path, tmp_path: Path) -> None:
    card = tmp_path / "hostile.toml"
    card.write_text(
        'title = "T\\u001b]0;owned\\u0007[bold red]x[/]"\n'
        '[[character]]\nname = "Ada"\ndescription = "Ada \\u001b[2J is kind."\n'
        '[[character]]\nname = "Bo"\ndescription = "Bo."\nuser = true\n'
        '[[message]]\nspeaker = "Ada"\ntext = "Ha\\u001b[31m [bold]ha[/bold] \\u009b2Jho"\n',
        encoding="utf-8",
    )
    with terminal(home, str(card)) as screen:
        screen.wait_for("[bold]ha[/bold]")
        assert b"owned\x07" not in screen.output and b"\x9b2J" not in screen.output
        assert b"\x1b]0;owned" not in screen.output


def test_without_colour_the_prose_still_has_its_looks(home: Path) -> None:
    env = {"SHORITUI_HOME": str(home), "NO_COLOR": "1", "TEXTUAL_ANIMATIONS": "none"}
    with Terminal((*CHAT, "gannet-rock"), env=env) as screen:
        screen.wait_for("as Wren")
        screen.wait_for("Clank")
        screen.read(1)
        colours = set(re.findall(rb"\x1b\[[0-9;]*(?:38|48);[25];[0-9;]*m", bytes(screen.output)))
        assert not colours
        rows = {y: screen.screen.buffer[y] for y in range(40)}
        looks = {
            (cell.italics, cell.underscore, cell.bold)
            for row in rows.values()
            for cell in row.values()
            if cell.data.isalpha()
        }
        assert len(looks) >= 3, "thoughts, sounds and names differ without colour"


def test_it_follows_the_terminals_size(home: Path) -> None:
    with terminal(home, "gannet-rock") as screen:
        screen.wait_for("as Wren")
        for columns, rows in ((60, 20), (100, 30), (80, 24)):
            screen.resize(columns, rows)
            screen.wait_for(lambda text: "as Wren" in text and "things." in text.replace("\n", " "))
            assert max(map(len, screen.text.splitlines())) <= columns
