"""Chats as SillyTavern keeps them, in and out.

What SillyTavern does not know stands in its own free fields under the key `shoritui`: it leaves
them alone, and a chat that comes back has its length hints, notes and scene again.
"""

from __future__ import annotations

from shoritui.interop.sillytavern.branches import Story, stories_of_sillytavern
from shoritui.interop.sillytavern.group import Group, group_of_sillytavern
from shoritui.interop.sillytavern.read import (
    ReadChat,
    chat_of_sillytavern,
    is_sillytavern,
    read_sillytavern,
)
from shoritui.interop.sillytavern.write import (
    CardFiles,
    card_file,
    sillytavern,
    sillytavern_group,
)

__all__ = [
    "CardFiles",
    "Group",
    "ReadChat",
    "Story",
    "card_file",
    "chat_of_sillytavern",
    "group_of_sillytavern",
    "is_sillytavern",
    "read_sillytavern",
    "sillytavern",
    "sillytavern_group",
    "stories_of_sillytavern",
]
