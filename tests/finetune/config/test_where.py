"""Filters: what they let through, and where they go wrong."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.finetune.config.tag_filter import WhereError, parse_where

TAGS = ("explicit", "magic", "slice of life", "not", "(odd)")


@pytest.mark.parametrize(
    ("text", "passing", "stopped"),
    [
        ("", [[], ["explicit"]], []),
        ("explicit", [["Explicit"], ["magic", " EXPLICIT "]], [[], ["explicitly"]]),
        ("not explicit", [[], ["magic"]], [["explicit"]]),
        ("not not magic", [["magic"]], [[]]),
        ('"slice of life"', [["Slice  of\nLife"]], [["slice"], []]),
        ("'slice of life' and not magic", [["slice of life"]], [["slice of life", "magic"]]),
        ("a or b and c", [["a"], ["b", "c"]], [["b"], ["c"]]),
        ("(a or b) and c", [["a", "c"], ["b", "c"]], [["a"], ["b"], ["c"]]),
        ("not a and b", [["b"]], [["a", "b"], []]),
        ("not (a and b)", [["b"], []], [["a", "b"]]),
        ("NOT a OR b", [[], ["a", "b"]], [["a"]]),
        ('"not"', [["not"]], [[]]),
        ("sci-fi and 90s", [["sci-fi", "90s"]], [["90s"]]),
        ("straße", [["STRASSE"]], [[]]),
        ("(" * 3000 + "a" + ")" * 3000, [["a"]], [[]]),
    ],
)
def test_a_filter_lets_through(
    text: str, passing: list[list[str]], stopped: list[list[str]]
) -> None:
    where = parse_where(text)
    assert [where.allows(tags) for tags in passing] == [True] * len(passing)
    assert [where.allows(tags) for tags in stopped] == [False] * len(stopped)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("not", "column 4: expected a tag"),
        ("a b", 'column 3: expected "and", "or" or .*, not b; a tag of several words'),
        ("a and", "column 6: expected a tag"),
        ("a and or b", 'column 7: expected a tag .*, not "or"'),
        ("a and )", 'column 7: expected a tag .*, not "\\)"'),
        ("(a", 'column 1: this "\\(" is never closed'),
        ("a)", 'column 2: no "\\(" belongs to this'),
        ('a and "b', "column 7: this quotation mark is never closed"),
        ('""', "column 1: expected a tag between the quotation marks"),
    ],
)
def test_a_mistake_is_told_with_its_column(text: str, sentence: str) -> None:
    with pytest.raises(WhereError, match=sentence):
        parse_where(text)


conditions = st.recursive(
    st.sampled_from(TAGS),
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner),
    ),
    max_leaves=12,
)


def written(condition: object) -> str:
    if isinstance(condition, str):
        return f'"{condition}"'
    assert isinstance(condition, tuple)
    if len(condition) == 2:
        return f"not ({written(condition[1])})"
    return f"({written(condition[0])}) {condition[1]} ({written(condition[2])})"


def meant(condition: object, tags: set[str]) -> bool:
    if isinstance(condition, str):
        return condition in tags
    assert isinstance(condition, tuple)
    if len(condition) == 2:
        return not meant(condition[1], tags)
    left, right = meant(condition[0], tags), meant(condition[2], tags)
    return left and right if condition[1] == "and" else left or right


@given(conditions, st.sets(st.sampled_from(TAGS)))
def test_any_condition_means_what_it_says(condition: object, tags: set[str]) -> None:
    assert parse_where(written(condition)).allows(tags) == meant(condition, tags)


@given(st.text(alphabet="ab()\"' andortno", max_size=30))
def test_any_text_is_a_filter_or_a_mistake_at_a_column_of_it(text: str) -> None:
    try:
        parse_where(text).allows(["a"])
    except WhereError as error:
        match = re.match(r"column (\d+): ", str(error))
        assert match
        assert 1 <= int(match[1]) <= len(text) + 1
