"""The order of the steps in other programs' presets, as an order of ours.

A file of SillyTavern has one order for each kind of server. ShoriTUI runs llama.cpp, so llama.cpp's
own list counts, unless it is as the program sets it and another list was changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from shoritui.engine.sampling_params import ORDER

Values: TypeAlias = Mapping[str, Any]

_LLAMA: Final = {step: step for step in ORDER} | {"typ_p": "typical_p"}
"""llama.cpp's names of steps, `samplers` of its server."""
_WEBUI: Final = {
    **_LLAMA,
    **dict.fromkeys(("repetition_penalty", "presence_penalty", "frequency_penalty"), "penalties"),
    **dict.fromkeys(("dynamic_temperature", "quadratic_sampling"), "temperature"),
}
"""text-generation-webui's names, `sampler_priority`."""
_APHRODITE: Final = {**_LLAMA, "top_nsigma": "top_n_sigma", "quadratic": "temperature"}
_KOBOLD: Final[Mapping[int, tuple[str, ...]]] = {
    0: ("top_k",),
    2: ("top_p", "min_p"),
    4: ("typical_p",),
    5: ("temperature", "top_n_sigma"),
    6: ("penalties",),
}
"""KoboldCpp's numbers; 1 is top-a and 3 tail-free sampling, which ShoriTUI lacks."""
_NOVEL: Final = {0: "temperature", 1: "top_k", 2: "top_p", 5: "typical_p", 10: "min_p"}

KOBOLD_ORDER: Final = [6, 0, 1, 3, 4, 2, 5]
WEBUI_ORDER: Final = (
    *("penalties", "dry", "top_n_sigma", "temperature"),
    *("top_k", "top_p", "typical_p", "min_p", "xtc"),
)
"""What text-generation-webui does where a preset of its own says nothing."""

_USUAL: Final = {
    "samplers": ("top_k", "typical_p", "top_p", "min_p", "temperature"),
    "sampler_priority": ("temperature", "top_k", "top_p", "typical_p", "min_p"),
    "samplers_priorities": ("temperature", "top_p", "top_k", "min_p", "typical_p"),
}
"""How SillyTavern's versions order these five where nobody changed it."""


@dataclass(frozen=True, slots=True)
class FoundOrder:
    """An order in a file."""

    key: str
    """The field that holds it."""
    steps: tuple[str, ...]
    """Ours, each once; those that the file does not name are missing."""
    is_changed: bool
    """Whether it is another one than the program sets by itself."""
    is_whole: bool = False
    """Whether the program leaves out each step that is not named."""


def found_orders(values: Values, program: str) -> list[FoundOrder]:
    """Return the orders in a file, the one that counts first."""
    found = [each for read in _READERS for each in read(values, program)]
    return sorted(found, key=lambda each: not each.is_changed)


def _llama(values: Values, program: str) -> Iterator[FoundOrder]:
    if steps := _named(values.get("samplers"), _LLAMA):
        yield FoundOrder("samplers", steps, _is_changed("samplers", steps))


def _webui(values: Values, program: str) -> Iterator[FoundOrder]:
    named = _named(values.get("sampler_priority"), _WEBUI)
    is_own = program == "text-generation-webui"
    last = values.get("temperature_last")
    if not named and last is None and not is_own:
        return
    is_changed = bool(named) and _is_changed("sampler_priority", named)
    steps = named or WEBUI_ORDER
    if last in (True, 1):
        steps = (*(each for each in steps if each != "temperature"), "temperature")
    key = "sampler_priority" if named or is_own else "temperature_last"
    # In SillyTavern's files temperature is last unless somebody changed it.
    yield FoundOrder(key, steps, is_changed or last in (False, 0), is_whole=is_own and bool(named))


def _kobold(values: Values, program: str) -> Iterator[FoundOrder]:
    numbers = values.get("sampler_order")
    if not isinstance(numbers, list) or not numbers:
        return
    whole = [each for each in numbers if isinstance(each, int) and not isinstance(each, bool)]
    steps = [step for number in whole for step in _KOBOLD.get(number, ())]
    if steps:  # DRY comes first there, XTC last, whatever the order
        ordered = tuple(dict.fromkeys(("dry", *steps, "xtc")))
        plain = [each for each in KOBOLD_ORDER if each in whole and each in _KOBOLD]
        is_changed = [each for each in whole if each in _KOBOLD] != plain
        yield FoundOrder("sampler_order", ordered, is_changed)


def _aphrodite(values: Values, program: str) -> Iterator[FoundOrder]:
    rows = values.get("samplers_priorities")
    if not isinstance(rows, list):
        return
    split = [
        part for row in rows for part in (("top_p", "top_k") if row == "top_p_top_k" else (row,))
    ]
    if steps := _named(split, _APHRODITE):
        yield FoundOrder("samplers_priorities", steps, _is_changed("samplers_priorities", steps))


def _novel(values: Values, program: str) -> Iterator[FoundOrder]:
    rows = values.get("order")
    if program != "NovelAI" or not isinstance(rows, list):
        return
    numbers = [row.get("id") if isinstance(row, dict) else row for row in rows]
    named = [_NOVEL[each] for each in numbers if isinstance(each, int) and each in _NOVEL]
    if named:
        yield FoundOrder("order", tuple(dict.fromkeys(named)), is_changed=True)


_READERS: Final[Sequence[Callable[[Values, str], Iterator[FoundOrder]]]] = (
    *(_llama, _webui, _kobold, _aphrodite, _novel),
)


def _is_changed(key: str, steps: tuple[str, ...]) -> bool:
    return tuple(step for step in steps if step in _USUAL[key]) != _USUAL[key]


def _named(rows: object, names: Mapping[str, str]) -> tuple[str, ...]:
    lines: Iterable[object]
    lines = rows.split("\n") if isinstance(rows, str) else rows if isinstance(rows, list) else ()
    known = (names.get(each.strip()) for each in lines if isinstance(each, str))
    return tuple(dict.fromkeys(step for step in known if step))
