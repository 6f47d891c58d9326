"""One turn: who speaks, how long, which lore fires, what the model reads, what of it stays.

The only room that joins the story and the engine:

    Director        the actions of a chat, as async generators of events
      ChatState       the active path and the user's choices, in memory as on disk
      ContextWindow   what is read of it, by PromptBuilder and document.py
      Prefetch        idle work: documents evaluated ahead, Alternatives for the last reply
      Memory          summaries of what leaves the context
      Reply           from the engine's tokens to an entry on disk, by Body: what is its speaker's
"""

from shoritui.director.chat_state import ChatState, new_chat
from shoritui.director.choices import SummaryDraft
from shoritui.director.context_window import LoreRow
from shoritui.director.director import Director
from shoritui.director.engine_setup import (
    adapters,
    engine_options,
    is_same_engine,
    load_failure,
    make_engine,
    open_engine,
)
from shoritui.director.events import (
    Appended,
    Changed,
    Evaluating,
    Event,
    Failed,
    Leaving,
    Notice,
    PathChanged,
    Removed,
    SceneChanged,
    Summarising,
    Trimmed,
    TurnEnded,
    TurnStarted,
    Wrote,
)
from shoritui.director.inspection import (
    REASONS,
    InspectedBlock,
    Inspection,
    Inspector,
    LeftOut,
    LeftOutSum,
    Reason,
    begun_with,
)
from shoritui.director.length_table import LengthTable, near_share
from shoritui.director.library_thread import Disk
from shoritui.director.loops import kept_end
from shoritui.director.notes import NoteRow, note_rows, read_tokens, reread
from shoritui.director.prompt_layout import header_segments, story_segments
from shoritui.director.wearing import OFF, adapters_after, adapters_told

__all__ = [
    "OFF",
    "REASONS",
    "Appended",
    "Changed",
    "ChatState",
    "Director",
    "Disk",
    "Evaluating",
    "Event",
    "Failed",
    "InspectedBlock",
    "Inspection",
    "Inspector",
    "Leaving",
    "LeftOut",
    "LeftOutSum",
    "LengthTable",
    "LoreRow",
    "NoteRow",
    "Notice",
    "PathChanged",
    "Reason",
    "Removed",
    "SceneChanged",
    "Summarising",
    "SummaryDraft",
    "Trimmed",
    "TurnEnded",
    "TurnStarted",
    "Wrote",
    "adapters",
    "adapters_after",
    "adapters_told",
    "begun_with",
    "engine_options",
    "header_segments",
    "is_same_engine",
    "kept_end",
    "load_failure",
    "make_engine",
    "near_share",
    "new_chat",
    "note_rows",
    "open_engine",
    "read_tokens",
    "reread",
    "story_segments",
]
