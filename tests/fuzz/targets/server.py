"""What a server of another program answers: heads, JSON, streams, without an end if it likes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.fuzz.raw_server import TAME, Raw, serving, stream, told
from tests.fuzz.run import Input
from tests.fuzz.world import World

_CARD = """\
[[character]]
name = "Mara"
description = "A pilot."
[[character]]
name = "Tobin"
description = "A cook."
"""
_SERVERS: Mapping[str, Mapping[str, Raw]] = {
    "plain": {},
    "llama-server": {
        "/props": told({"default_generation_settings": {"n_ctx": 4000}, "total_slots": 1}),
        "/tokenize": told({"tokens": [1, 2, 3]}),
        "/detokenize": told({"content": "abc"}),
        "/v1/completions": stream(
            " Aye", ".▄", timings={"prompt_n": 3, "predicted_per_second": 5.5}, model="shori"
        ),
    },
    "koboldcpp": {
        "/api/extra/version": told({"result": "KoboldCpp", "version": "1.99"}),
        "/api/extra/true_max_context_length": told({"value": 6000}),
        "/api/v1/model": told({"result": "koboldcpp/shori"}),
        "/api/extra/tokencount": told({"value": 3, "ids": [1, 2, 3]}),
    },
    "vllm": {
        "/v1/models": told({"data": [{"id": "org/shori", "max_model_len": 5000}]}),
        "/version": told({"version": "0.15.0"}),
        "/tokenize": told({"count": 3, "tokens": [1, 2, 3]}),
        "/v1/completions": stream(
            " Aye", logprobs={"tokens": ["a"], "token_logprobs": [-0.1], "top_logprobs": [{"a": 0}]}
        ),
    },
    "too long": {
        "/v1/completions": told({"error": {"message": "the context size is exceeded"}}, 400),
    },
    "tabby": {
        "/v1/models": told({"data": [{"id": "another"}, {"id": "shori-exl3"}]}),
        "/v1/model": told({"id": "shori-exl3", "parameters": {"max_seq_len": 7000}}),
        "/v1/token/encode": told({"tokens": [1, 2, 3]}),
    },
}


def seeds() -> Iterator[Input]:
    """One of each kind, and one whose stream hardly ends."""
    for routes in _SERVERS.values():
        yield _input({**TAME, **routes})
    endless = Raw(TAME["/v1/completions"].head, ('data: {"choices": [{"text": "a"}]}\n\n',), 10_000)
    yield _input({**TAME, "/v1/completions": endless})


def play(world: World, path: Path) -> None:
    """Have it write replies, and look at the prompt."""
    card = world.home / "quay.toml"
    card.write_text(_CARD, encoding="utf-8")
    with serving(_routes(path.read_bytes())) as url:
        world.door("say", "Hm.", card, "--server", url, "--speaker", "Mara")
        world.door("say", "Hm.", card, "--server", url, "--length", "model", "--json")
        world.door("prompt", card, "--server", url, "--tokens")


def _input(routes: Mapping[str, Raw]) -> Input:
    rows = {path: asdict(raw) for path, raw in routes.items()}
    return Input("server.json", json.dumps(rows, ensure_ascii=False).encode())


def _routes(content: bytes) -> dict[str, Raw]:
    """The routes, as far as a mutated file still says any."""
    try:
        rows: Any = json.loads(content.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        text = content.decode("utf-8", "surrogateescape")
        return dict.fromkeys(TAME, Raw(TAME["/v1/models"].head, (text,)))
    routes = {}
    for path, row in rows.items() if isinstance(rows, dict) else ():
        row = row if isinstance(row, dict) else {"parts": row}
        parts, times = row.get("parts"), row.get("times")
        texts = [each if isinstance(each, str) else json.dumps(each) for each in _list(parts)]
        often = min(times, 10_000) if isinstance(times, int) else 1
        routes[path] = Raw(str(row.get("head", TAME["/v1/models"].head)), tuple(texts), often)
    return routes


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
