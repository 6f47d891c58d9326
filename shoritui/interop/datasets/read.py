"""Read the conversations of a file, whose format is told by what it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from shoritui.blockml import BLOCK_OPEN
from shoritui.errors import UserError
from shoritui.interop.cards.yaml_card import values_of_yaml
from shoritui.interop.datasets.chats import chat_of_lines, chats_of_record
from shoritui.interop.datasets.files import EMPTY, beginning, elements_of, lines_of, text_of
from shoritui.interop.datasets.marked import is_marked, talk_of_marked
from shoritui.interop.datasets.model import Format, Found, Read, Reading, Talk, Turn, Unusable
from shoritui.interop.datasets.naming import conversation_of
from shoritui.interop.datasets.own import (
    conversation_of_fields,
    conversation_of_text_field,
    conversations_of_text,
)
from shoritui.interop.datasets.pairs import is_pair, talk_of_pair
from shoritui.interop.datasets.scene import completed, renamed
from shoritui.interop.datasets.turns import LISTS, is_turn, talk_of_turns, turns_key
from shoritui.interop.log import messages_of_log
from shoritui.interop.sillytavern import is_sillytavern
from shoritui.text import printable

TEXTS: Final = (".txt", ".blockml", ".log")
_LINES: Final = (".jsonl", ".ndjson")
_YAML: Final = (".yaml", ".yml")
SUFFIXES: Final = (*TEXTS, *_LINES, ".json", *_YAML)
"""How the names of files of conversations end."""
_LIMARP: Final = ("names", "personas")


def conversations_in(path: Path, reading: Reading) -> Iterator[Read]:
    """Yield the conversations of a file, or in place of one what is wrong with it."""
    is_empty = True
    try:
        for each in _of_file(path, reading):
            is_empty = False
            yield _completed(each, reading) if isinstance(each, Found) else each
    except Unusable as error:
        yield error
        return
    if is_empty:
        yield Unusable(0, EMPTY)


def _completed(found: Found, reading: Reading) -> Read:
    try:
        return completed(found, reading)
    except Unusable as error:
        return error


def _of_file(path: Path, reading: Reading) -> Iterator[Read]:
    suffix = path.suffix.lower()
    if suffix in TEXTS:
        yield from _of_text(text_of(path), reading)
    elif suffix in _YAML:
        yield from _of_record(_yaml(path), 1, path, reading)
    else:
        start = beginning(path)
        first, _, rest = start.lstrip().partition("\n")
        is_chat = reading.format in ("auto", "chat") and is_sillytavern(start)
        if is_chat or (reading.format == "chat" and suffix in _LINES):
            yield chat_of_lines(text_of(path), path, reading)
        elif first and _is_document(first, rest, suffix):
            yield from _of_records(elements_of(path), path, reading)
        else:
            yield from _of_records(lines_of(path), path, reading)


def _is_document(first: str, rest: str, suffix: str) -> bool:
    """Return whether a file is one value of JSON, and not one on each line."""
    is_alone = not rest.strip()
    if suffix in _LINES:
        return first.rstrip() == "[" or (is_alone and first.startswith("[{"))
    return is_alone or not (first.startswith("{") and first.rstrip().endswith("}"))


def _of_text(text: str, reading: Reading) -> Iterator[Read]:
    kind = _text_kind(text) if reading.format == "auto" else reading.format
    if kind in ("chatml", "alpaca"):
        yield _named(lambda: talk_of_marked(text, 1, counts=True), reading, counts=True)
    elif kind == "log":
        yield from _of_log(text, reading)
    elif kind == "blockml":
        for each in conversations_of_text(text):
            yield renamed(each, reading.names) if isinstance(each, Found) else each
    else:
        raise Unusable(0, f"a text is not {kind}: expected blockml, chatml, alpaca or log")


def _text_kind(text: str) -> Format:
    start = text.lstrip()
    if not start or start.startswith((BLOCK_OPEN, "[INST] ", "---")):
        return "blockml" if not start or BLOCK_OPEN in text or "[INST] " in text else "log"
    if is_marked(text):
        return "chatml"
    return "blockml" if BLOCK_OPEN in text else "log"


def _of_log(text: str, reading: Reading) -> Iterator[Read]:
    """Yield the conversations of a log, between which lines of dashes stand."""
    first = 1
    for chunk in _between_rules(text):
        if chunk.strip():
            start = first
            yield _named(lambda: _log(chunk, start, reading), reading, counts=True)  # noqa: B023
        first += chunk.count("\n") + 1


def _between_rules(text: str) -> Iterator[str]:
    told: list[str] = []
    for line in text.split("\n"):
        if len(line.strip()) >= 3 and not line.strip("- "):
            yield "\n".join(told)
            told = []
        else:
            told.append(line)
    yield "\n".join(told)


def _log(text: str, line: int, reading: Reading) -> Talk:
    messages = messages_of_log(text, {*reading.names})
    if messages is None:
        raise Unusable(
            line,
            "this is neither BlockML, which has ▀, nor a log of lines such as `Mara: Hm.`, "
            "two at least",
        )
    turns = (Turn(each.speaker, each.text, line + each.line - 1) for each in messages)
    return Talk(line, tuple(turns))


def _of_records(
    records: Iterator[tuple[int, object]], path: Path, reading: Reading
) -> Iterator[Read]:
    """Yield what stands in records; those that begin in the same line are numbered."""
    last, number = 0, 0
    for line, record in _of_turns(records):
        if line != last:
            last, number = line, 0
        for each in _of_record(record, line, path, reading):
            number += 1
            yield replace(each, number=number) if isinstance(each, Found) and number > 1 else each


def _of_turns(records: Iterator[tuple[int, object]]) -> Iterator[tuple[int, object]]:
    """Yield the records; where each is a turn, all of them make one conversation."""
    first = next(records, None)
    if first is None:
        return
    line, record = first
    if not is_turn(record):
        yield first
        yield from records
        return
    turns = [record]
    for place, each in records:
        if isinstance(each, Unusable):
            yield place, each
        else:
            turns.append(each)
    yield line, {"messages": turns}


def _of_record(record: object, line: int, path: Path, reading: Reading) -> Iterator[Read]:
    if isinstance(record, Unusable):
        yield record
        return
    try:
        if isinstance(record, list) and record and isinstance(record[0], dict):
            record = {"messages": record}
        if not isinstance(record, dict):
            raise Unusable(line, f"expected a JSON object, {{ ... }}, not {_short(record)}")
        kind = _kind(record, reading.format, line)
        if kind == "chat":
            yield from _chats(record, path, reading, line)
        else:
            yield _READERS[kind](record, line, reading)
    except Unusable as error:
        yield error


def _chats(record: Mapping[str, Any], path: Path, reading: Reading, line: int) -> Iterator[Read]:
    is_known = False
    for each in chats_of_record(record, path, reading, line):
        is_known = True
        yield each
    if not is_known:
        raise Unusable(line, _unknown(record))


def _kind(record: Mapping[str, Any], wanted: Format, line: int) -> Format:
    """Return what a record is.

    Raises:
        Unusable: It may be several things, or is none that is known.
    """
    kinds = _kinds(record)
    if wanted != "auto":
        if wanted in kinds or wanted == "chat":
            return wanted
        if wanted == "chatml" and "blockml" in kinds and "messages" not in record:
            return "chatml"
        raise Unusable(line, f"this is not {wanted}: {_unknown(record)}")
    if len(kinds) > 1:
        told = ", ".join(kinds)
        raise Unusable(line, f"this may be {told}: say which, as format of its source")
    return kinds[0] if kinds else "chat"


def _kinds(record: Mapping[str, Any]) -> list[Format]:
    """Return what a record may be."""
    if record.get("format") == "shoritui-chat":
        return ["chat"]
    kinds: list[Format] = []
    has_list = turns_key(record, LISTS["sharegpt"])
    if has_list and any(isinstance(record.get(key), dict) for key in _LIMARP):
        kinds.append("limarp")
    elif has_list:
        kinds.append("sharegpt")
    rows = record.get("messages")
    first = rows[0] if isinstance(rows, list) and rows else {}
    if is_turn(first):
        kinds.append("messages")
    elif "messages" in record:
        kinds.append("blockml")
    elif turns_key(record, LISTS["messages"]):
        kinds.append("messages")
    if is_pair(record):
        kinds.append("alpaca")
    if "text" in record and not kinds:
        kinds.append("blockml")
    return kinds


def _unknown(record: Mapping[str, Any]) -> str:
    keys = ", ".join(printable(key, 20) for key in list(record)[:8]) or "none"
    return (
        "expected a JSON object with `messages`, `conversations`, `instruction` and `output`, or "
        f"`text`, but its keys are {keys}"
    )


def _short(record: object) -> str:
    kinds = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(record), "a number")


def _turns(kind: Format) -> Callable[[Mapping[str, Any], int, Reading], Found]:
    keys = LISTS["messages" if kind == "messages" else "sharegpt"]

    def read(record: Mapping[str, Any], line: int, reading: Reading) -> Found:
        talk = talk_of_turns(record, turns_key(record, keys) or keys[0], line)
        return conversation_of(talk, reading)

    return read


def _pair(record: Mapping[str, Any], line: int, reading: Reading) -> Found:
    return conversation_of(talk_of_pair(record, line), reading)


def _blockml(record: Mapping[str, Any], line: int, reading: Reading) -> Found:
    if "messages" in record:
        return renamed(conversation_of_fields(record, line), reading.names)
    text = record.get("text")
    if not isinstance(text, str) or _text_kind(text) == "blockml":
        return renamed(conversation_of_text_field(record, line), reading.names)
    return _completion(record, line, reading)


def _completion(record: Mapping[str, Any], line: int, reading: Reading) -> Found:
    """Return the conversation in a text that is not BlockML; without one, somebody tells it all."""
    text = record.get("text")
    if not isinstance(text, str):
        raise Unusable(line, "text should be text")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if is_marked(text):
        return conversation_of(talk_of_marked(text, line, counts=False), reading)
    messages = messages_of_log(text, {*reading.names})
    if messages is None:
        return conversation_of(Talk(line, (Turn("text", text, line),)), reading)
    turns = (Turn(each.speaker, each.text, line) for each in messages)
    return conversation_of(Talk(line, tuple(turns)), reading)


def _named(make: Callable[[], Talk], reading: Reading, *, counts: bool) -> Read:
    try:
        return conversation_of(make(), reading, counts=counts)
    except Unusable as error:
        return error


def _yaml(path: Path) -> object:
    try:
        return values_of_yaml(text_of(path))
    except UserError as error:
        return Unusable(1, str(error).replace("a card in YAML", "YAML"))


_READERS: Final[Mapping[Format, Callable[[Mapping[str, Any], int, Reading], Found]]] = {
    "blockml": _blockml,
    "chatml": _completion,
    "log": _completion,
    "sharegpt": _turns("sharegpt"),
    "messages": _turns("messages"),
    "limarp": _turns("limarp"),
    "alpaca": _pair,
}
