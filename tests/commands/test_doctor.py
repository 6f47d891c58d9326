"""`shoritui doctor`: what is installed, found and used."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import pytest

from shoritui.cli import main
from shoritui.demo import model_path
from shoritui.engine.worker import process
from shoritui.models import storyteller
from tests.commands.process import shoritui
from tests.engine.adapter_file import write_adapter

pytestmark = pytest.mark.slow


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_doctor_tells_what_is_there(tmp_path: Path) -> None:
    findings = json.loads(shoritui("doctor", "--json", home=tmp_path).stdout)
    assert findings["model"]["block_tokens"] is True
    assert findings["model"]["memory_bytes"] > findings["model"]["bytes"] > 0
    assert findings["engine"]["gpu_offload"] is bool(findings["engine"]["gpus"])
    assert findings["folders"]["data"] == str(tmp_path / "data")
    rows = shoritui("doctor", home=tmp_path).stdout
    assert "runs on" in rows and "context" in rows
    assert "KV cache in f16, context mode exact" in rows and "free" in rows


def test_a_first_doctor_says_on_a_terminal_what_takes_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    adapter = write_adapter(tmp_path / "adapter.gguf", model_path())
    monkeypatch.setenv("SHORITUI_HOME", str(tmp_path))
    monkeypatch.setattr(storyteller, "smollm2", model_path)
    monkeypatch.setattr(storyteller, "adapter_path", lambda: adapter)
    for is_first in (True, False):
        monkeypatch.setattr(sys, "stderr", terminal := Terminal())
        assert main(["doctor", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["model"]["path"].endswith("storyteller.gguf")
        shown = [line.removesuffix("\x1b[K") for line in terminal.getvalue().split("\r")]
        assert any(line.startswith("making the storyteller") for line in shown) is is_first
        assert "asking llama.cpp" in shown and shown[-1] == ""
    monkeypatch.setattr(sys, "stderr", pipe := io.StringIO())
    assert main(["doctor"]) == 0 and not pipe.getvalue()


def test_doctor_and_models_give_a_file_one_size(tmp_path: Path) -> None:
    doctor = json.loads(shoritui("doctor", "--json", home=tmp_path).stdout)
    [listed] = json.loads(shoritui("models", "--json", home=tmp_path).stdout)["models"]
    assert doctor["model"]["bytes"] == listed["bytes"]


def test_doctor_tells_of_a_wrong_theme_and_a_wrong_key(tmp_path: Path) -> None:
    settings = tmp_path / "config" / "settings.toml"
    settings.parent.mkdir()
    settings.write_text('theme = "shori dark"\n[keymap]\nretri = "ctrl+y"\n')
    rows = shoritui("doctor", home=tmp_path).stdout
    assert "There is no theme shori dark: choose one of" in rows and "shori-light" in rows
    assert "there is no action retri. Did you mean retry?" in rows


def test_doctor_tells_of_cards_and_personas_that_cannot_be_read(tmp_path: Path) -> None:
    for folder in ("characters", "personas"):
        card = tmp_path / "config" / folder / "odd.toml"
        card.parent.mkdir(parents=True)
        card.write_text('titel = "x"\n')
    (tmp_path / "config" / "settings.toml").write_text('persona = "Odd"\n')
    said = json.loads(shoritui("doctor", "--json", home=tmp_path).stdout)["settings_problems"]
    assert len(said) == 3 and 'no persona "Odd" that can be read' in said[0]
    assert all("odd.toml: line 1" in each for each in said)


def test_doctor_tells_what_would_fit(tmp_path: Path) -> None:
    settings = tmp_path / "config" / "settings.toml"
    settings.parent.mkdir()
    settings.write_text('n_ctx = 100000000\nkv_type = "q8_0"\nn_threads = 7\n')
    findings = json.loads(shoritui("doctor", "--json", home=tmp_path).stdout)
    assert findings["model"]["kv_type"] == "q8_0" and findings["model"]["threads"] == 7
    assert "set n_ctx = " in findings["model"]["shortage"]
    assert 1 <= findings["engine"]["usable_cores"] <= findings["engine"]["physical_cores"]
    rows = shoritui("doctor", home=tmp_path).stdout
    assert "7, set by n_threads" in rows and "set n_ctx = " in rows


def test_doctor_tells_of_an_adapter_that_is_none(tmp_path: Path) -> None:
    settings = tmp_path / "config" / "settings.toml"
    settings.parent.mkdir()
    settings.write_text('adapters = [{path = "nowhere.gguf"}]\n')
    result = shoritui("doctor", home=tmp_path)
    assert result.returncode == 1 and "nowhere.gguf: there is no such" in result.stdout


@pytest.mark.parametrize(
    ("script", "mode", "sentence"),
    [
        (None, 0, "cannot be started .*: No such file or directory"),
        ("#!/bin/sh\n", 0o600, "cannot be started .*: Permission denied"),
        ("no program", 0o700, "cannot be started .*: Exec format error"),
        ("#!/bin/sh\nexit 3\n", 0o700, "llama.cpp cannot be used: exit status 3"),
        ("#!/bin/sh\nkill -SEGV $$\n", 0o700, "llama.cpp cannot be used: llama.cpp crashed"),
        ("#!/bin/sh\necho '\x1b[2J no such module' >&2; exit 1\n", 0o700, "used: no such module"),
        ("#!/bin/sh\nexec cat\n", 0o700, "it answers as no engine does"),
        ("#!/bin/sh\necho Python 3; exec cat\n", 0o700, "it answers as no engine does"),
        ("#!/bin/sh\nexec sleep 600\n", 0o700, "it did not answer for"),
    ],
)
def test_doctor_tells_of_a_python_that_does_not_run(
    script: str | None,
    mode: int,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    python = tmp_path / "python"
    if script is not None:
        python.write_text(script)
        python.chmod(mode)
    monkeypatch.setenv("SHORITUI_HOME", str(tmp_path))
    monkeypatch.setattr(process, "COMMAND", (str(python), *process.COMMAND[1:]))
    monkeypatch.setattr(process, "_START_BEATS", 1 if "answer for" in sentence else 60)
    assert main(["doctor"]) == 1
    rows = capsys.readouterr().out.splitlines()
    [told] = [row for row in rows if row.startswith("llama.cpp ")]
    assert re.search(sentence, told) and told.isprintable()
    assert any(row.startswith("settings ") for row in rows)
    assert main(["doctor", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["engine"]["problem"] == found["model"]["problem"]


def test_doctor_tells_of_a_missing_model(tmp_path: Path) -> None:
    result = shoritui("doctor", "--model", "nowhere.gguf", home=tmp_path)
    assert result.returncode == 1 and "nowhere.gguf" in result.stdout
