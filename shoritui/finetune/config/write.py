"""Write a config as the text of a file in which every setting is explained."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Final, TypeVar

from shoritui.finetune.config.fields import TableName, meanings, own_fields
from shoritui.finetune.config.model import (
    Config,
    Data,
    Preference,
    Prompt,
    Source,
    Tier,
    Train,
)
from shoritui.toml import choices_of, item_of, quoted

_Shared = TypeVar("_Shared", Train, Data, Preference)

_WIDTH: Final = 96
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_PURPOSES: Final[dict[TableName, str]] = {
    "": "A training config. `shoritui finetune` trains what has changed since the last run; "
    "`shoritui finetune plan` shows what that is. Paths are relative to this file's folder.",
    "base": "The frozen model that the adapter is for.",
    "lora": "The adapter.",
    "train": "How tiers are trained, unless a tier says otherwise.",
    "data": "How conversations become training samples, unless a tier says otherwise.",
    "preference": 'How tiers of kind "preference" learn, unless a tier says otherwise.',
    "watch": "How a run is watched and saved; nothing here changes what is learnt.",
    "prompt": "Fixed prompts, to which sample replies are written during a run.",
    "source": "What the files of others are: [[source]] says what some of the tiers' files hold, "
    "and who is who in them. BlockML, chats and logs with names need none.",
    "tier": "The tiers, in the order in which they are trained. Delete those that you have no data "
    "for. A tier may also set any key of [train], [data] and [preference].",
}

_EXAMPLES: Final[dict[TableName, str]] = {
    "source": """\
[[source]]
files = ["data/low/*.json"]
names = { human = "Mara", gpt = "Ilse" }
system = "scenario"
""",
    "tier": """\
[[tier]]
name = "taste"
data = ["data/taste/*.jsonl"]
kind = "preference"
learning_rate = 3e-5
""",
}
"""Tables that few configs have, and how one looks."""


def text_of(config: Config) -> str:
    """Return the text of a file that `load` reads as this config."""
    first = config.tiers[0]
    chapters = [
        [*_comment(_PURPOSES[""]), "", *_explained("", config)],
        _table("base", config.base),
        _table("lora", config.lora),
        _table("train", first.train),
        _table("data", first.data),
        _table("preference", first.preference),
        _table("watch", config.watch),
    ]
    if config.watch.prompts:
        chapters += [_introduced("prompt"), *map(_prompt, config.watch.prompts)]
    chapters += [_introduced("source"), *map(_source, config.sources)]
    if not config.sources:
        chapters.append(_example("source"))
    above = ["", *(tier.name for tier in config.tiers)]
    tiers = (_tier(tier, first, name) for tier, name in zip(config.tiers, above, strict=False))
    chapters += [_introduced("tier"), *tiers]
    if all(tier.kind == "conversation" for tier in config.tiers):
        chapters.append(_example("tier"))
    return "\n\n".join("\n".join(chapter) for chapter in chapters) + "\n"


def _table(table: TableName, record: object) -> list[str]:
    return [*_comment(_PURPOSES[table]), f"[{table}]", *_explained(table, record)]


def _explained(table: TableName, record: object) -> list[str]:
    """Return every setting of a table, each below what it means."""
    lines: list[str] = []
    for key, meaning in _meanings(table):
        lines += [*_comment(meaning), _setting(key, getattr(record, key))]
    return lines


def _introduced(table: TableName) -> list[str]:
    """Return what a repeated table is for, and what its keys mean."""
    rows = [f"  {key}: {meaning}" for key, meaning in _meanings(table)]
    return [line for text in (_PURPOSES[table], *rows) for line in _comment(text)]


def _example(table: TableName) -> list[str]:
    return [f"# {line}" for line in _EXAMPLES[table].splitlines()]


def _prompt(prompt: Prompt) -> list[str]:
    said = {key: getattr(prompt, key) for key in own_fields("prompt")}
    return ["[[prompt]]", *_settings(said)]


def _source(source: Source) -> list[str]:
    usual = Source(())
    keys = (key for key in own_fields("source") if getattr(source, key) != getattr(usual, key))
    return ["[[source]]", *_settings({key: getattr(source, key) for key in keys})]


def _tier(tier: Tier, first: Tier, above: str) -> list[str]:
    """Return what a tier says of itself, its rate, and what differs from the tables."""
    said: dict[str, object] = {"name": tier.name, "data": tier.files}
    if tier.after != above:
        said["after"] = tier.after
    if tier.where:
        said["where"] = tier.where
    if tier.kind != "conversation":
        said["kind"] = tier.kind
    said["learning_rate"] = tier.train.learning_rate
    said |= _changes(tier.train, first.train)
    said |= _changes(tier.data, first.data)
    said |= _changes(tier.preference, first.preference)
    return ["[[tier]]", *_settings(said)]


def _changes(own: _Shared, usual: _Shared) -> dict[str, object]:
    values = {each.name: getattr(own, each.name) for each in fields(own)}
    return {key: value for key, value in values.items() if value != getattr(usual, key)}


def _settings(said: Mapping[str, object]) -> list[str]:
    return [_setting(key, value) for key, value in said.items()]


def _meanings(table: TableName) -> Iterator[tuple[str, str]]:
    """Yield each setting's comment, with the words it may have if it may have only some."""
    for key, field in own_fields(table).items():
        item = item_of(field.type)
        choices = choices_of(item or field.type)
        words = f" {'Any' if item else 'One'} of {', '.join(map(str, choices))}." * bool(choices)
        yield key, meanings(table)[key] + words


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


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else quoted(key)


def _value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return quoted(value, tall="\n" in value)
        case tuple():
            return f"[{', '.join(map(_value, value))}]"
        case dict():
            rows = (f"{_key(key)} = {_value(each)}" for key, each in value.items())
            return f"{{ {', '.join(rows)} }}" if value else "{}"
        case _:
            return repr(value).replace("e-0", "e-")
