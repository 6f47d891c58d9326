"""Every field that is read of a server's answers: what it may hold, and what is said if not."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoritui.engine import (
    Event,
    Finished,
    Noted,
    RemoteEngine,
    Sampling,
    Segment,
    Server,
    Text,
)
from shoritui.errors import UserError
from tests.engine.remote.scripted_server import (
    KOBOLDCPP,
    LLAMA_SERVER,
    MODELS,
    TABBY,
    VLLM,
    Route,
    event,
    scripted_server,
    stream,
    told,
)

COMPLETIONS: Final = "/v1/completions"
LIST: Final = "/v1/models"
DOCUMENT: Final = [Segment("▀title\nA quay▄\n"), Segment("▀message\nMara:")]
END: Final = event("", "stop") + b"data: [DONE]\n\n"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(width=32) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
UNKNOWN = st.dictionaries(st.text().map("x".__add__), JSON, max_size=3)
NO_LIST = st.booleans() | st.integers(1) | st.sampled_from(["", "x", {}])
NO_OBJECT = st.booleans() | st.integers(1) | st.sampled_from(["", "x", [], ["x"]])
NO_TEXT = st.booleans() | st.integers() | st.floats(0.5, 9) | st.sampled_from([{}, [], ["x"]])
NO_NUMBER = st.booleans() | st.sampled_from(
    ["", "many", "1.5.1", "1e300", "9" * 5000, {}, [], [4096], 1e300]
)
NO_COUNT = (
    NO_NUMBER
    | st.sampled_from(["-1", "1.5"])
    | st.integers(max_value=-1)
    | st.floats(0.1, 0.9)
    | st.integers(10**17)
)
NO_ID = NO_NUMBER | st.none() | st.integers(max_value=-1) | st.integers(2**31)
NO_LOGPROB = NO_NUMBER | st.floats(2, 99) | st.sampled_from(["nan", "inf", "-inf"])

Fields = list[tuple[Mapping[str, Route], str, str, st.SearchStrategy[Any]]]
FOUND: Final[Fields] = [
    ({}, LIST, "data", NO_LIST),
    ({}, LIST, "data[0]", NO_OBJECT | st.none()),
    ({}, LIST, "data[0].id", NO_TEXT | st.none()),
    *(
        ({}, LIST, f"data[0].{name}", NO_COUNT)
        for size in ("n_ctx", "max_model_len", "context_length", "context_window")
        for name in (size, f"meta.{size}")
    ),
    ({}, LIST, "data[0].meta", NO_OBJECT),
    ({}, LIST, "data[0].meta.n_params", NO_COUNT),
    ({}, LIST, "data[0].meta.n_ctx_train", NO_COUNT),
    (LLAMA_SERVER, "/props", "default_generation_settings", NO_OBJECT),
    (LLAMA_SERVER, "/props", "default_generation_settings.n_ctx", NO_COUNT),
    (KOBOLDCPP, "/api/extra/true_max_context_length", "value", NO_COUNT),
    (KOBOLDCPP, "/api/v1/model", "result", NO_TEXT),
    (TABBY, "/v1/model", "id", NO_TEXT),
    (TABBY, "/v1/model", "parameters", NO_OBJECT),
    (TABBY, "/v1/model", "parameters.max_seq_len", NO_COUNT),
    *(
        (routes, path, place, wrong)
        for routes, path, name in (
            (LLAMA_SERVER, "/tokenize", "tokens"),
            (KOBOLDCPP, "/api/extra/tokencount", "ids"),
            (VLLM, "/tokenize", "tokens"),
            (TABBY, "/v1/token/encode", "tokens"),
        )
        for place, wrong in (
            (name, NO_LIST | st.sampled_from([None, [], [1] * 99])),
            (f"{name}[1]", NO_ID),
        )
    ),
]
REPLY: Final = [
    ("choices", NO_LIST),
    ("choices[0]", NO_OBJECT | st.none()),
    ("choices[0].text", NO_TEXT),
    ("choices[0].finish_reason", NO_TEXT),
]
_LOGPROBS: Final = "choices[0].logprobs"
BESIDE_IT: Final = [
    ("usage", NO_OBJECT),
    ("usage.prompt_tokens", NO_COUNT),
    ("usage.completion_tokens", NO_COUNT),
    ("usage.prompt_tokens_details", NO_OBJECT),
    ("usage.prompt_tokens_details.cached_tokens", NO_COUNT),
    ("timings", NO_OBJECT),
    *((f"timings.{name}", NO_COUNT) for name in ("cache_n", "prompt_n")),
    ("prompt_progress", NO_OBJECT),
    *((f"prompt_progress.{name}", NO_COUNT) for name in ("processed", "cache", "total")),
    (_LOGPROBS, NO_OBJECT),
    (f"{_LOGPROBS}.content", NO_LIST),
    (f"{_LOGPROBS}.content[0]", NO_OBJECT | st.none()),
    (f"{_LOGPROBS}.content[0].token", NO_TEXT),
    (f"{_LOGPROBS}.content[0].logprob", NO_LOGPROB),
    (f"{_LOGPROBS}.content[0].top_logprobs", NO_LIST),
    (f"{_LOGPROBS}.content[0].top_logprobs[0].logprob", NO_LOGPROB),
    *((f"{_LOGPROBS}.{name}", NO_LIST) for name in ("tokens", "token_logprobs", "top_logprobs")),
    (f"{_LOGPROBS}.tokens[0]", NO_TEXT),
    (f"{_LOGPROBS}.token_logprobs[0]", NO_LOGPROB),
    (f"{_LOGPROBS}.top_logprobs[0]", NO_OBJECT),
]


def answer(place: str, value: object) -> Any:
    """An answer with nothing in it but a value at a place."""
    for name, index in reversed(re.findall(r"(\w+)|\[(\d)\]", place)):
        value = [1] * int(index) + [value] if index else {"id": "a", name: value}
    return value


def data(said: object) -> bytes:
    return f"data: {json.dumps(said)}\n\n".encode()


def assert_told(said: str, url: str, path: str, place: str) -> None:
    assert said.startswith(f"{url}{path} answers with something that cannot be used ({place}: exp")
    assert ", not " in said and "canary" not in said
    assert said.isprintable() and len(said) < 400


@asynccontextmanager
async def opened(port: int) -> AsyncIterator[RemoteEngine]:
    engine = RemoteEngine()
    with suppress(UserError):
        await engine.open(Server(f"http://me:canary@127.0.0.1:{port}"))
    try:
        yield engine
    finally:
        await engine.close()


async def reply(engine: RemoteEngine) -> tuple[list[Event], str]:
    """What came, and the sentence with which it failed, if it did."""
    came: list[Event] = []
    try:
        async for each in engine.generate(DOCUMENT, Sampling(), max_tokens=50, top_logprobs=2):
            came.append(each)
    except UserError as error:
        return came, str(error)
    return came, ""


@settings(max_examples=2)
@given(st.tuples(*(wrong for *_, wrong in FOUND)))
async def test_a_wrong_field_of_a_server_is_told_before_it_is_used(values: tuple[Any, ...]) -> None:
    async with scripted_server({LIST: told({})}) as server, opened(server.port) as engine:
        for (routes, path, place, _), value in zip(FOUND, values, strict=True):
            server.routes = {LIST: told(MODELS), **routes, path: told(answer(place, value))}
            with pytest.raises(UserError) as raised:
                await engine.count(["a"])
            shown = re.sub(r"^data\[0\]\.(?!id)", "", place)
            assert_told(str(raised.value), server.url, path, shown)


@settings(max_examples=3)
@given(st.tuples(*(wrong for _, wrong in REPLY)))
async def test_a_reply_that_cannot_be_read_ends_and_keeps_what_came(
    values: tuple[Any, ...],
) -> None:
    async with scripted_server(LLAMA_SERVER) as server, opened(server.port) as engine:
        for (place, _), value in zip(REPLY, values, strict=True):
            said = data(answer(place, value))
            server.routes[COMPLETIONS] = stream(event(" Aye") + said + END)
            came, sentence = await reply(engine)
            assert [each.text for each in came if isinstance(each, Text)] == [" Aye"]
            assert_told(sentence, server.url, COMPLETIONS, place)


@settings(max_examples=3)
@given(st.tuples(*(wrong for _, wrong in BESIDE_IT)))
async def test_a_choice_is_not_made_from_a_wrong_figure(values: tuple[Any, ...]) -> None:
    async with scripted_server(LLAMA_SERVER) as server, opened(server.port) as engine:
        for (place, _), value in zip(BESIDE_IT, values, strict=True):
            server.routes[COMPLETIONS] = told(answer(place, value))
            with pytest.raises(UserError) as raised:
                await engine.score(DOCUMENT, [" a", " b"])
            assert_told(str(raised.value), server.url, COMPLETIONS, place)


@settings(max_examples=5)
@given(st.one_of(*(st.builds(answer, st.just(place), wrong) for place, wrong in BESIDE_IT)))
async def test_a_wrong_figure_is_told_once_and_the_reply_is_whole(said: object) -> None:
    parts = (event(" Aye"), data(said), data(said), event("."), END)
    routes = LLAMA_SERVER | {COMPLETIONS: stream(*parts)}
    async with scripted_server(routes) as server, opened(server.port) as engine:
        came, failed = await reply(engine)
        again, _ = await reply(engine)
    (note,) = (each.sentence for each in came if isinstance(each, Noted))
    assert f"{COMPLETIONS} answers with something that cannot be used (" in note
    assert "canary" not in note and note.isprintable() and not failed
    assert isinstance(came[-1], Finished) and came[-1].outcome.text == " Aye."
    assert not [each for each in again if isinstance(each, Noted)]


@settings(max_examples=5)
@given(UNKNOWN, st.sampled_from([4096, 4096.0, "4096"]))
async def test_what_is_not_known_may_be_anything(more: dict[str, Any], n_ctx: object) -> None:
    """And a number may be written as a text, or with a fraction of nothing."""
    card = {**more, "id": "shori", "meta": {**more, "n_params": None}}
    choice = {**more, "text": " Aye.", "finish_reason": "stop", "logprobs": None}
    figures = {"usage": {**more, "prompt_tokens": 30.0}, "timings": None, "prompt_progress": more}
    routes = LLAMA_SERVER | {
        LIST: told({**more, "data": [card, {"id": "another", "meta": 5, "n_ctx": -1}]}),
        "/props": told({**more, "default_generation_settings": {**more, "n_ctx": n_ctx}}),
        COMPLETIONS: stream(data({**more, "choices": [choice], **figures}), data(more), END),
    }
    async with scripted_server(routes) as server, opened(server.port) as engine:
        assert engine.info is not None
        assert (engine.info.n_ctx, engine.info.path.name) == (4096, "shori")
        came, failed = await reply(engine)
    assert isinstance(came[-1], Finished) and not failed
    assert (came[-1].outcome.text, came[-1].outcome.prompt_tokens) == (" Aye.", 30)
