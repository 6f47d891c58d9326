"""A training run on the screen: what it shows, what keys do, and how it ends."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from argparse import Namespace
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from math import nan
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.pilot import Pilot

from shoritui.finetune.events import (
    Evaluated,
    PlannedTier,
    PreferenceFigures,
    RunEnded,
    RunStarted,
    Stepped,
    TierEnded,
    TierStarted,
)
from shoritui.settings import load_settings
from shoritui.tui.action import keys_of
from shoritui.tui.training import app as training
from shoritui.tui.training.actions import ACTIONS
from shoritui.tui.training.app import STOPPED, TrainingApp
from shoritui.tui.training.figures import ladder_line, shown_figures, summary
from shoritui.tui.training.plot import Curve, figure, plot
from shoritui.tui.training.run_state import Course, Points
from tests.finetune.run.scripted import scripted
from tests.tui.conftest import screen_text, until

SIZES = [(120, 40), (80, 24), (60, 20)]
START = """
tiers = (
    PlannedTier("low", "", 12, 4000, 9, 9, True),
    PlannedTier("mid", "low", 12, 4000, 9, 9, False),
    PlannedTier("top", "mid", 12, 4000, 9, 9, False, 4),
    PlannedTier("top-pg13", "mid", 12, 4000, 9, 9, False),
)
tell(Preparing("Reading the base", 3, 12))
tell(RunStarted("/home/x/rp/finetune.toml", "a-base", "cpu", tiers))
tell(TierEnded("low", True, "adapters/low", None, 2.2))
"""
MID = """
tell(TierStarted("mid", 0, 9, "inputs"))
for n in range(1, 7):
    step(n, "mid", 3.0 - n / 10)
tell(Evaluated("mid", 6, 2.345, True))
tell(Saved("mid", 6))
tell(WorstDocuments("mid", 6, (DocumentLoss("data/mid/a.txt:12", 4.25),)))
tell(Replied("mid", 6, "at the inn", 'She said "so" and *clack*.'))
tell(LevelLowered("mid", 6, "offload"))
tell(Reported("Something to know."))
"""
WAIT = "stop.wait()\ntell(Saved('mid', 7))\nend(True)"
END = """
tell(TierEnded("mid", False, "adapters/mid", 2.4, 2.345))
tell(TierStarted("top", 4, 9, "inputs"))
step(5, "top")
tell(TierEnded("top", False, "adapters/top", 2.4, None))
tell(RunEnded(False, 7, 65.0, "adapters/top"))
"""


@asynccontextmanager
async def watching(
    home: Path, part: str, *, size: tuple[int, int] = (120, 40), demo: bool = True
) -> AsyncGenerator[tuple[TrainingApp, Pilot[int]]]:
    """The screen with a process that plays a part; it is gone afterwards."""
    options = Namespace(demo=demo, config=Path("mine.toml"))
    app = TrainingApp(load_settings(), options, scripted(home, part))
    async with app.run_test(size=size) as pilot:
        yield app, pilot
        if not app.course.is_over and app.is_running:
            app.quit()
            await until(pilot, lambda: not app.is_running)


async def shows(app: TrainingApp, pilot: Pilot[int], *texts: str) -> str:
    await until(pilot, lambda: all(text in screen_text(app) for text in texts), 20)
    return screen_text(app)


def pid_of(app: TrainingApp) -> int:
    assert app._run is not None
    return app._run.pid


def is_running(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("size", SIZES)
async def test_a_run_from_its_start_to_its_end(home: Path, size: tuple[int, int]) -> None:
    part = START + MID + "stop_here = threading.Event()\nstop.wait(600)\n" + END
    async with watching(home, part, size=size) as (app, pilot):
        text = await shows(app, pilot, "mid 6/9" if size[0] < 72 else "6/9", "2.345", "Loss · mid")
        for word in (
            "rp/finetune.toml",
            "at the inn",
            '"so" and *clack*.',
            "2.400",
            "training mid",
        ):
            assert word in text
        assert "stop and save" in text and "◆" in text and "training mid" in text
        app.stop_run()  # this part goes on to its end when it is asked
        text = await shows(app, pilot, "Trained 2 tiers: 7 steps in 1:05.")
        assert "shoritui finetune export --demo" in text and "q leave" in text
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)
        assert app.return_value == 0 and not is_running(pid_of(app))
    assert app.summary[-1].startswith("  ○ top-pg13")


async def test_wide_it_shows_everything_at_once(home: Path) -> None:
    async with watching(home, START + MID + WAIT) as (app, pilot):
        text = await shows(app, pilot, "Something to know.")
        for word in ("cached", "╰ after mid", "4/9", "data/mid/a.txt:12", "4.250", "a-base on cpu"):
            assert word in text
        for word in ("offload", "200", "1.0 GiB", "0.0001", "mid 6", "9 s left"):
            assert word in text


async def test_before_the_first_step_it_shows_what_is_prepared(home: Path) -> None:
    part = 'tell(Preparing("Reading \\x1b[2Jthe base", 3, 12))\nstop.wait()\nend(True)'
    async with watching(home, part, size=(80, 24)) as (app, pilot):
        text = await shows(app, pilot, "25 %", "Reading the base")
        assert "▰▰▰▰▰▰▱" in text and "not known yet" in text


@pytest.mark.parametrize("key", ["escape", "ctrl+c"])
async def test_asked_once_it_saves_and_the_screen_stays(home: Path, key: str) -> None:
    part = (
        START
        + MID
        + "stop.wait()\ntell(Reported('asked'))\nos.read(0, 1)\ntime.sleep(0.2)\nend(True)"
    )
    async with watching(home, part) as (app, pilot):
        await shows(app, pilot, "Loss · mid")
        await pilot.press(key)
        await pilot.press(key)  # a key that is held is one wish
        await shows(app, pilot, "Stopped: 1 step in 0 s.", "continues from what was saved")
        await pilot.press(key)
        assert app.is_running
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)
        assert app.return_value == STOPPED


async def test_asked_twice_it_ends_at_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "AT_ONCE_SECONDS", 0.0)
    async with watching(home, START + MID + "time.sleep(600)") as (app, pilot):
        await shows(app, pilot, "Loss · mid")
        await pilot.press("escape")
        await shows(app, pilot, "esc again: at once, unsaved")
        await pilot.press("escape")
        await shows(app, pilot, "Stopped: 6 steps")
        assert "what was done since it last saved is lost" in app.course.notices[-1].text
        assert not is_running(pid_of(app))


async def test_q_does_not_leave_a_run_and_ctrl_q_stops_it_first(home: Path) -> None:
    async with watching(home, START + MID + WAIT) as (app, pilot):
        await shows(app, pilot, "Loss · mid")
        await pilot.press("q")
        told = [note.message for note in app._notifications]
        assert told == ["The run goes on: esc stops and saves it."]
        await pilot.press("ctrl+q")
        await until(pilot, lambda: not app.is_running)
        assert app.return_value == STOPPED and app.course.saved is not None
        assert app.course.saved.step == 7 and not is_running(pid_of(app))


async def test_a_crash_is_told_with_its_cause(home: Path) -> None:
    async with watching(home, START + MID + "os.kill(os.getpid(), signal.SIGKILL)") as (app, pilot):
        text = await shows(app, pilot, "memory ran out", "failed", "The end")
        assert "Next:" not in text
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)
        assert app.return_value == 1


async def test_a_process_that_cannot_start_is_told(home: Path) -> None:
    options = Namespace(demo=True, config=Path("mine.toml"))
    app = TrainingApp(load_settings(), options, ("/no/such/program",))
    async with app.run_test() as pilot:
        await shows(app, pilot, "cannot be started")
        await pilot.press("q")


async def test_a_flood_of_events_is_gathered_and_keys_go_on(home: Path) -> None:
    part = (
        START
        + """
    tell(TierStarted("mid", 0, 10**9, "inputs"))
    n = 0
    while not stop.is_set():
        n += 1
        step(n, "mid", 2 + 1 / n, 10**9)
    tell(Reported("the flood is over"))
    end(True)
    """.replace("\n    ", "\n")
    )
    painted = 0
    async with watching(home, part) as (app, pilot):
        curve = app.view.curve
        plain = curve.set_rows

        def counted(width: int, height: int) -> object:
            nonlocal painted
            painted += 1
            return plain(width, height)

        curve.set_rows = counted  # type: ignore[method-assign,assignment]
        await until(pilot, lambda: app.course.steps[0] > 100)
        await pilot.press("w")
        await until(pilot, lambda: not app.view.worst.display)
        await until(pilot, lambda: app.course.steps[0] > 5000)
        await pilot.press("escape")
        await shows(app, pilot, "the flood is over")
        assert 0 < painted < app.course.steps[0] / 10


async def test_hostile_words_are_clean_and_no_markup(home: Path) -> None:
    evil = "\\x1b]0;x\\x07\\x1b[2J[bold]A[/nothing] \\u202e\\x9b31m"
    part = f"""
evil = "{evil}"
tell(RunStarted(evil, evil, evil, (PlannedTier(evil, evil, 1, 1, 1, 9, False),)))
tell(Preparing(evil, 1, 2))
tell(TierStarted(evil, 0, 9, evil))
step(1, evil, float("nan"))
step(2, evil, float("inf"))
step(3, evil, 1e300)
tell(Evaluated(evil, 3, float("nan"), True))
tell(Saved(evil, 3))
tell(WorstDocuments(evil, 3, (DocumentLoss(evil * 20, float("inf")),)))
tell(Replied(evil, 3, evil, evil + "\\n" + evil))
tell(LevelLowered(evil, 3, evil))
tell(Reported(evil))
tell(Failed(evil))
"""
    for size in SIZES:
        async with watching(home, part, size=size) as (app, pilot):
            text = await shows(app, pilot, "The end", "[bold]A")
            assert text.replace("\n", "").isprintable()
            assert "".join(app.summary).isprintable()
            await pilot.press("w", "m", "r", "n", "p", "c", "s", "q")


async def test_panels_come_and_go(home: Path) -> None:
    async with watching(home, START + MID + WAIT) as (app, pilot):
        await shows(app, pilot, "Sample replies", "Worst documents", "News", "Figures")
        await pilot.press("w", "m")
        await until(pilot, lambda: "Worst documents" not in screen_text(app))
        assert "News" not in screen_text(app) and "Sample replies" in screen_text(app)
        await pilot.press("r", "s")
        await until(pilot, lambda: "Sample replies" not in screen_text(app))
        assert "Figures" not in screen_text(app) and "Loss · mid" in screen_text(app)
        await pilot.press("r", "w", "m", "s")
        await shows(app, pilot, "Sample replies", "Worst documents", "News", "Figures")


async def test_where_there_is_room_for_one_panel_it_is_the_one_asked_for(home: Path) -> None:
    async with watching(home, START + MID + WAIT, size=(80, 24)) as (app, pilot):
        text = await shows(app, pilot, "Sample replies", "at the inn")
        assert "Worst documents" not in text
        await pilot.press("w")
        await shows(app, pilot, "Worst documents", "a.txt:12")
        assert "Sample replies" not in screen_text(app)
        await pilot.press("w")
        await until(pilot, lambda: "Worst documents" not in screen_text(app))
        await pilot.press("m")
        await shows(app, pilot, "Something to know.")


async def test_another_tiers_curve_can_be_looked_at(home: Path) -> None:
    part = START + MID + 'tell(TierStarted("top", 4, 9, "inputs"))\nstep(5, "top", 1.25)\n' + WAIT
    async with watching(home, part) as (app, pilot):
        await shows(app, pilot, "Loss · top", "1.250")
        await pilot.press("p")
        await shows(app, pilot, "Loss · mid", "2.345 at 6")
        await pilot.press("p")
        await shows(app, pilot, "Loss · low", "nothing of it has changed")
        await pilot.press("p")
        await shows(app, pilot, "Loss · top-pg13", "waiting", "conversations 12")
        await pilot.press("n", "n")
        await shows(app, pilot, "Loss · mid")
        await pilot.press("c")
        await shows(app, pilot, "Loss · top", "1.250")
        await pilot.click("#tiers", offset=(4, 2))
        await shows(app, pilot, "Loss · mid")


async def test_a_smaller_terminal_keeps_what_matters(home: Path) -> None:
    async with watching(home, START + MID + WAIT) as (app, pilot):
        await shows(app, pilot, "Worst documents")
        await pilot.resize_terminal(60, 20)
        text = await shows(app, pilot, "● mid 6/9")
        assert "Worst documents" not in text and "2.345" in text
        await pilot.resize_terminal(40, 10)
        await shows(app, pilot, "Loss · mid", "● mid 6/9")
        await pilot.resize_terminal(120, 40)
        await shows(app, pilot, "Worst documents", "╰ after mid")


async def test_every_action_has_a_key_and_a_name_in_the_palette(home: Path) -> None:
    config = home / "config"
    config.mkdir()
    (config / "settings.toml").write_text('keymap = {worst = "x"}\n', encoding="utf-8")
    assert all(keys_of(action, {}) for action in ACTIONS)
    async with watching(home, START + MID + WAIT) as (app, pilot):
        await shows(app, pilot, "Worst documents", "x worst")
        await pilot.press("x")
        await until(pilot, lambda: "Worst documents" not in screen_text(app))
        await pilot.press("f1")
        await shows(app, pilot, "Asks the run to save and end")
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.view)
        await pilot.press("ctrl+p")
        await until(pilot, lambda: app.screen is not app.view)
        await pilot.press(*"curve previous")
        await shows(app, pilot, "Curve: Show the previous tier")
        await pilot.press("enter")
        await shows(app, pilot, "Loss · low")
        assert not app.course.is_over


async def test_a_theme_is_chosen_and_kept(home: Path) -> None:
    async with watching(home, START + MID + WAIT) as (app, pilot):
        await shows(app, pilot, "Loss · mid")
        await pilot.press("alt+v")
        await shows(app, pilot, "shori-light")
        await pilot.press(*"shori-light")
        await until(pilot, lambda: app.theme == "shori-light")
        await pilot.press("enter")
        await until(pilot, lambda: load_settings().theme == "shori-light")


async def test_without_colours_it_still_tells_curves_and_marks_apart(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with watching(home, START + MID + WAIT) as (app, pilot):
        text = await shows(app, pilot, "◆", "● mid", "Sample replies")
        assert app.theme == "terminal" and "✓ low" in text


def stepped(tier: str, step: int, loss: float) -> Stepped:
    return Stepped(tier, step, 9, 1.0, loss, 1e-4, 1.0, 10, 0.0, 1, 1.0)


def test_a_course_adds_up_what_it_is_told() -> None:
    course = Course()
    tiers = (PlannedTier("a", "", 1, 1, 1, 9, True), PlannedTier("b", "a", 1, 1, 1, 9, False, 4))
    course.absorb(RunStarted("c", "d", "e", tiers))
    assert course.steps == (4, 9)
    course.absorb(TierStarted("b", 3, 9, "inputs"))
    for step, loss in ((4, 2.0), (5, nan), (6, 4.0)):
        course.absorb(stepped("b", step, loss))
    tier = course.tiers["b"]
    assert [round(value, 2) for _, value in tier.smooth.kept] == [2.0, 2.0, 3.2]
    assert tier.tokens_per_second == 0 and course.steps == (6, 9)
    course.absorb(Evaluated("b", 4, 2.0, True))
    course.absorb(Evaluated("b", 5, 3.0, False))
    assert tier.best == Evaluated("b", 4, 2.0, True)
    course.absorb(TierEnded("b", False, "x", 4.0, 2.0))
    course.absorb(RunEnded(False, 3, 1.0, "x"))
    assert course.steps == (9, 9) and course.is_over


def test_a_long_curve_is_thinned_evenly_and_ends_with_the_newest_point() -> None:
    curve = Points()
    for step in range(1, 20_001):
        curve.add(step, 1 / step)
        assert curve.kept[-1] == (step, 1 / step) and curve.kept[0][0] == 1
    steps = [step for step, _ in curve.kept[:-1]]
    gaps = {second - first for first, second in pairwise(steps)}
    assert curve.count == 20_000 and 700 < len(steps) <= 1500 and gaps == {curve.stride}


def test_a_run_that_had_nothing_to_do_says_so() -> None:
    course = Course()
    course.absorb(RunStarted("c", "d", "", (PlannedTier("a", "", 1, 1, 1, 9, True),)))
    course.absorb(TierEnded("a", True, "x", None, None))
    course.absorb(RunEnded(False, 0, 0.0, "x"))
    lines = summary(course, ("mine.toml",))
    assert lines[0] == "Nothing has changed: nothing was trained."
    assert lines[1] == "Next: `shoritui finetune export mine.toml` writes it as one file."


def test_the_ladder_in_one_row_shows_the_tier_that_is_trained() -> None:
    course = Course()
    tiers = tuple(PlannedTier(f"tier-{n}", "", 1, 1, 1, 9, False) for n in range(40))
    course.absorb(RunStarted("c", "d", "e", tiers))
    course.absorb(TierStarted("tier-20", 3, 9, "inputs"))
    for width in (10, 30, 60):
        text = "".join(word for word, _ in ladder_line(course, "tier-20", width))
        assert "tier-20 3/9" in text and (width == 10 or cell_len(text) <= width)


values = st.floats(allow_nan=True, allow_infinity=True) | st.floats(0, 12)
points = st.lists(st.tuples(st.integers(0, 500), values), max_size=40)


@settings(max_examples=150, deadline=None)
@given(
    points,
    points,
    st.lists(st.tuples(st.integers(0, 500), values, st.booleans()), max_size=9),
    st.integers(0, 600),
    st.integers(0, 90),
    st.integers(0, 30),
)
def test_any_curve_fits_its_place(
    raw: list[tuple[int, float]],
    smooth: list[tuple[int, float]],
    marks: list[tuple[int, float, bool]],
    steps: int,
    width: int,
    height: int,
) -> None:
    rows = plot(Curve(sorted(raw), sorted(smooth), marks, steps), width, height)
    assert len(rows) in (0, height)
    assert all(cell_len("".join(text for text, _ in row)) == width for row in rows)


def test_a_falling_curve_falls() -> None:
    raw = [(step, 4.0 - step / 50) for step in range(1, 101)]
    rows = plot(Curve(raw, raw, [(100, 2.0, True)], 100), 60, 12)
    drawn = ["".join(text for text, _ in row)[7:] for row in rows[:-1]]
    columns = [re.search(r"[^ ]", row) for row in drawn]
    starts = [match.start() for match in columns if match]
    assert starts == sorted(starts) and starts[0] == 0 and "◆" in drawn[-1][-2:]
    assert "step 100" in rows[-1][0][0]


def test_figures_for_people() -> None:
    assert [figure(value) for value in (2.3456, 12.3456, 123.456, 0.0, nan)] == [
        *("2.346", "12.35", "123.5", "0.000", "nan")
    ]


def test_a_tier_of_preferences_shows_what_it_has_reached_on_held_out_pairs() -> None:
    course = Course()
    planned = PlannedTier("a", "", 40, 900, 2, 9, False, 0, "preference", 44)
    course.absorb(RunStarted("c", "d", "e", (planned,)))
    shown = dict(shown_figures(course, "a"))
    assert (shown["preferences"], shown["pairs"]) == ("40", "44")
    learnt = PreferenceFigures(margin=0.25, accuracy=0.8, chosen=1.5, rejected=-1.0)
    course.absorb(replace(stepped("a", 1, 0.6), preference=learnt))
    shown = dict(shown_figures(course, "a"))
    assert (shown["accuracy"], shown["margin"], shown["drift"]) == ("80%", "0.250", "+1.50 / -1.00")
    course.absorb(Evaluated("a", 1, 0.65, True, replace(learnt, accuracy=0.7)))
    assert dict(shown_figures(course, "a"))["accuracy"] == "70%"


def test_the_screen_is_there_without_torch() -> None:
    heavy = "('torch', 'numpy', 'transformers', 'llama_cpp')"
    code = f"import sys, shoritui.tui.training.app; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_an_ended_terminal_makes_the_run_save(home: Path) -> None:
    saved = home / "saved"
    part = START + MID + f"stop.wait()\nopen({str(saved)!r}, 'w').close()\nend(True)"
    async with watching(home, part) as (app, pilot):
        await shows(app, pilot, "Loss · mid")
        pid = pid_of(app)
        app.exit(143)
        await until(pilot, lambda: not app.is_running)
    for _ in range(500):
        if not is_running(pid):
            break
        await asyncio.sleep(0.02)
    assert saved.exists() and not is_running(pid)
