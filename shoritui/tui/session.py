"""What stands behind the screen: the library, the engine, and the chat that is open.

It does not know widgets; whoever holds it shows what happens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from shoritui.cards import Card
from shoritui.director import Director, Disk, make_engine, new_chat, open_engine
from shoritui.engine import AnyEngine, EngineState, Preset, presets
from shoritui.errors import UserError
from shoritui.settings import Settings, config_dir, data_dir
from shoritui.story import Chat, Library
from shoritui.tui.passage import Passage, passage


class Session:
    """One run of the app: one library, one engine, one open chat at a time."""

    def __init__(
        self,
        disk: Disk,
        engine: AnyEngine,
        settings: Settings,
        samplers: dict[str, Preset],
        problems: Sequence[str],
    ) -> None:
        self.disk = disk
        self.engine = engine
        self.settings = settings
        self.samplers = samplers
        self.problems = list(problems)
        """What is wrong with the user's own files, a sentence each."""
        self.director: Director | None = None

    @classmethod
    async def open(cls, settings: Settings, on_engine: Callable[[EngineState], None]) -> Session:
        """Opens the library; no model is loaded yet.

        Raises:
            UserError: The library cannot be opened.
        """
        disk = await Disk.open(data_dir() / "library.db")
        samplers, problems = await disk.run(lambda _: presets(config_dir() / "presets"))
        return cls(disk, make_engine(settings, on_engine), settings, samplers, problems)

    def check_preset(self, name: str) -> None:
        """Raises a `UserError` if there is no such sampler preset."""
        if name not in self.samplers:
            raise UserError(f"There is no preset {name}: choose {', '.join(self.samplers)}.")

    async def load(self, model: Path | None) -> None:
        """Loads the model, or finds the server that has it.

        Raises:
            UserError: It cannot be loaded, or is not there.
        """
        await open_engine(self.engine, self.settings, model)

    async def last_chat(self) -> Chat | None:
        """The chat used last."""
        return await self.disk.run(Library.last_chat)

    async def begin(self, scene: Card) -> Director:
        """Begins a new chat and opens it."""
        return await self.enter(await new_chat(self.disk, scene))

    async def enter(self, chat: Chat) -> Director:
        """Opens a chat in place of the one that is open."""
        await self.disk.run(Library.touch, chat.id)
        self.leave_chat()
        self.director = await Director.open(
            self.disk, chat, self.engine, self.settings, self.samplers
        )
        return self.director

    def leave_chat(self) -> None:
        """No chat is open any more."""
        if self.director is not None:
            self.director.rest()
            self.director = None

    async def version(self, entry_id: int) -> tuple[int, int]:
        """Which of how many versions an entry is."""
        assert self.director is not None
        ids = [entry.id for entry in await self.director.alternatives(entry_id)]
        return (ids.index(entry_id) + 1, len(ids)) if entry_id in ids else (1, 1)

    async def preview(self, chat: Chat, last: int = 6) -> list[Passage]:
        """The last passages of a chat, to be looked at."""
        entries = await self.disk.run(Library.entries, chat.id)
        return [passage(entry) for entry in entries[-last:] if entry.kind != "ooc"]

    async def close(self) -> None:
        """Stops what is being written, ends the engine's process, closes the library."""
        try:
            if self.director is not None:
                self.director.rest()
                await self.director.stop()
            await self.engine.close()
        finally:
            await self.disk.close()


def read_card(paths: Sequence[Path]) -> Card:
    """The scene of some card files; any trouble is a `UserError`."""
    from shoritui.cards import load_cards

    if not paths:
        raise UserError("No card was given.")
    return load_cards(paths)
