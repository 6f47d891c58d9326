"""Read JSON and YAML that others wrote: whatever stands there, it is a value or one sentence.

    {"a": [1, 2.5]}        {"a": [1, 2.5]}
    99999999999999999999   18446744073709551615: what is too large is the largest that fits
    NaN, Infinity          None, as JavaScript writes them
    "\\ud83d"               "\ufffd": half a character is none
    [[[[[...               TooDeep: it is nested more than 100 levels deep

Every number fits into 64 bits, and nothing is so deep that a walk over it could fail.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any, Final

from shoritui.text import message

DEEPEST: Final = 100
"""Levels of lists and objects in each other."""
_WHOLE: Final = range(-(2**63), 2**64)
_MOST_DIGITS: Final = 100
"""Of a whole number, above which it is not even converted; those of 64 bits have 20."""
_LONGEST_NUMBER: Final = 30
"""Characters of one in a sentence."""
_LARGEST: Final = sys.float_info.max
_ODD_NUMBER: Final = re.compile(r"\d{19}|[eE]\+?\d{3}")
"""What any number has that does not fit into 64 bits."""
_TYPES: Final = re.compile(r"`(\w+(?: \| \w+)*)`")
_TOO_LARGE: Final = re.compile("(Integer value|Number) out of range")
_WORDS: Final = {
    **{"str": "text", "int": "a whole number", "float": "a number", "bool": "true or false"},
    **{"array": "a list", "object": "an object", "null": "nothing"},
}
_STEP: Final = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_HALF: Final = re.compile(r"\\u[dD][89a-fA-F]")
_ESCAPES: Final = re.compile(
    r"\\(?:u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}"
    r"|(u[dD][89a-fA-F][\da-fA-F]{2})|.)",
    re.DOTALL,
)
"""Two halves that are one character, or one half by itself, or any other escape."""
_MOST_KEYS: Final = 10_000
"""Of a mapping in YAML, which may have merged others into itself."""


class Malformed(ValueError):
    """What is wrong with a text, as the end of a sentence, with its line where one can be told."""

    def __init__(self, sentence: str, line: int = 0) -> None:
        super().__init__(f"line {line}: {sentence}" if line else sentence)
        self.sentence = sentence


class TooDeep(Malformed):
    """Lists and objects are nested deeper than anything that is meant."""

    def __init__(self, line: int = 0) -> None:
        super().__init__(f"it is nested more than {DEEPEST} levels deep", line)


def read_json(text: str | bytes, *, finite: bool = True) -> Any:
    """Return the value in JSON, with or without a byte order mark.

    Args:
        text: The JSON.
        finite: Whether NaN and the infinities, which no JSON has but Python's, are None.

    Raises:
        Malformed: It is no JSON, or nested too deep.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            raise Malformed("this is not UTF-8 text", line) from None
    text = text.removeprefix("\ufeff")
    if has_halves(text):
        text = _ESCAPES.sub(_whole_character, text)
    decoder = (DECODER if _ODD_NUMBER.search(text) else _PLAIN) if finite else _PYTHONS
    try:
        value = decoder.decode(text)
    except json.JSONDecodeError as error:
        reason = error.msg[:1].lower() + error.msg[1:]
        raise Malformed(f"this is not JSON ({reason})", error.lineno) from None
    except RecursionError:
        raise TooDeep from None
    check_depth(value, text.count("[") + text.count("{"))
    return value


def has_halves(text: str, start: int = 0, end: int = sys.maxsize) -> bool:
    """Return whether there may be half of a character, written as an escape, in JSON."""
    return bool(_HALF.search(text, start, end))


def _whole_character(match: re.Match[str]) -> str:
    return "\\ufffd" if match[1] else match[0]


def misfit(error: Exception, value: object = None, field: str = "") -> str:
    """Return what msgspec says of a value that is not of its type, in words, with its place.

    "Expected `str`, got `int` - at `$.text`" becomes "text: expected text, not a whole number".

    Args:
        error: What it says.
        value: What was read, so that a number in it that is wrong is told as it stands.
        field: What that is called where it stood.
    """
    said, _, place = message(error).partition(" - at ")
    said = _TOO_LARGE.sub("expected a number of 64 bits", said)
    said = _TYPES.sub(lambda match: " or ".join(map(_word, match[1].split(" | "))), said)
    key = place.strip("`").removeprefix("$").removeprefix(".")
    if number := _number_at(value, key):
        said = f"{said.partition(', got ')[0]}, not {number}"
    key = f"{field}{key}"
    return f"{key and f'{key}: '}{said[:1].lower()}{said[1:].replace(', got ', ', not ')}"


def _number_at(value: object, key: str) -> str:
    """Return the number at a place such as `data[3].id`, also in a text; "" where none is."""
    try:
        for name, index in _STEP.findall(key):
            value = value[int(index)] if index else value[name]  # type: ignore[index]
        if type(value) in (int, float, str):
            float(value)  # type: ignore[arg-type]
            return message(value, _LONGEST_NUMBER)
    except (LookupError, TypeError, ValueError, OverflowError):
        pass
    return ""


def _word(kind: str) -> str:
    return _WORDS.get(kind, f"`{kind}`")


def check_depth(value: object, opened: int) -> None:
    """Raise `TooDeep` if lists and objects are nested too deep; `opened` is how many there are."""
    if opened <= DEEPEST:
        return
    level: list[Any] = [[value]]
    for _ in range(DEEPEST + 1):
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise TooDeep


def read_yaml(text: str, *, references: bool = False) -> Any:
    """Return the plain values in YAML; `references` (`*name`) may stand in it only if so told.

    Raises:
        Malformed: It is no YAML, nested too deep, or has values that grow, or that no value is.
        ImportError: PyYAML is not installed.
    """
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    depth = 0
    try:
        for event in yaml.parse(text, loader):
            line = event.start_mark.line + 1
            if isinstance(event, yaml.AliasEvent) and not references:
                raise Malformed("a reference (`*name`) stands here: write what it means", line)
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                raise TooDeep(line)
        return yaml.load(text, _bounded(loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = f" ({message(error.problem)})" if error.problem else ""
        raise Malformed(f"this is not YAML{reason}", mark.line + 1 if mark else 0) from None
    except yaml.YAMLError:
        raise Malformed("this is not YAML: it holds characters that no text has") from None


def _bounded(loader: Any) -> Any:
    """Return the loader with a sentence and a line for each value that is not right."""

    class Loader(loader):  # type: ignore[misc]
        def flatten_mapping(self, node: Any) -> None:
            super().flatten_mapping(node)
            if len(node.value) > _MOST_KEYS:
                raise Malformed(f"a mapping has more than {_MOST_KEYS} keys", _line(node))

        def construct_object(self, node: Any, deep: bool = False) -> Any:
            try:
                return super().construct_object(node, deep)
            except (ValueError, LookupError, AttributeError, TypeError) as error:
                if isinstance(error, Malformed):
                    raise
                # what PyYAML raises for a date that is none, or a number of thousands of digits
                raise Malformed("this value is not what it looks like", _line(node)) from None

    return Loader


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        return _WHOLE.start if digits[0] == "-" else _WHOLE[-1]
    return min(max(int(digits), _WHOLE.start), _WHOLE[-1])


def _fraction(text: str) -> float:
    return min(max(float(text), -_LARGEST), _LARGEST)


DECODER: Final = json.JSONDecoder(
    strict=False, parse_int=_whole, parse_float=_fraction, parse_constant=lambda _: None
)
"""Reads a value that begins somewhere in a text; its depth is still to be checked."""
_PLAIN: Final = json.JSONDecoder(strict=False, parse_constant=lambda _: None)
"""Reads numbers at their own speed, where none can be too large."""
_PYTHONS: Final = json.JSONDecoder(strict=False, parse_int=_whole)
