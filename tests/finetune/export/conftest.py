"""A small base, adapters on it, and what PyTorch answers with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.finetune.export.trained import Trained, make_trained
from tests.gguf.conftest import home, one_thread, tiny

__all__ = ["home", "one_thread", "tiny"]


@pytest.fixture(scope="session")
def trained(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return make_trained(tiny, tmp_path_factory.mktemp("trained"))
