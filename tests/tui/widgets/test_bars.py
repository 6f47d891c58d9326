"""What the status line says of the last turn."""

from __future__ import annotations

from dataclasses import replace

from shoritui.engine import EngineState
from tests.tui.conftest import enter, running, screen_text, until


async def test_what_was_read_is_said_as_a_share_only_where_it_is_one() -> None:
    async with running(with_model=False, size=(120, 30)) as (app, pilot):
        for reused, evaluated, said in (
            (0, 1152, "read all 1,152 tokens"),
            (1108, 44, "read again 44 of 1,152"),
        ):
            line = app.main.status
            line.doing = replace(line.doing, reused=reused, evaluated=evaluated)
            await pilot.pause()
            assert said in screen_text(app)


async def test_what_was_done_is_not_hidden_by_what_is_read_ahead() -> None:
    async with running(with_model=False, size=(120, 30)) as (app, pilot):
        await enter(app, pilot, "/delete")
        await until(pilot, lambda: "Delete a message · ^z undoes it" in screen_text(app))
        app.status.follow(EngineState("evaluating", progress=0.02))
        await pilot.pause()
        assert "Delete a message · ^z undoes it" in screen_text(app)
