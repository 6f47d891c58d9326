"""Foreign text, figures and tables for people."""

from __future__ import annotations

import subprocess
import sys
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.text import (
    cells,
    clean,
    closest,
    command,
    composed,
    counted,
    duration,
    message,
    number,
    one_line,
    printable,
    size,
    table,
)
from tests.hostile import ALL, FILE_NAME, SHELL


@given(st.text())
def test_clean_text_holds_no_control_and_stays_clean(text: str) -> None:
    cleaned = clean(text)
    assert all(c == "\n" or not (ord(c) < 32 or 127 <= ord(c) < 160) for c in cleaned)
    assert clean(cleaned) == cleaned


@pytest.mark.parametrize(
    ("hostile", "safe"),
    [
        ("\x1b[2Jgone", "gone"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]8;;https://example.com\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("a\rb\r\nc\td", "a\nb\nc    d"),
        ("\x9b31mred", "red"),
        ("evil\u202etxt", "eviltxt"),
        ("bell\x07", "bell"),
    ],
)
def test_escapes_are_taken_out_whole(hostile: str, safe: str) -> None:
    assert clean(hostile) == safe


def test_a_name_shows_what_is_not_printable() -> None:
    assert printable("a\x1b[2Jb\n\u202ec\udcff") == "a�[2Jb��c�"
    assert printable("x" * 300, 10) == "x" * 9 + "…"


@pytest.mark.skipif(sys.platform == "win32", reason="asks a POSIX shell")
@pytest.mark.parametrize("word", [SHELL, FILE_NAME, ALL, "", "a b", "~", "$HOME", "x\x1b';id;'"])
def test_a_command_is_taken_by_a_shell_as_it_is_meant(word: str, tmp_path: Path) -> None:
    told = command("models", "use", word)
    assert told.isprintable()
    script = f"shoritui() {{ printf '%s\\n' \"$@\"; }}; {told}"
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, check=True)
    assert done.stdout.decode().split("\n")[:3] == ["models", "use", printable(word, 4096)]
    assert list(tmp_path.iterdir()) == []


def test_a_message_is_one_line_without_escape_sequences() -> None:
    hostile = "\x1b[31mtwo\t\r\n  lines\x07 \u200d\x1b"
    assert message(hostile) == "two lines"
    assert one_line(hostile) == "two lines \u200d"
    assert len(message("x" * 1000)) == 200


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (2048, "2.0 KiB"),
        (5_500_000, "5.2 MiB"),
        (512 * 2**20, "512 MiB"),
        (5_900_000_000, "5.5 GiB"),
        (2**41, "2,048.0 GiB"),
    ],
)
def test_bytes_have_a_unit(count: int, text: str) -> None:
    assert size(count) == text


def test_counts_are_as_people_say_them() -> None:
    assert [number(n) for n in (999, 7_241_732_096, 1_500_000)] == ["999", "7.2 B", "1.5 M"]
    assert [counted(n, "step") for n in (0, 1, 1000)] == ["0 steps", "1 step", "1,000 steps"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 s"),
        (8.4, "8 s"),
        (87, "1:27"),
        (7390, "2:03:10"),
        (190_000, "2 d 4 h"),
        (float("inf"), "?"),
        (float("nan"), "?"),
        (-1, "?"),
    ],
)
def test_lengths_of_time(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_columns_are_aligned_by_the_cells_of_a_terminal() -> None:
    rows = [("name", "n"), ("夜の物語", "10"), ("e\u0301", "7")]
    assert list(table(rows, right=(1,))) == ["name       n", "夜の物語  10", "e\u0301          7"]
    assert cells("夜の物語") == 8


@pytest.mark.parametrize(
    ("word", "found"),
    [("temprature", "Temperature"), ("MIN_Q", "min_p"), ("zebra", ""), ("", "")],
)
def test_the_closest_word_is_found_whatever_its_capitals(word: str, found: str) -> None:
    assert closest(word, ["Temperature", "min_p", "top_p"]) == found


@given(st.text("ae\u0301\u0327\u0323…한ü नि", max_size=20), st.sampled_from(["NFC", "NFD"]))
def test_letters_with_marks_are_composed_as_unicode_has_it(
    text: str, form: Literal["NFC", "NFD"]
) -> None:
    assert composed(text, form) == unicodedata.normalize(form, text)


def test_any_number_of_marks_is_kept_and_put_in_order_a_few_at_a_time() -> None:
    marks = "\u0301\u0327" * 300
    assert Counter(composed(f"a{marks}b")) == Counter(f"a{marks}b")
