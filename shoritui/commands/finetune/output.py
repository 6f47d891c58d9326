"""What the training commands share: what one waits for, and files that are not there yet."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from shoritui.files import replace_text
from shoritui.finetune.events import Preparing, Reported
from shoritui.progress import show
from shoritui.text import clean
from shoritui.toml import file_error


def report(event: Preparing | Reported) -> None:
    """Show how far it is, where stderr is a terminal; a note is a line of its own everywhere."""
    if isinstance(event, Reported):
        print(event.text, file=sys.stderr)
        return
    is_done = event.total and event.done >= event.total
    words = f"{event.what}: {event.done:,} of {event.total:,}" if event.total else event.what
    show("" if is_done else clean(words))


def write_new(folder: Path, texts: Mapping[str, str]) -> None:
    """Write texts under their names below a folder: all of them, or none.

    Raises:
        UserError: One of them is there already, or the folder cannot be written.
    """
    for name in reversed(list(texts)):
        if (folder / name).exists():
            raise file_error(folder / name, "this is there already, so nothing was written")
    try:
        for name, text in texts.items():
            replace_text(folder / name, text)
    except OSError as error:
        raise file_error(folder, f"this folder cannot be written ({error.strerror})") from error
