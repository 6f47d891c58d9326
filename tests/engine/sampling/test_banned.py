"""Banned words and phrases are not written, and nobody sees how."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoritui.engine import Engine, Finished, Outcome, Sampling, Segment, Text, changed
from shoritui.engine.sampling.banned import TRIES, BannedPhrases
from tests.engine.conftest import HEADER, SCENE, opened, write

ALPHABET = ["a", "b", "ab", " a", " b", "A", " ", "!", "_b", "ba ", "\n", "ß", "S"]
phrases = st.lists(
    st.text("abAs !_ß ", min_size=1, max_size=5).filter(str.strip), min_size=1, max_size=4
)


def contains(text: str, phrase: str, before: str = "") -> bool:
    """The plain definition: the phrase's characters, with no letter going on at its edges."""
    wanted = " ".join(phrase.split()).casefold()
    whole = before + text
    for start in range(len(before), len(whole)):
        for end in range(start + 1, len(whole) + 1):
            piece = whole[start:end]
            if piece[0].isspace() or piece[-1].isspace():
                continue
            goes_on_left = wanted[0].isalnum() and start > 0 and whole[start - 1].isalnum()
            goes_on_right = wanted[-1].isalnum() and end < len(whole) and whole[end].isalnum()
            same = " ".join(piece.split()).casefold() == wanted
            if same and not goes_on_left and not goes_on_right:
                return True
    return False


@given(
    pieces=st.lists(st.sampled_from(ALPHABET), max_size=12),
    banned=phrases,
    before=st.sampled_from(["", ":", "a"]),
)
@settings(max_examples=300)
def test_a_phrase_is_found_as_soon_as_it_is_sure(
    pieces: list[str], banned: list[str], before: str
) -> None:
    watch = BannedPhrases(banned, before)
    written = ""
    for count, piece in enumerate(pieces):
        place = watch.feed(piece, clean=True)
        assert watch.safe <= count + 1
        if place is not None:
            whole = written + piece
            start = sum(map(len, pieces[:place]))
            assert any(contains(whole, each, before) for each in banned)
            assert not any(contains(whole[:start] + "\0", each, before) for each in banned)
            return
        written += piece
    found = any(contains(written, each, before) for each in banned)
    assert (watch.end() is not None) == found


@given(
    choices=st.lists(st.permutations(range(len(ALPHABET))), min_size=1, max_size=6),
    banned=phrases,
)
@settings(max_examples=200)
def test_nothing_that_was_shown_is_taken_back_and_it_ends(
    choices: list[list[int]], banned: list[str]
) -> None:
    """A stand-in for a model that prefers tokens in an order that depends on the place."""
    watch = BannedPhrases(banned, ":")
    tokens: list[int] = []
    shown = 0
    drawn = 0
    while len(tokens) < 12:
        drawn += 1
        assert drawn <= 12 * (TRIES + 1) * 12
        wishes = choices[len(tokens) % len(choices)]
        token = next((each for each in wishes if each not in watch.never()), wishes[0])
        place = watch.feed(ALPHABET[token], clean=True)
        tokens.append(token)
        if place is None and len(tokens) == 12:
            place = watch.end()
        if place is not None:
            assert place >= shown
            watch.back(place, tokens[place])
            del tokens[place:]
        assert watch.safe >= shown
        shown = watch.safe


@pytest.mark.parametrize(
    ("text", "banned", "found"),
    [
        ("a shiver ran", "shiver", True),
        ("a shivering man", "shiver", False),
        ("Ashiver", "shiver", False),
        ("_Shiver_", "shiver", True),
        ("down  her\nspine", "down her spine", True),
        ("down her spines", "down her spine", False),
        ("wait...!", "...", True),
        ("STRASSE", "straße", True),
        ("shiver", "shiver", True),
    ],
)
def test_what_counts_as_the_phrase(text: str, banned: str, found: bool) -> None:
    watch = BannedPhrases([banned], ":")
    places = [watch.feed(character, clean=True) for character in text]
    assert any(place is not None for place in (*places, watch.end())) == found
    assert contains(text, banned) == found


# With the model that ships

DOCUMENT = [*SCENE, HEADER]
NEUTRAL = Sampling(seed=1)


async def told(engine: Engine, sampling: Sampling, max_tokens: int = 60) -> tuple[Outcome, str]:
    shown = ""
    async for event in engine.generate(
        DOCUMENT, sampling, max_tokens=max_tokens, penalized=["We leave at noon."], top_logprobs=1
    ):
        if isinstance(event, Text):
            shown += event.text
            assert len(event.logprobs) == event.tokens
        if isinstance(event, Finished):
            return event.outcome, shown
    raise AssertionError("a generation ends with Finished")


@pytest.mark.asyncio(loop_scope="module")
async def test_words_of_a_text_are_not_in_the_next(engine: Engine) -> None:
    for seed in range(6):
        sampling = changed(Sampling(min_p=0.02, presence_penalty=0.4), {"seed": seed})
        before, _ = await told(engine, sampling)
        words = [word.strip('",.!?_*') for word in before.text.split()]
        banned = [word for word in words if len(word) > 2][:8]
        banned.append(" ".join(before.text.split()[2:5]))
        after, shown = await told(engine, changed(sampling, {"banned": banned}))
        assert shown == after.text
        assert not any(contains(after.text, each) for each in banned), (banned, after.text)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_list_that_does_not_matter_changes_nothing(engine: Engine) -> None:
    plain, _ = await told(engine, NEUTRAL)
    for banned in ([], ["zebra crossing", "qqq"]):
        same, shown = await told(engine, changed(NEUTRAL, {"banned": banned}))
        assert same.text == shown == plain.text


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("values", [{}, {"temperature": 0}, {"top_k": 1}, {"mirostat": 2}])
async def test_it_ends_even_if_everything_is_banned(
    engine: Engine, values: dict[str, object]
) -> None:
    letters = list("abcdefghijklmnopqrstuvwxyz.,!?'\"_")
    words = ["the", "she", "he", "said", "it", "you", "was", "and", "to", "of", "in", "ada", "bram"]
    sampling = changed(NEUTRAL, {**values, "banned": [*letters, *words]})
    outcome, shown = await told(engine, sampling, max_tokens=10)
    assert outcome.stop in ("token_limit", "block_end")
    assert shown == outcome.text


@pytest.mark.asyncio(loop_scope="module")
async def test_a_banned_word_at_the_end_is_taken_back_too(engine: Engine) -> None:
    greedy = Sampling(temperature=0)
    for limit in range(4, 12):
        plain = await write(engine, DOCUMENT, greedy, limit)
        last = plain.text.split()[-1].strip('",.!?_*')
        if last:
            outcome = await write(engine, DOCUMENT, changed(greedy, {"banned": [last]}), limit)
            assert not contains(outcome.text, last)


@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_written_around_a_ban_is_in_the_cache(engine: Engine, model: Path) -> None:
    greedy = Sampling(temperature=0)
    first = await write(engine, DOCUMENT, greedy)
    word = first.text.split()[3].strip('",.!?_*')
    sampling = changed(greedy, {"banned": [word]})
    around = await write(engine, DOCUMENT, sampling)
    assert not contains(around.text, word)
    going_on = [*SCENE, Segment(HEADER.text + around.text)]
    more = await write(engine, going_on, greedy)
    assert more.evaluated_tokens <= 1
    async with opened(model) as other:
        assert (await write(other, going_on, greedy)).text == more.text
