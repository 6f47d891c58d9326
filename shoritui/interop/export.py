"""Write a chat as a file of its own, in a format for programs or for readers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shoritui.errors import UserError
from shoritui.files import add_folder, add_text, why
from shoritui.folders import user_path
from shoritui.interop.blockml_text import blockml_line, blockml_text
from shoritui.interop.chat_json import chat_json
from shoritui.interop.html_page import html_page
from shoritui.interop.plain import markdown, prose
from shoritui.interop.sillytavern import sillytavern, sillytavern_group
from shoritui.story import Chat, WholeChat
from shoritui.text import clean, composed, printable

_LONGEST_NAME: Final = 80
"""Bytes of a title in a file's name."""


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write a chat."""

    suffix: str
    """How the file's name ends."""
    summary: str
    """What it is for."""
    text: Callable[[WholeChat], str]
    is_training: bool = False
    """Whether `shoritui finetune` reads it."""
    files: Callable[[WholeChat], Mapping[str, str]] | None = None
    """Where it is a folder: the files in it by their paths."""


FORMATS: Final[Mapping[str, Format]] = {
    "json": Format(".json", "everything, every branch: to keep, or to go on elsewhere", chat_json),
    "sillytavern": Format(
        ".sillytavern.jsonl", "the story with all versions, for SillyTavern", sillytavern
    ),
    "sillytavern-group": Format(
        ".sillytavern-group",
        "the same as a group: a folder to copy into SillyTavern's data/default-user",
        sillytavern,
        files=sillytavern_group,
    ),
    "html": Format(".html", "the story as a page to read, on a phone too", html_page),
    "markdown": Format(".md", "the story with the speakers' names, to read or edit", markdown),
    "prose": Format(".prose.txt", "the story as plain text, without names", prose),
    "blockml": Format(".txt", "what the model reads; training data", blockml_text, True),
    "jsonl": Format(".jsonl", "BlockML in a JSON object; training data", blockml_line, True),
}
"""The formats by name; those that hold the most for people come first."""


def export_chat(whole: WholeChat, name: str, folder: Path) -> Path:
    """Write a chat in the format of this name as a new file in a folder; return the file.

    For a group of SillyTavern it is a folder. It can be read by the user alone. What is there
    already stays as it is: the new one gets a number.

    Raises:
        UserError: The file cannot be written.
    """
    form = FORMATS[name]
    path = user_path(folder) / (file_name(whole.chat) + form.suffix)
    try:
        if form.files is not None:
            return add_folder(path, form.files(whole))
        return add_text(path, form.text(whole))
    except OSError as error:
        raise UserError(f"{printable(path)} cannot be written: {why(error)}.") from None


def file_name(chat: Chat) -> str:
    """Return a name for any file system that no other chat has: title's words and number."""
    words = "-".join(re.findall(r"\w+", composed(clean(chat.name))))
    short = words.encode()[:_LONGEST_NAME].decode(errors="ignore").strip("-_")
    return f"{short or 'chat'}-{chat.id}"
