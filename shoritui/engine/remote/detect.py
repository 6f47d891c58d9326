"""Detect what a server is, which model it has and how much that can read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from shoritui.engine.interface import SPLIT_MARKS, ModelInfo
from shoritui.engine.remote import profiles
from shoritui.engine.remote.http import HttpClient, Refused
from shoritui.engine.remote.profiles import ServerProfile
from shoritui.engine.remote.response import mapping, whole
from shoritui.engine.remote.server import Server
from shoritui.engine.remote.tokenizer import RemoteTokenizer
from shoritui.errors import UserError
from shoritui.text import message

UNKNOWN_CONTEXT: Final = 4096
"""Tokens that a context is taken to hold while nobody says how many it does."""

_CONTEXT_NAMES: Final = ("max_model_len", "n_ctx", "context_length", "context_window")
_SHOWN_MODELS: Final = 5
_MOST_MODELS: Final = 10_000
_LONGEST_NAME: Final = 1000
"""Characters of what requests call a model."""
_MOST: Final = 2**53
"""Of the bytes and weights of a model."""


@dataclass(slots=True)
class DetectedServer:
    """A server that was found, and what is known of it."""

    profile: ServerProfile
    model: str
    """The name that requests ask for; "" where there is none."""
    info: ModelInfo
    tokenizer: RemoteTokenizer
    sure_of_context: bool
    notes: list[str] = field(default_factory=list)
    """Sentences for the user that nobody has been told yet."""


async def detect(http: HttpClient, server: Server) -> DetectedServer:
    """Ask the server who it is. Raises `UserError`, also where it is none for language models."""
    listed = listed_models(await http.get("/v1/models"))
    profile, about = await _recognize(http, listed)
    model = _chosen(server, [name for name, _ in listed], about.name)
    mine = next((card for name, card in listed if name == model), {})
    told = about.n_ctx or _context(mine)
    n_ctx = min(filter(None, (told, server.n_ctx)), default=UNKNOWN_CONTEXT)
    tokenizer = await RemoteTokenizer.make(http, profile, model)
    info = replace(
        _info(server, profile, _name(server.hidden(model or about.name)), n_ctx, mine),
        block_tokens=None not in [await tokenizer.token(mark) for mark in "▀▄"],
    )
    sure = bool(told or server.n_ctx)
    found = DetectedServer(profile, model, info, tokenizer, sure_of_context=sure)
    found.notes += _notes(server, found)
    return found


def _notes(server: Server, found: DetectedServer) -> list[str]:
    notes = []
    if server.shows_key:
        notes.append(
            f"The API key goes to {server.shown} over plain http, where others on the way can "
            "read it: use https if the server can."
        )
    if not found.sure_of_context:
        notes.append(
            f"The server does not state its context size: {found.info.n_ctx:,} tokens are assumed. "
            "Set n_ctx if it is another."
        )
    if found.tokenizer.is_exact and not found.info.block_tokens:
        notes.append(SPLIT_MARKS)
    if not found.tokenizer.is_exact:
        notes.append("The server does not count tokens on request: token counts are estimates.")
    return notes


# Which server it is


@dataclass(frozen=True, slots=True)
class _About:
    name: str = ""
    n_ctx: int | None = None


_Listed = list[tuple[str, Mapping[str, Any]]]


async def _recognize(http: HttpClient, listed: _Listed) -> tuple[ServerProfile, _About]:
    """Ask for what only one server has; KoboldCpp first, since it answers for others, too."""
    version = await _maybe(http, "/api/extra/version")
    if version.get("result") == "KoboldCpp":
        size = await _maybe(http, "/api/extra/true_max_context_length")
        size = size or await _maybe(http, "/api/v1/config/max_context_length")
        name = _text((await _maybe(http, "/api/v1/model")).get("result"))
        return profiles.KOBOLDCPP, _About(name, whole(size.get("value")))
    settings = (await _maybe(http, "/props")).get("default_generation_settings")
    if isinstance(settings, Mapping):
        return profiles.LLAMA_SERVER, _About(n_ctx=whole(settings.get("n_ctx")))
    card = await _maybe(http, "/v1/model")
    if name := _text(card.get("id")):
        n_ctx = whole(mapping(card.get("parameters")).get("max_seq_len"))
        return profiles.TABBY, _About(name, n_ctx)
    if any("max_model_len" in card for _, card in listed) and await _maybe(http, "/version"):
        return profiles.VLLM, _About()
    if await _answers(http, "/extras/tokenize", {"input": "\n"}):
        return profiles.LLAMA_CPP_PYTHON, _About()
    return profiles.OTHER, _About()


def _text(value: object) -> str:
    return value[:_LONGEST_NAME] if isinstance(value, str) else ""


async def _maybe(http: HttpClient, path: str) -> Mapping[str, Any]:
    """What stands there; empty if nothing does."""
    try:
        return mapping(await http.get(path))
    except Refused:
        return {}


async def _answers(http: HttpClient, path: str, body: Mapping[str, object]) -> bool:
    try:
        return isinstance(mapping(await http.post(path, body)).get("tokens"), list)
    except Refused:
        return False


# Which model


def listed_models(said: object) -> _Listed:
    """Return the name of each model that a server lists, and what it says of it: `UserError`."""
    data = mapping(said).get("data")
    if not isinstance(data, list):
        raise UserError(
            "The server lists no models where an OpenAI-compatible one does: check the address."
        )
    cards = (each for each in map(mapping, data[:_MOST_MODELS]) if isinstance(each.get("id"), str))
    return [(card["id"], card) for card in cards if len(card["id"]) <= _LONGEST_NAME]


def _chosen(server: Server, listed: list[str], current: str) -> str:
    if not server.model:
        return current if current in listed else (listed[0] if listed else current)
    if listed and server.model not in listed:
        names = ", ".join(message(server.hidden(name)) for name in listed[:_SHOWN_MODELS])
        more = ", ..." if len(listed) > _SHOWN_MODELS else ""
        raise UserError(f"The server has no model {server.model!r}: choose {names}{more}.")
    return server.model


def _context(card: Mapping[str, Any]) -> int | None:
    places = (card, mapping(card.get("meta")))
    sizes = (whole(place.get(name)) for place in places for name in _CONTEXT_NAMES)
    return next((size for size in sizes if size), None)


def _name(model: str) -> str:
    """The model's name for people: some servers call it by its whole path."""
    return message(model.replace("\\", "/").rstrip("/").rpartition("/")[2]) or "a model"


def _info(
    server: Server, profile: ServerProfile, name: str, n_ctx: int, card: Mapping[str, Any]
) -> ModelInfo:
    known = mapping(card.get("meta"))
    return ModelInfo(
        path=Path(name),
        description=f"{name} on {profile.name}",
        n_params=whole(known.get("n_params"), _MOST) or 0,
        size_bytes=whole(known.get("size"), _MOST) or 0,
        n_ctx=n_ctx,
        n_ctx_train=whole(known.get("n_ctx_train")) or 0,
        n_vocab=whole(known.get("n_vocab")) or 0,
        server=server.shown,
    )
