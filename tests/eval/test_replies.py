"""A real model at work: what it reads is evaluated once, and what people wrote is all scored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from shoritui.demo import model_path
from shoritui.engine import EngineOptions, presets
from shoritui.eval.replies import CONTEXTS, Results, Stage, Subject, bits_per_character, perplexity
from shoritui.eval.stories import Plan, tasks
from tests.eval.stories import BELL, LOCK, place, story

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

OPENED = 16
"""Tokens of an open block, at most."""
PRESETS = presets(None)[0]
SUBJECT = Subject("demo", model_path(), (), PRESETS["card-main"])


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def stage() -> AsyncIterator[Stage]:
    async with Stage.open(SUBJECT, EngineOptions(n_ctx=2048, n_threads=1), PRESETS) as stage:
        yield stage


async def test_a_prompt_is_evaluated_once_for_all_its_replies(stage: Stage) -> None:
    found, whole = Results(SUBJECT), 0
    for group in tasks([story()], Plan(0, 3, 3), 1):
        assert await stage.read(group[0].place, found)
        found.replies.append([])
        before = (await stage.stats()).tokens
        for task in group:
            await stage.reply(task, found)
        evaluated = (await stage.stats()).tokens - before
        if all(reply.stop == "block_end" for reply in found.replies[-1]):
            written = sum(reply.tokens for reply in found.replies[-1])
            assert evaluated <= written + 3 * OPENED
            whole += 1
    assert whole
    assert [len(group) for group in found.replies] == [3, 3, 3]
    assert [each.true for each in found.speakers] == ["Ada", "Corin", "Ada"]
    assert all(set(each.held.values()) <= {"Ada", "Bram", "Corin"} for each in found.speakers)
    replies = [reply for group in found.replies for reply in group]
    assert all(reply.text.strip() == reply.text for reply in replies)
    assert len({reply.text for reply in replies}) > 6


async def test_every_message_is_scored_in_every_context(stage: Stage) -> None:
    one, other = story(LOCK, "lock"), story(BELL, "bell")
    for context in CONTEXTS:
        found = await stage.surprises(one, context, other)
        assert [each.number for each in found] == [0, 1, 2, 3]
        assert [each.characters for each in found] == [
            len(one.whole.entries[at].text) + 1 for at in one.messages
        ]
        assert (perplexity(found) or 0) > 1 and (bits_per_character(found) or 0) > 0
    assert await stage.surprises(one, "other cast", one) == []
    short = await stage.surprises(one, "true", other, 290)
    assert 0 < len(short) < 4
    whole = await stage.surprises(one, "true", other)
    assert [each.nats for each in short] == pytest.approx(
        [each.nats for each in whole[: len(short)]], rel=0.01
    )


async def test_a_story_that_does_not_fit_is_told(stage: Stage) -> None:
    whole = place().story
    scene = replace(whole.whole.chat.scene, scenario="The water rose. " * 1000)
    chat = replace(whole.whole.chat, scene=scene)
    long = replace(place(), story=replace(whole, whole=replace(whole.whole, chat=chat)))
    assert not await stage.read(long, Results(SUBJECT))
