"""What every action of the director has in common."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import wraps
from typing import Concatenate, Final, ParamSpec, Protocol, TypeAlias, TypeVar

from shoritui.director.chat_state import ChatState
from shoritui.director.events import Event, Failed, Notice, PathChanged
from shoritui.director.memory import Memory
from shoritui.director.reply import PendingReply
from shoritui.errors import UserError
from shoritui.story import HELD_ELSEWHERE

P = ParamSpec("P")

Steps: TypeAlias = AsyncGenerator[Event | PendingReply]
"""What an action does: events as they are, and where a reply is due, that reply."""

_STOP_FIRST: Final = Failed("A reply is being written: stop it first.")


class Acting(Protocol):
    """Whoever plays a chat."""

    chat: ChatState
    memory: Memory
    busy: bool
    """Whether a reply is being written."""

    def rest(self) -> None:
        """End what is done in idle time."""

    def turn(self, pending: PendingReply, /) -> AsyncGenerator[Event]:
        """Write a reply."""


A = TypeVar("A", bound=Acting)


def action(
    method: Callable[Concatenate[A, P], Steps],
) -> Callable[Concatenate[A, P], AsyncGenerator[Event]]:
    """Make an action of its steps: idle work rests before it, and a pending reply is written.

    Nothing is done while a reply is being written, or while another window holds the chat.

    What the model writes passes through no generators but this one and `Director.turn`.
    """

    @wraps(method)
    async def events(self: A, /, *args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[Event]:
        self.rest()
        try:
            if self.busy:
                yield _STOP_FIRST
                return
            await self.memory.settled()
            if not self.chat.is_mine or self.chat.is_stale:
                if not await self.chat.claim():
                    yield Failed(HELD_ELSEWHERE)
                    return
                await self.chat.reload()
                yield PathChanged(tuple(self.chat.entries), None)
            async with aclosing(method(self, *args, **kwargs)) as steps:
                async for step in steps:
                    if not isinstance(step, PendingReply):
                        yield step
                        continue
                    async with aclosing(self.turn(step)) as turn:
                        async for event in turn:
                            yield event
        except UserError as error:
            yield Failed(str(error))
        for sentence in self.chat.take_told():
            yield Notice(sentence)

    return events
