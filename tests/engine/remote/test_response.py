"""The remote engine and the odd things that servers say, each said by one on localhost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from shoritui.engine import (
    EngineState,
    Evaluated,
    Evaluation,
    Event,
    Finished,
    Noted,
    Outcome,
    RemoteEngine,
    Sampling,
    Segment,
    Server,
    Text,
    WorkerDied,
)
from shoritui.engine.remote import http as wire
from shoritui.errors import UserError
from tests.engine.remote.scripted_server import (
    KOBOLDCPP,
    LLAMA_SERVER,
    TABBY,
    VLLM,
    Answer,
    Heard,
    ScriptedServer,
    event,
    scripted_server,
    stream,
    told,
)

COMPLETIONS = "/v1/completions"
DOCUMENT = [Segment("▀title\nA quay▄\n"), Segment("▀message\nMara:")]
DONE = b"data: [DONE]\n\n"
ENDED = stream(event(' "Aye.'), event('"'), event("", "stop"), DONE)


@asynccontextmanager
async def opened(
    server: ScriptedServer, states: list[EngineState] | None = None, **how: object
) -> AsyncIterator[RemoteEngine]:
    engine = RemoteEngine(states.append if states is not None else None)
    await engine.open(Server(server.url, **how))  # type: ignore[arg-type]
    try:
        yield engine
    finally:
        await engine.close()


async def events(engine: RemoteEngine, max_tokens: int = 50, top_logprobs: int = 0) -> list[Event]:
    asked = engine.generate(DOCUMENT, Sampling(), max_tokens=max_tokens, top_logprobs=top_logprobs)
    return [each async for each in asked]


async def outcome(engine: RemoteEngine, max_tokens: int = 50) -> Outcome:
    last = (await events(engine, max_tokens))[-1]
    assert isinstance(last, Finished)
    return last.outcome


async def failure(engine: RemoteEngine) -> tuple[str, UserError]:
    """The text that came, and how it ended."""
    text = ""
    try:
        async for each in engine.generate(DOCUMENT, Sampling(), max_tokens=50):
            text += each.text if isinstance(each, Text) else ""
    except UserError as error:
        return text, error
    raise AssertionError("it did not fail")


# Streams


async def test_a_stream_is_read_however_it_is_cut() -> None:
    whole = b": hello\r\n\r\n" + event(' "Zwölf 🦆').replace(b"\n", b"\r\n") + event(' …"') + DONE
    one_by_one = stream(*(bytes([byte]) for byte in whole))
    async with scripted_server({COMPLETIONS: one_by_one}) as server, opened(server) as engine:
        assert (await outcome(engine)).text == ' "Zwölf 🦆 …"'


async def test_nothing_after_a_mark_leaks() -> None:
    marked = stream(event("Good▄\n▀mess"), event("age\nWren:"), hangs=True)
    async with scripted_server({COMPLETIONS: marked}) as server, opened(server) as engine:
        ended = await outcome(engine)
        assert (ended.text, ended.stop) == ("Good", "block_end")
        await asyncio.wait_for(server.left.wait(), 10)
        server.routes[COMPLETIONS] = stream(event("Ha▀"), event("ha", "stop"), event("ho"), DONE)
        assert (await outcome(engine)).text == "Ha"
        server.routes[COMPLETIONS] = stream(event("Ha", "stop"), event("</s>ho"), DONE)
        assert (await outcome(engine)).text == "Ha"


async def test_an_answer_that_is_no_stream_is_read_whole() -> None:
    plain = told({"choices": [{"text": "Aye.", "finish_reason": "length"}]})
    async with scripted_server({COMPLETIONS: plain}) as server, opened(server) as engine:
        ended = await outcome(engine)
        assert (ended.text, ended.stop) == ("Aye.", "token_limit")


async def test_half_a_character_is_none() -> None:
    half = stream(b'data: {"choices": [{"text": "a\\ud83d", "finish_reason": "stop"}]}\n\n')
    async with scripted_server({COMPLETIONS: half}) as server, opened(server) as engine:
        assert (await outcome(engine)).text == "a\ufffd"


async def test_the_servers_figures_are_told() -> None:
    progress = {"total": 30, "cache": 10, "processed": 20, "time_ms": 1}
    figures = {
        "usage": {"prompt_tokens": 30, "completion_tokens": 4, "total_tokens": 34},
        "timings": {"cache_n": 10, "prompt_n": 20},
    }
    said = stream(
        event(prompt_progress=progress), event("a"), event("b"), event("", "stop", **figures), DONE
    )
    async with (
        scripted_server(LLAMA_SERVER | {COMPLETIONS: said}) as server,
        opened(server) as engine,
    ):
        came = await events(engine)
    assert Evaluated(10, 20) in came
    assert isinstance(came[-1], Finished)
    ended = came[-1].outcome
    assert (ended.prompt_tokens, ended.reused_tokens, ended.evaluated_tokens) == (30, 10, 20)
    assert ended.generated_tokens == 3, "the mark at which it stopped is none of the text"


async def test_logprobs_come_with_the_text() -> None:
    chance = {"token": " a", "logprob": 0.0, "top_logprobs": [{"token": " b", "logprob": -1.0}]}
    legacy = {"tokens": [" a"], "token_logprobs": [0.0], "top_logprobs": [{" b": -1.0}]}
    for probabilities in ({"content": [chance]}, legacy):
        choice = {"text": " a", "finish_reason": "stop", "logprobs": probabilities}
        routes = LLAMA_SERVER | {COMPLETIONS: told({"choices": [choice]})}
        async with scripted_server(routes) as server, opened(server) as engine:
            came = await events(engine, top_logprobs=3)
            (text,) = (each for each in came if isinstance(each, Text))
            (drawn,) = text.logprobs
            assert (drawn.token.text, drawn.token.logprob) == (" a", 0.0)
            assert drawn.top[0].text == " b"
            assert server.asked(COMPLETIONS)[0]["logprobs"] == 3


async def test_a_limit_is_kept_as_the_server_counts() -> None:
    """Its pieces may be more than its tokens, or fewer."""

    def counted(text: str, tokens: int) -> bytes:
        return event(text, usage={"completion_tokens": tokens})

    def drawn(text: str) -> bytes:
        lists = {"tokens": text.split(), "token_logprobs": [0.0] * len(text.split())}
        return (
            b"data: %b\n\n" % json.dumps({"choices": [{"text": text, "logprobs": lists}]}).encode()
        )

    letters = [counted("a", 1 + n // 3) for n in range(30)]
    words = [counted(" one two three", 3 * n) for n in range(1, 20)]
    async with scripted_server(LLAMA_SERVER) as server, opened(server) as engine:
        for pieces, text, stop in (
            (letters, "a" * 30, "block_end"),
            (words, " one two three" * 4, "token_limit"),
            ([drawn(" one two three")] * 20, " one two three" * 4, "token_limit"),
        ):
            server.routes[COMPLETIONS] = stream(*pieces, event("", "stop"), DONE)
            ended = await outcome(engine, max_tokens=11)
            assert (ended.text, ended.stop) == (text, stop)


# Trouble


async def test_an_error_in_mid_stream_keeps_what_came() -> None:
    bad = b'data: {"error": {"message": "out of \x1b[31mmemory", "code": 500}}\n\n'
    async with (
        scripted_server({COMPLETIONS: stream(event("Aye"), bad)}) as server,
        opened(server) as engine,
    ):
        text, error = await failure(engine)
        assert text == "Aye"
        assert "out of" in str(error) and str(error).isprintable()
        server.routes[COMPLETIONS] = ENDED
        assert (await outcome(engine)).text == ' "Aye."'


async def test_a_server_that_dies_keeps_what_came_and_is_found_again() -> None:
    states: list[EngineState] = []
    async with (
        scripted_server({COMPLETIONS: stream(event("Aye"), dies=True)}) as server,
        opened(server, states) as engine,
    ):
        text, error = await failure(engine)
        assert text == "Aye"
        assert isinstance(error, WorkerDied)
        assert states[-1].phase == "failed" and states[-1].message == str(error)
        server.routes |= LLAMA_SERVER | {COMPLETIONS: ENDED}
        assert (await outcome(engine)).text == ' "Aye."'
        assert engine.info is not None and "llama-server" in engine.info.description


async def test_a_stream_without_an_end_is_a_server_gone() -> None:
    async with (
        scripted_server({COMPLETIONS: stream(event("Aye"))}) as server,
        opened(server) as engine,
    ):
        text, error = await failure(engine)
        assert text == "Aye" and isinstance(error, WorkerDied)


async def test_a_stream_that_breaks_at_once_is_asked_why() -> None:
    def broken(heard: Heard) -> Answer:
        return (
            stream(dies=True) if heard.body["stream"] else told({"error": "no such adapter"}, 400)
        )

    async with scripted_server({COMPLETIONS: broken}) as server, opened(server) as engine:
        assert "no such adapter" in str((await failure(engine))[1])


async def test_a_dead_server_is_told() -> None:
    async with scripted_server({}) as server:
        url = server.url
    engine = RemoteEngine()
    with pytest.raises(UserError, match=f"No server answers at {url}"):
        await engine.open(Server(url))
    with pytest.raises(UserError, match="No server answers"):
        await engine.count(["a"])
    assert engine.state.phase == "failed"
    await engine.close()


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (told({"detail": "Invalid API key"}, 401), "wants an API key"),
        (told({}, 404), "OpenAI-compatible"),
        (Answer((b"<html>",)), "no JSON"),
        (told({"hello": "world"}), "lists no models"),
        (told({"error": {"message": "Loading model"}}, 503), "Loading model.*try again"),
        (Answer(status=302, headers={"Location": "https://x.test/"}), "redirects to https://x"),
        (told({"error": "a \x1b[2J" + "b" * 999}, 400), "a b"),
    ],
)
async def test_what_is_no_server_is_told(answer: Answer, sentence: str) -> None:
    async with scripted_server({"/v1/models": answer}) as server:
        with pytest.raises(UserError, match=sentence) as told:
            async with opened(server):
                pass
    assert str(told.value).isprintable() and len(str(told.value)) < 400


async def test_a_key_is_sent_and_never_told() -> None:
    async with scripted_server({"/v1/models": told({"detail": "no"}, 403)}) as server:
        with pytest.raises(UserError, match="refuses the API key") as error:
            async with opened(server, key="sk-secret"):
                pass
        assert server.heard[0].headers["authorization"] == "Bearer sk-secret"
    assert "secret" not in str(error.value)
    assert "secret" not in repr(Server(server.url, key="sk-secret"))


@pytest.mark.parametrize(
    "away",
    [
        Answer(
            status=302,
            headers={"Location": "http://me:s3cr%40t1@x.test/?was=Basic%20bWU6czNjckB0MQ"},
        ),
        Answer(status=302, headers={"Location": "http://x.test/#sk%2Dsecret:s3cr%40t1"}),
        told({"detail": "Basic bWU6czNjckB0MQ says me:s3cr@t1, me:s3cr%40t1 and sk-secret"}, 400),
    ],
)
async def test_a_server_that_repeats_what_it_was_told_is_not_repeated(away: Answer) -> None:
    async with scripted_server({"/v1/models": away}) as server:
        address = server.url.replace("//", "//me:s3cr%40t1@")
        with pytest.raises(UserError) as error:
            await RemoteEngine().open(Server(address, key="sk-secret"))
    for secret in ("s3cr", "bWU6", "secret"):
        assert secret not in str(error.value)


async def test_a_key_is_carried_nowhere_else() -> None:
    async with scripted_server({}) as other:
        away = Answer(status=307, headers={"Location": other.url + COMPLETIONS})
        async with (
            scripted_server({COMPLETIONS: away}) as server,
            opened(server, key="sk-secret") as engine,
        ):
            assert other.url in str((await failure(engine))[1])
        assert other.heard == []


@pytest.mark.parametrize(
    ("said", "n_ctx"),
    [
        (
            {"error": {"message": "the request exceeds the available context size", "n_ctx": 512}},
            512,
        ),
        ({"message": "This model's maximum context length is 640 tokens."}, 640),
    ],
)
async def test_a_prompt_too_long_teaches_the_size(said: object, n_ctx: int) -> None:
    routes = LLAMA_SERVER | {COMPLETIONS: told(said, 400)}
    async with scripted_server(routes) as server, opened(server) as engine:
        assert engine.info is not None and engine.info.n_ctx == 4000
        assert f"{n_ctx:,} tokens" in str((await failure(engine))[1])
        assert engine.info.n_ctx == n_ctx


@pytest.mark.parametrize("n_ctx", [-5, 2**70, True, "many", [512], None, 0, 512.5])
async def test_a_size_that_none_can_be_teaches_nothing_and_hides_no_reason(n_ctx: object) -> None:
    said = {"error": {"message": "the request exceeds the context size", "n_ctx": n_ctx}}
    routes = LLAMA_SERVER | {COMPLETIONS: told(said, 400)}
    async with scripted_server(routes) as server, opened(server) as engine:
        assert "(the request exceeds the context size)" in str((await failure(engine))[1])
        assert engine.info is not None and engine.info.n_ctx == 4000


async def test_a_field_that_is_refused_is_named() -> None:
    problem = {"loc": ["body", "presence_penalty"], "msg": "Input should be at most 2"}
    routes = {COMPLETIONS: told({"detail": [problem]}, 422)}
    async with scripted_server(routes) as server, opened(server) as engine:
        assert "presence_penalty: Input should" in str((await failure(engine))[1])


async def test_only_short_answers_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "ANSWER_SECONDS", 0.2)
    slow = stream(event("Aye", "stop"), DONE, delay=0.6)
    async with (
        scripted_server(LLAMA_SERVER | {COMPLETIONS: slow}) as server,
        opened(server) as engine,
    ):
        assert (await outcome(engine)).text == "Aye"
        server.routes["/tokenize"] = Answer((b"{}",), delay=0.6)
        with pytest.raises(UserError, match="did not answer"):
            await engine.count(["something new"])


# Calls beside each other


async def test_cancelling_ends_a_request_at_once() -> None:
    routes = KOBOLDCPP | {COMPLETIONS: stream(event("Aye"), hangs=True)}
    async with scripted_server(routes) as server:
        async with opened(server) as engine:
            came = []
            async for each in engine.generate(DOCUMENT, Sampling(), max_tokens=50):
                came.append(each)
                if isinstance(each, Text):
                    await engine.cancel()
            assert isinstance(came[-1], Finished)
            assert (came[-1].outcome.stop, came[-1].outcome.text) == ("cancelled", "Aye")
            await asyncio.wait_for(server.left.wait(), 10)
        assert server.asked("/api/extra/abort") == [
            {"genkey": server.asked(COMPLETIONS)[0]["genkey"]}
        ]


async def test_cancelling_ends_the_opening_from_its_first_moment_on() -> None:
    async with scripted_server(LLAMA_SERVER) as server:
        engine = RemoteEngine()
        opening = asyncio.create_task(engine.open(Server(server.url)))
        await asyncio.sleep(0)
        await engine.cancel()
        with pytest.raises(UserError, match="cancelled"):
            await opening
        assert server.heard == []
        assert len(await engine.count(["a"])) == 1, "it is looked for once it is needed"
        await engine.close()


async def test_cancelling_before_the_first_word() -> None:
    async with (
        scripted_server({COMPLETIONS: stream(hangs=True)}) as server,
        opened(server) as engine,
    ):
        asked = engine.generate(DOCUMENT, Sampling(), max_tokens=50)
        reading = asyncio.create_task(_all(asked))
        while not server.asked(COMPLETIONS):
            await asyncio.sleep(0.01)
        await engine.cancel()
        last = (await reading)[-1]
        assert isinstance(last, Finished)
        assert (last.outcome.stop, last.outcome.text) == ("cancelled", "")
        assert last.outcome.first_token_ms == 0


async def _all(asked: object) -> list[Event]:
    return [each async for each in asked]  # type: ignore[attr-defined]


async def test_leaving_early_closes_the_connection() -> None:
    async with (
        scripted_server({COMPLETIONS: stream(event("Aye"), hangs=True)}) as server,
        opened(server) as engine,
    ):
        async with aclosing(engine.generate(DOCUMENT, Sampling(), max_tokens=50)) as asked:
            async for each in asked:
                if isinstance(each, Text):
                    break
        await asyncio.wait_for(server.left.wait(), 10)
        assert engine.state.phase == "ready"


async def test_a_prompt_is_evaluated_ahead_where_that_is_kept() -> None:
    for routes, tokens in ((LLAMA_SERVER, 0), (KOBOLDCPP, 1)):
        figures = {"usage": {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4}}}
        said = stream(event("", "length", **figures), DONE)
        async with (
            scripted_server(routes | {COMPLETIONS: said}) as server,
            opened(server) as engine,
        ):
            assert await engine.prefill(DOCUMENT, idle=True) == Evaluation(4, 5, True)
            (body,) = server.asked(COMPLETIONS)
            assert body["max_tokens"] == tokens
            assert body["prompt"] == "".join(segment.text for segment in DOCUMENT)
    async with scripted_server(VLLM) as server, opened(server) as engine:
        assert await engine.prefill(DOCUMENT) == Evaluation(0, 0, True)
        assert server.asked(COMPLETIONS) == []


async def test_idle_work_gives_way() -> None:
    routes = LLAMA_SERVER | {COMPLETIONS: stream(hangs=True)}
    async with scripted_server(routes) as server, opened(server) as engine:
        idle = asyncio.create_task(engine.prefill(DOCUMENT, idle=True))
        while not server.asked(COMPLETIONS):
            await asyncio.sleep(0.01)
        assert await engine.prefill(DOCUMENT, idle=True) == Evaluation(0, 0, False)
        assert len(await engine.count(["new", "words"])) == 2
        assert await idle == Evaluation(0, 0, False)
        await asyncio.wait_for(server.left.wait(), 10)


# What it is told


async def test_what_is_assumed_is_told_once() -> None:
    async with scripted_server({COMPLETIONS: ENDED}) as server, opened(server) as engine:
        notes = [each.sentence for each in await events(engine) if isinstance(each, Noted)]
        assert "4,096 tokens are assumed" in notes[0] and "estimates" in notes[1]
        assert not [each for each in await events(engine) if isinstance(each, Noted)]
        assert await engine.count(["", "a", "quite a few words of prose"]) == [0, 1, 9]
        with pytest.raises(UserError, match="does not tell its tokens"):
            await engine.tokens(DOCUMENT)


async def test_a_key_in_the_clear_is_warned_of() -> None:
    async with scripted_server({COMPLETIONS: ENDED}) as server:
        engine = RemoteEngine()
        await engine.open(Server(f"http://0.0.0.0:{server.port}", key="sk-secret"))
        notes = [each.sentence for each in await events(engine) if isinstance(each, Noted)]
        assert "plain http" in notes[0] and "secret" not in notes[0]
        await engine.close()


async def test_a_server_tells_what_it_needs_for_a_choice() -> None:
    async with scripted_server({COMPLETIONS: ENDED}) as server, opened(server) as engine:
        with pytest.raises(UserError, match="no probabilities"):
            await engine.score(DOCUMENT, [" a", " b"])


async def test_texts_that_begin_alike_are_told_apart_by_more_tokens() -> None:
    chances = {
        "Mara:": {" Ra": -0.5, " T": -1.0, "x": -4.0},
        " Ra": {"n": -0.1, "na": -2.0},
    }

    def likeliest(heard: Heard) -> Answer:
        said = next(each for end, each in chances.items() if heard.body["prompt"].endswith(end))
        lists = {"tokens": ["?"], "token_logprobs": [0.0], "top_logprobs": [said]}
        return told({"choices": [{"text": "?", "logprobs": lists}]})

    async with scripted_server({COMPLETIONS: likeliest}) as server, opened(server) as engine:
        scores = await engine.score(DOCUMENT, [" Ran", " Rana", " Tobin", " Zoe"])
    assert scores == pytest.approx([-0.6, -2.5, -1.0, -4.0])


async def test_adapters_are_the_servers_own() -> None:
    async with scripted_server({}) as server, opened(server) as engine:
        assert await engine.adapt([]) is engine.info


@pytest.mark.parametrize("routes", [LLAMA_SERVER, KOBOLDCPP, VLLM, TABBY])
async def test_a_model_that_is_not_there_is_told(routes: dict[str, Answer]) -> None:
    async with scripted_server(routes) as server:
        with pytest.raises(UserError, match="no model 'nobody': choose"):
            async with opened(server, model="nobody"):
                pass


async def test_what_nobody_waits_for_makes_nobody_look_for_the_server_anew() -> None:
    """A server without a path for replies refuses to read ahead, too, as often as it is asked."""
    async with scripted_server(LLAMA_SERVER) as server:
        phases: list[str] = []
        engine = RemoteEngine(lambda state: phases.append(state.phase))
        await engine.open(Server(server.url))
        phases.clear()
        for _ in range(3):
            with pytest.raises(UserError):
                await engine.prefill(DOCUMENT, idle=True)
        await engine.count(["one", "two"])
        assert "starting" not in phases
        await engine.close()
