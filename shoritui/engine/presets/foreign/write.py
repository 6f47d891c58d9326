"""A sampler as a text-generation preset of SillyTavern."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from shoritui.engine.presets.foreign.orders import KOBOLD_ORDER, Values
from shoritui.engine.presets.foreign.read import WHOLE_STORY, preset_of
from shoritui.engine.sampling_params import Sampling
from shoritui.text import as_json, one_line

_NEUTRAL: Final[Values] = {
    **dict.fromkeys(("top_a", "epsilon_cutoff", "eta_cutoff", "rep_pen_decay", "skew"), 0),
    **dict.fromkeys(("no_repeat_ngram_size", "penalty_alpha", "min_length", "rep_pen_size"), 0),
    **dict.fromkeys(("tfs", "rep_pen_slope", "num_beams", "length_penalty", "encoder_rep_pen"), 1),
    **dict.fromkeys(("early_stopping", "ban_eos_token", "ignore_eos_token"), False),
    **dict.fromkeys(("speculative_ngram", "json_schema_allow_empty"), False),
    **dict.fromkeys(("add_bos_token", "skip_special_tokens"), True),
    **dict.fromkeys(("spaces_between_special_tokens",), True),
    **dict.fromkeys(("negative_prompt", "grammar_string"), ""),
    **dict.fromkeys(("smoothing_factor", "min_keep"), 0),
    **dict.fromkeys(("smoothing_curve", "guidance_scale"), 1),
    "json_schema": None,
}
"""What SillyTavern sets beside, at the values at which it does nothing."""
_KOBOLD: Final = {
    "penalties": 6,
    "top_k": 0,
    "typical_p": 4,
    "top_p": 2,
    "min_p": 2,
    "temperature": 5,
}
_WEBUI: Final = {
    "penalties": ("repetition_penalty", "presence_penalty", "frequency_penalty"),
    "temperature": ("temperature", "dynamic_temperature", "quadratic_sampling"),
}
_WEBUI_REST: Final = (
    *("epsilon_cutoff", "eta_cutoff", "tfs", "top_a", "mirostat"),
    *("encoder_repetition_penalty", "no_repeat_ngram"),
)


def sillytavern_preset(sampling: Sampling, kept: Values | None = None) -> dict[str, Any]:
    """Return the JSON of a text completion preset.

    Args:
        sampling: The values; `preset_of` reads them back as they are.
        kept: What SillyTavern's file held that the preset was imported from. It comes back as it
            was, but for the values that were changed since.
    """
    now = _written(sampling)
    if kept is None:
        return {**_NEUTRAL, **now}
    before = _written(preset_of(kept, "").sampling)
    changes = {name: now[name] for name in now if name not in before or now[name] != before[name]}
    return {**kept, **changes}


def _written(sampling: Sampling) -> dict[str, Any]:
    """Return what SillyTavern has for our values."""
    steps, temperature = sampling.order, sampling.temperature
    reach = sampling.dynatemp_range if temperature else 0
    penalises, repeats = sampling.penalty_window > 0, sampling.dry_window > 0
    priority = [name for step in steps for name in _WEBUI.get(step, (step,))]
    numbers = dict.fromkeys(_KOBOLD[step] for step in steps if step in _KOBOLD)
    known: dict[str, Any] = {
        "temp": temperature,
        "temperature_last": steps[-1] == "temperature",
        "dynatemp": reach > 0,
        "min_temp": round(max(0.0, temperature - reach), 6) if reach else 0,
        "max_temp": round(temperature + reach, 6) if reach else 2,
        "dynatemp_exponent": sampling.dynatemp_exponent,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "typical_p": sampling.typical_p,
        "nsigma": sampling.top_n_sigma,
        "xtc_threshold": sampling.xtc_threshold,
        "xtc_probability": sampling.xtc_probability,
        "rep_pen": sampling.repeat_penalty if penalises else 1,
        "rep_pen_range": _window(sampling.penalty_window),
        "freq_pen": sampling.frequency_penalty if penalises else 0,
        "presence_pen": sampling.presence_penalty if penalises else 0,
        "dry_multiplier": sampling.dry_multiplier if repeats else 0,
        "dry_base": sampling.dry_base,
        "dry_allowed_length": sampling.dry_allowed_length,
        "dry_penalty_last_n": _window(sampling.dry_window),
        "dry_sequence_breakers": as_json(sampling.dry_breakers),
        "mirostat_mode": sampling.mirostat,
        "mirostat_tau": sampling.mirostat_tau,
        "mirostat_eta": sampling.mirostat_eta,
        "adaptive_target": sampling.adaptive_target,
        "adaptive_decay": sampling.adaptive_decay,
        "do_sample": True,
        "seed": -1 if sampling.seed is None else sampling.seed,
        "banned_tokens": "\n".join(f'"{one_line(text)}"' for text in sampling.banned),
        "logit_bias": [{"text": f"{{{text}}}", "value": by} for text, by in _biases(sampling)],
        "samplers": ["typ_p" if step == "typical_p" else step for step in steps],
        "sampler_priority": [*priority, *_WEBUI_REST],
    }
    if steps.index("min_p") == steps.index("top_p") + 1:  # which are one step there
        known["sampler_order"] = [*numbers, *(each for each in KOBOLD_ORDER if each not in numbers)]
    return known


def _biases(sampling: Sampling) -> Iterator[tuple[str, float]]:
    """Yield texts as they stand, with their biases: ours count with a space before them too."""
    found: dict[str, float] = {}
    for text, by in sampling.logit_bias:
        for spelling in {text, " " + text.removeprefix(" ")}:
            found[spelling] = found.get(spelling, 0.0) + by
    yield from sorted(found.items())


def _window(tokens: int) -> int:
    """Return a window as SillyTavern has it: -1 is the whole story."""
    return -1 if tokens >= WHOLE_STORY else tokens
