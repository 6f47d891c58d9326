"""Files and folders: the old or the new, never a part."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shoritui.cli import main
from shoritui.errors import UserError
from shoritui.files import (
    add_text,
    check_space,
    content_of,
    kept_folder,
    made_once,
    recover,
    replace_text,
    scratch_folder,
    sweep,
    temporary_folder,
    whole_file,
    whole_folder,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def killed_in(block: str, tmp_path: Path) -> None:
    """Run a block of Python that kills its process."""
    code = (
        "import os, pathlib, signal\nfrom shoritui.files import *\n"
        f"here = pathlib.Path({str(tmp_path)!r})\n{block}"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL


def test_a_file_is_replaced_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    replace_text(tmp_path / "a" / "b.toml", "one")
    replace_text(tmp_path / "a" / "b.toml", "two\n")
    assert names(tmp_path / "a") == ["b.toml"]
    assert (tmp_path / "a" / "b.toml").read_bytes() == b"two\n"


def test_what_fails_leaves_the_old_file(tmp_path: Path) -> None:
    replace_text(tmp_path / "a", "old")
    with pytest.raises(ZeroDivisionError), whole_file(tmp_path / "a") as beside:
        beside.write_text("ne")
        raise ZeroDivisionError
    assert (tmp_path / "a").read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    (tmp_path / "dotfiles" / "mine.toml").write_text("old")
    (tmp_path / "settings.toml").symlink_to("dotfiles/mine.toml")
    replace_text(tmp_path / "settings.toml", "new")
    assert (tmp_path / "settings.toml").is_symlink()
    assert (tmp_path / "dotfiles" / "mine.toml").read_text() == "new"
    assert names(tmp_path / "dotfiles") == ["mine.toml"]


def test_modes_stay_and_what_is_new_is_for_its_owner(tmp_path: Path) -> None:
    (tmp_path / "script").write_text("old")
    (tmp_path / "script").chmod(0o750)
    before = os.umask(0)
    try:
        replace_text(tmp_path / "script", "new")
        replace_text(tmp_path / "new" / "secret", "new")
        with scratch_folder(tmp_path / "x") as scratch:
            assert mode(scratch) == 0o700
    finally:
        os.umask(before)
    assert [mode(tmp_path / name) for name in ("script", "new", "new/secret")] == [
        0o750,
        0o700,
        0o600,
    ]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_name_as_long_as_names_can_be(tmp_path: Path) -> None:
    replace_text(tmp_path / ("x" * 255), "new")
    assert names(tmp_path) == ["x" * 255]


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    kill = "os.kill(os.getpid(), signal.SIGKILL)"
    killed_in(f"with whole_file(here / 'a') as beside: {kill}", tmp_path)
    killed_in(f"with whole_folder(here / 'b') as beside: {kill}", tmp_path)
    assert not (tmp_path / "a").exists() and [name[:3] for name in names(tmp_path)] == [".b."]
    with whole_file(tmp_path / "a"):
        running = next(name for name in names(tmp_path) if name.startswith(".a."))
        assert str(os.getpid()) in running
        replace_text(tmp_path / "a", "while another is being written")
        assert running in names(tmp_path)
    made_once(tmp_path / "b", lambda folder: (folder / "x").touch())
    assert names(tmp_path) == ["a", "b"]


def test_what_killed_processes_left_anywhere_is_swept_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    fill = "(beside / 'library.db').touch()"
    kill = f"{fill}; os.kill(os.getpid(), signal.SIGKILL)"
    here = f"import tempfile; tempfile.tempdir = {str(temporary)!r}"
    killed_in(f"{here}\nwith temporary_folder() as beside: {kill}", tmp_path)
    killed_in(f"with scratch_folder(here / 'a' / 'b' / 'c') as beside: {kill}", tmp_path)
    assert names(temporary) and names(tmp_path / "a" / "b")
    with temporary_folder() as mine, scratch_folder(tmp_path / "a" / "d") as other:
        sweep(tmp_path / "a", tmp_path / "nowhere")
        assert names(temporary) == [mine.name] and names(tmp_path / "a") == [other.name, "b"]
    assert not names(temporary) and not names(tmp_path / "a" / "b")


def test_a_folder_is_replaced_whole_and_keeps_what_a_user_put_there(tmp_path: Path) -> None:
    place = tmp_path / "low"
    with whole_folder(place) as beside:
        (beside / "weights").write_text("old")
        (beside / "best").mkdir()
    (place / "notes.txt").write_text("mine")
    with whole_folder(place, gone=("best",)) as beside:
        (beside / "weights").write_text("new")
    assert names(place) == ["notes.txt", "weights"]
    assert (place / "weights").read_text() == "new"
    with pytest.raises(ZeroDivisionError), whole_folder(place) as beside:
        (beside / "weights").write_text("newer")
        raise ZeroDivisionError
    assert (place / "weights").read_text() == "new"
    assert names(tmp_path) == ["low"]


@pytest.mark.parametrize("renamed", [1, 2])
def test_a_power_cut_in_the_midst_of_a_replacement(tmp_path: Path, renamed: int) -> None:
    place = tmp_path / "low"
    with whole_folder(place) as beside:
        (beside / "weights").write_text("old")
    (place / "notes.txt").write_text("mine")
    block = f"""
class Cut(type(here)):
    left = {renamed}
    def rename(self, target):
        super().rename(target)
        Cut.left -= 1
        if not Cut.left:
            os.kill(os.getpid(), signal.SIGKILL)
import shoritui.files
shoritui.files.Path = Cut
with whole_folder(here / "low") as beside:
    (beside / "weights").write_text("new")
"""
    killed_in(block, tmp_path)
    recover(place)
    assert (place / "weights").read_text() == ("old" if renamed == 1 else "new")
    assert (place / "notes.txt").read_text() == "mine"


def test_whoever_makes_a_folder_first_wins(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "x").write_text("second")
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "x").write_text("first")

    assert made_once(tmp_path / "a", fill).joinpath("x").read_text() == "first"
    assert names(tmp_path) == ["a"]


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot be written"):
        made_once(tmp_path / "file" / "a", lambda folder: None)
    with pytest.raises(UserError, match=r"free, and the model takes .*: make room"):
        check_space(tmp_path, 2**60, "the model")


@pytest.mark.parametrize("has_links", [True, False])
def test_a_new_file_gets_a_number_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    def link(old: Path, new: Path) -> None:
        raise PermissionError

    if not has_links:
        monkeypatch.setattr("os.link", link)
    paths = [add_text(tmp_path / "new" / "a.b.txt", text) for text in "xyz"]
    assert [path.name for path in paths] == ["a.b.txt", "a.b (2).txt", "a.b (3).txt"]
    assert [path.read_text() for path in paths] == ["x", "y", "z"]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in paths)
    with pytest.raises(UnicodeEncodeError):
        add_text(tmp_path / "new" / "a.b.txt", "half a \ud83d")
    assert len(names(tmp_path / "new")) == 3


def _link_to_a_pipe(path: Path) -> None:
    os.mkfifo(path.with_name("pipe"))
    path.symlink_to("pipe")


NO_FILES: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to a pipe": _link_to_a_pipe,
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a folder": Path.mkdir,
}


@pytest.fixture
def alarm() -> Iterator[None]:
    """Whatever waits for a pipe's writer waits for ever: that fails, and does not hang."""
    signal.alarm(60)
    yield
    signal.alarm(0)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("kind", NO_FILES)
def test_what_is_no_file_is_not_waited_for(kind: str, tmp_path: Path, alarm: None) -> None:
    path = tmp_path / "m.gguf"
    NO_FILES[kind](path)
    with pytest.raises(OSError):
        content_of(path)


def test_a_file_that_has_nothing_yet_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], alarm: None
) -> None:
    """As the system calls `/proc/kmsg` a plain file, and has it wait for the next message."""
    monkeypatch.setenv("SHORITUI_HOME", str(tmp_path / "home"))
    path = tmp_path / "m.toml"
    os.mkfifo(path)
    writer = os.open(path, os.O_RDWR)
    monkeypatch.setattr("stat.S_ISREG", lambda mode: True)
    with pytest.raises(OSError, match="not a plain file"):
        content_of(path)
    for words in (["cards", "check"], ["prompt"], ["import"], ["chats", "import"]):
        assert main([*words, str(path)]) == 1
        told = "".join(capsys.readouterr())
        assert "not a plain file" in told and "A fault" not in told
    os.close(writer)


DOORS = (
    ["prompt", "gannet-rock", "--model", "{}"],
    ["say", "Hello.", "gannet-rock", "--model", "{}"],
    ["import", "{}"],
    ["prompt", "{}"],
    ["finetune", "plan", "{}"],
    ["models", "use", "{}"],
)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (words, kind)
        for words in DOORS
        for kind in NO_FILES
        if (words[0], kind) != ("import", "a folder")  # which is imported whole
    ],
)
def test_doors_say_a_sentence_of_what_is_no_file(
    words: list[str],
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    alarm: None,
) -> None:
    monkeypatch.setenv("SHORITUI_HOME", str(tmp_path / "home"))
    path = tmp_path / "m.gguf"
    NO_FILES[kind](path)
    assert main([word.format(path) for word in words]) == 1
    assert capsys.readouterr().err.startswith("shoritui: ")


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "a").unlink(),
        lambda folder: (folder / "in" / "b").write_bytes(b""),
        lambda folder: (folder / "in" / "b").write_bytes(b"owt"),
        lambda folder: (folder / "a").write_bytes(b"one and more"),
        lambda folder: (folder / ".seal").unlink(),
        lambda folder: (folder / ".seal").write_bytes(b"\xff\n3"),
        lambda folder: (folder / ".seal").write_text(""),
        lambda folder: (folder / "a").replace(folder / "in" / "b"),
    ],
)
def test_a_damaged_folder_of_the_cache_is_made_anew(
    tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    made = []

    def fill(beside: Path) -> None:
        made.append(beside)
        (beside / "in").mkdir()
        (beside / "a").write_bytes(b"one")
        (beside / "in" / "b").write_bytes(b"two")

    folder = tmp_path / "kept"
    for _ in range(2):
        assert kept_folder(folder, fill) == folder
    os.utime(folder / "a")  # a copy has other times
    assert kept_folder(folder, fill) == folder and len(made) == 1
    damage(folder)
    assert kept_folder(folder, fill) == folder and len(made) == 2
    assert (folder / "a").read_bytes() + (folder / "in" / "b").read_bytes() == b"onetwo"
