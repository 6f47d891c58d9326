"""The actions that steer a story, for the chat's table."""

from __future__ import annotations

from shoritui.tui.action import Action
from shoritui.tui.chat.app_protocol import Host
from shoritui.tui.chat.steering import verbs

STEERING: tuple[Action[Host], ...] = (
    Action(
        id="note",
        synonyms="author instruction direct inst sticky depth",
        title="Story: Add an author's note",
        run=verbs.note,
        help="Adds an [INST] note that the model reads and nobody says; `--sticky`, `--once`, "
        "`--depth 4`, `--every 6` and `--for NAME` before it say when and where.",
        keys="alt+i",
        slash="note",
        argument="TEXT",
        choices=verbs.note_choices,
        choice_details=verbs.note_details,
    ),
    Action(
        id="notes",
        synonyms="author list edit end rule inst",
        asks=True,
        title="Story: List the author's notes",
        run=verbs.notes,
        help="Lists the notes, those that are read first, and what each costs; edit one, change "
        "when it is read, or end it.",
        keys="alt+4,alt+shift+i",
        slash="notes",
    ),
    Action(
        id="title",
        synonyms="scene chapter",
        title="Story: Begin a new scene with a title",
        run=verbs.title,
        help="Begins a new scene in the middle of the story.",
        keys="alt+t",
        slash="title",
        argument="TEXT",
    ),
    Action(
        id="new_scene",
        synonyms="title chapter tags scenario cut later",
        asks=True,
        title="Story: Begin a new scene with title, tags and scenario",
        run=verbs.new_scene,
        help="Begins a new scene in the middle of the story, with a title, tags and a scenario.",
        keys="alt+3,alt+shift+t",
        slash="new-scene",
        argument="[TITLE]",
    ),
    Action(
        id="instruction",
        synonyms="system prompt jailbreak safe inst rules",
        asks=True,
        title="Story: Change the system instruction",
        run=verbs.instruction,
        help="Shows the instruction that the model reads before the story; edit or remove it, for "
        "this story or for all.",
        keys="alt+5,alt+shift+s",
        slash="instruction",
        argument="[TEXT|off]",
        choices=verbs.instruction_choices,
    ),
    Action(
        id="ooc_read",
        synonyms="hide exclude prompt out character",
        asks=True,
        title="Out of character: Have it read for the story, or not",
        run=verbs.read_ooc,
        help="Takes what is said out of character into the story's prompt, or leaves it out.",
        keys="alt+0,alt+shift+c",
        slash="ooc-read",
        argument="[in|out]",
        choices=verbs.ooc_choices,
    ),
)
