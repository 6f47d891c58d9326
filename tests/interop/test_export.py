"""Exports as files: private, never over another, whole or not at all."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from shoritui.cards import Card, Character
from shoritui.errors import UserError
from shoritui.interop import FORMATS, export_chat
from shoritui.story import Chat, Library


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_is_private_and_replaces_none(
    library: Library, chat: Chat, tmp_path: Path, name: str
) -> None:
    first, second = (
        export_chat(library.whole_chat(chat.id), name, tmp_path / "out") for _ in range(2)
    )
    assert first.name == f"The-last-ferry-{chat.id}{FORMATS[name].suffix}"
    assert second != first and "(2)" in second.name
    assert _content(first) == _content(second) != {}
    usual = 0o700 if first.is_dir() else 0o600
    assert {stat.S_IMODE(path.stat().st_mode) for path in (first, second)} == {usual}
    assert {path.name for path in first.parent.iterdir()} == {first.name, second.name}


def _content(path: Path) -> dict[str, bytes]:
    files = [each for each in path.rglob("*") if each.is_file()] if path.is_dir() else [path]
    return {each.name if path.is_dir() else "": each.read_bytes() for each in files}


@pytest.mark.parametrize("name", FORMATS)
def test_a_story_without_a_word_is_exported(library: Library, tmp_path: Path, name: str) -> None:
    chat = library.create_chat(Card(characters=(Character(name="Ada"),)), "Ada")
    assert export_chat(library.whole_chat(chat.id), name, tmp_path).exists()


def test_what_cannot_be_written_is_said(library: Library, chat: Chat, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="cannot be written: "):
        export_chat(library.whole_chat(chat.id), "html", tmp_path / "file")
    with pytest.raises(UserError, match="no chat 99"):
        export_chat(library.whole_chat(99), "html", tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["file"]
