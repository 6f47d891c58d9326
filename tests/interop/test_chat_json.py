"""A chat as JSON: exported, imported and exported again it is the same."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui import guide
from shoritui.cards import Card, Character
from shoritui.errors import UserError
from shoritui.interop import export_chat, import_file
from shoritui.interop.chat_json import chat_json, chat_of_json
from shoritui.story import Chat, Draft, Library
from tests.interop.conftest import SCENE


def test_everything_comes_back(library: Library, chat: Chat, tmp_path: Path) -> None:
    path = export_chat(library.whole_chat(chat.id), "json", tmp_path)
    other = Library(tmp_path / "other.db")
    try:
        found = import_file(other, path)
        assert other.check() == []
        before, after = library.whole_chat(chat.id), other.whole_chat(found.id)
        assert after.entries == before.renumbered(1).entries
        assert after.visited == before.renumbered(1).visited
        assert (after.tags, after.favourite, after.archived) == (("finished",), True, False)
        assert (found.name, found.user, found.created) == (chat.name, "Bram", chat.created)
        assert found.scene == Card(**{**_fields(SCENE), "source": ""})
        assert [e.label for e in other.entries(found.id)] == [
            e.label for e in library.entries(chat.id)
        ]
        assert (
            export_chat(other.whole_chat(found.id), "json", tmp_path).read_text()
            == path.read_text()
        )
    finally:
        other.close()


def _fields(card: Card) -> dict[str, Any]:
    return {name: getattr(card, name) for name in card.__slots__}


def test_no_path_of_this_machine_and_nothing_from_the_bin_is_told(
    library: Library, chat: Chat
) -> None:
    text = chat_json(library.whole_chat(chat.id))
    assert "/home" not in text and "Gone." not in text and "She left." in text


texts = st.text(st.characters(codec="utf-8"), max_size=8)
acts = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 99), texts), max_size=12)


@given(acts)
def test_any_tree_comes_back(steps: list[tuple[int, int, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        library = Library(Path(folder) / "library.db")
        chat = library.create_chat(Card(characters=(Character(name="A"),)), "A").id
        for step, which, text in steps:
            _act(library, chat, step, which, text)
        first = chat_json(library.whole_chat(chat))
        (Path(folder) / "it.json").write_text(first, encoding="utf-8")
        library.rename_chat(chat, "before")
        copy = import_file(library, Path(folder) / "it.json")
        assert chat_json(library.whole_chat(copy.id)) == first
        shape = [[entry.kind for entry in library.entries(each)] for each in (chat, copy.id)]
        assert shape[0] == shape[1] and library.check() == []
        library.close()


def _act(library: Library, chat: int, step: int, which: int, text: str) -> None:
    path = library.entries(chat)
    draft = Draft("message", "A", text)
    if not path or step < 2:
        library.append(chat, draft)
        return
    entry = path[which % len(path)]
    choices: list[Callable[[], object]] = [
        lambda: library.add_version(entry.id, draft, keep=True, act="Edit"),
        lambda: library.add_version(entry.id, draft, keep=False, act="Edit"),
        lambda: library.insert(chat, entry.id, draft),
        lambda: library.delete([entry.id]),
        lambda: library.move(entry.id, up=True),
        lambda: library.set_label(entry.id, text),
        lambda: library.undo(chat),
    ]
    with suppress(UserError):
        choices[(step - 2) % len(choices)]()


def test_the_guide_explains_every_field(library: Library, chat: Chat) -> None:
    page = guide.text("taking-along").partition("## The JSON file")[2]
    explained = set(re.findall(r"`(\w+)`", page))
    file = json.loads(chat_json(library.whole_chat(chat.id)))
    fields = {*file, *(key for entry in file["entries"] for key in entry)}
    assert fields | set(file["entries"][2]["origin"]) <= explained


def _nested(depth: int) -> object:
    value: object = []
    for _ in range(depth):
        value = [value]
    return value


ENTRY = {"id": 1, "kind": "message", "speaker": "A", "text": "Hm."}
FILE = {
    "format": "shoritui-chat",
    "version": 1,
    "name": "x",
    "user": "A",
    "scene": {"version": 1, "character": [{"name": "A"}]},
    "entries": [ENTRY],
    "head": 1,
}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format": "other"}, "not a chat that ShoriTUI exported"),
        ({"version": 3}, "update ShoriTUI"),
        ({"version": None}, "not as ShoriTUI exports"),
        ({"entries": [ENTRY, ENTRY]}, "the same id"),
        ({"entries": [{**ENTRY, "parent": 9}]}, "no entry 9"),
        ({"head": 2}, "no entry 2"),
        ({"entries": [{**ENTRY, "parent": 1}]}, "a circle"),
        (
            {"entries": [{**ENTRY, "parent": 2}, {**ENTRY, "id": 2, "parent": 1}]},
            "before entry 1 goes in a circle",
        ),
        ({"entries": [{**ENTRY, "speaker": "A:\nB"}]}, "speaker of entry 1"),
        ({"entries": [{**ENTRY, "speaker": ""}]}, "no speaker"),
        ({"entries": [{**ENTRY, "status": "streaming"}]}, "status"),
        ({"entries": [{**ENTRY, "created": 1e30}]}, "created"),
        ({"scene": {"version": 9}}, "update shoritui"),
        ({"scene": {"version": 1, "character": [{"name": "a\nb"}]}}, "name"),
        ({"user": ""}, "the user"),
        ({"tags": "x"}, "tags"),
        ({"head": 77}, "no entry 77, with which"),
        ({"scene": {"version": "x"}}, "format has no number"),
        ({"scene": {}}, "format has no number"),
        ({"scene": {"version": 1, "character": [{"name": "A"}] * 2}}, "cast has 'A' twice"),
        ({"scene": {"version": 1, "x": _nested(600)}}, "nested more than 100 levels"),
        ({"settings": {"x": _nested(600)}}, "nested more than 100 levels"),
    ],
)
def test_what_is_wrong_in_a_file_is_one_sentence(
    library: Library, tmp_path: Path, change: dict[str, object], sentence: str
) -> None:
    path = tmp_path / "it.json"
    path.write_text(json.dumps({**FILE, **change}))
    with pytest.raises(UserError, match=sentence) as raised:
        import_file(library, path)
    assert str(raised.value).startswith(str(path)) and "\n" not in str(raised.value)
    assert library.summaries() == []


@pytest.mark.parametrize("text", ["{", "{}", "[" * 100_000, '{"a": ' * 100_000, "{\x00", "nothing"])
def test_no_chat_at_all(library: Library, tmp_path: Path, text: str) -> None:
    path = tmp_path / "it.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"was not imported: .*\.$"):
        import_file(library, path)


@pytest.mark.parametrize("text", ["null", "[]", '["shoritui-chat"]', "7", '"text"'])
def test_json_of_another_kind_is_called_that(library: Library, tmp_path: Path, text: str) -> None:
    (tmp_path / "it.json").write_text(text)
    with pytest.raises(UserError, match="it is JSON, but no chat"):
        import_file(library, tmp_path / "it.json")


def test_a_number_of_thousands_of_digits_is_told(library: Library, tmp_path: Path) -> None:
    text = json.dumps({**FILE, "head": 1}).replace('"Hm."', '"Hm.", "created": ' + "7" * 5000)
    (tmp_path / "it.json").write_text(text)
    with pytest.raises(UserError, match="created: expected a number <"):
        import_file(library, tmp_path / "it.json")


def test_a_name_that_cannot_be_seen_is_none() -> None:
    assert chat_of_json(json.dumps({**FILE, "name": "\u200b"})).chat.name == "Untitled"


def test_what_would_reach_a_terminal_is_made_harmless() -> None:
    entry = {**ENTRY, "text": "a\x1b[2Jb", "label": "x\ny", "origin": {"model": "\x1b]0;t\x07m"}}
    whole = chat_of_json(json.dumps({**FILE, "name": "n\x1b[31m\nm", "entries": [entry]}))
    [read] = whole.entries
    assert (whole.chat.name, read.text, read.label, read.origin.model) == ("n m", "ab", "x y", "m")
