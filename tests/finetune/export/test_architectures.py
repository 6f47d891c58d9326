"""Every architecture, from a base that transformers made to an adapter that a chat puts on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shoritui.engine import Adapter, Engine, EngineOptions, Finished, Outcome, Sampling, Segment
from shoritui.finetune.base_model import folder_of
from shoritui.finetune.config.model import Base, Config, Data, Lora, Tier, Train, Watch
from shoritui.finetune.export.export import Order, Proof, export_tier
from shoritui.finetune.export.verify import GELU_TOLERANCE
from shoritui.finetune.model.generic import linears_of
from shoritui.finetune.run.train import train
from shoritui.gguf.converted import model_of_folder
from shoritui.gguf.llama_cpp import LlamaFile
from shoritui.gguf.lora.peft import read_peft
from shoritui.gguf.lora.write import write_lora
from shoritui.gguf.model import Format, write_model
from shoritui.gguf.read import GgufFile
from shoritui.gguf.shape import read_config
from shoritui.gguf.write import About
from tests.finetune.export.trained import make_trained
from tests.gguf.kinds import KINDS, difference_of, make_kind
from tests.gguf.tiny import VOCABULARY, error, loaded, model_in
from tests.gguf.vocabularies import shipped, write_pieces

pytestmark = pytest.mark.slow

EXACT = (
    *("llama 3", "mistral nemo", "qwen 2", "qwen 2, experts", "qwen 3", "phi 3"),
    *("cohere", "granite", "nemotron", "olmo 2", "smollm 3", "stablelm 2"),
)
ROUNDED = ("gemma 2", "gemma 3", "gpt-2", "gpt-neox", "qwen 3.5")
"""llama.cpp rounds their GELU to half precision; the last sums over all tokens before."""
ABOUT = About("tiny")
DOCUMENTS = [
    np.arange(3, 60, dtype=np.int32),
    np.random.default_rng(2).integers(3, 320, 90).astype(np.int32),
]
TEXT = "▀title\nThe lamp▄\n▀message\nAda: _Oh,_ said Ada.▄\n▀message\nBrin: It is lit.▄\n"
PROMPT = [Segment("▀title\nThe lamp▄\n"), Segment("▀message\nAda:")]


def make_config(folder: Path, kind: str) -> Config:
    """A tier on a base of this kind, with the vocabulary of the model that ships."""
    base = make_kind(folder / "base", kind, VOCABULARY)
    write_pieces(base, shipped())
    (folder / "low.txt").write_text(TEXT, encoding="utf-8")
    settings = Train(learning_rate=0.05, epochs=2, precision="fp32", optimizer="adamw")
    tier = Tier("low", ("low.txt",), train=settings, data=Data(evaluation=0))
    watch = Watch(evaluate_every=0, save_every=0, reply_every=0, device="cpu")
    lora = Lora(r=4, alpha=8.0, dropout=0.0)
    return Config(folder / "finetune.toml", (tier,), Base(str(base), quantize="none"), lora, watch)


def export(config: Config, form: str) -> tuple[Path, Proof]:
    """The tier's file, and that it is the trained model."""
    folder = config.path.parent
    base = folder_of(config.base, lambda event: None, folder)
    target = folder / f"{form}.gguf"
    adapter = folder / config.output / "low"
    tier = config.tiers[0]
    order = Order(config, tier, base, adapter, form, target, is_verified=True)
    proof = export_tier(order, lambda what, done, total: None)
    assert proof is not None
    return target, proof


async def written(model: Path, *adapters: Path) -> Outcome:
    """What a chat's engine writes, with the adapters on."""
    engine = Engine()
    options = EngineOptions(n_ctx=256, n_threads=1, adapters=tuple(map(Adapter, adapters)))
    try:
        await engine.open(model, options)
        async for event in engine.generate(PROMPT, Sampling(temperature=0), max_tokens=2):
            if isinstance(event, Finished):
                return event.outcome
    finally:
        await engine.close()
    raise AssertionError("a generation ends with Finished")


@pytest.mark.parametrize("kind", KINDS)
def test_llama_cpp_puts_an_adapter_on_every_linear_layer(kind: str, tmp_path: Path) -> None:
    folder = make_kind(tmp_path / "base", kind)
    linears, _ = linears_of(loaded(folder))
    trained = make_trained(folder, tmp_path / "adapter", DOCUMENTS, target_modules=list(linears))
    model = model_of_folder(folder, read_config(folder), needs_tokens=False)
    write_model(tmp_path / "base.gguf", model, "f32", ABOUT)
    write_lora(tmp_path / "adapter.gguf", read_peft(trained.adapter), model.base, ABOUT)
    with LlamaFile(tmp_path / "base.gguf") as file:
        found = file.logits(DOCUMENTS, tmp_path / "adapter.gguf", threads=1)
    assert error(found, trained.logits) <= difference_of(folder)


@pytest.mark.parametrize("kind", EXACT + ROUNDED)
async def test_it_is_trained_exported_proved_and_put_on(kind: str, tmp_path: Path) -> None:
    config = make_config(tmp_path, kind)
    train(config, lambda event: None, lambda: False)
    most = 1e-5 if kind in EXACT else GELU_TOLERANCE
    adapter, proof = export(config, "lora")
    assert proof.texts == 5 and proof.agreement.error <= most
    whole, proof = export(config, "f32")
    assert proof.texts == 5 and proof.agreement.error <= most
    write_model(tmp_path / "base.gguf", model_in(tmp_path / "base"), "f32", ABOUT)
    apart, together = await written(tmp_path / "base.gguf", adapter), await written(whole)
    assert apart.prompt_tokens == together.prompt_tokens > 0
    assert apart.text == together.text
    folder = await written(tmp_path / "base.gguf", tmp_path / config.output / "low")
    assert folder.text == apart.text


@pytest.mark.parametrize(
    ("kind", "form"), [("qwen 3, experts", "q8_0"), ("gemma 2", "q8_0"), ("stablelm 2", "bf16")]
)
def test_a_base_that_is_a_gguf_is_left_as_it_was_but_for_what_was_trained(
    kind: str, form: Format, tmp_path: Path
) -> None:
    config = make_config(tmp_path, kind)
    write_model(tmp_path / "own.gguf", model_in(tmp_path / "base"), form, About("own"))
    config = replace(config, base=Base("own.gguf", quantize="none"))
    train(config, lambda event: None, lambda: False)
    for exported in ("lora", "f32"):
        _, proof = export(config, exported)
        assert proof.texts == 5 and proof.agreement.error <= GELU_TOLERANCE
    before, after = (GgufFile(tmp_path / f"{name}.gguf") for name in ("own", "f32"))
    assert before.tensors.keys() == after.tensors.keys()
    norm = "output_norm.weight"
    same = zip(before.raw_rows(norm), after.raw_rows(norm), strict=True)
    assert all((one == other).all() for one, other in same)
