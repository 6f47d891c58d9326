"""Whatever a person does, in any order: the model writes what a whole evaluation would write."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray

from shoritui.engine import Engine, EngineOptions
from shoritui.engine.interface import ContextMode
from tests.engine.adapter_file import write_adapter
from tests.engine.chat_play import REPLY, SCENE, TYPED, Play
from tests.engine.judge import Draw
from tests.engine.reference import LAYERS, MARGIN, Reference, in_full_precision, log_softmax

pytestmark = pytest.mark.slow

PLAYS: Final = int(os.environ.get("SHORITUI_TEST_PLAYS", "2"))
"""How many chats are played in each mode."""
SECONDS: Final = 60.0
"""No single act takes so long; one that does hangs."""

WORDS: Final = (
    "We leave at noon and not a minute later, she said.",
    "We leave at dawn and not a minute later, she said.",  # as many tokens, as after a typo
    '"Who goes there?" _Oh no._ *knock*',
    "😀 日本 é  two  spaces",
    "</s> [INST] ▀not a mark",
    "Yes.",
    "The fog came in over the quay, and nobody could see the bell any more that night.",
    "The fog came in over the quay, and nobody could see the boat any more that night.",
)
CANDIDATES: Final = (
    (" the", ' "', " Bram", " _", " *", " He", " She", " 😀", " And", "\n", " Ada"),
    (' "Who', ' "What', ' "', " it", " it"),
    (" nobody", " not", " no"),
)
"""What is scored; some of it begins alike."""
Act = tuple[str, dict[str, Any]]
"""A method of `Play` and its arguments."""


def text(random: Random) -> str:
    return " " + random.choice(WORDS)


def draw(random: Random) -> Draw:
    return Draw(random.choice([0.0, 0.0, 1.0, 2.0]), random.randrange(100))


def limit(random: Random) -> int:
    return random.randint(1, 14)


def index(random: Random) -> int:
    return random.randrange(20)


def moment(random: Random) -> float:
    return random.choice([0.0, 0.002, 0.005, 0.01, 0.02, 0.04, 0.08])


def instant(random: Random) -> float:
    return random.uniform(0, 0.005)


def yes(random: Random) -> bool:
    return random.random() < 0.5


def up_to(most: int) -> Callable[[Random], int]:
    return lambda random: random.randint(0, most)


def one_of(*choices: Any) -> Callable[[Random], Any]:
    return lambda random: random.choice(choices)


ACTS: Final[dict[str, dict[str, Callable[[Random], Any]]]] = {
    "say": {"text": text},
    "write": {"draw": draw, "max_tokens": limit},
    "swipe": {"draws": lambda random: [draw(random), draw(random)], "max_tokens": limit},
    "go_on": {"draw": draw, "max_tokens": limit},
    "edit": {"index": index, "text": text},
    "delete": {"count": up_to(3)},
    "trim": {},
    "trim_ahead": {},
    "trim_cancelled": {"delay": instant, "draw": draw, "max_tokens": limit},
    "fill": {"text": text, "draw": draw},
    "write_too_much": {},
    "branch": {},
    "switch": {"index": index},
    "score": {"candidates": one_of(*CANDIDATES)},
    "prefill": {"idle": yes, "opened": yes},
    "write_meanwhile": {"delay": moment, "draw": draw, "max_tokens": limit},
    "type_ahead": {"text": text, "back": up_to(4), "waiting": yes},
    "write_interrupted": {
        "how": one_of("cancel", "leave"),
        "after": up_to(3),
        "draw": draw,
        "max_tokens": limit,
    },
    "write_idle": {"delay": one_of(None, 0.0, 0.01), "draw": draw, "max_tokens": limit},
    "kill": {"delay": moment},
    "write_killed": {"delay": moment, "draw": draw, "max_tokens": limit},
    "prefill_killed": {"delay": moment, "idle": yes},
    "reopen": {"spoiled": one_of("", "", "torn", "flipped", "foreign", "gone")},
    "adapt": {"scales": one_of((0.0, 0.0), (0.0, 0.0), (0.05, 0.0), (0.03, 0.05))},
    "rest": {},
    "come_back": {"draw": draw, "max_tokens": limit},
}
"""What may happen, and how its arguments are drawn. What is drawn never depends on what was
written, which the moment of a kill may change."""
OFTEN: Final = (
    *("write", "write", "write", "say", "say", "swipe", "edit", "branch", "switch", "switch"),
    *(
        "type_ahead",
        "trim_ahead",
        "score",
        "score",
        "write_idle",
        "adapt",
        "reopen",
        "rest",
        "rest",
    ),
)
"""What happens more often than once."""


def drawn_acts(seed: str) -> list[Act]:
    """What happens in one chat: everything at least once."""
    random = Random(seed)
    names = random.sample([*ACTS, *OFTEN], len(ACTS) + len(OFTEN))
    return [
        (name, {argument: drawn(random) for argument, drawn in ACTS[name].items()})
        for name in names
    ]


async def played(
    acts: list[Act],
    model: Path,
    reference: Reference,
    options: EngineOptions,
    adapters: list[Path],
) -> None:
    """Let it happen; a failure tells what had happened until then."""
    reference.forget_generated()
    reference.adapt([])
    play = Play(Engine(), reference, model, options, adapters)
    await play.engine.open(model, options)
    done: list[Act] = []
    try:
        for name, arguments in acts:
            done.append((name, arguments))
            result: Awaitable[None] | None = getattr(play, name)(**arguments)
            if result is not None:
                await asyncio.wait_for(result, SECONDS)
    except BaseException as error:
        error.add_note("after\n" + "".join(f"    {act},\n" for act in done))
        raise
    finally:
        await play.engine.close()


@pytest.fixture(scope="module", params=["exact", "shift"])
def mode(request: pytest.FixtureRequest) -> ContextMode:
    mode: ContextMode = request.param
    return mode


@pytest.fixture(scope="module")
def precise(mode: ContextMode, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp(mode) / "model.gguf"
    return in_full_precision(model, path, layers=LAYERS[mode])


@pytest.fixture(scope="module")
def reference(precise: Path) -> Iterator[Reference]:
    reference = Reference(precise)
    yield reference
    print(reference.agreement)
    reference.free()


@pytest.fixture(scope="module")
def adapters(precise: Path) -> list[Path]:
    paths = [precise.with_name(f"{number}.gguf") for number in range(2)]
    return [write_adapter(path, precise, seed=seed) for seed, path in enumerate(paths)]


@pytest.mark.parametrize("seed", range(PLAYS))
async def test_whatever_happens_the_model_writes_what_it_would_write(
    precise: Path,
    reference: Reference,
    adapters: list[Path],
    mode: ContextMode,
    tmp_path: Path,
    seed: int,
) -> None:
    options = EngineOptions(
        n_ctx=384,
        n_threads=1,
        context_mode=mode,
        kv_store=None if seed % 3 == 2 else tmp_path / "kv",
    )
    await played(drawn_acts(f"{mode} {seed}"), precise, reference, options, adapters)


def test_the_margin_is_above_the_noise_and_below_an_error(reference: Reference) -> None:
    document = [*SCENE, *(f"{TYPED} {text}▄\n" for text in WORDS * 2), REPLY]
    ids = reference.ids(document)
    whole = log_softmax(reference.rows(ids))

    def distance(logits: NDArray[np.float32]) -> float:
        return float(np.abs(log_softmax(logits) - whole).max())

    random = Random(1)
    for _ in range(8):
        steps = sorted(random.sample(range(1, len(ids)), 12))
        assert distance(reference.rows(ids, steps=steps)) < MARGIN / 4
    lacking = [[*document[:index], *document[index + 1 :]] for index in range(1, len(document) - 1)]
    moved = [distance(reference.rows(reference.ids(other))) for other in lacking]
    assert np.median(moved) > MARGIN
