"""Merged models: what PEFT's own merge gives, written in every format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from shoritui.errors import UserError
from shoritui.finetune.export.llama_cpp import LlamaFile, Quant, quantize
from shoritui.finetune.export.verify import TOLERANCES
from shoritui.gguf.lora.peft import read_peft
from shoritui.gguf.lora.write import write_lora
from shoritui.gguf.merge import merged, untied
from shoritui.gguf.model import Format, Model, write_model
from shoritui.gguf.write import About
from tests.finetune.export.trained import Trained, make_trained
from tests.gguf.tiny import DOCUMENTS, error, llama_logits, make_folder, model_in

ABOUT = About("merged")


def merge(base: Model, adapter: Path, place: Path) -> Model:
    """The base as an adapter of PEFT makes it."""
    path = place / "merging.gguf"
    write_lora(path, read_peft(adapter), untied(base.base), ABOUT)
    return merged(base, path)


def test_it_is_pefts_own_merge(trained: Trained, tmp_path: Path) -> None:
    classes: Any = AutoModelForCausalLM
    base = classes.from_pretrained(trained.base, dtype=torch.float32)
    theirs = PeftModel.from_pretrained(base, str(trained.adapter)).merge_and_unload()
    theirs.save_pretrained(tmp_path / "theirs")
    (tmp_path / "theirs" / "tokenizer.model").symlink_to(trained.base / "tokenizer.model")
    wanted = model_in(tmp_path / "theirs")
    ours = merge(model_in(trained.base), trained.adapter, tmp_path)
    assert ours.base == wanted.base
    for name in wanted.base.tensors:
        assert np.allclose(ours.floats(name), wanted.floats(name), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("form", ["f32", "f16", "bf16", "q8_0"])
def test_it_gives_the_trained_models_logits(trained: Trained, tmp_path: Path, form: Format) -> None:
    path = tmp_path / "merged.gguf"
    write_model(path, merge(model_in(trained.base), trained.adapter, tmp_path), form, ABOUT)
    assert error(llama_logits(path), trained.logits) < TOLERANCES[form]


@pytest.mark.parametrize("target", ["lm_head", "embed_tokens"])
def test_a_tied_head_or_embedding_of_its_own_adapter_is_untied(tmp_path: Path, target: str) -> None:
    base = make_folder(tmp_path / "base", tie_word_embeddings=True)
    trained = make_trained(base, tmp_path / "adapter", target_modules=["q_proj", target])
    path = tmp_path / "merged.gguf"
    write_model(path, merge(model_in(base), trained.adapter, tmp_path), "f32", ABOUT)
    assert error(llama_logits(path), trained.logits) < 1e-5


@pytest.mark.parametrize("quant", ["q6_k", "q5_k_m", "q4_k_m"])
def test_k_quants_load_and_answer(trained: Trained, tmp_path: Path, quant: Quant) -> None:
    source, target = tmp_path / "f16.gguf", tmp_path / "quant.gguf"
    write_model(source, merge(model_in(trained.base), trained.adapter, tmp_path), "f16", ABOUT)
    reports: list[tuple[int, int]] = []
    quantize(source, target, quant, lambda done, total: reports.append((done, total)))
    assert reports[-1][0] == reports[-1][1]
    assert target.stat().st_size < source.stat().st_size
    with LlamaFile(target) as file:
        answer = file.logits(DOCUMENTS, None, threads=1)
    assert error(answer, trained.logits) < TOLERANCES[quant]


def test_what_llama_cpp_cannot_quantise_is_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "no.gguf").write_bytes(b"GGUF" + bytes(60))
    with pytest.raises(UserError, match="could not make q4_k_m"):
        quantize(tmp_path / "no.gguf", tmp_path / "out.gguf", "q4_k_m")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model_type": "qwen\x1b"}, "export with --as peft, and put"),
        ({"quantization_config": {"bits": 4}}, "quantised"),
        ({"rope_parameters": {"rope_type": "spiral", "factor": 2}}, "'spiral'"),
        ({"num_hidden_layers": 3}, "the weights have no model.layers.2"),
        ({"num_hidden_layers": 1}, "the weights have model.layers.1"),
        ({"hidden_size": "wide"}, "a size is missing or wrong"),
        ({"vocab_size": 10}, "more than the 10"),
    ],
)
def test_a_base_that_no_gguf_holds_is_told(
    tiny: Path, tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    for path in tiny.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "config.json").unlink()
    config = json.loads((tiny / "config.json").read_text()) | change
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError) as told:
        model_in(tmp_path)
    assert sentence in str(told.value) and str(told.value).isprintable()


def test_weights_in_several_files_are_found(tiny: Path, tmp_path: Path) -> None:
    tensors = load_file(tiny / "model.safetensors")
    for path in tiny.glob("*.json"):
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "tokenizer.model").symlink_to(tiny / "tokenizer.model")
    names = sorted(tensors)
    places = {name: f"part-{index % 2}.safetensors" for index, name in enumerate(names)}
    for file in set(places.values()):
        save_file({n: tensors[n] for n in names if places[n] == file}, tmp_path / file)
    index = {"weight_map": places}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    ours, whole = model_in(tmp_path), model_in(tiny)
    assert ours.base == whole.base
    assert all((ours.floats(name) == whole.floats(name)).all() for name in ours.base.tensors)
