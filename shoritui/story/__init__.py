"""The library of chats: each a tree of entries, kept in one SQLite file.

It does not know models, prompts or screens.
"""

from __future__ import annotations

from shoritui.story.library import Library
from shoritui.story.model import JSON, Chat, Entry, Kind, Status

__all__ = ["JSON", "Chat", "Entry", "Kind", "Library", "Status"]
