"""The notes of a story: which are read, when and where, what that costs; changed and ended here."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.content import Content

from shoritui.director import NoteRow, note_rows, reread
from shoritui.director.note_words import cost_words, read_note, readers, rule_words
from shoritui.story import rule_of
from shoritui.text import clean, one_line
from shoritui.tui.widgets.browser import Browser, Keys
from shoritui.tui.widgets.chooser import Choice, Chooser
from shoritui.tui.widgets.field import Editor
from shoritui.tui.widgets.passage import Passage

if TYPE_CHECKING:
    from shoritui.tui.chat.app_protocol import Act, Host

_STATES = {
    "read": "read",
    "over": "over: its reply is written",
    "gone": "gone with older messages",
    "ended": "ended",
}
_RULES = (
    *("", "--sticky", "--once", "--depth 0", "--depth 1", "--depth 2", "--depth 4", "--depth 8"),
    *("--every 4", "--every 8", "--every 16"),
)
_EMPTY = "There is no note yet: /note TEXT adds one."


class NotesScreen(Browser[int | None]):
    """Gives the id of the note to go to, or nothing after Escape."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2", "edit", show=False, priority=True),
        Binding("ctrl+r", "change_rule", show=False, priority=True),
        Binding("delete", "end", show=False, priority=True),
        Binding("ctrl+z", "undo", show=False, priority=True),
        Binding("ctrl+y", "redo", show=False, priority=True),
    ]

    def __init__(self, host: Host) -> None:
        super().__init__("Author's notes")
        self._host = host
        self._rows: dict[str, NoteRow] = {}

    def fill(self) -> None:
        """Show the notes that hold the words."""
        chat = self._host.chat
        rows = note_rows(chat) if chat is not None else []
        words = self.typed.casefold().split()
        # A slot stays where an edit makes a new entry.
        self._rows = {
            str(row.entry.slot): row
            for row in rows
            if all(word in row.entry.text.casefold() for word in words)
        }
        shown = [(row_id, _lines(row)) for row_id, row in self._rows.items()]
        self.show_rows(shown, empty="No note has these words." if rows else _EMPTY)

    def hints(self) -> Keys:
        """Return what can be done."""
        if (row := self._row) is None:
            return [("^z", "undo"), ("esc", "close")]
        end = "read it again" if row.state == "ended" else "end it"
        return [
            *(("⏎", "go there"), ("F2", "edit"), ("^r", "when it is read"), ("del", end)),
            *(("^z", "undo"), ("esc", "close")),
        ]

    async def look(self, row_id: str) -> tuple[list[str], list[Passage]]:
        """Return a note, when it is read, and what that costs."""
        row = self._rows[row_id]
        rule = rule_of(row.entry)
        changed = f"About {row.below:,} tokens are read again, once, if it is changed or ended."
        parts = [
            ("Now", _STATES[row.state]),
            ("Read", rule_words(rule)),
            ("Costs", f"{cost_words(rule, row.reread)}.\n{changed}"),
        ]
        note = Passage(-1, "note", "", clean(row.entry.text))
        return [], [note, *(Passage(-1, "description", *part) for part in parts)]

    @property
    def _row(self) -> NoteRow | None:
        return self._rows.get(self.highlighted or "")

    def take(self, row_id: str) -> None:
        """Go to the note in the story."""
        self.dismiss(self._rows[row_id].entry.id)

    @work(exclusive=True, group="note")
    async def action_edit(self) -> None:
        """Edit the highlighted note."""
        row, director = self._row, self._host.director
        if row is None or director is None:
            return
        text = await self.app.push_screen_wait(Editor("Author's note", row.entry.text))
        if text is not None:
            await self._act(director.edit(row.entry.id, text, True))

    @work(exclusive=True, group="note")
    async def action_change_rule(self) -> None:
        """Choose when and where the highlighted note is read."""
        row, director = self._row, self._host.director
        if row is None or director is None:
            return
        chat = director.chat
        names, at = readers(chat), chat.place(row.entry)
        rules = {typed: read_note(typed, names)[1] for typed in _RULES}
        rules |= {f"--for {name}": read_note(f"--for {name}", names)[1] for name in names}
        choices = [
            Choice(typed, rule_words(rule), cost_words(rule, reread(chat, rule, at)))
            if rule is not None
            else Choice(typed, "where it was written", "goes with the messages around it")
            for typed, rule in rules.items()
        ]
        now = rule_of(row.entry)
        current = next((typed for typed, rule in rules.items() if rule == now), "")
        question = f"About {row.below:,} tokens are read again once, whatever you choose."
        chooser = Chooser("When is it read?", choices, current, question=question)
        chosen = await self.app.push_screen_wait(chooser)
        if chosen is not None and rules[chosen] != row.entry.details.note:
            await self._act(director.change_rule(row.entry.id, rules[chosen]))

    @work(exclusive=True, group="note")
    async def action_end(self) -> None:
        """End the highlighted note, or let it be read again."""
        row, director = self._row, self._host.director
        if row is not None and director is not None:
            await self._act(director.hide(row.entry.id, not row.entry.hidden))

    @work(exclusive=True, group="note")
    async def action_undo(self) -> None:
        """Take the last act back."""
        if self._host.director is not None:
            await self._act(self._host.director.undo())

    @work(exclusive=True, group="note")
    async def action_redo(self) -> None:
        """Do it again."""
        if self._host.director is not None:
            await self._act(self._host.director.redo())

    async def _act(self, act: Act) -> None:
        if self._host.performance.play(act):
            await self._host.performance.free()
        if self.is_mounted:
            self.fill()
            if self.highlighted is not None:
                self._look_inside(self.highlighted)


def _lines(row: NoteRow) -> list[Content]:
    is_read = row.state == "read"
    mark, ink = ("● ", "bold") if is_read else ("○ ", "dim")
    about = rule_words(rule_of(row.entry)) + ("" if is_read else f" · {_STATES[row.state]}")
    text = Content.styled(one_line(row.entry.text), ink)
    return [Content(mark) + text, Content.styled(f"  {about}", "dim")]
