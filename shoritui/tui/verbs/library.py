"""Beginning stories, opening them, deleting them.

It does not know how they are kept.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from shoritui.tui.passage import Passage, one_line

if TYPE_CHECKING:
    from shoritui.cards import Card
    from shoritui.story import Chat
    from shoritui.tui.app import ShoriTUI
    from shoritui.tui.shelf import Book

_HINT_OPEN = "⏎ open · d delete · PgUp PgDn look · esc leave"
_HINT_NEW = "⏎ begin · PgUp PgDn look · esc leave"


async def new(app: ShoriTUI, argument: str) -> None:
    """Picks a scene and begins a story."""
    from shoritui.cards import find_cards
    from shoritui.settings import card_folders
    from shoritui.tui.shelf import Shelf

    session = app.session
    if session is None or await _is_writing(app):
        return
    cards, problems = await session.disk.run(lambda _: find_cards(card_folders()))
    by_path = {str(path): card for path, card in cards}

    async def look(path: str) -> tuple[list[str], list[Passage]]:
        card = by_path[path]
        return [character.name for character in card.characters], contents(card)

    books = [_card_book(path, card) for path, card in cards]
    shelf = Shelf(
        "Pick a scene",
        books,
        look,
        hint=_HINT_NEW,
        problems=problems,
        show_marks=app.settings.show_marks,
    )
    chosen = await app.push_screen_wait(shelf)
    if chosen is not None:
        await app.begin(by_path[chosen])


def _card_book(path: Path, card: Card) -> Book:
    from shoritui.tui.shelf import Book

    names = ", ".join(one_line(character.name) for character in card.characters)
    return Book(str(path), one_line(card.title) or path.stem, names)


def contents(card: Card) -> list[Passage]:
    """A card as it looks when it is opened."""
    shown = [Passage(-1, "title", "", one_line(card.title) or "A scene without a title")]
    if card.tags:
        shown.append(_aside("Tags", ", ".join(card.tags)))
    if card.scenario.strip():
        shown.append(_aside("What must still happen", card.scenario.strip()))
    for character in card.characters:
        who = " (you)" if character.user else ""
        text = character.description.strip().replace("**", "")
        shown.append(_aside(f"{character.name}{who}", text))
    for opening in card.messages:
        shown.append(Passage(-1, "message", opening.speaker, opening.text, opening.length or ""))
    for item in shown:
        clean = one_line(item.speaker)
        item.speaker = clean
    return shown


def _aside(label: str, text: str) -> Passage:
    from shoritui.tui.passage import safe

    return Passage(-1, "description", one_line(label), safe(text))


async def open_story(app: ShoriTUI, argument: str) -> None:
    """Shows all stories."""
    from shoritui.story import Library
    from shoritui.tui.shelf import Shelf

    session = app.session
    if session is None or await _is_writing(app):
        return
    chats = {str(chat.id): chat for chat in await session.disk.run(Library.chats)}

    async def look(chat_id: str) -> tuple[list[str], list[Passage]]:
        chat = chats[chat_id]
        cast = [character.name for character in chat.scene.characters]
        return cast, await session.preview(chat)

    async def delete(chat_id: str) -> bool:
        return await _delete(app, chats[chat_id])

    shelf = Shelf(
        "Your stories",
        [_chat_book(chat) for chat in chats.values()],
        look,
        hint=_HINT_OPEN,
        delete=delete,
        show_marks=app.settings.show_marks,
        from_the_end=True,
    )
    chosen = await app.push_screen_wait(shelf)
    if chosen is not None:
        await app.enter(chats[chosen])


def _chat_book(chat: Chat) -> Book:
    from shoritui.tui.shelf import Book

    names = ", ".join(one_line(character.name) for character in chat.scene.characters)
    when = datetime.fromtimestamp(chat.updated).strftime("%d %b %Y %H:%M")
    return Book(str(chat.id), one_line(chat.name), f"{when} · {names}")


async def _delete(app: ShoriTUI, chat: Chat) -> bool:
    from shoritui.story import Library
    from shoritui.tui.chooser import Choice, Chooser

    session = app.session
    assert session is not None
    entries = await session.disk.run(Library.entries, chat.id)
    answer = await app.push_screen_wait(
        Chooser(
            "Delete this story?",
            [Choice("keep", "Keep it"), Choice("delete", "Delete it for good")],
            question=f"“{one_line(chat.name)}” and its {len(entries)} messages.",
        )
    )
    if answer != "delete":
        return False
    await session.disk.run(Library.delete_chat, chat.id)
    app.forget(chat.id)
    return True


async def _is_writing(app: ShoriTUI) -> bool:
    if app.playing.is_on:
        app.tell("Somebody is still writing: Escape stops them.")
    return app.playing.is_on
