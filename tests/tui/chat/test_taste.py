"""What a story tells of its reader's taste, in the app."""

from __future__ import annotations

from shoritui.director import Disk
from shoritui.story import Asked, Draft, Library, Origin
from tests.tui.conftest import enter, news, running, until


async def test_the_app_says_what_was_kept_and_how_to_train_on_it() -> None:
    origin = Origin("model", asked=Asked("0123456789abcdef"))
    async with running(size=(120, 40), with_model=False) as (app, pilot):
        await enter(app, pilot, "/taste")
        await until(pilot, lambda: "No reply of this story was kept" in news(app))
        assert app.chat is not None and app.session is not None
        chat, disk = app.chat, app.session.disk
        assert isinstance(disk, Disk)
        left = await chat.append(Draft("message", "Ada", "No.", origin=origin))
        kept = Draft("message", "Ada", "Aye.", origin=origin)
        await disk.run(Library.add_version, left.id, kept, keep=True, act="Retry")
        await disk.run(Library.append, chat.id, Draft("message", chat.user, "So."))
        await pilot.press("alt+shift+k")
        await until(pilot, lambda: "1 kept, over 1 left" in news(app))
        assert f"chats export --preferences {chat.id}" in news(app)
