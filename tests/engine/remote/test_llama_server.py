"""The remote engine against llama.cpp's own server, with the model that ships."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from shoritui.bench.peers import llama_server
from shoritui.engine import (
    Engine,
    Evaluation,
    Event,
    Noted,
    RemoteEngine,
    Sampling,
    Segment,
    Server,
    Text,
)
from shoritui.errors import UserError
from tests.engine.conftest import HEADER, SCENE
from tests.engine.remote.conftest import CONTEXT, DOCUMENT, events, finished

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def there(here: Engine) -> AsyncIterator[RemoteEngine]:
    assert here.info is not None
    engine = RemoteEngine()
    async with llama_server(here.info, 512, CONTEXT) as url:
        await engine.open(Server(url))
        yield engine
        await engine.close()


async def test_it_is_known_for_what_it_is(there: RemoteEngine) -> None:
    assert there.info is not None
    assert there.info.n_ctx == CONTEXT and there.info.block_tokens
    assert there.info.path.name == "shori-demo.gguf"


async def test_the_text_is_the_local_engines(there: RemoteEngine, here: Engine) -> None:
    document = [*SCENE, Segment("▀message (length: nano)\nBram:")]
    local = finished(await events(here, document)).outcome
    came = await events(there, document)
    remote = finished(came).outcome
    assert (remote.text, remote.stop) == (local.text, local.stop)
    assert remote.prompt_tokens == local.prompt_tokens
    assert "".join(each.text for each in came if isinstance(each, Text)) == remote.text


async def test_tokens_are_the_local_engines(there: RemoteEngine, here: Engine) -> None:
    texts = [segment.text for segment in DOCUMENT] + [" Zwölf", "\n", "", "naïve 🦆 …"]
    assert await there.count(texts) == await here.count(texts)
    assert await there.tokens(DOCUMENT) == await here.tokens(DOCUMENT)


async def test_scores_are_near_the_local_engines(there: RemoteEngine, here: Engine) -> None:
    document = [*SCENE, Segment("▀message (length:")]
    names = [" short", " medium", " long"]
    assert await there.score(document, names) == pytest.approx(
        await here.score(document, names), abs=0.1
    )


async def test_every_value_of_the_sampler_that_it_has_is_taken(there: RemoteEngine) -> None:
    wished = Sampling(
        seed=1,
        typical_p=0.9,
        presence_penalty=0.4,
        dry_multiplier=0.8,
        xtc_probability=0.5,
        min_p=0.1,
    )
    came = await events(there, sampling=wished)
    assert not [each.sentence for each in came if isinstance(each, Noted)]
    again = await events(there, sampling=wished)
    assert finished(again).outcome.text == finished(came).outcome.text


async def test_what_it_holds_is_not_evaluated_again(there: RemoteEngine) -> None:
    document = [Segment("▀title\nThe longest quay▄\n"), *SCENE * 6]
    await there.prefill(document)
    evaluation = await there.prefill([*document, HEADER])
    assert isinstance(evaluation, Evaluation)
    assert 0 < evaluation.evaluated < 40 < evaluation.reused


async def test_a_reply_can_be_cancelled(there: RemoteEngine) -> None:
    came: list[Event] = []
    async for each in there.generate(DOCUMENT, Sampling(temperature=3.0, seed=1), max_tokens=800):
        came.append(each)
        if isinstance(each, Text):
            await there.cancel()
    assert finished(came).outcome.stop == "cancelled"
    assert finished(await events(there, max_tokens=4)).outcome.generated_tokens == 4


async def test_a_prompt_too_long_is_told(there: RemoteEngine) -> None:
    with pytest.raises(UserError, match=f"holds {CONTEXT:,}"):
        await events(there, [*SCENE * 20, HEADER])
