"""Which config a command is about."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from shoritui.errors import UserError
from shoritui.finetune.config import load
from shoritui.finetune.config.load import chosen
from shoritui.folders import HOME_VARIABLE

TIER = '[[tier]]\nname = "low"\ndata = ["low/*"]\n'


def test_a_named_config_is_taken(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(TIER)
    config = chosen(argparse.Namespace(config=tmp_path / "mine.toml"))
    assert config.path == tmp_path / "mine.toml"


def test_a_folder_without_one_is_told_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = argparse.Namespace(config=Path("finetune.toml"), demo=False)
    with pytest.raises(UserError, match="shoritui finetune init"):
        chosen(options)
    (tmp_path / "finetune.toml").write_text(TIER)
    assert chosen(options).path == tmp_path / "finetune.toml"


def test_the_demo_is_copied_once_and_stays_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    options = argparse.Namespace(config=Path("finetune.toml"), demo=True)
    first = chosen(options)
    folder = tmp_path / "data" / "finetune-demo"
    assert first.path == folder / "finetune.toml"
    assert str(folder) in capsys.readouterr().err
    assert [tier.name for tier in first.tiers] == ["low", "mid", "high", "top", "top-pg13"]
    assert first.base.model == "demo"
    for tier in first.tiers:
        assert all(list(folder.glob(pattern)) for pattern in tier.files)
    first.path.write_text('base = "demo"\n' + TIER)
    assert [tier.name for tier in chosen(options).tiers] == ["low"]
    assert [path.name for path in folder.parent.iterdir()] == [load.DEMO_FOLDER]
