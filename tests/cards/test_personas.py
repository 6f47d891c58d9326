"""Personas: files of their own, found by name or alias, deleted into a bin."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from shoritui.cards import (
    Card,
    Character,
    delete_persona,
    find_personas,
    keep_persona,
    persona_folder,
    persona_named,
    played_by,
    restore_persona,
)
from shoritui.errors import UserError
from shoritui.folders import HOME_VARIABLE

WREN = Character(name="Wren", aliases=("the clerk",), description="Keeps the log.", user=True)
MARA, ANA = Character(name="Mara"), Character(name="Ana", user=True)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))


def test_persona_is_kept_and_found_by_its_names() -> None:
    kept = keep_persona(replace(WREN, user=False))
    assert kept.path == persona_folder() / "wren.toml"
    assert kept.character == WREN == persona_named("wren").character
    assert persona_named("The Clerk") == kept
    with pytest.raises(UserError, match='no persona "Wrenn"; did you mean "Wren"'):
        persona_named("Wrenn")
    kept.path.write_text(kept.path.read_text(encoding="utf-8") + "talkativeness = 'x'\n")
    with pytest.raises(UserError, match=r'no persona "Wren" that can be read: .*wren.toml: .*talk'):
        persona_named("Wren")


def test_change_keeps_the_comments_of_the_file() -> None:
    path = keep_persona(WREN).path
    path.write_text(f"# mine\n{path.read_text(encoding='utf-8')}", encoding="utf-8")
    changed = keep_persona(replace(WREN, name="Wren Doe"), path)
    assert changed.path == path and path.read_text(encoding="utf-8").startswith("# mine\n")
    assert [each.character.name for each in find_personas()[0]] == ["Wren Doe"]


def test_two_personas_never_have_one_name() -> None:
    keep_persona(WREN)
    with pytest.raises(UserError, match="named WREN already"):
        keep_persona(replace(WREN, name="WREN"))


def test_deleted_persona_comes_back_and_nothing_is_written_over() -> None:
    first = keep_persona(WREN)
    delete_persona(first)
    assert find_personas() == ([], [])
    second = keep_persona(replace(WREN, description="Another."))
    delete_persona(second)
    binned, _ = find_personas(deleted=True)
    assert {each.character.description for each in binned} == {"Keeps the log.", "Another."}
    for each in binned:
        restore_persona(each)
    assert len(find_personas()[0]) == 2 and find_personas(deleted=True)[0] == []


def test_bad_file_is_told_and_the_others_are_found() -> None:
    keep_persona(WREN)
    (persona_folder() / "bad.toml").write_text("[[character", encoding="utf-8")
    found, [problem] = find_personas()
    assert [each.character for each in found] == [WREN] and "bad.toml" in problem


def test_persona_plays_where_the_card_names_no_user() -> None:
    assert played_by(Card(characters=(MARA, ANA)), WREN).characters == (MARA, ANA)
    assert played_by(Card(characters=(MARA,)), WREN).characters == (MARA, WREN)
    namesake = Character(name="wren", description="A bird.")
    [mara, bird] = played_by(Card(characters=(MARA, namesake)), WREN).characters
    assert (mara, bird) == (MARA, replace(namesake, user=True))
