"""What a server answers: new text, its end, its figures, log-probabilities, or an error."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from math import inf
from typing import Any, Final

from shoritui.bounded import Malformed, read_json
from shoritui.engine.interface import Evaluated, SampledToken, TokenLogprob
from shoritui.text import encodable, message

DONE: Final = "[DONE]"
_LONGEST_REASON: Final = 1000
"""Characters; it is cut once more where it is shown, without what is not to be seen."""
_MOST_REASONS: Final = 5
_MOST_TOKENS: Final = 10**9
"""Above which no count of tokens is believed."""
_LONGEST_TOKEN: Final = 400
"""Characters of a token among the likeliest ones."""
_MOST_LIKELY: Final = 1000


@dataclass(frozen=True, slots=True)
class Chunk:
    """One event of a reply; what it does not tell is empty."""

    text: str = ""
    finish: str = ""
    """Why the reply ended: `stop` or `length`; "" while it goes on."""
    prompt_tokens: int | None = None
    reused_tokens: int | None = None
    generated_tokens: int | None = None
    """All that were generated, with the one at which it stopped."""
    progress: Evaluated | None = None
    logprobs: tuple[SampledToken, ...] = ()
    error: str = ""
    """The server's own reason for not going on."""


def parse_events(events: Iterable[str]) -> list[Chunk]:
    """What events say; those that are no part of a reply are left out."""
    return [each for event in events if (each := _parsed(event)) is not None]


def _parsed(data: str) -> Chunk | None:
    try:
        return parse(read_json(data))
    except Malformed:
        return None


def parse(said: object) -> Chunk | None:
    """What an answer says; None if it says nothing that a reply could."""
    if not isinstance(said, dict):
        return None
    is_error = said.get("object") == "error" or ("message" in said and "choices" not in said)
    if error := said.get("error") or (said if is_error else None):
        return Chunk(error=reason(error) or "without a reason")
    choice, usage = _first(said.get("choices")), mapping(said.get("usage"))
    return Chunk(
        text=_text(choice.get("text")),
        finish=_finish(choice.get("finish_reason")),
        prompt_tokens=whole(usage.get("prompt_tokens")),
        reused_tokens=_reused(usage, mapping(said.get("timings"))),
        generated_tokens=whole(usage.get("completion_tokens")),
        progress=_progress(mapping(said.get("prompt_progress"))),
        logprobs=_logprobs(mapping(choice.get("logprobs"))),
    )


def reason(said: object) -> str:
    """A server's own words about an error: one line, short, nothing that is not text."""
    if isinstance(said, str):
        try:
            return reason(read_json(said))
        except Malformed:
            return _line(said)
    if isinstance(said, list):  # A list of fields that were wrong.
        return _line("; ".join(map(reason, said[:_MOST_REASONS])))
    if not isinstance(said, Mapping):
        return _line(str(said))
    if "loc" in said and "msg" in said:
        field = _sequence(said["loc"])[-1:]
        return _line(f"{field[0]}: {said['msg']}" if field else str(said["msg"]))
    for key in ("error", "message", "detail", "msg"):
        if said.get(key):
            return reason(said[key])
    return _line(json.dumps(said))


def _line(said: str) -> str:
    return message(said[: 2 * _LONGEST_REASON], _LONGEST_REASON)


def whole(value: object, most: int = _MOST_TOKENS) -> int | None:
    """The value, where it is a count that can be true."""
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most
    return value if is_count else None  # type: ignore[return-value]


def _reused(usage: Mapping[str, Any], timings: Mapping[str, Any]) -> int | None:
    """Tokens of the prompt that were evaluated before.

    llama-server's `timings` tell it, or how many were evaluated now; `usage` does elsewhere.
    """
    details = mapping(usage.get("prompt_tokens_details"))
    for told in (timings.get("cache_n"), details.get("cached_tokens")):
        if (reused := whole(told)) is not None:
            return reused
    prompt, evaluated = whole(usage.get("prompt_tokens")), whole(timings.get("prompt_n"))
    return None if prompt is None or evaluated is None else max(0, prompt - evaluated)


def _finish(value: object) -> str:
    if value == "length":
        return "length"
    return "stop" if isinstance(value, str) and value not in ("", "null") else ""


def _progress(said: Mapping[str, Any]) -> Evaluated | None:
    counts = [whole(said.get(name)) for name in ("processed", "cache", "total")]
    if not said or None in counts:
        return None
    done, reused, total = (count or 0 for count in counts)
    if total <= reused:
        return None
    return Evaluated(max(0, min(done, total) - reused), total - reused)


def _logprobs(said: Mapping[str, Any]) -> tuple[SampledToken, ...]:
    """llama-server lists tokens with their alternatives, the others write four lists beside."""
    if isinstance(said.get("content"), list):
        return tuple(
            SampledToken(
                _token(token.get("token"), token.get("logprob")),
                tuple(
                    _token(other.get("token"), other.get("logprob"))
                    for other in map(mapping, _sequence(token.get("top_logprobs"))[:_MOST_LIKELY])
                    if other
                ),
            )
            for token in map(mapping, said["content"])
            if token
        )
    tokens, values = _sequence(said.get("tokens")), _sequence(said.get("token_logprobs"))
    others = _sequence(said.get("top_logprobs"))
    return tuple(
        SampledToken(
            _token(token, value),
            _top(mapping(others[index]) if index < len(others) else {}),
        )
        for index, (token, value) in enumerate(zip(tokens, values, strict=False))
    )


def _top(logprobs: Mapping[str, Any]) -> tuple[TokenLogprob, ...]:
    found = [_token(text, value) for text, value in islice(logprobs.items(), _MOST_LIKELY)]
    return tuple(sorted(found, key=lambda each: -each.logprob))


def _token(text: object, logprob: object) -> TokenLogprob:
    told = logprob if isinstance(logprob, int | float) else -inf
    return TokenLogprob(_text(text)[:_LONGEST_TOKEN], min(0.0, float(told)))


def _text(value: object) -> str:
    return encodable(value) if isinstance(value, str) else ""


def _first(value: object) -> Mapping[str, Any]:
    return mapping(_sequence(value)[0]) if _sequence(value) else {}


def mapping(value: object) -> Mapping[str, Any]:
    """Return the value, where it is an object; else an empty one."""
    return value if isinstance(value, Mapping) else {}


def _sequence(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
