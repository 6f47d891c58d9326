"""Load a config: the one that is named or the demo's, with what one tier inherits from another."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from shoritui.demo.sample import write_demo
from shoritui.errors import UserError
from shoritui.finetune.config.fields import config_fields
from shoritui.finetune.config.model import (
    Base,
    Config,
    Data,
    Kind,
    Lora,
    Preference,
    Prompt,
    Source,
    Tier,
    Train,
    Watch,
    is_path,
)
from shoritui.finetune.config.starts import StartError, started
from shoritui.folders import data_dir
from shoritui.toml import Problem, fields_of, nearest, parse_text, problems, read_text, shown

KIND: Final = "training config"
DEMO_FOLDER: Final = "finetune-demo"
FILE: Final = "finetune.toml"

_Record = TypeVar("_Record", Base, Lora, Train, Data, Preference, Watch, Prompt)


def load(path: str | os.PathLike[str]) -> Config:
    """Return the config in a file.

    Raises:
        UserError: It cannot be read or is not right; file, line, field and what was expected.
    """
    file = Path(path)
    return parse_config(file, read_text(file, KIND))


def parse_config(path: Path, text: str) -> Config:
    """Return the config of a file's text; `path` is where its globs and its output begin.

    Raises:
        UserError: It is not right.
    """
    sheet = parse_text(path, text, KIND)
    sheet.raise_first(problems(sheet.data, config_fields()))
    sheet.raise_first(_sense_problems(sheet.data))
    config = _config(path.absolute(), sheet.data)
    try:
        return started(config, sheet.data.get("lora", {}))
    except StartError as error:
        sheet.raise_first([error.problem])
        raise


def _sense_problems(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what each field allows, but nobody could train with."""
    prompts = [row["name"] for row in data.get("prompt", [])]
    for index, name in enumerate(prompts):
        if name in prompts[:index]:
            sentence = f"{shown(name)} is already the name of a prompt"
            yield Problem(("prompt", index, "name"), sentence)
    tiers = data.get("tier", [])
    if not tiers:
        yield Problem((), "there is no [[tier]] here, and a config needs at least one")
    yield from _tier_problems(tiers)


def _tier_problems(tiers: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    names: list[str] = [row["name"] for row in tiers]
    for index, (name, row) in enumerate(zip(names, tiers, strict=True)):
        above = names[:index]
        if name.casefold() in (other.casefold() for other in above):
            sentence = f"{shown(name)} is already the name of a tier; rename one"
            yield Problem(("tier", index, "name"), sentence)
        after = row.get("after", "")
        if after and after not in above and not is_path(after):
            if after in names:
                sentence = (
                    f"the tier {shown(name)} should come after a tier above it, and "
                    f"{shown(after)} is"
                )
                yield Problem(("tier", index, "after"), f"{sentence} not above")
            else:
                sentence = f"there is no tier {shown(after)} above for {shown(name)} to come after"
                guess = nearest(after, above, "there are")
                guess = f"{guess}; a PEFT folder is written with a slash"
                yield Problem(("tier", index, "after"), sentence + guess)


def _config(path: Path, data: Mapping[str, Any]) -> Config:
    base = data.get("base", {})
    watch = Watch(prompts=msgspec.convert(data.get("prompt", []), tuple[Prompt, ...]))
    config = Config(
        path=path,
        tiers=_tiers(data),
        base=Base(model=base) if isinstance(base, str) else _changed(Base(), base),
        lora=_changed(Lora(), data.get("lora", {})),
        watch=_changed(watch, data.get("watch", {})),
        sources=msgspec.convert(data.get("source", []), tuple[Source, ...]),
    )
    return replace(config, output=data["output"]) if "output" in data else config


def _tiers(data: Mapping[str, Any]) -> tuple[Tier, ...]:
    """Return the tiers.

    Each takes from the tables what it does not say, and its rate from the tier above; one that
    learns preferences a tenth of that, and passes it on as it was.
    """
    train = _changed(Train(), data.get("train", {}))
    table = _changed(Data(), data.get("data", {}))
    preference = _changed(Preference(), data.get("preference", {}))
    rate = train.learning_rate
    tiers: list[Tier] = []
    for row in data["tier"]:
        above = tiers[-1] if tiers else None
        kind: Kind = row.get("kind", "conversation")
        if kind == "conversation":
            rate = float(row.get("learning_rate", rate))
        usual = rate if kind == "conversation" else rate / 10
        tiers.append(
            Tier(
                name=row["name"],
                files=tuple(row["data"]),
                after=row.get("after", above.name if above else ""),
                where=row.get("where", ""),
                kind=kind,
                train=_changed(replace(train, learning_rate=usual), row),
                data=_changed(table, row),
                preference=_changed(preference, row),
            )
        )
    return tuple(tiers)


def _changed(record: _Record, row: Mapping[str, Any]) -> _Record:
    """Return the record with what a table says; the table may hold keys of other records too."""
    kind: type = type(record)
    fields = fields_of(kind)
    said = {key: msgspec.convert(row[key], fields[key].type) for key in fields if key in row}
    return replace(record, **said)


def chosen(options: argparse.Namespace) -> Config:
    """Return the config of `options.config`, or of the demo where `options.demo` is set.

    Raises:
        UserError: There is none, or it is not right.
    """
    if getattr(options, "demo", False):
        folder = _demo_folder()
        print(f"The demo's config and data are in {folder}.", file=sys.stderr)
        return load(folder / FILE)
    path: Path = options.config
    if path == Path(FILE) and not path.exists():
        raise UserError(
            f"There is no {FILE} in this folder: name a config, or write one with "
            "`shoritui finetune init`."
        )
    return load(path / FILE if (path / FILE).is_file() else path)


def _demo_folder() -> Path:
    """Return the user's own copy of the demo's data, made once and theirs to change."""
    folder = data_dir() / DEMO_FOLDER
    if not folder.exists():
        write_demo(folder)
    return folder
