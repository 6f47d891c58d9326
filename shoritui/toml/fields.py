'''Say what a table of a TOML file may hold, by the class that its values end in.

    @dataclass
    class Character:
        name: Annotated[str, Rule("a name (one line, no colon)", _wrong_name)]
        """The label before the colon in messages."""
        user: bool = False

`fields_of(Character)` is the table of fields that `check.problems` reads a file by, and
`meanings_of(Character)` what generated files and references print. A class may be a dataclass or
a `msgspec.Struct`; limits are msgspec's (`Annotated[int, Meta(ge=0)]`).
'''

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

import msgspec
import msgspec.structs
from msgspec import NODEFAULT

from shoritui.toml.wording import shown

_MISSING = (MISSING, NODEFAULT)
_ENDLESS = (2**31 - 1, 2**63 - 1)  # limits that are not worth a word


@dataclass(frozen=True, slots=True)
class Rule:
    """What a type does not say, as a part of an `Annotated` one."""

    expected: str = ""
    """What the value must be, in words; empty leaves it to the type."""
    fault: Callable[[Any], str] = lambda value: ""
    """How a value of the right type breaks the rule, such as `but it is empty`; empty if not."""


def _blank(text: str) -> str:
    return "" if text.strip() else "but it is empty"


FILLED = Rule(fault=_blank)
"""For a text that must say something."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of one table: a value of some type, a table, or several tables."""

    type: Any = None
    """The type of a value; None if it can only be a table."""
    default: object = NODEFAULT
    """NODEFAULT if the field must be given."""
    table: Fields | None = None
    """What it holds if it is a table."""
    repeated: bool = False
    """True for tables that are written as [[name]], once for each."""

    @property
    def is_required(self) -> bool:
        """Whether the field must be given."""
        return self.default is NODEFAULT


Fields: TypeAlias = Mapping[str, Field]
"""What a table may hold, by key."""


@cache
def fields_of(record: type) -> dict[str, Field]:
    """Return what a table may hold that becomes one `record`."""
    hints = get_type_hints(record, include_extras=True)
    structs: Any = msgspec.structs if issubclass(record, msgspec.Struct) else dataclasses
    return {each.name: _field(hints[each.name], each) for each in structs.fields(record)}


@cache
def meanings_of(record: type) -> dict[str, str]:
    """Return what the string below each field of a class says, on one line."""
    (owner,) = ast.parse(textwrap.dedent(inspect.getsource(record))).body
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


def expected(hint: Any) -> str:
    """Return what a value of this type must be, in words: `a whole number of 0 or more`."""
    bare, notes = type_parts(hint)
    for note in notes:
        if isinstance(note, Rule) and note.expected:
            return note.expected
    if choices := choices_of(bare):
        return shown(choices[0]) if len(choices) == 1 else f"one of {_listed(choices)}"
    if (item := item_of(bare)) is not None:
        return f"a list of {_several(item)}"
    limits = _limits(notes)
    number = "a number" if limits else "a finite number"
    words = {bool: "true or false", int: "a whole number", float: number, str: "text in quotes"}
    return words.get(bare, "a table") + limits


@cache
def type_parts(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return a type without what annotates it and without None, and what annotates it."""
    is_annotated = get_origin(hint) is Annotated
    bare, notes = (hint.__origin__, hint.__metadata__) if is_annotated else (hint, ())
    if get_origin(bare) in (Union, UnionType):
        some = [each for each in get_args(bare) if each is not NoneType]
        if len(some) == 1:
            inner, more = type_parts(some[0])
            return inner, (*notes, *more)
    return bare, notes


def choices_of(hint: Any) -> tuple[str | int, ...]:
    """Return the values of a Literal, or of several joined; none for another type."""
    hint, _ = type_parts(hint)
    if get_origin(hint) is Literal:
        return get_args(hint)
    if get_origin(hint) in (Union, UnionType):
        return tuple(value for part in get_args(hint) for value in choices_of(part))
    return ()


def item_of(hint: Any) -> Any:
    """Return the type of a list's items; None for another type."""
    hint, _ = type_parts(hint)
    return get_args(hint)[0] if get_origin(hint) in (list, tuple) else None


def _field(hint: Any, declared: Any) -> Field:
    """Return the field of a type; `declared` is what dataclasses or msgspec know of it."""
    default, factory = declared.default, declared.default_factory
    if factory not in _MISSING:
        default = factory()
    elif default in _MISSING:
        default = NODEFAULT
    item = item_of(hint)
    if _is_record(item):
        return Field(None, default, fields_of(item), repeated=True)
    return Field(None, default, fields_of(hint)) if _is_record(hint) else Field(hint, default)


def _is_record(hint: Any) -> bool:
    return isinstance(hint, type) and (
        dataclasses.is_dataclass(hint) or issubclass(hint, msgspec.Struct)
    )


def _listed(choices: tuple[str | int, ...]) -> str:
    return ", ".join(map(str, choices))


def _several(item: Any) -> str:
    bare, notes = type_parts(item)
    if choices := choices_of(bare):
        return f"any of {_listed(choices)}"
    words = {int: "whole numbers", float: "numbers", str: "texts in quotes"}
    return words[bare] + _limits(notes)


def _limits(notes: tuple[Any, ...]) -> str:
    """Return the end of "a number ...": `of 0 or more`, `from 0 to below 1`, `above 0`."""
    limits = next((note for note in notes if isinstance(note, msgspec.Meta)), msgspec.Meta())
    least = limits.ge if limits.gt is None else limits.gt
    most = limits.le if limits.lt is None else limits.lt
    if least is None:
        return ""
    if most is None or most in _ENDLESS:
        return f" of {least:,} or more" if limits.gt is None else f" above {least:,}"
    if limits.gt is not None:
        return f" above {least:,} and at most {most:,}"
    return f" from {least:,} to {'below ' * (limits.lt is not None)}{most:,}"
