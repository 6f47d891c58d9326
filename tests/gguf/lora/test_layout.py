"""Where layers stand: every row once, whatever the heads, and none of a base that is another."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.errors import UserError
from shoritui.gguf.lora.layout import Base, Layout
from shoritui.gguf.lora.orders import COLUMNS, FUSED, ROWS, Heads

ORDERS = {
    id(each): each for table in (*ROWS.values(), *COLUMNS.values()) for each in table.values()
}
CUTS = {id(cut): cut for table in FUSED.values() for _, cut in table}
BASE = Base("llama", 2, (4, 4), (2, 2), {})


@st.composite
def heads(draw: st.DrawFn) -> Heads:
    keys, linear_keys = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    return Heads(
        keys * draw(st.integers(1, 4)),
        keys,
        linear_keys,
        linear_keys * draw(st.integers(1, 4)),
        2 * draw(st.integers(1, 3)),
    )


@given(heads(), st.integers(1, 3), st.sampled_from([*ORDERS.values(), *CUTS.values()]))
def test_every_row_is_there_once(of: Heads, half: int, order: object) -> None:
    width = 2 * half
    counts = {
        of.queries * width,
        of.keys * width,
        of.linear_values * width,
        3 * of.queries * width,
        (of.queries + 2 * of.keys) * width,
        2 * of.linear_keys * of.linear_width + of.linear_values * width,
        2 * (of.linear_keys * of.linear_width + of.linear_values * width),
    }
    assert callable(order)
    fitted = 0
    for count in counts:
        try:
            found = order(count, of)
        except ValueError:
            continue
        fitted += 1
        rows = np.concatenate(list(found.values())) if isinstance(found, dict) else found
        assert sorted(rows) == list(range(count))
    assert fitted


def test_names_of_modules_that_also_see_or_are_experts() -> None:
    layout = Layout(BASE)
    for module, name in {
        "model.layers.1.self_attn.v_proj": "blk.1.attn_v.weight",
        "model.language_model.layers.1.self_attn.v_proj": "blk.1.attn_v.weight",
        "language_model.model.layers.1.mlp.down_proj": "blk.1.ffn_down.weight",
        "model.text_model.layers.0.self_attn.o_proj": "blk.0.attn_output.weight",
        "lm_head": "output.weight",
        "model.layers.0.block_sparse_moe.experts.3.w2": "blk.0.ffn_down_exps.weight",
    }.items():
        (part,) = layout.parts(module, (64, 64))
        assert part.name == name
        assert part.expert == (3 if "experts" in module else None)


def test_architectures_do_not_leak_into_each_other() -> None:
    """The gguf package adds one architecture's names to a table of all."""
    names = {"model.layers.0.self_attn.q_proj", "model.layers.0.mlp.gate_proj", "lm_head"}
    before = {name: Layout(BASE).name(name) for name in names}
    for architecture in ("arctic", "deepseek2", "qwen35", "mamba", "glm4moe"):
        Layout(replace(BASE, architecture=architecture))
    assert {name: Layout(BASE).name(name) for name in names} == before


@pytest.mark.parametrize(
    ("architecture", "module", "sentence"),
    [
        ("no\x1b[such", "lm_head", "named in a GGUF is not known here"),
        ("llama", "model.vision_tower.x", "no such layer, so this is of another one"),
        ("falcon-h1", "lm_head", "convert it with llama.cpp's convert_lora_to_gguf.py"),
        ("deepseek2", "model.layers.0.self_attn.kv_a_proj_with_mqa", "applies no adapter to a"),
        ("llama", "model.layers.0.self_attn.q_proj", "which the heads of its base do not divide"),
        ("llama", "model.layers.7.self_attn.q_proj", "no such layer"),
    ],
)
def test_what_cannot_be_is_a_sentence(architecture: str, module: str, sentence: str) -> None:
    with pytest.raises(UserError, match=re.escape(sentence)) as told:
        layout = Layout(replace(BASE, architecture=architecture))
        layout.check_applied(module)
        layout.parts(module, (63, 64))
    assert str(told.value).isprintable()
