"""How the app ends, whatever it is doing, and what it does with a model that dies or hangs."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from aiohttp import ClientSession, CookieJar

from tests.e2e.terminal import PATIENCE, Terminal
from tests.e2e.test_story import (
    EMPTY,
    LONG,
    WILD,
    children,
    freeze_in_mid_reply,
    is_running,
    say,
    story,
    terminal,
    wait_until_gone,
)
from tests.kill.processes import family

pytestmark = pytest.mark.slow

DEAD = "The model's process ended"
SILENT = "The model's process does not answer"
NEVER_LOADED = """
import sys, threading

class Held:
    def find_spec(self, name, path, target=None):
        if name in ("textual", "shoritui.linear"):
            print("loading", name, flush=True)
            threading.Event().wait()

sys.meta_path.insert(0, Held())
from shoritui.__main__ import main
main()
"""
LINEAR = (sys.executable, "-m", "shoritui", "chat", "--linear", "--preset", "wild", "gannet-rock")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "config" / "presets").mkdir(parents=True)
    (tmp_path / "config" / "presets" / "wild.toml").write_text(WILD, encoding="utf-8")
    (tmp_path / "config" / "settings.toml").write_text(LONG, encoding="utf-8")
    return tmp_path


def controlled(home: Path, *command: str) -> Terminal:
    """The app in its controlling terminal, under nohup."""
    words = command or (sys.executable, "-m", "shoritui", "chat", "gannet-rock")
    env = {"SHORITUI_HOME": str(home), "TEXTUAL_ANIMATIONS": "none"}
    return Terminal(words, env=env, controls=True)


def worker_of(screen: Terminal) -> int:
    """The process of the model, as soon as there is one."""
    end = time.monotonic() + PATIENCE
    while not (found := children(screen.process)):
        assert time.monotonic() < end
        screen.read(0.01)
    return found[0]


def begin_lines(screen: Terminal, home: Path) -> None:
    """Have a reply written in plain lines; asks again where it has ended before it is seen."""
    while story(home)[-1].status != "streaming":
        before, empty = len(story(home)), screen.text.count(EMPTY)

        def is_answered(text: str, before: int = before, empty: int = empty) -> bool:
            return len(story(home)) > before + 1 or text.count(EMPTY) > empty

        screen.press("Tell me everything.", "enter")
        screen.wait_for(is_answered)


@pytest.mark.parametrize("doing", ["starting", "loading", "writing", "lines"])
def test_it_ends_with_its_terminal_though_no_signal_tells(home: Path, doing: str) -> None:
    with controlled(home, *(LINEAR if doing == "lines" else ())) as screen:
        workers = []
        if doing == "starting":
            screen.wait_for("opening the library")
        elif doing == "loading":
            workers = [worker_of(screen)]
        elif doing == "writing":
            workers = freeze_in_mid_reply(screen, home)
            for worker in workers:
                os.kill(worker, signal.SIGCONT)
        else:
            screen.wait_for("/help lists more")
            begin_lines(screen, home)
            workers = [worker_of(screen)]
        screen.hang_up()
        assert screen.process.wait(PATIENCE) in (0, 128 + signal.SIGHUP)
        wait_until_gone(workers)
    assert all(entry.status in ("cut", "complete") for entry in story(home))


@pytest.mark.parametrize("words", ["chat gannet-rock", "chat --linear", "finetune --demo"])
def test_it_ends_with_its_terminal_before_it_is_loaded(home: Path, words: str) -> None:
    with controlled(home, sys.executable, "-c", NEVER_LOADED, *words.split()) as screen:
        screen.wait_for("loading")
        screen.hang_up()
        assert screen.process.wait(PATIENCE) == 128 + signal.SIGHUP
    assert not (home / "data").exists()


def test_say_ends_with_the_terminal_that_it_prints_to(home: Path) -> None:
    with controlled(home, *LINEAR[:3], "say", "Hello.", "gannet-rock") as screen:
        worker = worker_of(screen)
        maps = Path(f"/proc/{worker}/maps")
        screen.wait_for(lambda _: "libllama" in maps.read_text(encoding="utf-8"))
        os.kill(worker, signal.SIGSTOP)
        screen.hang_up()
        assert screen.process.wait(PATIENCE) == 128 + signal.SIGHUP
        wait_until_gone([worker])


def test_it_ends_though_its_terminal_takes_nothing_any_more(home: Path) -> None:
    with controlled(home) as screen:
        screen.wait_for("ready")
        worker = worker_of(screen)
        for _ in range(400):  # and nobody reads what is painted
            os.write(screen._master, b"\x1bOP\x1b")
            time.sleep(0.01)
        os.kill(screen.process.pid, signal.SIGTERM)
        assert screen.process.wait(PATIENCE) == 128 + signal.SIGTERM
        wait_until_gone([worker])


def test_a_model_that_dies_while_it_is_loaded_is_started_again_by_the_next_turn(
    home: Path,
) -> None:
    (home / "config" / "settings.toml").write_text("max_tokens = 24\n", encoding="utf-8")
    with terminal(home, "gannet-rock") as screen:
        os.kill(worker_of(screen), signal.SIGKILL)
        screen.wait_for("The next turn tries once more")
        assert DEAD in screen.text.replace("\n", " ")
        assert not children(screen.process)
        say(screen, home, "Is it you?")
        assert b"It is started again" in screen.output


@pytest.mark.parametrize("key", ["escape", "ctrl+q"])
def test_a_model_that_stands_still_is_told_of_while_one_may_type_and_leave(
    home: Path, key: str
) -> None:
    with terminal(home, "gannet-rock") as screen:
        [worker] = freeze_in_mid_reply(screen, home)
        screen.wait_for(SILENT)
        screen.press("still here")
        screen.wait_for("still here")
        screen.press(key)
        if key == "escape":
            screen.wait_for("It is started again")
            screen.wait_for("ready")
            assert "still here" in screen.text
            assert not is_running(worker) and worker_of(screen) != worker
        else:
            assert screen.wait_until_ended() == 0
            wait_until_gone([worker])
    assert all(entry.status in ("cut", "complete") for entry in story(home))


async def test_pages_end_with_a_server_that_is_killed(home: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "shoritui", "serve", "--port", "0"],
        env={**os.environ, "SHORITUI_HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        link = server.stdout.readline().split()[-1]
        address = link.partition("?")[0]
        async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as client:
            await client.get(link)
            origin = {"Origin": address.rstrip("/")}
            async with client.ws_connect(f"{address}ws", headers=origin) as page:
                await page.receive()
                processes: set[int] = set()
                while len(processes) < 3:  # the server, the page's app, its model
                    await asyncio.sleep(0.05)
                    processes = family(server.pid)
                server.kill()
    wait_until_gone([*processes])


def test_a_model_that_stands_still_outlives_no_app_that_is_killed(home: Path) -> None:
    with terminal(home, "gannet-rock") as screen:
        screen.wait_for("ready")
        worker = worker_of(screen)
        os.kill(worker, signal.SIGSTOP)
        os.kill(screen.process.pid, signal.SIGKILL)
        wait_until_gone([worker])
