"""A fault is one sentence and a place in a log, and neither holds a word of a story."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from shoritui import cli, fault_log
from shoritui.commands import lengths
from shoritui.folders import HOME_VARIABLE

SECRET = "She kept the letter under the hearthstone."


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Logs of this test alone."""
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    return tmp_path


def fails(text: str) -> None:
    """Raises with a story's text in its message, its cause, its values and its notes."""
    try:
        raise KeyError(text)
    except KeyError as cause:
        error = ValueError(text, {"text": text})
        error.add_note(text)
        raise error from cause


def raised() -> ValueError:
    """What it raised, with the places it came through."""
    try:
        fails(SECRET)
    except ValueError as error:
        return error
    raise AssertionError


def test_the_log_tells_kinds_and_places_and_no_text(faults: list[BaseException]) -> None:
    assert fault_log.note(raised())
    faults.clear()
    log = fault_log.log_path().read_text(encoding="utf-8")
    assert "ValueError" in log
    assert "KeyError" in log
    assert "tests/test_fault_log.py:" in log
    assert "letter" not in log
    assert str(Path.home()) not in log


def test_the_log_is_private_and_does_not_grow_for_ever(faults: list[BaseException]) -> None:
    for _ in range(2_000):
        fault_log.note(raised())
    faults.clear()
    path = fault_log.log_path()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    files = list(path.parent.iterdir())
    assert len(files) == 2
    assert sum(file.stat().st_size for file in files) < 600_000


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_what_is_no_file_is_not_written_to(
    kind: str, tmp_path: Path, faults: list[BaseException]
) -> None:
    path = fault_log.log_path()
    path.parent.mkdir(parents=True)
    victim = tmp_path / "victim"
    victim.write_text("mine", encoding="utf-8")
    if kind == "link":
        path.symlink_to(victim)
    else:
        path.mkdir()
    assert not fault_log.note(raised())
    faults.clear()
    assert victim.read_text(encoding="utf-8") == "mine"


def test_system_errors_are_named_by_their_codes() -> None:
    assert fault_log.kind(OSError(28, SECRET)) == "OSError ENOSPC"
    try:
        sqlite3.connect("/nowhere/at/all")
    except sqlite3.Error as error:
        assert fault_log.kind(error) == "OperationalError SQLITE_CANTOPEN"


def test_a_command_says_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    faults: list[BaseException],
) -> None:
    monkeypatch.setattr(lengths, "run", lambda options: fails(SECRET))
    assert cli.main(["lengths"]) == 1
    faults.clear()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("shoritui: A fault in ShoriTUI (ValueError at ")
    assert err.count("\n") == 1
    assert "letter" not in err
