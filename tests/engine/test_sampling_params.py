"""Sampler values: how they are taken, their limits, their order."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.engine import ORDER, Sampling, changed
from shoritui.errors import UserError


@given(order=st.permutations(ORDER), dropped=st.sets(st.sampled_from(ORDER)))
def test_an_order_of_some_steps_becomes_one_of_all(order: list[str], dropped: set[str]) -> None:
    some = tuple(name for name in order if name not in dropped)
    whole = Sampling(order=some).order
    assert sorted(whole) == sorted(ORDER)
    assert tuple(name for name in whole if name in some) == some
    assert Sampling(order=whole).order == whole


def test_an_order_saved_before_a_step_was_known_gets_it_where_it_usually_stands() -> None:
    old = ("penalties", "top_k", "typical_p", "top_p", "min_p", "temperature")
    assert Sampling(order=old).order == ORDER
    early = ("penalties", "temperature", "top_k", "typical_p", "top_p", "min_p")
    assert Sampling(order=early).order == (
        "penalties",
        "dry",
        "top_n_sigma",
        "temperature",
        "top_k",
        "typical_p",
        "top_p",
        "min_p",
        "xtc",
    )


def test_values_travel_as_they_are() -> None:
    sampling = changed(
        Sampling(),
        {"banned": ["a shiver", "orbs"], "logit_bias": {" the": -2.5}, "order": ["min_p"]},
    )
    assert sampling.banned == ("a shiver", "orbs")
    assert sampling.logit_bias == ((" the", -2.5),)
    packed = msgspec.msgpack.encode(sampling)
    assert msgspec.msgpack.decode(packed, type=Sampling) == sampling


def test_joiners_belong_to_words() -> None:
    """Emoji and words of many scripts hold characters that are never seen themselves."""
    joined = ("👩\u200d🚀", "می\u200cخواهم", "s\u00adoft", "à\u00a0la")
    sampling = changed(Sampling(), {"banned": joined, "dry_breakers": joined})
    assert sampling.banned == sampling.dry_breakers == joined


def test_lists_are_taken_from_json() -> None:
    sampling = changed(Sampling(), {"logit_bias": [["the", 1]], "dry_breakers": []})
    assert (sampling.logit_bias, sampling.dry_breakers) == ((("the", 1),), ())


EACH = ", ".join(ORDER)
TEXTS = "a list of texts of 1 to 200 characters"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"min_q": 0.1}, '"min_q" is not a sampler value; did you mean "min_p"?'),
        ({"zebra": 1}, '"zebra" is not a sampler value'),
        ({"min_p": 2}, '"min_p" must be a number from 0 to 1, not 2'),
        ({"min_p": float("nan")}, '"min_p" must be a number from 0 to 1, not nan'),
        ({"min_p": "low"}, '"min_p" must be a number from 0 to 1, not the text "low"'),
        ({"min_p": None}, '"min_p" must be a number from 0 to 1, not nothing'),
        ({"top_k": 1.5}, '"top_k" must be a whole number from 0 to 1,000,000, not 1.5'),
        ({"temperature": True}, '"temperature" must be a number from 0 to 20, not true'),
        ({"mirostat": 1}, '"mirostat" must be one of 0, 2, not 1'),
        ({"seed": -1}, '"seed" must be a whole number from 0 to 4,294,967,294, not -1'),
        (
            {"mirostat": 2, "adaptive_target": 0.5},
            "mirostat and adaptive_target both draw the token: set one to 0",
        ),
        ({"xtc_threshold": 0.6}, '"xtc_threshold" must be a number from 0 to 0.5, not 0.6'),
        ({"dry_base": 0.5}, '"dry_base" must be a number from 1 to 10, not 0.5'),
        ({"order": "min_p"}, f'"order" must be a list of any of {EACH}, not the text "min_p"'),
        (
            {"order": ["min_q"]},
            f'"order" must be a list of any of {EACH}, not "min_q"; did you mean "min_p"?',
        ),
        ({"order": ["zebra"]}, f'"order" must be a list of any of {EACH}, not "zebra"'),
        ({"order": ["xtc", "xtc"]}, f'"order" must be a list of any of {EACH}, each only once'),
        ({"banned": "orbs"}, f'"banned" must be {TEXTS}, not the text "orbs"'),
        ({"banned": [" "]}, f'"banned" must be {TEXTS}, but one is empty'),
        (
            {"banned": ["a▄"]},
            f'"banned" must be {TEXTS}, not "a▄" (the marks of blocks are not allowed)',
        ),
        (
            {"banned": ["a\x1b[2J"]},
            f'"banned" must be {TEXTS}, not "a\\u001b[2J" (it holds a control character)',
        ),
        ({"banned": ["a" * 201]}, f'"banned" must be {TEXTS}, not of 201'),
        (
            {"logit_bias": 3},
            '"logit_bias" must be texts, each with a number, such as {" the" = -1.5}, not 3',
        ),
        (
            {"logit_bias": {"▄": -3}},
            "a key of [logit_bias] must be a text of 1 to 200 characters, "
            'not "▄" (the marks of blocks are not allowed)',
        ),
        (
            {"logit_bias": {"the": "low"}},
            '"the" of [logit_bias] must be a number from -100 to 100, not the text "low"',
        ),
    ],
)
def test_bad_values_are_told_in_one_sentence(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        changed(Sampling(), values)
    assert str(caught.value) == sentence
