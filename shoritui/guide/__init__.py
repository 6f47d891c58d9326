"""The manual: one Markdown page a topic, for the web, for `shoritui help` and for F1 in the app.

    topics()       (Topic("playing", "Playing a story"), Topic("keys", ...), ...)
    text("cards")  "# Scenes and characters\\n\\nA card is a TOML file ..."

A link from page to page is `[Settings](settings.md)`. Tables between `<!-- generated: NAME -->` and
`<!-- end -->` are written from the code by `python -m tests.guide`; a test holds them equal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shoritui.errors import UserError
from shoritui.text import closest

_NAMES: Final = (
    *("playing", "keys", "cards", "library", "taking-along", "browser", "linear"),
    *("models", "gpu", "servers", "adapters", "samplers", "settings"),
    *("training", "training-data", "training-step"),
    *("promises", "prompt", "cache", "benchmarks", "eval", "scripts", "install", "architecture"),
)
_FOLDER: Final = Path(__file__).parent
_MARKER: Final = re.compile(r"<!-- .*? -->\n?")


@dataclass(frozen=True, slots=True)
class Topic:
    """A page of the guide."""

    name: str
    """What `shoritui help` calls it; its file is `NAME.md`."""
    title: str


def names() -> tuple[str, ...]:
    """Return the name of every topic, without reading a page."""
    return _NAMES


def topics() -> tuple[Topic, ...]:
    """Return every topic, in the order in which a newcomer reads them."""
    return tuple(Topic(name, text(name).partition("\n")[0].removeprefix("# ")) for name in _NAMES)


def text(topic: str) -> str:
    """Return a topic's page as Markdown.

    Raises:
        UserError: There is no such topic.
    """
    return _MARKER.sub("", (_FOLDER / f"{name_of(topic)}.md").read_text(encoding="utf-8"))


def name_of(topic: str) -> str:
    """Return the name of a topic as somebody wrote it; `UserError` if there is no such topic."""
    name = topic.lower().removesuffix(".md")
    if name not in _NAMES:
        raise _unknown(topic)
    return name


def misspelt(topic: str) -> str:
    """Return the topic that a word which is none resembles; empty if it is one, or like none."""
    return "" if topic.lower().removesuffix(".md") in _NAMES else closest(topic, _NAMES)


def _unknown(topic: str) -> UserError:
    near = closest(topic, _NAMES)
    hint = f"did you mean {near}?" if near else f"expected one of {', '.join(_NAMES)}."
    return UserError(f"The guide has no topic {topic!r}: {hint}")
