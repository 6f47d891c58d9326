"""The actions of taking files in, for the chat's table."""

from __future__ import annotations

from shoritui.tui.action import Action
from shoritui.tui.chat.app_protocol import Host
from shoritui.tui.chat.imports import verbs

IMPORTS: tuple[Action[Host], ...] = (
    Action(
        id="import",
        synonyms="load read sillytavern jsonl log character card png lorebook world info folder",
        asks=True,
        title="Library: Import a file or a folder",
        run=verbs.take_in,
        help="Takes in a file, recognised by what it holds: a story, which opens, a character "
        "card, a lorebook; or a whole folder, such as SillyTavern's `data/default-user`, while "
        "you go on. `/import last` shows what became of the last one.",
        keys="alt+o",
        slash="import",
        argument="[PATH|last]",
        choices=verbs.last_choice,
    ),
    Action(
        id="undo_import",
        synonyms="import undo back remove revert",
        asks=True,
        title="Library: Take back the last import",
        run=verbs.undo,
        help="Puts everything of the last import into the bin, but for what you changed since; "
        "importing again brings it back.",
        keys="alt+7",
        slash="undo-import",
    ),
)
"""Files and folders in, and out again."""
