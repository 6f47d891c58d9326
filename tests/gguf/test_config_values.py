"""A config.json of nonsense: one sentence for any value of any key."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from shoritui.errors import UserError
from tests.gguf.tiny import model_in

NONSENSE: dict[str, object] = {
    **{"nothing": None, "true": True, "negative": -1, "zero": 0, "half": 1.5, "text": "x"},
    **{"list": [], "object": {}, "deep": [[1]], "63 bits": 2**63, "float": 1.7e308},
    **{"escape": "\x1b]52;c;x\x07", "long": "x" * 100_000, "nulls": [None] * 5},
    **{"yarn": {"rope_type": "yarn"}, "type": {"rope_type": [1]}, "factor": {"factor": -1}},
}


@pytest.mark.parametrize("value", NONSENSE.values(), ids=NONSENSE.keys())
def test_a_config_of_nonsense_is_one_sentence(tiny: Path, tmp_path: Path, value: object) -> None:
    folder = Path(shutil.copytree(tiny, tmp_path / "folder"))
    config = json.loads((folder / "config.json").read_text())
    for key in config:
        (folder / "config.json").write_text(json.dumps({**config, key: value}))
        try:
            model_in(folder)
        except UserError as error:
            assert str(error).isprintable() and len(str(error)) < 900
