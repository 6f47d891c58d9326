"""Each measure finds the fault that is put into a text, and none in what people wrote."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.blockml import LENGTHS, Length, token_range
from shoritui.blockml.narration import words_of
from shoritui.eval import measures
from shoritui.eval.measures import acts_of, foreign_lines, longest_loop, phrases
from shoritui.eval.statistics import Count, share
from shoritui.eval.stories import Reply, by_people
from tests.eval.stories import BELL, LOCK, reply, story

PEOPLE = by_people([story(LOCK, "lock"), story(BELL, "bell")])
SOUND = 'Corin stepped to the edge. "Hold the rope," he said, and the river took him.'
words = st.lists(st.sampled_from(words_of("the gate held and rope a water went")), max_size=25)


def blamed(measure: Callable[[Reply], Count | None], text: str) -> bool:
    """Whether a text has the fault that shares of right replies leave out."""
    count = measure(reply(text))
    assert count is not None
    return not count.part


@pytest.mark.parametrize(
    "measure",
    [measures.ended, measures.closed, measures.third_person, measures.past_tense],
)
def test_people_are_right(measure: Callable[[Reply], Count | None]) -> None:
    assert share([count for each in PEOPLE if (count := measure(each)) is not None]) == 1


@pytest.mark.parametrize(
    "measure",
    [
        *(measures.foreign_lines_as_written, measures.foreign_lines_as_read),
        *(measures.foreign_acts, measures.looped, measures.stock, measures.loop_words),
    ],
)
def test_people_have_no_such_fault(measure: Callable[[Reply], Count]) -> None:
    assert share([measure(each) for each in PEOPLE]) == 0


@pytest.mark.parametrize("mark", ['"', "_", "*", "**", "''"])
def test_a_mark_that_stays_open(mark: str) -> None:
    assert not blamed(measures.closed, SOUND)
    assert blamed(measures.closed, f"{SOUND} {mark}Then the bell")


@given(st.sampled_from(["Ada", "Bram"]), st.sampled_from(["", "**", "  "]))
def test_a_message_within_a_message(name: str, before: str) -> None:
    text = f'{SOUND}\n{before}{name}: "Pull!"'
    assert foreign_lines(text, ["Ada", "Bram"]) == [name]
    assert measures.foreign_lines_as_read(reply(text)).part == 1
    assert foreign_lines(f"{SOUND} He named {name}: twice.", ["Ada", "Bram"]) == []


def test_a_message_of_somebody_nobody_knows() -> None:
    assert foreign_lines(f'{SOUND}\nOld Woman: "Pull!"', []) == ["Old Woman"]
    assert foreign_lines(f"{SOUND}\nTwo bowls: she took the brown one.", []) == []
    assert foreign_lines("Rope: the one thing he had.", []) == []


def test_what_the_model_wrote_and_what_is_left_are_told_apart() -> None:
    cut = Reply(reply(SOUND).place, SOUND, f'{SOUND}\nAda: "Pull!"')
    assert measures.foreign_lines_as_written(cut).part == 1
    assert measures.foreign_lines_as_read(cut).part == 0


@pytest.mark.parametrize(
    ("text", "acts"),
    [
        ("Ada nodded.", ["Ada nodded"]),
        ('"Go," said Bram.', ["said Bram"]),
        ("He dived, and Bram quickly closed his eyes.", ["Bram quickly closed"]),
        ('"Well?" Ada looked down. Corin shivered.', ["Ada looked"]),
        ('"Ada nodded. Bram ran," he said.', []),
        ("He waited until Ada nodded.", []),
        ("Corin nodded. He looked at Ada.", []),
    ],
)
def test_acts_of_others(text: str, acts: list[str]) -> None:
    assert acts_of(text, ["Ada", "Bram"]) == acts


def test_a_name_of_several_words_is_also_called_by_its_own() -> None:
    assert acts_of("Wick nodded.", ["Sister Wick", "Sister Pelagie"]) == ["Wick nodded"]
    assert acts_of("Sister nodded.", ["Sister Wick", "Sister Pelagie"]) == []


@given(st.sampled_from(LENGTHS), st.integers(1, 2000))
def test_lengths(hint: Length, tokens: int) -> None:
    asked = reply(SOUND, hint=hint, tokens=tokens)
    exact, near = measures.in_range(asked), measures.near_range(asked)
    assert exact is not None and near is not None
    least, most = token_range(hint)
    is_within = least <= tokens and (tokens <= most or hint == "enormous")
    assert bool(exact.part) == is_within
    assert exact.part <= near.part
    assert measures.in_range(reply(SOUND)) is None
    assert measures.hint_and_tokens(asked) == (LENGTHS.index(hint), tokens)


def test_what_was_cut_off_has_no_length_of_its_own() -> None:
    cut = reply(SOUND, hint="tiny", tokens=40, stop="token_limit")
    assert measures.in_range(cut) == measures.near_range(cut) == Count(False)
    assert measures.hint_and_tokens(cut) is None


def test_person_and_tense() -> None:
    assert blamed(measures.third_person, "I took the rope in my hands and went under the gate.")
    assert not blamed(measures.third_person, f'{SOUND} "I went under," he said.')
    assert blamed(measures.past_tense, "Corin takes the rope. He looks at the gate and nods.")
    assert measures.past_tense(reply('"I am coming."')) is None


@given(words, st.lists(st.sampled_from(words_of("one two three four")), min_size=1, max_size=6))
def test_a_loop_is_found_wherever_it_is(before: list[str], piece: list[str]) -> None:
    times = 4
    assert longest_loop([*before, *piece * times]) >= len(piece) * times
    assert longest_loop([str(at) for at in range(40)]) == 0


def test_a_loop_counts_its_first_time() -> None:
    assert longest_loop(words_of("no no no")) == 3
    assert longest_loop(words_of("x and then he ran and then he ran y")) == 8


@given(words, st.integers(1, 6))
def test_phrases(some: list[str], length: int) -> None:
    found = phrases(some, length)
    assert len(found) == max(len(some) - length + 1, 0)
    assert all(len(phrase) == length for phrase in found)


def test_repeated_copied_and_shared_phrases() -> None:
    assert share([measures.distinct(reply("the gate is stuck " * 10))]) == pytest.approx(4 / 37)
    copied = measures.echoed(reply("The lock gate is stuck, and before the flood somebody"))
    assert copied.part == copied.whole > 0
    assert measures.echoed(reply(SOUND)).part == 0
    other = Reply(by_people([story(BELL, "bell")])[0].place, SOUND, SOUND)
    assert all(c.part == c.whole for c in measures.shared_phrases([reply(SOUND), other]))
    assert all(c.part == 0 for c in measures.shared_phrases([reply(SOUND), reply(SOUND, 3)]))


def test_stock_phrases_are_counted_in_a_thousand_words() -> None:
    text = "A shiver ran down his spine, a testament to the cold, barely above a whisper."
    count = measures.stock(reply(text))
    assert (count.part, count.whole) == (3000, 15)
