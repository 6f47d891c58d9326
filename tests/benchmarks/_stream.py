"""The app with a reply that streams at 200 tokens a second for as long as it runs.

Everything is the app's own but the engine, in whose place the events of a turn are replayed; with
the argument `still` nothing is.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections.abc import AsyncGenerator

from shoritui.director import Event, TurnStarted, Wrote
from shoritui.settings import Settings
from shoritui.story import Entry
from shoritui.tui.chat.app import ShoriTUI

TOKENS_PER_SECOND = 200
TOKENS_PER_MESSAGE = 300
WORDS = ["", '"streaming', 'now,"', "said", "**Maren**,", "and", "_nobody_", "heard", "*clank*."]


class Streaming(ShoriTUI):
    """The app, its model replaced by a recording."""

    async def _load_model(self) -> None:
        self.performance.play(_replies())


async def _replies() -> AsyncGenerator[Event]:
    for number in itertools.count(10_000_000):
        entry = Entry(number, None, "message", "Maren", "long", "", "streaming", time.time(), 0)
        yield TurnStarted(entry, "Maren", "long")
        started = time.perf_counter()
        for token in range(TOKENS_PER_MESSAGE):
            due = started + token / TOKENS_PER_SECOND
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            yield Wrote(number, WORDS[token % len(WORDS)] + " ")


class Still(ShoriTUI):
    """The app without a model."""

    async def _load_model(self) -> None:
        pass


if __name__ == "__main__":
    (Still if "still" in sys.argv[1:] else Streaming)(Settings()).run()
