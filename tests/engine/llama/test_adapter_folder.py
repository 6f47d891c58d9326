"""PEFT folders put on: what PEFT's adapter gives, or a sentence."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers.pytorch_utils import Conv1D

from shoritui.engine import Adapter, Engine, EngineOptions, Segment
from shoritui.engine.llama.adapter_folder import lora_gguf
from shoritui.errors import UserError
from shoritui.finetune.export.reference import with_llama_cpps_gelu
from shoritui.gguf.converted import model_of_folder
from shoritui.gguf.llama_cpp import LlamaFile
from shoritui.gguf.lora.peft import CONFIG_FILE, WEIGHTS_FILE
from shoritui.gguf.model import write_model
from shoritui.gguf.read import Floats
from shoritui.gguf.shape import read_config
from shoritui.gguf.write import About
from tests.gguf.kinds import KINDS, make_kind
from tests.gguf.tiny import error, loaded, logits_of, make_folder, model_in

pytestmark = pytest.mark.slow

DOCUMENTS = [np.random.default_rng(2).integers(3, 320, 40).astype(np.int32)]
LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHORITUI_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def adapted(model: Any, folder: Path, **settings: Any) -> list[Floats]:
    """PEFT's folder of an adapter that is heard, and what PEFT answers with it."""
    chosen: dict[str, Any] = {"r": 4, "lora_alpha": 6, "target_modules": LINEARS} | settings
    worn: Any = get_peft_model(model, LoraConfig(**chosen, task_type="CAUSAL_LM"))
    torch.manual_seed(5)
    with torch.no_grad():
        for name, parameter in worn.named_parameters():
            if "lora_" in name and (name.endswith(("B.default.weight", "embedding_A.default"))):
                parameter.normal_(0, 0.1)
    worn.save_pretrained(folder, save_embedding_layers=False)
    return logits_of(worn, DOCUMENTS)


def answered(model: Path, adapter: Path) -> list[Floats]:
    """What llama.cpp answers, exactly."""
    with LlamaFile(model) as file:
        return file.logits(DOCUMENTS, lora_gguf(adapter, model), threads=1)


def linears_of(model: Any) -> list[str]:
    """Every linear layer, and the head where it is no embedding; not those of an eye."""
    embedding, seeing = model.get_input_embeddings().weight, ("vision", "multi_modal")
    return [
        name
        for name, each in model.named_modules()
        if isinstance(each, (torch.nn.Linear, Conv1D))
        and each.weight is not embedding
        and not any(word in name for word in seeing)
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_pefts_adapter_on_every_architecture(kind: str, tmp_path: Path) -> None:
    folder = make_kind(tmp_path / "base", kind)
    base = model_of_folder(folder, read_config(folder), needs_tokens=False)
    write_model(tmp_path / "base.gguf", base, "f32", About("base"))
    model = loaded(folder)
    is_rounded = with_llama_cpps_gelu(model)
    plain = logits_of(model, DOCUMENTS)
    wanted = adapted(model, tmp_path / "adapter", target_modules=linears_of(model))
    assert error(plain, wanted) > 0.05
    found = answered(tmp_path / "base.gguf", tmp_path / "adapter")
    assert error(found, wanted) < (2e-4 if is_rounded else 1e-5)


def test_what_an_eye_did_not_learn_is_left_out(tmp_path: Path) -> None:
    folder, kind = make_kind(tmp_path / "base", "mistral small 3.1"), "multi_modal_projector"
    base = model_of_folder(folder, read_config(folder), needs_tokens=False)
    write_model(tmp_path / "base.gguf", base, "f32", About("base"))
    model = loaded(folder)
    adapted(model, tmp_path / "adapter", target_modules=["q_proj", f"{kind}.linear_1"])
    with pytest.raises(UserError, match=rf"{kind}\.linear_1: a model of .* has no such layer"):
        lora_gguf(tmp_path / "adapter", tmp_path / "base.gguf")
    rewritten(tmp_path / "adapter", lambda name, each: (name, each * 0 if kind in name else each))
    with pytest.raises(UserError, match="vision_tower") as told:
        lora_gguf(tmp_path / "adapter", tmp_path / "base.gguf")
    assert told
    rewritten(
        tmp_path / "adapter", lambda name, each: (name, each * 0 if "vision" in name else each)
    )
    assert lora_gguf(tmp_path / "adapter", tmp_path / "base.gguf").is_file()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A llama's folder; its GGUF beside it."""
    folder = make_folder(tmp_path_factory.mktemp("base") / "llama")
    write_model(folder.with_suffix(".gguf"), model_in(folder), "f32", About("base"))
    return folder


@pytest.mark.parametrize(
    "settings",
    [
        {"use_rslora": True, "r": 9, "lora_alpha": 5},
        {
            "rank_pattern": {r"layers\.1\.mlp\..*": 7, "k_proj": 2},
            "alpha_pattern": {"0.mlp.up_proj": 3},
        },
        {"target_modules": ["down_proj", "lm_head", "embed_tokens"]},
        {"target_modules": r".*\.1\..*(q|v)_proj", "init_lora_weights": "gaussian"},
        {"layers_to_transform": [1], "use_rslora": True, "alpha_pattern": {"q_proj": 1}},
    ],
    ids=["rsLoRA", "patterns", "head and embeddings", "regex", "one layer"],
)
def test_every_way_of_plain_lora(base: Path, tmp_path: Path, settings: dict[str, Any]) -> None:
    wanted = adapted(loaded(base), tmp_path / "adapter", **settings)
    found = answered(base.with_suffix(".gguf"), tmp_path / "adapter")
    assert error(found, wanted) < 1e-5
    assert error(logits_of(loaded(base), DOCUMENTS), wanted) > 1e-3


def rewritten(
    folder: Path, change: Callable[[str, torch.Tensor], tuple[str, torch.Tensor]]
) -> None:
    tensors = dict(change(*item) for item in load_file(folder / WEIGHTS_FILE).items())
    save_file(tensors, folder / WEIGHTS_FILE)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_what_other_programs_write(base: Path, tmp_path: Path, kind: torch.dtype) -> None:
    """Half precision, the adapter's own name in tensors', no prefix, weights of the base."""
    folder = tmp_path / "adapter"
    model = loaded(base)
    adapted(model, folder)
    rewritten(folder, lambda name, tensor: (name, tensor.to(kind)))
    wanted = answered(base.with_suffix(".gguf"), folder)

    def change(name: str, tensor: torch.Tensor) -> tuple[str, torch.Tensor]:
        name = name.removeprefix("base_model.model.") if ".0." in name else name
        return name.replace(".weight", ".default.weight"), tensor

    rewritten(folder, change)
    tensors = load_file(folder / WEIGHTS_FILE)
    save_file(tensors | {"model.x.base_layer.weight": torch.ones(2)}, folder / WEIGHTS_FILE)
    assert error(answered(base.with_suffix(".gguf"), folder), wanted) == 0


def test_it_is_made_once_for_what_is_in_it(base: Path, tmp_path: Path, home: Path) -> None:
    folder, model = tmp_path / "adapter", base.with_suffix(".gguf")
    adapted(loaded(base), folder)
    made = lora_gguf(folder, model)
    assert made.is_relative_to(home / "cache")
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.parent.stat().st_mode) == 0o700
    before = made.stat()
    shutil.copytree(folder, tmp_path / "the same")
    assert lora_gguf(tmp_path / "the same", model) == lora_gguf(folder, model) == made
    assert made.stat() == before
    rewritten(folder, lambda name, tensor: (name, tensor * 2))
    assert lora_gguf(folder, model) != made
    whole = made.read_bytes()
    made.unlink()
    assert lora_gguf(tmp_path / "the same", model) == made and made.read_bytes() == whole
    made.write_bytes(bytes(len(whole)))
    assert lora_gguf(tmp_path / "the same", model) == made and made.read_bytes() == whole
    for _ in range(9):
        rewritten(folder, lambda name, tensor: (name, tensor * 1.1))
        last = lora_gguf(folder, model)
    assert len(list(made.parent.parent.iterdir())) == 8 and last.is_file()


def test_a_split_models_other_parts_are_read_too(base: Path, tmp_path: Path) -> None:
    """llama.cpp is given the first, which may hold no tensor at all."""
    adapted(loaded(base), tmp_path / "adapter")
    whole = model_in(base)
    names = list(whole.base.tensors)
    for number, some in enumerate([names[:2], names[2:]], 1):
        part = {name: whole.base.tensors[name] for name in some}
        path = tmp_path / f"base-{number:05}-of-00002.gguf"
        write_model(path, replace(whole, base=replace(whole.base, tensors=part)), "f32", About("b"))
    made = lora_gguf(tmp_path / "adapter", tmp_path / "base-00001-of-00002.gguf")
    assert (
        made.read_bytes() == lora_gguf(tmp_path / "adapter", base.with_suffix(".gguf")).read_bytes()
    )


def configured(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / CONFIG_FILE
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def pickled(folder: Path) -> None:
    (folder / WEIGHTS_FILE).rename(folder / "adapter_model.bin")


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def a_pipe(folder: Path) -> None:
    (folder / WEIGHTS_FILE).unlink()
    os.mkfifo(folder / WEIGHTS_FILE)


def written(name: str, data: bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_bytes(data)

    return change


def renamed(old: str, new: str) -> Callable[[Path], None]:
    return lambda folder: rewritten(folder, lambda name, each: (name.replace(old, new), each))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (pickled, "adapter_model.bin, a pickle, which may run any program"),
        (without(CONFIG_FILE), "has no adapter_config.json: expected an adapter as PEFT saves it"),
        (without(WEIGHTS_FILE), "has no adapter_model.safetensors"),
        (a_pipe, "has no adapter_model.safetensors"),
        (written(CONFIG_FILE, b'{"a":' * 100_000), "no JSON as PEFT writes it"),
        (written(CONFIG_FILE, b"{" + b" " * 3_000_000 + b"}"), "too large"),
        (written(CONFIG_FILE, b"\xff\xfe"), "UTF-16"),
        (written(CONFIG_FILE, b"[]"), "expected an object, not a list"),
        (written(WEIGHTS_FILE, b"\xff" * 64), "is damaged, or no file of safetensors"),
        (written(WEIGHTS_FILE, b""), "is damaged, or no file of safetensors"),
        (configured(r="many"), "r: expected a whole number, not text"),
        (configured(r=10**9), "r: expected a whole number <= 65536"),
        (configured(r=5), r"are not of rank 5"),
        (configured(lora_alpha=0), "lora_alpha: expected a number > 0"),
        (configured(lora_alpha=[[1]]), "lora_alpha: expected a number, not a list"),
        (configured(rank_pattern={"(": 3}), r"'\(' in adapter_config.json is no usable pattern"),
        (configured(alpha_pattern={r"(\w|\.|[a-z]|_)*[^\w.]": 3}), "is no usable pattern"),
        (configured(peft_type="IA3"), "peft_type is 'IA3'; only LORA"),
        (configured(use_dora=True), "use_dora asks for DoRA"),
        (configured(bias="all"), "bias is 'all': trained biases are not known here"),
        (configured(modules_to_save=["lm_head"]), "modules_to_save asks for whole modules"),
        (configured(init_lora_weights="pissa_niter_4"), "'pissa_niter_4', which changes the base"),
        (configured(init_lora_weights="loftq"), "which changes the base"),
        (renamed("lora_A", "lora_magnitude_vector"), "lora_magnitude_vector.weight is no factor"),
        (
            renamed("self_attn", "self\x1b[2J"),
            "_proj: a model of the architecture llama has no",
        ),
        (
            renamed("layers.1.", "layers.2."),
            "layers.2.*no such layer, so this is of another one",
        ),
    ],
)
def test_what_is_none_for_the_model_is_told_in_one_sentence(
    base: Path, tmp_path: Path, change: Callable[[Path], None], sentence: str
) -> None:
    folder = tmp_path / "adapter"
    adapted(loaded(base), folder)
    configured(base_model_name_or_path="a/base")(folder)
    change(folder)
    with pytest.raises(UserError, match=sentence) as told:
        lora_gguf(folder, base.with_suffix(".gguf"))
    assert str(told.value).isprintable()


def test_another_bases_adapter_is_told_with_its_name(base: Path, tmp_path: Path) -> None:
    other = make_folder(tmp_path / "other", hidden_size=96)
    adapted(loaded(other), tmp_path / "adapter")
    with pytest.raises(
        UserError, match=r"of .*other has 96 x 96 for model.layers.0.*down_proj, and"
    ):
        lora_gguf(tmp_path / "adapter", base.with_suffix(".gguf"))
    tied = make_folder(tmp_path / "tied", tie_word_embeddings=True)
    write_model(tmp_path / "tied.gguf", model_in(tied), "f32", About("tied"))
    adapted(loaded(base), tmp_path / "head", target_modules=["lm_head"])
    with pytest.raises(UserError, match="the output head is the embeddings"):
        lora_gguf(tmp_path / "head", tmp_path / "tied.gguf")


async def test_the_engine_puts_it_on_and_takes_it_off(base: Path, tmp_path: Path) -> None:
    adapted(loaded(base), tmp_path / "adapter")
    document = [Segment("▀title\nThe lamp▄\n"), Segment("▀message\nAda: It is lit.▄\n")]
    adapter = Adapter(tmp_path / "adapter")
    engine = Engine()
    try:
        info = await engine.open(base.with_suffix(".gguf"), EngineOptions(n_ctx=256, n_threads=1))
        plain = await engine.logprobs(document)
        on = await engine.adapt([adapter])
        assert on.adapters == (adapter,) and on.adapters[0].name == "adapter"
        changed = await engine.logprobs(document)
        assert changed != plain and on.key != info.key
        shutil.copytree(tmp_path / "adapter", tmp_path / "copy")
        assert (await engine.adapt([Adapter(tmp_path / "copy")])).key == on.key
        with pytest.raises(UserError, match=r"has no adapter_config\.json"):
            await engine.adapt([Adapter(tmp_path)])
        assert await engine.logprobs(document) == changed
        assert (await engine.adapt([])).key == info.key
        assert await engine.logprobs(document) == plain
    finally:
        await engine.close()
