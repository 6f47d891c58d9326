"""Writing cards: what was written is what is read, and nothing of the user's is lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings

from shoritui.cards import (
    Card,
    Character,
    Lore,
    Opening,
    add_card,
    card_from_json,
    card_to_json,
    check_card,
    differences,
    fingerprint,
    load_card,
    load_cards,
    reload_card,
    save_card,
)
from shoritui.errors import UserError
from tests.cards.strategies import cards

ANNOTATED = '''\
# My shrine.

title = "Old"   # a working title
tags = [
  "a",  # first
  "b",
]

# The shrine maiden
[[character]]
name   = "Reimu"   # her name
description = """
She sweeps.
"""

[[character]]
# The witch
name = "Marisa"

[[lore]]
name = "L"
text = 'literal \\ text'
'''


@pytest.fixture
def annotated(tmp_path: Path) -> Path:
    path = tmp_path / "shrine.toml"
    path.write_text(ANNOTATED, encoding="utf-8")
    return path


def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.getbasetemp() / "round-trip.toml"
    path.unlink(missing_ok=True)
    return path


@given(card=cards())
def test_any_card_comes_back_from_a_new_file(
    card: Card, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = fresh(tmp_path_factory)
    save_card(path, card)
    assert replace(load_card(path), source="") == card


@settings(max_examples=50)
@given(old=cards(), new=cards())
def test_any_card_can_be_written_over_any_other(
    old: Card, new: Card, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = fresh(tmp_path_factory)
    save_card(path, old)
    before = path.read_bytes()
    save_card(path, old)
    assert path.read_bytes() == before
    save_card(path, new)
    assert replace(load_card(path), source="") == new


@given(new=cards())
def test_any_card_can_be_written_into_a_file_with_comments(
    new: Card, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = fresh(tmp_path_factory)
    path.write_text(ANNOTATED, encoding="utf-8")
    save_card(path, new)
    assert replace(load_card(path), source="") == new
    assert path.read_text(encoding="utf-8").startswith("# My shrine.\n")


@given(card=cards())
def test_json_keeps_any_card_its_source_included(card: Card) -> None:
    card = replace(card, source="some file")
    assert card_from_json(card_to_json(card)) == card


def test_json_keeps_space_and_what_no_terminal_shows_but_no_half_characters() -> None:
    def card(text: str) -> Card:
        return Card(title=" x\n", characters=(Character(name="A", description=text),))

    stored = card_to_json(card("\ud800\x00 "))
    assert stored.isascii()
    assert card_from_json(stored) == card("\ufffd\x00 ")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 99, "source": ""}', "nonsense"])
def test_json_of_another_kind_is_one_sentence(text: str) -> None:
    with pytest.raises(UserError):
        card_from_json(text)


def test_only_what_differs_is_changed(annotated: Path) -> None:
    card = load_card(annotated)
    save_card(annotated, card)
    assert annotated.read_text(encoding="utf-8") == ANNOTATED
    reimu, marisa = card.characters
    changed = replace(
        card,
        title="New",
        characters=(replace(reimu, user=True), replace(marisa, name="Marisa Kirisame")),
    )
    save_card(annotated, changed)
    expected = (
        ANNOTATED.replace('"Old"', '"New"')
        .replace('She sweeps.\n"""\n', 'She sweeps.\n"""\nuser = true\n')
        .replace('"Marisa"', '"Marisa Kirisame"')
    )
    assert annotated.read_text(encoding="utf-8") == expected


def test_rows_that_move_take_their_comments_with_them(annotated: Path) -> None:
    card = load_card(annotated)
    turned = replace(card, characters=(*reversed(card.characters), Character(name="Sanae")))
    save_card(annotated, turned)
    text = annotated.read_text(encoding="utf-8")
    assert replace(load_card(annotated), source="") == replace(turned, source="")
    assert text.index("# The witch") < text.index("# her name") < text.index('"Sanae"')


def test_texts_are_written_as_a_person_would(tmp_path: Path) -> None:
    card = Card(
        title="T",
        characters=(Character(name="A", description='He said "no".\n\nTwice \\o/'),),
        messages=(Opening(speaker="A", text="Hm."),),
    )
    save_card(tmp_path / "new" / "card.toml", card)
    assert (tmp_path / "new" / "card.toml").read_text(encoding="utf-8") == (
        'title = "T"\n\n[[character]]\nname = "A"\n'
        'description = """\nHe said "no".\n\nTwice \\\\o/"""\n\n'
        '[[message]]\nspeaker = "A"\ntext = "Hm."\n'
    )


def test_inline_rows_become_tables(tmp_path: Path) -> None:
    path = tmp_path / "card.toml"
    path.write_text('character = [{ name = "A" }]\ntitle = "T"\n', encoding="utf-8")
    card = replace(load_card(path), scenario="S")
    save_card(path, card)
    assert load_card(path) == card


@pytest.mark.parametrize(
    "content", [b"title = \n", b"\xff\xfe", b"x" * 2_000_001], ids=["broken", "latin", "huge"]
)
def test_a_file_that_cannot_be_read_is_never_overwritten(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "card.toml"
    path.write_bytes(content)
    with pytest.raises(UserError):
        save_card(path, Card(characters=(Character(name="A"),)))
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_with_fields_of_others_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "card.toml"
    path.write_text('[[character]]\nname = "A"\nhair = "red"\n', encoding="utf-8")
    before = path.read_bytes()
    with pytest.raises(UserError, match="left as it is"):
        save_card(path, Card(characters=(Character(name="B"),)))
    assert path.read_bytes() == before


def test_mode_and_links_survive(annotated: Path, tmp_path: Path) -> None:
    annotated.chmod(0o640)
    link = tmp_path / "link.toml"
    link.symlink_to(annotated)
    save_card(link, replace(load_card(annotated), title="New"))
    assert link.is_symlink()
    assert annotated.stat().st_mode & 0o777 == 0o640
    assert load_card(annotated).title == "New"


@pytest.mark.parametrize(
    ("card", "part"),
    [
        (Card(), "at least one"),
        (Card(characters=(Character(name="a:b"),)), "colon"),
        (Card(characters=(Character(name="A"), Character(name="a"))), "rename"),
        (Card(characters=(Character(name="A"),), tags=("a,b",)), "commas"),
        (Card(characters=(Character(name="A", description="\ud800"),)), "surrogate"),
        (Card(characters=(Character(name="A"),), lore=(Lore(name="L", text=""),)), '"text"'),
        (
            Card(characters=(Character(name="A"),), messages=(Opening(speaker="B", text="x"),)),
            "not in the cast",
        ),
    ],
)
def test_a_card_that_no_file_may_hold_is_refused(tmp_path: Path, card: Card, part: str) -> None:
    with pytest.raises(UserError, match=part):
        check_card(card)
    with pytest.raises(UserError, match=part):
        save_card(tmp_path / "card.toml", card)
    assert not list(tmp_path.iterdir())


def test_a_checked_card_is_stripped() -> None:
    card = Card(title=" T ", characters=(Character(name="A", description="\nx\n"),))
    checked = check_card(card)
    assert checked.title == "T"
    assert checked.characters[0].description == "x"


def test_a_new_card_never_takes_the_place_of_another(tmp_path: Path) -> None:
    card = Card(title="The Inn", characters=(Character(name="Mara"),))
    first = add_card(tmp_path / "characters", "Mara's  Inn: ÉTÉ/…", card)
    second = add_card(tmp_path / "characters", "mara's inn été", replace(card, title="Another"))
    assert (first.name, second.name) == ("mara-s-inn-été.toml", "mara-s-inn-été (2).toml")
    assert load_card(first) == replace(card, source=str(first))
    assert load_card(second).title == "Another"
    assert add_card(tmp_path, "…", card).name == "scene.toml"
    with pytest.raises(UserError, match=r"no \[\[character\]\]"):
        add_card(tmp_path, "empty", Card())
    assert not (tmp_path / "empty.toml").exists()


def test_a_card_is_read_again_from_its_files(tmp_path: Path) -> None:
    one, two = (
        Card(title="A", characters=(Character(name="Mara"),)),
        Card(characters=(Character(name="Nell"),), lore=(Lore(name="Fen", text="Deep."),)),
    )
    files = [add_card(tmp_path, name, card) for name, card in (("one", one), ("two", two))]
    scene = load_cards(files)
    again = reload_card(scene)
    assert again == scene and fingerprint(scene) == fingerprint(replace(scene, source=""))
    save_card(files[0], replace(one, characters=(Character(name="Mara", description="Tall."),)))
    changed = reload_card(scene)
    assert changed is not None and fingerprint(changed) != fingerprint(scene)
    assert list(differences(scene, changed)) == ["Mara"]
    assert list(differences(scene, Card())) == ["title", "Mara", "Nell", "Fen"]
    files[1].write_text("x = [", encoding="utf-8")
    assert reload_card(scene) is None
    files[1].unlink()
    assert reload_card(scene) is None and reload_card(Card()) is None
