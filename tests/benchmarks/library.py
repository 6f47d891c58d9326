"""What the library costs as stories grow: saving, searching, the tree, the list of stories."""

from __future__ import annotations

import gc
import random
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from shoritui.benchmark import Aim, Figure, benchmark
from shoritui.story import Draft, Library
from shoritui.tui.chat.tree_rows import tree_rows
from tests.benchmarks._story import text, write_story

ROUNDS = 100
CHATS, EACH = 200, 500
WORDS = ("lantern ferry", "harbour", '"the fog"', "Number 499.", "zyx", "of", "bell rope")


@benchmark(
    Aim("save_ms", "ms", "< 5"),
    Aim("save_cpu_ms", "ms"),
    Aim("save_10k_100", "ratio", "<= 1.5"),
    Aim("read_path_ms", "ms"),
    Aim("tree_ms", "ms", "< 50"),
    Aim("tree_jump_ms", "ms", "< 50"),
)
def long_story() -> dict[str, Figure]:
    """One story of 10,000 messages with versions and branches, beside one of 100."""
    with tempfile.TemporaryDirectory() as folder, closing(_library(folder)) as library:
        long, short = write_story(library, 10_000), write_story(library, 100)
        gc.collect()
        gc.freeze()  # as the app does with what is there when a story is opened
        dice = random.Random(2)
        saved: dict[int, list[float]] = {long: [], short: []}
        processor: list[float] = []
        for number in range(ROUNDS):
            for chat in (long, short):
                draft = Draft("message", "Maren", text(dice, number))
                started = time.process_time()
                saved[chat].append(_ms(partial(library.append, chat, draft)))
                processor += [1000 * (time.process_time() - started)] if chat == long else []
        ends = [node.id for node in library.tree(long) if not node.active][-1], None
        head = library.chat(long).head
        jumps = []
        for number in range(20):
            end = head if number % 2 else ends[0]
            jumps.append(_ms(partial(library.go_to, end, long)))
        return {
            "save_ms": Figure(saved[long]),
            "save_cpu_ms": Figure(processor),
            "save_10k_100": Figure([a / b for a, b in zip(*saved.values(), strict=True)]),
            "read_path_ms": Figure([_ms(lambda: library.entries(long)) for _ in range(9)]),
            "tree_ms": Figure([_ms(lambda: tree_rows(library.tree(long))) for _ in range(9)]),
            "tree_jump_ms": Figure(jumps),
        }


@benchmark(Aim("search_ms", "ms", "< 100"), Aim("search_worst_ms", "ms"), Aim("list_ms", "ms"))
def many_stories() -> dict[str, Figure]:
    """100,000 messages in 200 chats."""
    with tempfile.TemporaryDirectory() as folder, closing(_library(folder)) as library:
        for number in range(CHATS):
            write_story(library, EACH, characters=300, seed=number)
        times = {words: [_ms(partial(library.search, words)) for _ in range(5)] for words in WORDS}
        worst = max(times, key=lambda words: sorted(times[words])[2])
        return {
            "search_ms": Figure([each for found in times.values() for each in found]),
            "search_worst_ms": Figure(times[worst], f"It is {worst!r}."),
            "list_ms": Figure([_ms(library.summaries) for _ in range(9)]),
        }


def _library(folder: str) -> Library:
    return Library(Path(folder) / "data" / "library.db")


def _ms(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - started)
