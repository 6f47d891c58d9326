"""A card on the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands.process import CARD


@pytest.fixture
def card(tmp_path: Path) -> Path:
    path = tmp_path / "quay.toml"
    path.write_text(CARD, encoding="utf-8")
    return path
