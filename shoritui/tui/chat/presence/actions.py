"""The actions of who is there and who hears what."""

from __future__ import annotations

from shoritui.tui.action import Action
from shoritui.tui.chat.app_protocol import Host
from shoritui.tui.chat.presence import verbs

PRESENCE: tuple[Action[Host], ...] = (
    Action(
        id="who",
        synonyms="presence present absent mute group members here",
        asks=True,
        title="Story: Who is here",
        run=verbs.who,
        help="Shows who is here, absent, muted, or speaks only when named, and changes it.",
        keys="f6",
        slash="who",
        has_priority=True,
    ),
    Action(
        id="enter",
        synonyms="come arrive join presence appear",
        asks=True,
        title="Story: Let a character enter",
        run=verbs.enter,
        help="Lets a character enter, whose description the model then reads; words after the "
        "name say how, as `/enter Bo comes in, dripping wet`.",
        keys="alt+1",
        slash="enter",
        argument="[NAME [HOW]]",
        choices=verbs.absent_names,
    ),
    Action(
        id="leave",
        synonyms="go exit part presence absent",
        asks=True,
        title="Story: Let a character leave",
        run=verbs.leave,
        help="Lets a character leave, who then has no turns until `/enter`.",
        keys="alt+2",
        slash="leave",
        argument="[NAME [HOW]]",
        choices=verbs.present_names,
    ),
    Action(
        id="whisper",
        synonyms="secret private tell knowledge aside",
        asks=True,
        title="Story: Whisper to some alone",
        run=verbs.whisper,
        help="Whispers to some alone: nobody else's replies know of it. Without a text the "
        "composer whispers until you do it again.",
        keys="f9",
        slash="whisper",
        argument="[NAME[, NAME] [TEXT]]",
        choices=verbs.hearers,
    ),
)
