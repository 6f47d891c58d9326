"""The open story in a browser: served by this window, which reads it as long as a page is open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from shoritui.host.process import is_in_browser
from shoritui.tui.chat.app_protocol import Host
from shoritui.tui.widgets.chooser import Choice, Chooser

if TYPE_CHECKING:
    from shoritui.director import Director
    from shoritui.web import Server

_NO_STORY = "Open a story first: F8 shows them, alt+n begins one."


class Yielding(Host, Protocol):
    """An app that can have its draft put by and taken up again."""

    async def put_draft_by(self) -> None:
        """Keep the draft with its story, and empty the composer."""

    async def take_up_draft(self) -> None:
        """Show the open story's draft."""


class InBrowser:
    """Serves one story at a time, in one page.

    Until the page is open, and again once it is closed, the story is written here. Meanwhile it is
    the page's: the draft is there, and the model runs there alone.
    """

    def __init__(self, app: Yielding) -> None:
        self._app = app
        self._server: Server | None = None
        self._director: Director | None = None
        """Whose story is served."""
        self.is_away = False
        """Whether a page is open."""
        self._is_resting = False
        """Whether the model was left to the page."""
        self._is_over = False

    async def show(self) -> None:
        """Serve the open story and say where; or end that."""
        app, director = self._app, self._app.director
        if is_in_browser():
            app.report("This is a browser already.")
            return
        if director is None:
            app.report(_NO_STORY)
            return
        if not (self.is_away or director.chat.is_mine):
            app.report("Another window writes into this story.")
            return
        if director is not self._director and not self.is_away:
            await self.close()
            await self._serve(director)
        assert self._server is not None
        stay = "Read along here" if self.is_away else "Keep the address, write here until then"
        end = "Close the page, and write here" if self.is_away else "Don't open it"
        choices = [Choice("stay", stay), Choice("end", end)]
        question = (
            f"On this machine, open\n\n{self._server.link}\n\nWhile it is open there, it is read "
            "here; once that page is closed, it is written here again."
        )
        chooser = Chooser("In a browser", choices, question=question, filters=False)
        answer = await app.push_screen_wait(chooser)
        if answer == "end" or (answer is None and not self.is_away):
            await self.close()
        elif not self.is_away:
            app.report("The story can be opened in the browser: /web shows the address again.")

    async def _serve(self, director: Director) -> None:
        from shoritui.settings import SERVER_VARIABLE
        from shoritui.web import Server, window_command

        settings = self._app.settings
        words = ["--story", str(director.chat.id)]
        if settings.model and not settings.server:
            words += ["--model", settings.model]
        server = Server(
            window_command(words),
            variables={SERVER_VARIABLE: settings.server} if settings.server else None,
            most=1,
            on_open=self._step_back,
            on_close=self._come_back,
        )
        await server.start()
        self._server, self._director = server, director

    async def leave(self) -> None:
        """End the page with this window."""
        self._is_over = True
        await self.close()

    async def close(self) -> None:
        """End the page, if one is open, and serve no more."""
        server, self._server = self._server, None
        if server is not None:
            await server.close()
        self._director = None

    async def _step_back(self) -> None:
        """A page is about to open: the story, its draft and the model's memory are left to it."""
        app, director, session = self._app, self._director, self._app.session
        self.is_away = True
        await app.performance.stop()
        await app.performance.settled()
        if director is None or session is None:
            return
        director.chat.is_lent = True
        if app.director is director:
            await app.put_draft_by()
            await director.close()
            await session.engine.close()
            self._is_resting = True
            app.show_choices()
            app.main.say("open in the browser, and read here", busy=False)

    async def _come_back(self) -> None:
        """The page is closed: go on here."""
        app, director = self._app, self._director
        self.is_away = False
        if director is None or self._is_over:
            return
        director.chat.is_lent = False
        if app.director is director:
            await app.performance.look_around()
            await app.take_up_draft()
        self.wake()

    def wake(self) -> None:
        """Load the model again, if a page had it for itself."""
        if self._is_resting:
            self._is_resting = False
            self._app.load_model()
