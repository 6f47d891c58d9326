"""The doors without the app, as a script uses them: another process, its output, its exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shoritui.blockml import Block, parse

CARD = '''
title = "The Lantern on the Quay"
tags = ["ferry", "fog"]
scenario = "Before dawn, they must find the brass lantern."

[[character]]
name = "Mara"
description = "Mara is a patient ferry pilot who carries a brass lantern."

[[character]]
name = "Tobin"
description = "Tobin is a sarcastic cook who carries a bent spoon."

[[character]]
name = "Wren"
description = "Wren keeps the log."
user = true

[[message]]
speaker = "Mara"
text = """Mara lifted the brass lantern. "Who goes there?" """
'''
FIGURES = {
    "speaker", "length", "text", "stop", "prompt_tokens", "reused_tokens", "evaluated_tokens",
    "generated_tokens", "first_token_ms", "tokens_per_second",
}  # fmt: skip


@pytest.fixture
def card(tmp_path: Path) -> Path:
    path = tmp_path / "quay.toml"
    path.write_text(CARD, encoding="utf-8")
    return path


def shoritui(*arguments: object, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "shoritui", *map(str, arguments)],
        env={**os.environ, "SHORITUI_HOME": str(home)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def test_say_prints_one_reply_and_its_figures(card: Path, tmp_path: Path) -> None:
    arguments = ("say", '"It is me."', card, "--speaker", "tobin", "--length", "tiny", "--seed", 5)
    plain = shoritui(*arguments, home=tmp_path)
    assert (plain.returncode, plain.stderr) == (0, "")
    result = shoritui(*arguments, "--json", home=tmp_path)
    reply = json.loads(result.stdout)
    assert set(reply) == FIGURES
    assert (reply["speaker"], reply["length"]) == ("Tobin", "tiny")
    assert reply["text"].strip() == plain.stdout.strip(), "the same seed gives the same text"
    assert reply["stop"] in ("block_end", "token_limit")
    assert reply["prompt_tokens"] == reply["reused_tokens"] + reply["evaluated_tokens"]
    assert reply["generated_tokens"] > 0 and reply["first_token_ms"] > 0


def test_a_seed_reads_nothing_that_was_read_before(card: Path, tmp_path: Path) -> None:
    shoritui("say", '"It is me."', card, "--length", "tiny", home=tmp_path)
    result = shoritui("say", '"It is me."', card, "--seed", 5, "--json", home=tmp_path)
    assert json.loads(result.stdout)["reused_tokens"] == 0


def test_say_keeps_no_chat(card: Path, tmp_path: Path) -> None:
    shoritui("say", "Hm.", card, home=tmp_path / "home")
    assert not (tmp_path / "home" / "data").exists()


def test_prompt_prints_exactly_the_blocks(card: Path, tmp_path: Path) -> None:
    result = shoritui(
        "prompt", card, "--say", "Me.", "--speaker", "Mara", "--length", "auto", home=tmp_path
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith("▀message\nWren: Me.▄\n▀message\nMara:")
    parts = parse(result.stdout + " x▄\n")
    assert parts[0] == Block("title", "The Lantern on the Quay")


def test_prompt_takes_other_names_for_the_user(card: Path, tmp_path: Path) -> None:
    result = shoritui("prompt", card, "--as", "Ada", "--say", "Me.", home=tmp_path)
    assert "\nAda: Me.▄\n" in result.stdout


def test_the_tokens_are_those_of_the_prompt(card: Path, tmp_path: Path) -> None:
    text = shoritui("prompt", card, home=tmp_path).stdout
    rows = shoritui("prompt", card, "--tokens", home=tmp_path).stdout.splitlines()
    pieces = [json.loads(row.split("\t")[1]) for row in rows]
    assert "".join(pieces).lstrip() == text
    assert all(row.split("\t")[0].isdigit() for row in rows)


def test_a_card_that_ships_is_found_by_name(tmp_path: Path) -> None:
    name = sorted((Path(__file__).parent.parent / "characters").glob("*.toml"))[0].stem
    assert shoritui("prompt", name, home=tmp_path).stdout.startswith("▀title\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["say", "Hi", "{card}", "--speaker", "Mora"], "Did you mean Mara?"),
        (["say", "Hi", "{card}", "--preset", "cold"], "There is no preset 'cold'"),
        (["say", "Hi", "{card}", "--as", "a:b"], "must not hold a colon"),
        (["say", "Hi", "nowhere.toml"], "nowhere.toml"),
        (["say", "Hi", "{card}", "--model", "nowhere.gguf"], "nowhere.gguf"),
        (["prompt", "{card}", "--model", "{card}"], "quay.toml"),
    ],
)
def test_a_users_error_is_one_sentence(
    arguments: list[str], sentence: str, card: Path, tmp_path: Path
) -> None:
    result = shoritui(*(a.replace("{card}", str(card)) for a in arguments), home=tmp_path)
    assert result.returncode == 1
    assert sentence in result.stderr and result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr and result.stdout == ""


def test_a_bad_settings_file_is_told(card: Path, tmp_path: Path) -> None:
    settings = tmp_path / "config" / "settings.toml"
    settings.parent.mkdir()
    settings.write_text("presett = 'neutral'\n", encoding="utf-8")
    result = shoritui("prompt", card, home=tmp_path)
    assert result.returncode == 1
    assert "Did you mean preset?" in result.stderr and str(settings) in result.stderr


@pytest.mark.parametrize("arguments", [["sya"], ["say"], ["say", "x", "y", "--length", "big"]])
def test_wrong_usage_exits_with_two(arguments: list[str], tmp_path: Path) -> None:
    result = shoritui(*arguments, home=tmp_path)
    assert result.returncode == 2 and "Traceback" not in result.stderr


@pytest.mark.parametrize("command", [[], ["chat"], ["say"], ["prompt"], ["doctor"]])
def test_every_help_explains_itself(command: list[str], tmp_path: Path) -> None:
    result = shoritui(*command, "--help", home=tmp_path)
    assert result.returncode == 0 and len(result.stdout) > 200


def test_doctor_tells_what_is_there(tmp_path: Path) -> None:
    findings = json.loads(shoritui("doctor", "--json", home=tmp_path).stdout)
    assert findings["model"]["block_tokens"] is True
    assert findings["model"]["memory_bytes"] > findings["model"]["bytes"] > 0
    assert findings["engine"]["gpu_offload"] is bool(findings["engine"]["gpus"])
    assert findings["folders"]["data"] == str(tmp_path / "data")
    rows = shoritui("doctor", home=tmp_path).stdout
    assert "runs on" in rows and "context" in rows
    assert "KV cache f16, likely mode exact" in rows and "free" in rows


def test_doctor_tells_what_would_fit(tmp_path: Path) -> None:
    settings = tmp_path / "config" / "settings.toml"
    settings.parent.mkdir()
    settings.write_text('n_ctx = 100000000\nkv_type = "q8_0"\nn_threads = 7\n')
    findings = json.loads(shoritui("doctor", "--json", home=tmp_path).stdout)
    assert findings["model"]["kv_type"] == "q8_0" and findings["model"]["threads"] == 7
    assert "set n_ctx = " in findings["model"]["shortage"]
    assert 1 <= findings["engine"]["usable_cores"] <= findings["engine"]["physical_cores"]
    rows = shoritui("doctor", home=tmp_path).stdout
    assert "7 by the setting n_threads" in rows and "set n_ctx = " in rows


def test_doctor_tells_of_an_adapter_that_is_none(tmp_path: Path) -> None:
    settings = tmp_path / "config" / "settings.toml"
    settings.parent.mkdir()
    settings.write_text('adapters = [{path = "nowhere.gguf"}]\n')
    result = shoritui("doctor", home=tmp_path)
    assert result.returncode == 1 and "nowhere.gguf: there is no such" in result.stdout


def test_doctor_tells_of_a_missing_model(tmp_path: Path) -> None:
    result = shoritui("doctor", "--model", "nowhere.gguf", home=tmp_path)
    assert result.returncode == 1 and "nowhere.gguf" in result.stdout
