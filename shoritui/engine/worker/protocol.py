"""The messages between the app and the worker, and how they travel: length, then msgpack."""

from __future__ import annotations

from pathlib import Path
from struct import Struct as Layout
from typing import IO, Any, Final, TypeVar

from msgspec import DecodeError, Raw, Struct, msgpack

from shoritui.engine.interface import Adapter, EngineOptions, Event, Segment
from shoritui.engine.length_guide import LengthGuide
from shoritui.engine.sampling_params import Sampling

T = TypeVar("T")

LENGTH: Final = Layout("!I")
"""The four bytes before each message: its length."""
_LONGEST: Final = 1 << 28
"""Bytes of a message, above which what comes is none."""


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
    top_logprobs: int
    """How many of the likeliest tokens come beside each one drawn; 0 tells none."""
    idle: bool = False
    """Give way as soon as other work arrives, and leave what is read now as it is."""
    guide: LengthGuide | None = None


class Prefill(_Message, frozen=True, tag=True):
    """Evaluate the document and wait; if `idle`, give way as soon as other work arrives."""

    document: list[Segment]
    idle: bool


class SetAdapters(_Message, frozen=True, tag=True):
    """Take these adapters in place of those before."""

    adapters: list[Adapter]


class Score(_Message, frozen=True, tag=True):
    """How likely each candidate is right after the document."""

    document: list[Segment]
    candidates: list[str]


class ReadLogprobs(_Message, frozen=True, tag=True):
    """How likely each token of the document is behind those before it."""

    document: list[Segment]


class PlanPrompt(_Message, frozen=True, tag=True):
    """The document's ids, and how many of them need not be evaluated; nothing is done."""

    document: list[Segment]


class ReadAlternatives(_Message, frozen=True, tag=True):
    """How likely each token of a text is that goes on after the document, and what else is."""

    document: list[Segment]
    text: str
    count: int
    """How many of the likeliest tokens come beside each one."""


class Tokenize(_Message, frozen=True, tag=True):
    """The ids of each text; of a document the first text also carries what begins a prompt."""

    texts: list[str]
    document: bool


class Detokenize(_Message, frozen=True, tag=True):
    """The text of each token."""

    ids: list[int]


class Cancel(_Message, frozen=True, tag=True):
    """End the request of this number early, now or when its turn comes."""


class Ping(_Message, frozen=True, tag=True):
    """Answer at once, whatever is being done."""


class ReadStats(_Message, frozen=True, tag=True):
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
    | SetAdapters
    | Score
    | ReadLogprobs
    | PlanPrompt
    | ReadAlternatives
    | Tokenize
    | Detokenize
    | ReadStats
    | Cancel
    | Ping
    | Describe
    | Inspect
)


class Loading(_Message, frozen=True, tag=True):
    """The share of the model that is loaded."""

    progress: float


class Happened(_Message, frozen=True, tag=True):
    """An event of a generation or a prefill."""

    event: Event


class Answered(_Message, frozen=True, tag=True):
    """What was asked for, still packed; the last reply."""

    packed: Raw


class Failed(_Message, frozen=True, tag=True):
    """The request cannot be done, for this reason; the worker goes on."""

    sentence: str


class Alive(_Message, frozen=True, tag=True):
    """The answer to a ping."""


Reply = Loading | Happened | Answered | Failed | Alive


def _from_path(value: Any) -> str:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError


def _to_path(kind: type, value: Any) -> Any:
    return kind(value)


_encoder: Final = msgpack.Encoder(enc_hook=_from_path)
_requests: Final[msgpack.Decoder[Request]] = msgpack.Decoder(Request, dec_hook=_to_path)
_replies: Final[msgpack.Decoder[Reply]] = msgpack.Decoder(Reply, dec_hook=_to_path)


def frame(message: Request | Reply) -> bytes:
    """The message as it travels, its length in front."""
    body = _encoder.encode(message)
    return LENGTH.pack(len(body)) + body


def request(body: bytes) -> Request:
    """The request in a frame's body."""
    return _requests.decode(body)


def reply(body: bytes) -> Reply:
    """The reply in a frame's body."""
    return _replies.decode(body)


def length_of(head: bytes) -> int:
    """The length that stands before a message; `DecodeError` if none is as long."""
    (length,) = LENGTH.unpack(head)
    if length > _LONGEST:
        raise DecodeError("no message is as long")
    return int(length)


def read_body(stream: IO[bytes]) -> bytes | None:
    """The next frame's body from a blocking stream; None at its end."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    body = stream.read(length)
    return body if len(body) == length else None


def answer(request: Request, value: object) -> Answered:
    """The last reply to a request: the value that it asked for."""
    return Answered(request.id, Raw(_encoder.encode(value)))


def value_of(reply: Reply, kind: type[T]) -> T:
    """The value that the last reply to a request carries, which is of this kind."""
    assert isinstance(reply, Answered)
    return msgpack.decode(reply.packed, type=kind, dec_hook=_to_path)


def is_last(reply: Reply) -> bool:
    """Whether no more replies to the same request follow."""
    return isinstance(reply, Answered | Failed)
