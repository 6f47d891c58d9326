"""Which entries a prompt holds, by token counts that are given: no engine is needed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.cards import Card, Character, Lore
from shoritui.director.prompt_builder import (
    TRIM_TO,
    Prompt,
    PromptBuilder,
    PromptInput,
    first_to_keep,
    story_budget,
)
from shoritui.director.prompt_layout import open_message
from shoritui.errors import UserError
from shoritui.story import Details, Entry, Form, NoteRule

N_CTX = 400
SCENE = Card(
    title="The ferry",
    characters=(Character(name="Mara", description="Mara keeps the ferry."),),
    lore=(Lore(name="The bell", text="It has no clapper. " * 5, keys=("bell",)),),
)
HEADER = ["title", "description: Mara", "instruction"]


def said(at: int, text: str) -> Entry:
    return Entry(at, None, "message", "Wren", "short", text, "complete", 0.0, 5)


def story(*texts: str) -> PromptInput:
    """These messages, and a reply of Mara's; every character counts as one token."""
    opened = open_message("Mara", "nano")
    entries = [said(at, text) for at, text in enumerate(texts, 1)]
    form = Form("Be kind.")
    return PromptInput(SCENE, "Wren", entries, opened, len(opened.text), "nano", N_CTX, form=form)


def build(builder: PromptBuilder, given: PromptInput, planned: int | None = None) -> Prompt:
    tokens = {text: len(text) for text in builder.texts(given)}
    return builder.build(given, tokens, planned)


def sources(prompt: Prompt) -> list[str]:
    return [segment.source for segment in prompt.segments]


@pytest.fixture
def builder() -> PromptBuilder:
    return PromptBuilder(max_tokens=24)


def test_a_prompt_is_the_scene_the_story_with_its_lore_and_the_open_block(
    builder: PromptBuilder,
) -> None:
    prompt = build(builder, story("Hello.", "The bell!"))
    assert sources(prompt) == [*HEADER, "entry: 1", "entry: 2", "lore: The bell", "reply"]
    assert prompt.first == 0


def test_every_text_to_be_counted_is_asked_for_before(builder: PromptBuilder) -> None:
    """Whichever entries go and wherever lore fires then: no other text is measured."""
    texts = [f"{at}: the bell rang. " + "Fog. " * 4 for at in range(12)]
    for upto in range(1, len(texts) + 1):
        prompt = build(builder, story(*texts[:upto]))
        assert sources(prompt).count("lore: The bell") == 1
        assert sources(prompt)[-2:] in (
            [f"entry: {upto}", "reply"],
            ["lore: The bell", "reply"],
        )
        assert sum(len(segment.text) for segment in prompt.segments) <= N_CTX - 24


def test_the_planned_entry_comes_first_where_not_all_fit(builder: PromptBuilder) -> None:
    few, many = story("Short.", "Short."), story(*["Fog. " * 6] * 10)
    assert build(builder, few, planned=2).first == 0
    assert build(builder, many).first != 8
    assert build(builder, many, planned=9).first == 8


def test_old_entries_go_ahead_of_need(builder: PromptBuilder) -> None:
    for count in range(1, 12):
        given = story(*["Fog. " * 2] * count)
        tokens = {text: len(text) for text in builder.texts(given)}
        now = builder.build(given, tokens)
        later = builder.build_ahead(given, tokens)
        if later is not None:
            assert not now.first and 0 < later.first < count
            return
    raise AssertionError("they never went before they had to")


def test_what_does_not_fit_is_said_with_its_size(builder: PromptBuilder) -> None:
    with pytest.raises(UserError, match=r"The last message with its lore takes \d+ tokens"):
        build(builder, story("Fog. " * 30, "The bell! " * 40))
    with pytest.raises(UserError, match="The scene's own blocks take"):
        build(builder, replace(story("Hi."), scene=replace(SCENE, scenario="Fog. " * 100)))
    with pytest.raises(UserError, match="The message being written takes 390 tokens"):
        build(builder, replace(story("Hi."), opened_tokens=390))


def test_a_reply_that_fills_the_context_goes_on_without_any_entry(
    builder: PromptBuilder,
) -> None:
    given = replace(story("Fog. " * 30), opened_tokens=250)
    tokens = {text: len(text) for text in builder.texts(given)}
    prompt = builder.build(given, tokens, going_on=True)
    assert sources(prompt) == [*HEADER, "reply"] and prompt.first == 1


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(1, 600))
def test_old_messages_go_in_big_steps_and_only_when_they_must(sizes: list[int], room: int) -> None:
    start = first_to_keep(sizes, room)
    kept = sum(sizes[start:])
    if sum(sizes) <= room:
        assert start == 0
    else:
        assert kept <= room * TRIM_TO or (start == len(sizes) - 1 and kept <= room)
        assert kept + sizes[start - 1] > room * TRIM_TO
        assert start < len(sizes) or sizes[-1] > room, "the last one stays if it fits at all"


@given(st.integers(64, 40_000), st.integers(0, 50_000), st.integers(1, 1024))
def test_messages_go_ahead_of_need_while_the_next_turn_still_fits(
    context: int, fixed: int, reserve: int
) -> None:
    room = story_budget(context, fixed, reserve)
    assert room.now == context - fixed - reserve
    if room.now >= 0:
        assert room.now * 3 / 4 <= room.ahead <= room.now


def test_after_a_trim_the_latest_title_heads_the_prompt_and_lasting_notes_are_still_read(
    builder: PromptBuilder,
) -> None:
    sticky = Details(note=NoteRule(sticky=True))
    given = story(*["Fog. " * 6] * 10)
    rest = list(given.entries)
    note = Entry(90, None, "note", "", None, "Be slow.", "complete", 0.0, 5, details=sticky)
    entries = [replace(rest[0], id=91, kind="title", text="Dawn", speaker=""), note, *rest]
    for upto in range(3, len(entries) + 1):
        prompt = build(builder, replace(given, entries=entries[:upto]))
        text = "".join(segment.text for segment in prompt.segments)
        assert text.count("Be slow.") == text.count("▀title\nDawn▄") == 1
        assert len(text) <= N_CTX - 24
        assert text.startswith("▀title\nDawn▄" if prompt.first else "▀title\nThe ferry▄")
    assert prompt.first and sources(prompt)[3:5] == ["entry: 90", f"entry: {prompt.first - 1}"]
    longer = build(builder, replace(given, entries=entries[4:], gone=entries[:2]))
    assert sources(longer)[:4] == [*HEADER, "entry: 90"]
    assert longer.segments[0].text == "▀title\nDawn▄\n"
