"""An adapter written here is one for PEFT, and the other way round."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from shoritui.errors import UserError
from shoritui.finetune.config.model import Lora
from shoritui.finetune.model import adapter
from shoritui.gguf.lora.peft import CONFIG_FILE, WEIGHTS_FILE

LINEARS = {
    f"model.layers.{layer}.{name}": shape
    for layer in range(2)
    for name, shape in {
        "self_attn.q_proj": (32, 32),
        "self_attn.k_proj": (16, 32),
        "self_attn.v_proj": (16, 32),
        "self_attn.o_proj": (32, 32),
        "mlp.gate_proj": (48, 32),
        "mlp.up_proj": (48, 32),
        "mlp.down_proj": (32, 48),
    }.items()
}
LORA = Lora(r=4, alpha=8, dropout=0.05)


def mistral() -> Any:
    from transformers import MistralConfig, MistralForCausalLM

    torch.manual_seed(3)
    return MistralForCausalLM(
        MistralConfig(
            vocab_size=64,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            use_cache=False,
        )
    )


def filled(lora: Lora) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(7)
    return {
        name: torch.randn(tensor.shape, generator=draw)
        for name, tensor in adapter.fresh(LINEARS, lora, 1).items()
    }


def logits(model: Any) -> Tensor:
    with torch.no_grad():
        found: Tensor = model.eval()(input_ids=torch.arange(20)[None]).logits
    return found


@pytest.mark.parametrize(
    "lora",
    [
        LORA,
        Lora(r=4, alpha=2.5, rslora=True),
        Lora(r=8, targets=("q_proj", "down_proj")),
        Lora(r=8, targets=("k_proj", r".*\.1\..*(q|v)_proj")),
    ],
    ids=["plain", "rslora", "targets", "pattern"],
)
def test_peft_loads_ours_and_we_load_peft_s(lora: Lora, tmp_path: Path) -> None:
    from peft import PeftModel

    tensors = filled(lora)
    adapter.save(tmp_path / "ours", tensors, lora, "some/base")
    theirs: Any = PeftModel.from_pretrained(mistral(), tmp_path / "ours")
    scales = {module.scaling["default"] for module in theirs.modules() if hasattr(module, "lora_A")}
    assert scales == {lora.scale}
    assert not torch.allclose(logits(theirs), logits(mistral()))

    theirs.save_pretrained(tmp_path / "theirs", save_embedding_layers=False)
    saved = adapter.load(tmp_path / "theirs")
    assert saved.lora == adapter.load(tmp_path / "ours").lora
    assert saved.tensors.keys() == tensors.keys()
    assert all(torch.equal(saved.tensors[name], tensor) for name, tensor in tensors.items())
    adapter.check(saved, LINEARS, lora, "theirs")

    again = tmp_path / "again"
    adapter.save(again, saved.tensors, saved.lora, saved.base)
    assert torch.equal(
        logits(PeftModel.from_pretrained(mistral(), again)),
        logits(PeftModel.from_pretrained(mistral(), tmp_path / "theirs")),
    )


def test_a_fresh_adapter_depends_on_the_seed_alone() -> None:
    one = adapter.fresh(LINEARS, LORA, 5)
    torch.manual_seed(99)
    torch.rand(3)
    same = adapter.fresh(dict(reversed(LINEARS.items())), LORA, 5)
    other = adapter.fresh(LINEARS, LORA, 6)
    for name, tensor in one.items():
        assert torch.equal(tensor, same[name])
        if ".lora_B." in name:
            assert not tensor.any()
        else:
            assert not torch.equal(tensor, other[name])
            assert tensor.abs().max() <= tensor.shape[1] ** -0.5
            assert tensor.std().item() == pytest.approx((3 * tensor.shape[1]) ** -0.5, rel=0.15)


def test_a_target_that_is_no_layer() -> None:
    with pytest.raises(UserError, match="no linear layer 'q'; name some of q_proj, k_proj"):
        adapter.fresh(LINEARS, Lora(targets=("q",)), 1)


@pytest.mark.parametrize(
    ("targets", "layers"),
    [
        (("q_proj",), {"0.self_attn.q_proj", "1.self_attn.q_proj"}),
        (("1.mlp.up_proj",), {"1.mlp.up_proj"}),
        (
            ("mlp.up_proj", "1.self_attn.q_proj"),
            {"0.mlp.up_proj", "1.mlp.up_proj", "1.self_attn.q_proj"},
        ),
        ((r".*\.1\..*(q|v)_proj",), {"1.self_attn.q_proj", "1.self_attn.v_proj"}),
        (("model.layers.0.self_attn.[^.]*",), {f"0.self_attn.{kind}_proj" for kind in "qkvo"}),
    ],
)
def test_a_target_ends_a_name_or_is_a_pattern_of_whole_names(
    targets: tuple[str, ...], layers: set[str]
) -> None:
    lora = Lora(r=4, targets=targets)
    found = adapter.targeted(LINEARS, lora)
    assert {name.removeprefix("model.layers.") for name in found} == layers
    import peft

    theirs: Any = peft.get_peft_model(
        mistral(),
        peft.LoraConfig(r=4, target_modules=targets[0] if "*" in targets[0] else list(targets)),
    )
    prefix = "base_model.model."
    assert set(theirs.targeted_module_names) == {name.removeprefix(prefix) for name in found}


def test_an_adapter_that_does_not_fit(tmp_path: Path) -> None:
    adapter.save(tmp_path / "a", filled(LORA), LORA, "base")
    saved = adapter.load(tmp_path / "a")
    with pytest.raises(UserError, match=r"^here: .*lora_A.weight is 4 x 32, but 8 x 32"):
        adapter.check(saved, LINEARS, Lora(r=8), "here")
    with pytest.raises(UserError, match=r"has base_model.*for which the base .* no place"):
        adapter.check(saved, LINEARS, Lora(r=4, targets=("q_proj",)), "here")
    narrow = Lora(r=4, targets=("q_proj",))
    adapter.save(tmp_path / "a", filled(narrow), narrow, "base")
    with pytest.raises(UserError, match="has no base_model"):
        adapter.check(adapter.load(tmp_path / "a"), LINEARS, LORA, "here")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"peft_type": "IA3"}, "peft_type is 'IA3'; only LORA"),
        ({"use_dora": True}, "use_dora asks for DoRA"),
        ({"rank_pattern": {"q_proj": 8}}, "q_proj are not of rank 8"),
        ({"bias": "all"}, "bias is 'all'"),
        ({"r": "many"}, "r: expected a whole number, not text"),
    ],
)
def test_what_is_not_plain_lora_is_refused(
    change: dict[str, object], sentence: str, tmp_path: Path
) -> None:
    adapter.save(tmp_path / "a", filled(LORA), LORA, "base")
    path = tmp_path / "a" / CONFIG_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(UserError, match=sentence):
        adapter.load(tmp_path / "a")


def test_a_damaged_folder_is_told(tmp_path: Path) -> None:
    adapter.save(tmp_path / "a", filled(LORA), LORA, "base")
    weights = tmp_path / "a" / WEIGHTS_FILE
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(UserError, match="is damaged"):
        adapter.load(tmp_path / "a")
    weights.unlink()
    with pytest.raises(UserError, match=r"has no adapter_model\.safetensors"):
        adapter.load(tmp_path / "a")


def test_a_save_that_fails_leaves_the_old_adapter(tmp_path: Path) -> None:
    adapter.save(tmp_path / "a", filled(LORA), LORA, "base")
    with pytest.raises(NotImplementedError):
        adapter.save(tmp_path / "a", {"x.lora_A.weight": torch.empty(3, device="meta")}, LORA, "")
    assert adapter.load(tmp_path / "a").base == "base"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_power_cut_between_the_two_renames(tmp_path: Path) -> None:
    adapter.save(tmp_path / "a", filled(LORA), LORA, "base")
    (tmp_path / "a").rename(tmp_path / ".a.old")
    assert adapter.load(tmp_path / "a").base == "base"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
