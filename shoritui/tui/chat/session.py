"""What stands behind the screen: the library, the engine, and the chat that is open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from shoritui.cards import Card, find_lorebooks, fingerprint, reload_card
from shoritui.director import Director, Disk, make_engine, new_chat, open_engine
from shoritui.engine import EngineState, ModelInfo, Preset, RemoteEngine, presets
from shoritui.errors import UserError
from shoritui.folders import config_dir, data_dir
from shoritui.settings import Settings
from shoritui.story import Chat, Library
from shoritui.tui.chat.library_screen import Order

if TYPE_CHECKING:
    from shoritui.interop.folders import Import


class Session:
    """One run of the app: one library, one engine, one open chat at a time."""

    def __init__(
        self,
        disk: Disk,
        on_engine: Callable[[EngineState], None],
        settings: Settings,
        samplers: dict[str, Preset],
        problems: Sequence[str],
    ) -> None:
        self.disk = disk
        self.engine = make_engine(settings, on_engine)
        self.engine.expecting = True  # a chat is open before its model is
        self.settings = settings
        """What the engine and the open chat go by."""
        self.servers: dict[str, Settings] = {}
        """The settings of each server that was used since the start, by its address."""
        self.model_names: list[str] = []
        """The models on this machine, once they were looked for."""
        self.persona_names: list[str] = []
        """The user's personas, once they were looked for."""
        self.lorebook_names: list[str] = []
        """The user's lorebooks, as they were looked for last."""
        self._on_engine = on_engine
        self.samplers = samplers
        self.problems = list(problems)
        """What is wrong with the user's own files, a sentence each."""
        self.director: Director | None = None
        self.order: Order = "last used"
        """How the library is sorted."""
        self.told_card = ""
        """The fingerprint of the changed card that was told last."""
        self.importing: Import | None = None
        """The import that is under way."""
        self.imported: Import | None = None
        """The last one that is over."""
        self.no_model = ""
        """Why no model could be opened, and what to do."""

    @classmethod
    async def open(cls, settings: Settings, on_engine: Callable[[EngineState], None]) -> Session:
        """Open the library; no model is loaded yet.

        Raises:
            UserError: The library cannot be opened.
        """
        disk = await Disk.open(data_dir() / "library.db")
        samplers, problems = await disk.run(lambda _: presets(config_dir() / "presets"))
        return cls(disk, on_engine, settings, samplers, problems)

    async def begin(self, scene: Card) -> Director:
        """Begin a new chat and open it."""
        chat = await new_chat(self.disk, scene)
        if scene.source:
            await self.remember_card(chat.id, scene)
        return await self.enter(chat)

    async def remember_card(self, chat_id: int, scene: Card) -> None:
        """Keep what the scene's card holds now, so that a change of it is seen later."""

        def remember(library: Library) -> None:
            library.update_settings(chat_id, card=fingerprint(reload_card(scene) or scene))

        await self.disk.run(remember)

    async def known_card(self, chat_id: int) -> str:
        """Return the fingerprint of what it held; empty where nothing is known."""
        settings = (await self.disk.run(Library.chat, chat_id)).settings
        return str(settings.get("card") or "")

    async def learn_lorebooks(self) -> None:
        """Look for the user's lorebooks."""
        books, _ = await self.disk.run(lambda _: find_lorebooks())
        self.lorebook_names = [path.stem for path, _ in books]

    async def enter(self, chat: Chat) -> Director:
        """Open a chat in place of the one that is open.

        Raises:
            UserError: It cannot be read, or the open one cannot be left.
        """
        await self.leave_chat()
        self.director = await Director.open(
            self.disk, chat, self.engine, self.settings, self.samplers
        )
        with suppress(UserError):  # where nothing can be written it is still read
            await self.disk.run(Library.touch, chat.id)
        return self.director

    def use(self, settings: Settings) -> None:
        """Let the open chat go by these settings; never while a reply is being written."""
        self.settings = settings
        if self.director is not None:
            self.director.use(self.engine, settings)

    async def load_model(self) -> ModelInfo:
        """Load the model, or find the server, that the settings name.

        Raises:
            UserError: There is none, or it cannot be used.
        """
        if isinstance(self.engine, RemoteEngine) != bool(self.settings.server):
            await self.engine.close()
            self.engine = make_engine(self.settings, self._on_engine)
        self.use(self.settings)
        if self.settings.server:
            self.servers[self.settings.server] = self.settings
        return await open_engine(self.engine, self.settings)

    async def switch_model(self, settings: Settings) -> ModelInfo:
        """Load the model of other settings, with which the open chat goes on.

        Raises:
            UserError: It cannot be used; the one before is loaded again.
        """
        before, was_open = self.settings, self.engine.info is not None
        self.settings = settings
        try:
            return await self.load_model()
        except UserError:
            self.settings = before
            with suppress(UserError):
                await self.load_model() if was_open else self.use(self.settings)
            raise

    async def leave_chat(self) -> None:
        """No chat is open any more; another window may have it. An untouched one vanishes."""
        director, self.director = self.director, None
        if director is not None:
            await director.close()
            await self.disk.run(Library.erase_untouched, director.chat.id)

    async def close(self) -> None:
        """Stop what is being written or imported, end the engine's process, close the library."""
        if self.importing is not None:
            self.importing.stop()
        try:
            await self.leave_chat()
            await self.engine.close()
        finally:
            await self.disk.close()
