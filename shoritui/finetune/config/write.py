"""A config as the text of a file in which every setting is explained.

It does not know where that is put.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from dataclasses import fields
from typing import Final

from shoritui.finetune.config.fields import Field, TableName, heading, own_fields
from shoritui.finetune.config.model import Config, Data, Prompt, Tier, Train

_WIDTH: Final = 96
_PURPOSES: Final[dict[TableName, str]] = {
    "": "A training config. `shoritui finetune` trains what has changed since the last time; "
    "`finetune plan` says what that is. Paths begin in this file's folder.",
    "base": "The frozen model that the adapter is for.",
    "lora": "The adapter.",
    "train": "How tiers are trained, unless one says otherwise.",
    "data": "How conversations become what is learnt, unless a tier says otherwise.",
    "watch": "How a run is watched and kept; nothing of this changes what is learnt.",
    "prompt": "Fixed prompts, which sample replies are written to while a run goes on.",
    "tier": "The tiers, in the order in which they are trained. A tier may also hold any key of "
    "[train] and [data]; without a learning_rate it takes that of the tier above it.",
}


def text_of(config: Config) -> str:
    """The text of a file that `load` reads as this config."""
    first = config.tiers[0]
    chapters = [
        [*_comment(_PURPOSES[""]), "", *_explained("", config)],
        _table("base", config.base),
        _table("lora", config.lora),
        _table("train", first.train),
        _table("data", first.data),
        _table("watch", config.watch),
    ]
    if config.watch.prompts:
        chapters += [_introduced("prompt"), *map(_prompt, config.watch.prompts)]
    above = ["", *(tier.name for tier in config.tiers)]
    tiers = (_tier(tier, first, name) for tier, name in zip(config.tiers, above, strict=False))
    chapters += [_introduced("tier"), *tiers]
    return "\n\n".join("\n".join(chapter) for chapter in chapters) + "\n"


def _table(table: TableName, record: object) -> list[str]:
    return [*_comment(_PURPOSES[table]), heading(table), *_explained(table, record)]


def _explained(table: TableName, record: object) -> list[str]:
    """Every setting of a table, each below what it means."""
    lines: list[str] = []
    for field in own_fields(table).values():
        lines += [*_comment(_meaning(field)), _setting(field.key, getattr(record, field.key))]
    return lines


def _introduced(table: TableName) -> list[str]:
    """What a repeated table is for, and what its keys mean."""
    rows = [f"  {field.key}: {_meaning(field)}" for field in own_fields(table).values()]
    return [line for text in (_PURPOSES[table], *rows) for line in _comment(text)]


def _prompt(prompt: Prompt) -> list[str]:
    said = {key: getattr(prompt, key) for key in own_fields("prompt")}
    return [heading("prompt"), *_settings(said)]


def _tier(tier: Tier, first: Tier, above: str) -> list[str]:
    """What a tier says of itself, its rate, and what else is not as in [train] and [data]."""
    said: dict[str, object] = {"name": tier.name, "data": tier.files}
    if tier.after != above:
        said["after"] = tier.after
    if tier.where:
        said["where"] = tier.where
    said["learning_rate"] = tier.train.learning_rate
    for own, usual in ((tier.train, first.train), (tier.data, first.data)):
        said |= _changes(own, usual)
    return [heading("tier"), *_settings(said)]


def _changes(own: Train | Data, usual: Train | Data) -> dict[str, object]:
    values = {each.name: getattr(own, each.name) for each in fields(own)}
    return {key: value for key, value in values.items() if value != getattr(usual, key)}


def _settings(said: Mapping[str, object]) -> list[str]:
    return [_setting(key, value) for key, value in said.items()]


def _meaning(field: Field) -> str:
    """The comment of a setting, with the words it may have if it may have only some."""
    if field.kind not in ("choice", "choices"):
        return field.meaning
    quantity = "One" if field.kind == "choice" else "Any"
    return f"{field.meaning} {quantity} of {', '.join(field.choices)}."


def _comment(text: str) -> list[str]:
    indent = text[: len(text) - len(text.lstrip())]
    room = _WIDTH - 2 - len(indent)
    after = f"# {indent}{'  ' if indent else ''}"
    lines = textwrap.wrap(text.strip(), room, break_long_words=False, break_on_hyphens=False)
    return [(after if number else f"# {indent}") + line for number, line in enumerate(lines)]


def _setting(key: str, value: object) -> str:
    line = f"{key} = {_value(value)}"
    if not isinstance(value, tuple) or len(line) <= _WIDTH:
        return line
    return "\n".join([f"{key} = [", *(f"  {_value(item)}," for item in value), "]"])


def _value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return _string(value)
        case tuple():
            return f"[{', '.join(map(_value, value))}]"
        case _:
            return repr(value).replace("e-0", "e-")


def _string(text: str) -> str:
    """A basic string, in lines if it has several; JSON's escapes are TOML's too."""
    lines = [json.dumps(line, ensure_ascii=False)[1:-1] for line in text.split("\n")]
    escaped = [line.replace("\x7f", "\\u007f") for line in lines]
    if len(escaped) == 1:
        return f'"{escaped[0]}"'
    body = "\n".join(escaped)
    if '""' not in text and not text.endswith('"'):
        body = body.replace('\\"', '"')
    return f'"""\n{body}"""'
