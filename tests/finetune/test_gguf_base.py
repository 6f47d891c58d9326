"""A GGUF of any kind as a base, through the commands: from the file to a merged model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shoritui import cli
from shoritui.engine.llama.model import Model
from shoritui.finetune.base_model import folder_of
from shoritui.finetune.config.model import Base
from shoritui.finetune.data.tokenizer import open_tokenizer
from shoritui.gguf.converted import model_of_folder
from shoritui.gguf.llama_cpp import LlamaFile
from shoritui.gguf.model import write_model
from shoritui.gguf.read import GgufFile
from shoritui.gguf.shape import read_config
from shoritui.gguf.write import About
from tests import smollm2
from tests.gguf.kinds import make_kind
from tests.gguf.tiny import error, loaded, logits_of

pytestmark = pytest.mark.slow

_CONFIG = """
base = {model = "base.gguf", quantize = "none"}
output = "out"
lora = {r = 4, alpha = 8, dropout = 0}
train = {epochs = 1, sequence_len = 256, optimizer = "adamw", precision = "fp32"}
watch = {device = "cpu"}
tier = [{name = "low", data = ["low.txt"], evaluation = 0.0, learning_rate = 1e-2}]
"""
_STORY = (
    "▀title\nThe lamp▄\n▀message\nAda: _Oh,_  said Ada. 🙂 It's 1984.▄\n"
    '▀message (length: nano)\nBrin: "It\'s lit."▄\n'
)


def make_base(path: Path, kind: str) -> None:
    """A file in Q8_0 of an architecture, with the vocabulary and template of SmolLM2."""
    source = GgufFile(smollm2.installed())
    words = len(source.texts("tokenizer.ggml.tokens"))
    folder = make_kind(path.parent / "model", kind, vocabulary=words)
    model = model_of_folder(folder, read_config(folder), needs_tokens=False)
    stated = {**model.metadata, **source.verbatim("tokenizer.")}
    write_model(path, replace(model, metadata=stated), "q8_0", About("tiny"))


@pytest.mark.parametrize("kind", ["qwen 3, experts", "gemma 2", "stablelm 2"])
def test_it_is_trained_proved_and_merged(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_base(tmp_path / "base.gguf", kind)
    config = tmp_path / "finetune.toml"
    config.write_text(_CONFIG)
    (tmp_path / "low.txt").write_text(_STORY, encoding="utf-8")
    assert cli.main(["finetune", str(config), "--plain"]) == 0
    for form in ("lora", "q8_0"):
        capsys.readouterr()
        target = tmp_path / f"{form}.gguf"
        words = ["finetune", "export", str(config), "--as", form, "--to", str(target)]
        assert cli.main([*words, "--verify", "--json"]) == 0
        verified = json.loads(capsys.readouterr().out)["verified"]
        assert verified["logits_error"] <= verified["tolerance"] and verified["texts"] > 3
    base, merged = (GgufFile(tmp_path / f"{name}.gguf") for name in ("base", "q8_0"))
    assert base.verbatim("tokenizer.") == merged.verbatim("tokenizer.")
    assert merged.text("tokenizer.chat_template")
    model = Model(tmp_path / "q8_0.gguf")
    assert model.tokenize(_STORY) == Model(smollm2.installed(), vocab_only=True).tokenize(_STORY)
    model.free()


def test_smollm2_answers_as_its_file_does() -> None:
    """Its real weights, of four bits; llama.cpp rounds what it multiplies with them."""
    folder = folder_of(Base(str(smollm2.installed())), lambda event: None)
    documents = [np.array(open_tokenizer(folder).ids(_STORY, first=True), np.int32)]
    with LlamaFile(smollm2.installed()) as file:
        found = file.logits(documents, None, threads=1)
    assert error(found, logits_of(loaded(folder), documents)) < 0.1
