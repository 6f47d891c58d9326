"""A line on stderr that says what one waits for.

It does not know what takes the time.
"""

from __future__ import annotations

import shutil
import sys

from shoritui.blockml import clean
from shoritui.finetune.events import Preparing, Told


def tell(event: Preparing | Told) -> None:
    """Says it over the line before where that is a terminal; elsewhere only what is told."""
    if isinstance(event, Told):
        print(clean(event.text), file=sys.stderr)
    elif sys.stderr.isatty():
        is_done = event.total and event.done >= event.total
        words = f"{event.what}: {event.done:,} of {event.total:,}" if event.total else event.what
        line = "" if is_done else clean(words)[: shutil.get_terminal_size().columns - 1]
        print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)
