"""What a server's reply says: new text, its end, its figures, probabilities, or an error.

It does not know how the reply came or who sent it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import exp
from typing import Any, Final

from shoritui.engine.interface import Chance, Drawn, Evaluated

DONE: Final = "[DONE]"
_LONGEST_REASON: Final = 200


@dataclass(frozen=True, slots=True)
class Piece:
    """One event of a reply; what it does not tell is empty."""

    text: str = ""
    finish: str = ""
    """Why the reply ended: `stop` or `length`; "" while it goes on."""
    prompt_tokens: int | None = None
    reused_tokens: int | None = None
    generated_tokens: int | None = None
    """All that were generated, with the one at which it stopped."""
    progress: Evaluated | None = None
    drawn: tuple[Drawn, ...] = ()
    error: str = ""
    """The server's own reason for not going on."""


def pieces(events: Iterable[str]) -> list[Piece]:
    """What events say; those that are no part of a reply are left out."""
    return [each for event in events if (each := _piece(event)) is not None]


def _piece(data: str) -> Piece | None:
    try:
        return piece(json.loads(data, strict=False))
    except ValueError:
        return None


def piece(said: object) -> Piece | None:
    """What an answer says; None if it says nothing that a reply could."""
    if not isinstance(said, dict):
        return None
    error = said.get("error") or (said if said.get("object") == "error" else None)
    if error:
        return Piece(error=reason(error))
    choice, usage = _first(said.get("choices")), _mapping(said.get("usage"))
    return Piece(
        text=_text(choice.get("text")),
        finish=_finish(choice.get("finish_reason")),
        prompt_tokens=whole(usage.get("prompt_tokens")),
        reused_tokens=_reused(usage, _mapping(said.get("timings"))),
        generated_tokens=whole(usage.get("completion_tokens")),
        progress=_progress(_mapping(said.get("prompt_progress"))),
        drawn=_drawn(_mapping(choice.get("logprobs"))),
    )


def reason(said: object) -> str:
    """A server's own words about an error: one line, short, nothing that is not text."""
    if isinstance(said, str):
        try:
            return reason(json.loads(said, strict=False))
        except ValueError:
            return printable(said)
    if isinstance(said, list):  # A list of fields that were wrong.
        return "; ".join(map(reason, said))[:_LONGEST_REASON]
    if not isinstance(said, Mapping):
        return printable(str(said))
    if "loc" in said and "msg" in said:
        field = _sequence(said["loc"])[-1:]
        return printable(f"{field[0]}: {said['msg']}" if field else said["msg"])
    for key in ("error", "message", "detail", "msg"):
        if said.get(key):
            return reason(said[key])
    return printable(json.dumps(said))


def printable(text: object, longest: int = _LONGEST_REASON) -> str:
    """One line of plain characters, cut where it grows long."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def encodable(text: str) -> str:
    """Half a character pair cannot be written anywhere: it becomes a question mark."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def whole(value: object) -> int | None:
    """The value, where it is a count."""
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return value if is_count else None  # type: ignore[return-value]


def _reused(usage: Mapping[str, Any], timings: Mapping[str, Any]) -> int | None:
    """Tokens of the prompt that were evaluated before.

    llama-server's `timings` tell it, or how many were evaluated now; `usage` does elsewhere.
    """
    details = _mapping(usage.get("prompt_tokens_details"))
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
    return Evaluated(min(done, total) - reused, total - reused) if total > reused else None


def _drawn(said: Mapping[str, Any]) -> tuple[Drawn, ...]:
    """llama-server lists tokens with their alternatives, the others write four lists beside."""
    if isinstance(said.get("content"), list):
        return tuple(
            Drawn(
                Chance(_text(token.get("token")), _probability(token.get("logprob"))),
                tuple(
                    Chance(_text(other.get("token")), _probability(other.get("logprob")))
                    for other in _sequence(token.get("top_logprobs"))
                    if isinstance(other, dict)
                ),
            )
            for token in said["content"]
            if isinstance(token, dict)
        )
    tokens, chances = _sequence(said.get("tokens")), _sequence(said.get("token_logprobs"))
    others = _sequence(said.get("top_logprobs"))
    return tuple(
        Drawn(
            Chance(_text(token), _probability(chance)),
            _likeliest(_mapping(others[index]) if index < len(others) else {}),
        )
        for index, (token, chance) in enumerate(zip(tokens, chances, strict=False))
    )


def _likeliest(chances: Mapping[str, Any]) -> tuple[Chance, ...]:
    found = [Chance(_text(text), _probability(chance)) for text, chance in chances.items()]
    return tuple(sorted(found, key=lambda chance: -chance.probability))


def _probability(logarithm: object) -> float:
    return min(1.0, exp(min(0.0, logarithm))) if isinstance(logarithm, int | float) else 0.0


def _text(value: object) -> str:
    return encodable(value) if isinstance(value, str) else ""


def _first(value: object) -> Mapping[str, Any]:
    return _mapping(_sequence(value)[0]) if _sequence(value) else {}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _sequence(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
