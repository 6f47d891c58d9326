"""Read presets of SillyTavern, text-generation-webui, KoboldCpp and others: values, order, rest.

The shapes were read in the programs' public sources: SillyTavern `public/scripts/
textgen-settings.js` and `default/content/presets`, text-generation-webui `modules/presets.py` and
`modules/llama_cpp_server.py`, KoboldCpp `gpttype_adapter.cpp` and its Lite page.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

import msgspec

from shoritui.bounded import read_json
from shoritui.engine.presets.foreign.orders import Values, found_orders
from shoritui.engine.sampling_params import FIELDS, ORDER, Sampling, changed
from shoritui.errors import UserError
from shoritui.text import message, one_line

WHOLE_STORY: Final = 32_768
"""The tokens that a window takes which other programs write as 0 or -1: all there are."""
_MOST_TEXTS: Final = 1000
_MOST_NAMED: Final = 50
_MOST_TOLD: Final = 200
_NEUTRAL: Final = Sampling()

_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "temperature": ("temp", "temperature"),
    "dynatemp_range": ("dynatemp_range",),
    "dynatemp_exponent": ("dynatemp_exponent",),
    "top_k": ("top_k",),
    "top_p": ("top_p",),
    "min_p": ("min_p",),
    "top_n_sigma": ("nsigma", "top_n_sigma"),
    "typical_p": ("typical_p", "typical", "typ_s", "typ_p"),
    "xtc_probability": ("xtc_probability",),
    "xtc_threshold": ("xtc_threshold",),
    "repeat_penalty": ("rep_pen", "repetition_penalty", "repeat_penalty"),
    "frequency_penalty": ("freq_pen", "frequency_penalty"),
    "presence_penalty": ("presence_pen", "presence_penalty"),
    "penalty_window": ("rep_pen_range", "repetition_penalty_range", "repeat_last_n"),
    "dry_multiplier": ("dry_multiplier",),
    "dry_base": ("dry_base",),
    "dry_allowed_length": ("dry_allowed_length",),
    "dry_window": ("dry_penalty_last_n",),
    "mirostat": ("mirostat_mode", "mirostat", "miro_type"),
    "mirostat_tau": ("mirostat_tau", "miro_tau"),
    "mirostat_eta": ("mirostat_eta", "miro_eta"),
    "adaptive_target": ("adaptive_target",),
    "adaptive_decay": ("adaptive_decay",),
    "seed": ("seed", "sampler_seed"),
}
"""Our numbers, and what other programs call them."""
_LEADERS: Final = {
    "dynatemp_exponent": ("dynatemp_range",),
    "xtc_threshold": ("xtc_probability",),
    "penalty_window": ("repeat_penalty", "frequency_penalty", "presence_penalty"),
    **dict.fromkeys(("dry_base", "dry_allowed_length", "dry_window"), ("dry_multiplier",)),
    **dict.fromkeys(("mirostat_tau", "mirostat_eta"), ("mirostat",)),
    "adaptive_decay": ("adaptive_target",),
}
"""Values that mean nothing while those that they belong to are neutral."""
_WINDOWS: Final = ("penalty_window", "dry_window")
_OFF_BELOW_0: Final = ("top_k", "top_n_sigma", "adaptive_target")

_WITHOUT: Final[Mapping[str, tuple[object, ...]]] = {
    **dict.fromkeys(("top_a", "epsilon_cutoff", "eta_cutoff", "skew"), (0,)),
    **dict.fromkeys(("tfs", "tfs_s", "tfs_z", "tail_free_sampling"), (1,)),
    **dict.fromkeys(("encoder_rep_pen", "encoder_repetition_penalty"), (1,)),
    **dict.fromkeys(("no_repeat_ngram_size", "penalty_alpha", "rep_pen_size"), (0,)),
    **dict.fromkeys(("smoothing_factor", "min_keep", "max_tokens_second", "min_length"), (0,)),
    **dict.fromkeys(("guidance_scale", "num_beams", "n"), (0, 1)),
    **dict.fromkeys(("rep_pen_slope", "repetition_penalty_slope"), (0, 1)),
    **dict.fromkeys(("add_bos_token", "skip_special_tokens"), (True,)),
    **dict.fromkeys(("spaces_between_special_tokens", "openrouter_allow_fallbacks"), (True,)),
    **dict.fromkeys(("grammar_string", "grammar", "json_schema", "custom_model"), ()),
    **dict.fromkeys(("ban_eos_token", "ignore_eos_token", "speculative_ngram", "streaming"), ()),
    **dict.fromkeys(("rep_pen_decay", "json_schema_allow_empty", "genamt", "max_length"), ()),
    **dict.fromkeys(("use_default_badwordsids", "legacy_api", "bypass_status_check"), (0, 1)),
    "smoothing_curve": (1,),
    "math1_temp": (1,),
    "length_penalty": (1,),
    "early_stopping": (),
    "negative_prompt": (),
}
"""Names that ShoriTUI has no counterpart for, and which of their values do nothing there.

0, false and what is empty do nothing either, except where 0 would say something.
"""
_ZERO_SAYS_SOMETHING: Final = frozenset(
    name for name, values in _WITHOUT.items() if values in ((1,), (True,))
)
_WITHOUT_LEADERS: Final[Mapping[str, tuple[tuple[str, ...], object]]] = {
    "smoothing_curve": (("smoothing_factor",), 0),
    "length_penalty": (("num_beams",), 1),
    "early_stopping": (("num_beams",), 1),
    "negative_prompt": (("guidance_scale",), 1),
    "rep_pen_slope": (_NAMES["repeat_penalty"], 1),
    "rep_pen_decay": (_NAMES["repeat_penalty"], 1),
}
"""Which of them do nothing while another name has this value."""
_HANDLED: Final = frozenset(
    {
        *("dynatemp", "dynamic_temperature", "min_temp", "max_temp", "dynatemp_low"),
        *("dynatemp_high", "do_sample", "temperature_last", "dry_sequence_breakers"),
        *("banned_tokens", "banned_strings", "logit_bias", "name", "preset", "description"),
        *("sampler_priority", "samplers", "samplers_priorities", "sampler_order"),
    }
)
_KNOWN: Final = frozenset(
    {*(each for names in _NAMES.values() for each in names), *_WITHOUT, *_HANDLED}
) - {"name", "preset", "description", "n", "seed", "grammar", "max_length", "streaming"}
_BUNDLED: Final = frozenset({"instruct", "context", "sysprompt", "reasoning", "srw"})
_SIGNS: Final[Mapping[str, tuple[str, ...]]] = {
    "a chat completion service": ("chat_completion_source", "openai_max_context", "prompts"),
    "NovelAI": ("phrase_rep_pen", "tail_free_sampling", "repetition_penalty_slope"),
    "KoboldCpp": ("typ_s", "miro_type", "tfs_s", "typical"),
    "llama.cpp": ("repeat_penalty", "repeat_last_n", "n_predict"),
    "SillyTavern": ("temp", "rep_pen", "freq_pen", "rep_pen_range"),
}


@dataclass(frozen=True, slots=True)
class ForeignPreset:
    """A preset of another program, as values of ours."""

    title: str
    program: str
    """Whose it is: `SillyTavern`, `text-generation-webui`, `KoboldCpp`, `llama.cpp`, …"""
    sampling: Sampling
    left: tuple[str, ...]
    """What ShoriTUI has no counterpart for, each by name with its value; nothing neutral."""


def is_preset(found: Values) -> bool:
    """Return whether the values of a JSON or YAML file are a sampler preset."""
    found = inner_preset(found)
    if {"story_string", "input_sequence", "spec", "entries", "data", "messages"} & found.keys():
        return False
    known = sum(name in _KNOWN for name in found)
    return known >= 5 or 0 < known == len(found)


def preset_of(found: Values, name: str) -> ForeignPreset:
    """Return the preset in the values of a JSON or YAML file.

    Args:
        found: What `is_preset` knows for one.
        name: What it is called if it does not say so itself.
    """
    values = inner_preset(found)
    title = values.get("name") or values.get("preset") or name
    reading = _Reading(values)
    return ForeignPreset(
        one_line(title)[:100] if isinstance(title, str) else name,
        reading.program,
        reading.sampling(),
        _shortened(reading.left),
    )


def _shortened(left: Sequence[str]) -> tuple[str, ...]:
    rest = len(left) - _MOST_TOLD
    return tuple([*left[:_MOST_TOLD], f"{rest:,} more"] if rest > 0 else left)


def inner_preset(found: Values) -> Values:
    """Return the preset in SillyTavern's master export or Kobold Lite's settings, or `found`."""
    for name, others in (("preset", _BUNDLED), ("savedsettings", {"savedsettings"})):
        inner = found.get(name)
        if isinstance(inner, dict) and others & found.keys() and "actions" not in found:
            return inner
    return found


class _Reading:
    """Reads one preset, and notes what is left."""

    def __init__(self, values: Values) -> None:
        self.values = values
        self.left: list[str] = []
        signs = ((program, sum(s in values for s in each)) for program, each in _SIGNS.items())
        self.program = next((p for p, count in signs if count), "text-generation-webui")

    def sampling(self) -> Sampling:
        """Return the values as ours."""
        found: dict[str, Any] = {}
        for name, others in _NAMES.items():
            if self.program == "NovelAI" and name.endswith(("_penalty", "_window")):
                continue  # its penalties are on another scale
            for other in others:
                if (number := _number(self.values.get(other))) is not None:
                    found[name] = number
                    break
        self._heat(found)
        self._draw(found)
        for name in list(found):
            self._fit(name, found)
        self._texts(found)
        order = self._order(found)
        sampling = changed(_NEUTRAL, {**found, "order": order})
        self.left += self._rest()
        return sampling

    def _heat(self, found: dict[str, Any]) -> None:
        values = self.values
        if _is_true(values.get("dynatemp")) or _is_true(values.get("dynamic_temperature")):
            low, high = (
                next((n for n in map(_number, map(values.get, names)) if n is not None), default)
                for names, default in (
                    (("min_temp", "dynatemp_low"), 1.0 if "dynamic_temperature" in values else 0.0),
                    (
                        ("max_temp", "dynatemp_high"),
                        1.0 if "dynamic_temperature" in values else 2.0,
                    ),
                )
            )
            found["temperature"] = round((low + high) / 2, 6)
            found["dynatemp_range"] = round(max(0.0, high - low) / 2, 6)
        if values.get("do_sample") is False:
            found["temperature"] = 0.0  # always the likeliest token

    def _draw(self, found: dict[str, Any]) -> None:
        """Settle what draws the token; Mirostat looks at no step that drops tokens."""
        if found.get("mirostat") == 1:
            self.left.append("mirostat 1 (version 2 is used, with the same aim)")
            found["mirostat"] = 2
        if not found.get("mirostat"):
            return
        cuts = ("top_n_sigma", "top_k", "typical_p", "top_p", "min_p", "xtc_probability")
        for name in (*cuts, "adaptive_target"):
            value = found.pop(name, None)
            if value is not None and value > 0 and value != getattr(_NEUTRAL, name):
                self.left.append(f"{name} {value:g} (not applied beside Mirostat)")

    def _fit(self, name: str, found: dict[str, Any]) -> None:
        """Bring a number into our limits; say so if it does something."""
        given = value = found[name]
        if name == "seed":
            if 0 <= value < 2**32 - 1:
                found[name] = int(value)
            else:
                del found[name]
            return
        if name in _WINDOWS and value <= 0:
            given = value = WHOLE_STORY
        if name in _OFF_BELOW_0 and value < 0:
            given = value = 0.0
        if name == "mirostat":
            given = value = 2 if value else 0
        low, high, is_whole = _LIMITS[name]
        value = min(max(value, low), high)
        found[name] = int(value) if is_whole else value
        is_used = any(
            found.get(each) not in (None, getattr(_NEUTRAL, each))
            for each in _LEADERS.get(name, (name,))
        )
        if name == "xtc_threshold" and given > 0.5 and is_used:
            found["xtc_probability"] = 0.0
            self.left.append(f"xtc_threshold {given:g} (above 0.5 XTC does nothing)")
        elif is_used and value != given:
            self.left.append(f"{name} {given:g} ({value:g} is the nearest that can be)")

    def _texts(self, found: dict[str, Any]) -> None:
        breakers = _strings(self.values.get("dry_sequence_breakers"))
        found["dry_breakers"] = _kept(breakers, "dry_breakers") or list(_NEUTRAL.dry_breakers)
        banned = []
        for line in (
            *_lines(self.values.get("banned_tokens")),
            *_lines(self.values.get("banned_strings")),
        ):
            if line.startswith("[") and line.endswith("]"):
                self.left.append(
                    f"banned tokens {message(line, 40)} (numbers of one model's tokens)"
                )
            else:
                quoted = len(line) > 1 and line[0] == line[-1] == '"'
                banned.append(line[1:-1] if quoted else line)
        found["banned"] = _kept(banned)
        for name, texts, kept in (
            ("dry_sequence_breakers", breakers, found["dry_breakers"]),
            ("banned tokens", banned, found["banned"]),
        ):
            good = set(kept)
            self.left += (f"{name} {message(text, 40)}" for text in texts if text not in good)
        for name in ("banned_tokens", "banned_strings", "logit_bias"):
            value = self.values.get(name)
            rows = value.split("\n") if isinstance(value, str) else value
            if isinstance(rows, list) and len(rows) > _MOST_TEXTS:
                self.left.append(f"{len(rows) - _MOST_TEXTS:,} more of {name}")
        found["logit_bias"] = self._biases()

    def _biases(self) -> dict[str, float]:
        """Return the logit biases: `{the}` stands for itself there, `the` has a space before it."""
        rows = [*_biases(self.values.get("logit_bias"))]
        good = set(_kept([_exact(line).removeprefix(" ") for line, _ in rows]))
        alone: dict[str, float] = {}
        spaced: dict[str, float] = {}
        for line, value in rows:
            plain = _exact(line)
            word = plain.removeprefix(" ")
            if (line[0] == "[" and line[-1] == "]") or word not in good:
                self.left.append(f"logit_bias {message(line, 40)} {value:g}")
            elif plain == word:
                alone[word] = value
            else:
                spaced[word] = value
        found = dict(alone)
        for word, value in spaced.items():
            # Ours biases a text with and without a space, and one that begins with a space once.
            more = value - alone.get(word, 0.0)
            if more or word not in alone:
                found[f" {word}"] = more
        return {text: min(max(value, -100.0), 100.0) for text, value in found.items()}

    def _order(self, found: dict[str, Any]) -> list[str]:
        orders = found_orders(self.values, self.program)
        if not orders:
            return list(ORDER)
        chosen = orders[0]
        for other in orders[1:]:
            if other.is_changed and _main(other.steps, found) != _main(chosen.steps, found):
                value = message(self.values.get(other.key, ""), 60)
                self.left.append(f"{other.key} {value} ({chosen.key} is followed)")
        last = self.values.get("temperature_last")
        at_end = chosen.steps[-1:] == ("temperature",) or chosen.key == "sampler_priority"
        used = _used(chosen.steps, found)
        if last is True and not at_end and "temperature" in used[:-1]:
            self.left.append(f"temperature_last true ({chosen.key} is followed)")
        if chosen.is_whole:
            for step in ORDER:
                if step not in chosen.steps and _used((step,), found):
                    self._switch_off(step, found)
        return list(chosen.steps)

    def _switch_off(self, step: str, found: dict[str, Any]) -> None:
        for name in _STEPS.get(step, (step,)):
            value = found.pop(name, None)
            if value not in (None, getattr(_NEUTRAL, name)):
                self.left.append(f"{name} {value:g} (not in its sampler_priority)")

    def _rest(self) -> Iterator[str]:
        values = self.values
        known = {*(each for names in _NAMES.values() for each in names), *_HANDLED}
        if self.program == "NovelAI":
            known |= {"order", "max_context", "prefix", "use_cache", "return_full_text"}
            known -= {name for name in known if name.startswith("repetition_penalty")}
        unknown = [name for name in values if name not in known and name not in _WITHOUT]
        for name in values:
            if name in _WITHOUT and not _does_nothing(name, values):
                yield f"{message(name, 40)} {_shown(values[name])}"
        if self.program in ("a chat completion service", "KoboldCpp"):
            other = [n for n in unknown if values[n] not in _EMPTY]
            if other:
                yield f"{len(other)} other settings of {self.program}"
            return
        telling = [name for name in unknown if values[name] not in _EMPTY]
        for name in telling[:_MOST_NAMED]:
            yield f"{message(name, 40)} {_shown(values[name])}"
        if len(telling) > _MOST_NAMED:
            yield f"{len(telling) - _MOST_NAMED:,} other settings"


_EMPTY: Final[Collection[object]] = ("", None, 0, [], {})
_STEPS: Final[Mapping[str, tuple[str, ...]]] = {
    "penalties": ("repeat_penalty", "frequency_penalty", "presence_penalty"),
    "dry": ("dry_multiplier",),
    "xtc": ("xtc_probability",),
    "temperature": ("temperature", "dynatemp_range"),
}


def _used(steps: Collection[str], found: Mapping[str, Any]) -> list[str]:
    """Return the steps that do something with these values, in their order."""
    return [
        step
        for step in steps
        if any(
            found.get(name) not in (None, getattr(_NEUTRAL, name))
            for name in _STEPS.get(step, (step,))
        )
    ]


def _main(steps: Collection[str], found: Mapping[str, Any]) -> list[str]:
    """Return those of them that every program has a place for."""
    fixed = ("dry", "xtc", "top_n_sigma")
    return [step for step in _used(steps, found) if step not in fixed]


def _does_nothing(name: str, values: Values) -> bool:
    value = values[name]
    if name in _WITHOUT_LEADERS:
        leaders, neutral = _WITHOUT_LEADERS[name]
        given = [number for each in leaders if (number := _number(values.get(each))) is not None]
        if all(number == neutral for number in given):
            return True
    if value in _WITHOUT[name]:
        return True
    if name in _ZERO_SAYS_SOMETHING:
        return value is None or value == ""
    return value in _EMPTY or (isinstance(value, str) and not value.strip(" {}"))


def _shown(value: object) -> str:
    if isinstance(value, list | dict):
        return f"({len(value)} in it)"
    return message(json.dumps(value, ensure_ascii=False) if value is not None else "", 60)


def _is_true(value: object) -> bool:
    return value is True or value == 1 or value == "true"


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value) if not isinstance(value, str) or len(value) < 40 else float("nan")
    except (ValueError, OverflowError):
        return None
    return found if isfinite(found) else None


def _lines(value: object) -> list[str]:
    rows = value.split("\n") if isinstance(value, str) else value
    texts = rows if isinstance(rows, list) else []
    return [each.strip() for each in texts[:_MOST_TEXTS] if isinstance(each, str) and each.strip()]


def _strings(value: object) -> list[str]:
    """Return a list of texts, which may be written as JSON, with its brackets or without."""
    if isinstance(value, str):
        written = value.strip()
        try:
            value = read_json(written if written.startswith("[") else f"[{written}]")
        except ValueError:
            value = [part.strip() for part in written.split(",")]
    rows = value if isinstance(value, list) else []
    return [each for each in rows[:_MOST_TEXTS] if isinstance(each, str)]


def _biases(value: object) -> Iterator[tuple[str, float]]:
    for row in (value if isinstance(value, list) else [])[:_MOST_TEXTS]:
        text = row.get("text") if isinstance(row, dict) else None
        number = _number(row.get("value")) if isinstance(row, dict) else None
        if isinstance(text, str) and text.strip() and number:
            yield text.strip(), number


def _exact(line: str) -> str:
    """Return the text that is biased: what stands in braces, else the words after a space."""
    is_exact = line[0] == "{" and line[-1] == "}" and len(line) > 2
    return line[1:-1] if is_exact else f" {line}"


def _kept(texts: Collection[str], name: str = "banned") -> list[str]:
    """Return the texts that can stand in a preset as this value, each once."""
    unique = list(dict.fromkeys(texts))
    if _can_be(name, unique):
        return unique
    return [text for text in unique if _can_be(name, [text])]


def _can_be(name: str, value: object) -> bool:
    try:
        changed(_NEUTRAL, {name: value})
    except UserError:
        return False
    return True


def _limits(name: str) -> tuple[float, float, bool]:
    """Return the least and the most a number may be, and whether it is a whole one."""
    if name == "mirostat":
        return 0, 2, True
    kind = msgspec.inspect.type_info(FIELDS[name].type)
    assert isinstance(kind, msgspec.inspect.IntType | msgspec.inspect.FloatType)
    assert kind.ge is not None and kind.le is not None
    return kind.ge, kind.le, isinstance(kind, msgspec.inspect.IntType)


_LIMITS: Final = {name: _limits(name) for name in _NAMES if name != "seed"}
