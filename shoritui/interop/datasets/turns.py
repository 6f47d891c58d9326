"""Lists of turns: ShareGPT, OpenAI's messages, LimaRP's files, and what is written like them.

{"conversations": [{"from": "human", "value": "Hm."}, {"from": "gpt", "value": "Oh."}]}
{"messages": [{"role": "user", "name": "Mara", "content": "Hm."}], "system": "Be brief."}
{"names": {"<FIRST>": "Ilse"}, "personas": {"<FIRST>": "..."}, "conversation": [...]}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from shoritui.blockml import LENGTHS, Length
from shoritui.interop.datasets.model import Talk, Turn, Unusable
from shoritui.text import is_visible, printable

LISTS: Final = {
    "sharegpt": ("conversations", "conversation", "items"),
    "messages": ("messages", "chat", "dialogue", "turns"),
}
"""Under which keys of a record the turns stand."""
_WHO: Final = ("from", "role", "name", "speaker", "author", "user")
_SAID: Final = ("value", "content", "text", "message", "markdown", "utterance")
_SYSTEM: Final = ("system", "system_prompt")
_NAMES: Final = {
    "char": ("char_name", "bot_name", "character_name", "character"),
    "user": ("user_name", "persona_name", "player_name"),
}
_DESCRIPTIONS: Final = {
    "char": ("char_persona", "bot_description", "char_description"),
    "user": ("user_persona", "user_description"),
}
_TOOLS: Final = {
    *("tool", "tools", "function", "function_call", "function_response", "observation"),
    *("ipython", "tool_call", "tool_response", "tool_calls"),
}
_LENGTHS: Final[dict[str, Length]] = {
    **{word: word for word in LENGTHS},
    **dict.fromkeys(("humongous", "extreme", "unlimited"), "enormous"),
}


def length_of(word: object) -> Length | None:
    """Return the length hint that a word of LimaRP's, or of our own, stands for."""
    return _LENGTHS.get(word.strip().casefold()) if isinstance(word, str) else None


def turns_key(record: Mapping[str, Any], keys: Sequence[str]) -> str:
    """Return the key of a list of turns; empty if there is none."""
    return next((key for key in keys if _are_turns(record.get(key))), "")


def _are_turns(value: object) -> bool:
    if not isinstance(value, list):
        return False
    first = value[0] if value else {}
    if not isinstance(first, dict):
        return False
    return not value or _key(first, _SAID) != "" or "tool_calls" in first


def is_turn(value: object) -> bool:
    """Return whether a value says who says what, in another form than ours."""
    if not isinstance(value, dict) or turns_key(value, sum(LISTS.values(), ())):
        return False
    is_said = _key(value, _SAID) != "" or "tool_calls" in value
    is_ours = "name" in value and "text" in value
    return bool(_key(value, _WHO)) and is_said and (not is_ours or "role" in value)


def talk_of_turns(record: Mapping[str, Any], key: str, line: int) -> Talk:
    """Return the conversation whose turns stand under a key of a record.

    Raises:
        Unusable: A turn is none, or belongs to a tool.
    """
    rows: list[Any] = record[key]
    turns = [_turn(row, f"{key}[{place}]", line) for place, row in enumerate(rows)]
    if not turns:
        raise Unusable(line, f"its {key} are none")
    system = next((found for name in _SYSTEM if (found := _text(record, name))), "")
    if system and not any(turn.side == "system" for turn in turns[:1]):
        turns.insert(0, Turn("system", system, line))
    return Talk(
        line,
        tuple(turns),
        names_of(record),
        _by_role(record, "personas", _DESCRIPTIONS),
        _text(record, "scenario"),
    )


def names_of(record: Mapping[str, Any]) -> dict[str, str]:
    """Return the names that a record gives to the two sides, or to its roles."""
    return _by_role(record, "names", _NAMES)


def _by_role(
    record: Mapping[str, Any], key: str, others: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """Return texts by role: those of an object, or of keys for the two sides."""
    table = record.get(key)
    rows = table if isinstance(table, dict) else {}
    found = {role: text for role, text in rows.items() if isinstance(text, str) and text.strip()}
    for side, names in others.items():
        text = next((text for name in names if (text := _text(record, name))), "")
        if text:
            found.setdefault(side, text)
    return found


def _turn(row: object, place: str, line: int) -> Turn:
    if not isinstance(row, dict):
        raise Unusable(line, f"{place} should be an object with who says it and what")
    who, said = _key(row, _WHO), _key(row, _SAID)
    if "is_human" in row and isinstance(row["is_human"], bool):
        role = "user" if row["is_human"] else "char"
    elif who and isinstance(row[who], str):
        role = row[who].strip()
    else:
        raise Unusable(line, f"{place} does not say who speaks: expected {_listed(_WHO)}")
    is_tool = role.casefold() in _TOOLS or any(row.get(key) for key in ("tool_calls", "function"))
    if is_tool or row.get("function_call"):
        raise Unusable(
            line, f"{place} is of {printable(role, 40)!r}: calls of tools are no part of a story"
        )
    if not said:
        raise Unusable(line, f"{place} says nothing: expected {_listed(_SAID)}")
    name: object = row.get("name") if who != "name" else ""
    return Turn(
        role,
        _content(row[said], f"{place}.{said}", line),
        line,
        name if isinstance(name, str) and said != "name" else "",
        length_of(row.get("length")),
        learnt=_weight(row, place, line),
    )


def _content(value: object, place: str, line: int) -> str:
    """Return what is said: a text, or the texts of a list of parts."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        found = _WORDS.get(type(value), "a number")
        raise Unusable(line, f"{place} should be text, not {found}")
    texts: list[str] = []
    for part in value:
        text = part.get("text") if isinstance(part, dict) else part
        if not isinstance(text, str):
            kind = part.get("type") if isinstance(part, dict) else None
            what = printable(kind, 30) if isinstance(kind, str) else "something else"
            raise Unusable(line, f"{place} should be text alone, and holds {what}")
        texts.append(text)
    return "\n\n".join(texts)


_WORDS: Final[dict[type, str]] = {dict: "an object", bool: "true or false", type(None): "nothing"}


def _weight(row: Mapping[str, Any], place: str, line: int) -> bool:
    """Return whether a turn is learnt."""
    weight = row.get("weight")
    if weight is None:
        return True
    if weight not in (0, 1):
        raise Unusable(line, f"{place}.weight should be 0 or 1: a message is learnt or not")
    return bool(weight)


def _key(row: Mapping[str, Any], keys: Sequence[str]) -> str:
    return next((key for key in keys if key in row), "")


def _text(record: Mapping[str, Any], key: str) -> str:
    value = record.get(key)
    return value if isinstance(value, str) and is_visible(value) else ""


def _listed(keys: Sequence[str]) -> str:
    return f"{', '.join(keys[:-1])} or {keys[-1]}"
