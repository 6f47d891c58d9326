"""Alpaca and its kin: an instruction, perhaps an input, what is answered, perhaps what came before.

{"instruction": "Where were you?", "input": "", "output": "Out.", "history": [["Hm?", "Oh."]]}
{"prompt": "Where were you?", "completion": "Out."}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shoritui.interop.datasets.model import Talk, Turn, Unusable
from shoritui.interop.datasets.turns import names_of

_ASKED: Final = ("instruction", "prompt", "question", "query", "input")
_ANSWERED: Final = ("output", "response", "completion", "answer")


def is_pair(record: Mapping[str, Any]) -> bool:
    """Return whether a record has something asked and something answered."""
    return bool(_key(record, _ASKED) and _key(record, _ANSWERED))


def talk_of_pair(record: Mapping[str, Any], line: int) -> Talk:
    """Return the conversation.

    Raises:
        Unusable: A field is of the wrong kind.
    """
    asked, answered = _key(record, _ASKED), _key(record, _ANSWERED)
    turns: list[Turn] = []
    if system := _text(record, "system", line):
        turns.append(Turn("system", system, line))
    history = record.get("history") or []
    if not isinstance(history, list):
        raise Unusable(line, "history should be a list of pairs")
    for place, pair in enumerate(history):
        if not (isinstance(pair, list) and len(pair) == 2 and all(_is_text(s) for s in pair)):
            raise Unusable(
                line, f"history[{place}] should be two texts: what was said, and replied"
            )
        turns += [Turn(asked, pair[0], line), Turn(answered, pair[1], line)]
    said = [_text(record, asked, line)]
    if asked != "input" and (more := _text(record, "input", line)):
        said.append(more)
    turns.append(Turn(asked, "\n\n".join(said), line))
    turns.append(Turn(answered, _text(record, answered, line), line))
    return Talk(line, tuple(turns), names_of(record))


def _key(record: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    return next((key for key in keys if key in record), "")


def _text(record: Mapping[str, Any], key: str, line: int) -> str:
    value = record.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Unusable(line, f"{key} should be text")
    return value


def _is_text(value: object) -> bool:
    return isinstance(value, str)
