"""The messages between the app and the worker, and how they travel: length, then msgpack.

It does not know what the worker does with a request.
"""

from __future__ import annotations

from pathlib import Path
from struct import Struct as Layout
from typing import IO, Any, Final

from msgspec import Struct, msgpack

from shoritui.engine.interface import (
    Adapter,
    EngineDescription,
    EngineOptions,
    EngineStats,
    Evaluated,
    Evaluation,
    Event,
    ModelInfo,
    Noted,
    Segment,
    Text,
)
from shoritui.engine.sampling import Sampling

LENGTH: Final = Layout("!I")
"""The four bytes before each message: its length."""


class _Message(Struct, frozen=True, tag=True):
    id: int
    """The request's number; a reply carries that of its request."""


class Open(_Message, frozen=True, tag=True):
    """Load a model."""

    path: Path
    options: EngineOptions


class Generate(_Message, frozen=True, tag=True):
    """Write on after the document; `penalized` are the message bodies that penalties look at."""

    document: list[Segment]
    sampling: Sampling
    max_tokens: int
    penalized: list[str]
    names: list[str]
    """The cast's names, at which DRY's sequences end."""
    likeliest: int
    """How many of the likeliest tokens are told beside each one drawn; 0 tells none."""
    idle: bool = False
    """Give way as soon as other work arrives, and leave what is read now as it is."""


class Prefill(_Message, frozen=True, tag=True):
    """Evaluate the document and wait; if `idle`, give way as soon as other work arrives."""

    document: list[Segment]
    idle: bool


class Adapt(_Message, frozen=True, tag=True):
    """Take these adapters in place of those before."""

    adapters: list[Adapter]


class Score(_Message, frozen=True, tag=True):
    """How likely each candidate is right after the document."""

    document: list[Segment]
    candidates: list[str]


class Tokenize(_Message, frozen=True, tag=True):
    """The ids of each text; of a document the first text also carries what begins a prompt."""

    texts: list[str]
    document: bool


class Spell(_Message, frozen=True, tag=True):
    """The text of each token."""

    ids: list[int]


class Cancel(_Message, frozen=True, tag=True):
    """End the request of this number early, now or when its turn comes."""


class Count(_Message, frozen=True, tag=True):
    """Say what was done so far."""


class Describe(_Message, frozen=True, tag=True):
    """Say what is installed."""


class Inspect(_Message, frozen=True, tag=True):
    """Read a model's metadata without loading it."""

    path: Path
    options: EngineOptions


Request = (
    Open
    | Generate
    | Prefill
    | Adapt
    | Score
    | Tokenize
    | Spell
    | Count
    | Cancel
    | Describe
    | Inspect
)


class Loading(_Message, frozen=True, tag=True):
    """The share of the model that is loaded."""

    progress: float


class Opened(_Message, frozen=True, tag=True):
    """The model is loaded with these options, or only inspected."""

    info: ModelInfo


class Happened(_Message, frozen=True, tag=True):
    """An event of a generation or a prefill."""

    event: Event


class Prefilled(_Message, frozen=True, tag=True):
    """The document is in the cache, as far as it was not cancelled."""

    evaluation: Evaluation


class Scored(_Message, frozen=True, tag=True):
    """Natural logarithms of probabilities, in the order of the candidates."""

    scores: list[float]


class Tokenized(_Message, frozen=True, tag=True):
    """The ids of each text."""

    ids: list[list[int]]


class Spelled(_Message, frozen=True, tag=True):
    """The text of each token."""

    pieces: list[str]


class Counted(_Message, frozen=True, tag=True):
    """What was done so far."""

    stats: EngineStats


class Described(_Message, frozen=True, tag=True):
    """What is installed."""

    description: EngineDescription


class Failed(_Message, frozen=True, tag=True):
    """The request cannot be done, for this reason; the worker goes on."""

    sentence: str


Reply = (
    Loading
    | Opened
    | Happened
    | Prefilled
    | Scored
    | Tokenized
    | Spelled
    | Counted
    | Described
    | Failed
)


def _from_path(value: Any) -> str:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError


def _to_path(kind: type, value: Any) -> Any:
    return kind(value)


_encoder: Final = msgpack.Encoder(enc_hook=_from_path)
_requests: Final = msgpack.Decoder(Request, dec_hook=_to_path)
_replies: Final = msgpack.Decoder(Reply, dec_hook=_to_path)


def frame(message: Request | Reply) -> bytes:
    """The message as it travels, its length in front."""
    body = _encoder.encode(message)
    return LENGTH.pack(len(body)) + body


def request(body: bytes) -> Request:
    """The request in a frame's body."""
    decoded: Request = _requests.decode(body)
    return decoded


def reply(body: bytes) -> Reply:
    """The reply in a frame's body."""
    decoded: Reply = _replies.decode(body)
    return decoded


def read_body(stream: IO[bytes]) -> bytes | None:
    """The next frame's body from a blocking stream; None at its end."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    body = stream.read(length)
    return body if len(body) == length else None


def is_last(reply: Reply) -> bool:
    """Whether no more replies to the same request follow."""
    match reply:
        case Loading() | Happened(event=Evaluated() | Text() | Noted()):
            return False
    return True
