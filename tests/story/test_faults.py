"""What disks, clocks and a second window do to a library: it is said, and nothing is harmed."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from shoritui.errors import UserError
from shoritui.story import Draft, Entry, Library, back_up, backups, restore
from tests.story.conftest import SCENE
from tests.story.test_processes import promises

ROOT = Path(__file__).parents[2]


def filled(path: Path, messages: int = 50) -> int:
    """A library with one story of long messages in it."""
    with closing(Library(path)) as library:
        chat = library.create_chat(SCENE, "Marisa").id
        for number in range(messages):
            library.append(chat, Draft("message", "Reimu", f"number {number}. " * 100))
    return chat


def whole(path: Path, chat: int) -> list[Entry]:
    """The story, out of a library that is sound."""
    with closing(Library(path)) as library:
        assert library.check() == []
        return library.entries(chat)


def run(script: str, *arguments: object) -> str:
    """What a Python process says."""
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# Disks.

_FILL = """
import resource, sys
from pathlib import Path
from shoritui.errors import UserError
from shoritui.story import Draft, Library

library = Library(Path(sys.argv[1]))
if len(sys.argv) > 3:
    most = int(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
written = 0
try:
    while written < 10_000:
        library.append(int(sys.argv[2]), Draft("message", "Reimu", "word " * 2_000))
        written += 1
except UserError as error:
    print(written, error)
assert len(library.entries(int(sys.argv[2]))) == 52 + written
"""


def test_a_file_that_may_not_grow_is_told(path: Path) -> None:
    chat = filled(path)
    before = whole(path, chat)
    count, sentence = run(_FILL, path, chat, 300_000).strip().split(" ", 1)
    assert "Is there room on the disk" in sentence and str(path) in sentence
    after = whole(path, chat)
    assert after[: len(before)] == before
    assert len(after) == len(before) + int(count)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small disk, and not everywhere")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_told(small_disk: Path) -> None:
    path = small_disk / "data" / "library.db"
    chat = filled(path)
    before = whole(path, chat)
    count, sentence = run(_FILL, path, chat).strip().split(" ", 1)
    assert "disk is full" in sentence
    with pytest.raises(UserError, match="disk is full"):
        back_up(path, "by-hand")
    assert backups(path) == [] and list((path.parent / "backups").iterdir()) == []
    kept = whole(path, chat)
    assert kept[: len(before)] == before and len(kept) == len(before) + int(count)


def test_a_database_that_is_full_is_told(path: Path) -> None:
    chat = filled(path)
    before = whole(path, chat)
    with closing(Library(path)) as library:
        library._database.rows("PRAGMA max_page_count = 1")  # SQLite takes the size it has
        with pytest.raises(UserError, match="disk is full"):
            for _ in range(100):
                library.append(chat, Draft("message", "Reimu", "word " * 2_000))
        count = len(library.entries(chat))
    assert whole(path, chat)[: len(before)] == before
    assert len(whole(path, chat)) == count


_AS_NOBODY = """
import os, sys
from pathlib import Path
from shoritui.errors import UserError
from shoritui.story import Draft, Library

if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    library = Library(Path(sys.argv[1]))
    library.append(int(sys.argv[2]), Draft("message", "Reimu", "x"))
except UserError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("folder_mode", "file_mode"), [(0o700, 0o400), (0o500, 0o600), (0o500, 0o400)]
)
def test_a_file_or_folder_that_may_only_be_read_is_told(folder_mode: int, file_mode: int) -> None:
    with tempfile.TemporaryDirectory() as top:
        path = Path(top) / "data" / "library.db"
        chat = filled(path)
        content = path.read_bytes()
        if os.geteuid() == 0:  # root may write everything: somebody else tries
            Path(top).chmod(0o755)
            for each in (path.parent, path):
                os.chown(each, 65534, 65534)
        path.chmod(file_mode)
        path.parent.chmod(folder_mode)
        sentence = run(_AS_NOBODY, path, chat)
        path.parent.chmod(0o700)
        path.chmod(0o600)
        assert str(path) in sentence and len(sentence.splitlines()) == 1
        assert "writable" in sentence or "Permission denied" in sentence
        assert path.read_bytes() == content
        assert len(whole(path, chat)) == 52


# Damage.


@pytest.mark.parametrize("page", [1, 4, 9, 20])
def test_a_damaged_page_is_told_and_a_copy_takes_its_place(path: Path, page: int) -> None:
    chat = filled(path, 200)
    before = whole(path, chat)
    copy = back_up(path, "by-hand")
    content = bytearray(path.read_bytes())
    start = 4096 * (page - 1)
    content[start : start + 4096] = b"\xa5" * 4096
    path.write_bytes(content)
    with pytest.raises(UserError) as raised, closing(Library(path)) as library:
        problems = library.check()
        assert problems and all("damaged" in each for each in problems)
        raise UserError("told by the check")
    assert "library" in str(raised.value) or "told" in str(raised.value)
    kept = restore(path, copy)
    assert kept is not None and kept.exists()
    assert whole(path, chat) == before


def test_of_a_damaged_library_no_daily_copy_pushes_out_a_sound_one(path: Path) -> None:
    filled(path, 200)
    content = path.read_bytes()
    path.write_bytes(content[:-4096] + b"\xa5" * 4096)
    with closing(Library(path)) as library:
        problems = library.tidy()
    assert "damaged" in problems[0] and "chats restore" in problems[-1]
    assert backups(path) == []


def test_a_copy_is_restored_with_what_lies_in_its_log(path: Path, tmp_path: Path) -> None:
    chat = filled(path, 3)
    copy = tmp_path / "copy.db"
    with closing(Library(path)) as library:
        library.append(chat, Draft("message", "Reimu", "only in the log"))
        for companion in ("", "-wal"):
            source = path.with_name(path.name + companion)
            copy.with_name(copy.name + companion).write_bytes(source.read_bytes())
    restore(tmp_path / "new" / "library.db", copy)
    assert whole(tmp_path / "new" / "library.db", chat)[-1].text == "only in the log"


def test_a_copy_of_a_newer_format_is_not_restored(path: Path, tmp_path: Path) -> None:
    chat = filled(path, 3)
    before = whole(path, chat)
    newer = back_up(path, "by-hand")
    with closing(sqlite3.connect(newer)) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(UserError, match="newer ShoriTUI"):
        restore(path, newer)
    assert whole(path, chat) == before


@pytest.mark.parametrize("size", [0, 1])
def test_an_empty_file_in_the_librarys_place_is_told(path: Path, size: int) -> None:
    chat = filled(path, 3)
    before = whole(path, chat)
    copy = back_up(path, "daily")
    path.write_bytes(b"S" * size)
    with pytest.raises(UserError, match=r"is empty.*restore"):
        Library(path)
    assert path.read_bytes() == b"S" * size
    restore(path, copy)
    assert whole(path, chat) == before and [each.path for each in backups(path)] == [copy]


def test_a_torn_log_costs_only_what_was_not_whole_in_it(path: Path, tmp_path: Path) -> None:
    library = Library(path)
    chat = library.create_chat(SCENE, "Marisa").id
    for number in range(20):
        library.append(chat, Draft("message", "Reimu", f"number {number}. " * 50))
    texts = [entry.text for entry in library.entries(chat)]
    library._database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    for number in range(20, 40):
        library.append(chat, Draft("message", "Reimu", f"number {number}. " * 50))
    everything = [entry.text for entry in library.entries(chat)]
    log = path.with_name(path.name + "-wal").read_bytes()
    content = path.read_bytes()
    library.close()
    lengths = set()
    for number, cut in enumerate(range(0, len(log) + 1, max(1, len(log) // 40))):
        torn = tmp_path / str(number) / "library.db"
        torn.parent.mkdir()
        torn.write_bytes(content)
        tail = b"\xa5" * 5_000 if number % 2 else b""
        torn.with_name(torn.name + "-wal").write_bytes(log[:cut] + tail)
        found = [entry.text for entry in whole(torn, chat)]
        assert found == everything[: len(found)] and len(found) >= len(texts)
        lengths.add(len(found))
    assert len(lengths) > 10


# Clocks.


def test_copies_survive_a_clock_that_was_ahead(path: Path) -> None:
    filled(path, 1)
    for number in range(10):
        copy = back_up(path, "daily")
        ahead = time.time() + 86400 * (300 + number)
        os.utime(copy, (ahead, ahead))
    made = [back_up(path, "daily") for _ in range(3)]
    assert all(copy.exists() for copy in made)
    found = [copy.path for copy in backups(path)]
    assert found[:3] == made[::-1] and len(found) == 10


def test_the_daily_copy_is_made_though_the_clock_was_set_back(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(path, 1)
    with closing(Library(path)) as library:
        library.tidy()
        library.tidy()
        assert len(backups(path)) == 1
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now - 10 * 86400)
        library.tidy()
        assert len(backups(path)) == 2


def test_a_clock_set_back_keeps_the_bin_the_branch_and_the_order(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = filled(path, 3)
    now = time.time()
    with closing(Library(path)) as library:
        fork = library.entries(chat)[2]
        first = library.entries(chat)[-1]
        monkeypatch.setattr(time, "time", lambda: 1_000.0)
        library.go_to(fork.id, chat, exactly=True)
        second = library.append(chat, Draft("message", "Reimu", "another way"))
        library.delete([first.id])
        library.go_to(fork.id, chat)
        assert library.chat(chat).head == second.id, "the branch that was open last"
        monkeypatch.setattr(time, "time", lambda: now + 29 * 86400)
        library.tidy()
        assert [entry.id for entry in library.bin(chat)] == [first.id]
        for _ in range(4):
            assert library.undo(chat)
        assert [entry.id for entry in library.bin(chat)] == []


@pytest.fixture
def days(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock; what is in the list is how many days have gone by."""
    now, passed = time.time(), [0.0]
    monkeypatch.setattr(time, "time", lambda: now + 86400 * passed[0])
    return passed


def test_a_clock_that_is_ahead_for_a_while_erases_nothing(path: Path, days: list[float]) -> None:
    chat = filled(path, 3)
    with closing(Library(path)) as library:
        gone = library.entries(chat)[-1].id
        library.delete([gone])
        library.delete_chat(library.copy_chat(chat, "A copy").id)
        for days[0] in (0.1, 365, 365.5, 1, 2, 29, 30.1):
            library.tidy()
            assert [entry.id for entry in library.bin(chat)] == [gone]
            assert len(library.summaries(deleted=True)) == 1
        for days[0] in (31.2, 32.3):
            library.tidy()
        assert not library.bin(chat) and not library.summaries(deleted=True)
        assert library.check() == []


@pytest.mark.parametrize("is_restored", [True, False])
def test_what_comes_into_the_bin_again_lies_there_for_its_time(
    path: Path, days: list[float], is_restored: bool
) -> None:
    chat = filled(path, 3)
    with closing(Library(path)) as library:
        gone = library.entries(chat)[-1].id
        library.delete([gone])
        days[0] = 10
        if is_restored:
            library.restore(gone)
        else:
            library.undo(chat)
        days[0] = 35
        (library.undo if is_restored else library.redo)(chat)
        for days[0] in (36.1, 37.2, 64):
            library.tidy()
            assert [entry.id for entry in library.bin(chat)] == [gone]
        for days[0] in (66, 67.1, 68.2):
            library.tidy()
        assert not library.bin(chat)
        while library.undo(chat):
            pass
        while library.redo(chat):
            pass
        assert library.check() == []


def _edit(library: Library, chat: int) -> None:
    draft = Draft("message", "Reimu", "x")
    library.add_version(library.entries(chat)[-2].id, draft, keep=True, act="Edit a message")


@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda library, chat: library.rename_chat(chat, "Another name"),
        lambda library, chat: library.append(chat, Draft("message", "Reimu", "x")),
        lambda library, chat: library.go_to(library.entries(chat)[2].id, chat, exactly=True),
        lambda library, chat: library.undo(chat),
        lambda library, chat: library.move(library.entries(chat)[-1].id, up=True),
        lambda library, chat: library.delete([library.entries(chat)[-1].id]),
        _edit,
    ],
)
@pytest.mark.parametrize("is_version", [True, False])
def test_a_reply_of_which_nothing_came_leaves_a_whole_history(
    library: Library, meanwhile: Callable[[Library, int], object], is_version: bool
) -> None:
    chat = library.create_chat(SCENE, "Marisa").id
    for number in range(3):
        last = library.append(chat, Draft("message", "Reimu", f"number {number}"))
    draft = Draft("message", "Reimu", "", status="streaming")
    if is_version:
        empty = library.add_version(last.id, draft, keep=False, act="Write it anew")
    else:
        empty = library.append(chat, draft)
    meanwhile(library, chat)
    library.drop(empty.id)
    for turn in (library.undo, library.redo, library.undo):
        while turn(chat):
            assert library.check() == [] and library.entries(chat) is not None
    assert library.check() == []


def test_a_copy_that_was_never_finished_does_not_stay(path: Path) -> None:
    filled(path, 1)
    back_up(path, "daily")
    half, other = (
        path.parent / "backups" / f".library-1-daily.db.{process}-{'0' * 16}.tmp"
        for process in (run("import os; print(os.getpid())").strip(), os.getpid())
    )
    journal = half.with_name(f"{half.name}-journal")
    for each in (half, journal, other):
        each.touch()
    back_up(path, "daily")
    assert not half.exists() and not journal.exists() and other.exists()


# Two windows.

_HOLD = """
import sys
from pathlib import Path
from shoritui.story import Draft, Library

library = Library(Path(sys.argv[1]))
chat = int(sys.argv[2])
print("held", library.claim(chat), flush=True)
for line in sys.stdin:
    said = library.append(chat, Draft("message", "Reimu", line.strip()))
    print("said", said.id, flush=True)
"""


def test_a_story_that_another_process_holds_is_read_and_copied_until_it_dies(path: Path) -> None:
    chat = filled(path, 3)
    command = [sys.executable, "-c", _HOLD, str(path), str(chat)]
    with (
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        ) as other,
        closing(Library(path)) as library,
    ):
        assert other.stdin is not None
        assert promises(other, 1) == [["held", "True"]]
        before, version = library.entries(chat), library.version()
        assert not library.claim(chat)
        last = before[-1].id
        for act in (
            lambda: library.append(chat, Draft("message", "Reimu", "x")),
            lambda: library.delete([last]),
            lambda: library.undo(chat),
            lambda: library.add_version(last, Draft("message", "A", "x"), keep=True, act="Edit"),
        ):
            with pytest.raises(UserError, match="open in another window"):
                act()
        assert library.entries(chat) == before
        other.stdin.write("Only there.\n")
        other.stdin.flush()
        [[_, said]] = promises(other, 1)
        assert library.version() != version
        assert [*map(str, (e.id for e in library.entries(chat)[-1:]))] == [said]
        copy = library.copy_chat(chat, "A copy")
        library.append(copy.id, Draft("message", "Reimu", "Only here."))
        assert library.entries(chat)[-1].text == "Only there."
        other.kill()
        other.wait()
        assert library.claim(chat)
        library.append(chat, Draft("message", "Reimu", "And on."))
    assert [entry.text for entry in whole(path, chat)[-2:]] == ["Only there.", "And on."]


# Another library in its place.


def test_a_library_that_is_replaced_is_followed_and_that_is_said(path: Path) -> None:
    chat = filled(path, 2)
    with closing(sqlite3.connect(path)) as now:
        now.execute("VACUUM INTO ?", (str(path.with_name("older.db")),))
    with closing(Library(path)) as library:
        library.append(chat, Draft("message", "Marisa", "The other program does not know this."))
        path.with_name("older.db").replace(path)
        with pytest.raises(UserError, match="put another library in the place of"):
            library.save_draft(chat, "unsent")
        assert library.times_replaced == 1
        assert library.save_draft(chat, "unsent")
        library.append(chat, Draft("message", "Marisa", "But this one."))
    assert [entry.text for entry in whole(path, chat)][-1] == "But this one."


def test_a_replacement_that_is_no_library_is_not_written_to(path: Path) -> None:
    chat = filled(path, 2)
    with closing(Library(path)) as library:
        kept = path.rename(path.with_name("kept.db"))
        with closing(sqlite3.connect(path)) as other, other:
            other.execute("CREATE TABLE others (text)")
        for _ in range(2):
            with pytest.raises(UserError, match="is not a ShoriTUI library"):
                library.save_draft(chat, "unsent")
        kept.replace(path)
        with pytest.raises(UserError, match="put another library in the place of"):
            library.save_draft(chat, "unsent")
        assert library.save_draft(chat, "unsent")
        assert library.draft(chat) == "unsent"


def test_a_library_that_is_moved_away_is_written_once_it_is_back(path: Path) -> None:
    chat = filled(path, 2)
    away = path.parent.with_name("away")
    with closing(Library(path)) as library:
        path.parent.rename(away)
        with pytest.raises(UserError, match="is not there any more"):
            library.save_draft(chat, "unsent")
        assert not path.parent.exists()
        away.rename(path.parent)
        assert library.save_draft(chat, "unsent")


def test_a_story_that_is_gone_takes_no_draft(path: Path) -> None:
    with closing(Library(path)) as library:
        assert not library.save_draft(17, "unsent")


def test_what_another_window_still_writes_is_not_mixed_with_a_replacement(path: Path) -> None:
    chat = filled(path, 2)
    with closing(sqlite3.connect(path)) as now:
        now.execute("VACUUM INTO ?", (str(path.with_name("older.db")),))
    with closing(Library(path)) as library, closing(Library(path)) as other:
        other.append(chat, Draft("message", "Marisa", "Only the old file knows this."))
        path.with_name("older.db").replace(path)
        with pytest.raises(UserError, match="put another library"):
            library.save_draft(chat, "unsent")
        library.append(chat, Draft("message", "Marisa", "Only the new file knows this."))
        with pytest.raises(UserError, match="put another library"):
            other.append(chat, Draft("message", "Marisa", "Nobody knows this."))
        other.append(chat, Draft("message", "Marisa", "Both write into it now."))
        assert len(library.entries(chat)) == 2 + 2 + 2
    assert [entry.text for entry in whole(path, chat)][-2:] == [
        "Only the new file knows this.",
        "Both write into it now.",
    ]
