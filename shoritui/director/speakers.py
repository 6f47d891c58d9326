"""Whose turn it is when nobody was asked to speak.

    choose    nobody's, until you choose
    in-turn   the next one of the cast
    natural   whoever was addressed; else whoever has been silent longest for how much they talk
    pooled    one of those who have not spoken since you did; then yours
    model     whoever is likeliest by the model's word and by what the story shows

The user's own character has turns like any other; the model never writes them. Who is absent or
muted has none, who speaks only when named has one after a message that names them, and a whisper
is answered by one of those who heard it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import exp
from random import Random
from typing import Final

from shoritui.cards import Character
from shoritui.names import who_is_called
from shoritui.settings import Strategy
from shoritui.story import Entry

_CALLED: Final = 1.1
_SILENCE: Final = (-3.5, 0.0, 0.35, 0.85, 0.1)
"""How much likelier it makes somebody to be called by the last message, and to have spoken last,
the last but one, ..., longer ago, or never: in logits, fitted to the 2,700 turns of the stories
that the storyteller learnt from (those held out say whether it holds: `shoritui eval`)."""
_HEARD: Final = 10_000
"""So many characters at a message's end are looked through for whom it calls: all of a message,
but not of a book that somebody pasted, and this is asked at every key."""
_NEVER: Final = len(_SILENCE) - 1
_SMALL: Final = 1_000_000_000
_SMALL_TRUST: Final = 0.2


def turn_order(
    strategy: Strategy,
    cast: Sequence[Character],
    user: str,
    last: Entry | None,
    spoke_at: Mapping[str, int],
    odds: Mapping[str, float] | None = None,
    absent: Collection[str] = (),
) -> list[str]:
    """Return everybody, the user included, whoever has the best claim to the turn first.

    Nobody follows themselves while others are there. The same story always gives the same order.

    Args:
        strategy: How turns are given.
        cast: The scene's characters, in their order.
        user: The name the user speaks as, whether in the cast or not.
        last: The story's last message, if there is one.
        spoke_at: Where the last message of each speaker stands in the story.
        odds: What the model thinks; until that is known, `model` goes by `natural`.
        absent: Who is not there.
    """
    if strategy == "choose":
        return []
    talks = {character.name: character.talkativeness for character in cast}
    talks.setdefault(user, 0)
    speaker = last.speaker if last is not None else ""
    drafted = set(draftable(cast, user, last, absent))
    if strategy == "in-turn":
        names = list(talks)
        at = names.index(speaker) + 1 if speaker in talks else 0
        return [name for name in names[at:] + names[:at] if name in drafted]
    waiting = [name for name in talks if name != speaker and name in drafted]
    rest = [name for name in talks if name == speaker and name in drafted]
    order = _order(strategy, cast, user, last, spoke_at, odds, waiting)
    heard = last.details.heard if last is not None else None
    if heard is not None:
        order.sort(key=lambda name: name not in heard)
    return order + rest


def draftable(
    cast: Sequence[Character], user: str, last: Entry | None, absent: Collection[str] = ()
) -> list[str]:
    """Return everybody who may have the turn after this message unasked, the user included."""
    names = [each.name for each in cast if each.name == user or _may_speak(each, cast, user, last)]
    return [name for name in dict.fromkeys([*names, user]) if name not in absent]


def _may_speak(
    character: Character, cast: Sequence[Character], user: str, last: Entry | None
) -> bool:
    if character.speaks != "when named" or last is None:
        return character.speaks == "freely"
    name, heard = character.name, last.details.heard
    return (heard is not None and name in heard) or bool(_called(cast, user, last, [name]))


def _order(
    strategy: Strategy,
    cast: Sequence[Character],
    user: str,
    last: Entry | None,
    spoke_at: Mapping[str, int],
    odds: Mapping[str, float] | None,
    waiting: Sequence[str],
) -> list[str]:
    """Return all who wait for the turn, whoever has the best claim first."""
    if strategy == "model" and odds is not None:
        return sorted(waiting, key=lambda name: -odds.get(name, 0))
    called = _called(cast, user, last, waiting)
    others = [name for name in waiting if name != user]
    users = [name for name in waiting if name == user]
    if strategy == "pooled":
        since = spoke_at.get(user, -1)
        pool = [name for name in others if spoke_at.get(name, -1) <= since]
        Random(last.id if last is not None else 0).shuffle(pool)
        pool.sort(key=lambda name: name != called)
        return [*pool, *users, *(name for name in others if name not in pool)]
    now = max(spoke_at.values(), default=0) + 1
    talks = {character.name: character.talkativeness for character in cast}
    # Each one speaks about as often as their talkativeness says: it is the pace of the wait.
    others.sort(key=lambda name: -talks[name] * (now - spoke_at.get(name, -1)))
    order = [*others, *users]
    return [called, *(name for name in order if name != called)] if called else order


def next_speaker(
    cast: Sequence[Character],
    user: str,
    last: Entry | None,
    spoke_at: Mapping[str, int],
    strategy: Strategy = "natural",
    absent: Collection[str] = (),
) -> str:
    """Return who of all but the user has the best claim to the turn; empty if nobody is there."""
    order = turn_order(strategy, cast, user, last, spoke_at, absent=absent)
    return next((name for name in order if name != user), "")


def shares(logprobs: Mapping[str, float]) -> dict[str, float]:
    """Return how likely each is to speak if it is one of them, from 0 to 1."""
    most = max(logprobs.values())
    weights = {name: exp(logprob - most) for name, logprob in logprobs.items()}
    return {name: each / sum(weights.values()) for name, each in weights.items()}


def trust_in(n_params: int) -> float:
    """Return how much a model's word on the speaker counts beside what the story shows.

    A small model, measured on the storyteller, is far surer of names than it is right. For larger
    ones, and those of unknown size, it is not measured: their word counts in full.
    """
    return _SMALL_TRUST if 0 < n_params < _SMALL else 1.0


def weighed(
    logprobs: Mapping[str, float],
    trust: float,
    cast: Sequence[Character],
    user: str,
    last: Entry | None,
    spoke_at: Mapping[str, int],
) -> dict[str, float]:
    """Return how likely each is to speak next, the model's word joined with the story's evidence.

    Args:
        logprobs: How likely the model finds each name.
        trust: How much that counts; see `trust_in`.
        cast: The scene's characters.
        user: The name the user speaks as.
        last: The story's last message, if there is one.
        spoke_at: Where the last message of each speaker stands in the story.
    """
    speaker = last.speaker if last is not None else ""
    called = _called(cast, user, last, [name for name in logprobs if name != speaker])
    newest_first = sorted(logprobs.keys() & spoke_at, key=lambda name: -spoke_at[name])
    silence = {name: min(at, _NEVER - 1) for at, name in enumerate(newest_first)}
    return shares(
        {
            name: trust * logprob
            + _SILENCE[silence.get(name, _NEVER)]
            + (_CALLED if name == called else 0)
            for name, logprob in logprobs.items()
        }
    )


def _called(cast: Sequence[Character], user: str, last: Entry | None, among: Sequence[str]) -> str:
    if last is None:
        return ""
    heard = last.details.heard
    among = among if heard is None else [name for name in among if name in heard]
    names = {user: (), **{character.name: character.aliases for character in cast}}
    return who_is_called(last.text[-_HEARD:], names, among)
