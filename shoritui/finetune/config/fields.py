"""The one table of a config's fields: checking, loading and writing all read it.

It does not know how a file is read, nor where in it a field stands.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from dataclasses import MISSING, dataclass, fields
from functools import cache
from types import UnionType
from typing import Any, Final, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

from shoritui.finetune.config.model import Base, Config, Data, Lora, Prompt, Tier, Train, Watch

TableName = Literal["", "base", "lora", "train", "data", "watch", "prompt", "tier"]
Kind = Literal["text", "flag", "whole", "number", "choice", "texts", "wholes", "choices"]
Record: TypeAlias = type[Base | Lora | Train | Data | Watch | Prompt | Tier | Config]

RECORDS: Final[dict[TableName, Record]] = {
    "": Config,
    "base": Base,
    "lora": Lora,
    "train": Train,
    "data": Data,
    "watch": Watch,
    "prompt": Prompt,
    "tier": Tier,
}
REPEATED: Final[tuple[TableName, ...]] = ("prompt", "tier")
"""Written as [[name]], once for each."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The numbers that are allowed."""

    words: str
    """The end of "a number ..."."""
    least: float
    most: float = sys.float_info.max
    but: float | None = None
    """The one of the two ends that is not allowed."""

    def hold(self, number: float) -> bool:
        """Whether the number is allowed."""
        return self.least <= number <= self.most and number != self.but


_COUNT: Final = Limits("of at least 1", 1, 2**31 - 1)
_NUMBER: Final = Limits("of at least 0", 0, 2**31 - 1)
_POSITIVE: Final = Limits("above 0", 0, but=0)
_BELOW_ONE: Final = Limits("from 0 to below 1", 0, 1, but=1)

_LIMITS: Final[dict[str, Limits]] = {
    **dict.fromkeys(("r", "epochs", "accumulation", "micro_batch", "hint_limits"), _COUNT),
    **dict.fromkeys(("warmup_steps", "evaluate_every", "save_every", "reply_every"), _NUMBER),
    **dict.fromkeys(("alpha", "plus", "epsilon"), _POSITIVE),
    **dict.fromkeys(("weight_decay", "max_grad_norm", "neftune"), Limits("of at least 0", 0)),
    **dict.fromkeys(("dropout", "beta1", "beta2", "evaluation"), _BELOW_ONE),
    "hint_dropout": Limits("from 0 to 1", 0, 1),
    "learning_rate": Limits("above 0, at most 1", 0, 1, but=0),
    "sequence_len": Limits("of at least 16", 16, 2**31 - 1),
    "seed": Limits("of at least 0", 0, 2**63 - 1),
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of one table."""

    key: str
    kind: Kind
    meaning: str
    """What it does, as the comment in a config tells it."""
    default: object = MISSING
    """MISSING if it must be given."""
    choices: tuple[str, ...] = ()
    limits: Limits | None = None

    @property
    def expected(self) -> str:
        """What its value should be, in words."""
        numbers = f" {self.limits.words}" if self.limits else ""
        words: dict[Kind, str] = {
            "text": "a string",
            "flag": "true or false",
            "whole": f"a whole number{numbers}",
            "number": f"a number{numbers}",
            "choice": f"one of {', '.join(self.choices)}",
            "texts": "a list of strings",
            "wholes": f"a list of whole numbers{numbers}",
            "choices": f"a list of any of {', '.join(self.choices)}",
        }
        return words[self.kind]


@cache
def own_fields(table: TableName) -> dict[str, Field]:
    """The fields of one table that are no tables themselves, by their key in a file."""
    record = RECORDS[table]
    hints = get_type_hints(record)
    meanings = _attribute_docstrings(record)
    found = {}
    for each in fields(record):
        shape = _shape(hints[each.name])
        if shape is None:
            continue
        kind, choices = shape
        # A tier's `data` is its files: `Tier.data` is the table, whose keys stand in the tier.
        key = "data" if (table, each.name) == ("tier", "files") else each.name
        meaning = meanings.get(each.name, "")
        limits = _LIMITS.get(key)
        found[key] = Field(key, kind, meaning, each.default, choices, limits)
    return found


@cache
def all_fields(table: TableName) -> dict[str, Field]:
    """What may stand in a table: in a tier also what it changes of [train] and [data]."""
    if table == "tier":
        return {**own_fields("train"), **own_fields("data"), **own_fields("tier")}
    return own_fields(table)


def heading(table: TableName) -> str:
    """The table as a person finds it in the file."""
    if not table:
        return "the top of the file"
    return f"[[{table}]]" if table in REPEATED else f"[{table}]"


def _shape(hint: Any) -> tuple[Kind, tuple[str, ...]] | None:
    """The kind and the choices of a type; None for one that is not a value in a file."""
    plain: dict[Any, Kind] = {bool: "flag", int: "whole", float: "number", str: "text"}
    if hint in plain:
        return plain[hint], ()
    if get_origin(hint) is Literal:
        return "choice", get_args(hint)
    if get_origin(hint) is not tuple:
        return None
    item = get_args(hint)[0]
    many: dict[Any, Kind] = {str: "texts", int: "wholes"}
    if item in many:
        return many[item], ()
    choices = _choices(item)
    return ("choices", choices) if choices else None


def _choices(hint: Any) -> tuple[str, ...]:
    """The words of a Literal, or of several joined."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    if get_origin(hint) in (Union, UnionType):
        return tuple(word for part in get_args(hint) for word in _choices(part))
    return ()


def _attribute_docstrings(record: Record) -> dict[str, str]:
    """What the string below each field of a class says, on one line."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(record)))
    (owner,) = tree.body
    assert isinstance(owner, ast.ClassDef)
    found: dict[str, str] = {}
    for field, below in zip(owner.body, owner.body[1:], strict=False):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = " ".join(text.split())
    return found
