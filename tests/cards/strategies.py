"""Cards of any text, for the tests of this room and of the store."""

from __future__ import annotations

from unicodedata import normalize

from hypothesis import strategies as st

from shoritui.blockml import LENGTHS, check_name
from shoritui.cards import Card, Character, Lore, Note, Opening
from shoritui.names import fold
from shoritui.text import clean


def _is_name(text: str) -> bool:
    try:
        return clean(check_name(text)) == text
    except ValueError:
        return False


def _tidy(text: str) -> str:
    return normalize("NFC", text.strip())


texts = st.one_of(
    st.text(max_size=80),
    st.text(alphabet="\"'\\#=[]\n\r\t\x00\x1b {}▀▄é", max_size=40),
)
stripped = texts.map(str.strip)
filled = stripped.filter(bool)
names = st.one_of(
    st.sampled_from(["Reimu", "Marisa Kirisame", 'O\'Neil "Ace" #1', "霊夢", "[[character]]"]),
    st.text(min_size=1, max_size=20).map(_tidy).filter(_is_name),
)
tags = filled.filter(lambda tag: "," not in tag and "\n" not in tag)
lengths = st.one_of(st.none(), st.sampled_from(LENGTHS))


@st.composite
def cards(draw: st.DrawFn) -> Card:
    """A card that a file may hold: every text is stripped, the cast is one."""
    cast = draw(st.lists(names, min_size=1, max_size=4, unique_by=fold))
    user = draw(st.one_of(st.none(), st.sampled_from(cast)))
    return Card(
        title=draw(stripped),
        tags=tuple(draw(st.lists(tags, max_size=3))),
        scenario=draw(stripped),
        instruction=draw(stripped),
        creator=draw(stripped),
        creator_notes=draw(stripped),
        card_version=draw(stripped),
        labels=tuple(draw(st.lists(tags, max_size=3))),
        characters=tuple(
            Character(
                name=name,
                aliases=tuple(draw(st.lists(names, max_size=2))),
                description=draw(stripped),
                user=name == user,
                talkativeness=draw(st.sampled_from([0.5, 0, 0.25, 1])),
                speaks=draw(st.sampled_from(["freely", "when named", "never"])),
                present=draw(st.booleans()),
                examples=draw(stripped),
            )
            for name in cast
        ),
        lore=tuple(
            draw(
                st.lists(
                    st.builds(
                        Lore,
                        name=names,
                        text=filled,
                        keys=st.lists(filled, max_size=2).map(tuple),
                        logic=st.sampled_from(["any", "not all"]),
                        case=st.booleans(),
                        enabled=st.booleans(),
                        probability=st.integers(1, 100),
                        order=st.integers(-1000, 1000),
                        place=st.sampled_from(["story", "top", "depth"]),
                    ),
                    max_size=3,
                )
            )
        ),
        notes=tuple(
            draw(
                st.lists(
                    st.builds(
                        Note,
                        text=filled,
                        depth=st.none() | st.integers(0, 1000),
                        character=st.just("") | st.sampled_from(cast),
                        role=st.sampled_from(["note", "character", "user"]),
                    ),
                    max_size=2,
                )
            )
        ),
        messages=tuple(
            draw(
                st.lists(
                    st.builds(
                        Opening,
                        speaker=st.sampled_from(cast),
                        text=filled,
                        length=lengths,
                        versions=st.lists(filled, max_size=2).map(tuple),
                        group_versions=st.lists(filled, max_size=2).map(tuple),
                    ),
                    max_size=3,
                )
            )
        ),
    )
