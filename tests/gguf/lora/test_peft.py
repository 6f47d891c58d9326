"""PEFT's folders, whole, odd and damaged: an adapter or a sentence, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from shoritui.errors import UserError
from shoritui.gguf.lora.peft import CONFIG_FILE, WEIGHTS_FILE, PeftAdapter, read_peft

CONFIG: dict[str, Any] = {
    "peft_type": "LORA",
    "r": 2,
    "lora_alpha": 3,
    "rank_pattern": {"up_proj": 4},
    "alpha_pattern": {},
    "use_rslora": False,
    "bias": "none",
    "init_lora_weights": True,
    "lora_dropout": 0.1,
    "base_model_name_or_path": "a/base",
    "modules_to_save": None,
    "use_dora": False,
}
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
HOSTILE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)


def write(folder: Path) -> Path:
    draw = np.random.default_rng(1)
    ranks = {"q_proj": 2, "up_proj": 4}
    tensors = {
        f"base_model.model.model.layers.0.x.{name}.lora_{side}.weight": draw.normal(
            size=(rank, 6) if side == "A" else (5, rank)
        ).astype(np.float32)
        for name, rank in ranks.items()
        for side in "AB"
    }
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    (folder / CONFIG_FILE).write_text(json.dumps(CONFIG), encoding="utf-8")
    return folder


def read(folder: Path) -> PeftAdapter | None:
    """The adapter with all its numbers read; None for a sentence."""
    try:
        found = read_peft(folder)
    except UserError as error:
        assert str(error).isprintable()
        return None
    for module in found.factors:
        outputs, inputs = found.factors[module].sizes
        assert (found.up(module) @ found.down(module)).shape == (outputs, inputs)
    return found


def test_what_stands_there(tmp_path: Path) -> None:
    found = read(write(tmp_path / "a"))
    assert found is not None
    assert (found.rank, found.alpha, found.base, found.scale) == (2, 3.0, "a/base", 1.5)
    scales = {module: each.scale for module, each in found.factors.items()}
    assert scales == {"model.layers.0.x.q_proj": 1.5, "model.layers.0.x.up_proj": 0.75}
    assert found.size_bytes == 4 * (2 * 11 + 4 * 11)


@HOSTILE
@given(st.dictionaries(st.sampled_from(sorted(CONFIG)), ANY, max_size=3))
def test_any_config_is_an_adapter_or_a_sentence(tmp_path: Path, changes: dict[str, Any]) -> None:
    folder = write(tmp_path / "a")
    (folder / CONFIG_FILE).write_text(json.dumps(CONFIG | changes), encoding="utf-8")
    read(folder)


@HOSTILE
@given(st.data())
def test_any_damage_is_an_adapter_or_a_sentence(tmp_path: Path, data: st.DataObject) -> None:
    folder = write(tmp_path / "a")
    whole = bytearray((folder / WEIGHTS_FILE).read_bytes())
    header = 8 + int.from_bytes(whole[:8], "little")
    for at, value in data.draw(
        st.lists(st.tuples(st.integers(0, header - 1), st.integers(0, 255)), max_size=4)
    ):
        whole[at] = value
    end = data.draw(st.integers(0, len(whole)) | st.just(len(whole)))
    (folder / WEIGHTS_FILE).write_bytes(whole[:end])
    if end < len(whole):
        assert read(folder) is None
    else:
        read(folder)


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"dtype": "F32", "shape": [2, 6], "data_offsets": [0, 40]}, "is damaged"),
        ({"dtype": "F32", "shape": [2, -6], "data_offsets": [0, 48]}, "is damaged"),
        ({"dtype": "F32", "shape": [10**30, 10**30], "data_offsets": [0, 48]}, "is damaged"),
        ({"dtype": "I8", "shape": [2, 6], "data_offsets": [0, 12]}, "is no matrix in F32"),
        ({"dtype": "F32", "shape": [12], "data_offsets": [0, 48]}, "is no matrix in F32"),
        ({"dtype": "F32", "shape": [2, 6], "data_offsets": [0, 48]}, "are not of rank 2"),
    ],
)
def test_a_header_that_lies_is_told(tmp_path: Path, entry: object, sentence: str) -> None:
    folder = write(tmp_path / "a")
    header = json.dumps({"model.x.q_proj.lora_A.weight": entry}).encode()
    data = len(header).to_bytes(8, "little") + header + bytes(48)
    (folder / WEIGHTS_FILE).write_bytes(data)
    with pytest.raises(UserError, match=sentence):
        read_peft(folder)
