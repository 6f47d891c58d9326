"""Each known server: that it is recognised, and what exactly it is asked."""

from __future__ import annotations

from typing import Any

import pytest

from shoritui.engine import Noted, RemoteEngine, Sampling, Segment, Server, presets
from shoritui.engine.remote import profiles
from shoritui.engine.remote.sampling_params import sampling_params
from shoritui.errors import UserError
from tests.engine.remote.scripted_server import (
    KOBOLDCPP,
    LLAMA_SERVER,
    TABBY,
    VLLM,
    Route,
    event,
    scripted_server,
    stream,
)

DOCUMENT = [Segment("▀title\nA quay▄\n"), Segment("▀message\nMara:")]
EVERYTHING = Sampling(
    temperature=1.5,
    dynatemp_range=0.5,
    top_k=50,
    top_p=0.9,
    min_p=0.05,
    top_n_sigma=2.0,
    typical_p=0.8,
    xtc_probability=0.3,
    repeat_penalty=1.1,
    frequency_penalty=0.1,
    presence_penalty=0.4,
    penalty_window=512,
    dry_multiplier=0.8,
    adaptive_target=0.5,
    logit_bias=(("a", -2.0), ("two", 1.0)),
    banned=("shivers down",),
    seed=7,
)
HOT = presets(None)[0]["card-alternative-1"].sampling


async def asked(
    routes: dict[str, Route], sampling: Sampling, names: tuple[str, ...] = ()
) -> tuple[dict[str, Any], list[str], RemoteEngine]:
    """What a server is sent, what the user is told, and the engine."""
    engine = RemoteEngine()
    said = stream(event("Aye.", "stop"), b"data: [DONE]\n\n")
    async with scripted_server({**routes, "/v1/completions": said}) as server:
        await engine.open(Server(server.url + "/v1/"))
        events = engine.generate(DOCUMENT, sampling, max_tokens=9000, names=names)
        notes = [each.sentence async for each in events if isinstance(each, Noted)]
        await_close = engine.info
        (body,) = server.asked("/v1/completions")
        await engine.close()
    engine.info = await_close
    return body, notes, engine


SENT: list[tuple[str, dict[str, Route], int, dict[str, object], set[str]]] = [
    (
        "llama-server",
        LLAMA_SERVER,
        4000,
        {
            "model": "shori-7b",
            "cache_prompt": True,
            "return_progress": True,
            "temperature": 1.5,
            "dynatemp_range": 0.5,
            "typical_p": 0.8,
            "top_n_sigma": 2.0,
            "repeat_penalty": 1.1,
            "repeat_last_n": 512,
            "dry_penalty_last_n": 4096,
            "adaptive_target": 0.5,
            "mirostat": 0,
            "logit_bias": {"97": -2.0},
            "seed": 7,
            "samplers": [
                *("penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p"),
                *("xtc", "temperature", "adaptive_p"),
            ],
        },
        {"banned"},
    ),
    (
        "KoboldCpp",
        KOBOLDCPP,
        6000,
        {
            "rep_pen": 1.1,
            "rep_pen_range": 512,
            "presence_penalty": 0.4,
            "typical": 0.8,
            "nsigma": 2.0,
            "mirostat_mode": 0,
            "dry_penalty_last_n": 4096,
            "banned_tokens": ["shivers down"],
            "sampler_order": [6, 0, 4, 2, 5, 1, 3],
        },
        {"frequency_penalty"},
    ),
    (
        "vLLM",
        VLLM,
        5000,
        {
            "model": "org/shori",
            "repetition_penalty": 1.1,
            "frequency_penalty": 0.1,
            "top_k": 50,
            "min_p": pytest.approx(0.05 ** (1 / 1.5)),
            "bad_words": ["shivers down", "Shivers down"],
            "logit_bias": {"97": -2.0},
        },
        {
            *("dynatemp_range", "top_n_sigma", "typical_p", "xtc_probability", "dry_multiplier"),
            *("adaptive_target", "penalty_window", "order"),
        },
    ),
    (
        "TabbyAPI",
        TABBY,
        7000,
        {
            "model": "shori-exl3",
            "repetition_penalty": 1.1,
            "penalty_range": 512,
            "typical": 0.8,
            "min_temp": 1.0,
            "max_temp": 2.0,
            "dry_range": 4096,
            "banned_strings": ["shivers down"],
            "temperature_last": True,
        },
        {"top_n_sigma", "adaptive_target", "seed"},
    ),
]


@pytest.mark.parametrize(("name", "routes", "n_ctx", "sent", "missing"), SENT)
async def test_a_kind_is_known_and_asked_in_its_own_words(
    name: str,
    routes: dict[str, Route],
    n_ctx: int,
    sent: dict[str, object],
    missing: set[str],
) -> None:
    body, notes, engine = await asked(routes, EVERYTHING, names=("Mara",))
    assert engine.info is not None
    assert (engine.info.description.endswith(f"on {name}"), engine.info.n_ctx) == (True, n_ctx)
    assert {key: body[key] for key in sent} == sent
    assert body["prompt"] == "".join(segment.text for segment in DOCUMENT)
    assert set(body["stop"]) == {"▀", "▄"} and body["stream"] is True
    prompt = 1 + len(body["prompt"])
    assert body["max_tokens"] == n_ctx - prompt, "what follows fits beside the prompt"
    words = set(notes[-1].split("without ")[1].strip(".").replace(" and ", ", ").split(", "))
    assert words == missing
    breakers = body.get("dry_sequence_breakers")
    assert breakers is None or {"▀", "▄", "Mara", "\n"} <= set(breakers)


@pytest.mark.parametrize("routes", [LLAMA_SERVER, KOBOLDCPP, VLLM, TABBY])
async def test_a_neutral_sampler_is_asked_for_in_full(routes: dict[str, Route]) -> None:
    """Servers have values of their own for what nobody asks for."""
    body, notes, _ = await asked(routes, Sampling())
    assert notes == []
    assert (body["temperature"], body["top_p"], body["min_p"]) == (1.0, 1.0, 0.0)
    assert body["top_k"] in (0, -1)
    assert 1.0 in (body.get(name) for name in ("repeat_penalty", "rep_pen", "repetition_penalty"))


async def test_an_unknown_server_is_asked_what_all_know() -> None:
    body, notes, engine = await asked({}, Sampling())
    assert engine.info is not None and "OpenAI-compatible" in engine.info.description
    assert not {"top_k", "min_p", "repetition_penalty"} & set(body)
    body, notes, _ = await asked({}, Sampling(min_p=0.1, xtc_probability=0.5))
    assert body["min_p"] == 0.1, "most know it"
    assert any("min_p" in note and "may not know" in note for note in notes)
    assert any("without xtc_probability" in note for note in notes)


def test_hot_sampling_stays_coherent_where_temperature_comes_first() -> None:
    """At temperature T the share m of the likeliest token has become m ** (1 / T)."""
    asked_for = sampling_params(profiles.VLLM, HOT, (), {})
    assert asked_for.fields["min_p"] == pytest.approx(HOT.min_p ** (1 / HOT.temperature))
    assert "order" not in asked_for.ignored
    first = Sampling(temperature=2.0, min_p=0.4, order=("temperature", "min_p"))
    assert sampling_params(profiles.VLLM, first, (), {}).fields["min_p"] == 0.4
    assert sampling_params(profiles.LLAMA_CPP_PYTHON, HOT, (), {}).ignored == ("penalty_window",)
    assert "order" in sampling_params(profiles.LLAMA_CPP_PYTHON, first, (), {}).ignored


def test_an_order_that_a_server_cannot_do_is_told() -> None:
    between = Sampling(
        temperature=2.0, top_p=0.9, min_p=0.1, order=("top_p", "temperature", "min_p")
    )
    assert "order" not in sampling_params(profiles.LLAMA_SERVER, between, (), {}).ignored
    for profile in (profiles.KOBOLDCPP, profiles.TABBY, profiles.VLLM, profiles.LLAMA_CPP_PYTHON):
        assert "order" in sampling_params(profile, between, (), {}).ignored, profile.name
    cold = Sampling(temperature=0.0, top_p=0.9, order=("temperature", "top_p"))
    assert "order" not in sampling_params(profiles.LLAMA_CPP_PYTHON, cold, (), {}).ignored


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("gpu-box:8080", "http://gpu-box:8080"),
        (" https://a.test/v1/ ", "https://a.test"),
        ("http://a.test/llm/v1/completions", "http://a.test/llm"),
        ("http://[::1]:5000/v1", "http://[::1]:5000"),
    ],
)
def test_an_address_may_have_many_forms(url: str, base: str) -> None:
    assert Server(url).base == base


@pytest.mark.parametrize(
    "url", ["", "ftp://a.test", "http://", "http://a:b:c", "http://a\x1b[31m", "http://a:99999"]
)
def test_what_is_no_address_is_told(url: str) -> None:
    with pytest.raises(UserError, match="no server's address") as error:
        Server(url)
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    "url",
    [
        "http://me:canary@gpu-box:99999",
        "http://me:canary@",
        "ftp://me:canary@gpu-box",
        "me:canary@gpu-box:x",
        "http://me:1/canary@gpu-box",
        "http://me:a?canary@gpu-box",
        "http://me:a#canary@gpu-box",
        "http://me:a@canary@b@gpu-box:x",
        "http://gpu-box:x/?key=canary",
        "http://gpu-box:x/?key=a@canary",
    ],
)
def test_no_password_in_what_is_no_address_is_repeated(url: str) -> None:
    with pytest.raises(UserError, match="no server's address") as error:
        Server(url)
    assert "canary" not in str(error.value)


def test_only_a_key_that_others_can_read_is_warned_of() -> None:
    assert Server("http://gpu-box", key="k").shows_key
    assert not Server("http://gpu-box").shows_key
    for url in ("https://gpu-box", "http://localhost:1", "http://127.0.0.2", "http://[::1]"):
        assert not Server(url, key="k").shows_key
    secret = Server("http://me:secret@gpu-box/v1")
    assert secret.shown == "http://gpu-box"
    with pytest.raises(UserError, match="copy it once more"):
        Server("http://gpu-box", key="two\nlines")
