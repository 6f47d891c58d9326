"""Detect what a server is, which model it has and how much that can read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta

from shoritui.engine.interface import SPLIT_MARKS, ModelInfo
from shoritui.engine.remote import profiles
from shoritui.engine.remote.http import HttpClient, Refused
from shoritui.engine.remote.profiles import ServerProfile
from shoritui.engine.remote.response import Count
from shoritui.engine.remote.server import Server
from shoritui.engine.remote.tokenizer import RemoteTokenizer
from shoritui.errors import UserError
from shoritui.text import message

UNKNOWN_CONTEXT: Final = 4096
"""Tokens that a context is taken to hold while nobody says how many it does."""

_MODELS: Final = "/v1/models"
_SHOWN_MODELS: Final = 5
_LONGEST_NAME: Final = 1000
"""Characters of what requests call a model."""

T = TypeVar("T")

_Name = Annotated[str, Meta(max_length=_LONGEST_NAME)]

# What servers say. A size of 0 is not told, as where llama-server has loaded no model yet.


class _Named(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Named] | None = None


class _Sizes(msgspec.Struct):
    max_model_len: Count | None = None
    n_ctx: Count | None = None
    context_length: Count | None = None
    context_window: Count | None = None

    @property
    def context(self) -> int:
        """The tokens that the context holds; 0 where they are not told."""
        names = (self.max_model_len, self.n_ctx, self.context_length, self.context_window)
        return next(filter(None, names), 0)


class _Meta(_Sizes):
    n_params: Annotated[int, Meta(ge=0, le=2**53)] | None = None
    n_ctx_train: Count | None = None


class _Card(_Sizes):
    meta: _Meta | None = None


class _Value(msgspec.Struct):
    value: Count | None = None


class _Result(msgspec.Struct):
    result: _Name | None = None


class _Version(msgspec.Struct):
    """KoboldCpp's, or whatever another server has at its place."""

    result: Any = None
    version: Any = None


class _Settings(msgspec.Struct):
    n_ctx: Count | None = None


class _Props(msgspec.Struct):
    default_generation_settings: _Settings | None = None


class _Parameters(msgspec.Struct):
    max_seq_len: Count | None = None


class _LoadedModel(msgspec.Struct):
    id: _Name | None = None
    parameters: _Parameters | None = None


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
    listed = await listed_models(http)
    profile, about = await _recognize(http, listed)
    model = _chosen(server, list(listed), about.name)
    card = http.read(_MODELS, listed.get(model, {}), _Card)
    meta = card.meta or _Meta()
    told = about.n_ctx or card.context or meta.context
    n_ctx = min(filter(None, (told, server.n_ctx)), default=UNKNOWN_CONTEXT)
    tokenizer = await RemoteTokenizer.make(http, profile, model)
    info = replace(
        _info(server, profile, _name(server.hidden(model or about.name)), n_ctx, meta),
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


async def _recognize(
    http: HttpClient, listed: dict[str, dict[str, Any]]
) -> tuple[ServerProfile, _About]:
    """Ask for what only one server has; KoboldCpp first, since it answers for others, too."""
    if (await _maybe(http, "/api/extra/version", _Version)).result == "KoboldCpp":
        size = await _maybe(http, "/api/extra/true_max_context_length", _Value)
        size = (
            size if size.value else await _maybe(http, "/api/v1/config/max_context_length", _Value)
        )
        name = (await _maybe(http, "/api/v1/model", _Result)).result
        return profiles.KOBOLDCPP, _About(name or "", size.value)
    settings = (await _maybe(http, "/props", _Props)).default_generation_settings
    if settings is not None:
        return profiles.LLAMA_SERVER, _About(n_ctx=settings.n_ctx)
    loaded = await _maybe(http, "/v1/model", _LoadedModel)
    if loaded.id:
        return profiles.TABBY, _About(loaded.id, (loaded.parameters or _Parameters()).max_seq_len)
    if (
        any("max_model_len" in card for card in listed.values())
        and (await _maybe(http, "/version", _Version)).version
    ):
        return profiles.VLLM, _About()
    if await _answers(http, "/extras/tokenize", {"input": "\n"}):
        return profiles.LLAMA_CPP_PYTHON, _About()
    return profiles.OTHER, _About()


async def _maybe(http: HttpClient, path: str, kind: type[T]) -> T:
    """What stands there; of a server that has nothing there, nothing is told."""
    try:
        said = await http.get(path)
    except Refused:
        said = {}
    return http.read(path, said, kind)


async def _answers(http: HttpClient, path: str, body: dict[str, object]) -> bool:
    try:
        return "tokens" in await http.post(path, body)
    except Refused:
        return False


# Which model


async def listed_models(http: HttpClient) -> dict[str, dict[str, Any]]:
    """Return the name of each model that a server lists, and what it says of it: `UserError`."""
    said = await http.get(_MODELS)
    named = http.read(_MODELS, said, _Models).data
    if named is None:
        raise Refused(
            "The server lists no models where an OpenAI-compatible one does: check the address."
        )
    models = zip(named, said["data"], strict=True)
    return {model.id: card for model, card in models if len(model.id) <= _LONGEST_NAME}


def _chosen(server: Server, listed: list[str], current: str) -> str:
    if not server.model:
        return current if current in listed else (listed[0] if listed else current)
    if listed and server.model not in listed:
        names = ", ".join(message(server.hidden(name)) for name in listed[:_SHOWN_MODELS])
        more = ", ..." if len(listed) > _SHOWN_MODELS else ""
        raise UserError(f"The server has no model {server.model!r}: choose {names}{more}.")
    return server.model


def _name(model: str) -> str:
    """The model's name for people: some servers call it by its whole path."""
    return message(model.replace("\\", "/").rstrip("/").rpartition("/")[2]) or "a model"


def _info(server: Server, profile: ServerProfile, name: str, n_ctx: int, meta: _Meta) -> ModelInfo:
    return ModelInfo(
        path=Path(name),
        description=f"{name} on {profile.name}",
        n_params=meta.n_params or 0,
        size_bytes=0,
        n_ctx=n_ctx,
        n_ctx_train=meta.n_ctx_train or 0,
        n_vocab=0,
        server=server.shown,
    )
