"""The remote engine against a real server: llama-cpp-python's own, with the model that ships."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, closing
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from shoritui.cards import Card, Character
from shoritui.director import Director, Disk, Notice, TurnEnded, new_chat
from shoritui.engine import (
    Engine,
    Event,
    Noted,
    RemoteEngine,
    Sampling,
    Segment,
    Server,
    Text,
    presets,
)
from shoritui.errors import UserError
from shoritui.settings import Settings
from shoritui.story import Library
from tests.engine.conftest import HEADER, SCENE
from tests.engine.remote.conftest import CONTEXT, DOCUMENT, events, finished

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

SERVER = """
import runpy
from llama_cpp import llama_cpp
from shoritui.host.amx import without_amx
without_amx(llama_cpp)
runpy.run_module("llama_cpp.server", run_name="__main__")
"""

WORN_OUT = [*SCENE * 20, HEADER]
"""Longer than the context."""


@pytest.fixture(scope="module")
def url(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that answers, in a process of its own."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--model", model, "--n_ctx", CONTEXT, "--n_threads", 1]
    options += ["--flash_attn", "true", "--port", port]  # as here, else near ties fall otherwise
    log = (tmp_path_factory.mktemp("server") / "log").open("wb")
    command = [sys.executable, "-c", SERVER, *map(str, options)]
    server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _wait_for(f"http://127.0.0.1:{port}/v1/models", server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()
        log.close()


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    while server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=60).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the server ended before it answered")


@pytest_asyncio.fixture(loop_scope="module")
async def there(url: str) -> AsyncIterator[RemoteEngine]:
    engine = RemoteEngine()
    await engine.open(Server(url, n_ctx=CONTEXT))
    yield engine
    await engine.close()


@pytest.mark.parametrize("length", ["nano", "short"])
async def test_the_text_is_the_local_engines(
    there: RemoteEngine, here: Engine, length: str
) -> None:
    # Neither has read the beginning: steps of other sizes round otherwise.
    title = Segment(f"▀title\nA {length} word▄\n")
    document = [title, *SCENE[1:], Segment(f"▀message (length: {length})\nBram:")]
    local = finished(await events(here, document)).outcome
    came = await events(there, document)
    remote = finished(came).outcome
    assert (remote.text, remote.stop) == (local.text, local.stop)
    assert (remote.prompt_tokens, remote.generated_tokens) == (
        local.prompt_tokens,
        local.generated_tokens,
    )
    assert "".join(each.text for each in came if isinstance(each, Text)) == remote.text
    assert remote.first_token_ms > 0 and remote.tokens_per_second > 0


async def test_a_message_ends_at_its_mark(there: RemoteEngine) -> None:
    document = [*SCENE, Segment("▀message (length: nano)\nBram:")]
    outcome = finished(await events(there, document, max_tokens=400)).outcome
    assert outcome.stop == "block_end"
    assert outcome.text and not set("▀▄") & set(outcome.text)
    cut = finished(await events(there, max_tokens=3)).outcome
    assert (cut.stop, cut.generated_tokens) == ("token_limit", 3)


async def test_tokens_are_the_local_engines(there: RemoteEngine, here: Engine) -> None:
    texts = [segment.text for segment in DOCUMENT] + [" Zwölf", "\n", "", "naïve 🦆 …"]
    assert await there.count(texts) == await here.count(texts)
    ids = await there.tokens(DOCUMENT)
    assert ids == await here.tokens(DOCUMENT)
    assert (await there.pieces(ids))[1:] == (await here.pieces(ids))[1:]
    assert there.info is not None and there.info.block_tokens
    assert there.info.path.name == "shori-demo.gguf"


async def test_a_prompt_is_planned_as_the_local_engine_does(
    there: RemoteEngine, here: Engine
) -> None:
    plan, expected = await there.plan(DOCUMENT), await here.plan(DOCUMENT)
    assert plan.ids == expected.ids and plan.tokens == expected.tokens
    assert plan.is_exact and plan.reused is None
    with pytest.raises(UserError, match="does not tell how likely"):
        await there.alternatives(DOCUMENT, " Aye.", count=3)


async def test_scores_are_near_the_local_engines(there: RemoteEngine, here: Engine) -> None:
    document = [*SCENE, Segment("▀message (length:")]
    names = [" short", " medium", " long", " of no such length"]
    *likely, unlikely = await there.score(document, names)
    expected = await here.score(document, names)
    assert likely == pytest.approx(expected[:-1], abs=0.1)
    assert unlikely < min(likely)


async def test_what_the_server_cannot_do_is_told_once_per_change(there: RemoteEngine) -> None:
    wished = Sampling(seed=1, typical_p=0.9, presence_penalty=0.4)
    told = []
    for sampling in (wished, wished, replace(wished, xtc_probability=0.5)):
        came = await events(there, sampling=sampling)
        told.append([each.sentence for each in came if isinstance(each, Noted)])
    first, again, other = told
    assert again == []
    assert "typical_p" in first[-1] and "presence_penalty" not in first[-1]
    assert "xtc_probability" in other[-1]


async def test_replies_differ_unless_a_seed_says_otherwise(there: RemoteEngine) -> None:
    hot = Sampling(temperature=1.5)
    texts = {finished(await events(there, sampling=hot)).outcome.text for _ in range(3)}
    assert len(texts) > 1, "the server itself repeats one seed"
    seeded = replace(hot, seed=4)
    texts = {finished(await events(there, sampling=seeded)).outcome.text for _ in range(2)}
    assert len(texts) == 1


async def test_a_reply_can_be_cancelled(there: RemoteEngine) -> None:
    came: list[Event] = []
    async for each in there.generate(DOCUMENT, Sampling(temperature=3.0, seed=1), max_tokens=800):
        came.append(each)
        if isinstance(each, Text):
            await there.cancel()
    outcome = finished(came).outcome
    assert outcome.stop == "cancelled"
    assert outcome.text == "".join(each.text for each in came if isinstance(each, Text))
    assert finished(await events(there, max_tokens=4)).outcome.generated_tokens == 4


async def test_leaving_early_ends_the_request(there: RemoteEngine) -> None:
    stream = there.generate(DOCUMENT, Sampling(temperature=3.0, seed=1), max_tokens=800)
    async with aclosing(stream):
        async for each in stream:
            if isinstance(each, Text):
                break
    assert there.state.phase == "ready"
    assert finished(await events(there, max_tokens=4)).outcome.generated_tokens == 4


async def test_a_prompt_too_long_is_told(there: RemoteEngine) -> None:
    with pytest.raises(UserError, match=f"holds {CONTEXT:,}"):
        await events(there, WORN_OUT)


async def test_the_contexts_size_is_learned_from_a_refusal(url: str) -> None:
    engine = RemoteEngine()
    await engine.open(Server(url))
    assert engine.info is not None and engine.info.n_ctx > CONTEXT, "the server does not tell"
    with pytest.raises(UserError, match=f"{CONTEXT:,} tokens"):
        await events(engine, WORN_OUT)
    assert engine.info.n_ctx == CONTEXT
    notes = [each for each in await events(engine) if isinstance(each, Noted)]
    assert notes == [], "that its context was assumed has been told"
    await engine.close()


async def test_a_reply_may_fill_the_context(there: RemoteEngine) -> None:
    sizes = await there.count([segment.text for segment in SCENE])
    document = [*SCENE * ((CONTEXT - 20) // sum(sizes)), HEADER]
    hot = Sampling(temperature=5.0, seed=2)
    outcome = finished(await events(there, document, hot, max_tokens=900)).outcome
    assert outcome.stop == "context_full"
    assert outcome.prompt_tokens + outcome.generated_tokens >= CONTEXT - 1


async def test_the_director_plays_over_it(there: RemoteEngine, tmp_path: Path) -> None:
    cast = (Character(name="Mara", description="Mara is patient."), Character(name="Wren"))
    scene = Card(title="The quay", characters=cast)
    disk = await Disk.open(tmp_path / "library.db")
    chat = await new_chat(disk, scene)
    settings = Settings(max_tokens=40)
    director = await Director.open(disk, chat, there, settings, presets(None)[0])
    await director.chat.change_sampling(seed=3)
    async for _ in director.say('"Who goes there?"'):
        pass
    came = [event async for event in director.reply("Mara")]
    ended = next(event for event in came if isinstance(event, TurnEnded))
    assert any(isinstance(event, Notice) and "penalty_window" in event.sentence for event in came)
    assert ended.entry.text and ended.entry.speaker == "Mara"
    kept = await disk.run(Library.entries, chat.id)
    assert [entry.text for entry in kept][-2:] == ['"Who goes there?"', ended.entry.text]
    assert director.figures.context_used > 0
    await disk.close()


def shoritui(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "shoritui", *arguments],
        env={**os.environ, "SHORITUI_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


async def test_a_script_may_use_it(url: str, tmp_path: Path) -> None:
    card = tmp_path / "quay.toml"
    card.write_text('[[character]]\nname = "Mara"\n[[character]]\nname = "Wren"\n', "utf-8")
    options = ("--server", url, "--seed", "1", "--length", "nano")
    said = shoritui("say", "Hm.", str(card), *options, home=tmp_path)
    assert said.returncode == 0, said.stderr
    assert said.stdout.strip()
    assert "penalty_window" in said.stderr, "the plain word is shown"


async def test_the_doctor_looks_at_it(url: str, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "settings.toml").write_text(f'server = "{url}"', "utf-8")
    seen = shoritui("doctor", home=tmp_path)
    assert seen.returncode == 0
    assert "on llama-cpp-python" in seen.stdout and "4,096 tokens are assumed" in seen.stdout
    gone = shoritui("doctor", "--server", "http://127.0.0.1:1", home=tmp_path)
    assert gone.returncode == 1 and "No server answers" in gone.stdout
