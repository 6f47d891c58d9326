"""One message that a server writes: its text up to a block mark, its end, its figures.

It does not know the wire, nor what was asked for beyond a number of tokens.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

from shoritui.engine.interface import Drawn, Evaluation, Outcome, Stop, Text
from shoritui.engine.remote.pieces import Piece
from shoritui.engine.sampling import Sampling

MARKS: Final = ("▄", "▀")
"""The texts at which a message ends; both are sent as stop texts, and cut off here in any case."""


class Message:
    """A message while its pieces arrive."""

    def __init__(self) -> None:
        self._started = self._first = self._last = perf_counter()
        self._parts: list[str] = []
        self._tokens = 0
        self._finish = ""
        self._prompt: int | None = None
        self._reused: int | None = None
        self._generated: int | None = None
        self.marked = False
        """Whether a block mark came."""

    @property
    def ended(self) -> bool:
        """Whether its text is whole; figures may still follow."""
        return self.marked or bool(self._finish)

    @property
    def has_text(self) -> bool:
        """Whether anything of it came."""
        return bool(self._parts)

    def take(self, pieces: Sequence[Piece]) -> Text | None:
        """The new text of pieces that came together."""
        text, tokens, drawn = "", 0, list[Drawn]()
        for piece in pieces:
            if piece.text and not self.ended:
                text += self._until_mark(piece.text)
                tokens += 1
                drawn += piece.drawn
            self._note(piece)
        if not text:
            return None
        if not self._parts:
            self._first = perf_counter()
        self._last = perf_counter()
        self._parts.append(text)
        self._tokens += tokens
        return Text(text, tokens, tuple(drawn))

    def outcome(self, stop: Stop | None, prompt: int, room: int, asked: int) -> Outcome:
        """How it ended: as `stop` says, else as the server said.

        Args:
            stop: Why it was ended from here, if it was.
            prompt: Our own count of the prompt's tokens, for servers that tell none.
            room: The tokens that were left for it in the context.
            asked: The tokens that were asked for.
        """
        prompt = prompt if self._prompt is None else self._prompt
        new, seconds = self._new_tokens(), self._last - self._first
        return Outcome(
            stop=stop or self._stop(new, min(room, asked), asked),
            text="".join(self._parts),
            prompt_tokens=prompt,
            reused_tokens=self._reused or 0,
            evaluated_tokens=0 if self._reused is None else prompt - self._reused,
            generated_tokens=new,
            first_token_ms=1000 * (self._first - self._started) if self._parts else 0.0,
            tokens_per_second=(new - 1) / seconds if new > 1 and seconds else 0.0,
        )

    def evaluation(self) -> Evaluation:
        """What it took to have the prompt evaluated, as far as the server told."""
        prompt, reused = self._prompt or 0, self._reused or 0
        evaluated = 0 if self._reused is None else prompt - reused
        return Evaluation(reused, evaluated, True)

    def _until_mark(self, text: str) -> str:
        for mark in MARKS:
            before, found, _ = text.partition(mark)
            if found:
                text, self.marked = before, True
        return text

    def _note(self, piece: Piece) -> None:
        self._finish = self._finish or piece.finish
        for name in ("prompt", "reused", "generated"):
            value = getattr(piece, f"{name}_tokens")
            if value is not None:
                setattr(self, f"_{name}", value)

    def _new_tokens(self) -> int:
        """What the server counted, less the token at which it stopped; else what came."""
        if not self._generated or not self._parts:
            return self._tokens
        return max(1, self._generated - (self._finish == "stop"))

    def _stop(self, new: int, limit: int, asked: int) -> Stop:
        if self.marked or self._finish != "length":
            return "block_end"
        return "context_full" if limit < asked and new + 1 >= limit else "token_limit"


@dataclass(slots=True)
class Generation:
    """A call for a message: what was asked, and what has become of it."""

    texts: Sequence[str]
    sampling: Sampling
    max_tokens: int
    names: Sequence[str]
    likeliest: int
    message: Message = field(default_factory=Message)
    key: str = field(default_factory=lambda: secrets.token_hex(8))
    """Names the request to servers that are told which one to end."""
    prompt_tokens: int = 0
    room: int = 0

    @property
    def prompt(self) -> str:
        """What the model reads."""
        return "".join(self.texts)

    @property
    def limit(self) -> int:
        """The most tokens to write."""
        return min(self.max_tokens, self.room)

    def outcome(self, stop: Stop | None = None) -> Outcome:
        """How it ended: as `stop` says, else as the server said."""
        return self.message.outcome(stop, self.prompt_tokens, self.room, self.max_tokens)
