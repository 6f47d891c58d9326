"""The spans of a message's prose: dialogue, thoughts, sounds, emphasis, loud words, quotes.

    *Creak.* "Who is there?" she asked. _Not again_, she thought.
    sound    dialogue                   thought

A mark that is still open runs to the end of its line, or, of dialogue, to the end of its
paragraph; only fences span those. A lost quote mark heals: one that can only open, after a space
and before a letter, begins a new speech, whatever was open.

Text may arrive in pieces of any size: since no decision looks further ahead than `_LOOKAHEAD`
characters, a piece costs what it and the last few characters cost, however long the message is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias

ProseKind = Literal[
    "narration", "dialogue", "thought", "sound", "emphasis", "quote", "loud", "cited", "fence"
]
Kinds: TypeAlias = tuple[ProseKind, ...]

_LOOKAHEAD = 6  # The longest look: three spaces and three backticks at a line's start.
_RUN = 40  # A longer word or run of blanks is taken in pieces, to bound what is looked at again.
_PLAIN = rf"[a-z ,.;:?!]{{0,{2 * _RUN}}}[ ,.;:?!]"  # Most of a text: whole words, none loud.
_TOKEN = re.compile(
    rf"{_PLAIN}|\n|\*\*|[*_\"“”„«»]|''|[^\W_]{{1,{_RUN}}}(?:'[^\W_]{{1,{_RUN}}})?"
    rf"|[^\w\n*\"“”„«»']{{1,{_RUN}}}|'"
)
_FENCE_LINE = re.compile(r" {0,3}```")
_CITED_LINE = re.compile(r" {0,3}>")
_QUOTES: Final = frozenset('"“”„«»')
_MARKS: Final[dict[str, ProseKind]] = {
    **dict.fromkeys(_QUOTES, "dialogue"),
    "''": "quote",
    "**": "emphasis",
    "*": "sound",
    "_": "thought",
}


@dataclass(frozen=True, slots=True)
class Span:
    """A run of characters `[start, end)` of one look; offsets count code points."""

    start: int
    end: int
    kinds: Kinds
    """Outermost first; narration is the empty tuple."""


class _State(NamedTuple):
    """What the characters before a position say about the characters after it."""

    open_kinds: Kinds = ()
    at_line_start: bool = True
    fence: Literal["none", "opening", "inside", "closing"] = "none"
    before: str = "\n"


class ProseLexer:
    """Finds the spans of a text that arrives in pieces.

    `spans` are, after every `feed`, those that `lex` finds in the whole text so far.
    """

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.text_length = 0
        self._tail = ""  # The text whose spans a later piece may still change.
        self._tail_start = 0
        self._state = _State()
        self._settled = 0  # How many spans end before the tail, and the one that ends with it.
        self._last_settled: Span | None = None

    def feed(self, text: str) -> int:
        """Take the next piece; return the offset from which spans may have changed."""
        changed_from = self._tail_start
        self.text_length += len(text)
        self._tail += text
        self._forget_tail()
        self._lex_tail()
        return changed_from

    def _forget_tail(self) -> None:
        del self.spans[self._settled :]
        if self._last_settled is not None:
            self.spans.append(self._last_settled)

    def _lex_tail(self) -> None:
        tail, state, at = self._tail, self._state, 0
        settled_at, settled_state = 0, state
        final = len(tail) - _LOOKAHEAD
        while at < len(tail):
            if state.at_line_start:
                state = _begin_line(state, tail, at)
            token, kinds, state = _next(state, tail, at)
            self._append(self._tail_start + at, self._tail_start + at + len(token), kinds)
            at += len(token)
            if at <= final:
                settled_at, settled_state = at, state
                self._remember_settled()
        self._tail, self._state = tail[settled_at:], settled_state
        self._tail_start += settled_at

    def _append(self, start: int, end: int, kinds: Kinds) -> None:
        if self.spans and self.spans[-1].kinds == kinds:
            start = self.spans.pop().start
        self.spans.append(Span(start, end, kinds))

    def _remember_settled(self) -> None:
        self._settled, self._last_settled = len(self.spans) - 1, self.spans[-1]


def lex(text: str) -> list[Span]:
    """Return the spans of a text: in order, without gaps, neighbours always of other kinds."""
    lexer = ProseLexer()
    lexer.feed(text)
    return lexer.spans


def _begin_line(state: _State, text: str, at: int) -> _State:
    is_fence_line = bool(_FENCE_LINE.match(text, at))
    if state.fence == "inside":
        return _State((), False, "closing" if is_fence_line else "inside", state.before)
    if is_fence_line:
        return _State((), False, "opening", state.before)
    kinds: Kinds = ("cited",) if _CITED_LINE.match(text, at) else state.open_kinds
    return _State(kinds, False, "none", state.before)


def _next(state: _State, text: str, at: int) -> tuple[str, Kinds, _State]:
    """Return the token at `at`, its kinds, and the state after it."""
    match = _TOKEN.match(text, at)
    token = match[0] if match else text[at]
    if token == "\n":
        fence: Literal["none", "inside"] = (
            "inside" if state.fence in ("opening", "inside") else "none"
        )
        speech: Kinds = ("dialogue",) if _goes_on(state, text, at) else ()
        kinds: Kinds = ("fence",) if state.fence != "none" else speech
        return token, kinds, _State(speech, True, fence, "\n")
    if state.fence != "none":
        return token, ("fence",), _State((), False, state.fence, token[-1])
    kind = _MARKS.get(token)
    after = text[at + len(token) : at + len(token) + 1]
    if token in _QUOTES and "dialogue" in state.open_kinds and _only_opens(state.before, after):
        inside = state.open_kinds[: state.open_kinds.index("dialogue") + 1]
        return token, inside, _State(inside, False, "none", token)
    if kind and kind in state.open_kinds:
        if _may_close(token, state.before, after):
            outside = state.open_kinds[: state.open_kinds.index(kind)]
            return token, state.open_kinds, _State(outside, False, "none", token[-1])
    elif kind and _may_open(token, state.before, after):
        inside = (*state.open_kinds, kind)
        return token, inside, _State(inside, False, "none", token[-1])
    kinds = (*state.open_kinds, "loud") if _is_loud(token) else state.open_kinds
    return token, kinds, _State(state.open_kinds, False, "none", token[-1])


def _goes_on(state: _State, text: str, at: int) -> bool:
    """Return whether a speech goes on behind the newline at `at`: no blank line follows."""
    is_speech = state.fence == "none" and "dialogue" in state.open_kinds
    return is_speech and not state.at_line_start and text[at + 1 : at + 2] != "\n"


def _only_opens(before: str, after: str) -> bool:
    """Return whether a quote mark between these two can only be the beginning of a speech."""
    return before.isspace() and after.isalnum()


def _may_open(mark: str, before: str, after: str) -> bool:
    if mark in _QUOTES:
        return before.isspace() or before in "([{—–" or not (after.isspace() or not after)
    follows_word = before.isalnum() or (mark == "_" and before == "_")
    return not after.isspace() and not follows_word


def _may_close(mark: str, before: str, after: str) -> bool:
    if mark == "_":
        return not before.isspace() and not after.isalnum()
    return True


def _is_loud(token: str) -> bool:
    if token.islower():
        return False
    letters = [character for character in token if character.isalpha()]
    return len(letters) > 1 and token[0].isalnum() and all(map(str.isupper, letters))
