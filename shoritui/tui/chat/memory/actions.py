"""The actions on what the model keeps in mind, for the chat's table."""

from __future__ import annotations

from shoritui.tui.action import Action
from shoritui.tui.chat.app_protocol import Host
from shoritui.tui.chat.memory import verbs

MEMORY: tuple[Action[Host], ...] = (
    Action(
        id="pin",
        synonyms="keep memory forget never remember",
        title="Message: Pin it, or unpin it",
        run=verbs.pin,
        help="Pins the selected message, or the last one: the model reads it however old it is.",
        keys="p",
        where="transcript",
        slash="pin",
    ),
    Action(
        id="summarise",
        synonyms="memory summarize sum up compress recap context full",
        asks=True,
        title="Story: Summarise what is old",
        run=verbs.summarise,
        help="Has the model write a summary up to the selected message, or of the older half, for "
        "you to edit; the model then reads it in place of those messages.",
        keys="alt+6",
        slash="summarise",
    ),
)
