"""A library of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shoritui.cards import Card, Character, Opening
from shoritui.story import Library

SCENE = Card(
    title="A strange incident",
    characters=(Character(name="Reimu"), Character(name="Marisa", user=True)),
    messages=(
        Opening(speaker="Reimu", text="Hm.", length="nano"),
        Opening(speaker="Marisa", text="Hey!"),
    ),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "library.db"


@pytest.fixture
def library(path: Path) -> Iterator[Library]:
    library = Library(path)
    yield library
    library.close()
