"""The scene, each of its fields edited where it stands."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from textual import work
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from shoritui.blockml import check_name
from shoritui.cards import Card, Character, Lore, key_pattern, pictures_of
from shoritui.names import fold
from shoritui.text import clean, composed, one_line
from shoritui.tui.widgets.field import Field, Refused
from shoritui.tui.widgets.picture import Picture
from shoritui.tui.widgets.styles import SpeakerColours

_KEYS: Final = re.compile(r"(?:^|[,\n])\s*(/(?:\\.|[^/\\\n])++/[a-z]*(?=\s*(?:[,\n]|$))|[^,\n]*)")
"""Keys between commas; those in a pattern belong to it."""
_SPEAKS: Final = {"freely": "", "when named": "only when named", "never": "muted"}
"""What the ways to have turns are called."""
_LEAST_PICTURE: Final = 5
"""So many rows a picture has on the smallest screen."""
_MOST_LORE: Final = 40
"""How many pieces of lore can be edited here; a larger book is edited in its file."""


class ScenePanel(VerticalScroll, can_focus=False):
    """The picture, title, tags, scenario, cast and lore."""

    DEFAULT_CSS = """
    ScenePanel { height: 1fr; padding: 1 0; scrollbar-size-vertical: 1; }
    ScenePanel Picture { margin: 0 1 1 1; }
    ScenePanel Field { margin: 0 0 1 0; }
    ScenePanel .tight { margin: 0; }
    ScenePanel .heading {
        width: 100%; height: 1; padding: 0 1; color: $prose-title; text-style: bold;
        margin: 0 0 1 0;
    }
    """

    @dataclass
    class Changed(Message):
        """The user edited the scene; this is the new one."""

        scene: Card

    def __init__(self) -> None:
        super().__init__()
        self.picture = Picture()
        self._scene = Card()
        self._user = ""
        self._absent: frozenset[str] = frozenset()
        self._wanted = ""
        """The character to go to once it is here."""

    def compose(self) -> ComposeResult:
        """The picture, and a field for everything the scene holds."""
        yield self.picture
        yield from self._fields()

    def show(self, scene: Card, user: str, absent: frozenset[str] = frozenset()) -> None:
        """Show a scene; where only texts differ, only they are touched."""
        before = self._outline()
        self._scene, self._user, self._absent = scene, user, absent
        if not self.is_mounted:
            return
        self._show_picture()
        if self._outline() == before:
            for field in self.query(Field):
                field.text = self._text(field.key)
        else:
            self._rebuild()

    def on_mount(self) -> None:
        """Show the picture beside the fields."""
        self._show_picture()

    def on_resize(self) -> None:
        """Show the picture as large as there is room now."""
        self._show_picture()

    def _show_picture(self) -> None:
        rows = max(_LEAST_PICTURE, self.screen.size.height // 3)
        columns = self.scrollable_content_region.width - 2
        self.picture.show(partial(pictures_of, self._scene), columns, rows)

    @work(exclusive=True)
    async def _rebuild(self) -> None:
        focused = self.app.focused
        key = focused.key if isinstance(focused, Field) else None
        async with self.batch():
            await self.remove_children(each for each in self.children if each is not self.picture)
            await self.mount_all(self._fields())
        for field in self.query(Field):
            if field.key == key:
                field.focus()
        self._go()

    def go_to(self, name: str) -> None:
        """Go to a character, now or as soon as it is here."""
        self._wanted = name.casefold()
        self._go()

    def _go(self) -> None:
        names = [character.name.casefold() for character in self._scene.characters]
        if self._wanted in names:
            key = f"name.{names.index(self._wanted)}"
            for field in self.query(Field):
                if field.key == key:
                    field.focus()
                    self._wanted = ""

    def _outline(self) -> tuple[object, ...]:
        scene = self._scene
        return (
            self._user,
            tuple((each.name, self._state(each)) for each in scene.characters),
            tuple(piece.name for piece in scene.lore),
        )

    def _fields(self) -> list[Widget]:
        scene = self._scene
        title = Field("title", "Title", clean(scene.title), ink="bold")
        title.add_class("-first")
        tags = Field("tags", "Tags", self._text("tags"), empty="comma, separated")
        scenario = Field("scenario", "Scenario", clean(scene.scenario), one_line=False, rows=6)
        widgets: list[Widget] = [title, tags, scenario, _heading("Cast")]
        colours = SpeakerColours(one_line(character.name) for character in scene.characters)
        for number, character in enumerate(scene.characters):
            widgets += self._character(number, character, colours)
        widgets.append(
            Field(
                "new.character", "", "", empty="+ add a character", title="A new character's name"
            )
        )
        widgets.append(_heading("Lore"))
        for number in range(min(_MOST_LORE, len(scene.lore))):
            widgets += self._lore(number)
        if (more := len(scene.lore) - _MOST_LORE) > 0:
            widgets.append(Static(f"{more:,} more pieces: /why lists them all."))
        widgets.append(
            Field("new.lore", "", "", empty="+ add a piece of lore", title="A new piece of lore")
        )
        return widgets

    def _character(
        self, number: int, character: Character, colours: SpeakerColours
    ) -> list[Widget]:
        name = one_line(character.name)
        ink = f"$speaker-{colours.number(name)} bold"
        state = self._state(character)
        note = f"  · {state}" if state else ""
        head = Field(f"name.{number}", "", name, ink=ink, note=note, title="Name")
        head.add_class("tight")
        key = f"description.{number}"
        title = f"{name}'s description"
        text = Field(
            key, "", self._text(key), one_line=False, empty="no description", rows=4, title=title
        )
        return [head, text]

    def _state(self, character: Character) -> str:
        return state_of(character, self._user, self._absent)

    def _lore(self, number: int) -> list[Widget]:
        about = one_line(self._text(f"lore.{number}"))
        name = Field(f"lore.{number}", "", about, ink="bold", title="Piece of lore")
        keys = Field(
            f"keys.{number}",
            "",
            self._text(f"keys.{number}"),
            empty="always",
            ink="$prose-info",
            title=f"Words that bring up {about}",
        )
        text = Field(
            f"text.{number}", "", self._text(f"text.{number}"), one_line=False, rows=3, title=about
        )
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
        return clean(text)

    def on_field_edited(self, event: Field.Edited) -> None:
        """Make the new scene and report it."""
        event.stop()
        try:
            scene = with_field(self._scene, event.field.key, event.field.text)
        except ValueError as error:
            event.field.text = self._text(event.field.key)
            self.post_message(Refused(f"The scene stays as it was: {error}."))
            return
        if scene != self._scene:
            self.post_message(self.Changed(scene))


def with_field(scene: Card, key: str, text: str) -> Card:
    """Return the scene with one field's new text; an empty name takes its character or lore away.

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
    """Return the scene with one more character.

    Raises:
        ValueError: The name can't be one, or is taken.
    """
    character = Character(name=_free(scene, name))
    return replace(scene, characters=(*scene.characters, character))


def _characters(scene: Card, part: str, number: int, text: str) -> tuple[Character, ...]:
    characters = list(scene.characters)
    if part == "description":
        characters[number] = replace(characters[number], description=text)
    elif not text:
        del characters[number]
    else:
        characters[number] = replace(characters[number], name=_free(scene, text))
    return tuple(characters)


def _free(scene: Card, name: str) -> str:
    name = composed(check_name(name))
    if fold(name) in {fold(character.name) for character in scene.characters}:
        raise ValueError(f"there is a character named {name} already")
    return name


def _lore(scene: Card, part: str, number: int, text: str) -> tuple[Lore, ...]:
    lore = list(scene.lore)
    if part == "keys":
        keys = tuple(key.strip() for key in _KEYS.findall(text) if key.strip())
        for key in keys:
            key_pattern(key)
        lore[number] = replace(lore[number], keys=keys)
    elif part == "text":
        lore[number] = replace(lore[number], text=text)
    elif text:
        lore[number] = replace(lore[number], name=text)
    else:
        del lore[number]
    return tuple(lore)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.replace("\n", ",").split(",") if word.strip())


def state_of(character: Character, user: str, absent: frozenset[str]) -> str:
    """Return whether somebody is here and speaks, in a few words; none for most."""
    words = [
        "absent" if character.name in absent else "",
        _SPEAKS[character.speaks],
        "you" if character.name == user else "",
    ]
    return " · ".join(filter(None, words))


def _heading(text: str) -> Static:
    heading = Static(text)
    heading.add_class("heading")
    return heading
