"""The model that ships: small, standard, and it reads its prompt."""

from __future__ import annotations

import pytest

from shoritui.demo import model_path
from shoritui.demo.making.cast import Plan
from shoritui.demo.making.measure import GENTLE, Figures, Reader, judge, sample
from shoritui.demo.making.scenes import make_scene

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(model_path())


@pytest.fixture(scope="module")
def figures(reader: Reader) -> Figures:
    """Replies with fixed seeds, in scenes whose names, things and places training never saw."""
    return judge(sample(reader, 16, GENTLE, ("nano", "tiny", "short", "medium")))


def test_it_is_small_and_reads_far_enough(reader: Reader) -> None:
    assert model_path().stat().st_size <= 16_000_000
    assert int(reader.llama.metadata["llama.context_length"]) >= 2048
    assert reader.llama.metadata["general.architecture"] == "llama"


def test_block_characters_and_newlines_are_walls(reader: Reader) -> None:
    walls = [reader.ids(wall) for wall in "▀▄\n"]
    assert [len(ids) for ids in walls] == [1, 1, 1]
    text = "▀message (length: tiny)\nAda: Hello.▄\n"
    ids = reader.ids(text)
    assert [i for i in ids if [i] in walls] == [*walls[0], *walls[2], *walls[1], *walls[2]]
    assert reader.llama.detokenize(ids).decode() == text


def test_any_text_can_be_spelled(reader: Reader) -> None:
    text = " Schönes 日本 \U0001f9d9 Xyzzy's"
    assert reader.llama.detokenize(reader.ids(text)).decode() == text


def test_length_hints_of_the_corpus_are_true_in_its_own_tokens(reader: Reader) -> None:
    scene = make_scene(1, Plan(800), reader.count)
    assert reader.count(scene.text) >= 800


def test_replies_are_well_formed(figures: Figures) -> None:
    assert figures.ended >= 0.6
    assert figures.kept_speaker >= 0.9
    assert figures.closed >= 0.6


def test_replies_name_the_people_of_the_prompt(figures: Figures) -> None:
    words = figures.hits["name words"]
    assert words.all >= 30
    assert words.share >= 0.85


def test_longer_hints_give_longer_replies(figures: Figures) -> None:
    tokens = figures.mean_tokens
    assert tokens["nano"] < tokens["short"] < tokens["medium"]
