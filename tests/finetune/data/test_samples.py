"""Conversations to samples: what is in them, and what of that is learnt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.blockml import Block, Instruction, Part, length_for, render, render_all
from shoritui.errors import UserError
from shoritui.finetune.config.model import Data
from shoritui.finetune.data.conversations import Conversation
from shoritui.finetune.data.packs import Sample
from shoritui.finetune.data.samples import Rule, Tokenized, tokenize
from shoritui.finetune.data.tokenizer import Tokenizer
from tests.finetune.data.strategies import conversation, conversations

KEEP = Data(hints="keep")
TITLE = Block("title", "The lamp")
ADA = Block("message", '"Who took it?" Ada asked the empty kitchen.', "Ada", "nano")
BRAM = Block("message", "He looked at the shelf and said nothing at all.", "Bram", "short")


def one(
    tokenizer: Tokenizer, told: Conversation, data: Data = KEEP, length: int = 4096, seed: int = 42
) -> Tokenized:
    (done,) = tokenize([told], tokenizer, Rule(data, length, seed))
    return done


def learnt_text(tokenizer: Tokenizer, sample: Sample) -> str:
    return tokenizer.text(sample.ids[sample.learn].tolist())


@given(conversations)
def test_a_sample_is_what_a_chat_would_send(tokenizer: Tokenizer, told: Conversation) -> None:
    done = one(tokenizer, told, length=100_000)
    (sample,) = done.samples
    texts = list(map(render, told.parts))
    first, *rest = [tokenizer.ids(text, first=at == 0) for at, text in enumerate(texts)]
    assert sample.ids.tolist() == [*first, *(token for ids in rest for token in ids)]
    assert (str(sample.ids.dtype), str(sample.learn.dtype)) == ("int32", "bool")
    assert not sample.learn[0] and sample.learn[1:].all(), "all but what begins a document"
    assert (done.tokens, done.parts) == (len(sample.ids) - 1, 1)


@given(conversations, st.integers(60, 400), st.booleans())
def test_parts_fit_and_every_token_is_learnt_once(
    tokenizer: Tokenizer, prefixed: Tokenizer, told: Conversation, length: int, prefix: bool
) -> None:
    vocabulary = prefixed if prefix else tokenizer
    try:
        done = one(vocabulary, told, length=length)
    except UserError:
        return
    assert all(len(sample.ids) <= length for sample in done.samples)
    assert all(not sample.learn[0] for sample in done.samples)
    text = "".join(learnt_text(vocabulary, sample) for sample in done.samples)
    assert text == render_all(told.parts).replace("▁", " ")
    assert sum(int(sample.learn.sum()) for sample in done.samples) == done.tokens
    assert done.tokens == sum(len(vocabulary.ids(render(part))) for part in told.parts)


def test_a_part_begins_with_what_is_in_force(tokenizer: Tokenizer) -> None:
    top: list[Part] = [
        TITLE,
        Block("tags", "night"),
        Block("lore", "Lamps burn oil."),
        Block("description", "**Name:** Ada"),
        Block("scenario", "It goes out."),
        Instruction("Be brief."),
    ]
    later: list[Part] = [
        Block("title", "Morning"),
        Block("description", "**Name:** Cleo"),
        Instruction("Now."),
    ]
    said = [replace(ADA, body=f"{ADA.body} {at}.") for at in range(6)]
    told = conversation(*top, *said[:3], *later, *said[3:])
    whole = one(tokenizer, told)
    done = one(tokenizer, told, length=whole.tokens * 2 // 3)
    assert done.parts == len(done.samples) == 2
    first, second = done.samples
    assert learnt_text(tokenizer, first) == render_all([*top, *said[:3]])
    assert learnt_text(tokenizer, second) == render_all([*later, *said[3:]])
    repeated = [*top[1:4], *top[4:]]
    assert tokenizer.text(second.ids.tolist()) == render_all([*repeated, *later, *said[3:]])
    assert (first.source, second.source) == ("a.txt:1", "a.txt:10")


def test_the_latest_title_is_repeated_and_a_note_is_not(tokenizer: Tokenizer) -> None:
    title, note = Block("title", "Morning"), Instruction("Hurry.")
    told = conversation(Instruction("Be kind."), TITLE, ADA, note, title, ADA, BRAM)
    whole = one(tokenizer, told)
    done = one(tokenizer, told, length=whole.tokens - 5)
    assert tokenizer.text(done.samples[-1].ids.tolist()) == render_all(
        [Instruction("Be kind."), title, BRAM]
    )


def test_where_nobody_speaks_nothing_is_repeated(tokenizer: Tokenizer) -> None:
    lore = [Block("lore", f"Lamps burn oil, and lamp {at} burns most of it.") for at in range(8)]
    done = one(tokenizer, conversation(*lore), length=60)
    assert done.parts > 2
    assert all(learnt_text(tokenizer, s) == tokenizer.text(s.ids.tolist()) for s in done.samples)


def test_a_message_that_cannot_fit_is_told_with_its_line(tokenizer: Tokenizer) -> None:
    told = conversation(TITLE, ADA, replace(BRAM, body="far too long " * 50))
    with pytest.raises(UserError, match=r"^a\.txt:3: .* sequence_len is 64"):
        one(tokenizer, told, length=64)


def test_hints_are_earned_kept_or_left_out(tokenizer: Tokenizer) -> None:
    told = conversation(ADA, replace(BRAM, body="He counted the lamps again. " * 12))
    sizes = [len(tokenizer.ids(" " + message.body)) for message in told.messages]
    earned = one(tokenizer, told, Data())
    assert earned.message_tokens == tuple(sizes)
    assert earned.hints == tuple(map(length_for, sizes)) and earned.hints[0] != earned.hints[1]
    assert one(tokenizer, told, KEEP).hints == ("nano", "short")
    assert one(tokenizer, told, Data(hints="none")).hints == (None, None)
    limits = (1, 2, 3, sizes[0] - 1, sizes[0], 10_000, 10_001, 10_002)
    assert one(tokenizer, told, Data(hint_limits=limits)).hints == ("medium", "long")
    assert one(tokenizer, told, Data(hint_limits=(1,) * 8)).hints == ("enormous", "enormous")
    text = tokenizer.text(earned.samples[0].ids.tolist())
    assert f"▀message (length: {earned.hints[0]})\nAda:" in text


def test_hints_are_dropped_by_what_is_said_alone(tokenizer: Tokenizer) -> None:
    said = [replace(ADA, body=f"Lamp {at}.") for at in range(200)]
    told = conversation(*said)
    some = Data(hint_dropout=0.2)
    dropped = one(tokenizer, told, some).hints
    assert 20 <= dropped.count(None) <= 60
    moved = conversation(TITLE, *said, file="other.txt")
    assert one(tokenizer, moved, some).hints == dropped
    assert one(tokenizer, told, some, seed=7).hints != dropped
    assert set(one(tokenizer, told, Data(hint_dropout=1.0)).hints) == {None}


def learnt_parts(tokenizer: Tokenizer, parts: Sequence[Part], data: Data) -> str:
    samples = one(tokenizer, conversation(*parts), replace(data, hints="keep")).samples
    return "".join(learnt_text(tokenizer, sample) for sample in samples)


def test_only_chosen_blocks_are_learnt(tokenizer: Tokenizer) -> None:
    parts: list[Part] = [TITLE, Instruction("Be brief."), ADA, Block("ooc", "Brb."), BRAM]
    assert learnt_parts(tokenizer, parts, Data(learn=("message",))) == render_all([ADA, BRAM])
    assert learnt_parts(tokenizer, parts, Data(learn=("instruction",))) == render_all([parts[1]])


def test_of_chosen_characters_the_words_are_learnt(tokenizer: Tokenizer) -> None:
    bram = f" {BRAM.body}▄\n"
    for chosen in (Data(speakers=("Bram",)), Data(not_speakers=("Ada",))):
        assert learnt_parts(tokenizer, [TITLE, ADA, BRAM], chosen) == render(TITLE) + bram
    none = Data(learn=("message",), speakers=("Cleo",))
    assert one(tokenizer, conversation(ADA), none).samples == ()


def test_batches_change_nothing(tokenizer: Tokenizer) -> None:
    told = [conversation(TITLE, ADA), conversation(BRAM), conversation(Block("lore", "x"))]
    together = tokenize(told, tokenizer, Rule(KEEP, 4096, 42))
    for apart, done in zip(told, together, strict=True):
        assert one(tokenizer, apart).samples[0].ids.tolist() == done.samples[0].ids.tolist()
    assert tokenize([], tokenizer, Rule(KEEP, 4096, 42)) == []
    assert [done.speakers for done in together] == [1, 1, 0]
