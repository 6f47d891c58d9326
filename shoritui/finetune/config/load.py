"""A config file as a config: reading, checking, and what one tier inherits from another.

It does not know who asks, nor what is done with a config.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from shoritui.finetune.config.check import problems
from shoritui.finetune.config.model import Base, Config, Data, Lora, Prompt, Tier, Train, Watch
from shoritui.sheets import parse_text, read_text

KIND: Final = "training config"

_Record = TypeVar("_Record", Base, Lora, Train, Data, Watch, Prompt)


def load(path: str | os.PathLike[str]) -> Config:
    """The config in a file.

    Raises:
        UserError: It cannot be read or is not right; file, line, field and what was expected.
    """
    file = Path(path).expanduser()
    return parse_config(file, read_text(file, KIND))


def parse_config(path: Path, text: str) -> Config:
    """The config of a file's text; `path` is where its globs and its output begin.

    Raises:
        UserError: It is not right.
    """
    sheet = parse_text(path, text, KIND)
    sheet.raise_first(problems(sheet.data))
    return _config(path.absolute(), sheet.data)


def _config(path: Path, data: Mapping[str, Any]) -> Config:
    base = data.get("base", {})
    config = Config(
        path=path,
        tiers=_tiers(data),
        base=Base(model=base) if isinstance(base, str) else _changed(Base(), base),
        lora=_changed(Lora(), data.get("lora", {})),
        watch=_changed(
            replace(Watch(), prompts=tuple(_prompt(row) for row in data.get("prompt", []))),
            data.get("watch", {}),
        ),
    )
    return replace(config, output=data["output"]) if "output" in data else config


def _tiers(data: Mapping[str, Any]) -> tuple[Tier, ...]:
    """A tier takes from [train] and [data] what it does not say, its rate from the tier above."""
    train = _changed(Train(), data.get("train", {}))
    table = _changed(Data(), data.get("data", {}))
    tiers: list[Tier] = []
    for row in data["tier"]:
        above = tiers[-1] if tiers else None
        rate = above.train.learning_rate if above else train.learning_rate
        tiers.append(
            Tier(
                name=row["name"],
                files=tuple(row["data"]),
                after=row.get("after", above.name if above else ""),
                where=row.get("where", ""),
                train=_changed(replace(train, learning_rate=rate), row),
                data=_changed(table, row),
            )
        )
    return tuple(tiers)


def _prompt(row: Mapping[str, Any]) -> Prompt:
    return _changed(Prompt(name="", text="", speaker=""), row)


def _changed(record: _Record, row: Mapping[str, Any]) -> _Record:
    """The record with what a table says; the table may hold keys of other records too."""
    changes: dict[str, Any] = {}
    for each in fields(record):
        if each.name in row:
            value = row[each.name]
            if isinstance(value, list):
                value = tuple(value)
            elif isinstance(getattr(record, each.name), float):
                value = float(value)
            changes[each.name] = value
    return replace(record, **changes)
