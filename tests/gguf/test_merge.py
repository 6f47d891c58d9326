"""A LoRA GGUF merged into its base with numpy: what llama.cpp and the exporter make of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGUFReader, quants

from shoritui.errors import UserError
from shoritui.finetune.config.model import Lora
from shoritui.finetune.model.adapter import SavedAdapter, shapes_of
from shoritui.gguf.merge import write_merged
from shoritui.gguf.model import Format, write_model
from shoritui.gguf.read import Floats
from shoritui.gguf.shape import read_config, shape_of_config
from shoritui.gguf.write import About
from tests.finetune.export.trained import write_saved
from tests.gguf.tiny import error, llama_logits, model_in


@pytest.fixture
def adapter(tiny: Path, tmp_path: Path) -> Path:
    torch.manual_seed(3)
    lora = Lora(r=4, alpha=6)
    shape = shape_of_config(read_config(tiny), "")
    sizes = shapes_of(shape.linears, lora).items()
    tensors = {name: torch.randn(size) * size[1] ** -0.5 for name, size in sizes}
    path = tmp_path / "adapter.gguf"
    write_saved(path, SavedAdapter(tensors, lora, ""), model_in(tiny).base, About("adapter"), "F16")
    return path


@pytest.mark.parametrize("form", ["f32", "f16", "q8_0"])
def test_it_is_the_base_with_the_adapter_on(
    tiny: Path, tmp_path: Path, adapter: Path, form: Format
) -> None:
    base, made = tmp_path / "base.gguf", tmp_path / "made.gguf"
    write_model(base, model_in(tiny), form, About("base"))
    heard: list[tuple[int, int]] = []
    write_merged(made, base, adapter, lambda done, total: heard.append((done, total)))
    assert heard[-1][0] == heard[-1][1] and heard == sorted(heard)
    assert error(llama_logits(made), llama_logits(base, adapter)) < 0.1
    assert error(llama_logits(base), llama_logits(base, adapter)) > 0.2
    before, after = (GGUFReader(path) for path in (base, made))
    assert after.fields.keys() == before.fields.keys()
    for key, field in before.fields.items():
        if key not in ("general.file_type", "GGUF.tensor_count"):
            assert after.fields[key].contents() == field.contents(), key


def test_smollm2s_own_blocks_are_read_as_ggml_reads_them() -> None:
    from gguf import GGMLQuantizationType

    from shoritui.gguf import merge

    weights: Floats = np.random.default_rng(1).normal(size=(64, 96)).astype(np.float32)
    weights[0] = 0
    kinds = (GGMLQuantizationType.Q4_1, GGMLQuantizationType.Q8_0)
    for kind in kinds:
        data = quants.quantize(weights, kind)
        assert np.array_equal(
            merge._READ[int(kind)](data.reshape(-1)).reshape(64, 96), quants.dequantize(data, kind)
        )
    ours = quants.dequantize(merge._q8_0(weights).reshape(64, -1), kinds[1])
    assert np.abs(ours - weights).max() <= np.abs(weights).max() / 127 * 0.51


def test_what_does_not_belong_together_is_told(tiny: Path, tmp_path: Path, adapter: Path) -> None:
    base, made = tmp_path / "base.gguf", tmp_path / "made.gguf"
    write_model(base, model_in(tiny), "bf16", About("base"))
    with pytest.raises(UserError, match="stored in a way that cannot be merged"):
        write_merged(made, base, adapter)
    with pytest.raises(UserError, match="which its base has not"):
        write_merged(made, adapter, adapter)
    assert not made.exists()
