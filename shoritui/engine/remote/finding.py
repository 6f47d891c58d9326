"""Finding out what a server is, which model it has and how much that can read.

It does not know what will be asked of the server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from shoritui.engine.interface import ModelInfo
from shoritui.engine.remote import kinds
from shoritui.engine.remote.counting import Counter
from shoritui.engine.remote.kinds import Kind
from shoritui.engine.remote.pieces import printable, whole
from shoritui.engine.remote.server import Server
from shoritui.engine.remote.wire import Refused, Wire
from shoritui.errors import UserError

UNKNOWN_CONTEXT: Final = 4096
"""Tokens that a context is taken to hold while nobody says how many it does."""

_CONTEXT_NAMES: Final = ("max_model_len", "n_ctx", "context_length", "context_window")
_SHOWN_MODELS: Final = 5


@dataclass(slots=True)
class Found:
    """A server that was found, and what is known of it."""

    kind: Kind
    model: str
    """The name that requests ask for; "" where there is none."""
    info: ModelInfo
    counter: Counter
    sure_of_context: bool
    notes: list[str] = field(default_factory=list)
    """Sentences for the user that nobody has been told yet."""


async def find(wire: Wire, server: Server) -> Found:
    """Ask the server who it is. Raises `UserError`, also where it is none for language models."""
    listed = _models(await wire.get("/v1/models"))
    kind, about = await _recognize(wire, listed)
    model = _chosen(server, [name for name, _ in listed], about.name)
    mine = next((card for name, card in listed if name == model), {})
    told = about.n_ctx or _context(mine)
    n_ctx = min(filter(None, (told, server.n_ctx)), default=UNKNOWN_CONTEXT)
    counter = await Counter.make(wire, kind, model)
    info = replace(
        _info(server, kind, _name(model or about.name), n_ctx, mine),
        block_tokens=None not in [await counter.token(mark) for mark in "▀▄"],
    )
    found = Found(kind, model, info, counter, sure_of_context=bool(told or server.n_ctx))
    found.notes += _notes(server, found)
    return found


def _notes(server: Server, found: Found) -> list[str]:
    notes = []
    if server.shows_key:
        notes.append(
            f"The API key goes to {server.shown} over plain http, where others on the way can "
            "read it: use https if the server can."
        )
    if not found.sure_of_context:
        notes.append(
            f"The server does not tell its context size: {found.info.n_ctx:,} tokens are assumed; "
            "the setting n_ctx says otherwise."
        )
    if not found.counter.is_exact:
        notes.append("The server does not count tokens for others: their numbers are estimates.")
    return notes


# What kind of server it is


@dataclass(frozen=True, slots=True)
class _About:
    name: str = ""
    n_ctx: int | None = None


_Listed = list[tuple[str, Mapping[str, Any]]]


async def _recognize(wire: Wire, listed: _Listed) -> tuple[Kind, _About]:
    """Ask for what only one kind has; KoboldCpp first, since it answers for others, too."""
    version = await _maybe(wire, "/api/extra/version")
    if version.get("result") == "KoboldCpp":
        size = await _maybe(wire, "/api/extra/true_max_context_length")
        size = size or await _maybe(wire, "/api/v1/config/max_context_length")
        name = str((await _maybe(wire, "/api/v1/model")).get("result", ""))
        return kinds.KOBOLDCPP, _About(name, whole(size.get("value")))
    settings = (await _maybe(wire, "/props")).get("default_generation_settings")
    if isinstance(settings, dict):
        return kinds.LLAMA_SERVER, _About(n_ctx=whole(settings.get("n_ctx")))
    card = await _maybe(wire, "/v1/model")
    if "id" in card:
        loaded = card.get("parameters")
        n_ctx = whole(loaded.get("max_seq_len")) if isinstance(loaded, dict) else None
        return kinds.TABBY, _About(str(card["id"]), n_ctx)
    if any("max_model_len" in card for _, card in listed) and await _maybe(wire, "/version"):
        return kinds.VLLM, _About()
    if await _answers(wire, "/extras/tokenize", {"input": "\n"}):
        return kinds.LLAMA_CPP_PYTHON, _About()
    return kinds.OTHER, _About()


async def _maybe(wire: Wire, path: str) -> dict[str, Any]:
    """What stands there; empty if nothing does."""
    try:
        said = await wire.get(path)
    except Refused:
        return {}
    return said if isinstance(said, dict) else {}


async def _answers(wire: Wire, path: str, body: Mapping[str, object]) -> bool:
    try:
        said = await wire.post(path, body)
    except Refused:
        return False
    return isinstance(said, dict) and isinstance(said.get("tokens"), list)


# Which model


def _models(said: object) -> _Listed:
    data = said.get("data") if isinstance(said, dict) else None
    if not isinstance(data, list):
        raise UserError(
            "The server lists no models where an OpenAI-compatible one does: check the address."
        )
    cards = [card for card in data if isinstance(card, dict) and isinstance(card.get("id"), str)]
    return [(card["id"], card) for card in cards]


def _chosen(server: Server, listed: list[str], current: str) -> str:
    if not server.model:
        return current if current in listed else (listed[0] if listed else current)
    if listed and server.model not in listed:
        names = ", ".join(map(printable, listed[:_SHOWN_MODELS]))
        more = ", ..." if len(listed) > _SHOWN_MODELS else ""
        raise UserError(f"The server has no model {server.model!r}: choose {names}{more}.")
    return server.model


def _context(card: Mapping[str, Any]) -> int | None:
    meta = card.get("meta")
    places = (card, meta if isinstance(meta, dict) else {})
    sizes = (whole(place.get(name)) for place in places for name in _CONTEXT_NAMES)
    return next((size for size in sizes if size), None)


def _name(model: str) -> str:
    """The model's name for people: some servers call it by its whole path."""
    return printable(model.replace("\\", "/").rstrip("/").rpartition("/")[2]) or "a model"


def _info(server: Server, kind: Kind, name: str, n_ctx: int, card: Mapping[str, Any]) -> ModelInfo:
    meta = card.get("meta")
    known = meta if isinstance(meta, dict) else {}
    return ModelInfo(
        path=Path(name),
        description=f"{name} on {kind.name}",
        n_params=whole(known.get("n_params")) or 0,
        size_bytes=whole(known.get("size")) or 0,
        n_ctx=n_ctx,
        n_ctx_train=whole(known.get("n_ctx_train")) or 0,
        n_vocab=whole(known.get("n_vocab")) or 0,
        gpu="",
        n_gpu_layers=0,
        n_threads=0,
        block_tokens=False,
        memory_bytes=0,
        llama_cpp="",
        server=server.shown,
    )
