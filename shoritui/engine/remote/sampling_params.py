"""Sampler values as a server's own fields, and which of them it cannot do.

`profiles.py` has the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shoritui.engine.remote import profiles
from shoritui.engine.remote.profiles import ServerProfile
from shoritui.engine.sampling_params import MARKS, Sampling

_PENALTIES: Final = ("repeat_penalty", "frequency_penalty", "presence_penalty")
_PART_OF: Final = {
    "dynatemp_exponent": ("dynatemp_range",),
    "xtc_threshold": ("xtc_probability",),
    "penalty_window": _PENALTIES,
    "dry_base": ("dry_multiplier",),
    "dry_allowed_length": ("dry_multiplier",),
    "dry_window": ("dry_multiplier",),
    "dry_breakers": ("dry_multiplier",),
    "mirostat_tau": ("mirostat",),
    "mirostat_eta": ("mirostat",),
    "adaptive_decay": ("adaptive_target",),
}
"""Values that say how others work, and mean nothing while those are neutral."""
_LEADING: Final = (
    *("temperature", "dynatemp_range", "top_k", "top_p", "min_p", "top_n_sigma", "typical_p"),
    *("xtc_probability", *_PENALTIES, "dry_multiplier", "mirostat", "adaptive_target"),
    *("logit_bias", "banned", "seed"),
)
_CUTS: Final = ("top_n_sigma", "top_k", "typical_p", "top_p", "min_p")
_STEP_VALUES: Final = {
    "penalties": _PENALTIES,
    "dry": ("dry_multiplier",),
    "xtc": ("xtc_probability",),
    "temperature": ("temperature", "dynatemp_range"),
}
_NEUTRAL: Final = Sampling()


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """The fields of a request that say how tokens are chosen."""

    fields: dict[str, object]
    ignored: tuple[str, ...]
    """Sampler values in use that the server does not know."""
    unsure: tuple[str, ...]
    """Those in use that it may not know."""


def sampling_params(
    profile: ServerProfile,
    sampling: Sampling,
    names: Sequence[str] = (),
    bias: Mapping[int, float] | None = None,
) -> SamplingParams:
    """What to ask of a server of this profile; `bias` is the logit bias by token.

    None as `bias` says that the server's tokens are not known.
    """
    used = [name for name in _LEADING if getattr(sampling, name) != getattr(_NEUTRAL, name)]
    used += [part for part, leaders in _PART_OF.items() if _needed(leaders, used, profile)]
    known = [name for name in used if name in profile.fields]
    if bias is None and "logit_bias" in known:
        known.remove("logit_bias")
    sent = [name for name in _LEADING if name in profile.fields and name not in profile.unsure]
    fields = {
        profile.fields[name]: _value(sampling, name, names)
        for name in dict.fromkeys([*sent, *known])
        if name != "logit_bias" and getattr(sampling, name) not in (None, ())
    }
    if bias:
        fields[profile.fields["logit_bias"]] = {str(token): value for token, value in bias.items()}
    ignored = [name for name in used if name not in known]
    if not _FINISHES.get(profile.name, _keep_order)(profile, sampling, fields):
        ignored.append("order")
    unsure = tuple(name for name in known if name in profile.unsure)
    return SamplingParams(fields, tuple(ignored), unsure)


def _needed(leaders: tuple[str, ...], used: Sequence[str], profile: ServerProfile) -> bool:
    """Whether a part says something: its leader is in use, and the server knows that one."""
    return any(leader in used and leader in profile.fields for leader in leaders)


def _value(sampling: Sampling, name: str, names: Sequence[str]) -> object:
    value = getattr(sampling, name)
    if name == "dry_breakers":
        return [*value, *MARKS, *(each for each in names if each not in value)]
    if name == "adaptive_target" and not value:
        return -1.0  # 0 would be a target.
    return list(value) if isinstance(value, tuple) else value


# The order of the steps


def _steps(sampling: Sampling) -> list[str]:
    """The steps that do something, in the order asked for."""
    return [name for name in sampling.order if _does_something(sampling, name)]


def _does_something(sampling: Sampling, step: str) -> bool:
    if step == "temperature" and sampling.temperature == 0:
        return False  # The likeliest token is taken, wherever this stands.
    values = _STEP_VALUES.get(step, (step,))
    return any(getattr(sampling, name) != getattr(_NEUTRAL, name) for name in values)


def _keep_order(profile: ServerProfile, sampling: Sampling, fields: dict[str, object]) -> bool:
    """Whether a server whose order is fixed does the steps as asked.

    Those that drop tokens count as one, their own order being of little weight. Where temperature
    comes first on the server but not here, `min_p` is converted: at temperature T the share m of
    the likeliest token's probability has become m^(1/T), so the same tokens stay.
    """
    steps = [step for step in _steps(sampling) if step in (*_CUTS, "temperature", "penalties")]
    if profile.order == "unknown" or not steps:
        return True
    if "penalties" in steps[1:]:
        return False
    if "temperature" not in steps:
        return True
    cuts = [step for step in steps if step in _CUTS]
    heat = steps.index("temperature")
    before = [step for step in steps[:heat] if step in _CUTS]
    if profile.order == "penalties, cut, temperature":
        return before == cuts
    if "min_p" in before:
        fields[profile.fields["min_p"]] = sampling.min_p ** (1 / sampling.temperature)
    return not set(before) - {"min_p", "top_k"}


# What single profiles of servers want beside the table


def _finish_llama_server(
    profile: ServerProfile, sampling: Sampling, fields: dict[str, object]
) -> bool:
    steps = ["typ_p" if step == "typical_p" else step for step in sampling.order]
    fields["samplers"] = [*steps, "adaptive_p"] if sampling.adaptive_target else steps
    return True


_KOBOLD_STEPS: Final = {
    "penalties": 6,
    "top_k": 0,
    "typical_p": 4,
    "top_p": 2,
    "min_p": 2,
    "temperature": 5,
}


def _finish_koboldcpp(
    profile: ServerProfile, sampling: Sampling, fields: dict[str, object]
) -> bool:
    """Its steps have numbers, `top_p` and `min_p` one together; all must be named."""
    wanted = sorted(sampling.order, key=lambda step: not _does_something(sampling, step))
    numbers = dict.fromkeys(_KOBOLD_STEPS[step] for step in wanted if step in _KOBOLD_STEPS)
    fields["sampler_order"] = [*numbers, 1, 3]
    steps = [step for step in _steps(sampling) if step in _KOBOLD_STEPS]
    if "top_p" not in steps or "min_p" not in steps:
        return True
    between = sorted((steps.index("top_p"), steps.index("min_p")))
    return between[1] - between[0] == 1


def _finish_vllm(profile: ServerProfile, sampling: Sampling, fields: dict[str, object]) -> bool:
    if not sampling.top_k:
        fields["top_k"] = -1  # Older ones refuse 0.
    if sampling.banned:
        cased = ((text, text.lower(), text.capitalize()) for text in sampling.banned)
        fields["bad_words"] = list(dict.fromkeys(form for forms in cased for form in forms))
    return _keep_order(profile, sampling, fields)


def _finish_tabby(profile: ServerProfile, sampling: Sampling, fields: dict[str, object]) -> bool:
    """Temperature is first or last there, and dynamic temperature a span."""
    fields.pop("max_temp", None)
    if sampling.dynatemp_range:
        fields["min_temp"] = max(0.0, sampling.temperature - sampling.dynatemp_range)
        fields["max_temp"] = sampling.temperature + sampling.dynatemp_range
    steps = [step for step in _steps(sampling) if step in (*_CUTS, "temperature")]
    if "temperature" not in steps:
        return True
    fields["temperature_last"] = steps[-1] == "temperature"
    return "temperature" in (steps[0], steps[-1])


_Finish = Callable[[ServerProfile, Sampling, dict[str, object]], bool]
_FINISHES: Final[dict[str, _Finish]] = {
    profiles.LLAMA_SERVER.name: _finish_llama_server,
    profiles.KOBOLDCPP.name: _finish_koboldcpp,
    profiles.VLLM.name: _finish_vllm,
    profiles.TABBY.name: _finish_tabby,
}
