"""A recorded scene played into a transcript, to look at the widget alone.

python -m tests.tui.rehearsal
"""

from __future__ import annotations

import re
from itertools import count
from time import monotonic
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.screen import Screen

from shoritui.folders import bundled_dir
from shoritui.tui.themes import DEFAULT, find_themes
from shoritui.tui.widgets.passage import Passage
from shoritui.tui.widgets.transcript import StoryScreen, Transcript

SCENE = (
    ("title", "", "", "The Lamp That Came Back"),
    (
        "message",
        "Mara",
        "medium",
        '"Nobody has oiled that hinge since the flood," Mara said, and pushed the door with her '
        "hip. It gave with a long *creeeak* that ended in a sort of question.\n\n_So somebody "
        "has been here. Somebody with small feet and a great deal of soup._ She lifted the lid "
        "of the pot and sniffed. **Leeks.** Of all things, leeks.",
    ),
    (
        "message",
        "Old Tobiah",
        "short",
        "🙂 \"It's not ''breaking in'' if the house invites you,\" said Tobiah, who had not "
        "stopped reading the notice on the wall:\n\n> LAMPS TO BE RETURNED BY NIGHTFALL\n> no "
        'exceptions, and that means you\n\n"Well? DID YOU BRING IT?"',
    ),
    ("note", "", "", "The lamp answers to nobody but the youngest in the room."),
    (
        "message",
        "琴音",
        "tiny",
        '"灯りは、まだ温かい。" Kotone set both hands around the glass. *Tik. Tik.* It was warm, '
        "the way a stone is warm that a cat has just left.",
    ),
    (
        "message",
        "Mara",
        "long",
        '"Then here is what we know," Mara said, and wrote it on the back of the notice:\n\n'
        "```\nlamp      one, returned, lit\nsoup      leek, half eaten\nfeet      small\n```\n\n"
        "She tapped the pencil against her teeth. _Small feet, and patience enough to peel "
        'leeks._ "That is either a child, a heron, or the **mayor**."',
    ),
)


def scene(repeat: int = 1) -> list[Passage]:
    """The recorded passages, as often as asked for."""
    number = count(1)
    return [
        Passage(next(number), kind, speaker, text, length, len(text) // 4)  # type: ignore[arg-type]
        for _ in range(repeat)
        for kind, speaker, length, text in SCENE
    ]


class Rehearsal(App[None]):
    """Plays the last passage over and over, as a model would write it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("j", "step(1)"),
        ("k", "step(-1)"),
        ("q", "quit"),
        ("t", "theme"),
    ]

    def __init__(self, repeat: int = 200, tokens_per_second: int = 40) -> None:
        super().__init__()
        self._repeat = repeat
        self._tokens_per_second = tokens_per_second
        self._themes = find_themes([bundled_dir("themes")])[0]
        for theme in self._themes.values():
            self.register_theme(theme)
        self.theme = DEFAULT

    def get_default_screen(self) -> Screen[None]:
        """The screen that knows transcripts."""
        return StoryScreen(id="_default")

    def compose(self) -> ComposeResult:
        """Only the transcript."""
        yield Transcript()

    def on_mount(self) -> None:
        """Shows the scene and begins to write."""
        started = monotonic()
        transcript = self.query_one(Transcript)
        transcript.show(scene(self._repeat))
        self.log(f"shown in {(monotonic() - started) * 1000:.0f} ms")
        self._pieces: list[str] = []
        self._next_id = count(1_000_000)
        self.set_interval(1 / self._tokens_per_second, self._write)

    def _write(self) -> None:
        transcript = self.query_one(Transcript)
        if not self._pieces:
            if transcript.passages[-1].status == "streaming":
                last = transcript.passages[-1]
                last.status = "complete"
                transcript.replace(last)
            _, speaker, length, text = SCENE[next(self._next_id) % 2 * 4 + 1]
            self._pieces = re.findall(r"\s?\S+|\s+", text)[::-1]
            self._writing = next(self._next_id)
            item = Passage(self._writing, "message", speaker, "", length, status="streaming")
            transcript.append(item)
        transcript.extend(self._writing, self._pieces.pop(), 1)

    def action_step(self, step: int) -> None:
        """Moves the message cursor."""
        self.query_one(Transcript).move_cursor(step)

    def action_theme(self) -> None:
        """Takes the next theme."""
        names = list(self._themes)
        self.theme = names[(names.index(self.theme) + 1) % len(names)]


if __name__ == "__main__":
    Rehearsal().run()
