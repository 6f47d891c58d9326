"""Whole cards as other programs write them, with fields that we know and some that nobody does."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

WHOLE = st.integers(-(2**63), 2**63)
VALUES = st.recursive(
    st.none() | st.booleans() | WHOLE | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=5,
)
UNKNOWN = st.dictionaries(st.text(min_size=1, max_size=8).map("x-{}".format), VALUES, max_size=2)
TEXTS = st.text(max_size=30) | st.sampled_from(
    [
        "  {{char}} waits.\r\n",
        "a\tb",
        "**Personality:** dry",
        "\x1b[1mx",
        "▀message\nx▄",
        "霊夢 – é",
    ]
)
NAMES = st.sampled_from(["Orla", " Orla Fenn ", 'O\'Neil: "Ace"', "霊夢", "orla"])
LISTS = st.lists(TEXTS, max_size=3)


@st.composite
def entries(draw: st.DrawFn) -> dict[str, Any]:
    """An entry of a character book."""
    return {
        "keys": draw(st.lists(st.sampled_from(["fog", "/mist/i", "/(/", " a ", ""]), max_size=2)),
        "content": draw(TEXTS),
        "extensions": {
            **draw(UNKNOWN),
            **draw(st.sampled_from([{}, {"position": 4, "depth": 2}, {"probability": 40}])),
        },
        "enabled": draw(st.booleans()),
        "insertion_order": draw(st.integers(-10, 10) | st.floats(0, 10)),
        **draw(UNKNOWN),
        **draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "name": TEXTS,
                    "comment": TEXTS,
                    "secondary_keys": LISTS,
                    "selective": st.booleans(),
                    "constant": st.booleans(),
                    "case_sensitive": st.none() | st.booleans(),
                    "position": st.sampled_from(["before_char", "after_char", ""]),
                    "id": st.integers(0, 5) | st.text(max_size=3),
                    "use_regex": st.booleans(),
                    "priority": WHOLE,
                },
            )
        ),
    }


@st.composite
def books(draw: st.DrawFn) -> dict[str, Any]:
    """A character book."""
    optional = {"name": TEXTS, "description": TEXTS, "scan_depth": st.integers(0, 9)}
    return {
        "entries": draw(st.lists(entries(), max_size=3)),
        "extensions": draw(UNKNOWN),
        **draw(st.fixed_dictionaries({}, optional=optional)),
        **draw(UNKNOWN),
    }


@st.composite
def _data(draw: st.DrawFn) -> dict[str, Any]:
    texts = ("description", "personality", "scenario", "first_mes", "mes_example")
    more = ("creator_notes", "system_prompt", "post_history_instructions", "creator")
    note = st.fixed_dictionaries(
        {"prompt": TEXTS, "depth": st.integers(0, 9) | st.just("4"), "role": st.just("system")}
    )
    extensions = {
        "talkativeness": st.sampled_from(["0.5", 0.8, "x", 3]),
        "fav": st.booleans(),
        "world": TEXTS,
        "depth_prompt": note | VALUES,
        "regex_scripts": st.lists(UNKNOWN, max_size=2),
    }
    return {
        "name": draw(NAMES),
        **{name: draw(TEXTS) for name in (*texts, *more, "character_version")},
        "alternate_greetings": draw(LISTS),
        "tags": draw(LISTS),
        "extensions": {
            **draw(st.fixed_dictionaries({}, optional=extensions)),
            **draw(UNKNOWN),
        },
        **draw(st.fixed_dictionaries({}, optional={"character_book": books()})),
        **draw(UNKNOWN),
    }


@st.composite
def v2(draw: st.DrawFn) -> dict[str, Any]:
    """A card of V2, perhaps with V1's fields beside it, as SillyTavern has them."""
    data = draw(_data())
    copies = {
        "description": data["description"],
        "creatorcomment": data["creator_notes"],
        "tags": data["tags"],
        "talkativeness": data["extensions"].get("talkativeness", "0.5"),
        "avatar": "none",
        "create_date": "2024-10-18@20h52m17s",
    }
    return {
        "spec": "chara_card_v2",
        "spec_version": "2.0",
        "data": data,
        **draw(st.sampled_from([{}, copies])),
        **draw(UNKNOWN),
    }


@st.composite
def v3(draw: st.DrawFn) -> dict[str, Any]:
    """A card of V3."""
    asset = st.fixed_dictionaries(
        {
            "type": st.sampled_from(["emotion", "background", "x-own"]),
            "uri": st.sampled_from(["https://a.example/b.png", "ccdefault:", "data:,x"]),
            "name": st.text(max_size=5),
            "ext": st.just("png"),
        }
    )
    optional = {
        "nickname": NAMES,
        "assets": st.lists(asset, max_size=2),
        "creator_notes_multilingual": st.dictionaries(st.sampled_from(["de", "ja"]), TEXTS),
        "source": LISTS,
        "creation_date": st.integers(0, 2**33),
        "modification_date": st.integers(0, 2**33),
    }
    return {
        "spec": "chara_card_v3",
        "spec_version": draw(st.sampled_from(["3.0", "3.1"])),
        "data": {
            **draw(_data()),
            "group_only_greetings": draw(LISTS),
            **draw(st.fixed_dictionaries({}, optional=optional)),
        },
        **draw(UNKNOWN),
    }


CARDS = v2() | v3()


def lost(old: Any, new: Any, place: str = "") -> list[str]:
    """The places of what an object held and another does not hold, or holds as something else."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            each
            for key, value in old.items()
            for each in (
                lost(value, new[key], f"{place}.{key}") if key in new else [f"{place}.{key}"]
            )
        ]
    return [] if old == new and type(old) is type(new) else [place]
