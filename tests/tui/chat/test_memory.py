"""Summaries and pins in the app: keys, the editor, what the story and the margin show."""

from __future__ import annotations

from pathlib import Path

from shoritui.settings import save_settings
from shoritui.story import Draft, Library, is_summary
from shoritui.tui.widgets.field import Editor
from tests.tui.conftest import idle, running, screen_text, until

CARD = """
[[character]]
name = "Mara"
[[character]]
name = "Wren"
user = true
"""
LINE = "The fog came in over the quay, and nobody had seen the lantern since the bell rang."


async def test_a_summary_is_edited_before_it_is_used_and_a_message_is_pinned() -> None:
    async with running(size=(110, 40)) as (app, pilot):
        director = app.director
        assert director is not None
        await until(pilot, lambda: app.session is not None and app.session.engine.info is not None)
        first = director.chat.entries[0]
        await idle(app, pilot)
        app.main.story.focus()
        app.main.story.go_to(first.id)
        await pilot.press("p")
        await until(pilot, lambda: director.chat.entries[0].pinned)
        await until(pilot, lambda: "pinned" in screen_text(app))
        await pilot.press("ctrl+z")
        await until(pilot, lambda: not director.chat.entries[0].pinned)
        await idle(app, pilot)
        await pilot.press("alt+6")
        await until(pilot, lambda: isinstance(app.screen, Editor))
        assert director.memory.draft is not None and not any(map(is_summary, director.chat.entries))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)
        kept = director.memory.draft.text
        await pilot.press("alt+6")
        await until(pilot, lambda: isinstance(app.screen, Editor))
        assert director.memory.draft.text == kept
        await pilot.press(*"Aha", "ctrl+s")
        await until(pilot, lambda: any(map(is_summary, director.chat.entries)))
        await idle(app, pilot)
        assert director.chat.entries[1].text == f"{kept}Aha".strip()
        app.main.story.go_to(director.chat.entries[1].id)
        await until(pilot, lambda: "the rest is summarised" in screen_text(app))
        assert "Summary" in screen_text(app)
        text = "".join(segment.text for segment in await director.preview())
        assert first.text not in text and f"▀lore\n{kept}Aha" in text


async def test_by_itself_a_summary_takes_the_place_of_what_leaves_while_nobody_waits(
    tmp_path: Path,
) -> None:
    card = tmp_path / "quay.toml"
    card.write_text(CARD, encoding="utf-8")
    save_settings(n_ctx=512, memory="auto", max_tokens=24, length="nano", context_mode="exact")
    async with running(cards=(card,), size=(110, 40)) as (app, pilot):
        director, session = app.director, app.session
        assert director is not None and session is not None
        await until(pilot, lambda: session.engine.info is not None)

        def write(library: Library) -> None:
            for number in range(11):
                name = "Wren" if number % 2 else "Mara"
                library.append(director.chat.id, Draft("message", name, f"{number}. {LINE}"))

        await session.disk.run(write)
        await director.chat.reload()
        app.performance.open(director)
        app.show_choices()
        await until(pilot, lambda: any(map(is_summary, director.chat.entries)))
        await until(pilot, lambda: "A summary stands for" in screen_text(app))
        assert not app.performance.is_on and app.main.composer.has_focus
        await pilot.press("ctrl+z")
        await until(pilot, lambda: not any(map(is_summary, director.chat.entries)))
