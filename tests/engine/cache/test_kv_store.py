"""What was saved comes back as it was or not at all, and the folder stays within its size."""

from __future__ import annotations

import ctypes
import os
import random
import stat
import subprocess
import sys
import time
from array import array
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.engine.cache.kv_store import KVFiles, Record, next_key, root_key

PLENTY = 1 << 30
ROOT = root_key("a model", b"its size")
KEYS = [next_key(ROOT, [index]) for index in range(8)]
SIZE = 200
"""Bytes of a file that `fill` writes."""

ids_of_a_block = st.lists(st.integers(-(2**31), 2**31 - 1), max_size=20)


def saved(folder: Path) -> Path:
    """The file of one small record of KEYS[0]."""
    KVFiles(folder, PLENTY).save(KEYS[0], [5, 6, 7], 40, b"state of three ids")
    (file,) = folder.iterdir()
    return file


def fill(files: KVFiles, key: bytes) -> None:
    """A record whose file has SIZE bytes."""
    files.save(key, [1], 0, bytes(SIZE - 76))


def held(files: KVFiles) -> list[int]:
    return [index for index, key in enumerate(KEYS) if files.holds(key)]


def size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def assert_refused(file: Path) -> None:
    """Nothing is loaded and the file is gone."""
    files = KVFiles(file.parent, PLENTY)
    assert files.load(KEYS[0]) is None
    assert not files.holds(KEYS[0])
    assert not file.exists() and not file.is_symlink()
    assert not files.problem


@given(
    ids=ids_of_a_block, begin=st.integers(0, 2**40), state=st.binary(max_size=500), key=st.binary()
)
def test_a_record_comes_back_as_it_was(
    ids: list[int], begin: int, state: bytes, key: bytes
) -> None:
    with TemporaryDirectory() as folder:
        files = KVFiles(Path(folder), PLENTY)
        name = root_key(key)
        assert not files.holds(name) and files.load(name) is None
        files.save(name, ids, begin, state)
        for opened in (files, KVFiles(Path(folder), PLENTY)):
            assert opened.holds(name)
            assert opened.load(name) == Record(tuple(ids), begin, memoryview(state))


def test_a_large_state_comes_back_writable(tmp_path: Path) -> None:
    state = random.Random(1).randbytes((9 << 20) + 5)
    files = KVFiles(tmp_path, PLENTY)
    files.save(KEYS[0], range(300), 7, state)
    record = files.load(KEYS[0])
    assert record is not None and record.state == state
    record.state[0] ^= 1
    again = files.load(KEYS[0])
    assert again is not None and again.state == state


@pytest.mark.parametrize(
    "memory", [(ctypes.c_uint8 * 3)(1, 2, 3), array("f", range(999)), bytearray(b"xyz")]
)
def test_any_memory_can_be_saved(tmp_path: Path, memory: bytearray) -> None:
    files = KVFiles(tmp_path, PLENTY)
    files.save(KEYS[0], [1], 0, memoryview(memory))
    record = files.load(KEYS[0])
    assert record is not None and record.state.tobytes() == bytes(memoryview(memory))


@given(one=st.lists(ids_of_a_block, max_size=4), other=st.lists(ids_of_a_block, max_size=4))
def test_a_key_tells_all_that_came_before(one: list[list[int]], other: list[list[int]]) -> None:
    assert (chain(one) == chain(other)) == (one == other)


def chain(blocks: list[list[int]]) -> bytes:
    key = ROOT
    for ids in blocks:
        key = next_key(key, ids)
    return key


def test_facts_do_not_run_into_each_other() -> None:
    facts: list[tuple[str | bytes, ...]] = [
        (), ("",), ("ab",), (b"ab",), ("a", "b"), ("b", "a"), ("a", "b", ""), ("\udc80",)
    ]  # fmt: skip
    assert len({root_key(*fact) for fact in facts}) == len(facts)


def test_a_moved_block_is_another_and_so_is_what_follows_it() -> None:
    moved, in_place = (next_key(ROOT, [1, 2], shifted=shifted) for shifted in (True, False))
    assert moved != in_place
    assert next_key(moved, [3]) != next_key(in_place, [3])


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    file = saved(tmp_path)
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        assert_refused(file)


def test_a_file_with_any_byte_changed_is_refused(tmp_path: Path) -> None:
    file = saved(tmp_path)
    whole = file.read_bytes()
    for place in range(len(whole)):
        for flip in (1, 0x80, 0xFF):
            changed = bytearray(whole)
            changed[place] ^= flip
            file.write_bytes(changed)
            assert_refused(file)


@given(changes=st.dictionaries(st.integers(0, 97), st.integers(0, 255), min_size=1))
def test_a_file_with_many_bytes_changed_is_refused(changes: dict[int, int]) -> None:
    with TemporaryDirectory() as folder:
        file = saved(Path(folder))
        whole = file.read_bytes()
        changed = bytearray(whole)
        for place, byte in changes.items():
            changed[place] = byte
        if changed != whole:
            file.write_bytes(changed)
            assert_refused(file)


def test_a_file_with_more_behind_it_is_refused(tmp_path: Path) -> None:
    file = saved(tmp_path)
    file.write_bytes(file.read_bytes() + b"\0")
    assert_refused(file)


def test_a_record_under_another_name_is_refused(tmp_path: Path) -> None:
    files = KVFiles(tmp_path, PLENTY)
    files.save(KEYS[1], [1], 0, b"")
    (file,) = tmp_path.iterdir()
    assert_refused(file.rename(tmp_path / file.name.replace(KEYS[1].hex(), KEYS[0].hex())))


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    file = saved(folder)
    elsewhere = file.rename(tmp_path / "elsewhere")
    file.symlink_to(elsewhere)
    assert_refused(file)
    assert elsewhere.exists()


def test_a_pipe_holds_nobody_up(tmp_path: Path) -> None:
    file = saved(tmp_path)
    file.unlink()
    os.mkfifo(file)
    assert_refused(file)


def test_a_folder_by_a_records_name_is_left_alone(tmp_path: Path) -> None:
    file = saved(tmp_path)
    file.unlink()
    file.mkdir()
    files = KVFiles(tmp_path, PLENTY)
    assert not files.holds(KEYS[0]) and files.load(KEYS[0]) is None
    assert file.is_dir()


def test_a_file_longer_than_the_limit_is_not_read(tmp_path: Path) -> None:
    file = saved(tmp_path)
    os.truncate(file, PLENTY + 1)  # takes no room: a file may have holes
    files = KVFiles(tmp_path, PLENTY)
    assert files.load(KEYS[0]) is None
    assert not file.exists()


def test_a_record_that_another_process_removed_is_saved_anew(tmp_path: Path) -> None:
    files = KVFiles(tmp_path, PLENTY)
    fill(files, KEYS[0])
    (file,) = tmp_path.iterdir()
    file.unlink()
    fill(files, KEYS[0])
    assert files.load(KEYS[0]) is not None


def test_a_record_that_another_process_saved_is_found(tmp_path: Path) -> None:
    files = KVFiles(tmp_path, PLENTY)
    fill(KVFiles(tmp_path, PLENTY), KEYS[0])
    assert files.load(KEYS[0]) is not None
    assert files.holds(KEYS[0])


steps = st.lists(
    st.one_of(
        st.tuples(st.just("save"), st.lists(st.integers(0, 7), min_size=1, max_size=1)),
        st.tuples(st.just("load"), st.lists(st.integers(0, 7), min_size=1, max_size=1)),
        st.tuples(st.just("touch"), st.lists(st.integers(0, 7), max_size=4, unique=True)),
        st.tuples(st.just("reopen"), st.just([])),
    ),
    max_size=25,
)


@given(steps=steps, room=st.integers(1, 5), rest=st.integers(0, SIZE - 1))
def test_what_was_used_longest_ago_goes_first(
    steps: list[tuple[str, list[int]]], room: int, rest: int
) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        limit = room * SIZE + rest
        files = KVFiles(folder, limit)
        oldest_first: list[int] = []
        for step, keys in steps:
            if step == "reopen":
                files = KVFiles(folder, limit)
            elif step == "touch":
                complete = files.touch([KEYS[key] for key in keys])
                assert complete == set(oldest_first).issuperset(keys)
            elif step == "load":
                assert (files.load(KEYS[keys[0]]) is not None) == (keys[0] in oldest_first)
            else:
                fill(files, KEYS[keys[0]])
            for key in reversed(keys):
                if key in oldest_first or step == "save":
                    oldest_first = [other for other in oldest_first if other != key] + [key]
            oldest_first = oldest_first[-room:]
            assert held(files) == sorted(oldest_first)
            assert size(folder) == SIZE * len(oldest_first)


@given(sizes=st.lists(st.integers(76, 2000), max_size=30), limit=st.integers(0, 4000))
def test_the_folder_never_grows_over_its_limit(sizes: list[int], limit: int) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        folders = [KVFiles(folder, limit) for _ in range(2)]
        for index, length in enumerate(sizes):
            key = next_key(ROOT, [index])
            files = folders[index % 2]
            files.save(key, [1], 0, bytes(length - 76))
            assert size(folder) <= limit
            assert files.holds(key) == (length <= limit)


def test_records_of_other_versions_stay_until_their_room_is_needed(tmp_path: Path) -> None:
    file = saved(tmp_path)
    file.unlink()
    other = file.with_suffix(".kv999")
    other.write_bytes(bytes(SIZE))
    os.utime(other, (1, 1))
    files = KVFiles(tmp_path, 3 * SIZE)
    assert not files.holds(KEYS[0]) and files.load(KEYS[0]) is None
    fill(files, KEYS[1])
    fill(files, KEYS[2])
    assert other.exists()
    fill(files, KEYS[3])
    assert not other.exists()
    assert held(files) == [1, 2, 3]


def test_files_that_are_not_ours_are_never_touched(tmp_path: Path) -> None:
    hexadecimal = KEYS[7].hex()
    names = ["notes.txt", "a.kv1", f"{hexadecimal}.kv", f"{hexadecimal}.kv1.bak",
             f"{hexadecimal.upper()}x.kv1", f"x{hexadecimal}.kv1", f"{hexadecimal}.part",
             f"{hexadecimal}.download.part.x", f".{hexadecimal}.1-a.tmp"]  # fmt: skip
    for name in names:
        (tmp_path / name).write_bytes(bytes(5000))
        os.utime(tmp_path / name, (1, 1))
    files = KVFiles(tmp_path, 2 * SIZE)
    for key in KEYS:
        fill(files, key)
    assert held(files) == [6, 7]
    for name in names:
        assert (tmp_path / name).stat().st_size == 5000
        assert (tmp_path / name).stat().st_mtime == 1


def test_what_dead_writers_left_is_removed_after_an_hour(tmp_path: Path) -> None:
    young, old = (tmp_path / f".{KEYS[0].hex()[:40]}.1-{digit * 16}.tmp" for digit in "ab")
    for file in (young, old):
        file.write_bytes(b"unfinished")
    hours_ago = time.time() - 3700
    os.utime(old, (hours_ago, hours_ago))
    KVFiles(tmp_path, PLENTY)
    assert young.exists() and not old.exists()


def test_only_the_owner_may_read(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "files"
    file = saved(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_folder_that_was_cleared_is_made_again(tmp_path: Path) -> None:
    files = KVFiles(tmp_path / "files", PLENTY)
    (tmp_path / "files").rmdir()
    fill(files, KEYS[0])
    assert files.load(KEYS[0]) is not None


def test_a_folder_that_cannot_be_made_is_told_and_nothing_raises(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    files = KVFiles(tmp_path / "file" / "files", PLENTY)
    assert str(tmp_path / "file") in files.problem
    fill(files, KEYS[0])
    assert files.load(KEYS[0]) is None
    assert not files.holds(KEYS[0])


def test_a_disk_that_takes_no_more_turns_saving_off(tmp_path: Path) -> None:
    """A limit on file sizes stands for the disk: a write fails in its middle either way."""
    script = f"""
import resource
from pathlib import Path
from shoritui.engine.cache.kv_store import KVFiles, root_key
files = KVFiles(Path({str(tmp_path)!r}), {PLENTY})
files.save(root_key("small"), [1], 0, bytes(1000))
resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))
files.save(root_key("large"), [1], 0, bytes(5_000_000))
assert not files.holds(root_key("large"))
assert files.load(root_key("small")) is not None
first = files.problem
files.save(root_key("other"), [1], 0, b"")
assert not files.holds(root_key("other"))
assert files.problem == first
print(first)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert str(tmp_path) in done.stdout and done.stdout.endswith("evaluated anew.\n")
    assert len(list(tmp_path.iterdir())) == 1


WRITER = """
import sys
from pathlib import Path
from shoritui.engine.cache.kv_store import KVFiles, next_key, root_key
files = KVFiles(Path(sys.argv[1]), 12_000_000)
for index in range(int(sys.argv[2]), 1_000_000):
    state = index.to_bytes(4, "little") * 300_000
    files.save(next_key(root_key(), [index]), [index], index, state)
    print(index, files.problem, flush=True)
"""


def test_killing_a_writer_at_any_time_leaves_only_whole_records(tmp_path: Path) -> None:
    chance = random.Random(2)
    index = 0
    for _ in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(index)],
            stdout=subprocess.PIPE,
            text=True,
        ) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == f"{index} \n"
            time.sleep(chance.uniform(0, 0.03))
            writer.kill()
            index = max([index, *(int(line) for line in writer.stdout if line.endswith(" \n"))])
        files = KVFiles(tmp_path, 12_000_000)
        keys = {number: next_key(root_key(), [number]) for number in range(index + 2)}
        records = {n: files.load(key) for n, key in keys.items() if files.holds(key)}
        assert index in records
        for number, record in records.items():
            state = memoryview(number.to_bytes(4, "little") * 300_000)
            assert record == Record((number,), number, state)
        index += 2
    for file in tmp_path.iterdir():
        os.utime(file, (1, 1))
    KVFiles(tmp_path, 12_000_000)
    assert {file.suffix for file in tmp_path.iterdir()} == {".kv1"}
