"""Stories and models: begin, open, find, bring in, take along."""

from __future__ import annotations

import asyncio
from pathlib import Path

from msgspec.structs import replace

from shoritui.errors import UserError
from shoritui.folders import user_path
from shoritui.interop import FORMATS, export_chat, import_file
from shoritui.interop.cards import import_card
from shoritui.linear.commands.command import Command, choose
from shoritui.linear.commands.message import jump
from shoritui.linear.evening import Evening
from shoritui.models import found_models, model_file
from shoritui.story import Library
from shoritui.text import counted, one_line, printable

_MOST_HITS = 30


async def new(evening: Evening, wanted: str) -> None:
    """List the scenes, or begin a story from one."""
    scenes = await evening.scenes()
    titles = [one_line(each.title) or printable(Path(each.source).stem) for each in scenes]
    rows = "\n".join(
        f"{title}: {', '.join(one_line(character.name) for character in scene.characters)}"
        for title, scene in zip(titles, scenes, strict=True)
    )
    chosen = choose(evening, "new", wanted, [each.source for each in scenes], rows=rows)
    scene = next((each for each in scenes if each.source == chosen), None)
    if scene is not None:
        await evening.begin(scene)


async def open_story(evening: Evening, wanted: str) -> None:
    """List the stories, or open one."""
    stories = await evening.disk.run(Library.summaries)
    rows = "\n".join(
        f"{one_line(each.name)}: {counted(each.messages, 'message')}" for each in stories
    )
    chosen = choose(evening, "open", wanted, [str(each.id) for each in stories], rows=rows)
    if chosen is not None:
        await evening.enter(await evening.disk.run(Library.chat, int(chosen)))


async def search(evening: Evening, words: str) -> None:
    """List where words were found, in all stories; `NUMBER` goes to one of the last list."""
    if not words:
        raise UserError("Write what to look for after /search.")
    if words.isdecimal() and 1 <= int(words[:9]) <= len(evening.offered):
        chat_id, entry = map(int, evening.offered[int(words) - 1].split())
        if evening.director is None or evening.chat.id != chat_id:
            await evening.enter(await evening.disk.run(Library.chat, chat_id))
        await jump(evening, entry)
        return
    hits = (await evening.disk.run(Library.search, words))[:_MOST_HITS]
    evening.offered = [f"{hit.chat} {hit.entry}" for hit in hits]
    for number, hit in enumerate(hits, 1):
        text = one_line(f"{hit.before}{hit.found}{hit.after}")
        who = one_line(hit.speaker) or hit.kind
        evening.voice.line(f"{number}. {one_line(hit.chat_name)}, {who}: {text}")
    evening.voice.news("/search NUMBER goes there." if hits else "Nothing was found.")


async def take_out(evening: Evening, wanted: str) -> None:
    """List the messages in this story's bin, or restore one."""
    entries = await evening.disk.run(Library.bin, evening.chat.id)
    rows = "\n".join(f"{one_line(each.speaker)}: {one_line(each.text)[:80]}" for each in entries)
    chosen = choose(evening, "bin", wanted, [str(each.id) for each in entries], rows=rows)
    if chosen is not None:
        await evening.play(evening.playing.restore(int(chosen)))


async def export(evening: Evening, argument: str) -> None:
    """List the formats, or write the story as a file."""
    word, _, folder = argument.partition(" ")
    rows = "\n".join(f"{name}: {each.summary}" for name, each in FORMATS.items())
    name = choose(evening, "export", word, list(FORMATS), rows=rows)
    if name is not None:
        whole = await evening.disk.run(Library.whole_chat, evening.chat.id)
        path = await asyncio.to_thread(export_chat, whole, name, user_path(folder.strip() or "."))
        evening.voice.news(f"The story is in {printable(path.absolute())}.")


async def take_in(evening: Evening, file: str) -> None:
    """Take a story, a card or a lorebook in from a file."""
    if not file:
        raise UserError("Write the file's path after /import.")
    if (card := await evening.disk.run(lambda _: import_card(Path(file)))) is not None:
        evening.voice.news(card.sentences)
        return
    told: list[str] = []
    chat = await evening.disk.run(import_file, Path(file), told.append)
    await evening.enter(chat)
    for each in told:
        evening.voice.news(each)


async def model(evening: Evening, wanted: str) -> None:
    """List the models of this machine, or let another one write."""
    if not wanted:
        models = await asyncio.to_thread(found_models)
        info = evening.engine.info
        now = info.path.stem if info is not None else ""
        choose(evening, "model", "", [each.name for each in models.all], now)
        return
    settings = evening.settings
    if wanted.startswith(("http://", "https://")):
        key = settings.server_key if settings.server == wanted else ""
        settings = replace(settings, server=wanted, server_model="", server_key=key)
    else:
        path = await asyncio.to_thread(model_file, None, wanted)
        settings = replace(settings, model=str(path.absolute()), server="", server_model="")
    await evening.use(settings)
    info = evening.engine.info
    if info is not None:
        evening.voice.news(f"{one_line(info.path.stem)} writes this evening.")


COMMANDS = {
    "new": Command(new, "Lists the scenes, or begins a story from one.", "[NUMBER|TITLE]"),
    "open": Command(open_story, "Lists the stories, or opens one.", "[NUMBER|TITLE]"),
    "search": Command(search, "Searches everything ever written.", "TEXT|NUMBER"),
    "bin": Command(take_out, "Lists this story's deleted messages, or restores one.", "[NUMBER]"),
    "export": Command(export, "Lists the formats, or writes the story.", "[FORMAT [FOLDER]]"),
    "import": Command(take_in, "Takes a story, a card or lore in from a file.", "FILE"),
    "model": Command(model, "Lists the models, or lets one write.", "[NAME|FILE|ADDRESS]"),
}
