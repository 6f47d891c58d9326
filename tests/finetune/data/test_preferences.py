"""Preferences to pairs of samples: what is given, what is compared, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.blockml import LENGTHS, Block, Part, message_header, render, render_all
from shoritui.errors import UserError
from shoritui.finetune.config.model import Config, Data, Tier, Train
from shoritui.finetune.data.packs import Pack, Sample, packs_of
from shoritui.finetune.data.preferences import Preference, preference_of, preferences_of, tokenize
from shoritui.finetune.data.samples import Rule, Tokenized
from shoritui.finetune.data.tier import TierData, prepare
from shoritui.finetune.data.tokenizer import Tokenizer
from shoritui.interop.datasets import ObjectError
from tests.finetune.data.strategies import bodies, names, parts

TITLE = Block("title", "The lamp")
BRAM = Block("message", '"Who took it?"', "Bram", "nano")
SHORT = Block("message", "She nodded.", "Ada", "short")
LONG = replace(SHORT, body="She looked for it under the bed, behind the stove, and in the well.")


def row(**changes: Any) -> str:
    known = {
        "context": render_all([TITLE, BRAM]),
        "chosen": render(SHORT),
        "rejected": [render(LONG)],
        "because": "kept",
    }
    return json.dumps({**known, **changes})


def one(tokenizer: Tokenizer, found: Preference, length: int = 100_000) -> Tokenized:
    (done,) = tokenize([found], tokenizer, Rule(Data(), length, 42))
    return done


def text_of(tokenizer: Tokenizer, sample: Sample) -> str:
    return tokenizer.text(sample.ids.tolist())


def compared(tokenizer: Tokenizer, sample: Sample) -> str:
    return tokenizer.text(sample.ids[sample.learn].tolist())


def test_only_the_body_and_its_end_are_compared(tokenizer: Tokenizer) -> None:
    done = one(tokenizer, preference_of(row(), "a.jsonl:1"))
    chosen, rejected = done.samples
    assert compared(tokenizer, chosen) == " She nodded.▄"
    assert compared(tokenizer, rejected) == f" {LONG.body}▄"
    context = render_all([TITLE, BRAM]) + message_header("Ada", "short")
    assert text_of(tokenizer, chosen) == f"{context} She nodded.▄"
    assert (done.hints, done.speakers, done.source) == (("short", "short"), 2, "a.jsonl:1")
    assert done.message_tokens[0] < done.message_tokens[1]


messages = st.builds(
    Block, st.just("message"), bodies.filter(lambda body: bool(body.strip())), names
)


@given(parts, messages, messages, st.none() | st.sampled_from(LENGTHS), st.booleans())
def test_a_document_is_what_a_chat_would_send_and_get(
    tokenizer: Tokenizer,
    prefixed: Tokenizer,
    context: list[Part],
    chosen: Block,
    other: Block,
    hint: Any,
    prefix: bool,
) -> None:
    vocabulary = prefixed if prefix else tokenizer
    pair = [replace(each, name="Ada", length=hint) for each in (chosen, other)]
    found = Preference(tuple(context), pair[0], (pair[1],), "a.jsonl:1")
    for sample in one(vocabulary, found).samples:
        first, *rest = [*map(render, context), message_header("Ada", hint)]
        prompt = vocabulary.ids(first, first=True)
        prompt += [token for text in rest for token in vocabulary.ids(text)]
        assert sample.ids[: len(prompt)].tolist() == prompt
        assert not sample.learn[: len(prompt)].any() and sample.learn[len(prompt) :].all()
        assert sample.ids[-1] == vocabulary.close


@given(st.integers(1, 12), st.integers(60, 400))
def test_the_oldest_messages_of_both_are_left_out_where_a_pair_is_too_long(
    tokenizer: Tokenizer, count: int, length: int
) -> None:
    told = [replace(BRAM, body=f"It was lamp {number} of twelve.") for number in range(count)]
    found = Preference((TITLE, *told), SHORT, (LONG,), "a.jsonl:1")
    try:
        chosen, rejected = one(tokenizer, found, length).samples
    except UserError as error:
        assert str(error).startswith("a.jsonl:1: this pair takes")
        return
    assert len(chosen.ids) + len(rejected.ids) <= length
    given = [
        text_of(tokenizer, sample).partition("▀message (length: short)")[0]
        for sample in (chosen, rejected)
    ]
    assert given[0] == given[1] and given[0].startswith(render(TITLE))
    kept = given[0].count("It was lamp")
    assert given[0] == render_all([TITLE, *told[count - kept :]])
    if kept < count:  # one more would not have fitted
        more = 2 * len(tokenizer.ids(render(told[count - kept - 1])))
        assert len(chosen.ids) + len(rejected.ids) + more > length


def test_every_rejected_message_is_a_pair_of_its_own(tokenizer: Tokenizer) -> None:
    other = replace(LONG, body="It rained.")
    found = preference_of(row(rejected=[render(LONG), render(other)]), "a.jsonl:1")
    texts = [compared(tokenizer, sample) for sample in one(tokenizer, found).samples]
    assert texts == [" She nodded.▄", f" {LONG.body}▄", " She nodded.▄", " It rained.▄"]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("[1]", "expected a JSON object"),
        ('{"context": 1', "not JSON"),
        (row(rejekted=[]), r"unknown key 'rejekted': did you mean 'rejected'\?"),
        (json.dumps({"context": "", "rejected": []}), "chosen"),
        (row(rejected="x"), "rejected"),
        (row(rejected=[]), "`rejected` is empty"),
        (row(chosen=render(TITLE)), "`chosen` should be one message block"),
        (row(chosen=render(SHORT) * 2), "`chosen` should be one message block"),
        (row(chosen="▀message\nAda: Yes."), "in `chosen`, line 1: this block is never closed"),
        (row(chosen="▀message\nAda: ▄"), "`chosen` is a message without text"),
        (row(rejected=[render(replace(LONG, name="Bram"))]), "the same speaker and length hint"),
        (row(rejected=[render(replace(LONG, length=None))]), "the same speaker and length hint"),
        (row(rejected=[render(SHORT)]), "the same as the chosen one"),
        (
            row(rejected=[render(SHORT).replace("▄", " \n▄")]),
            "the same as the chosen one",
        ),
        (row(context="Once upon a time"), "in `context`, line 1"),
    ],
)
def test_what_is_no_preference_is_told_in_a_sentence(line: str, sentence: str) -> None:
    with pytest.raises(ObjectError, match=sentence):
        preference_of(line, "a.jsonl:1")


def test_every_line_that_is_wrong_is_found_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join([row(), "{}", "", row(because=1), row()]), encoding="utf-8")
    found = list(preferences_of(path, "a.jsonl"))
    assert [isinstance(each, Preference) for each in found] == [True, False, False, True]
    assert [str(each).split(": ")[0] for each in found if isinstance(each, UserError)] == [
        "a.jsonl:2",
        "a.jsonl:4",
    ]
    (odd,) = preferences_of(tmp_path / "a.txt", "a.txt")
    assert str(odd) == "a.txt is no file of preferences: expected .jsonl."


def data_of(folder: Path, tokenizer: Tokenizer, lines: list[str], **settings: Any) -> TierData:
    (folder / "swipes.jsonl").write_text("\n".join(lines), encoding="utf-8")
    tier = Tier(
        "taste",
        ("swipes.jsonl",),
        kind="preference",
        train=Train(sequence_len=4096),
        data=Data(evaluation=settings.pop("evaluation", 0)),
        **settings,
    )
    return prepare(Config(folder / "finetune.toml", (tier,)), tokenizer)["taste"]


def test_pairs_stay_pairs_and_what_is_preferred_in_one_place_is_held_out_together(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    lines = []
    for number in range(40):
        context = render_all([replace(TITLE, body=f"Lamp {number // 2}"), BRAM])
        longs = [render(replace(LONG, body=f"{LONG.body} {number} {each}")) for each in "ab"]
        short = render(replace(SHORT, body=f"She nodded {number}."))
        lines.append(row(context=context, chosen=short, rejected=longs))
    data = data_of(tmp_path, tokenizer, lines, evaluation=5)
    sides = []
    for side in (data.train, data.evaluation):
        texts = [text_of(tokenizer, sample) for sample in side]
        for chosen, rejected in zip(texts[::2], texts[1::2], strict=True):
            mark = chosen.partition("nodded ")[2].partition(".")[0]
            assert f" {mark} " in rejected.rpartition("▀message")[2]
        sides.append({text.partition("▄")[0] for text in texts})
    assert not sides[0] & sides[1]
    assert (len(data.train), len(data.evaluation)) == (2 * 2 * 30, 2 * 2 * 10)
    again = data_of(tmp_path, tokenizer, lines[::-1], evaluation=5)
    assert again.fingerprint == data.fingerprint


def test_which_side_is_chosen_is_named_by_the_fingerprint(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    one = data_of(tmp_path, tokenizer, [row()])
    other = data_of(tmp_path, tokenizer, [row(chosen=render(LONG), rejected=[render(SHORT)])])
    assert one.fingerprint != other.fingerprint


def test_preferences_are_filtered_by_the_tags_of_their_context(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    tagged = render_all([TITLE, Block("tags", "storm, night"), BRAM])
    data = data_of(tmp_path, tokenizer, [row(), row(context=tagged)], where="storm")
    assert data.conversations == 1
    with pytest.raises(UserError, match="no preference that where = 'calm' lets through"):
        data_of(tmp_path, tokenizer, [row()], where="calm")


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 50)), max_size=30), st.integers(1, 5))
def test_a_pair_is_in_one_pack_which_has_no_more_pairs_than_it_may(
    sizes: list[tuple[int, int]], most: int
) -> None:
    import numpy as np

    def sample(size: int, name: str) -> Sample:
        return Sample(np.full(size, size, np.int32), np.arange(size) > 0, name)

    samples = [sample(size, str(at)) for at, pair in enumerate(sizes) for size in pair]
    packs: tuple[Pack, ...] = packs_of(samples, 100, True, 2, most)
    found = [pack.sources for pack in packs]
    assert all(sources[::2] == sources[1::2] for sources in found)
    assert all(len(sources) <= 2 * most for sources in found)
    assert sorted(int(name) for sources in found for name in sources[::2]) == [*range(len(sizes))]
    for pack in packs:
        assert len(pack.ids) <= 100
        pairs = [sizes[int(name)] for name in pack.sources[::2]]
        assert list(np.diff(pack.starts)) == [size for pair in pairs for size in pair]
