"""What the model reads: order, lore, notes, and what a full context drops."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from shoritui.blockml import Length
from shoritui.director import prompt_layout as doc
from shoritui.engine import Segment
from shoritui.story import Entry, Form
from shoritui.story import Kind as EntryKind
from tests.director.conftest import SCENE

FORM = Form(instruction="Be kind.")


def entry(
    text: str,
    speaker: str = "Mara",
    *,
    at: int = 1,
    kind: EntryKind = "message",
    length: Length | None = "short",
) -> Entry:
    return Entry(at, None, kind, speaker, length, text, "complete", 0.0, 5)


def text_of(segments: list[Segment]) -> str:
    return "".join(segment.text for segment in segments)


def test_the_header_has_the_formats_order_and_the_users_character_last() -> None:
    sources = [s.source for s in doc.header_segments(SCENE, "Wren", FORM)]
    assert sources == [
        "title", "tags", "lore: The fog", "description: Mara", "description: Tobin",
        "description: Isolde", "description: Wren", "scenario", "instruction",
    ]  # fmt: skip
    assert [s.source for s in doc.header_segments(SCENE, "Mara", FORM)][3:7] == [
        "description: Tobin", "description: Isolde", "description: Wren", "description: Mara",
    ]  # fmt: skip


def test_the_instruction_can_stand_at_the_top_or_nowhere() -> None:
    top = doc.header_segments(SCENE, "Wren", replace(FORM, instruction_place="top"))
    assert top[0].text == "[INST] Be kind. [/INST]\n"
    assert "INST" not in text_of(doc.header_segments(SCENE, "Wren", Form()))


def test_lore_fires_once_right_after_the_first_entry_that_names_its_key() -> None:
    entries = [
        entry("Nothing rang.", at=1),
        entry("A labelled bellows.", at=2),
        entry("The BELL hung still.", at=3),
        entry("A bell again.", at=4),
    ]
    sources = [[s.source for s in group] for group in doc.story_segments(SCENE, entries, FORM)]
    assert sources == [["entry: 1"], ["entry: 2"], ["entry: 3", "lore: The bell"], ["entry: 4"]]


def test_out_of_character_talk_fires_no_lore_and_keeps_its_form() -> None:
    talk = entry("Is the bell important?", "Wren", kind="ooc", length=None)
    [[segment]] = doc.story_segments(SCENE, [talk], replace(FORM, ooc_form="({name}) {text}"))
    assert segment.text == "▀ooc\n(Wren) Is the bell important?▄\n"
    assert doc.open_ooc("Mara", FORM).text == "▀ooc\nMara:"


def test_every_kind_of_entry_has_its_block() -> None:
    assert doc.entry_text(entry("Dusk", kind="title"), FORM) == "▀title\nDusk▄\n"
    assert doc.entry_text(entry("Be brief.", "", kind="note"), FORM) == "[INST] Be brief. [/INST]\n"
    assert doc.entry_text(entry("Old.", kind="lore"), FORM) == "▀lore\nOld.▄\n"
    assert doc.entry_text(entry("Is tall.", "Ada", kind="description"), FORM) == (
        "▀description\nAda\nIs tall.▄\n"
    )
    assert doc.entry_text(entry("Hi."), FORM) == "▀message (length: short)\nMara: Hi.▄\n"


def test_a_message_is_continued_where_it_was_cut_and_after_its_end_in_a_new_paragraph() -> None:
    ended = entry("The end.")
    assert doc.reopened(ended, "short") == (
        Segment("▀message (length: short)\nMara: The end.\n\n", "reply"),
        "\n\n",
    )
    cut = replace(ended, text="The en", status="cut")
    assert doc.reopened(cut, "short")[0].text == "▀message (length: short)\nMara: The en"
    assert doc.reopened(replace(cut, text=""), "short")[0].text == "▀message (length: short)\nMara:"


def test_only_finished_words_count_and_they_end_before_a_space() -> None:
    typed = ("", "Hel", "Hello wor", "One  two ", "A\n b")
    assert [doc.finished_words(text) for text in typed] == ["", "", "Hello", "One  two", "A"]
    assert doc.begun_message("Wren", "nano", "Who is the").text == (
        "▀message (length: nano)\nWren: Who is"
    )


@given(st.text(alphabet="a▀▄▔▂\u2060 \n.é", max_size=30))
def test_what_is_begun_is_how_the_message_begins(text: str) -> None:
    text = text.strip()
    begun = doc.begun_message("Wren", "tiny", text).text
    assert doc.entry_text(entry(text, "Wren", length="tiny"), FORM).startswith(begun)
