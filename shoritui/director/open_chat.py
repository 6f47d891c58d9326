"""One chat as it stands: its active path and what the user chose for it, in memory as on disk.

It does not know how a reply is written or what the model reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from shoritui.blockml import Length
from shoritui.cards import Card
from shoritui.director.choices import SamplingValue, read_choices
from shoritui.director.disk import Disk
from shoritui.director.speakers import next_speaker
from shoritui.engine import Preset, Sampling, changed
from shoritui.errors import UserError
from shoritui.settings import Settings
from shoritui.story import Chat, Entry, Library
from shoritui.story import Kind as EntryKind


class OpenChat:
    """A chat out of the library."""

    def __init__(
        self,
        disk: Disk,
        chat: Chat,
        entries: Sequence[Entry],
        settings: Settings,
        presets: dict[str, Preset],
    ) -> None:
        self.chat = chat
        self.choices = read_choices(chat.settings)
        self.entries = list(entries)
        self.settings = settings
        self.presets = presets
        self._disk = disk

    @property
    def scene(self) -> Card:
        """The scene as it is now."""
        return self.chat.scene

    @property
    def cast(self) -> list[str]:
        """The names of the scene's characters, in order."""
        return [character.name for character in self.scene.characters]

    @property
    def user(self) -> str:
        """The name the user speaks as."""
        return self.chat.user

    @property
    def messages(self) -> list[Entry]:
        """The messages of the active path, oldest first."""
        return [entry for entry in self.entries if entry.kind == "message"]

    async def alternatives(self, entry_id: int) -> list[Entry]:
        """All versions of an entry that hold any text, oldest first."""
        versions = await self._disk.run(Library.alternatives, entry_id)
        return [version for version in versions if version.text.strip()]

    # What the user chose for this chat, kept with it.

    @property
    def preset(self) -> str:
        """The name of the sampler preset in use."""
        wanted = (self.choices.preset, self.settings.preset, Settings().preset)
        return next(name for name in wanted if name in self.presets)

    @property
    def sampling(self) -> Sampling:
        """The preset's sampler with the values changed in this chat."""
        try:
            return changed(self.presets[self.preset].sampling, self.choices.sampling)
        except UserError:  # The library holds a value that this version does not take.
            return self.presets[self.preset].sampling

    @property
    def length(self) -> Length | None:
        """The hint that replies get; None gives none (the dynamic mode)."""
        hint = self.choices.length or self.settings.length
        return None if hint == "auto" else hint

    @property
    def next_speaker(self) -> str | None:
        """The character asked to speak next; None lets the cast take turns."""
        name = self.choices.next_speaker
        return name if name in self.cast else None

    def who_next(self, *said: Entry) -> str:
        """The character that would speak now, or once this is `said`; empty if there is none."""
        messages = [*self.messages, *said]
        return self.next_speaker or next_speaker(self.scene.characters, self.user, messages)

    async def choose_preset(self, name: str) -> None:
        """Takes another preset; values changed one by one are forgotten.

        Raises:
            UserError: There is no such preset.
        """
        if name not in self.presets:
            raise UserError(f"There is no preset {name!r}: choose {', '.join(self.presets)}.")
        await self._choose(preset=name, sampling={})

    async def change_sampling(self, **values: SamplingValue) -> None:
        """Changes single values of the sampler, from the next reply on.

        Raises:
            UserError: There is no such value, or it is out of range.
        """
        changes = {**self.choices.sampling, **values}
        original = self.presets[self.preset].sampling
        changed(original, changes)
        kept = {name: value for name, value in changes.items() if getattr(original, name) != value}
        await self._choose(sampling=kept)

    async def choose_length(self, length: Length | None) -> None:
        """Takes another hint for the replies to come."""
        await self._choose(length=length or "auto")

    async def choose_next(self, name: str | None) -> None:
        """Says who speaks next and from then on; None lets the cast take turns."""
        await self._choose(next_speaker=name)

    async def choose_user(self, name: str) -> None:
        """Says as whom the user speaks from now on."""
        self.chat = await self._disk.run(Library.set_user, self.chat.id, name)

    async def _choose(self, **changes: Any) -> None:
        self.choices = msgspec.structs.replace(self.choices, **changes)
        self.chat = await self._disk.run(
            lambda library: library.update_settings(self.chat.id, **changes)
        )

    # The active path.

    async def _append_entry(self, kind: EntryKind, speaker: str, text: str, **rest: Any) -> Entry:
        entry = await self._disk.run(Library.append, self.chat.id, kind, speaker, text, **rest)
        self.entries.append(entry)
        self.chat = replace(self.chat, head=entry.id)
        return entry

    async def _move_head(self, entry_id: int | None) -> None:
        await self._disk.run(Library.set_head, self.chat.id, entry_id)
        self.chat = replace(self.chat, head=entry_id)
        self.entries = await self._disk.run(Library.entries, self.chat.id)

    async def _change_scene(self, scene: Card) -> None:
        self.chat = await self._disk.run(Library.update_scene, self.chat.id, scene)

    def _entry(self, entry_id: int) -> Entry | None:
        return next((entry for entry in self.entries if entry.id == entry_id), None)

    def _replace(self, changed: Entry) -> None:
        self.entries = [changed if entry.id == changed.id else entry for entry in self.entries]


def since(entries: Sequence[Entry], first: int | None) -> list[Entry]:
    """The entries from the first one that is read; all of them if that one is not there."""
    starts = [at for at, entry in enumerate(entries) if entry.id == first]
    return list(entries[starts[0] :]) if starts else list(entries)


def last_id(entries: Sequence[Entry]) -> int | None:
    """The last entry, by its id; None if there is none."""
    return entries[-1].id if entries else None


def spoken(speaker: str, text: str) -> Entry:
    """A message as it will be once it is said; it is on no disk."""
    return Entry(0, None, "message", speaker, None, text, "complete", 0.0, 0)
