"""What is promised when a process is killed, and when two have the library open."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shoritui.story import Draft, Library, back_up, restore
from tests.story.conftest import SCENE

# Says on its output what it has been promised to be on disk, one line for each promise.
_WRITER = """
import sys, time
from pathlib import Path
from shoritui.story import Draft, Library
from tests.story.conftest import SCENE

library = Library(Path(sys.argv[1]))
chat = library.create_chat(SCENE, "Marisa")
print("chat", chat.id, flush=True)
for number in range(int(sys.argv[2])):
    said = library.append(chat.id, Draft("message", "Marisa", f"said {number}"))
    print("said", said.id, flush=True)
    reply = library.append(chat.id, Draft("message", "Reimu", "", status="streaming"))
    print("begun", reply.id, flush=True)
    text = ""
    for word in range(5):
        text += f" {number}.{word}"
        library.write(reply.id, text, status="streaming", tokens=word)
        print("wrote", reply.id, text, flush=True)
    if len(sys.argv) > 3:
        time.sleep(600)
    library.write(reply.id, text, status="complete", tokens=5)
    print("done", reply.id, text, flush=True)
library.close()
"""


@contextmanager
def writer(path: Path, replies: int, *, hang: bool = False) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path), str(replies), *(["hang"] if hang else [])],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def promises(process: subprocess.Popen[str], count: int) -> list[list[str]]:
    assert process.stdout is not None
    return [process.stdout.readline().rstrip("\n").split(" ", 2) for _ in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 9, 14, 33])
def test_kill_9_loses_nothing_that_was_promised(path: Path, count: int) -> None:
    with writer(path, replies=1_000) as process:
        promised = promises(process, count)
        os.kill(process.pid, signal.SIGKILL)
        assert process.stdout is not None
        promised += [line.rstrip("\n").split(" ", 2) for line in process.stdout if "\n" in line]
    library = Library(path)
    (chat,) = library.summaries()
    entries = {entry.id: entry for entry in library.entries(chat.id)}
    texts: dict[int, str] = {}
    for word, number, *text in promised:
        if word not in ("chat", "begun"):  # a stream of which nothing came leaves nothing
            assert int(number) in entries
        if word in ("wrote", "done"):
            texts[int(number)] = text[0]
        if word == "done":
            assert entries[int(number)].status == "complete"
    for key, text_so_far in texts.items():
        assert entries[key].text.startswith(text_so_far)
    assert all(entry.status != "streaming" and entry.text for entry in entries.values())
    again = library.append(chat.id, Draft("message", "Marisa", "and on"))
    assert library.entries(chat.id)[-1] == again
    library.close()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_stream_is_cut_only_when_its_writer_is_dead(path: Path) -> None:
    with writer(path, replies=1, hang=True) as process:
        promises(process, 8)
        library = Library(path)
        (chat,) = library.summaries()
        assert library.entries(chat.id)[-1].status == "streaming"
        library.close()
        process.kill()
        process.wait()
        library = Library(path)
        entry = library.entries(chat.id)[-1]
        assert (entry.status, entry.text) == ("cut", " 0.0 0.1 0.2 0.3 0.4")
        library.close()


def test_a_window_that_was_open_already_takes_over_from_a_dead_one(path: Path) -> None:
    library = Library(path)
    with writer(path, replies=1, hang=True) as process:
        promises(process, 8)
        (chat,) = library.summaries()
        assert library.entries(chat.id)[-1].status == "streaming"
        process.kill()
        process.wait()
    assert library.claim(chat.id)
    entry = library.entries(chat.id)[-1]
    assert (entry.status, entry.text) == ("cut", " 0.0 0.1 0.2 0.3 0.4")
    library.close()


def test_a_stream_in_this_process_is_left_alone_by_a_second_library(path: Path) -> None:
    first = Library(path)
    chat = first.create_chat(SCENE, "Marisa")
    entry = first.append(chat.id, Draft("message", "Reimu", "One", status="streaming"))
    second = Library(path)
    assert second.entries(chat.id)[-1].status == "streaming"
    second.close()
    first.write(entry.id, "One two", status="complete", tokens=2)
    first.close()


def test_two_processes_write_at_once_and_both_are_kept(path: Path) -> None:
    with writer(path, replies=30) as one, writer(path, replies=30) as two:
        for process in (one, two):
            process.communicate(timeout=60)
            assert process.returncode == 0
    library = Library(path)
    chats = library.summaries()
    assert len(chats) == 2
    for chat in chats:
        assert [entry.status for entry in library.entries(chat.id)] == ["complete"] * 62
    library.close()


def test_what_is_no_sign_of_life_is_passed_over_and_stays(path: Path) -> None:
    Library(path).close()
    copy = back_up(path, "by-hand")
    file = path.with_name(f"{path.name}-writer-{'0' * 32}")
    file.write_text("Hello.\n")
    Library(path).close()
    restore(path, copy)
    assert file.read_text() == "Hello.\n"
