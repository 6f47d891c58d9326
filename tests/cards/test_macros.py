"""Macros: what each stands for, that none survives, and that no text is too much."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui import guide
from shoritui.cards import (
    Card,
    Character,
    Lore,
    Opening,
    Scope,
    as_written,
    load_card,
    macro_problems,
    settle,
    settle_card,
)
from shoritui.cards.macros import known
from tests.cards.strategies import cards

BEGAN = datetime(2026, 11, 30, 20, 5).timestamp()
SCOPE = Scope(
    user="Wren",
    char="Mara",
    others=("Mara", "Bo"),
    texts={"description": "{{char}} waits.", "lastmessage": "Hush.", "scenario": "Fog."},
    random=Random(1),
    seed="7",
    now=datetime(2026, 11, 30, 20, 5, 9),
    idle=2 * 3600 + 5,
)
NAMES = sorted(known())


@pytest.mark.parametrize(
    ("text", "settled"),
    [
        ("{{char}} and {{user}}", "Mara and Wren"),
        ("{{Char}}, {{ USER }}, <BOT>, <User>", "Mara, Wren, Mara, Wren"),
        ("{{description}} {{scenario}}{{personality}}{{mesExamples}}", "Mara waits. Fog."),
        ("{{lastMessage}}", "Hush."),
        ("{{group}} / {{charIfNotGroup}} / {{notChar}}", "Mara, Bo / Mara, Bo / Bo, Wren"),
        ("{{time}} {{isotime}} on {{weekday}}", "8:05 PM 20:05 on Monday"),
        ("{{date}}, {{isodate}}", "November 30, 2026, 2026-11-30"),
        ("{{datetimeformat DD.MM.YY [at] H:mm:ss}}", "30.11.26 at 20:05:09"),
        ("{{idle_duration}}", "2 hours"),
        ("a{{newline}}b{{noop}}{{// never {{char}} }}{{comment: x}}", "a\nb"),
        ("a\n\n{{trim}}\nb", "ab"),
        ("{{random::{{user}}}} {{random:one}}", "Wren one"),
        (r"{{pick:a\,b}}", "a,b"),
        ("{{reverse:abc}}{{hidden_key:x}}", "cba"),
        ("{{roll:1d2-1}}".replace("1d2-1", "0d1+4"), ""),
        ("half {{open", "half {{open"),
    ],
)
def test_macro_stands_for(text: str, settled: str) -> None:
    assert settle(text, SCOPE).text == settled


def test_dice_and_choices_are_drawn() -> None:
    rolls = {settle("{{roll:2d6}} {{roll 4}}", SCOPE).text for _ in range(200)}
    assert all(2 <= int(roll.split()[0]) <= 12 and 1 <= int(roll.split()[1]) <= 4 for roll in rolls)
    assert len(rolls) > 20
    assert {settle("{{random:a,b}}", SCOPE).text for _ in range(60)} == {"a", "b"}


def test_pick_is_the_same_in_a_chat_and_others_in_others() -> None:
    text = "{{pick::a::b::c}} {{pick::a::b::c}}"
    assert len({settle(text, replace(SCOPE, random=Random())).text for _ in range(9)}) == 1
    assert len({settle(text, replace(SCOPE, seed=f"{n}")).text for n in range(90)}) == 9


def test_unknown_macros_are_left_out_and_told() -> None:
    settled = settle("a {{getvar::x}}b{{char.age}}{{getvar::x}}", SCOPE)
    assert settled == ("a b", ("{{getvar::x}}", "{{char.age}}"))
    assert settle("{{roll:many}}", SCOPE) == ("", ("{{roll:many}}",))


def test_guide_names_every_macro() -> None:
    page = Path(guide.__file__).with_name("cards.md").read_text(encoding="utf-8").casefold()
    rare = {"bot", "groupnotmuted", "idleduration", "bias", "banned"}
    assert [name for name in NAMES if f"{{{{{name}" not in page and name not in rare] == []


pieces = st.one_of(
    st.sampled_from(["{{", "}}", "{", "}", "::", ":", ",", "\\", "<user>", "//", " ", "\n"]),
    st.sampled_from(NAMES),
    st.text(max_size=5),
)
marked = st.lists(pieces, max_size=40).map("".join)


@given(marked, marked)
def test_no_macro_survives(text: str, description: str) -> None:
    settled = settle(text, replace(SCOPE, texts={"description": description}))
    assert not re.search(r"\{\{\s*(//|\w+)[^{}]*\}\}", settled.text)
    assert "<user>" not in settled.text
    assert settle(settled.text, SCOPE).text == settled.text


@given(st.text(), st.sampled_from(["", "{", "}", "{{", "}}", "{x}", "} }"]))
def test_text_without_macros_stays_as_it_is(text: str, braces: str) -> None:
    plain = re.sub(r"[{}<]", "", text) + braces
    assert settle(plain, SCOPE) == (plain, ())


@pytest.mark.parametrize(
    "text",
    [
        "{{" * 30_000,
        "{{" * 30_000 + "}}" * 30_000,
        "{{description}}" * 10_000,
        "{{char" * 20_000 + "}}" * 20_000,
        "{{random::" + "a::" * 50_000 + "}}",
        "<user>" * 20_000,
        "{{newline::99}}" * 10_000,
    ],
    ids=lambda text: text[:12],
)
def test_hostile_text_is_bounded(text: str) -> None:
    hostile = {
        "description": "{{description}}{{scenario}}" * 500,
        "scenario": "{{description}}" * 9,
    }
    settled = settle(text, Scope(user="W" * 60, texts=hostile))
    assert len(settled.text) <= len(text) + 100_000
    assert all(len(macro) < 50 for macro in settled.unknown)


CARD = Card(
    title="{{char}}'s glade",
    tags=("{{user}}",),
    scenario="{{char}} must cross before {{user}} wakes.",
    characters=(
        Character(name="Sefa", description="{{char}} hosts {{user}}. {{random:oak,ash}} {{time}}"),
        Character(name="Bo", description="{{char}} is old. {{unheard}}"),
        Character(name="Ana", description="{{user}} fears {{char}}.", user=True),
    ),
    lore=(Lore(name="Glade", text="{{char}} keeps it.", keys=("{{user}}'s tree", "{{odd}}")),),
    messages=(
        Opening(speaker="Ana", text="{{user}} sees {{char}}."),
        Opening(speaker="Bo", text="{{char}} nods at <USER>."),
        Opening(speaker="Bo", text="{{// nothing }}"),
    ),
)


def test_card_is_settled_as_each_field_is_meant() -> None:
    settled = settle_card(CARD, "Ana", BEGAN)
    sefa, bo, ana = settled.characters
    assert re.fullmatch("Sefa hosts Ana. (oak|ash) 8:05 PM", sefa.description)
    assert (bo.description, ana.description) == ("Bo is old. ", "Ana fears Sefa.")
    assert (settled.title, settled.tags) == ("Sefa's glade", ("Ana",))
    assert settled.scenario == "Sefa must cross before Ana wakes."
    assert settled.lore[0].text == "Sefa keeps it."
    assert settled.lore[0].keys == ("Ana's tree", "{{odd}}")
    assert [each.text for each in settled.messages] == ["Ana sees Sefa.", "Bo nods at Ana."]
    assert settle_card(CARD, "Ana", BEGAN) == settled == settle_card(settled, "Wren", 0)


def test_unknown_macros_of_a_card_are_told_by_file_and_field(tmp_path: Path) -> None:
    file = tmp_path / "glade.toml"
    file.write_text(
        '[[character]]\nname = "Sefa"\ndescription = "{{char}} {{sprite}}"\n', encoding="utf-8"
    )
    assert macro_problems(load_card(file)) == [
        "glade.toml, Sefa's description: {{sprite}} is no macro known here; it is left out."
    ]
    assert [sentence.split(":")[0] for sentence in macro_problems(CARD)] == [
        "Bo's description",
        "a key of Glade",
    ]


def test_what_the_story_changed_stays_and_the_rest_has_its_macros_again() -> None:
    taken = settle_card(CARD, "Ana", BEGAN)
    sefa, *rest = taken.characters
    changed = replace(
        taken, scenario="It rains.", characters=(replace(sefa, talkativeness=1), *rest)
    )
    back = as_written(changed, CARD, ["Wren", "Ana"], BEGAN)
    assert back == replace(
        CARD,
        scenario="It rains.",
        characters=(replace(CARD.characters[0], talkativeness=1), *CARD.characters[1:]),
    )


@given(cards())
def test_card_without_macros_stays_as_it_is(card: Card) -> None:
    assert settle_card(card, "Reimu", BEGAN) == card
