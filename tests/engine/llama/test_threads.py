"""How many threads are taken: at first, on a busy machine, and when it is quiet again."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from shoritui.engine.llama.threads import (
    BUDGET_SECONDS,
    INTERVAL_SECONDS,
    Threads,
    ThreadTuner,
    default_threads,
)
from shoritui.host.machine import usable_cores


class Machine:
    """Cores of which others take some: a thread without a core holds all others up."""

    def __init__(self, cores: int, seconds: float = 0.01) -> None:
        self.cores, self.seconds, self.taken = cores, seconds, 0
        self.measured: list[float] = []

    def token(self, threads: int) -> float:
        stalled = threads > max(self.cores - self.taken, 1)
        return self.seconds / threads * (10 if stalled else 1)

    def measure(self, threads: int) -> float:
        self.measured.append(self.token(threads))
        return self.measured[-1]


def test_a_quiet_machine_takes_what_is_quickest_and_leaves_a_core_to_others() -> None:
    machine = Machine(8)
    assert ThreadTuner(8).tune(machine.measure, 0, machine.measure) == Threads(decode=7, batch=8)


def test_more_threads_that_gain_nothing_are_not_taken() -> None:
    assert ThreadTuner(8).tune(lambda threads: 0.01, 0, Machine(8).measure) == Threads(
        decode=1, batch=8
    )


def test_a_busy_machine_takes_fewer() -> None:
    machine = Machine(8)
    machine.taken = 3
    assert ThreadTuner(8).tune(machine.measure, 0, machine.measure) == Threads(decode=4, batch=4)


def test_batches_are_measured_apart_where_they_can_be() -> None:
    machine = Machine(4)
    assert ThreadTuner(4).tune(lambda threads: 0.01, 0, machine.measure) == Threads(
        decode=1, batch=4
    )


def test_a_slow_model_is_measured_no_longer_than_the_budget() -> None:
    machine = Machine(16, seconds=3.0)
    ThreadTuner(16).tune(machine.measure, 0, machine.measure)
    assert sum(machine.measured) <= 2 * BUDGET_SECONDS  # tokens and batches
    machine = Machine(16, seconds=300.0)
    ThreadTuner(16).tune(machine.measure, 0, machine.measure)
    assert len(machine.measured) == 2


def test_the_users_own_count_stays() -> None:
    tuner = ThreadTuner(4, fixed=3)
    assert tuner.tune(Machine(4).measure, 0, Machine(4).measure) == Threads(3, 3)
    assert not any(tuner.observed(seconds, 10, seconds) for seconds in range(1, 1000))


def test_one_core_leaves_nothing_to_tune() -> None:
    machine = Machine(1)
    assert ThreadTuner(1).tune(machine.measure, 0, machine.measure) == Threads(1, 1)
    assert machine.measured == []


def test_a_jump_that_lasts_is_noticed_and_a_hiccup_is_not() -> None:
    tuner = ThreadTuner(4)
    tuner.tune(Machine(4).measure, 0, Machine(4).measure)
    now = INTERVAL_SECONDS
    for token in range(200):
        assert not tuner.observed(0.05 if token % 5 == 3 else 0.01, token, now)
    heard = [tuner.observed(0.03, 200 + token, now) for token in range(8)]
    assert heard == [False] * 7 + [True]


def test_slow_prompts_are_noticed_too() -> None:
    tuner = ThreadTuner(4)
    tuner.tune(Machine(4).measure, 0, Machine(4).measure)
    for _ in range(5):
        assert not tuner.observed_batch(0.001, 512, INTERVAL_SECONDS)
    assert [tuner.observed_batch(0.01, 512, INTERVAL_SECONDS) for _ in range(3)][-1]


def test_a_longer_context_explains_its_time() -> None:
    tuner = ThreadTuner(4)
    tuner.tune(Machine(4).measure, 0, Machine(4).measure)

    def token(held: int) -> bool:
        return tuner.observed(0.01 * (1 + held / 2000), held, 10 * INTERVAL_SECONDS)

    assert not any(token(held) for held in range(300))
    assert not any(token(held) for held in range(14_000, 14_300))


def test_threads_go_back_up_when_the_machine_is_quiet_again() -> None:
    machine = Machine(4)
    tuner = ThreadTuner(4)
    tuner.tune(machine.measure, 0, machine.measure)
    now, history = 0.0, [tuner.threads.decode]
    for minute in range(30):
        machine.taken = 3 if 5 <= minute < 10 else 0
        for _ in range(200):
            now += 0.3
            if tuner.observed(machine.token(tuner.threads.decode), 100, now):
                tuner.tune(machine.measure, now, machine.measure)
                history.append(tuner.threads.decode)
    assert history[0] == history[-1] == 3 and 1 in history
    assert len(history) < 10


@given(
    cores=st.integers(1, 64),
    times=st.lists(st.floats(1e-5, 5.0), min_size=1, max_size=60),
    loads=st.lists(st.integers(0, 64), min_size=1, max_size=20),
)
def test_whatever_the_times_it_stays_within_the_cores_and_takes_its_time(
    cores: int, times: list[float], loads: list[int]
) -> None:
    machine, tuner, now = Machine(cores), ThreadTuner(cores), 0.0
    tuner.tune(machine.measure, now, machine.measure)
    tuned = [now]
    for step in range(400):
        machine.taken = loads[step * len(loads) // 400]
        seconds = times[step % len(times)] * machine.token(tuner.threads.decode)
        now += seconds + 0.5
        if tuner.observed(seconds, step, now):
            tuner.tune(machine.measure, now, machine.measure)
            tuned.append(now)
        assert 1 <= tuner.threads.decode <= cores
        assert 1 <= tuner.threads.batch <= cores
    gaps = [later - before for before, later in pairwise(tuned)]
    assert all(gap >= INTERVAL_SECONDS for gap in gaps)


@given(cores=st.integers(2, 64), taken=st.integers(0, 64))
def test_a_machine_that_stays_as_it_is_is_measured_ever_more_rarely(cores: int, taken: int) -> None:
    machine, tuner = Machine(cores), ThreadTuner(cores)
    machine.taken = taken
    chosen = {tuner.tune(machine.measure, 0, machine.measure)}
    tunings = 0
    for minute in range(600):
        if tuner.observed(machine.token(tuner.threads.decode), 500, 60.0 * minute):
            tunings += 1
            chosen.add(tuner.tune(machine.measure, 60.0 * minute, machine.measure))
    assert len(chosen) == 1
    assert tunings <= 18


def test_the_default_leaves_a_core_to_the_app() -> None:
    assert default_threads() == max(usable_cores() - 1, 1)
