"""How likely candidates are next, as far as a server's likeliest tokens say."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby
from math import inf, log
from typing import Final

from shoritui.engine.interface import TokenLogprob

TopLogprobs = Callable[[str], Awaitable[Sequence[TokenLogprob]]]
"""Ask for the likeliest tokens after a prompt."""

_LEAST: Final = log(1e-30)


async def scores(top_logprobs: TopLogprobs, prompt: str, candidates: Sequence[str]) -> list[float]:
    """Return the candidates' scores, as `RemoteEngine.score` says."""
    found: dict[str, float] = {}
    await _branch(top_logprobs, prompt, "", sorted(set(candidates)), 0.0, found)
    return [found[candidate] for candidate in candidates]


async def _branch(
    top_logprobs: TopLogprobs,
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
    top = [each for each in await top_logprobs(prompt + read) if each.text]
    least = min((each.logprob for each in top), default=-inf)
    begun = [(_beginning(each[len(read) :], top), each) for each in longer]
    for beginning, group in groupby(sorted(begun), key=lambda each: each[0]):
        same = [each for _, each in group]
        text, logprob = beginning or ("", least)
        likelihood = score + max(logprob, _LEAST)
        if text and len(same) > 1:
            await _branch(top_logprobs, prompt, read + text, same, likelihood, found)
        else:
            found.update((each, likelihood) for each in same)


def _beginning(text: str, top: Sequence[TokenLogprob]) -> tuple[()] | tuple[str, float]:
    """The longest of the tokens that the text begins with, and its logprob, if there is one.

    Some servers tell tokens without the space before them.
    """
    for before in ("", " "):
        begins = [each for each in top if text.startswith(before + each.text)]
        if begins:
            longest = max(begins, key=lambda each: len(each.text))
            return before + longest.text, longest.logprob
    return ()
