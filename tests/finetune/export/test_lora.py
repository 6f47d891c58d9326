"""LoRA GGUFs: put on at run time, they are the adapter that PEFT has."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from shoritui.engine.interface import Adapter
from shoritui.engine.llama.probe import check_adapters
from shoritui.errors import UserError
from shoritui.gguf.lora.peft import WEIGHTS_FILE, read_peft
from shoritui.gguf.lora.write import write_lora
from shoritui.gguf.model import write_model
from shoritui.gguf.read import GgufFile
from shoritui.gguf.write import About
from tests.finetune.export.trained import Trained, make_trained
from tests.gguf.tiny import error, llama_logits, make_folder, model_in, transformers_logits

ABOUT = About("a\x1b[31mname", "a description")


@pytest.fixture(scope="module")
def base_file(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("base") / "base.gguf"
    write_model(path, model_in(tiny), "f32", About("base"))
    return path


def exported(trained: Trained, path: Path) -> Path:
    write_lora(path, read_peft(trained.adapter), model_in(trained.base).base, ABOUT)
    return path


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"use_rslora": True, "r": 9, "lora_alpha": 5},
        {"target_modules": ["q_proj", "k_proj"]},
        {"target_modules": ["down_proj", "lm_head"]},
    ],
    ids=["all linear layers", "rsLoRA", "queries and keys", "the head"],
)
def test_at_run_time_it_gives_pefts_logits(
    tiny: Path, base_file: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    trained = make_trained(tiny, tmp_path / "adapter", **settings)
    found = llama_logits(base_file, exported(trained, tmp_path / "adapter.gguf"))
    assert error(found, trained.logits) < 1e-5
    assert error(llama_logits(base_file), trained.logits) > 1e-2


def test_the_engine_takes_it(trained: Trained, tmp_path: Path) -> None:
    path = exported(trained, tmp_path / "adapter.gguf")
    assert check_adapters([Adapter(path)], path, "llama") == path.stat().st_size
    assert GgufFile(path).text("general.name") == "a�[31mname"


def test_an_adapter_of_a_tied_head_is_told(tmp_path: Path) -> None:
    base = make_folder(tmp_path / "base", tie_word_embeddings=True)
    assert model_in(base).is_tied
    trained = make_trained(base, tmp_path / "adapter", target_modules=["q_proj", "lm_head"])
    with pytest.raises(UserError, match="export a merged model"):
        exported(trained, tmp_path / "a.gguf")
    assert transformers_logits(base)


@pytest.mark.parametrize("problem", ["name", "rank", "half", "size"])
def test_an_adapter_that_does_not_fit_is_told(
    trained: Trained, tmp_path: Path, problem: str
) -> None:
    shutil.copytree(trained.adapter, tmp_path / "adapter")
    weights = tmp_path / "adapter" / WEIGHTS_FILE
    tensors = load_file(weights)
    name = next(name for name in tensors if name.endswith("q_proj.lora_A.weight"))
    tensor = tensors.pop(name)
    if problem == "name":
        tensors[name.replace("q_proj", "q\x1b[2Jproj")] = tensor
    elif problem == "rank":
        tensors[name] = tensor[:-1]
    elif problem == "size":
        tensors[name] = torch.cat([tensor, tensor], 1)
    save_file(tensors, weights)
    with pytest.raises(UserError) as told:
        exported(replace(trained, adapter=tmp_path / "adapter"), tmp_path / "a.gguf")
    assert str(told.value).isprintable()
    assert not list(tmp_path.glob("*.gguf*"))
