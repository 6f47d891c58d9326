"""Banned words and phrases: where one is complete, and how far what is written is safe to show.

Tokens are numbers with a text here; taking back is the caller's work.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

TRIES: Final = 12
"""How often a phrase is taken back at one place; then it is let through."""


@dataclass(frozen=True, slots=True)
class _Begun:
    """A phrase whose first characters stand at the end of what is written."""

    phrase: str
    matched: int
    start: int
    """Where it begins in the message's text."""

    @property
    def whole(self) -> bool:
        return self.matched == len(self.phrase)


@dataclass(frozen=True, slots=True)
class _Place:
    """Between two tokens: what is known there."""

    length: int
    """Of the message's text so far."""
    before: str
    """The last character, also of what came before the message."""
    begun: tuple[_Begun, ...]
    clean: bool
    """Whether no character is half written."""


class BannedPhrases:
    """Follows one message token by token; a place is a number of tokens before it."""

    def __init__(self, banned: Sequence[str], before: str) -> None:
        """Watch for these texts; `before` is the last character before the message."""
        self._phrases = _by_first_character(tuple(banned))
        self._places = [_Place(0, before, (), clean=True)]
        self._never: dict[int, set[int]] = {}
        self._tries: Counter[int] = Counter()
        self._let_through: set[int] = set()

    @property
    def safe(self) -> int:
        """How many tokens no phrase, complete or not, can take back any more."""
        place, earlier = len(self._places), len(self._places) - 1
        while earlier < place:
            # Once it has gone back there, what is begun there can be gone on with.
            place = earlier
            begun = self._places[place].begun
            starts = [each.start for each in begun if each.start not in self._let_through]
            earlier = self._token_at(min(starts, default=self._places[place].length))
        return place

    def never(self) -> set[int]:
        """The tokens that may not be drawn at the present place."""
        return self._never.get(len(self._places) - 1, set())

    def feed(self, text: str, *, clean: bool) -> int | None:
        """Take one more token; return the place to go back to, if a phrase is complete.

        `clean`: no character of it is left half written.
        """
        last = self._places[-1]
        before, begun = last.before, last.begun
        starts: list[int] = []
        for offset, character in enumerate(text, last.length):
            begun, whole = self._step(begun, before, character, offset)
            starts += whole
            before = character
        self._places.append(_Place(last.length + len(text), before, begun, clean))
        return self._back_to(starts)

    def end(self) -> int | None:
        """The message ends here. Returns the place to go back to, if that completes a phrase."""
        return self._back_to([each.start for each in self._places[-1].begun if each.whole])

    def back(self, place: int, token: int) -> None:
        """The tokens from `place` on are taken back; `token`, the first of them, was wrong."""
        del self._places[place + 1 :]
        self._never = {at: ids for at, ids in self._never.items() if at <= place}
        self._never.setdefault(place, set()).add(token)
        self._tries[place] += 1
        length = self._places[-1].length
        self._let_through = {start for start in self._let_through if start < length}

    def _back_to(self, starts: Sequence[int]) -> int | None:
        for start in sorted(starts):
            place = self._token_at(start)
            if start in self._let_through:
                continue
            if self._tries[place] < TRIES:
                return place
            self._let_through.add(start)
        return None

    def _token_at(self, start: int) -> int:
        """The token that a character is written by; where several are, the first."""
        place = bisect_right(self._places, start, key=lambda each: each.length) - 1
        while not self._places[place].clean:
            place -= 1
        return place

    def _step(
        self, begun: tuple[_Begun, ...], before: str, character: str, offset: int
    ) -> tuple[tuple[_Begun, ...], list[int]]:
        """What is begun after one more character, and where the phrases begin that are whole."""
        goes_on, whole = [], []
        folded = _folded(character)
        new = self._phrases.get(folded[0], ())
        for each in (*begun, *(_Begun(phrase, 0, offset) for phrase in new)):
            if each.whole:  # it ends with a letter: this character says whether the word does
                if not character.isalnum():
                    whole.append(each.start)
            elif not each.matched and before.isalnum() and each.phrase[0].isalnum():
                pass  # in mid-word
            elif (longer := _matched(each, folded)) is not None:
                if longer.whole and not longer.phrase[-1].isalnum():
                    whole.append(longer.start)
                else:
                    goes_on.append(longer)
        return tuple(goes_on), whole


def _matched(each: _Begun, folded: str) -> _Begun | None:
    if each.phrase.startswith(folded, each.matched):
        return _Begun(each.phrase, each.matched + len(folded), each.start)
    if folded == " " and each.matched and each.phrase[each.matched - 1] == " ":
        return each  # more white space is still the same space
    return None


def _folded(character: str) -> str:
    return " " if character.isspace() else character.casefold()


@lru_cache(maxsize=4)
def _by_first_character(banned: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """The phrases as they are compared, under their first characters."""
    found: dict[str, list[str]] = {}
    for text in banned:
        phrase = " ".join(text.split()).casefold()
        if phrase:
            found.setdefault(phrase[0], []).append(phrase)
    return {first: tuple(dict.fromkeys(phrases)) for first, phrases in found.items()}
