from __future__ import annotations

from itertools import islice

from shoritui.bench import scenes


def test_a_story_is_the_same_every_time_and_another_tag_another_story() -> None:
    one = list(islice(scenes.messages("one"), 5))
    assert one == list(islice(scenes.messages("one"), 5))
    assert not set(one) & set(islice(scenes.messages("two"), 5))
    assert scenes.header("one")[0] != scenes.header("two")[0]


def test_prose_has_the_words_asked_for() -> None:
    assert 40 <= len(scenes.prose(40, "seed").split()) < 60


def test_names_differ_in_their_first_letter() -> None:
    assert len({name[0] for name in scenes.NAMES}) == len(scenes.NAMES)


def test_a_reply_becomes_one_block() -> None:
    opened = scenes.opened(0)
    closed = scenes.closed(opened, " Hm.")
    assert closed.text.startswith(opened.text) and closed.text.endswith("Hm.▄\n")


def test_each_piece_of_lore_fires_by_its_name() -> None:
    card = scenes.card()
    assert [lore.keys for lore in card.lore] == [(key,) for key in scenes.LORE]
    assert len(card.characters) == 5
