"""The app, with a record of everything that it shows: `python -m tests.kill.app RECORD CARD`."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from shoritui.director import (
    Appended,
    Changed,
    Event,
    Failed,
    Removed,
    TurnEnded,
    TurnStarted,
    Wrote,
)
from shoritui.settings import Settings
from shoritui.tui.chat.act_queue import Performance
from shoritui.tui.chat.app import ShoriTUI


class Recorded(Performance):
    """Shows what happens and writes it down, unbuffered: a kill takes nothing of it back."""

    def __init__(self, app: ShoriTUI, record: int) -> None:
        super().__init__(app)
        self._record = record

    def _show(self, event: Event) -> None:
        super()._show(event)
        match event:
            case Wrote(entry_id, text):
                self._note("wrote", entry_id, text)
            case TurnStarted(entry):
                self._note("begun", entry.id, entry.text)
            case Appended(entry) | TurnEnded(entry) | Changed(entry):
                self._note("kept", entry.id, entry.text)
            case Removed(entry_ids):
                for entry_id in entry_ids:
                    self._note("removed", entry_id, "")
            case Failed(sentence):
                self._note("failed", 0, sentence)

    def _note(self, what: str, entry_id: int, text: str) -> None:
        line = json.dumps([what, time.monotonic(), entry_id, text]) + "\n"
        os.write(self._record, line.encode())


def main() -> None:
    """Run the app, with replies that hardly end."""
    settings = Settings(max_tokens=100_000, length="enormous")
    app = ShoriTUI(settings, cards=[Path(sys.argv[2])], preset="wild")
    record = os.open(sys.argv[1], os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    app.performance = Recorded(app, record)
    app.run()


if __name__ == "__main__":
    main()
