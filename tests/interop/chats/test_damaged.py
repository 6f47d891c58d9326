"""Damaged files of every kind: what is readable is read, and the rest is one sentence each."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from random import Random
from typing import Final

import pytest

from shoritui.errors import UserError
from shoritui.interop import read_chats
from shoritui.interop.sillytavern import sillytavern
from shoritui.story import Library
from tests.interop.chats.mutation import MUTATIONS, samples

FILES: Final = int(os.environ.get("SHORITUI_TEST_MUTATIONS", "80"))
"""How many damaged files are read."""


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "library.db")


def test_a_sound_file_of_each_kind_is_read(tmp_path: Path) -> None:
    for name, text in samples().items():
        (tmp_path / name).write_text(text, encoding="utf-8", newline="")
        if name == "group.json":
            continue  # its chat is not there yet
        refused: list[UserError] = []
        assert read_chats([tmp_path / name], lambda told: None, refused.append), name
        assert not refused
    assert read_chats([tmp_path / "group.json"], print, print)


ADA, BRAM = (
    b'{"name": "Ada", "is_user": false, "mes": "Hm."}',
    b'{"name": "Bram", "is_user": true, "mes": "No."}',
)
TWO: Final = ADA + b"\n" + BRAM


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\xef\xbb\xbf" + TWO.replace(b"\n", b"\r\n") + b"\r\n", []),
        (TWO.decode().encode("utf-16"), []),
        (ADA + b"\n" + BRAM + b"\0" * 4096, []),
        (TWO + b"\n" + b"\0" * 4096, ["1 broken line was left out: 3."]),
        (TWO.replace(b'"No."', b'"No\t\0."'), []),
        (TWO.replace(b'"No."', b'{"message": "No."}, "swipes": [{"message": "No."}, 3]'), []),
        (
            TWO + b'\n{"name": "\xff',
            ["some of it is not UTF-8, and became \ufffd.", "1 broken line"],
        ),
        (ADA + b"\n" + b"[" * 100_000 + b"\n" + BRAM, ["1 broken line was left out: 2."]),
        (ADA + b'\n{"name": "A", "mes": ' + b"9" * 5000 + b"}\n" + BRAM, ["1 broken line"]),
        (TWO.replace(b'"is_user": true', b'"is_user": true, "send_date": 1e999'), []),
    ],
    ids=[
        *("marks and ends of Windows", "UTF-16", "zeros after it", "a line of zeros", "controls"),
        *("objects", "half a letter", "nested deeply", "a huge number", "a date without end"),
    ],
)
def test_what_is_readable_is_read(tmp_path: Path, content: bytes, told: list[str]) -> None:
    path, said = tmp_path / "it.jsonl", list[str]()
    path.write_bytes(content)
    refused: list[UserError] = []
    [chat] = read_chats([path], said.append, refused.append)
    texts = [(entry.speaker, entry.text.replace(" ", "")) for entry in chat.whole.path()]
    assert texts == [("Ada", "Hm."), ("Bram", "No.")]
    assert refused == [] and len(said) == len(told)
    for each, expected in zip(said, told, strict=True):
        assert each.startswith(f"{path}: {expected}")


def test_no_damage_raises_or_says_more_than_a_sentence(library: Library) -> None:
    said: list[str] = []
    for seed in range(FILES):
        random = Random(seed)
        name, text = random.choice(list(samples().items()))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_bytes(random.choice(MUTATIONS)(random, text))
            if name == "group.json":
                (Path(folder) / "it.jsonl").write_text(samples()["it.jsonl"])
            refused: list[UserError] = []
            told: list[str] = []
            for each in read_chats([path], told.append, refused.append):
                sillytavern(library.whole_chat(library.add_chat(each.whole).id))
            said += [*told, *map(str, refused)]
    assert all(each.isprintable() and len(each) < 600 for each in said), said
    assert said and library.check() == []
