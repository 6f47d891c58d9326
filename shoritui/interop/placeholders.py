"""Names in place of `{{user}}` and `{{char}}`, which other programs keep in what was said."""

from __future__ import annotations

import re
from typing import Final

_PLACEHOLDER: Final = re.compile(r"\{\{(user|char)\}\}|<(user|bot|char)>", re.IGNORECASE)


def with_names(text: str, user: str, char: str) -> str:
    """Return a text with names where it has `{{user}}`, `{{char}}`, `<USER>` or `<BOT>`."""

    def name(found: re.Match[str]) -> str:
        return user if (found[1] or found[2]).lower() == "user" else char

    return _PLACEHOLDER.sub(name, text)
