"""How likely texts are next, told from a server's likeliest tokens.

It does not know what the texts mean, nor who tells.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby
from math import log
from typing import Final

from shoritui.engine.interface import Chance

Likeliest = Callable[[str], Awaitable[Sequence[Chance]]]
"""The likeliest tokens after a prompt."""

_LEAST: Final = 1e-30


async def scores(likeliest: Likeliest, prompt: str, candidates: Sequence[str]) -> list[float]:
    """Log-probabilities of the candidates' beginnings, as far as these tell them apart.

    A candidate that begins with none of the likeliest tokens counts as the least likely of these.
    """
    found: dict[str, float] = {}
    await _branch(likeliest, prompt, "", sorted(set(candidates)), 0.0, found)
    return [found[candidate] for candidate in candidates]


async def _branch(
    likeliest: Likeliest,
    prompt: str,
    read: str,
    candidates: Sequence[str],
    score: float,
    found: dict[str, float],
) -> None:
    """Score candidates that all begin with `read`."""
    found.update((each, score) for each in candidates if each == read)
    longer = [each for each in candidates if each != read]
    if not longer:
        return
    chances = [chance for chance in await likeliest(prompt + read) if chance.text]
    least = min((chance.probability for chance in chances), default=0.0)
    begun = [(_beginning(each[len(read) :], chances), each) for each in longer]
    for beginning, group in groupby(sorted(begun), key=lambda each: each[0]):
        same = [each for _, each in group]
        text, probability = beginning or ("", least)
        likelihood = score + log(max(probability, _LEAST))
        if text and len(same) > 1:
            await _branch(likeliest, prompt, read + text, same, likelihood, found)
        else:
            found.update((each, likelihood) for each in same)


def _beginning(text: str, chances: Sequence[Chance]) -> tuple[()] | tuple[str, float]:
    """The longest of the tokens that the text begins with, and its probability, if there is one.

    Some servers tell tokens without the space before them.
    """
    for before in ("", " "):
        begins = [chance for chance in chances if text.startswith(before + chance.text)]
        if begins:
            longest = max(begins, key=lambda chance: len(chance.text))
            return before + longest.text, longest.probability
    return ()
