"""A tier's data: from files to samples, remembered, named by content, split by conversation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

from shoritui.blockml import Block, Part, render_all
from shoritui.errors import UserError
from shoritui.finetune.config.model import Config, Data, Tier, Train
from shoritui.finetune.data import tier as room
from shoritui.finetune.data.packs import Sample
from shoritui.finetune.data.tier import TierData, prepare
from shoritui.finetune.data.tokenizer import Tokenizer
from shoritui.finetune.events import Preparing, Reported

SMALL = Train(sequence_len=256)


def scene(number: int, messages: int = 4) -> list[Part]:
    names = ("Ada", "Bram")
    said = [
        Block("message", f"He counted lamp {number}, and then {at} more.", names[at % 2])
        for at in range(messages)
    ]
    return [Block("title", f"Lamp {number}"), Block("tags", "odd" if number % 2 else "even"), *said]


def write(path: Path, numbers: Sequence[int], messages: int = 4) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scenes = (render_all(scene(number, messages)) for number in numbers)
    path.write_text("---\n".join(scenes), encoding="utf-8")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    write(tmp_path / "low" / "a.txt", range(8))
    write(tmp_path / "low" / "b.txt", range(8, 20))
    write(tmp_path / "high" / "a.txt", range(15, 40), messages=30)
    tiers = (
        Tier("low", ("low/*.txt",), train=SMALL),
        Tier("high", ("high/*.txt",), after="low", train=SMALL, data=Data(evaluation=0.3)),
    )
    return Config(tmp_path / "finetune.toml", tiers)


def with_tier(config: Config, **changes: Any) -> Config:
    low, *rest = config.tiers
    return replace(config, tiers=(replace(low, **changes), *rest))


def fingerprints(config: Config, tokenizer: Tokenizer) -> list[str]:
    return [data.fingerprint for data in prepare(config, tokenizer).values()]


def contents(samples: Sequence[Sample]) -> list[tuple[bytes, bytes]]:
    return [(sample.ids.tobytes(), sample.learn.tobytes()) for sample in samples]


def messages(data: TierData) -> int:
    return sum(len(each.message_tokens) for each in data.tokenized)


def test_a_tier_is_counted(config: Config, tokenizer: Tokenizer) -> None:
    low, high = prepare(config, tokenizer).values()
    assert (low.conversations, messages(low)) == (20, 80)
    assert (high.conversations, messages(high)) == (25, 750)
    assert sum(each.tokens for each in low.tokenized) > 20 * messages(low) / 4
    longest = [max(each.tokens for each in data.tokenized) for data in (low, high)]
    assert longest[0] < SMALL.sequence_len < longest[1]
    assert low.tokenized[0].source == "low/a.txt:1"
    assert len(high.train) + len(high.evaluation) == sum(each.parts for each in high.tokenized) > 25


def test_parts_of_one_conversation_stay_on_one_side(config: Config, tokenizer: Tokenizer) -> None:
    low, high = prepare(config, tokenizer).values()
    assert high.evaluation and high.held
    learnt = set(contents(high.train))
    for each in high.tokenized:
        sides = {content in learnt for content in contents(each.samples)}
        assert sides == {each.digest not in high.held}
    held = {each.digest for each in high.tokenized if each.digest in high.held}
    both = held & {each.digest for each in low.tokenized}
    assert low.held >= both


def test_what_is_held_out_in_one_tier_is_held_out_in_all(
    config: Config, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    write(tmp_path / "low" / "c.txt", range(15, 40), messages=30)
    low, high = prepare(config, tokenizer).values()
    assert len(high.held) > 2 and high.held <= low.held
    assert not set(contents(low.train)) & set(contents(high.evaluation))


def test_the_fingerprint_is_of_content_alone(
    config: Config, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    before = fingerprints(config, tokenizer)
    text = (tmp_path / "low/a.txt").read_text(encoding="utf-8")
    (tmp_path / "low/a.txt").rename(tmp_path / "low/z.txt")
    (tmp_path / "low/z.txt").write_text(text.replace("▄\n▀", "▄\n\n▀"), encoding="utf-8")
    assert fingerprints(config, tokenizer) == before
    (tmp_path / "low/z.txt").write_text(text.replace("lamp 3,", "lamp three,"), encoding="utf-8")
    low, high = fingerprints(config, tokenizer)
    assert low != before[0] and high == before[1]


@pytest.mark.parametrize(
    "change",
    [
        {"train": replace(SMALL, sequence_len=60)},
        {"data": Data(learn=("message",))},
        {"data": Data(not_speakers=("Ada",))},
        {"data": Data(hint_dropout=0.5)},
        {"data": Data(hints="none")},
        {"data": Data(hint_limits=(1,) * 8)},
        {"data": Data(evaluation=0.5)},
        {"where": "odd"},
    ],
    ids=str,
)
def test_what_matters_changes_the_fingerprint(
    config: Config, tokenizer: Tokenizer, change: dict[str, Any]
) -> None:
    assert (
        fingerprints(with_tier(config, **change), tokenizer)[0]
        != (fingerprints(config, tokenizer)[0])
    )


def test_nothing_is_tokenised_twice(
    config: Config, tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[Preparing | Reported] = []
    first = prepare(config, tokenizer, events.append)[config.tiers[0].name]
    assert events[0] == Preparing("reading low, conversations", 0, 20)
    assert events[-1] == Preparing("reading high, conversations", 25, 25)

    def refuse(*rest: object) -> NoReturn:
        raise AssertionError("asked again")

    monkeypatch.setattr(room, "tokenize", refuse)
    again = prepare(config, tokenizer)[config.tiers[0].name]
    assert same(first, again)
    (tmp_path / "high/a.txt").touch()
    prepare(config, tokenizer)[config.tiers[0].name]  # what counts is the content, not the time


def same(one: TierData, other: TierData) -> bool:
    facts = [
        [replace(each, samples=()) for each in each.tokenized] + [each.fingerprint, each.held]
        for each in (one, other)
    ]
    samples = [contents(each.train) + contents(each.evaluation) for each in (one, other)]
    sources = [[sample.source for sample in each.train] for each in (one, other)]
    return facts[0] == facts[1] and samples[0] == samples[1] and sources[0] == sources[1]


@pytest.mark.parametrize("harm", ["cut", "flip", "empty"])
def test_a_torn_memo_is_made_anew(
    config: Config, tokenizer: Tokenizer, home: Path, harm: str
) -> None:
    first = prepare(config, tokenizer)[config.tiers[0].name]
    memos = list((home / "cache/finetune/tokens").iterdir())
    assert len(memos) == 2
    for path in memos:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        harmed = {"cut": data[: len(data) // 2], "flip": data, "empty": bytearray()}
        path.write_bytes(harmed[harm])
    assert same(first, prepare(config, tokenizer)[config.tiers[0].name])


def test_where_no_memo_can_be_kept_it_works_all_the_same(
    config: Config, tokenizer: Tokenizer, home: Path
) -> None:
    (home / "cache").mkdir(parents=True)
    (home / "cache/finetune").write_text("in the way")
    assert prepare(config, tokenizer)[config.tiers[0].name].conversations == 20


def test_samples_have_the_types_that_packs_need(config: Config, tokenizer: Tokenizer) -> None:
    for _ in range(2):
        for sample in prepare(config, tokenizer)[config.tiers[1].name].train:
            assert (str(sample.ids.dtype), str(sample.learn.dtype)) == ("int32", "bool")
            assert len(sample.ids) == len(sample.learn) <= SMALL.sequence_len


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"files": ("none/*",)}, "no file"),
        ({"where": "gone"}, "where = 'gone'"),
        ({"data": Data(speakers=("Cleo",), learn=("message",))}, "no token to learn"),
    ],
)
def test_a_tier_without_anything_to_learn_is_told(
    config: Config, tokenizer: Tokenizer, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        prepare(with_tier(config, **change), tokenizer)
