"""What the status line says of the last turn."""

from __future__ import annotations

from dataclasses import replace

from tests.tui.conftest import running, screen_text


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
