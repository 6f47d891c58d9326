"""No act of the training view touches a file in the thread of its event loop."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from shoritui.settings import Settings, load_settings
from shoritui.tui.training.actions import ACTIONS
from shoritui.tui.training.app import TrainingApp
from tests.finetune.run.scripted import scripted
from tests.tui.conftest import until
from tests.tui.loop_access import watched
from tests.tui.training.test_training import MID, START, WAIT, shows

ENDS = ("stop", "leave", "quit")
"""The actions after which the run does not go on."""
OPENS = {"theme": "enter", "palette": "escape", "help": "escape"}
"""Those that open a screen, and how it is left."""
CRASH = "os.kill(os.getpid(), signal.SIGKILL)"


@pytest.mark.parametrize("end", [WAIT, f"stop.wait()\n{CRASH}"], ids=["saved", "crashed"])
async def test_no_act_touches_a_file_in_the_event_loop(home: Path, end: str) -> None:
    options = Namespace(demo=True, config=Path("mine.toml"))
    app = TrainingApp(load_settings(), options, scripted(home, START + MID + end))
    touched: dict[str, list[str]] = {}
    with watched() as found:

        def collect(what: str) -> None:
            if found:
                touched[what] = sorted(found)
            found.clear()

        async with app.run_test(size=(120, 40)) as pilot:
            await shows(app, pilot, "at the inn")
            collect("start")
            for action in ACTIONS:
                if action.id in ENDS:
                    continue
                await app.do(action.id)
                if action.id in OPENS:
                    await until(pilot, lambda: len(app.screen_stack) > 1)
                    await pilot.press("down", OPENS[action.id])
                    await until(pilot, lambda: len(app.screen_stack) == 1)
                collect(action.id)
            await app.do("leave")  # the run goes on, and says so
            await app.do("quit")
            await app.workers.wait_for_complete()
            collect("quit")
    assert app.course.is_over and load_settings().theme != Settings().theme
    assert not touched
