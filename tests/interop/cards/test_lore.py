"""Lorebooks of other programs come in and go out, and nothing of anybody's is lost."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shoritui.cards import Card, Lore, check_card
from shoritui.errors import UserError
from shoritui.interop.cards import LoreSource, export_lore
from shoritui.interop.cards.lore import FORMATS, book_in, book_of, kept_of, lore_of, written
from shoritui.text import clean
from tests.cards.strategies import names

ANY = settings(deadline=None, max_examples=200, suppress_health_check=list(HealthCheck))
words = st.one_of(
    st.sampled_from(["fog", "wolf*", "/mist(s)?/i", "a, b", "magical forest", "*", "7", "霧"]),
    st.text(min_size=1, max_size=6).map(clean).map(str.strip).filter(bool),
)
keys = st.lists(words, max_size=3, unique=True).map(tuple)


def is_lore(piece: Lore) -> bool:
    return check_card(Card(lore=(piece,)), cast=False).lore == (piece,)


pieces = st.builds(
    Lore,
    name=names,
    text=st.sampled_from(["The fog.", "@@depth 2\nDark.", "two\nlines", '"é"']),
    keys=keys,
    secondary_keys=keys,
    logic=st.sampled_from(["any", "all", "not any", "not all"]),
    case=st.booleans(),
    enabled=st.booleans(),
    scan_depth=st.sampled_from([1, 2, 1000]),
    probability=st.integers(1, 100),
    characters=st.lists(names, max_size=2).map(tuple),
    order=st.sampled_from([-1_000_000, 0, 7, 100]),
    group=st.sampled_from(["", "sea", "a, b"]),
    wakes=st.booleans(),
    woken=st.booleans(),
    delay=st.integers(0, 3),
    every=st.integers(1, 3),
    cooldown=st.integers(0, 3),
    place=st.sampled_from(["story", "top", "depth"]),
    depth=st.sampled_from([1, 4, 1000]),
    sticky=st.integers(0, 3),
).filter(is_lore)
lists = st.lists(pieces, max_size=3).map(tuple)

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 2000),
    st.sampled_from(["", "3", "0.5", "true", "before_char", "x, y", "/(/", [], {}, ["a", None, 3]]),
    st.lists(st.text(max_size=4), max_size=2),
)
WORLD = (
    *("uid", "key", "keysecondary", "comment", "content", "constant", "vectorized", "selective"),
    *("selectiveLogic", "addMemo", "order", "position", "disable", "ignoreBudget"),
    *("excludeRecursion", "preventRecursion", "delayUntilRecursion", "probability"),
    *("useProbability", "depth", "outletName", "group", "groupOverride", "groupWeight"),
    *("scanDepth", "caseSensitive", "matchWholeWords", "useGroupScoring", "automationId", "role"),
    *("sticky", "cooldown", "delay", "matchPersonaDescription", "matchCharacterDescription"),
    *("matchCharacterPersonality", "matchCharacterDepthPrompt", "matchScenario"),
    *("matchCreatorNotes", "triggers", "characterFilter", "displayIndex", "mine", "extensions"),
)
CARD = (
    *("id", "keys", "secondary_keys", "name", "comment", "content", "constant", "selective"),
    *("insertion_order", "enabled", "position", "use_regex", "case_sensitive", "priority", "mine"),
)
EXTENSIONS = (
    *("position", "exclude_recursion", "prevent_recursion", "delay_until_recursion"),
    *("display_index", "probability", "useProbability", "depth", "selectiveLogic", "group"),
    *("group_override", "group_weight", "scan_depth", "case_sensitive", "match_whole_words"),
    *("use_group_scoring", "automation_id", "role", "vectorized", "sticky", "cooldown", "delay"),
    *("triggers", "ignore_budget", "outlet_name", "mine"),
)


def entries(names: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    texts = st.fixed_dictionaries({"content": st.sampled_from(["Fog.", " Dark. ", "", None])})
    more = st.dictionaries(st.sampled_from(names), ODD, max_size=8)
    return st.tuples(more, texts).map(lambda both: {**both[0], **both[1]})


def held(rows: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    odd: st.SearchStrategy[Any] = st.one_of(rows, rows, rows, st.sampled_from([None, 3, "x", {}]))
    listed = st.lists(odd, max_size=4)
    return st.one_of(listed, st.dictionaries(st.sampled_from(list("01379x")), odd, max_size=4))


cards_entries = st.tuples(
    entries(CARD), st.dictionaries(st.sampled_from(EXTENSIONS), ODD, max_size=8)
).map(lambda both: {"extensions": both[1], **both[0]})
more = st.dictionaries(st.sampled_from(["name", "scan_depth", "mine", "token_budget"]), ODD)
books: dict[str, st.SearchStrategy[Any]] = {
    "sillytavern": st.tuples(more, held(entries(WORLD))).map(
        lambda both: {**both[0], "entries": both[1]}
    ),
    "v3": st.tuples(more, held(cards_entries)).map(
        lambda both: {"spec": "lorebook_v3", "data": {**both[0], "entries": both[1]}}
    ),
}


def of(names: str, **fixed: Any) -> st.SearchStrategy[Any]:
    """Lists of entries with some of these names, in a book."""
    [place] = (key for key, value in fixed.items() if value is ...)
    some = st.dictionaries(st.sampled_from(names.split()), ODD, max_size=9)
    texts = st.sampled_from([{"content": "A."}, {"entry": "A."}, {"text": "A."}, {"content": ""}])
    entry = st.tuples(some, texts).map(lambda both: {**both[0], **both[1]})
    rows = st.lists(st.one_of(entry, entry, st.sampled_from([None, 3, "x", {}])), max_size=4)
    return st.tuples(more, rows).map(lambda both: {**both[0], **fixed, place: both[1]})


books["risu"] = of(
    "key secondkey insertorder comment mode alwaysActive selective extentions activationPercent "
    "useRegex bookVersion id folder loreCache mine",
    type="risu",
    ver=1,
    data=...,
)
books["agnai"] = of(
    "name keywords priority weight enabled id comment secondaryKeys constant position probability "
    "useProbability selective selectiveLogic excludeRecursion mine extensions",
    kind="memory",
    entries=...,
)
books["kobold"] = of(
    "key keysecondary keyanti comment folder selective constant probability wigroup widisabled "
    "mine",
    gamestarted=False,
    prompt="",
    worldinfo=...,
)
books["novelai"] = of(
    "displayName keys enabled forceActivation searchRange contextConfig id category mine",
    lorebookVersion=5,
    entries=...,
)


@ANY
@given(name=st.sampled_from(list(FORMATS)), lore=lists)
def test_our_lore_comes_back_the_same_from_any_format(name: str, lore: tuple[Lore, ...]) -> None:
    form = FORMATS[name]
    book = json.loads(json.dumps(written(lore, form, name="Sea")))
    assert kept_of(book, form).lore == lore
    found = book_in(book)
    assert not lore or (found is not None and found.form is form)


@ANY
@given(name=st.sampled_from(list(books)), data=st.data())
def test_what_was_imported_is_exported_the_same(name: str, data: st.DataObject) -> None:
    form, book = FORMATS[name], data.draw(books[name])
    before = json.dumps(book)
    kept = kept_of(book, form)
    assert written(kept.lore, form, kept) == book and json.dumps(book) == before
    check_card(Card(lore=kept.lore), cast=False)


@ANY
@given(name=st.sampled_from(list(books)), other=st.sampled_from(list(FORMATS)), data=st.data())
def test_no_field_is_lost_by_way_of_another_format(
    name: str, other: str, data: st.DataObject
) -> None:
    form, book = FORMATS[name], data.draw(books[name])
    kept = kept_of(book, form)
    there = json.loads(json.dumps(written(kept.lore, FORMATS[other], kept)))
    middle = kept_of(there, FORMATS[other])
    assert middle.lore == kept.lore
    back = kept_of(written(middle.lore, form, middle), form)
    assert back.lore == kept.lore
    rows = [row for row in kept.rows if row.piece is not None]
    assert len(back.rows) >= len(rows)
    for old, new in zip(rows, [row for row in back.rows if row.piece is not None], strict=True):
        assert told(old.entry, form.used) <= told(new.entry, form.used)


def told(entry: Any, used: frozenset[str]) -> set[tuple[str, str]]:
    """What an entry says in fields that are not ours."""
    values = {**entry}
    for name in ("extensions", "extentions"):
        extensions = values.pop(name, None)
        values |= extensions if isinstance(extensions, dict) else {}
    rest = values.keys() - {*used, "uid", "id"}
    return {(key, json.dumps(values[key])) for key in rest}


@settings(ANY, max_examples=50)
@given(lore=lists, data=st.data())
def test_a_changed_piece_is_changed_there_and_only_there(
    lore: tuple[Lore, ...], data: st.DataObject
) -> None:
    kept = written(lore, FORMATS["v3"])["data"]
    for entry in kept["entries"]:
        entry["mine"] = 1
    changed = tuple(
        replace(piece, order=3, text="New.") if data.draw(st.booleans()) else piece
        for piece in lore
    )
    book = book_of(changed, kept)
    assert lore_of(book)[0] == changed
    assert all(entry["mine"] == 1 for entry in book["entries"])


def test_a_format_that_is_not_there_is_named(tmp_path: Path) -> None:
    source = LoreSource("sea", (Lore(name="Fog", text="Fog."),), ())
    with pytest.raises(UserError, match="no format xml: choose sillytavern, v3"):
        export_lore(source, "xml", tmp_path)
