"""Whatever a person does, in any order: the model writes what a whole evaluation would write."""

from __future__ import annotations

import asyncio
import inspect
import os
import random
import tempfile
from collections.abc import Coroutine, Iterator
from pathlib import Path
from types import CoroutineType
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)
from numpy.typing import NDArray

from shoritui.engine import Engine, EngineOptions
from shoritui.engine.interface import ContextMode
from tests.engine.playing import REPLY, SCENE, TYPED, Draw, Interruption, Play
from tests.engine.reference import MARGIN, Reference, in_full_precision, log_softmax

EXAMPLES: Final = int(os.environ.get("SHORITUI_TEST_PLAYS", "0"))
"""How many chats are played in each mode; without it a few, the same ones each time."""
SECONDS: Final = 60.0
"""No single act takes so long; one that does hangs."""

WORDS: Final = (
    "We leave at noon and not a minute later, she said.",
    '"Who goes there?" _Oh no._ *knock*',
    "😀 日本 é  two  spaces",
    "</s> [INST] ▀not a mark",
    "Yes.",
    "The fog came in over the quay, and nobody could see the lantern any more that night.",
)
OPENINGS: Final = [" the", ' "', " Bram", " _", " *", " He", " She", " 😀", " And", "\n", " Ada"]
"""Candidates that differ in their first tokens."""
texts = st.sampled_from(WORDS).map(lambda text: " " + text.replace("▀", "-"))
draws = st.builds(Draw, st.sampled_from([0.0, 0.0, 1.0, 2.0]), st.integers(0, 99))
indices = st.integers(0, 20)
limits = st.integers(1, 14)
delays = st.sampled_from([0.0, 0.002, 0.005, 0.01, 0.02, 0.04, 0.08])


LAYERS: Final[dict[ContextMode, int]] = {"exact": 5, "shift": 1}
"""What is moved up was evaluated behind other blocks, which a second layer would show: with one
layer, `shift` has to be as exact as `exact`."""


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


class Chatting(RuleBasedStateMachine):
    """Everything that happens to a chat, in any order."""

    engine_model: Path
    judge: Reference
    context_mode: ContextMode

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._acts: list[str] = []
        self._folder = tempfile.TemporaryDirectory()

    @initialize(journalled=st.booleans(), said=st.lists(texts, max_size=6))
    def open(self, journalled: bool, said: list[str]) -> None:
        options = EngineOptions(
            n_ctx=384,
            n_threads=1,
            context_mode=self.context_mode,
            journal=Path(self._folder.name) if journalled else None,
        )
        self.judge.forget_generated()
        self.play = Play(Engine(), self.judge, self.engine_model, options)
        self._run(self.play.engine.open(self.engine_model, options))
        for text in said:
            self.play.say(text)

    def teardown(self) -> None:
        if hasattr(self, "play"):
            self._run(self.play.engine.close())
        self._runner.close()
        self._folder.cleanup()

    def _run(self, act: Coroutine[Any, Any, Any]) -> None:
        assert isinstance(act, CoroutineType)
        arguments = inspect.getcoroutinelocals(act).items()
        said = ", ".join(f"{name}={value!r}" for name, value in arguments if name != "self")
        self._acts.append(f"{act.__name__}({said})")
        try:
            self._runner.run(asyncio.wait_for(act, SECONDS))
        except BaseException as error:
            error.add_note("after\n  " + "\n  ".join(self._acts))
            raise

    # What is drawn never depends on what was written, which a kill's moment may change.

    @rule(text=texts)
    def say(self, text: str) -> None:
        self.play.say(text)

    @rule(draw=draws, limit=limits)
    def write(self, draw: Draw, limit: int) -> None:
        self._run(self.play.write(draw, limit))

    @rule(draws=st.lists(draws, min_size=1, max_size=3), limit=limits)
    def swipe(self, draws: list[Draw], limit: int) -> None:
        for draw in draws:
            self._run(self.play.swipe(draw, limit))

    @rule(draw=draws, limit=limits)
    def go_on(self, draw: Draw, limit: int) -> None:
        self._run(self.play.go_on(draw, limit))

    @rule(index=indices, text=texts)
    def edit(self, index: int, text: str) -> None:
        self.play.edit(index, text)

    @rule(count=st.integers(1, 3))
    def delete(self, count: int) -> None:
        self.play.delete(count)

    @rule(ahead=st.booleans(), draw=draws, limit=limits)
    def trim(self, ahead: bool, draw: Draw, limit: int) -> None:
        self.play.trim()
        if ahead:
            self._run(self.play.prefill(idle=True))
        self._run(self.play.write(draw, limit))

    @rule(text=texts, draw=draws)
    def fill(self, text: str, draw: Draw) -> None:
        """Write at the very end of the context."""
        while True:
            self.play.say(text)
            before = list(self.play.messages)
            self.play.fit(REPLY)
            if self.play.messages != before:
                break
        self._run(self.play.write(draw, 100))

    @rule()
    def write_too_much(self) -> None:
        self._run(self.play.write_too_much())

    @rule()
    def branch(self) -> None:
        self.play.branch()

    @rule(index=indices, draw=draws, limit=limits)
    def switch(self, index: int, draw: Draw, limit: int) -> None:
        self.play.switch(index)
        self._run(self.play.write(draw, limit))

    @rule(
        candidates=st.sampled_from([OPENINGS, [" nobody"], [' "Who', ' "What', ' "', " it", " it"]])
    )
    def score(self, candidates: list[str]) -> None:
        self._run(self.play.score(candidates))

    @rule(idle=st.booleans(), open_reply=st.booleans())
    def prefill(self, idle: bool, open_reply: bool) -> None:
        self._run(self.play.prefill(idle=idle, rest=(REPLY,) if open_reply else ()))

    @rule(delay=delays, draw=draws, limit=limits)
    def write_meanwhile(self, delay: float, draw: Draw, limit: int) -> None:
        self._run(self.play.write_meanwhile(delay, draw, limit))

    @rule(text=texts, back=st.integers(0, 4), waiting=st.booleans(), draw=draws, limit=limits)
    def type_ahead(self, text: str, back: int, waiting: bool, draw: Draw, limit: int) -> None:
        self._run(self.play.type_ahead(text.split(), back, waiting=waiting))
        self._run(self.play.write(draw, limit))

    @rule(how=st.sampled_from(["cancel", "leave"]), after=st.integers(0, 3), draw=draws)
    def write_interrupted(self, how: Interruption, after: int, draw: Draw) -> None:
        self._run(self.play.write_interrupted(how, after, draw, 40))

    @rule(delay=delays)
    def kill(self, delay: float) -> None:
        self._run(self.play.kill(delay))

    @rule(delay=delays, draw=draws, limit=limits)
    def write_killed(self, delay: float, draw: Draw, limit: int) -> None:
        self._run(self.play.write_killed(delay, draw, limit))

    @rule(delay=delays, idle=st.booleans())
    def prefill_killed(self, delay: float, idle: bool) -> None:
        self._run(self.play.prefill_killed(delay, idle=idle))

    @rule()
    def reopen(self) -> None:
        self._run(self.play.reopen())


def test_whatever_happens_the_model_writes_what_it_would_write(
    precise: Path, reference: Reference, mode: ContextMode
) -> None:
    class Chat(Chatting):
        engine_model, judge, context_mode = precise, reference, mode

    run_state_machine_as_test(
        Chat,
        settings=settings(
            max_examples=EXAMPLES or 3,
            stateful_step_count=40,
            derandomize=not EXAMPLES,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            # A kill's moment is not in our hand: what fails may not fail again, and cannot shrink.
            phases=[Phase.generate],
        ),
    )


def test_the_margin_is_above_the_noise_and_below_an_error(reference: Reference) -> None:
    document = [*SCENE, *(f"{TYPED} {text}▄\n" for text in WORDS * 2), REPLY]
    ids = reference.ids(document)
    whole = log_softmax(reference.rows(ids))

    def distance(logits: NDArray[np.float32]) -> float:
        return float(np.abs(log_softmax(logits) - whole).max())

    draw = random.Random(1)
    for _ in range(8):
        steps = sorted(draw.sample(range(1, len(ids)), 12))
        assert distance(reference.rows(ids, steps=steps)) < MARGIN / 3
    lacking = [[*document[:index], *document[index + 1 :]] for index in range(1, len(document) - 1)]
    moved = [distance(reference.rows(reference.ids(other))) for other in lacking]
    assert np.median(moved) > 3 * MARGIN
