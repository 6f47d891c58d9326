"""The proof: it holds for what is right, and fails for what is not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from shoritui.errors import UserError
from shoritui.finetune.config.load import load as load_config
from shoritui.finetune.config.model import Tier
from shoritui.finetune.data.tokenizer import open_tokenizer
from shoritui.finetune.export.llama_cpp import LlamaFile
from shoritui.finetune.export.reference import Reference, reference
from shoritui.finetune.export.verify import check_adapter, check_model, check_tokens
from shoritui.finetune.model.adapter import SavedAdapter, load
from shoritui.gguf.merge import merged
from shoritui.gguf.model import Format, write_model
from shoritui.gguf.write import About
from tests.finetune.export.trained import Trained, as_config, write_saved
from tests.gguf.tiny import DOCUMENTS, error, model_in, transformers_logits

ABOUT = About("proof")


@pytest.fixture(scope="module")
def wanted(trained: Trained) -> Reference:
    return reference(trained.base, trained.adapter, DOCUMENTS)


def test_the_reference_is_what_a_whole_model_answers(trained: Trained, wanted: Reference) -> None:
    assert error(wanted.trained, trained.logits) == 0
    assert error(wanted.base, transformers_logits(trained.base)) == 0


def corrupted(saved: SavedAdapter, side: str = "lora_B") -> SavedAdapter:
    """One factor of one layer is off by a hundredth."""
    name = next(name for name in saved.tensors if side in name)
    return replace(saved, tensors=saved.tensors | {name: saved.tensors[name] * 1.01})


@pytest.mark.parametrize("side", ["", "lora_A", "lora_B", "scale"])
def test_an_adapter_is_proved_on_an_exact_base(
    trained: Trained, wanted: Reference, tmp_path: Path, side: str
) -> None:
    base, saved = model_in(trained.base), load(trained.adapter)
    write_model(tmp_path / "base.gguf", base, "f32", ABOUT)
    if side == "scale":
        saved = replace(saved, lora=replace(saved.lora, rslora=True))
    elif side:
        saved = corrupted(saved, side)
    write_saved(tmp_path / "a.gguf", saved, base.base, ABOUT)
    with LlamaFile(tmp_path / "base.gguf") as file:
        if not side:
            agreement = check_adapter(file, "lora", tmp_path / "a.gguf", DOCUMENTS, wanted)
            assert agreement.error < 1e-5 and agreement.tokens == sum(map(len, DOCUMENTS))
            return
        with pytest.raises(UserError, match="does not agree with the trained model"):
            check_adapter(file, "lora", tmp_path / "a.gguf", DOCUMENTS, wanted)


def test_an_adapter_on_another_base_fails(
    trained: Trained, wanted: Reference, tmp_path: Path
) -> None:
    base = model_in(trained.base)
    metadata = {**base.metadata, "llama.attention.layer_norm_rms_epsilon": 1e-3}
    write_model(tmp_path / "base.gguf", replace(base, metadata=metadata), "f32", ABOUT)
    write_saved(tmp_path / "a.gguf", load(trained.adapter), base.base, ABOUT)
    with (
        LlamaFile(tmp_path / "base.gguf") as file,
        pytest.raises(UserError, match="The exported base does not agree"),
    ):
        check_adapter(file, "lora", tmp_path / "a.gguf", DOCUMENTS, wanted)


@pytest.mark.parametrize(("form", "share"), [("f32", 1.01), ("q8_0", 1.5), ("q8_0", 1e-6)])
def test_a_merge_of_the_wrong_strength_fails(
    trained: Trained, wanted: Reference, tmp_path: Path, form: Format, share: float
) -> None:
    base, saved = model_in(trained.base), load(trained.adapter)
    for factor in (1.0, share):
        lora = replace(saved.lora, alpha=saved.lora.alpha * factor)
        path, adapter = tmp_path / f"{factor}.gguf", tmp_path / f"{factor}.lora.gguf"
        write_saved(adapter, replace(saved, lora=lora), base.base, ABOUT)
        write_model(path, merged(base, adapter), form, ABOUT)
        with LlamaFile(path) as file:
            if factor == 1:
                strength = check_model(file, form, DOCUMENTS, wanted).strength
                assert (strength is None) == (form == "f32")
                continue
            with pytest.raises(UserError):
                check_model(file, form, DOCUMENTS, wanted)


def test_other_tokens_are_told_with_their_place(trained: Trained, tmp_path: Path) -> None:
    config = load_config(as_config(trained, tmp_path, str(trained.base)))
    tokenizer = open_tokenizer(trained.base)
    model = model_in(trained.base)
    write_model(tmp_path / "right.gguf", model, "f32", ABOUT)
    with LlamaFile(tmp_path / "right.gguf", vocabulary_only=True) as file:
        # In the later tier, the earlier one's texts are compared as well.
        assert check_tokens(file, tokenizer, config, config.tiers[1]) == 10
        assert check_tokens(file, tokenizer, config, config.tiers[0]) == 5
        row = {"context": "▀title\nA▄\n", "chosen": "▀message\nMara: Yes.▄\n"}
        row_text = json.dumps({**row, "rejected": ["▀message\nMara: No.▄\n"]})
        (tmp_path / "swipes.jsonl").write_text(row_text, encoding="utf-8")
        taste = Tier("taste", ("swipes.jsonl",), after="low", kind="preference")
        tasted = replace(config, tiers=(*config.tiers, taste))
        # The title, and each message without a hint and with the one that its length makes.
        assert check_tokens(file, tokenizer, tasted, taste) == 5 + 1 + 2 * 2
    pieces = model.metadata["tokenizer.ggml.tokens"]
    assert isinstance(pieces, list | tuple)
    wrong = ["▁siad" if piece == "▁said" else str(piece) for piece in pieces]
    metadata = {**model.metadata, "tokenizer.ggml.tokens": wrong}
    write_model(tmp_path / "wrong.gguf", replace(model, metadata=metadata), "f32", ABOUT)
    with (
        LlamaFile(tmp_path / "wrong.gguf", vocabulary_only=True) as file,
        pytest.raises(UserError, match=r"low\.txt:3: .* cuts this text differently"),
    ):
        check_tokens(file, tokenizer, config, config.tiers[0])


@pytest.mark.parametrize("change", ["add_space_prefix", "add_bos_token"])
def test_another_beginning_of_documents_is_told(
    trained: Trained, tmp_path: Path, change: str
) -> None:
    config = load_config(as_config(trained, tmp_path, str(trained.base)))
    model = model_in(trained.base)
    key = f"tokenizer.ggml.{change}"
    metadata = {**model.metadata, key: not model.metadata[key]}
    write_model(tmp_path / "wrong.gguf", replace(model, metadata=metadata), "f32", ABOUT)
    with (
        LlamaFile(tmp_path / "wrong.gguf", vocabulary_only=True) as file,
        pytest.raises(UserError, match=r"low\.txt:1: "),
    ):
        check_tokens(file, open_tokenizer(trained.base), config, config.tiers[0])
