"""Who speaks next when nobody was asked to: the character addressed, else the longest silent.

It does not know models: the choice is made from the cast and the story alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from shoritui.cards import Character
from shoritui.story import Entry


def mentions(text: str, names: Iterable[str]) -> int:
    """Where the last whole-word mention of any of the names begins, or -1; case is ignored."""
    last = -1
    for name in names:
        for match in re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE):
            last = max(last, match.start())
    return last


def next_speaker(cast: Sequence[Character], user: str, messages: Sequence[Entry]) -> str:
    """The name of the character whose turn it is.

    Args:
        cast: The scene's characters, in their order.
        user: The name the user speaks as, who never gets a turn of the model.
        messages: The story's messages, oldest first.

    Returns:
        The character that the last message names last, if any; else the one that has been
        silent longest, in the cast's order among those who have not spoken yet. The empty
        string if nobody but the user is there.
    """
    others = [character for character in cast if character.name != user]
    if not others:
        return ""
    last = messages[-1] if messages else None
    waiting = [c for c in others if last is None or c.name != last.speaker] or others
    if last is not None:
        named = {c.name: mentions(last.text, (c.name, *c.aliases)) for c in waiting}
        addressed = max(named, key=lambda name: named[name])
        if named[addressed] >= 0:
            return addressed
    spoke_at = {message.speaker: at for at, message in enumerate(messages)}
    return min(waiting, key=lambda c: spoke_at.get(c.name, -1)).name
