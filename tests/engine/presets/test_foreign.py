"""Presets of other programs: their values and orders as ours, the rest by name, and back again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.engine import ORDER, Sampling, changed, presets
from shoritui.engine.presets.foreign import (
    import_preset,
    is_preset,
    preset_of,
    sillytavern_preset,
)
from shoritui.errors import UserError

_LLAMA = ["top_k", "tfs_z", "typical_p", "top_p", "min_p", "temperature"]
_WEBUI = ["temperature", "dynamic_temperature", "quadratic_sampling", "top_k", "top_p"]
_WEBUI += ["typical_p", "epsilon_cutoff", "eta_cutoff", "tfs", "top_a", "min_p", "mirostat"]


def sillytavern(**values: Any) -> dict[str, Any]:
    """The shape of SillyTavern's files, with everything neutral but these values."""
    neutral = {
        **{"temp": 1, "temperature_last": True, "top_p": 1, "top_k": 0, "top_a": 0, "tfs": 1},
        **{"epsilon_cutoff": 0, "eta_cutoff": 0, "typical_p": 1, "min_p": 0, "rep_pen": 1},
        **{"rep_pen_range": 0, "rep_pen_decay": 0, "rep_pen_slope": 1, "no_repeat_ngram_size": 0},
        **{"penalty_alpha": 0, "num_beams": 1, "length_penalty": 1, "min_length": 0, "skew": 0},
        **{"encoder_rep_pen": 1, "freq_pen": 0, "presence_pen": 0, "do_sample": True},
        **{"early_stopping": False, "dynatemp": False, "min_temp": 0, "max_temp": 2},
        **{"dynatemp_exponent": 1, "smoothing_factor": 0, "smoothing_curve": 1},
        **{"dry_allowed_length": 2, "dry_multiplier": 0, "dry_base": 1.75},
        **{"dry_sequence_breakers": '["\\n", ":", "\\"", "*"]', "dry_penalty_last_n": 0},
        **{"add_bos_token": True, "ban_eos_token": False, "skip_special_tokens": True},
        **{"mirostat_mode": 0, "mirostat_tau": 5, "mirostat_eta": 0.1, "guidance_scale": 1},
        **{"negative_prompt": "", "grammar_string": "", "json_schema": {}, "banned_tokens": ""},
        **{"sampler_priority": _WEBUI, "samplers": _LLAMA, "ignore_eos_token": False},
        **{"spaces_between_special_tokens": True, "speculative_ngram": False},
        **{"sampler_order": [6, 0, 1, 3, 4, 2, 5], "logit_bias": [], "rep_pen_size": 0},
        **{"xtc_threshold": 0.1, "xtc_probability": 0, "nsigma": 0, "min_keep": 0},
    }
    return {**neutral, **values}


def test_values_and_order_of_sillytavern() -> None:
    found = preset_of(
        sillytavern(
            **{"temp": 2.45, "min_p": 0.4, "freq_pen": 0.12, "rep_pen_range": 512, "nsigma": 1.5},
            **{"dry_multiplier": 0.8, "dry_penalty_last_n": 2000, "xtc_probability": 0.5},
        ),
        "Card",
    )
    assert (found.program, found.title, found.left) == ("SillyTavern", "Card", ())
    sampling = found.sampling
    assert (sampling.temperature, sampling.min_p, sampling.frequency_penalty) == (2.45, 0.4, 0.12)
    assert (sampling.penalty_window, sampling.top_n_sigma) == (512, 1.5)
    assert (sampling.dry_multiplier, sampling.dry_window) == (0.8, 2000)
    assert sampling.dry_breakers == ("\n", ":", '"', "*")
    assert sampling.xtc_probability == 0.5
    assert sampling.order == ORDER


def test_what_has_no_counterpart_is_told_with_its_value_unless_it_is_neutral() -> None:
    values = sillytavern(
        **{
            "tfs": 0.95,
            "top_a": 0.2,
            "smoothing_factor": 0.3,
            "smoothing_curve": 2,
            "rep_pen": 1.1,
        },
        **{"rep_pen_slope": 0.7, "num_beams": 4, "guidance_scale": 1.5, "negative_prompt": "no"},
        **{"ban_eos_token": True, "add_bos_token": False, "genamt": 350, "some_new_thing": "x"},
    )
    assert set(preset_of(values, "x").left) == {
        *("tfs 0.95", "top_a 0.2", "smoothing_factor 0.3", "smoothing_curve 2"),
        *("rep_pen_slope 0.7", "num_beams 4", "guidance_scale 1.5", 'negative_prompt "no"'),
        *("ban_eos_token true", "add_bos_token false", "genamt 350", 'some_new_thing "x"'),
    }
    assert preset_of(sillytavern(smoothing_curve=2, negative_prompt="no"), "x").left == ()


def order_of(values: dict[str, Any]) -> list[str]:
    """The places of the steps that drop tokens, of temperature and of penalties."""
    shown = ("penalties", "top_k", "typical_p", "top_p", "min_p", "temperature")
    return [step for step in preset_of(values, "x").sampling.order if step in shown]


def test_llama_cpps_own_order_counts() -> None:
    samplers = ["min_p", "temperature", "penalties", "top_p", "typ_p", "top_k"]
    whole = ["min_p", "temperature", "penalties", "top_p", "typical_p", "top_k"]
    assert order_of(sillytavern(samplers=samplers)) == whole
    both = sillytavern(samplers=samplers, sampler_order=[5, 6, 0, 1, 2, 3, 4], temp=2, min_p=0.1)
    assert order_of(both) == whole
    assert "sampler_order [5, 6, 0, 1, 2, 3, 4] (samplers is followed)" in preset_of(both, "x").left


def test_another_programs_order_counts_where_llama_cpps_was_not_touched() -> None:
    kobold = sillytavern(sampler_order=[6, 5, 0, 2, 3, 1, 4])
    assert order_of(kobold) == ["penalties", "temperature", "top_k", "top_p", "min_p", "typical_p"]
    first = sillytavern(temperature_last=False)
    assert order_of(first)[:3] == ["penalties", "temperature", "top_k"]


@pytest.mark.parametrize("last", [True, False])
def test_temperature_last_moves_the_temperature(last: bool) -> None:
    values = {"temp": 2.0, "temperature_last": last, "min_p": 0.1, "rep_pen": 1, "top_k": 0}
    sampling = preset_of(values | {"sampler_priority": _WEBUI}, "x").sampling
    after = sampling.order.index("temperature") > sampling.order.index("min_p")
    assert after is last


def test_kobolds_order_has_dry_first_min_p_after_top_p_and_xtc_last() -> None:
    values = {
        **{"temp": 0.7, "rep_pen": 1.1, "rep_pen_range": 1024, "top_p": 0.5, "top_a": 0.75},
        **{"top_k": 0, "typical": 0.19, "tfs": 0.97, "rep_pen_slope": 0.7, "mirostat": 0},
        **{"sampler_order": [6, 5, 4, 3, 2, 1, 0], "mirostat_tau": 5, "mirostat_eta": 0.1},
    }
    found = preset_of(values, "Old")
    assert found.program == "KoboldCpp"
    assert (found.sampling.typical_p, found.sampling.repeat_penalty) == (0.19, 1.1)
    steps = [step for step in found.sampling.order if step != "top_n_sigma"]
    assert steps == [
        *("dry", "penalties", "temperature", "typical_p", "top_p", "min_p", "top_k", "xtc"),
    ]
    assert set(found.left) == {"top_a 0.75", "tfs 0.97", "rep_pen_slope 0.7"}


def test_dynamic_temperature_greedy_choice_and_mirostat() -> None:
    dynamic = preset_of(sillytavern(dynatemp=True, min_temp=0.5, max_temp=2.5), "x").sampling
    assert (dynamic.temperature, dynamic.dynatemp_range) == (1.5, 1.0)
    assert preset_of(sillytavern(do_sample=False), "x").sampling.temperature == 0
    found = preset_of(sillytavern(mirostat_mode=1, mirostat_tau=3, top_p=0.5), "x")
    assert (found.sampling.mirostat, found.sampling.mirostat_tau) == (2, 3)
    assert found.sampling.top_p == 1
    assert len(found.left) == 2 and "top_p 0.5" in found.left[1]


def test_bans_and_biases() -> None:
    found = preset_of(
        sillytavern(
            banned_tokens='"a shiver"\nspine\n[1, 2]',
            logit_bias=[
                {"text": "ah", "value": -5},
                {"text": "{oh}", "value": 2},
                {"text": "[7]", "value": 1},
            ],
        ),
        "x",
    )
    assert found.sampling.banned == ("a shiver", "spine")
    assert dict(found.sampling.logit_bias) == {" ah": -5.0, "oh": 2.0}
    assert found.left == (
        "banned tokens [1, 2] (numbers of one model's tokens)",
        "logit_bias [7] 1",
    )


def test_a_text_that_cannot_be_is_told() -> None:
    values = sillytavern(
        banned_tokens='"▄"\n"fine"', dry_sequence_breakers='["▀", "."]', freq_pen=-20
    )
    found = preset_of(values, "x")
    assert found.sampling.banned == ("fine",) and found.sampling.dry_breakers == (".",)
    assert found.left == (
        "frequency_penalty -20 (-10 is the nearest that can be)",
        "dry_sequence_breakers ▀",
        "banned tokens ▄",
    )


def test_a_window_of_nothing_is_the_whole_story_and_limits_hold() -> None:
    found = preset_of(sillytavern(rep_pen=1.2, rep_pen_range=-1, temp=99, top_k=-1), "x")
    assert found.sampling.penalty_window >= 32_000
    assert (found.sampling.temperature, found.sampling.top_k) == (20, 0)
    assert found.left == ("temperature 99 (20 is the nearest that can be)",)


def test_the_webuis_yaml_keeps_its_own_order(tmp_path: Path) -> None:
    file = tmp_path / "Warm Night.yaml"
    file.write_text(
        "temperature: 1.3\nmin_p: 0.05\nxtc_probability: 0.5\nsmoothing_factor: 0.2\n"
        'dry_sequence_breakers: \'"\\n", ":"\'\n'
    )
    taken = import_preset(file, tmp_path / "presets")
    assert taken is not None and taken.foreign.program == "text-generation-webui"
    sampling = taken.preset.sampling
    assert sampling.order.index("temperature") < sampling.order.index("min_p")
    assert sampling.order[-1] == "xtc" and sampling.dry_breakers == ("\n", ":")
    assert taken.left == ("smoothing_factor 0.2",)
    assert presets(tmp_path / "presets")[0]["warm-night"].sampling == sampling


@pytest.mark.parametrize(
    "written",
    [
        "sampler_priority: |-\n  min_p\n  temperature\n",
        "sampler_priority: 'min_p\n\n  temperature'\n",
        "sampler_priority:\n- min_p\n- temperature\n",
        'sampler_priority: "min_p\\ntemperature"\n',
        'sampler_priority: ["min_p", "temperature"]  # short\n',
    ],
)
def test_a_step_that_the_webuis_order_leaves_out_is_off(tmp_path: Path, written: str) -> None:
    file = tmp_path / "few.yml"
    file.write_text(f"# mine\ntemperature: 1.3\ntop_k: 40\nmin_p: 0.1\n{written}")
    taken = import_preset(file, tmp_path / "presets")
    assert taken is not None
    sampling = taken.preset.sampling
    assert (sampling.top_k, sampling.min_p) == (0, 0.1)
    assert sampling.order.index("min_p") < sampling.order.index("temperature")
    assert taken.left == ("top_k 40 (not in its sampler_priority)",)


def test_settings_of_kobold_lite() -> None:
    settings = {
        **{"temperature": 0.9, "rep_pen": 1.07, "rep_pen_range": 360, "rep_pen_slope": 0.7},
        **{"top_p": 0.92, "min_p": 0.0, "typ_s": 1, "tfs_s": 0.9, "miro_type": 2, "miro_tau": 4},
        **{"miro_eta": 0.2, "sampler_seed": -1, "sampler_order": [6, 0, 1, 3, 4, 2, 5]},
        **{"chatname": "Me", "chatopponent": "Orla", "max_length": 200},
    }
    assert is_preset({"savedsettings": settings})
    found = preset_of({"savedsettings": settings}, "x")
    assert (found.program, found.sampling.temperature) == ("KoboldCpp", 0.9)
    assert (found.sampling.mirostat, found.sampling.mirostat_tau) == (2, 4)
    assert "tfs_s 0.9" in found.left and "max_length 200" in found.left


def test_other_files_are_no_presets(tmp_path: Path) -> None:
    for found in (
        {"name": "Orla", "description": "x", "temp": 1},
        {"story_string": "", "temp": 1, "top_p": 1, "top_k": 1, "min_p": 0, "tfs": 1},
        {},
        {"text": "hello"},
        {"name": "x", "content": "You are x."},
    ):
        assert not is_preset(found)
    for name, text in (("a.yaml", "name: Orla\ncontext: x\n"), ("b.json", "[" * 100_000)):
        (tmp_path / name).write_text(text)
        assert import_preset(tmp_path / name, tmp_path) is None
    assert import_preset(tmp_path / "none.json", tmp_path) is None
    assert import_preset(tmp_path, tmp_path) is None


def test_nothing_is_replaced_and_the_original_stays_beside(tmp_path: Path) -> None:
    file = tmp_path / "Hot & Cold.json"
    file.write_text(json.dumps(sillytavern(temp=2, tfs=0.9)))
    names = []
    for _ in range(2):
        taken = import_preset(file, tmp_path / "presets")
        assert taken is not None
        names.append(taken.preset.name)
        assert json.loads(taken.path.with_suffix(".json").read_text())["tfs"] == 0.9
    assert names == ["hot-cold", "hot-cold (2)"]
    assert taken is not None and "tfs 0.9" in taken.sentences


# Back again


_NUMBERS = {
    "temperature": st.integers(0, 2000).map(lambda n: n / 100),
    "dynatemp_range": st.integers(0, 100).map(lambda n: n / 100),
    "top_k": st.integers(0, 1000),
    "min_p": st.integers(0, 100).map(lambda n: n / 100),
    "top_n_sigma": st.integers(0, 100).map(lambda n: n / 10),
    "typical_p": st.integers(0, 100).map(lambda n: n / 100),
    "xtc_probability": st.integers(0, 100).map(lambda n: n / 100),
    "repeat_penalty": st.integers(1, 20).map(lambda n: n / 10),
    "frequency_penalty": st.integers(-20, 20).map(lambda n: n / 10),
    "penalty_window": st.integers(1, 32_768),
    "dry_multiplier": st.integers(0, 50).map(lambda n: n / 10),
    "dry_window": st.integers(1, 32_768),
    "dry_breakers": st.lists(st.text("ab*:\n\"' é", min_size=1, max_size=4), unique=True),
    "banned": st.lists(st.sampled_from(["a shiver", "spine", "Ozon-Duft"]), unique=True),
    "logit_bias": st.dictionaries(
        st.sampled_from(["the", " the", "ah", " oh"]), st.integers(-50, 50).map(float)
    ),
    "seed": st.integers(0, 2**32 - 2),
    "order": st.permutations(ORDER),
}
_VALUES = st.fixed_dictionaries({}, optional=_NUMBERS)


@given(_VALUES)
def test_what_is_written_for_sillytavern_is_read_back(values: dict[str, Any]) -> None:
    sampling = changed(Sampling(), values)
    if sampling.temperature - sampling.dynatemp_range < 0 or not sampling.temperature:
        sampling = replace(sampling, dynatemp_range=0.0)
    if not sampling.dry_breakers:
        sampling = replace(sampling, dry_breakers=Sampling().dry_breakers)
    biases = {text: by for text, by in sampling.logit_bias if by}
    sampling = changed(sampling, {"logit_bias": biases})
    written = json.loads(json.dumps(sillytavern_preset(sampling)))
    found = preset_of(written, "x")
    assert found.left == ()
    assert dict(found.sampling.logit_bias) == dict(sampling.logit_bias)
    assert replace(found.sampling, logit_bias=()) == replace(sampling, logit_bias=())


def test_a_file_comes_in_and_goes_out_as_it_was_but_for_what_was_changed(tmp_path: Path) -> None:
    values = sillytavern(temp=1.5, tfs=0.9, genamt=300, unknown={"a": 1}, min_p=0.05, top_k=-1)
    sampling = preset_of(values, "x").sampling
    assert sillytavern_preset(sampling, values) == values
    hotter = sillytavern_preset(replace(sampling, temperature=2.0, adaptive_target=0.5), values)
    assert hotter == {**values, "temp": 2.0, "adaptive_target": 0.5}


_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(sorted(sillytavern())), _JSON, min_size=1))
def test_whatever_stands_in_a_preset_is_read(values: dict[str, Any]) -> None:
    if not is_preset(values):
        return
    found = preset_of(values, "x")
    assert json.dumps(sillytavern_preset(found.sampling, values))


@given(st.text("abt_:'\"-|>[]{}#&* \n01.", max_size=80))
def test_any_yaml_is_a_preset_or_none(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("yaml", numbered=True)
    (folder / "x.yaml").write_text(f"top_p: {text}\n")
    try:
        import_preset(folder / "x.yaml", folder)
    except UserError:
        pytest.fail("a preset may be none, but is never refused")
