"""A reply belongs to its speaker: where another one's turn begins, and where none does."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.director.body import Body, Labels

NAMES = {name: name for name in ("Mara", "Old Tobiah", "Jean-Luc O'Brien", "琴音")} | {
    "Captain": "Mara"
}
# Each line stands alone in the middle of a reply, A and B being two participants.
PROSE = """\
She had one answer for {A}: no.
He wrote {A}: at the top of the page and then could think of nothing.
"{A}: come home," said the note on the door.
'{A}: two loaves,' the slate said, and under it a drawing of a fish.
“{A}: alive,” the telegram began.
The list went on. {A}: a coat. {B}: a spoon.
> {A}: gone to the mill, back by nine.
- {A}: bread, salt, a length of rope
* {A}: the boat
1. {A}: first watch
• {B}: second watch
({A}: alto. {B}: bass.)
[{A}: left at dawn]
Dear {A}: I am sorry about the boat.
To {A}: keep the change.
From {A}: nothing, not even a card.
For {A}: the blue one.
{A} and {B}: a fine pair of thieves.
{A}, {B}: both of them late.
{A} said it like this: nobody leaves.
{A}'s rule: never on a Sunday.
{A}’s plan: run.
{A} had two faults: pride and the accordion.
{A} looked up: rain.
{A}! It was {B}: she knew the step.
{A}; {B}: that was the order of the names.
{A}... {B}: he tried both, and neither fitted.
{A} - {B}: four to nothing, said the board.
{A} of the Quay: that was what they called the statue.
{A}son: it was not even a name.
Not {A}: her sister.
It was {A}: who else?
And {A}: "Well, well."
Then {B}: "Who asked you?"
But {A}: where was {A}?
The door said {A}: OFFICE.
The sign, in brass, read {A}: SHIPS AND SUNDRIES.
Subject: {A}: the missing spoon
Re: {A}: your letter of the ninth
{A}:3 was the verse, and nobody had learned it.
{A}:21 stood on the locker in red paint.
{A}://quay was what the boy had scratched into the wood.
{A}:) was all the postcard said.
{A}::{B} said the label on the wire.
…{A}: the name again, from the water.
— {A}: he did not finish it.
"Is it {A}:" she began, and stopped.
_{B} and {A}: what a pair,_ she thought.
Ask {A}: she was there.
http://{B}: no such host, said the screen.
"""
LINES = [
    line.format(A=one, B=other)
    for line in PROSE.splitlines()
    for one, other in [
        ("Mara", "Old Tobiah"),
        ("Old Tobiah", "琴音"),
        ("琴音", "Captain"),
        ("Jean-Luc O'Brien", "Mara"),
    ]
]


def body(text: str = "", *stops: str) -> Body:
    return Body(text, Labels({**NAMES, "Wren": "Wren"}).without("Wren"), stops)


def written(found: Body, text: str, size: int = 1) -> str:
    """What was shown of a text that came in pieces."""
    shown = "".join(found.write(text[at : at + size]) for at in range(0, len(text), size))
    return shown + found.end()


def test_there_are_two_hundred_lines() -> None:
    assert len(set(LINES)) == 200


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize("line", LINES)
def test_a_name_in_prose_ends_nothing(line: str, size: int) -> None:
    text = f"The fog came in.\n{line}\n\n{line}\nNobody spoke."
    found = body()
    assert written(found, f" {text}", size) == text == found.text and found.cut is None


@pytest.mark.parametrize(
    ("line", "name", "rest"),
    [
        ('Mara: "Who goes there?"', "Mara", '"Who goes there?"'),
        ("**Mara:** She sat.", "Mara", "She sat."),
        ("*Mara*: She sat.", "Mara", "She sat."),
        ("  MARA : She sat.", "Mara", "She sat."),
        ("Captain: She sat.", "Mara", "She sat."),
        ('Old Tobiah:"Me."', "Old Tobiah", '"Me."'),
        ("Jean-Luc O’Brien: He sat.", "Jean-Luc O'Brien", "He sat."),
        ("琴音：灯りは、まだ温かい。", "琴音", "灯りは、まだ温かい。"),
        ("琴音:灯りは、まだ温かい。", "琴音", "灯りは、まだ温かい。"),
        ("Mara:", "Mara", ""),
        ("Mara:\nShe sat.", "Mara", "She sat."),
        ("Mara: She sat.\nOld Tobiah: So did he.", "Mara", "She sat."),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("gap", ["\n", " \n\n "])
def test_a_line_that_another_one_opens_ends_the_reply(
    line: str, name: str, rest: str, size: int, gap: str
) -> None:
    found = body()
    assert written(found, f" The fog came in.{gap}{line}", size).rstrip() == "The fog came in."
    assert (found.text.rstrip(), found.cut) == ("The fog came in.", "speaker")
    assert found.next is not None
    found.next[1].end()
    assert (found.next[0], found.next[1].text.strip()) == (name, rest)


@pytest.mark.parametrize("line", ['Girl: "Who are you?"', "**Old Woman:** “Me.”", 'Nora :"No."'])
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_paragraph_that_somebody_unknown_opens_ends_the_reply(line: str, size: int) -> None:
    found = body()
    assert written(found, f" The fog came in.\n\n{line}\n\nNobody spoke.", size).rstrip() == (
        "The fog came in."
    )
    assert found.cut == "speaker" and found.next is None


STRANGE_PROSE = """\
Note: "Back by nine."
The old woman: "Who are you?"
Soup of the day: "finished"
Two bowls: she took the plain one.
Girl: the word was on the door.
Wren's Rule: "Never on a Sunday."
Then Nora: "No."
Q: "What is it?"
Old Woman of the Four Winds: "Me."
girl: "Who are you?"
"Girl: 'who are you?'"
- Girl: "Me."
"""


@pytest.mark.parametrize("line", STRANGE_PROSE.splitlines())
@pytest.mark.parametrize("size", [1, 1000])
def test_what_only_looks_like_somebody_ends_nothing(line: str, size: int) -> None:
    text = f'Girl: "Me."\nGirl: "You."\n\n{line}\n\n```\n\nGirl: "Us."\n```'
    found = body()
    assert written(found, f" {text}", size) == text and found.cut is None


def test_a_story_that_tells_it_so_goes_on_so() -> None:
    text = ' The fog came in.\n\nGirl: "Who are you?"'
    told = ['He read.\n\nBoy: "Me."']
    for before, cut in ((told, None), (['He read.\nNote: "None."'], "speaker")):
        found = Body("", Labels(NAMES, partial(list, before)))
        written(found, text)
        assert found.cut == cut


def test_ones_own_name_and_a_quoted_list_end_nothing() -> None:
    for text in (
        "He read.\nWren: here.",
        "He read.\n```\nMara: bread\nOld Tobiah: salt\n```\nGone.",
    ):
        found = body()
        assert written(found, f" {text}") == text and found.cut is None


def test_a_reply_may_end_before_its_first_word() -> None:
    found = body()
    assert written(found, "\nMara: She sat.") == "" == found.text
    assert found.cut == "speaker" and found.next is not None and found.next[0] == "Mara"
    assert written(body(), " Mara: that was all he said.") == "Mara: that was all he said."
    for size in (1, 1000):
        found = body()
        assert written(found, ' Mara: "Who is there?"', size) == "" and found.next is not None
        found.next[1].end()
        assert (found.next[0], found.next[1].text) == ("Mara", '"Who is there?"')


def test_names_in_another_normal_form_are_the_same() -> None:
    found = Body("", Labels({"Zoë": "Zoë"}))
    assert written(found, " Well.\nZoe\u0308: Hm.") == "Well." and found.cut == "speaker"


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_thoughts_are_folded_away(size: int) -> None:
    thought = "<think>\nWho is there?\nMara: me? END\n</think>\n\n"
    found = body("", "END")
    assert written(found, f" {thought}He sat. <think>Hm.</think>He rose.", size) == (
        "He sat. He rose."
    )
    assert not found.is_thinking and found.cut is None
    found = body()
    assert written(found, " <think>For ever", size) == "" and found.is_thinking
    found = body()
    assert written(found, " 1 <thin 2 <think", size) == "1 <thin 2 <think"


def test_a_paragraph_behind_the_first_words_after_a_thought_stays() -> None:
    found = body()
    pieces = ["<think>Hm.</think>", '\n\n"Aye', "\n\n", 'He sat."']
    assert "".join(map(found.write, pieces)) + found.end() == '"Aye\n\nHe sat."'


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_own_stop_strings_end_a_reply(size: int) -> None:
    found = body("", "###", "<|im_end|>")
    text = " One # two ## three. <|im_end|>\n### Four"
    assert written(found, text, size).rstrip() == "One # two ## three."
    assert found.cut == "stop_string"
    found = body("", "###")
    assert written(found, " One ##", size) == "One ##" and found.cut is None


@given(
    st.lists(
        st.sampled_from(
            ["Mara", "Girl", ":", ' "', " ", "\n", "\n\n", "*", "<think>", "</think>", "x", "END"]
        )
    )
)
def test_pieces_make_no_difference(parts: list[str]) -> None:
    text = "".join(parts)
    whole, single = body("", "END"), body("", "END")
    written(whole, text, len(text) or 1)
    written(single, text, 1)
    assert whole.text.rstrip() == single.text.rstrip() and whole.cut == single.cut
