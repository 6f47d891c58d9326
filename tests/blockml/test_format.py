"""The format, by the model card's own examples and for any text."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.blockml import (
    LENGTHS,
    ROLES,
    Block,
    BlockMLError,
    Instruction,
    Part,
    check_name,
    description_body,
    length_for,
    message_header,
    parse,
    render,
    render_all,
    token_range,
)

TEMPLATE = """▀title
{story title}▄
▀tags
{comma-separated list of tags}▄
▀lore
{{loreBefore}}▄
▀description
{{char}}
{{description}}▄
▀description
{{user}}
{{persona}}▄
▀scenario
{{scenario}}▄
▀message (length: medium)
Char: {message}▄
▀message (length: short)
User: {message}▄
"""

STRANGE_INCIDENT = """▀title
A strange incident in Gensokyo▄
▀tags
barrier, danmaku, magic, reimu, marisa▄
▀description
**Name:** Reimu Hakurei
**Age:** 18
**Personality:** Calm and collected.▄
▀message (length: medium)
Reimu: "Hmm... I wonder what's going on?" Reimu mused as she stood at the entrance.

"Maybe everyone is busy?" she thought.▄
▀message (length: short)
Marisa: "Ooohh! Reimu-chan~!" Marisa suddenly appeared from nowhere.▄
[INST] Yukari's personality: proud, haughty [/INST]
▀message
Yukari: _Ugh._▄
"""


def test_the_cards_template_renders_to_the_byte() -> None:
    parts = [
        Block("title", "{story title}"),
        Block("tags", "{comma-separated list of tags}"),
        Block("lore", "{{loreBefore}}"),
        Block("description", description_body("{{char}}", "{{description}}")),
        Block("description", description_body("{{user}}", "{{persona}}")),
        Block("scenario", "{{scenario}}"),
        Block("message", "{message}", "Char", "medium"),
        Block("message", "{message}", "User", "short"),
    ]
    assert render_all(parts) == TEMPLATE


def test_the_cards_practical_example_renders_to_the_byte() -> None:
    reimu = "**Name:** Reimu Hakurei\n**Age:** 18\n**Personality:** Calm and collected."
    parts: list[Part] = [
        Block("title", "A strange incident in Gensokyo"),
        Block("tags", "barrier, danmaku, magic, reimu, marisa"),
        Block("description", description_body("Reimu", reimu)),
        Block(
            "message",
            '"Hmm... I wonder what\'s going on?" Reimu mused as she stood at the entrance.\n\n'
            '"Maybe everyone is busy?" she thought.',
            "Reimu",
            "medium",
        ),
        Block(
            "message",
            '"Ooohh! Reimu-chan~!" Marisa suddenly appeared from nowhere.',
            "Marisa",
            "short",
        ),
        Instruction("Yukari's personality: proud, haughty"),
        Block("message", "_Ugh._", "Yukari"),
    ]
    assert render_all(parts) == STRANGE_INCIDENT
    assert parse(STRANGE_INCIDENT) == parts


def test_a_reply_begins_right_after_the_colon() -> None:
    assert message_header("Reimu", "medium") == "▀message (length: medium)\nReimu:"
    assert message_header("Reimu", None) == "▀message\nReimu:"


HOSTILE = st.text(alphabet="▀▄▔▂\u2060[/INST] :\nab*_\"'()") | st.text()
NAMES = st.text(min_size=1, max_size=20).filter(
    lambda name: ":" not in name and "\n" not in name and not name.startswith(" ")
)
BLOCKS = st.builds(Block, st.sampled_from([r for r in ROLES if r != "message"]), HOSTILE)
MESSAGES = st.builds(
    Block, st.just("message"), HOSTILE, NAMES, st.none() | st.sampled_from(LENGTHS)
)
PARTS = st.lists(BLOCKS | MESSAGES | st.builds(Instruction, HOSTILE), max_size=6)


@given(PARTS)
def test_parsing_gives_back_what_was_rendered(parts: list[Part]) -> None:
    assert parse(render_all(parts)) == parts


@given(BLOCKS | MESSAGES)
def test_no_text_breaks_the_frame(block: Block) -> None:
    text = render(block)
    assert text.count("▀") == text.count("▄") == 1
    assert text.startswith("▀") and text.endswith("▄\n")
    assert "▁" not in text.replace(block.body, ""), "U+2581 reads as a space in SentencePiece"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("▀titel\nX▄\n", "line 1: unknown role 'titel'.*did you mean title?"),
        ("▀title\nX▄\n▀message (length: mediun)\nA: b▄\n", "line 3: .*did you mean medium?"),
        ("▀title\nX▄\n\n▀message\nA: b", "line 4: this block is never closed"),
        ("▀message\nA: b\n▀message\nB: c▄", "line 1: this block is never closed"),
        ("hello", "line 1: this text stands outside"),
        ("▀message\nno speaker here▄", "line 1: expected the speaker's name"),
        ("[INST] x", "line 1: this \\[INST\\] is never closed"),
        ("▀title (length: short)\nx▄", "only a message has a length hint"),
    ],
)
def test_bad_text_is_told_by_line(text: str, sentence: str) -> None:
    with pytest.raises(BlockMLError, match=sentence):
        parse(text)


def test_the_hint_table_has_no_gaps() -> None:
    assert [length_for(token_range(length)[0]) for length in LENGTHS] == list(LENGTHS)
    assert [length_for(token_range(length)[1]) for length in LENGTHS] == list(LENGTHS)
    for shorter, longer in itertools.pairwise(LENGTHS):
        assert token_range(shorter)[1] + 1 == token_range(longer)[0]


def test_a_description_says_the_name_once() -> None:
    assert description_body("Mira Vale", "**Name:** Mira Vale\nTall.") == (
        "**Name:** Mira Vale\nTall."
    )
    assert description_body("Mira", "Mira keeps bees.") == "Mira keeps bees."
    assert description_body("Mira", "Keeps bees.\nMira hums.") == ("Mira\nKeeps bees.\nMira hums.")


@pytest.mark.parametrize(
    "name",
    [
        *("", " Mira", "Mi:ra", "Mi\nra", "M▀", "▄", "a\x1b[0m", "x" * 61),
        *("\u200b", "\u200d\ufeff", "\u3164"),
    ],
)
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="a name must"):
        check_name(name)
