from __future__ import annotations

from pathlib import Path

import pytest

from shoritui.cards import picture_of


@pytest.mark.parametrize("name", ["mira.png", "mira.jpg", "mira.jpeg", "mira.webp", "mira.PNG"])
def test_a_picture_lies_beside_its_card_with_the_same_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    found = picture_of(tmp_path / "mira.toml")
    assert found is not None and found.samefile(tmp_path / name)


def test_of_several_pictures_a_png_counts_first(tmp_path: Path) -> None:
    for name in ("mira.jpg", "mira.png"):
        (tmp_path / name).write_bytes(b"")
    assert picture_of(tmp_path / "mira.toml") == tmp_path / "mira.png"


@pytest.mark.parametrize("name", ["miranda.png", "mira.gif", "mira"])
def test_other_files_are_no_picture_of_a_card(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    assert picture_of(tmp_path / "mira.toml") is None


def test_only_the_last_part_of_a_name_with_dots_is_its_ending(tmp_path: Path) -> None:
    (tmp_path / "dr. mira v2.0.png").write_bytes(b"")
    assert picture_of(tmp_path / "dr. mira v2.0.toml") == tmp_path / "dr. mira v2.0.png"


def test_a_folder_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "mira.png").mkdir()
    assert picture_of(tmp_path / "mira.toml") is None
