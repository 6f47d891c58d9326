"""Chats as files: taken out of the library in several formats, and in again.

export_chat(library.whole_chat(3), "html", Path("out"))     out/The-last-ferry-3.html
import_file(library, Path("ferry.json"))                    Chat(id=4, name="The last ferry", ...)
"""

from __future__ import annotations

from shoritui.interop.export import FORMATS, Format, export_chat, file_name
from shoritui.interop.import_file import import_chats, import_file
from shoritui.interop.preferences import Preference, preferences_of, tally, taste
from shoritui.interop.read_blockml import chat_of_blockml
from shoritui.interop.read_chats import ChatOfFiles, read_chats

__all__ = [
    "FORMATS",
    "ChatOfFiles",
    "Format",
    "Preference",
    "chat_of_blockml",
    "export_chat",
    "file_name",
    "import_chats",
    "import_file",
    "preferences_of",
    "read_chats",
    "tally",
    "taste",
]
