"""The settings file: defaults, changes, comments, mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoritui.errors import UserError
from shoritui.files import replace_text
from shoritui.settings import (
    AdapterFile,
    Settings,
    card_files,
    load_settings,
    save_settings,
    settings_path,
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHORITUI_HOME", str(tmp_path))
    return tmp_path


def write(text: str) -> None:
    settings_path().parent.mkdir(parents=True, exist_ok=True)
    settings_path().write_text(text, encoding="utf-8")


def test_without_a_file_there_are_the_defaults() -> None:
    assert load_settings() == Settings()
    assert "safe conversation" in load_settings().instruction


def test_a_change_is_read_back_and_comments_stay() -> None:
    write("# mine\nlength = 'tiny' # short ones\n")
    assert save_settings(theme="shori-light").length == "tiny"
    assert load_settings().theme == "shori-light"
    text = settings_path().read_text(encoding="utf-8")
    assert "# mine" in text and "# short ones" in text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("lenght = 'tiny'", "Did you mean length?"),
        ("length = 'big'", "length"),
        ("n_ctx = -1", "n_ctx"),
        ("n_ctx = x\n", "line 1"),
        ("version = 2", "version"),
    ],
)
def test_a_mistake_names_the_file_and_the_setting(text: str, sentence: str) -> None:
    write(text)
    with pytest.raises(UserError, match=sentence) as error:
        load_settings()
    assert str(settings_path()) in str(error.value)


def test_a_value_that_is_not_allowed_is_not_written() -> None:
    with pytest.raises(UserError, match="max_tokens"):
        save_settings(max_tokens=0)
    assert not settings_path().exists()


def test_a_file_is_replaced_whole_and_leaves_nothing_beside_it(home: Path) -> None:
    replace_text(home / "a" / "b.toml", "one")
    replace_text(home / "a" / "b.toml", "two")
    assert [p.name for p in (home / "a").iterdir()] == ["b.toml"]
    assert (home / "a" / "b.toml").read_text(encoding="utf-8") == "two"


def test_the_users_cards_come_before_those_that_ship(home: Path) -> None:
    mine = home / "config" / "characters" / "lighthouse.toml"
    mine.parent.mkdir(parents=True)
    mine.write_text("", encoding="utf-8")
    assert card_files([Path("lighthouse")]) == [mine]
    assert card_files([Path("no-such-card")]) == [Path("no-such-card")]


def test_adapters_are_kept_and_read_back() -> None:
    write("# mine\n[keymap]\nsend = 'ctrl+s'\n")
    save_settings(adapters=[{"path": "~/noir one.gguf", "scale": 0.5}])
    assert load_settings().adapters == [AdapterFile("~/noir one.gguf", 0.5)]
    assert load_settings().keymap == {"send": "ctrl+s"}
    assert save_settings(adapters=[]).adapters == []
