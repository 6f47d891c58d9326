"""Scenes to begin a story with: the blank one, the user's own, those that ship."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from textual.content import Content

from shoritui.cards import Card, Opening, pictures_of
from shoritui.text import clean, counted, one_line
from shoritui.tui.widgets.browser import Browser, Keys
from shoritui.tui.widgets.passage import Passage
from shoritui.tui.widgets.picture import Find

_BLANK = Card(title="Blank scene")
_LONG = 8
"""An opening of so many messages is a story to be read and played on."""


class ScenePicker(Browser[Card | None]):
    """Gives the scene to begin with."""

    DEFAULT_CSS = """
    ScenePicker.-narrow #halves { layout: vertical; }
    ScenePicker.-narrow OptionList { width: 100%; height: 40%; }
    ScenePicker.-narrow Inside { display: block; margin: 0; }
    """

    def __init__(
        self,
        cards: Sequence[tuple[Path, Card]],
        problems: Sequence[str] = (),
        *,
        advice: str = "",
        show_marks: bool = True,
    ) -> None:
        super().__init__("Pick a scene", problems=problems, advice=advice, show_marks=show_marks)
        stories_first = sorted(cards, key=lambda found: len(found[1].messages) < _LONG)
        self._cards = {"": _BLANK, **{str(path): card for path, card in stories_first}}
        self._first = next((str(path) for path, _ in stories_first), "")

    def hints(self) -> Keys:
        """Return what can be done."""
        return [("⏎", "begin"), ("PgUp PgDn", "scroll"), ("esc", "close")]

    def fill(self) -> None:
        """Show the scenes that hold the words, those first that hold them in their titles."""
        words = self.typed.casefold().split()
        rows = [(row_id, _lines(row_id, card)) for row_id, card in self._cards.items()]
        ranks = {row_id: _lines_needed(lines, words) for row_id, lines in rows}
        found = [row for row in rows if ranks[row[0]] is not None]
        self.show_rows(
            sorted(found, key=lambda row: ranks[row[0]] or 0),
            start=None if words else self._first,
            empty="There is nothing here.",
        )

    async def look(self, row_id: str) -> tuple[list[str], list[Passage]]:
        """Return a card as it looks when it is opened."""
        card = self._cards[row_id]
        return [character.name for character in card.characters], contents(card)

    async def pictures(self, row_id: str) -> Find:
        """Return what finds a card's picture."""
        return partial(pictures_of, self._cards[row_id])

    def take(self, row_id: str) -> None:
        """Begin with it."""
        self.dismiss(self._cards[row_id] if row_id else Card())


def contents(card: Card) -> list[Passage]:
    """Return a card as it looks when it is opened."""
    if card is _BLANK:
        text = (
            "Nobody is here yet. Write the cast and the scene into the panel (F2), or just begin."
        )
        return [Passage(-1, "title", "", card.title), _aside("An empty page", text)]
    shown = [Passage(-1, "title", "", one_line(card.title) or "A scene without a title")]
    if about := "\n".join(filter(None, (card.creator_notes.strip(), _made(card)))):
        shown.append(_aside("About this card", about))
    if card.tags:
        shown.append(_aside("Tags", ", ".join(card.tags)))
    if card.scenario.strip():
        shown.append(_aside("Scenario", card.scenario.strip()))
    for character in card.characters:
        who = " (you)" if character.user else ""
        text = character.description.strip().replace("**", "")
        shown.append(_aside(f"{character.name}{who}", text))
    for opening in card.messages:
        texts = _versions(card, opening)
        for number, text in enumerate(texts, 1):
            length = opening.length if text == opening.text else None
            passage = Passage(-1, "message", opening.speaker, clean(text), length or "")
            passage.version = number, len(texts)
            shown.append(passage)
    for item in shown:
        item.speaker = one_line(item.speaker)
    return shown


def _made(card: Card) -> str:
    """Return who made a card, its version and labels, on one line."""
    by = f"By {one_line(card.creator)}" if card.creator.strip() else ""
    version = f"version {one_line(card.card_version)}" if card.card_version.strip() else ""
    return " · ".join(filter(None, (by, version, *(f"#{one_line(tag)}" for tag in card.labels))))


def _versions(card: Card, opening: Opening) -> tuple[str, ...]:
    """Return what a message of the opening may be; of three characters two are not the user."""
    return opening.texts(in_group=len(card.characters) > 2)


def _aside(label: str, text: str) -> Passage:
    return Passage(-1, "description", one_line(label), clean(text))


def _lines_needed(lines: Sequence[Content], words: Sequence[str]) -> int | None:
    """Return how many of the lines hold all these words; None if all of them do not."""
    text = ""
    for count, line in enumerate(lines):
        text += line.plain.casefold() + "\n"
        if all(word in text for word in words):
            return count
    return None


def _lines(row_id: str, card: Card) -> list[Content]:
    names = ", ".join(one_line(character.name) for character in card.characters)
    detail = names or "an empty page"
    if len(card.messages) >= _LONG:
        detail = f"{counted(len(card.messages), 'message')} to read and play on · {names}"
    title = one_line(card.title) or Path(row_id).stem
    greetings = max((len(_versions(card, each)) for each in card.messages), default=0)
    choice = [f"{greetings:,} greetings to choose from"] if greetings > 1 else []
    tags = (f"#{one_line(tag)}" for tag in (*card.tags, *card.labels))
    facts = " · ".join([detail, *choice, *tags])
    last = one_line(card.messages[-1].text) if card.messages else one_line(card.scenario)
    return [
        Content.styled(f" {title}", "bold"),
        Content.styled(f" {facts}", "dim"),
        Content.styled(f" {last}", "italic dim"),
    ]
