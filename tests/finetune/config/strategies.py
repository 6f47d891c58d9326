"""Configs of any values, for the tests of this room."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args, get_origin

from hypothesis import strategies as st
from msgspec import Meta

from shoritui.blockml import LENGTHS, Block, check_name, render
from shoritui.finetune.config.fields import TableName, own_fields
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
)
from shoritui.toml import Rule, choices_of, item_of, type_parts

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
filled = texts.filter(lambda text: bool(text.strip()))


def _is_name(text: str) -> bool:
    try:
        return bool(check_name(text))
    except ValueError:
        return False


names = st.text("abcXYZ012._-é", min_size=1, max_size=12).filter(
    lambda name: name[0] not in "._-" and name[-1] != "."
)
speakers = st.text(min_size=1, max_size=12).map(str.strip).filter(_is_name)
rising = st.lists(st.integers(1, 9999), min_size=8, max_size=8, unique=True).map(sorted)


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Values that a field of a type may have."""
    bare, notes = type_parts(hint)
    item = item_of(hint)
    if choices := choices_of(hint):
        return st.sampled_from(choices)
    if type_parts(item)[0] is int:
        return st.one_of(st.just(()), rising.map(tuple))
    if item:
        return st.lists(values(item), max_size=4).map(tuple)
    if get_origin(bare) is dict:
        return st.dictionaries(*map(values, get_args(bare)), max_size=3)
    if bare is str:
        rules = [note for note in notes if isinstance(note, Rule)]
        return filled.filter(lambda text: not any(rule.fault(text) for rule in rules))
    limits = next((note for note in notes if isinstance(note, Meta)), Meta())
    least, most = limits.ge or limits.gt or 0, limits.le or limits.lt
    if bare is int:
        return st.integers(int(least), int(most or 0))
    if bare is float:
        is_open = limits.gt is not None, limits.lt is not None
        return st.floats(
            least, most, exclude_min=is_open[0], exclude_max=is_open[1], allow_infinity=False
        )
    return st.booleans()


@st.composite
def table(draw: st.DrawFn, name: TableName) -> dict[str, Any]:
    """Some fields of a table."""
    known = own_fields(name)
    keys = draw(st.lists(st.sampled_from(list(known)), max_size=4, unique=True))
    return {key: draw(values(known[key].type)) for key in keys}


prompts = st.builds(
    Prompt,
    name=filled,
    text=st.lists(texts.map(lambda body: render(Block("lore", body))), min_size=1, max_size=3).map(
        "".join
    ),
    speaker=speakers,
    length=st.sampled_from(LENGTHS),
)


@st.composite
def configs(draw: st.DrawFn) -> Config:
    """A config that a file may hold."""
    tiers: list[Tier] = []
    for name in draw(st.lists(names, min_size=1, max_size=3, unique_by=str.casefold)):
        tiers.append(
            Tier(
                name=name,
                files=tuple(draw(st.lists(filled, min_size=1, max_size=3))),
                after=draw(st.sampled_from(["", *(tier.name for tier in tiers)])),
                where=draw(st.sampled_from(["", "not explicit", '"a b" and (c or not d)'])),
                train=Train(**draw(table("train"))),
                data=Data(**draw(table("data"))),
                kind=draw(st.sampled_from(get_args(Kind))),
                preference=Preference(**draw(table("preference"))),
            )
        )
    watch = draw(table("watch"))
    return Config(
        path=Path("/x/finetune.toml"),
        tiers=tuple(tiers),
        base=Base(**draw(table("base"))),
        lora=Lora(**draw(table("lora"))),
        watch=Watch(
            **watch,
            prompts=tuple(draw(st.lists(prompts, max_size=2, unique_by=lambda each: each.name))),
        ),
        sources=tuple(
            Source(files=tuple(draw(st.lists(filled, min_size=1, max_size=2))), **row)
            for row in draw(st.lists(table("source"), max_size=2))
            if row.pop("files", True)
        ),
        output=draw(st.one_of(st.just("adapters"), filled)),
    )
