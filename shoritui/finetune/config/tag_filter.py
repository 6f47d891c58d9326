"""Choose conversations by their tags: the filter of a tier's `where`.

parse_where("not explicit and (magic or 'high seas')").allows(["Magic", "calm"])  ->  True
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

Operator = Literal["and", "or", "not"]

_TOKEN = re.compile(r"""([()])|"([^"]*)"|'([^']*)'|([^\s()"']+)""")
_OPERATORS: Final[dict[str, Operator]] = {"or": "or", "and": "and", "not": "not"}
_BINDS: Final[dict[Operator | None, int]] = {None: 0, "or": 1, "and": 2, "not": 3}
_EXPECTED: Final = 'a tag (in quotation marks if it has several words), "not" or "("'


class WhereError(ValueError):
    """Text that is no filter: the message says the column and what was expected."""


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag that is asked for, folded."""

    name: str


@dataclass(frozen=True, slots=True)
class Where:
    """A filter, ready to be asked."""

    steps: tuple[Tag | Operator, ...] = ()
    """What to do in turn with a stack of answers; nothing at all lets everything through."""

    def allows(self, tags: Iterable[str]) -> bool:
        """Return whether a conversation with these tags passes; capitals do not matter."""
        present = {folded(tag) for tag in tags}
        answers: list[bool] = []
        for step in self.steps:
            if isinstance(step, Tag):
                answers.append(step.name in present)
            elif step == "not":
                answers.append(not answers.pop())
            else:
                right, left = answers.pop(), answers.pop()
                answers.append((left and right) if step == "and" else (left or right))
        return all(answers)


def folded(tag: str) -> str:
    """Return the tag as it is compared: without capitals, and with single spaces."""
    return " ".join(tag.split()).casefold()


def parse_where(text: str) -> Where:
    """Return the filter that a text describes; `not` binds before `and`, and that before `or`.

    Raises:
        WhereError: It is none.
    """
    parser = _Parser(text)
    return Where(parser.read()) if text.strip() else Where()


class _Parser:
    """Puts operators behind what they join, with a stack of those that wait."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._steps: list[Tag | Operator] = []
        self._waiting: list[tuple[Operator | None, int]] = []
        """Operators and open parentheses (None), each with its place."""

    def read(self) -> tuple[Tag | Operator, ...]:
        wants_tag = True
        at = 0
        while (begin := _gap_end(self._text, at)) < len(self._text):
            match = _TOKEN.match(self._text, begin)
            if match is None:
                raise _error(begin, "this quotation mark is never closed")
            at = match.end()
            take = self._take_tag if wants_tag else self._take_joint
            wants_tag = take(match, begin)
        if wants_tag:
            raise _error(len(self._text), f"expected {_EXPECTED}, not the end")
        self._settle(1)
        if self._waiting:
            raise _error(self._waiting[-1][1], 'this "(" is never closed')
        return tuple(self._steps)

    def _take_tag(self, match: re.Match[str], begin: int) -> bool:
        """Take what may begin a condition; return whether one must still follow."""
        operator = _operator(match)
        if match[1] == "(" or operator == "not":
            self._waiting.append((operator, begin))
            return True
        if match[1] or operator:
            raise _error(begin, f'expected {_EXPECTED}, not "{match[1] or operator}"')
        name = folded(match[2] or match[3] or match[4] or "")
        if not name:
            raise _error(begin, "expected a tag between the quotation marks")
        self._steps.append(Tag(name))
        return False

    def _take_joint(self, match: re.Match[str], begin: int) -> bool:
        """Take what may follow a condition; return whether another must follow that."""
        operator = _operator(match)
        if operator in ("and", "or"):
            self._settle(_BINDS[operator])
            self._waiting.append((operator, begin))
            return True
        if match[1] != ")":
            hint = "a tag of several words stands in quotation marks"
            raise _error(begin, f'expected "and", "or" or ")", not {match[0]}; {hint}')
        self._settle(1)
        if not self._waiting:
            raise _error(begin, 'no "(" belongs to this ")"')
        self._waiting.pop()
        return False

    def _settle(self, least: int) -> None:
        """Let the operators act that wait and bind at least so firmly."""
        while self._waiting and _BINDS[self._waiting[-1][0]] >= least:
            operator, _ = self._waiting.pop()
            if operator:
                self._steps.append(operator)


def _gap_end(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _operator(match: re.Match[str]) -> Operator | None:
    return _OPERATORS.get((match[4] or "").casefold())


def _error(at: int, sentence: str) -> WhereError:
    return WhereError(f"column {at + 1}: {sentence}")
