"""The sampler's panel, and its values as they are written in commands."""

from __future__ import annotations

import pytest

from shoritui.director.choices import read_choices
from shoritui.engine import SETTINGS, Sampling, changed
from shoritui.folders import data_dir
from shoritui.story import Library
from shoritui.tui.chat.panels.sampler_values import (
    GROUPS,
    HELP,
    LISTS,
    SCALES,
    list_text,
    read_list,
)
from shoritui.tui.chat.verbs.panels import sampler_words
from shoritui.tui.widgets.bars import FoldHead
from shoritui.tui.widgets.field import Field
from shoritui.tui.widgets.knob import Knob
from tests.tui.conftest import enter, heard, running, screen_text, until


def test_every_value_has_one_place_and_help() -> None:
    shown = [name for group in GROUPS for name in group.names]
    assert sorted(shown) == sorted(SETTINGS) == sorted(HELP)
    assert sorted(shown) == sorted([*SCALES, *LISTS])


@pytest.mark.parametrize("between", ["\n", ", "])
def test_lists_are_read_as_they_are_written(between: str) -> None:
    sampling = changed(
        Sampling(),
        {
            "banned": ["a shiver", "..."],
            "logit_bias": {"suddenly": -2.5, "=": 1},
            "dry_breakers": ["\n", "* ", '"'],
        },
    )
    for name in LISTS:
        written = list_text(name, getattr(sampling, name), between)
        again = changed(Sampling(), {name: read_list(name, written, between.strip(" "))})
        assert getattr(again, name) == getattr(sampling, name)


def test_a_list_may_follow_numbers_in_a_command() -> None:
    assert sampler_words("min_p=0.1 top_k=4") == (["min_p=0.1", "top_k=4"], "")
    assert sampler_words("top_k=4 banned=a b, c") == (["top_k=4"], "banned=a b, c")
    assert sampler_words("logit_bias=order=2") == ([], "logit_bias=order=2")


async def test_what_does_nothing_is_folded_away_and_lists_are_edited() -> None:
    async with running(size=(120, 60)) as (app, pilot):
        director = app.director
        assert director is not None
        await pilot.press("f3")
        await until(pilot, lambda: app.main.side is not None and app.main.side.sampler.is_mounted)
        assert app.main.side is not None
        panel = app.main.side.sampler
        knobs = {knob.key: knob for knob in panel.query(Knob)}
        await until(pilot, lambda: knobs["penalty_window"].is_on_screen)
        assert not knobs["dry_base"].is_on_screen
        await enter(app, pilot, "/sampler dry_multiplier=0.8 banned=a shiver, orbs")
        await until(pilot, lambda: knobs["dry_base"].is_on_screen)
        assert director.chat.sampling.banned == ("a shiver", "orbs")
        assert "banned 2" in screen_text(app)
        (banned,) = (field for field in panel.query(Field) if field.key == "banned")
        banned.focus()
        await pilot.press("enter", "ctrl+j", *"her spine", "ctrl+s")
        await until(pilot, lambda: len(director.chat.sampling.banned) == 3)
        (bias,) = (field for field in panel.query(Field) if field.key == "logit_bias")
        bias.focus()
        await pilot.press("enter", *"soft", "ctrl+s")
        await until(pilot, lambda: len(heard(app)) > 0)
        assert "soft: write it as word = number." in heard(app)
        head = panel.query(FoldHead).first()
        head.focus()
        await pilot.press("enter")
        await until(pilot, lambda: not knobs["penalty_window"].is_on_screen)
        assert director.chat.sampling.presence_penalty == 0.4


async def test_a_chat_keeps_the_lists_of_its_sampler() -> None:
    async with running() as (app, pilot):
        await enter(app, pilot, "/sampler logit_bias=suddenly=-2")
        await enter(app, pilot, "/sampler order=temperature, min_p")
        await until(
            pilot, lambda: app.director is not None and app.director.chat.sampling.logit_bias
        )
    library = Library(data_dir() / "library.db")
    chat = library.last_chat()
    library.close()
    assert chat is not None
    sampling = changed(Sampling(), read_choices(chat.settings).sampling)
    assert sampling.logit_bias == (("suddenly", -2.0),)
    assert sampling.order.index("temperature") < sampling.order.index("min_p")
