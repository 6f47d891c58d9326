"""`shoritui doctor`: what is installed, found and used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands.process import shoritui

pytestmark = pytest.mark.slow


def test_doctor_tells_what_is_there(tmp_path: Path) -> None:
    findings = json.loads(shoritui("doctor", "--json", home=tmp_path).stdout)
    assert findings["model"]["block_tokens"] is True
    assert findings["model"]["memory_bytes"] > findings["model"]["bytes"] > 0
    assert findings["engine"]["gpu_offload"] is bool(findings["engine"]["gpus"])
    assert findings["folders"]["data"] == str(tmp_path / "data")
    rows = shoritui("doctor", home=tmp_path).stdout
    assert "runs on" in rows and "context" in rows
    assert "KV cache in f16, context mode exact" in rows and "free" in rows


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


def test_doctor_tells_of_a_missing_model(tmp_path: Path) -> None:
    result = shoritui("doctor", "--model", "nowhere.gguf", home=tmp_path)
    assert result.returncode == 1 and "nowhere.gguf" in result.stdout
