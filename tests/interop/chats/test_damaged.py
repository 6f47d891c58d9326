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
