"""Templates of other programs: known for what they are, kept, and what becomes of them is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.interop.templates import (
    context_template,
    import_template,
    instruct_template,
    kept_instructions,
    templates_of,
)

OLD_CONTEXT = {
    "story_string": "▀description\n{{char}}\n{{description}}▄\n{{system}}",
    "example_separator": "",
    "chat_start": "",
    "use_stop_strings": False,
    "always_force_name2": True,
    "include_newline": False,
    "name": "Mine",
}
OLD_INSTRUCT = {
    "wrap": False,
    "names": True,
    "system_prompt": "[INST] Nothing gory, please. [/INST]",
    "input_sequence": "▀message (length: tiny)\n",
    "output_sequence": "▄\n▀message\n",
    "separator_sequence": "▄\n",
    "last_output_sequence": "▄\n▀message (length: medium)\n",
    "stop_sequence": "▀",
    "name": "Mine too",
}
CHATML = {
    "input_sequence": "<|im_start|>user",
    "output_sequence": "<|im_start|>assistant",
    "output_suffix": "<|im_end|>\n",
    "names_behavior": "force",
    "wrap": True,
    "name": "ChatML",
}
SYSTEM = {"name": "Novelist", "content": "Write as a novelist would.", "post_history": ""}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHORITUI_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def kept(tmp_path: Path, values: Any, name: str = "mine.json") -> str:
    file = tmp_path / name
    file.write_text(json.dumps(values, ensure_ascii=False), encoding="utf-8")
    found = import_template(file)
    assert found is not None
    assert json.loads(found.path.read_text(encoding="utf-8")) == values
    return found.sentences.partition(": ")[2]


def test_a_blockml_pair_changes_nothing_and_what_is_different_is_named(tmp_path: Path) -> None:
    said = kept(tmp_path, OLD_CONTEXT)
    assert said == (
        "ShoriTUI writes BlockML by itself, so this template changes nothing; it does otherwise in "
        "story_string."
    )
    said = kept(tmp_path, OLD_INSTRUCT, "instruct.json")
    assert (
        "otherwise in input_sequence, output_sequence, last_output_sequence, stop_sequence." in said
    )
    assert said.endswith("Its instruction can be yours: /instruction offers it.")
    assert kept_instructions() == {"instruct": "Nothing gory, please."}


def test_our_own_templates_do_nothing_otherwise(tmp_path: Path) -> None:
    for values in (context_template(), instruct_template()):
        [template] = templates_of(values, "x")
        assert template.is_blockml and not template.different and not template.instructions
    assert "otherwise" not in kept(tmp_path, instruct_template())


def test_other_templates_are_kept_and_not_used(tmp_path: Path) -> None:
    assert kept(tmp_path, CHATML) == (
        "It is kept, but not used: ChatML is for another format, and ShoriTUI writes BlockML to "
        "every model."
    )
    assert kept_instructions() == {}


def test_a_system_prompt_is_offered(tmp_path: Path) -> None:
    assert kept(tmp_path, SYSTEM, "a.json") == (
        "Its instruction can be yours: /instruction offers it."
    )
    kept(tmp_path, SYSTEM | {"content": "Another."}, "a.json")
    assert kept_instructions() == {"a": "Write as a novelist would.", "a (2)": "Another."}
    blank = {"name": "Blank", "content": "{{trim}}"}
    assert kept(tmp_path, blank) == "It holds no instruction, so it is kept, but not used."


def test_a_bundle_is_all_that_is_in_it(tmp_path: Path) -> None:
    bundle = {
        "instruct": CHATML,
        "context": OLD_CONTEXT,
        "sysprompt": SYSTEM,
        "preset": {"temp": 1},
        "reasoning": {"prefix": "<think>", "suffix": "</think>", "separator": "", "name": "x"},
        "srw": "",
    }
    assert [each.kind for each in templates_of(bundle, "x")] == [
        *("instruct", "context", "sysprompt", "reasoning"),
    ]
    said = kept(tmp_path, bundle)
    assert "BlockML by itself" in said and "ChatML" in said and "/instruction" in said


def test_other_files_are_no_templates(tmp_path: Path) -> None:
    others: list[Any] = [
        {"name": "Orla", "description": "x"},
        {"content": "x", "key": []},
        [],
        {},
        3,
    ]
    for values in others:
        (tmp_path / "x.json").write_text(json.dumps(values))
        assert import_template(tmp_path / "x.json") is None
    (tmp_path / "x.json").write_text("[" * 200_000)
    assert import_template(tmp_path / "x.json") is None
    assert import_template(tmp_path / "none.json") is None


_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("a▀▄[INST]/{}\x1b\n", max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)
_NAMES = sorted({*context_template(), *instruct_template(), *SYSTEM, "instruct", "context"})


@given(
    st.dictionaries(st.sampled_from(_NAMES), _JSON), st.dictionaries(st.sampled_from(_NAMES), _JSON)
)
def test_whatever_stands_in_a_template_is_read(values: Any, inner: Any) -> None:
    for found in (values, {**values, "instruct": inner, "context": values}):
        for template in templates_of(found, "x"):
            assert "\x1b" not in "".join(template.instructions) + template.name
            assert isinstance(template.different, tuple)
