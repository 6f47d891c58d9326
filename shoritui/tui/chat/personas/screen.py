"""Personas: taken up, written, chosen for new stories, put into the bin and out of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.content import Content

from shoritui.cards import (
    Character,
    Persona,
    delete_persona,
    find_personas,
    keep_persona,
    restore_persona,
)
from shoritui.text import clean, one_line
from shoritui.tui.chat.app_protocol import Host
from shoritui.tui.widgets.browser import Browser, Keys
from shoritui.tui.widgets.chooser import LinePrompt
from shoritui.tui.widgets.field import Editor, Refused
from shoritui.tui.widgets.passage import Passage

_EMPTY = "There is no persona yet: ^n writes one."
_EMPTY_BIN = "The bin is empty."


class PersonaScreen(Browser[Character | None]):
    """Gives the persona to become."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+n", "new", show=False, priority=True),
        Binding("f2", "rename", show=False, priority=True),
        Binding("ctrl+t", "aliases", show=False, priority=True),
        Binding("ctrl+e", "edit", show=False, priority=True),
        Binding("ctrl+s", "make_default", show=False, priority=True),
        Binding("delete", "delete", show=False, priority=True),
        Binding("ctrl+z", "undo", show=False, priority=True),
        Binding("tab", "turn", show=False, priority=True),
    ]

    def __init__(self, host: Host) -> None:
        super().__init__("Who are you?", show_marks=host.settings.show_marks)
        self._host = host
        self._in_bin = False
        self._all: dict[bool, dict[str, Persona]] = {}
        """The personas, and those in the bin."""
        self._undo: list[tuple[str, Callable[[], object]]] = []
        """What was done here, and what takes it back; the last one last."""

    # What is shown

    async def read(self) -> None:
        """Read the personas, and those in the bin."""
        for in_bin in (False, True):
            found, problems = await asyncio.to_thread(find_personas, deleted=in_bin)
            self._all[in_bin] = {str(each.path): each for each in found}
            for problem in problems if in_bin == self._in_bin else ():
                self.post_message(Refused(problem))

    @property
    def _found(self) -> dict[str, Persona]:
        return self._all.get(self._in_bin, {})

    def fill(self) -> None:
        """Show those that hold the words."""
        words = self.typed.casefold().split()
        rows = [(key, self._lines(each.character)) for key, each in self._found.items()]
        self.show_rows(
            [
                (key, lines)
                for key, lines in rows
                if all(word in " ".join(line.plain for line in lines).casefold() for word in words)
            ],
            empty=_EMPTY_BIN if self._in_bin else _EMPTY,
        )
        self.frame.border_title = "Bin" if self._in_bin else "Who are you?"

    def _lines(self, character: Character) -> list[Content]:
        chat = self._host.chat
        mark = "● " if chat is not None and chat.user == character.name else "  "
        is_default = character.name == self._host.settings.persona
        facts = [*map(one_line, character.aliases), *(["for new stories"] if is_default else [])]
        return [
            Content.styled(f"{mark}{one_line(character.name)}", "bold"),
            Content.styled(f"  {' · '.join(facts)}", "dim"),
            Content.styled(f"  {one_line(character.description)}", "italic dim"),
        ]

    def hints(self) -> Keys:
        """Return what can be done."""
        undo = [("^z", "undo")] if self._undo else []
        if self._in_bin:
            return [("⏎", "take out"), ("tab", "back"), *undo, ("esc", "close")]
        if not self._found:
            return [("^n", "new"), ("tab", "bin"), *undo, ("esc", "close")]
        return [
            *(("⏎", "become"), ("^n", "new"), ("^e", "edit"), ("F2", "rename")),
            *(("^t", "aliases"), ("^s", "for new stories"), ("del", "delete"), ("tab", "bin")),
            *(*undo, ("esc", "close")),
        ]

    async def look(self, row_id: str) -> tuple[list[str], list[Passage]]:
        """Return a persona's description."""
        character = self._found[row_id].character
        name = one_line(character.name)
        return [name], [Passage(-1, "description", name, clean(character.description))]

    # What is done

    def take(self, row_id: str) -> None:
        """Become it; in the bin, take it out."""
        persona = self._found[row_id]
        if self._in_bin:
            self._move("Take it out of the bin", persona, restore_persona, delete_persona)
        else:
            self.dismiss(persona.character)

    @property
    def _chosen(self) -> Persona | None:
        return self._found.get(self.highlighted or "") if not self._in_bin else None

    @work
    async def action_new(self) -> None:
        """Write a new one: its name, then who that is."""
        if self._in_bin:
            return
        name = await self.app.push_screen_wait(LinePrompt("The persona's name", word="write"))
        if not name:
            return
        text = await self.app.push_screen_wait(Editor(f"Who is {one_line(name)}?", ""))
        self._keep("Write a persona", Character(name=name, description=text or ""))

    @work
    async def action_rename(self) -> None:
        """Give it another name."""
        if (persona := self._chosen) is None:
            return
        own = persona.character
        name = await self.app.push_screen_wait(LinePrompt("Its name", one_line(own.name)))
        if name and name != own.name:
            self._keep("Rename a persona", replace(own, name=name), persona)

    @work
    async def action_aliases(self) -> None:
        """Give it other aliases."""
        if (persona := self._chosen) is None:
            return
        own = persona.character
        prompt = LinePrompt("Its other names, with commas between", ", ".join(own.aliases))
        text = await self.app.push_screen_wait(prompt)
        if text is not None:
            aliases = tuple(one_line(each) for each in text.split(",") if each.strip())
            self._keep("Change the aliases", replace(own, aliases=aliases), persona)

    @work
    async def action_edit(self) -> None:
        """Write its description anew."""
        if (persona := self._chosen) is None:
            return
        own = persona.character
        title = f"Who is {one_line(own.name)}?"
        text = await self.app.push_screen_wait(Editor(title, own.description))
        if text is not None:
            changed = replace(own, description=text.strip())
            self._keep("Edit a persona", changed, persona)

    def _keep(self, act: str, character: Character, old: Persona | None = None) -> None:
        if old is None or character != old.character:
            self.act(partial(self._kept, act, character, old))

    async def _kept(self, act: str, character: Character, old: Persona | None) -> str:
        kept = await asyncio.to_thread(keep_persona, character, None if old is None else old.path)
        if old is None:
            self._undo.append((act, lambda: delete_persona(kept)))
        else:
            self._undo.append((act, lambda: keep_persona(old.character, old.path)))
            if self._host.settings.persona == old.character.name != character.name:
                await self._host.save(persona=character.name)
        return str(kept.path)

    @work
    async def action_make_default(self) -> None:
        """Let new stories begin with it, or with none."""
        if (persona := self._chosen) is not None:
            name = persona.character.name
            await self._host.save(persona="" if self._host.settings.persona == name else name)
            self.fill()

    def action_delete(self) -> None:
        """Put it into the bin."""
        if (persona := self._chosen) is not None:
            self._move("Delete a persona", persona, delete_persona, restore_persona)

    def _move(
        self,
        act: str,
        persona: Persona,
        move: Callable[[Persona], Persona],
        back: Callable[[Persona], object],
    ) -> None:
        async def moved() -> None:
            there = await asyncio.to_thread(move, persona)
            self._undo.append((act, lambda: back(there)))

        self.act(moved)

    def action_turn(self) -> None:
        """Show the bin, or the personas."""
        self._in_bin = not self._in_bin
        self.choices.highlighted = None
        self.fill()
        self.read_again()

    def action_undo(self) -> None:
        """Take back what was done last on this screen."""
        self.act(self._undone)

    async def _undone(self) -> None:
        if self._undo:
            act, take_back = self._undo.pop()
            await asyncio.to_thread(take_back)
            self.notify(f"Undone: {act}")
