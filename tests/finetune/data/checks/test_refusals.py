"""What a run would refuse is found before it, all of it, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoritui.blockml import Block, Part, render, render_all
from shoritui.cli import main
from shoritui.demo import model_path
from shoritui.errors import UserError
from shoritui.finetune.config.load import load
from shoritui.finetune.data.check import check_data
from shoritui.finetune.data.conversations import filled
from shoritui.finetune.data.tier import prepare
from shoritui.finetune.data.tokenizer import Tokenizer, tokenizer_of_gguf
from tests.finetune.data.conftest import shipped_tokenizer
from tests.finetune.data.strategies import parts

LONG = "The bell rang again. " * 40
HEAD = 'base = "demo"\n[train]\nsequence_len = {}\n'


def config_of(folder: Path, length: int, tiers: Sequence[str], rest: str = "") -> Path:
    """A config of tiers whose tables go on like this."""
    text = HEAD.format(length) + rest
    for number, tier in enumerate(tiers):
        (folder / f"data{number}").mkdir(exist_ok=True)
        text += f'[[tier]]\nname = "t{number}"\ndata = ["data{number}/*"]\n{tier}\n'
    (folder / "finetune.toml").write_text(text, encoding="utf-8")
    return folder / "finetune.toml"


def write(path: Path, *parts: Part) -> None:
    path.write_text(render_all(parts), encoding="utf-8")


@pytest.fixture(scope="session")
def demo() -> Tokenizer:
    return tokenizer_of_gguf(model_path())


def is_accepted(path: Path, tokenizer: Tokenizer) -> bool:
    try:
        config = load(path)
        prepare(filled(config, lambda event: None), tokenizer)
    except UserError:
        return False
    return True


def said(text: str, name: str = "Ada") -> Block:
    return Block("message", text, name)


@settings(max_examples=40)
@given(
    told=st.lists(st.lists(parts, max_size=3), min_size=1, max_size=3),
    length=st.sampled_from([16, 24, 60, 4000]),
    tiers=st.lists(
        st.sampled_from(
            [
                "",
                'where = "sea"',
                'speakers = ["Ada"]',
                'learn = ["title"]',
                "evaluation = 1",
                'not_speakers = ["Ada", "Bram"]',
            ]
        ),
        min_size=3,
        max_size=3,
    ),
    broken=st.booleans(),
)
def test_what_is_passed_is_accepted_and_what_is_not_is_refused(
    told: list[list[list[Part]]],
    length: int,
    tiers: list[str],
    broken: bool,
    demo: Tokenizer,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("data")
    path = config_of(folder, length, tiers[: len(told)])
    for number, conversations in enumerate(told):
        text = "---\n".join(map(render_all, conversations))
        (folder / f"data{number}" / "a.txt").write_text(text, encoding="utf-8")
    if broken:
        (folder / "data0" / "b.jsonl").write_text('{"text": "▀title\\nx▄"}\n{"text": 3}\n')
    found = check_data(load(path))
    assert found.is_measured
    assert (found.errors == 0) == is_accepted(path, demo)
    for finding in found.findings:
        lines = (folder / finding.file).read_text(encoding="utf-8").split("\n")
        assert 0 <= finding.line <= len(lines) and finding.sentence


def errors(path: Path) -> list[tuple[str, int, str]]:
    found = check_data(load(path)).findings
    return [(e.file, e.line, e.sentence) for e in found if e.severity == "error"]


def test_every_block_without_room_is_found_with_its_line(tmp_path: Path) -> None:
    path = config_of(tmp_path, 120, ["", ""])
    long, short = said(LONG), said("No.", "Bram")
    write(tmp_path / "data0" / "a.txt", long, short, long)
    write(tmp_path / "data0" / "b.txt", short, Block("lore", LONG), short, short)
    write(tmp_path / "data1" / "c.txt", short, long)
    found = errors(path)
    assert [(file, line) for file, line, _ in found] == [
        ("data0/a.txt", 1),
        ("data0/a.txt", 5),
        ("data0/b.txt", 5),
        ("data1/c.txt", 3),
    ]
    assert all("but sequence_len is 120: shorten it" in sentence for _, _, sentence in found)
    assert "of them what must stand before it" in found[2][2]
    write(tmp_path / "data0" / "a.txt", Block("description", LONG), *[short] * 5)
    assert [(file, line) for file, line, _ in errors(path)][:2] == [
        ("data0/a.txt", 3),  # once, not for each message
        ("data0/b.txt", 5),
    ]


@pytest.mark.parametrize(
    ("tier", "sentence"),
    [
        ('where = "sea"', "there is no conversation that where = 'sea' lets through"),
        ("evaluation = 1", "every conversation is held out; lower evaluation"),
        ('learn = ["title"]', "leave no token to learn"),
        ('speakers = ["Cleo"]', "leave no token to learn"),
    ],
)
def test_a_tier_with_nothing_to_learn_is_found_on_its_line(
    tmp_path: Path, tier: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = config_of(tmp_path, 120, [tier])
    write(tmp_path / "data0" / "a.txt", said("No."))
    [(file, line, told)] = errors(path)
    assert (file, line) == ("finetune.toml", 4) and sentence in told
    assert main(["finetune", "check", str(path), "--show", "0"]) == 1
    assert "finetune.toml:4: error: Tier 't0'" in capsys.readouterr().out


def test_a_base_without_the_tokens_is_found(tmp_path: Path) -> None:
    shipped_tokenizer(tmp_path, space_prefix=False)
    (tmp_path / "config.json").write_text('{"vocab_size": 10}', encoding="utf-8")
    path = config_of(tmp_path, 120, [""])
    path.write_text(path.read_text().replace('"demo"', '"."'), encoding="utf-8")
    write(tmp_path / "data0" / "a.txt", said("No."))
    [(file, line, sentence)] = errors(path)
    assert (file, line) == ("finetune.toml", 1) and "not of one model" in sentence


def test_a_name_that_nobody_has_is_a_warning(tmp_path: Path) -> None:
    path = config_of(tmp_path, 120, ['not_speakers = ["Cleo", "Ada"]'])
    write(tmp_path / "data0" / "a.txt", said("No."), said("Yes.", "Bram"))
    found = check_data(load(path))
    assert found.errors == 0
    [named] = [each for each in found.findings if each.kind == "speaker"]
    assert named.sentence == "tier t0: nobody called Cleo speaks in it"


def test_preferences_are_looked_at_as_a_run_reads_them(tmp_path: Path, demo: Tokenizer) -> None:
    path = config_of(tmp_path, 120, ["", 'kind = "preference"'])
    write(tmp_path / "data0" / "a.txt", said("No."))
    row: dict[str, Any] = {"context": "", "chosen": render(said("Aye.")), "rejected": []}
    rows = [
        row | {"rejected": [render(said("No."))]},
        row | {"rejected": [render(said("No.", "Bram"))]},
        row,
        row | {"rejected": [render(said(LONG))]},
    ]
    file = tmp_path / "data1" / "swipes.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    found = errors(path)
    assert [(name, line) for name, line, _ in found] == [
        ("data1/swipes.jsonl", n) for n in (2, 3, 4)
    ]
    assert "same speaker" in found[0][2] and "sequence_len is 120" in found[2][2]
    file.write_text(json.dumps(rows[0]), encoding="utf-8")
    assert errors(path) == [] and is_accepted(path, demo)


def test_a_base_that_is_not_here_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    path = config_of(tmp_path, 16, ["evaluation = 1"])
    text = path.read_text().replace('"demo"', '"nobody/has-this"')
    path.write_text(text)
    write(tmp_path / "data0" / "a.txt", said(LONG))
    assert main(["finetune", "check", str(path), "--show", "0"]) == 1
    out = capsys.readouterr().out
    assert "that takes the base's vocabulary" in out and "every conversation is held out" in out
    (tmp_path / "empty").mkdir()
    path.write_text(text.replace("nobody/has-this", "empty").replace("evaluation = 1", ""))
    assert errors(path)[0][:2] == ("finetune.toml", 1)
