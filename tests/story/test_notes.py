"""When notes are read, where they stand, and what is read of what has left the context."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from shoritui.cards import Card
from shoritui.story import (
    Details,
    Entry,
    Form,
    Kind,
    NoteRule,
    Origin,
    header_parts,
    outlasts,
    read_by,
    story_parts,
)

CARD = Card(title="The ferry", tags=("fog",), scenario="They wait.")


def entry(
    at: int, text: str, kind: Kind = "message", speaker: str = "Mara", by: str = "model"
) -> Entry:
    origin = Origin(by)  # type: ignore[arg-type]
    return Entry(at, None, kind, speaker, None, text, "complete", 0.0, 5, origin=origin)


def note(at: int, **rule: object) -> Entry:
    details = Details(note=NoteRule(**rule))  # type: ignore[arg-type]
    return Entry(at, None, "note", "", None, f"N{at}", "complete", 0.0, 5, details=details)


def messages(count: int, start: int = 1) -> list[Entry]:
    return [entry(at, f"M{at}") for at in range(start, start + count)]


def told(entries: Sequence[Entry], gone: Sequence[Entry] = ()) -> str:
    """The numbers of what is read, in its order; notes with a star."""
    sources = [
        source.removeprefix("entry: ")
        for group in story_parts(Card(), entries, Form(), gone=gone)
        for source, _ in group
    ]
    notes = {str(each.id) for each in [*entries, *gone] if each.kind == "note"}
    return " ".join(f"{each}*" if each in notes else each for each in sources)


def test_a_note_without_a_rule_stands_where_it_was_written_and_goes_with_the_messages() -> None:
    plain = note(3)
    assert told([*messages(2), plain, *messages(2, 4)]) == "1 2 3* 4 5"
    assert not outlasts(plain)


def test_a_note_at_a_depth_moves_with_the_end() -> None:
    deep = note(9, depth=2)
    assert told([deep, *messages(1)]) == "9* 1"
    assert told([deep, *messages(3)]) == "1 9* 2 3"
    assert told(messages(4), [deep]) == "1 2 9* 3 4"
    assert told([note(9, depth=0), *messages(2)]) == "1 2 9*"


def test_a_note_is_read_again_every_so_many_messages_and_what_stood_stays() -> None:
    again = note(9, every=2)
    assert told([*messages(1), again, *messages(5, 2)]) == "1 9* 2 3 9* 4 5 9* 6"
    for count in range(1, 8):
        shorter, longer = told([again, *messages(count)]), told([again, *messages(count + 1)])
        assert longer.startswith(shorter)
    assert told(messages(5), [again]) == "1 2 9* 3 4 9* 5"


def test_a_note_for_once_is_over_with_the_next_reply() -> None:
    once, mine = note(9, once=True), entry(2, "Well?", speaker="Wren", by="user")
    assert read_by([*messages(1), once, mine]) == [*messages(1), once, mine]
    assert read_by([*messages(1), once, mine, entry(3, "Hm.")])[1:] == [mine, entry(3, "Hm.")]


def test_a_note_for_one_character_is_in_no_others_prompt() -> None:
    hers = note(9, reader="Mara")
    assert read_by([hers], "MARA") == [hers] == read_by([hers])
    assert read_by([hers], "Bo") == []


def test_talk_out_of_character_is_read_as_it_was_chosen() -> None:
    early, late = entry(8, "Brb.", "ooc"), entry(9, "Back.", "ooc")
    path = [early, *messages(1), late]
    assert read_by(path) == path
    assert read_by(path, talk="none") == messages(1)
    assert read_by(path, talk="recent") == [*messages(1), late]


def test_after_a_trim_the_latest_scene_is_the_headers_and_what_lasts_stands_before_the_story() -> (
    None
):
    gone = [
        entry(1, "Night", "title"),
        entry(2, "inn, rain", "tags"),
        note(3, sticky=True),
        entry(4, "Morning", "title"),
        note(5, depth=1),
        note(6, every=3),
    ]
    parts = header_parts(CARD, "Wren", Form("Be kind."), gone)
    assert [
        (source, part.body if hasattr(part, "body") else part.text) for source, part in parts
    ] == [
        ("title", "Morning"),
        ("tags", "inn, rain"),
        ("scenario", "They wait."),
        ("instruction", "Be kind."),
        ("entry: 3", "N3"),
        ("entry: 6", "N6"),
    ]


rules = st.builds(
    NoteRule,
    sticky=st.booleans(),
    depth=st.none() | st.integers(0, 5),
    every=st.integers(0, 4),
    reader=st.sampled_from(["", "Mara", "Bo"]),
)


@given(st.lists(st.none() | rules, max_size=12), st.integers(0, 12))
def test_wherever_the_context_begins_every_message_is_read_once_and_lasting_notes_are_read(
    drawn: list[NoteRule | None], start: int
) -> None:
    path = [
        entry(at, "M")
        if rule is None
        else note(at, **{f: getattr(rule, f) for f in rule.__struct_fields__})
        for at, rule in enumerate(drawn)
    ]
    gone, kept = list(filter(outlasts, path[:start])), path[start:]
    front = [source for source, _ in header_parts(Card(), "Wren", Form(), gone)]
    sources = front + [
        s for group in story_parts(Card(), kept, Form(), gone=gone) for s, _ in group
    ]
    for each in kept:
        assert sources.count(f"entry: {each.id}") >= 1
        if each.kind == "message":
            assert sources.count(f"entry: {each.id}") == 1
    if kept:
        assert {f"entry: {each.id}" for each in gone} <= set(sources)
