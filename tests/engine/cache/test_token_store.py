"""What was generated keeps its ids over restarts, kills and broken files, or is not there."""

from __future__ import annotations

import random
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from shoritui.engine.cache.token_cache import TokenStore

WORDS = b"a vocabulary"

texts = st.text(st.characters(), max_size=8)
some_ids = st.lists(st.integers(-(2**31), 2**31 - 1), max_size=8).map(tuple)
kept = st.lists(st.tuples(texts, st.booleans(), some_ids), max_size=12)


def opened(path: Path | None, vocabulary: bytes = WORDS, rows: int = 100) -> TokenStore:
    return TokenStore(path, vocabulary, rows=rows)


def written(path: Path) -> dict[str, tuple[int, ...]]:
    """A file of twenty texts, closed, and what is in it."""
    expected = {f"text {index}": tuple(range(index)) for index in range(20)}
    store = opened(path)
    for text, ids in expected.items():
        store.keep(text, False, ids)
    store.close()
    return expected


def assert_serves(path: Path) -> None:
    """What is kept now is there now and after a restart."""
    store = opened(path)
    store.keep("new", True, (3, 2, 1))
    assert store.get("new", True) == (3, 2, 1)
    store.close()
    again = opened(path)
    assert again.get("new", True) == (3, 2, 1)
    again.close()


@settings(max_examples=40)
@given(kept=kept, on_disk=st.booleans())
def test_the_last_ids_kept_come_back(
    kept: list[tuple[str, bool, tuple[int, ...]]], on_disk: bool
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "spellings.db" if on_disk else None
        store = opened(path)
        expected: dict[tuple[str, bool], tuple[int, ...]] = {}
        for text, first, ids in kept:
            assert store.get(text, first) == expected.get((text, first))
            store.keep(text, first, ids)
            expected[text, first] = ids
        if on_disk:
            store.close()
            store = opened(path)
        for text, first, _ in kept:
            assert store.get(text, first) == expected[text, first]
            assert store.get(text, not first) == expected.get((text, not first))
        store.close()


def test_a_surrogate_is_a_text_like_another() -> None:
    store = opened(None)
    store.keep("\udc80", False, (1,))
    assert store.get("\udc80", False) == (1,)
    assert store.get("\udc81", False) is None


def test_each_vocabulary_has_its_own(tmp_path: Path) -> None:
    path = tmp_path / "spellings.db"
    one, other = opened(path, b"one"), opened(path, b"other" * 99)
    one.keep("text", False, (1,))
    other.keep("text", False, (2,))
    assert opened(path, b"one").get("text", False) == (1,)
    assert opened(path, b"other" * 99).get("text", False) == (2,)
    assert opened(path, b"third").get("text", False) is None


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    path = tmp_path / "spellings.db"
    for round_ in range(2):
        store = opened(path, rows=5)
        for index in range(30):
            store.keep(f"text {round_} {index}", False, (index,))
            assert store.get(f"text {round_} 0", False) == (0,)
        store.close()
    store = opened(path)
    there = [index for index in range(30) if store.get(f"text 1 {index}", False)]
    assert there == [0, 26, 27, 28, 29]
    assert not any(store.get(f"text 0 {index}", False) for index in range(30))


def test_two_processes_keep_theirs_in_one_file(tmp_path: Path) -> None:
    path = tmp_path / "spellings.db"
    one, other = opened(path), opened(path)
    for index in range(20):
        one.keep(f"one {index}", False, (index,))
        other.keep(f"other {index}", False, (index,))
    later = opened(path)
    for index in range(20):
        assert later.get(f"one {index}", False) == later.get(f"other {index}", False) == (index,)


def test_only_the_owner_may_read(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "spellings.db"
    store = opened(path)
    store.keep("text", False, (1,))
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


@settings(max_examples=30)
@given(data=st.data())
def test_a_damaged_file_gives_nothing_wrong_and_serves_on(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "spellings.db"
        expected = written(path)
        content = bytearray(path.read_bytes())
        places = st.one_of(st.integers(0, 200), st.integers(0, len(content) - 1))
        for place in data.draw(st.lists(places, max_size=30)):
            content[place] = data.draw(st.integers(0, 255))
        length = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
        path.write_bytes(content[:length])
        store = opened(path)
        for text, ids in expected.items():
            assert store.get(text, False) in (ids, None)
        store.close()
        assert_serves(path)


def test_a_header_that_says_read_only_is_a_damaged_one(tmp_path: Path) -> None:
    path = tmp_path / "spellings.db"
    written(path)
    content = bytearray(path.read_bytes())
    content[18] = 3  # the file format's write version: above 2 SQLite only reads
    path.write_bytes(content)
    assert_serves(path)


def test_changed_ids_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "spellings.db"
    store = opened(path)
    store.keep("text", False, (77_777_777, 88_888_888))
    store.close()
    content = path.read_bytes()
    stored = (88_888_888).to_bytes(4, sys.byteorder)
    assert content.count(stored) == 1
    path.write_bytes(content.replace(stored, bytes(4)))
    assert opened(path).get("text", False) is None


def test_a_file_damaged_while_open_raises_nothing(tmp_path: Path) -> None:
    path = tmp_path / "spellings.db"
    written(path)
    store = opened(path)
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.write(random.Random(1).randbytes(size))
    for index in range(30):
        store.get(f"text {index}", False)
        store.keep(f"text {index}", False, (index,))
    store.close()
    assert_serves(path)


def test_a_file_of_another_version_or_program_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "spellings.db"
    for change in ("PRAGMA user_version = 2", "CREATE TABLE spellings (words TEXT)"):
        path.unlink(missing_ok=True)
        connection = sqlite3.connect(path)
        connection.execute(change)
        connection.close()
        before = path.read_bytes()
        assert_serves(path)
        assert (tmp_path / "spellings.db.broken").read_bytes() == before


def test_a_table_of_another_shape_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "spellings.db"
    written(path)
    connection = sqlite3.connect(path)
    connection.execute("ALTER TABLE spellings RENAME COLUMN ids TO numbers")
    connection.close()
    assert_serves(path)


def test_where_no_file_can_be_memory_serves(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for path in (tmp_path, tmp_path / "file" / "spellings.db"):
        store = opened(path)
        store.keep("text", False, (1, 2))
        assert store.get("text", False) == (1, 2)
        store.close()


def test_a_file_that_another_program_locks_holds_nobody_up_for_long(tmp_path: Path) -> None:
    path = tmp_path / "spellings.db"
    written(path)
    store = opened(path)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    store.keep("text", False, (1, 2))
    assert store.get("text 3", False) == (0, 1, 2)
    connection.execute("ROLLBACK")
    store.keep("text", False, (1, 2))
    assert store.get("text", False) == (1, 2)


WRITER = """
import sys
from pathlib import Path
from shoritui.engine.cache.token_cache import TokenStore
store = TokenStore(Path(sys.argv[1]), b"a vocabulary")
for index in range(int(sys.argv[2]), 1_000_000):
    store.keep(str(index), False, range(index % 50))
    print(index, flush=True)
"""


def test_what_was_kept_before_a_kill_is_there_after_it(tmp_path: Path) -> None:
    path = tmp_path / "spellings.db"
    chance = random.Random(3)
    index = 0
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(index)],
            stdout=subprocess.PIPE,
            text=True,
        ) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == f"{index}\n"
            time.sleep(chance.uniform(0, 0.03))
            writer.kill()
            index = max([index, *(int(line) for line in writer.stdout if line.endswith("\n"))])
        store = TokenStore(path, WORDS)
        for number in range(index + 1):
            assert store.get(str(number), False) == tuple(range(number % 50))
        store.close()
        index += 1
