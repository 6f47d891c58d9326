"""The tables of a config file: what `load` checks them by, and what `write` explains."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Final, Literal

from shoritui.finetune.config.model import (
    Base,
    Config,
    Data,
    Lora,
    Preference,
    Prompt,
    Source,
    Tier,
    Train,
    Watch,
)
from shoritui.toml import FILLED, Field, Fields, Rule, fields_of, meanings_of

TableName = Literal[
    "", "base", "lora", "train", "data", "preference", "watch", "prompt", "source", "tier"
]


RECORDS: Final[dict[TableName, type]] = {
    "": Config,
    "base": Base,
    "lora": Lora,
    "train": Train,
    "data": Data,
    "preference": Preference,
    "watch": Watch,
    "prompt": Prompt,
    "source": Source,
    "tier": Tier,
}
_TABLES: Final[tuple[TableName, ...]] = ("lora", "train", "data", "preference", "watch")
TIER_TABLES: Final[tuple[TableName, ...]] = ("train", "data", "preference")
"""Those whose keys a tier may also set for itself."""
_BASE: Final = Rule('a folder, a hub id, a GGUF file, "smollm2" or "demo"')


def own_fields(table: TableName) -> Fields:
    """Return the fields of one table that are no tables themselves."""
    known = fields_of(RECORDS[table])
    return {_key(table, name): field for name, field in known.items() if _is_own(name, field)}


def meanings(table: TableName) -> dict[str, str]:
    """Return what each of a table's own fields means."""
    return {_key(table, name): text for name, text in meanings_of(RECORDS[table]).items()}


@cache
def config_fields() -> Fields:
    """Return what a config file may hold; a tier also what it changes of the tables for tiers."""
    shared = (*map(own_fields, TIER_TABLES), own_fields("tier"))
    tier = {key: field for known in shared for key, field in known.items()}
    return {
        **own_fields(""),
        **{key: Field(None, None, own_fields(key)) for key in _TABLES},
        "base": Field(Annotated[str, _BASE, FILLED], None, own_fields("base")),
        "prompt": Field(None, None, own_fields("prompt"), repeated=True),
        "source": Field(None, None, own_fields("source"), repeated=True),
        "tier": Field(None, None, tier, repeated=True),
    }


def _key(table: TableName, name: str) -> str:
    # A tier's `data` is its files: `Tier.data` is the table, whose keys stand in the tier.
    return "data" if (table, name) == ("tier", "files") else name


def _is_own(name: str, field: Field) -> bool:
    return field.table is None and name != "path"
