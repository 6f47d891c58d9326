"""The director's acts of who comes and goes, and of what only some hear."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from shoritui.director import prompt_layout as doc
from shoritui.director.action import Acting, Steps, action
from shoritui.director.context_window import ContextWindow, said_by
from shoritui.director.events import Appended, Event, Failed
from shoritui.director.reply import PendingReply
from shoritui.story import Details, Draft, Origin
from shoritui.text import clean


class PresenceActs(Acting, Protocol):
    """What a director does with who is there and who hears it."""

    _window: ContextWindow

    @action
    async def enter(self, name: str, how: str = "") -> Steps:
        """Let a character enter; `how` goes on from the name: `comes in, dripping wet`."""
        yield await self._come_or_go("enter", name, how)

    @action
    async def leave(self, name: str, how: str = "") -> Steps:
        """Let a character leave, who then has no turns until they enter again."""
        yield await self._come_or_go("leave", name, how)

    @action
    async def whisper(self, text: str, heard: Sequence[str], speaker: str | None = None) -> Steps:
        """Whisper to these characters, and let one of them answer in a whisper.

        Without a text one of them goes on; without a `speaker`, whoever's turn it is among them.
        """
        chat, text = self.chat, clean(text).strip()
        circle = tuple(name for name in dict.fromkeys(heard) if name in chat.present)
        if not circle:
            yield Failed("Nobody is here to hear that.")
            return
        name = speaker if speaker in circle else chat.who_answers(said_by(chat.user, text, circle))
        if text:
            details, origin = Details(heard=circle), Origin("user")
            draft = Draft("message", chat.user, text, origin=origin, details=details)
            yield Appended(await chat.append(draft))
        if name:
            length, details = chat.length_of(name), Details(heard=(chat.user, *circle))
            opened = doc.open_message(name, length)
            yield PendingReply("message", name, length, opened, details=details)

    async def whisper_cost(self, heard: Sequence[str]) -> int | None:
        """Return the tokens read again whenever, after a whisper to these, the speaker changes.

        That is from one who heard it to another, or back. None: everybody hears it.

        Raises:
            UserError: There is no prompt: the scene does not fit.
        """
        return await self._window.reread(said_by(self.chat.user, "", tuple(heard)))

    async def _come_or_go(self, kind: Literal["enter", "leave"], name: str, how: str) -> Event:
        if problem := self.chat.coming_problem(kind, name):
            return Failed(problem)
        draft = Draft(kind, name, clean(how).strip(), origin=Origin("user"))
        return Appended(await self.chat.append(draft))
