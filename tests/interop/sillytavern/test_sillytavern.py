"""Chats of SillyTavern come in as they are told there; ours go out and come back the same."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoritui.cards import Card, Character
from shoritui.errors import UserError
from shoritui.interop import export_chat, import_file
from shoritui.interop.sillytavern import chat_of_sillytavern, sillytavern
from shoritui.story import Chat, Details, Draft, Entry, Library, NoteRule, Origin, WholeChat
from shoritui.text import clean
from tests.interop.test_chat_json import _act, acts

OLD = {
    "user_name": "Bram",
    "character_name": "Ada",
    "create_date": "2024-10-18@20h52m17s",
    "chat_metadata": {"note_prompt": "Be brief.", "note_depth": 2, "note_interval": 1},
}
NEW = {"user_name": "unused", "character_name": "unused", "chat_metadata": {"integrity": "x"}}


def said(name: str, mes: str, **more: object) -> dict[str, object]:
    return {"name": name, "is_user": name == "Bram", "is_system": False, "mes": mes, **more}


def read(*lines: object, end: str = "\n") -> WholeChat:
    text = end.join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    return chat_of_sillytavern(text, "ferry", lambda told: None)


def told(whole: WholeChat) -> list[tuple[str, str]]:
    return [(entry.speaker, entry.text) for entry in whole.path()]


def import_text(library: Library, path: Path, text: str) -> tuple[WholeChat, list[str]]:
    path.write_text(text, encoding="utf-8", newline="")
    left_out: list[str] = []
    chat = import_file(library, path, left_out.append)
    return library.whole_chat(chat.id), left_out


def test_an_old_chat_with_a_header(library: Library, tmp_path: Path) -> None:
    lines = [OLD, said("Ada", "Hm."), said("Bram", "No.\n\nYes."), said("Ada", "Oh.")]
    text = "\ufeff" + "\r\n".join(map(json.dumps, lines)) + "\r\n\r\n"
    whole, left_out = import_text(library, tmp_path / "ferry.jsonl", text)
    assert told(whole) == [
        *[("", "Be brief."), ("Ada", "Hm."), ("Bram", "No.\n\nYes."), ("Ada", "Oh.")]
    ]
    note = whole.path()[0]
    assert (note.kind, note.hidden) == ("note", False)
    assert note.details.note == NoteRule(depth=2)
    assert (whole.chat.user, whole.chat.name, left_out) == ("Bram", "ferry", [])
    assert [(each.name, each.user) for each in whole.chat.scene.characters] == [
        *[("Ada", False), ("Bram", True)]
    ]
    assert {entry.origin for entry in whole.entries} == {Origin("import")}
    assert library.check() == []


def test_names_of_a_new_header_are_nobodys() -> None:
    whole = read(NEW, said("Ada", "Hm."))
    assert (whole.chat.user, len(whole.path())) == ("You", 1)
    assert [each.name for each in whole.chat.scene.characters] == ["Ada", "You"]
    whole = read({**OLD, "chat_metadata": {}}, {"mes": "No.", "is_user": True}, said("", "Hm."))
    assert told(whole) == [("Bram", "No."), ("Ada", "Hm.")]


def test_a_group_without_a_header() -> None:
    whole = read(said("Ada", "Hm."), said("Cleo", "Oh."), said("Bram", "No."), said("Ada", "So."))
    assert [each.name for each in whole.chat.scene.characters] == ["Ada", "Cleo", "Bram"]
    assert whole.chat.user == "Bram"


def test_swipes_are_versions_and_the_chosen_one_is_told() -> None:
    info = [{"send_date": "2024-01-02T03:04:05.678Z"}]
    swiped = said("Ada", "b", swipes=["a", "b", {"message": "c"}], swipe_id=1, swipe_info=info)
    whole = read(NEW, swiped, said("Bram", "No."))
    assert told(whole) == [("Ada", "b"), ("Bram", "No.")]
    assert [(each.text, each.slot) for each in whole.entries[:3]] == [("a", 1), ("b", 1), ("c", 1)]
    assert whole.entries[0].created == datetime(2024, 1, 2, 3, 4, 5, 678000, UTC).timestamp()


@pytest.mark.parametrize(
    ("line", "texts", "chosen"),
    [
        ({"swipes": ["a", "b"], "swipe_id": 0}, ["a", "b", "new"], "new"),
        ({"swipes": ["a", "new"], "swipe_id": 7}, ["a", "new"], "new"),
        ({"swipes": ["new", "a"]}, ["new", "a"], "new"),
        ({"swipes": [], "swipe_id": 0}, ["new"], "new"),
        ({"swipes": "x", "swipe_id": "y", "swipe_info": 3}, ["new"], "new"),
        ({"swipes": [3, None], "swipe_id": True}, ["", "", "new"], "new"),
        ({"mes": {"message": "Chub"}}, ["Chub"], "Chub"),
    ],
)
def test_an_edited_message_is_a_version_more(
    line: dict[str, object], texts: list[str], chosen: str
) -> None:
    whole = read({**said("Ada", "new"), **line})
    assert [each.text for each in whole.entries] == texts
    assert whole.path()[-1].text == chosen


def test_what_is_hidden_told_by_nobody_or_the_programs_own() -> None:
    whole = read(
        said("Ada", "Secret.", is_system=True),
        said("System", "Rain.", extra={"type": "narrator"}),
        said("Fate", "Snow.", extra={"type": "narrator"}, is_system=True),
        said("Note", "Mine.", extra={"type": "comment"}, is_system=True),
        said("Ada", "Go on.", extra={"bookmark_link": "the  fork"}),
    )
    assert [(e.kind, e.speaker, e.text, e.hidden) for e in whole.path()] == [
        ("message", "Ada", "Secret.", True),
        ("message", "Narrator", "Rain.", False),
        ("message", "Fate", "Snow.", True),
        ("note", "", "Mine.", True),
        ("message", "Ada", "Go on.", False),
    ]
    assert whole.path()[-1].label == "the fork"
    assert [each.name for each in whole.chat.scene.characters] == ["Ada", "You"]


def test_an_authors_note_that_is_off_is_hidden_and_a_scenario_is_the_scenes() -> None:
    metadata = {"note_prompt": "Hm.", "note_interval": 0, "note_depth": 10**30, "scenario": "Rain."}
    whole = read({**NEW, "chat_metadata": metadata})
    [note] = whole.path()
    assert note.hidden and note.details.note == NoteRule(depth=1000)
    assert whole.chat.scene.scenario == "Rain."


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("2024-10-18T20:52:17.123Z", datetime(2024, 10, 18, 20, 52, 17, 123000, UTC)),
        ("October 18, 2024 8:52pm", datetime(2024, 10, 18, 20, 52)),
        ("May 1, 2024 12:05am", datetime(2024, 5, 1, 0, 5)),
        ("2024-10-18 @20h 52m 17s 123ms", datetime(2024, 10, 18, 20, 52, 17, 123000)),
        ("2024-10-18@20h52m17s", datetime(2024, 10, 18, 20, 52, 17)),
        (1729284737123, datetime(2024, 10, 18, 20, 52, 17, 123000, UTC)),
        ("1729284737123", datetime(2024, 10, 18, 20, 52, 17, 123000, UTC)),
        (1729284737, datetime(2024, 10, 18, 20, 52, 17, tzinfo=UTC)),
    ],
)
def test_every_form_of_a_date(date: object, expected: datetime) -> None:
    [entry] = read(said("Ada", "Hm.", send_date=date)).entries
    assert entry.created == pytest.approx(expected.timestamp(), abs=0.0005)


@pytest.mark.parametrize(
    "date", ["", "soon", 10**400, -5, 1e308, True, None, [], "9" * 19, "Foo 1, 2024 1:00am", "²"]
)
def test_a_date_that_is_none_is_that_of_the_message_before(date: object) -> None:
    whole = read(said("Ada", "a", send_date=1_700_000_000), said("Ada", "b", send_date=date))
    assert whole.entries[1].created == 1_700_000_000.0


def test_broken_lines_are_told_and_left_out(library: Library, tmp_path: Path) -> None:
    good = json.dumps(said("Ada", "Hm."))
    lines = ['{"user_name": "Br', good, "[" * 100_000, '{"name": "Ada"}', "NaN", good, good[:-9]]
    path = tmp_path / "it.jsonl"
    whole, left_out = import_text(library, path, "\n".join(lines))
    assert len(whole.path()) == 2
    assert left_out == [f"{path}: 5 broken lines were left out: 1, 3, 4, 5, 7."]
    whole, left_out = import_text(library, path, f"{good}\nx")
    assert left_out == [f"{path}: 1 broken line was left out: 2."]
    whole, left_out = import_text(library, path, good + "\n{}" * 2000)
    assert left_out[0].endswith("6, 7, 8, 9, 10, 11 and 1,990 more.")


def test_far_too_many_swipes_are_one_sentence(library: Library, tmp_path: Path) -> None:
    (tmp_path / "it").write_text('{"name": "A", "mes": "", "swipes": [' + "0," * 600_000 + "0]}")
    with pytest.raises(UserError, match=r"it was not imported: .* more than 500,000 messages"):
        import_file(library, tmp_path / "it")
    assert library.summaries() == []


def test_names_and_texts_are_made_harmless() -> None:
    whole = read(
        said("A\x1b[2Jd▀a: the\n2nd", "a\x1b[2Jb"), said("\u200b", "c"), said("x" * 99, "d")
    )
    assert told(whole) == [("Ad a the 2nd", "ab"), ("Narrator", "c"), ("x" * 60, "d")]


def _shape(whole: WholeChat) -> list[object]:
    """Return what must come back: the active path, and each message's versions."""
    whole = whole.renumbered(1)
    path = whole.path()
    places = {entry.slot: place for place, entry in enumerate(path)}
    on_path = {entry.id for entry in path}

    def kept(entry: Entry) -> object:
        span = entry.details.span
        return (
            *(entry.kind, entry.speaker, entry.length, clean(entry.text), entry.status),
            *(entry.hidden, entry.pinned, round(entry.created, 3)),
            None if entry.label is None else " ".join(clean(entry.label).split()),
            entry.details.heard,
            entry.details.note,
            None if span is None else [places.get(slot) for slot in span],
        )

    others = [entry for entry in whole.entries if entry.id not in on_path]
    return [
        (place, kept(entry), [kept(each) for each in others if each.slot == entry.slot])
        for place, entry in enumerate(path)
    ]


def test_everything_on_the_path_comes_back(library: Library, chat: Chat, tmp_path: Path) -> None:
    first = library.entries(chat.id)[0]
    for draft in (
        Draft("enter", "Cleo", "comes in, dripping wet"),
        Draft("leave", "Ada", ""),
        Draft("message", "Ada", "Psst.", status="cut", details=Details(heard=("Bram",))),
        Draft("note", "", "They met.", details=Details(span=(first.slot, first.slot + 1))),
        Draft("note", "", "Rain.", details=Details(note=NoteRule(every=3, reader="Ada"))),
    ):
        last = library.append(chat.id, draft)
    library.pin(last.id, True)
    before = library.whole_chat(chat.id)
    path = export_chat(before, "sillytavern", tmp_path)
    found = import_file(library, path)
    after = library.whole_chat(found.id)
    assert _shape(after) == _shape(before)
    assert (found.name, found.user) == (f"{chat.name} (2)", chat.user)
    assert found.scene == replace(before.chat.scene, source="")
    assert {entry.origin.by for entry in after.entries} == {"import"}
    assert "/home" not in path.read_text() and library.check() == []
    library.delete_chat(chat.id)
    assert sillytavern(library.whole_chat(import_file(library, path).id)) == path.read_text()


def test_sillytavern_reads_what_is_written(library: Library, chat: Chat) -> None:
    header, *lines = map(json.loads, sillytavern(library.whole_chat(chat.id)).split("\n"))
    assert (header["user_name"], header["character_name"]) == ("Bram", "Ada")
    for line in lines:
        assert {"name", "is_user", "is_system", "send_date", "mes", "extra"} <= set(line)
        if "swipes" in line:
            assert line["swipes"][line["swipe_id"]] == line["mes"]
            assert len(line["swipes"]) == len(line["swipe_info"])
            assert line["swipe_info"][line["swipe_id"]]["extra"] == line["extra"]
    [swiped] = [line for line in lines if "swipes" in line]
    assert (swiped["swipes"], swiped["is_user"]) == (["No.", "He heard the whistle."], True)
    note = next(line for line in lines if line["mes"] == "Be brief.")
    assert (note["name"], note["extra"]["type"]) == ("Narrator", "narrator")
    assert lines[-1]["is_system"] is True


def test_what_was_changed_there_counts(library: Library, chat: Chat) -> None:
    library.append(chat.id, Draft("enter", "Cleo", "comes in"))
    lines = [json.loads(line) for line in sillytavern(library.whole_chat(chat.id)).split("\n")]
    lines[-1]["mes"] = "Cleo flies in."
    lines[-2]["is_system"] = False
    lines.append(said("Dora", "Me too."))
    whole = read(*lines)
    hidden, entered, new = whole.path()[-3:]
    assert not hidden.hidden and entered.text == "Cleo flies in."
    assert (new.kind, new.speaker) == ("message", "Dora")
    assert [each.name for each in whole.chat.scene.characters] == ["Bram", "Ada", "Dora"]


@settings(max_examples=30)
@given(acts)
def test_any_path_comes_back_with_its_versions(steps: list[tuple[int, int, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        library = Library(Path(folder) / "library.db")
        try:
            chat = library.create_chat(Card(characters=(Character(name="A"),)), "A").id
            for step, which, text in steps:
                _act(library, chat, step, which, text)
            before = library.whole_chat(chat)
            assert _shape(read(sillytavern(before))) == _shape(before)
        finally:
            library.close()


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)
extras = st.fixed_dictionaries(
    {},
    optional={
        "type": values,
        "bookmark_link": values,
        "shoritui": values
        | st.fixed_dictionaries(
            {},
            optional={
                "kind": st.sampled_from(["note", "enter", "ooc", "x"]),
                "speaker": values,
                "text": values,
                "hidden": values,
                "slot": values,
                "details": st.fixed_dictionaries(
                    {}, optional={"span": st.tuples(st.integers(), st.integers()), "note": values}
                ),
            },
        ),
    },
)
fields = st.fixed_dictionaries(
    {"name": st.just("Ada") | values, "mes": st.text(max_size=5)},
    optional={
        "is_user": values,
        "is_system": values,
        "send_date": values,
        "swipe_id": st.integers(-1, 3) | values,
        "swipes": st.lists(values, max_size=3) | values,
        "swipe_info": st.lists(st.fixed_dictionaries({"extra": extras}), max_size=3) | values,
        "extra": extras | values,
    },
)
headers = st.fixed_dictionaries(
    {"user_name": values},
    optional={
        "character_name": values,
        "create_date": values,
        "chat_metadata": values
        | st.fixed_dictionaries(
            {},
            optional={
                "note_prompt": values,
                "note_depth": values,
                "note_interval": values,
                "scenario": values,
                "shoritui": st.dictionaries(
                    st.sampled_from(["name", "user", "scene"]), values, max_size=3
                ),
            },
        ),
    },
)


@settings(max_examples=30)
@given(st.tuples(headers, st.lists(fields, max_size=4)), st.integers(0, 400), st.text(max_size=3))
def test_no_line_raises_but_with_a_sentence(
    lines: tuple[dict[str, Any], list[dict[str, Any]]], at: int, put: str
) -> None:
    header, messages = lines
    text = "\n".join(map(json.dumps, [header, *messages]))
    with tempfile.TemporaryDirectory() as folder:
        library = Library(Path(folder) / "library.db")
        try:
            for each in (text, text[:at] + put + text[at + 1 :]):
                (Path(folder) / "it").write_text(each, encoding="utf-8", errors="replace")
                try:
                    chat = import_file(library, Path(folder) / "it")
                except UserError as error:
                    assert "\n" not in str(error)
                    continue
                sillytavern(library.whole_chat(chat.id))
            assert library.check() == []
        finally:
            library.close()


def test_a_log_of_names(library: Library, tmp_path: Path) -> None:
    log = (
        "\nAda: Hm.\nShe sat.\n\nNote: the gull.\nBram:\nNo: never.\n"
        "Cleo: Oh.\nAda:So:not.\nCleo: Ah.\nhttp://x\n"
    )
    whole, _ = import_text(library, tmp_path / "log.txt", log)
    assert told(whole) == [
        ("Ada", "Hm.\nShe sat."),
        ("Note", "the gull.\nBram:\nNo: never."),
        ("Cleo", "Oh.\nAda:So:not."),
        ("Cleo", "Ah.\nhttp://x"),
    ]
    assert whole.chat.user == "Note"
    whole, _ = import_text(library, tmp_path / "two.txt", "Ada: Hm.\r\nBram: No.")
    assert told(whole) == [("Ada", "Hm."), ("Bram", "No.")]
    assert {entry.origin for entry in whole.entries} == {Origin("import")}


@pytest.mark.parametrize("text", ["Once: upon", "Once upon\nAda: Hm.\nBram: No.", ": a\n: b"])
def test_prose_is_no_log(library: Library, tmp_path: Path, text: str) -> None:
    (tmp_path / "it.txt").write_text(text)
    with pytest.raises(UserError, match="was not imported"):
        import_file(library, tmp_path / "it.txt")
