"""The scene, each of its fields edited where it stands.

It does not keep anything: it tells the new scene, and shows the one it is given.
"""

from __future__ import annotations

from dataclasses import replace

from textual import work
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from shoritui.blockml import check_name
from shoritui.cards import Card, Character, Lore
from shoritui.tui.field import Field
from shoritui.tui.inks import SpeakerColours
from shoritui.tui.passage import one_line, safe


class ScenePanel(VerticalScroll, can_focus=False):
    """Title, tags, scenario, cast and lore."""

    DEFAULT_CSS = """
    ScenePanel { height: 1fr; padding: 1 0; scrollbar-size-vertical: 1; }
    ScenePanel Field { margin: 0 0 1 0; }
    ScenePanel .tight { margin: 0; }
    ScenePanel .heading {
        width: 100%; height: 1; padding: 0 1; color: $prose-title; text-style: bold;
        margin: 0 0 1 0;
    }
    """

    class Changed(Message):
        """The user edited the scene; this is the new one."""

        def __init__(self, scene: Card) -> None:
            super().__init__()
            self.scene = scene

    class Refused(Message):
        """An edit could not be taken, and why."""

        def __init__(self, sentence: str) -> None:
            super().__init__()
            self.sentence = sentence

    def __init__(self) -> None:
        super().__init__()
        self._scene = Card()
        self._user = ""

    def compose(self) -> ComposeResult:
        """A field for everything the scene holds."""
        yield from self._fields()

    def show(self, scene: Card, user: str) -> None:
        """Shows a scene; where only texts differ, only they are touched."""
        before = self._outline()
        self._scene, self._user = scene, user
        if not self.is_mounted:
            return
        if self._outline() == before:
            for field in self.query(Field):
                field.text = self._text(field.key)
        else:
            self._rebuild()

    @work(exclusive=True)
    async def _rebuild(self) -> None:
        focused = self.app.focused
        key = focused.key if isinstance(focused, Field) else None
        async with self.batch():
            await self.remove_children()
            await self.mount_all(self._fields())
        for field in self.query(Field):
            if field.key == key:
                field.focus()

    def _outline(self) -> tuple[object, ...]:
        scene = self._scene
        return (
            self._user,
            tuple(character.name for character in scene.characters),
            len(scene.lore),
        )

    def _fields(self) -> list[Widget]:
        scene = self._scene
        title = Field("title", "Title", safe(scene.title), ink="bold")
        title.add_class("-first")
        tags = Field("tags", "Tags", self._text("tags"), empty="comma, separated")
        scenario = Field(
            "scenario", "Still to happen", safe(scene.scenario), one_line=False, rows=6
        )
        widgets: list[Widget] = [title, tags, scenario, _heading("Cast")]
        colours = SpeakerColours(one_line(character.name) for character in scene.characters)
        for number, character in enumerate(scene.characters):
            widgets += self._character(number, character, colours)
        widgets.append(Field("new.character", "", "", empty="+ add a character"))
        widgets.append(_heading("Lore"))
        for number in range(len(scene.lore)):
            widgets += self._lore(number)
        widgets.append(Field("new.lore", "", "", empty="+ add a piece of lore"))
        return widgets

    def _character(
        self, number: int, character: Character, colours: SpeakerColours
    ) -> list[Widget]:
        name = one_line(character.name)
        ink = f"$speaker-{colours.number(name)} bold"
        note = "  · you" if character.name == self._user else ""
        head = Field(f"name.{number}", "", name, ink=ink, note=note)
        head.add_class("tight")
        key = f"description.{number}"
        text = Field(key, "", self._text(key), one_line=False, empty="no description", rows=4)
        return [head, text]

    def _lore(self, number: int) -> list[Widget]:
        name = Field(f"lore.{number}", "", self._text(f"lore.{number}"), ink="bold")
        keys = Field(
            f"keys.{number}", "", self._text(f"keys.{number}"), empty="always", ink="$prose-info"
        )
        text = Field(f"text.{number}", "", self._text(f"text.{number}"), one_line=False, rows=3)
        for field in (name, keys):
            field.add_class("tight")
        return [name, keys, text]

    def _text(self, key: str) -> str:
        scene = self._scene
        part, _, number = key.partition(".")
        match part:
            case "title":
                text = scene.title
            case "tags":
                text = ", ".join(scene.tags)
            case "scenario":
                text = scene.scenario
            case "name":
                text = scene.characters[int(number)].name
            case "description":
                text = scene.characters[int(number)].description
            case "lore":
                text = scene.lore[int(number)].name
            case "keys":
                text = ", ".join(scene.lore[int(number)].keys)
            case "text":
                text = scene.lore[int(number)].text
            case _:
                text = ""
        return safe(text)

    def on_field_edited(self, event: Field.Edited) -> None:
        """Makes the new scene and tells it."""
        event.stop()
        try:
            scene = with_field(self._scene, event.field.key, event.field.text)
        except ValueError as error:
            event.field.text = self._text(event.field.key)
            self.post_message(self.Refused(f"The scene stays as it was: {error}."))
            return
        if scene != self._scene:
            self.post_message(self.Changed(scene))


def with_field(scene: Card, key: str, text: str) -> Card:
    """The scene with one field's new text; an empty name takes its character or lore away.

    Raises:
        ValueError: The text can't stand there.
    """
    part, _, number = key.partition(".")
    match part:
        case "title":
            return replace(scene, title=text)
        case "tags":
            return replace(scene, tags=_listed(text))
        case "scenario":
            return replace(scene, scenario=text)
        case "name" | "description":
            return replace(scene, characters=_characters(scene, part, int(number), text))
        case "lore" | "keys" | "text":
            return replace(scene, lore=_lore(scene, part, int(number), text))
    if part == "new" and text and number == "character":
        return with_character(scene, text)
    if part == "new" and text:
        return replace(scene, lore=(*scene.lore, Lore(name=text, text="")))
    return scene


def with_character(scene: Card, name: str) -> Card:
    """The scene with one more character.

    Raises:
        ValueError: The name can't be one, or is taken.
    """
    _check_free(scene, name)
    return replace(scene, characters=(*scene.characters, Character(name=name)))


def _characters(scene: Card, part: str, number: int, text: str) -> tuple[Character, ...]:
    characters = list(scene.characters)
    if part == "description":
        characters[number] = replace(characters[number], description=text)
    elif not text:
        del characters[number]
    else:
        _check_free(scene, text)
        characters[number] = replace(characters[number], name=text)
    return tuple(characters)


def _check_free(scene: Card, name: str) -> None:
    check_name(name)
    if name.casefold() in {character.name.casefold() for character in scene.characters}:
        raise ValueError(f"there is a character named {name} already")


def _lore(scene: Card, part: str, number: int, text: str) -> tuple[Lore, ...]:
    lore = list(scene.lore)
    if part == "keys":
        lore[number] = replace(lore[number], keys=_listed(text))
    elif part == "text":
        lore[number] = replace(lore[number], text=text)
    elif text:
        lore[number] = replace(lore[number], name=text)
    else:
        del lore[number]
    return tuple(lore)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.replace("\n", ",").split(",") if word.strip())


def _heading(text: str) -> Static:
    heading = Static(text, markup=False)
    heading.add_class("heading")
    return heading
