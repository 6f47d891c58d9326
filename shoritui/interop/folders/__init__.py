"""A whole folder of another program at once: what is in it, what became of it, and the way back.

Import([Path("SillyTavern/data/default-user")])     cards, lorebooks and chats, each file by content
take_back(library)                                  the last import goes into the bin
"""

from __future__ import annotations

from shoritui.interop.folders.export_all import Exported, export_all
from shoritui.interop.folders.import_all import Became, Import, Progress, Reader, imported_card
from shoritui.interop.folders.journal import Journal
from shoritui.interop.folders.outcome import Outcome, rows_of, summary
from shoritui.interop.folders.undo import TakenBack, last_import, last_rows, take_back
from shoritui.interop.folders.walk import Found, pasted_paths, walk

__all__ = [
    "Became",
    "Exported",
    "Found",
    "Import",
    "Journal",
    "Outcome",
    "Progress",
    "Reader",
    "TakenBack",
    "export_all",
    "imported_card",
    "last_import",
    "last_rows",
    "pasted_paths",
    "rows_of",
    "summary",
    "take_back",
    "walk",
]
