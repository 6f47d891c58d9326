"""A terminal may be of any size for a moment: whatever is open, nothing fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoritui.settings import load_settings
from tests.tui.conftest import INN, Silent, screen_text, until

TINY = [(1, 1), (3, 30), (9, 2)]
LARGE = (100, 30)


@pytest.mark.slow
async def test_no_size_of_the_terminal_is_a_fault(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)  # some of the actions write files
    app = Silent(load_settings(), cards=[INN])
    async with app.run_test(size=LARGE) as pilot:
        await until(pilot, lambda: app.director is not None and not app.main.composer.disabled)
        for size in [*TINY, LARGE]:
            await pilot.resize_terminal(*size)
        await until(pilot, lambda: "say or do?" in screen_text(app))
        opened = 0
        for action in app.actions:
            app.start_action(action.id, "")
            await pilot.pause()
            if len(app.screen_stack) > 1:
                opened += 1
                for size in [*TINY, LARGE]:
                    await pilot.resize_terminal(*size)
            while len(app.screen_stack) > 1:
                app.pop_screen()
                await pilot.pause()
        assert opened > 20
        await app.leave(0)
