"""One turn: who speaks, how long, which lore fires, what the model reads, what of it stays.

The only room that joins the story and the engine. It has no screen in it.
"""

from shoritui.director.beginning import (
    adapters,
    default_user,
    engine_options,
    make_engine,
    new_chat,
    open_engine,
)
from shoritui.director.director import Director
from shoritui.director.disk import Disk
from shoritui.director.document import Form, header_segments, open_message, story_segments
from shoritui.director.events import (
    Appended,
    Changed,
    Evaluating,
    Event,
    Failed,
    Notice,
    Removed,
    SceneChanged,
    TurnEnded,
    TurnStarted,
    Wrote,
)
from shoritui.director.figures import Figures
from shoritui.director.speakers import next_speaker

__all__ = [
    "Appended",
    "Changed",
    "Director",
    "Disk",
    "Evaluating",
    "Event",
    "Failed",
    "Figures",
    "Form",
    "Notice",
    "Removed",
    "SceneChanged",
    "TurnEnded",
    "TurnStarted",
    "Wrote",
    "adapters",
    "default_user",
    "engine_options",
    "header_segments",
    "make_engine",
    "new_chat",
    "next_speaker",
    "open_engine",
    "open_message",
    "story_segments",
]
