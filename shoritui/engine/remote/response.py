"""What a server answers: new text, its end, its figures, log-probabilities, or an error.

Fields that nothing here names may hold anything. One that is named is left out, null or of its
type: a text or an end that is neither ends the reply, a figure is passed over and told.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import chain, islice, repeat
from math import inf
from sys import float_info
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from shoritui.bounded import Malformed, misfit, read_json
from shoritui.engine.interface import Evaluated, SampledToken, TokenLogprob
from shoritui.text import encodable, message

DONE: Final = "[DONE]"
_LONGEST_REASON: Final = 1000
"""Characters; it is cut once more where it is shown, without what is not to be seen."""
_MOST_REASONS: Final = 5
_LONGEST_TOKEN: Final = 400
"""Characters of a token among the likeliest ones."""
_MOST_LIKELY: Final = 1000

Count = Annotated[int, Meta(ge=0, le=10**9)]
"""Of tokens: more of them no server holds."""
_Logprob = Annotated[float, Meta(ge=-float_info.max, le=1)]
"""0 at most, but for what rounding adds; null where it is minus infinity."""


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
    misfit: str = ""
    """The text or the end that cannot be read, as the end of a sentence."""
    doubt: str = ""
    """The figure that cannot be read, likewise."""


def parse_events(events: Iterable[str]) -> list[Chunk]:
    """What events say; those that are no part of a reply are left out."""
    return [each for event in events if (each := _parsed(event)) is not None]


def _parsed(data: str) -> Chunk | None:
    try:
        said = read_json(data)
    except Malformed:
        return None
    return parse(said) if isinstance(said, dict) else None


def parse(said: dict[str, Any]) -> Chunk:
    """What an answer says."""
    is_error = said.get("object") == "error" or ("message" in said and "choices" not in said)
    if error := said.get("error") or (said if is_error else None):
        return Chunk(error=reason(error) or "without a reason")
    try:
        choices = msgspec.convert(said, _Reply).choices
    except msgspec.ValidationError as wrong:
        return Chunk(misfit=misfit(wrong, said))
    choice = choices[0] if choices else _Choice()
    chunk = Chunk(text=encodable(choice.text or ""), finish=_finish(choice.finish_reason))
    try:
        return _with_figures(chunk, msgspec.convert(said, _Figures, strict=False))
    except msgspec.ValidationError as wrong:
        return replace(chunk, doubt=misfit(wrong, said))


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
        field = said["loc"][-1] if said["loc"] and isinstance(said["loc"], list) else ""
        return _line(f"{field}: {said['msg']}" if field else str(said["msg"]))
    for key in ("error", "message", "detail", "msg"):
        if said.get(key):
            return reason(said[key])
    return _line(json.dumps(said))


def _line(said: str) -> str:
    return message(said[: 2 * _LONGEST_REASON], _LONGEST_REASON)


# The fields that are read


class _Choice(msgspec.Struct):
    text: str | None = None
    finish_reason: str | None = None


class _Reply(msgspec.Struct):
    choices: list[_Choice] | None = None


class _Details(msgspec.Struct):
    cached_tokens: Count | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    prompt_tokens_details: _Details | None = None


class _Timings(msgspec.Struct):
    cache_n: Count | None = None
    prompt_n: Count | None = None


class _Progress(msgspec.Struct):
    processed: Count | None = None
    cache: Count | None = None
    total: Count | None = None


class _Token(msgspec.Struct):
    token: str | None = None
    logprob: _Logprob | None = None
    top_logprobs: list[_Token] | None = None


class _Logprobs(msgspec.Struct):
    """llama-server lists tokens with their alternatives, the others write lists beside."""

    content: list[_Token] | None = None
    tokens: list[str | None] | None = None
    token_logprobs: list[_Logprob | None] | None = None
    top_logprobs: list[dict[str, _Logprob | None] | None] | None = None


class _Likely(msgspec.Struct):
    logprobs: _Logprobs | None = None


class _Figures(msgspec.Struct):
    choices: list[_Likely] | None = None
    usage: _Usage | None = None
    timings: _Timings | None = None
    prompt_progress: _Progress | None = None


def _with_figures(chunk: Chunk, told: _Figures) -> Chunk:
    usage, timings = told.usage or _Usage(), told.timings or _Timings()
    likely = told.choices[0].logprobs if told.choices else None
    return replace(
        chunk,
        prompt_tokens=usage.prompt_tokens,
        reused_tokens=_reused(usage, timings),
        generated_tokens=usage.completion_tokens,
        progress=_progress(told.prompt_progress or _Progress()),
        logprobs=_logprobs(likely or _Logprobs()),
    )


def _reused(usage: _Usage, timings: _Timings) -> int | None:
    """Tokens of the prompt that were evaluated before.

    llama-server's `timings` tell it, or how many were evaluated now; `usage` does elsewhere.
    """
    details = usage.prompt_tokens_details or _Details()
    for reused in (timings.cache_n, details.cached_tokens):
        if reused is not None:
            return reused
    if usage.prompt_tokens is None or timings.prompt_n is None:
        return None
    return max(0, usage.prompt_tokens - timings.prompt_n)


def _finish(told: str | None) -> str:
    if told == "length":
        return "length"
    return "stop" if told not in (None, "", "null") else ""


def _progress(told: _Progress) -> Evaluated | None:
    done, reused, total = (each or 0 for each in (told.processed, told.cache, told.total))
    if total <= reused:
        return None
    return Evaluated(max(0, min(done, total) - reused), total - reused)


def _logprobs(told: _Logprobs) -> tuple[SampledToken, ...]:
    if told.content is not None:
        return tuple(
            SampledToken(
                _token(each.token, each.logprob),
                tuple(
                    _token(other.token, other.logprob)
                    for other in (each.top_logprobs or ())[:_MOST_LIKELY]
                ),
            )
            for each in told.content
        )
    others = chain(told.top_logprobs or (), repeat(None))
    return tuple(
        SampledToken(_token(token, logprob), _top(top or {}))
        for token, logprob, top in zip(
            told.tokens or (), told.token_logprobs or (), others, strict=False
        )
    )


def _top(logprobs: Mapping[str, float | None]) -> tuple[TokenLogprob, ...]:
    found = [_token(text, logprob) for text, logprob in islice(logprobs.items(), _MOST_LIKELY)]
    return tuple(sorted(found, key=lambda each: -each.logprob))


def _token(text: str | None, logprob: float | None) -> TokenLogprob:
    likely = -inf if logprob is None else min(0.0, logprob)
    return TokenLogprob(encodable(text or "")[:_LONGEST_TOKEN], likely)
