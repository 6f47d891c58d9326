"""Names and keys match as people read them: 300 lines in eight scripts, each with its answer."""

from __future__ import annotations

import re
from pathlib import Path
from unicodedata import normalize

from hypothesis import given
from hypothesis import strategies as st

from shoritui.names import Names, addressed, fold, who_is_called

LINES = [
    tuple(part.strip() for part in line.split("|"))
    for line in Path(__file__).with_name("names.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


def written(text: str) -> str:
    """The text of a line, with what a file can hardly hold."""
    text = text.replace("↵", "\n")
    code = r"\\u([0-9a-f]{4})|\\U([0-9a-f]{8})"
    return re.sub(code, lambda found: chr(int(found[1] or found[2], 16)), text)


def answer(asked: str, names: list[str], text: str) -> str:
    match asked:
        case "find":
            found = {names[each.name] for each in Names(names, stars=True).find(text)}
            return "; ".join(name for name in names if name in found)
        case "call":
            return who_is_called(text, dict.fromkeys(names, ()), names)
    name, words = addressed(text, names)
    return "" if name is None else f"{name}: {words}".strip()


def test_the_table() -> None:
    assert len(LINES) >= 300 and len({script for script, *_ in LINES}) >= 8
    wrong = []
    for script, asked, names, text, right in LINES:
        keys = [written(name) for name in names.split("; ")]
        got = answer(asked, keys, written(text))
        if got != written(right):
            wrong.append(f"{script} | {asked} | {names} | {text} | {right!r}, got {got!r}")
    assert not wrong, "\n".join(wrong)


WORDS = st.lists(
    st.sampled_from(
        ["Bo", "bob", "Amélie", "鈴", "青い", "राम", "ra", "Пётр", "_", "’", " ", "ليلى"]
    )
)


@given(WORDS.map("".join), st.lists(WORDS.map("".join), max_size=4))
def test_many_names_are_found_as_one_is(text: str, keys: list[str]) -> None:
    alone = {number for number, key in enumerate(keys) if Names([key]).find(text)}
    assert {each.name for each in Names(keys).find(text)} == alone


@given(WORDS.map("".join), WORDS.map("".join))
def test_normal_form_and_capitals_make_no_difference(text: str, key: str) -> None:
    found = bool(Names([key]).find(text))
    for form in (normalize("NFD", text), normalize("NFKC", text), text.swapcase()):
        assert bool(Names([key]).find(form)) == found


@given(st.text(max_size=40))
def test_a_folded_text_stays_as_it_is(text: str) -> None:
    assert fold(fold(text)) == fold(text)


def test_capitals_may_matter() -> None:
    assert Names(["May"], case=True).find("In May.") and not Names(["May"], case=True).find("may")


def test_other_names_address_as_well() -> None:
    assert addressed("@Captain, well?", {"Mara": ("Captain",)}) == ("Mara", "well?")
    assert who_is_called("Aye, captain!", {"Mara": ("Captain",), "Bo": ()}, ["Mara"]) == "Mara"
