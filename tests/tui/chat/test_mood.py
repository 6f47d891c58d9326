"""Where the emoji before a message are shown, chosen in the app."""

from __future__ import annotations

from shoritui.settings import load_settings
from shoritui.tui.widgets.chooser import Chooser
from tests.tui.conftest import enter, idle, running, screen_text, until


async def test_a_mood_moves_to_the_name_and_vanishes_and_the_text_keeps_it() -> None:
    text = '😊 "You came!" she said.'
    async with running(with_model=False) as (app, pilot):
        director = app.director
        assert director is not None
        app.performance.play(director.say(text, "Brindle"))
        await idle(app, pilot)
        assert text.replace("😊 ", "") in screen_text(app) and "😊" in screen_text(app)
        await enter(app, pilot, "/mood name")
        await until(pilot, lambda: "Brindle 😊" in screen_text(app))
        await pilot.press("alt+9")
        await until(pilot, lambda: isinstance(app.screen, Chooser))
        await pilot.press("down", "enter")
        await until(pilot, lambda: load_settings().mood == "hidden")
        await until(pilot, lambda: "😊" not in screen_text(app))
        assert '"You came!" she said.' in screen_text(app)
        assert director.chat.entries[-1].text == text
        await enter(app, pilot, "/mood ask")
        await until(pilot, lambda: load_settings().mood_ask)
