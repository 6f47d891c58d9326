"""What the director tells, turned into what the reader sees.

It does not decide anything: every event has one place on the screen.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shoritui.director import (
    Appended,
    Changed,
    Director,
    Evaluating,
    Event,
    Failed,
    Notice,
    Removed,
    SceneChanged,
    TurnEnded,
    TurnStarted,
    Wrote,
)
from shoritui.story import Entry
from shoritui.tui.inks import SpeakerColours
from shoritui.tui.passage import one_line, passage
from shoritui.tui.transcript import Transcript

if TYPE_CHECKING:
    from shoritui.tui.app import ShoriTUI

_EMPTY = "The page is empty.\nWrite the first line, or press Enter\nto let somebody else begin."


class Stage:
    """Shows one director's chat and its events."""

    def __init__(self, app: ShoriTUI, director: Director) -> None:
        self._app = app
        self._director = director
        self._ooc_ids = {entry.id for entry in director.entries if entry.kind == "ooc"}
        self._begun: Entry | None = None

    def set_up(self) -> None:
        """Shows the chat as it is now."""
        story = self._app.story
        story.speakers = self._speakers()
        story.empty_text = _EMPTY
        story.show(passage(entry) for entry in self._director.entries if entry.kind != "ooc")
        self.show_ooc()
        self.show_scene()

    def show_ooc(self) -> None:
        """Shows the talk out of character, where its panel is open."""
        talk = self._ooc
        if talk is not None:
            talk.speakers = self._speakers()
            talk.show(passage(entry) for entry in self._director.entries if entry.kind == "ooc")

    def show_scene(self) -> None:
        """The scene's name and cast, wherever they stand."""
        scene = self._director.scene
        title = one_line(scene.title) or one_line(self._director.chat.name)
        tags = " · ".join(one_line(tag) for tag in scene.tags)
        self._app.main.masthead.heading = (title, tags, "ShoriTUI")
        self._app.show_panels()

    def show(self, event: Event) -> None:
        """Shows one event."""
        app = self._app
        match event:
            case Wrote(entry_id, text):
                transcript = self._transcript(entry_id)
                if transcript is not None:
                    transcript.extend(entry_id, text, 1)
            case Appended(entry):
                self._append(entry)
            case TurnStarted(entry, speaker):
                self._begun = entry
                self._append(replace(entry, status="streaming"))
                app.playing.say_now(f"{one_line(speaker)} is about to write")
            case Evaluating(done, total):
                app.playing.say_now(f"reading the story, {done:,} of {total:,} tokens")
            case TurnEnded(entry) | Changed(entry):
                self._begun = None
                self._replace(entry)
                if isinstance(event, TurnEnded):
                    app.playing.look_for_versions()
            case Removed(entry_ids):
                self._take_away(entry_ids)
                if self._begun is not None and self._begun.id in entry_ids:
                    app.tell(f"{one_line(self._begun.speaker)} ended before the first word.")
            case SceneChanged():
                app.story.speakers = self._speakers()
                self.show_scene()
                app.show_prompt()
            case Notice(sentence):
                app.tell(sentence)
            case Failed(sentence):
                app.tell(sentence, trouble=True)

    def settle(self) -> None:
        """Shows a reply whose end was never told as it was kept."""
        begun, self._begun = self._begun, None
        if begun is None:
            return
        kept = [entry for entry in self._director.entries if entry.id == begun.id]
        if kept:
            self._replace(kept[0])
        else:
            self._take_away((begun.id,))

    def _speakers(self) -> SpeakerColours:
        return SpeakerColours(map(one_line, self._director.cast))

    @property
    def _ooc(self) -> Transcript | None:
        side = self._app.side
        return side.ooc.transcript if side is not None and side.ooc.is_mounted else None

    def _transcript(self, entry_id: int) -> Transcript | None:
        return self._ooc if entry_id in self._ooc_ids else self._app.story

    def _append(self, entry: Entry) -> None:
        """Shows an entry at the end, or anew where it stands already."""
        if entry.kind == "ooc":
            self._ooc_ids.add(entry.id)
            self._app.main.count_ooc()
        transcript = self._transcript(entry.id)
        if transcript is None:
            return
        if transcript.holds(entry.id):
            transcript.replace(passage(entry))
        else:
            transcript.append(passage(entry))
        self._app.playing.look_for_versions()

    def _replace(self, entry: Entry) -> None:
        transcript = self._transcript(entry.id)
        if transcript is not None:
            transcript.replace(passage(entry, transcript.version_of(entry.id)))

    def _take_away(self, entry_ids: tuple[int, ...]) -> None:
        for transcript in (self._app.story, self._ooc):
            if transcript is not None:
                transcript.take_away(entry_ids)
        self._app.playing.look_for_versions()
