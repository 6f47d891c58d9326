"""The scene: who is in it, its lore, what the model reads of it, its card."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from shoritui.blockml import check_name
from shoritui.cards import (
    Card,
    Character,
    Lore,
    add_card,
    card_folders,
    find_lorebooks,
    lore_folder,
    reload_card,
    settle_card,
    with_lore,
)
from shoritui.errors import UserError
from shoritui.folders import user_path
from shoritui.interop import cards
from shoritui.interop.cards import CARD_FORMATS, LORE_FORMATS
from shoritui.linear.commands.command import Command, choose
from shoritui.linear.evening import Evening
from shoritui.names import fold
from shoritui.text import composed, counted, one_line, printable


async def scene(evening: Evening, argument: str) -> None:
    """Read the scene, or change its title, tags or scenario."""
    card = evening.chat.scene
    if argument:
        name, text = _parted(argument)
        match name.casefold():
            case "title":
                card = replace(card, title=text)
            case "tags":
                words = tuple(filter(None, (word.strip() for word in text.split(","))))
                card = replace(card, tags=words)
            case "scenario":
                card = replace(card, scenario=text)
            case _:
                raise UserError("Write what changes: /scene title: TEXT, tags: or scenario:.")
        await _change(evening, card)
        return
    now = evening.chat.scene_now
    cast = ", ".join(one_line(each.name) for each in card.characters)
    lore = ", ".join(one_line(piece.name) for piece in card.lore)
    for name, text in (
        *(("Title", now.title), ("Tags", ", ".join(now.tags)), ("Scenario", now.scenario)),
        *(("Cast", cast), ("Lore", lore)),
    ):
        evening.voice.line(f"{name}: {text or 'none'}")


async def cast(evening: Evening, argument: str) -> None:
    """List the cast, read a character, change a description, or add somebody."""
    card = evening.chat.scene
    name, text = _parted(argument)
    if not name:
        for each in card.characters:
            evening.voice.line(one_line(each.name))
        evening.voice.news("/cast NAME reads one or adds one; /cast NAME: TEXT describes them.")
        return
    known = {fold(each.name): at for at, each in enumerate(card.characters)}
    at = known.get(fold(name))
    if at is not None and not text:
        character = card.characters[at]
        evening.voice.line(f"{one_line(character.name)}: {character.description or 'no words yet'}")
        return
    characters = list(card.characters)
    if at is not None:
        characters[at] = replace(characters[at], description=text)
    else:
        try:
            name = composed(check_name(name))
        except ValueError as error:
            raise UserError(f"{printable(name)} can't join: {error}.") from None
        characters.append(Character(name=name, description=text))
    await _change(evening, replace(card, characters=tuple(characters)))


async def lore(evening: Evening, argument: str) -> None:
    """List the lore, read a piece, or write one."""
    card = evening.chat.scene
    head, text = _parted(argument)
    if not head:
        for piece in card.lore:
            words = ", ".join(map(one_line, piece.keys)) or "always"
            evening.voice.line(f"{one_line(piece.name)} ({words})")
        evening.voice.news(
            "/lore NAME reads a piece; /lore NAME: TEXT writes one, /lore NAME (KEY, KEY): TEXT "
            "one that comes up with a word."
        )
        return
    name, keys = _keyed(head)
    at = next((at for at, piece in enumerate(card.lore) if fold(piece.name) == fold(name)), None)
    if not text:
        if at is None:
            raise UserError(f"There is no lore named {printable(name)}: write /lore NAME: TEXT.")
        evening.voice.line(f"{one_line(card.lore[at].name)}: {card.lore[at].text}")
        return
    pieces = list(card.lore)
    if at is None:
        pieces.append(Lore(name=name, text=text, keys=keys))
    else:
        pieces[at] = replace(pieces[at], text=text, keys=keys or pieces[at].keys)
    await _change(evening, replace(card, lore=tuple(pieces)))


async def lorebook(evening: Evening, wanted: str) -> None:
    """List the lorebooks, or take one into the story."""
    books, problems = await evening.disk.run(lambda _: find_lorebooks())
    for problem in problems:
        evening.voice.news(problem)
    if not books:
        raise UserError(f"There is no lorebook yet: put some into {printable(lore_folder())}.")
    known = {path.stem: book for path, book in books}
    rows = "\n".join(
        f"{one_line(book.title) or printable(stem)}: {counted(len(book.lore), 'piece')}"
        for stem, book in known.items()
    )
    chosen = choose(evening, "lorebook", wanted, list(known), rows=rows)
    if chosen is not None:
        taken = evening.chat.taken(known[chosen])
        await _change(evening, with_lore(evening.chat.scene, taken))


async def why(evening: Evening, wanted: str) -> None:
    """Say for every piece of lore why it is read, or why not."""
    for row in await evening.playing.lore():
        verdict = row.verdict
        if not wanted or fold(wanted) in fold(verdict.lore.name):
            evening.voice.line(f"{one_line(verdict.lore.name)}: {one_line(verdict.rule)}")


async def title(evening: Evening, text: str) -> None:
    """Begin a new scene in the middle of the story."""
    if not text:
        raise UserError("Write the new scene's title after /title.")
    await evening.play(evening.playing.begin_scene(text, "", ""))


async def inspect(evening: Evening, speaker: str) -> None:
    """List what the model reads next, block by block."""
    names = list(dict.fromkeys([*evening.chat.cast, evening.chat.user]))
    found = choose(evening, "inspect", speaker, names) if speaker else ""
    prompt = await evening.playing.inspector.prompt(found or "")
    for block in prompt.blocks:
        evening.voice.line(f"{block.heading}: {one_line(block.text)[:60]}")
    for left in prompt.left_out:
        evening.voice.line(left.heading)
    evening.voice.news(
        f"{prompt.tokens:,} of {prompt.context_size:,} tokens, for {prompt.speaker}."
    )


async def save(evening: Evening, name: str) -> None:
    """Save the scene as a new card."""
    chat = evening.chat
    name = name or one_line(chat.scene.title) or one_line(chat.record.name)
    folder = card_folders()[0]
    path = await evening.disk.run(lambda _: add_card(folder, name, chat.scene))
    evening.voice.news(f"The scene is saved in {printable(path)}.")


async def export_card(evening: Evening, argument: str) -> None:
    """List the formats of cards, or write the scene's characters as files of other programs."""
    word, _, folder = argument.partition(" ")
    name = choose(evening, "export-card", word, list(CARD_FORMATS))
    if name is None:
        return
    chat = evening.chat
    scene, to = chat.scene, user_path(folder.strip() or ".")
    there = await evening.disk.run(lambda _: reload_card(scene))
    written = scene if there is None else chat.as_written(there)
    files = [Path(each) for each in scene.source.split(", ") if each]
    # A large archive takes seconds; the library is needed meanwhile.
    done = await asyncio.to_thread(
        lambda: cards.export_card(cards.beside(written, files), name, to)
    )
    for path in done.paths:
        evening.voice.news(f"Written: {printable(path.absolute())}.")
    for sentence in done.told:
        evening.voice.news(sentence)


async def export_lore(evening: Evening, argument: str) -> None:
    """List the formats of lorebooks, or write the story's lore as a file of another program."""
    word, _, file = argument.partition(" ")
    name = choose(evening, "export-lore", word, list(LORE_FORMATS))
    if name is None:
        return
    chat = evening.chat
    title = one_line(chat.scene.title) or one_line(chat.record.name)

    def write() -> Path:
        lore = cards.lore_in_story(title, chat.scene, chat.taken)
        return cards.export_lore(lore, name, Path(file.strip()))

    path = await asyncio.to_thread(write)
    evening.voice.news(f"Written: {printable(path.absolute())}.")


async def reload(evening: Evening, _: str) -> None:
    """Take the card as it is on disk into the story."""
    chat = evening.chat
    there = await evening.disk.run(lambda _: reload_card(chat.scene))
    if there is None:
        raise UserError("There is no card file of this scene that can be read.")
    card = chat.with_persona(there)
    if settle_card(card, chat.user, chat.record.created) == chat.scene:
        evening.voice.news("The scene is as its card is.")
    else:
        await _change(evening, card)


async def _change(evening: Evening, card: Card) -> None:
    await evening.play(evening.playing.change_scene(card))


def _parted(argument: str) -> tuple[str, str]:
    """Return what stands before the first colon, and what stands after it."""
    name, _, text = argument.partition(":")
    return name.strip(), text.strip()


def _keyed(name: str) -> tuple[str, tuple[str, ...]]:
    """Return a piece of lore's name, and the keys in the parentheses after it."""
    head, opened, rest = name.partition("(")
    if not (opened and rest.rstrip().endswith(")")):
        return name, ()
    keys = (key.strip() for key in rest.rstrip()[:-1].split(","))
    return head.strip(), tuple(filter(None, keys))


COMMANDS = {
    "scene": Command(scene, "Reads the scene, or changes it.", "[title|tags|scenario: TEXT]"),
    "cast": Command(cast, "Lists the cast, reads, describes or adds one.", "[NAME[: TEXT]]"),
    "lore": Command(lore, "Lists the lore, reads or writes a piece.", "[NAME [(KEYS)][: TEXT]]"),
    "lorebook": Command(lorebook, "Lists your lorebooks, or takes one in.", "[NAME]"),
    "why": Command(why, "Says why each piece of lore is read, or why not.", "[NAME]"),
    "title": Command(title, "Begins a new scene in the middle of the story.", "TEXT"),
    "new-scene": Command(title, "The same.", "TITLE"),
    "inspect": Command(inspect, "Lists what the model reads next.", "[NAME]"),
    "save": Command(save, "Saves the scene as a new card.", "[NAME]"),
    "export-card": Command(
        export_card, "Lists the formats, or writes the characters as cards.", "[FORMAT [FOLDER]]"
    ),
    "export-lore": Command(
        export_lore, "Lists the formats, or writes the story's lore as one.", "[FORMAT [FILE]]"
    ),
    "reload": Command(reload, "Takes the card as it is on disk; /undo takes it back."),
}
