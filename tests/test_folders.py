"""Paths that users write: what no file can be called is told in one sentence, whoever is asked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shoritui.cli import main
from shoritui.errors import UserError
from shoritui.folders import settings_path, user_path

NOBODY = "~nobody-of-this-name/x.gguf"
TOO_LONG = "x" * 256 + ".gguf"
NUL = "x\0.gguf"
COMMANDS = (
    ["prompt", "{}"],
    ["say", "Hello.", "{}"],
    ["say", "Hello.", "gannet-rock", "--model", "{}"],
    ["prompt", "gannet-rock", "--model", "{}"],
    ["models", "use", "{}"],
    ["finetune", "plan", "{}"],
    ["finetune", "plan", "--shape", "tiny", "{}"],
    ["finetune", "init", "{}"],
    ["finetune", "stats", "--plot", "{}"],
    ["finetune", "import-axolotl", "{}"],
    ["chats", "export", "--all", "--to", "{}"],
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHORITUI_HOME", str(tmp_path))
    return tmp_path


def test_a_path_is_one_from_a_folder_on(home: Path) -> None:
    assert user_path("a/b.txt", home) == home / "a/b.txt"
    assert user_path("~/b.txt", home) == Path.home() / "b.txt"
    assert user_path(f"{home}/b.txt", Path("elsewhere")) == home / "b.txt"


@pytest.mark.parametrize(
    ("path", "why"), [(NOBODY, "no user"), (TOO_LONG, "too long"), (NUL, "not one a file can have")]
)
def test_what_can_be_no_file_is_told_why(path: str, why: str) -> None:
    with pytest.raises(UserError, match=why):
        user_path(path)


@pytest.mark.parametrize("path", [NOBODY, TOO_LONG, NUL], ids=["nobody", "too-long", "nul"])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_tells_it_in_one_sentence(
    command: list[str], path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([word.replace("{}", path) for word in command]) == 1
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1) and "cannot be used" in told.err
    assert "\0" not in told.err


@pytest.mark.parametrize("path", [NOBODY, TOO_LONG, "x\\u0000.gguf"])
@pytest.mark.parametrize("setting", ['model = "{}"', '[[adapters]]\npath = "{}"'])
def test_a_setting_is_told_in_one_sentence(
    setting: str, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings_path().parent.mkdir()
    settings_path().write_text(setting.replace("{}", path), encoding="utf-8")
    assert main(["prompt", "gannet-rock"]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "cannot be used" in told


@pytest.mark.parametrize("variable", ["SHORITUI_HOME", "HF_HOME"])
def test_a_variable_is_told_in_one_sentence(
    variable: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for other in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delitem(os.environ, other, raising=False)
    monkeypatch.setenv(variable, "~nobody-of-this-name")
    assert main(["models"]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "no user" in told
