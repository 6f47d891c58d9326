"""Cards by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoritui.cards import card_files, find_cards
from shoritui.errors import UserError
from shoritui.folders import HOME_VARIABLE


@pytest.fixture(autouse=True)
def own_cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    folder = tmp_path / "config" / "characters"
    folder.mkdir(parents=True)
    return folder


def test_the_users_cards_come_before_those_that_ship(own_cards: Path) -> None:
    mine = own_cards / "lighthouse.toml"
    mine.write_text("", encoding="utf-8")
    assert card_files([Path("lighthouse")]) == [mine]
    assert card_files([Path("lighthouse.toml")]) == [mine]


def test_the_case_of_an_ending_does_not_matter(own_cards: Path) -> None:
    mine = own_cards / "Mine.TOML"
    mine.write_text('[[character]]\nname = "Ann"\n', encoding="utf-8")
    assert card_files([Path("Mine")]) == [mine]
    assert [path for path, _ in find_cards([own_cards])[0]] == [mine]


@pytest.mark.parametrize(
    ("name", "guess"),
    [("gannet", "gannet-rock"), ("Plumstreet", "plum-street"), ("mien.toml", "mine.toml")],
)
def test_an_unknown_name_gets_the_nearest_one(
    name: str, guess: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text("", encoding="utf-8")
    with pytest.raises(UserError, match=rf'no card or scene "{name}"; did you mean "{guess}"\?$'):
        card_files([Path(name)])


def test_a_name_that_resembles_none_gets_all_of_them() -> None:
    with pytest.raises(UserError, match=r'no card or scene "x"; there are gannet-rock, .*mudlark'):
        card_files([Path("x")])


def test_a_path_is_left_to_whoever_reads_it(tmp_path: Path) -> None:
    assert card_files([tmp_path / "gone.toml"]) == [tmp_path / "gone.toml"]
