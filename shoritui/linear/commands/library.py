"""Stories and models: begin, open, find, bring in, take along."""

from __future__ import annotations

import asyncio
from pathlib import Path

from msgspec.structs import replace

from shoritui.director import adapters_after, adapters_told
from shoritui.engine.presets.foreign import import_preset
from shoritui.errors import UserError
from shoritui.folders import user_path
from shoritui.interop import FORMATS, export_chat
from shoritui.interop import taste as taste_of
from shoritui.interop.folders import Import, last_rows, pasted_paths, rows_of, summary, take_back
from shoritui.interop.templates import FOR_GROUPS, write_templates
from shoritui.linear.commands.command import Command, choose
from shoritui.linear.commands.message import jump
from shoritui.linear.evening import Evening
from shoritui.models import found_models, model_file
from shoritui.story import Library
from shoritui.text import counted, one_line, printable

_MOST_HITS = 30
_MANY = 20
"""Files whose import is told while it goes on."""


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
        f"{one_line(each.name)}: "
        + (one_line(each.last_line) if each.is_damaged else counted(each.messages, "message"))
        for each in stories
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


async def taste(evening: Evening, _: str) -> None:
    """Say what the story tells of its reader's taste."""
    whole = await evening.disk.run(Library.whole_chat, evening.chat.id)
    evening.voice.news(await asyncio.to_thread(taste_of, whole, evening.settings))


async def take_in(evening: Evening, argument: str) -> None:
    """Take files and folders in; a story that comes alone is opened. Ctrl+C stops."""
    if argument == "last":
        rows = await evening.disk.run(last_rows)
        for source, became in rows:
            evening.voice.line(f"{source}: {became}")
        if not rows:
            evening.voice.news("Nothing was imported yet, or it was taken back.")
        return
    if not argument:
        raise UserError("Write the path of a file or a folder after /import.")
    paths = await asyncio.to_thread(pasted_paths, argument) or [Path(argument)]
    work = evening.importing = Import(paths, {"preset": import_preset})
    told = 0
    try:
        steps = await evening.disk.run(work.run)
        while (step := await evening.disk.run(lambda _: next(steps, None))) is not None:
            tenths = step.place * 10 // max(step.count, 1)
            if step.count >= _MANY and tenths > told:
                told = tenths
                evening.voice.news(f"{step.place:,} of {step.count:,} files.")
    finally:
        evening.importing = None
    outcomes = work.outcomes
    if len(outcomes) > 1 or not all(each.found.is_named for each in outcomes):
        for source, became in rows_of(outcomes, work.skipped):
            evening.voice.line(f"{source}: {became}")
        evening.voice.news(summary(outcomes, is_stopped=work.is_stopped))
        return
    for outcome in outcomes:
        if outcome.chats:
            await evening.enter(outcome.chats[0])
        else:
            evening.voice.news(outcome.sentences)
        for note in outcome.notes if outcome.chats else ():
            evening.voice.news(note)


async def undo_import(evening: Evening, _: str) -> None:
    """Put everything of the last import into the bin, but for what was changed since."""
    open_now = evening.director.chat.id if evening.director is not None else None
    done, folder = await evening.disk.run(take_back)
    for each in done:
        if each.kept:
            evening.voice.news(f"Kept: {one_line(each.name)}, because {each.kept}.")
    evening.voice.news(f"Taken back: {counted(sum(not each.kept for each in done), 'thing')}.")
    evening.voice.news(f"Stories are in the library's bin, files in {printable(folder)}.")
    if any(each.chat == open_now for each in done if each.chat):
        await evening.leave()


async def export_templates(evening: Evening, folder: str) -> None:
    """Write BlockML as templates of SillyTavern."""
    if not folder:
        raise UserError("Write the folder into which they go after /export-templates.")
    where = user_path(folder)
    director = evening.director
    form = director.chat.form if director is not None else evening.settings
    written = await asyncio.to_thread(write_templates, where, form.instruction)
    evening.voice.news(
        f"{len(written)} templates are in {printable(where.absolute())}. {FOR_GROUPS}"
    )


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


async def adapter(evening: Evening, argument: str) -> None:
    """Say which adapters are on, put one on, or take one or all off."""
    if argument:
        await evening.wear(adapters_after(evening.settings.adapters, argument))
    evening.voice.news(adapters_told(evening.settings.adapters))


COMMANDS = {
    "new": Command(new, "Lists the scenes, or begins a story from one.", "[NUMBER|TITLE]"),
    "open": Command(open_story, "Lists the stories, or opens one.", "[NUMBER|TITLE]"),
    "search": Command(search, "Searches everything ever written.", "TEXT|NUMBER"),
    "bin": Command(take_out, "Lists this story's deleted messages, or restores one.", "[NUMBER]"),
    "export": Command(export, "Lists the formats, or writes the story.", "[FORMAT [FOLDER]]"),
    "taste": Command(taste, "Says what you kept and what you left, and how to train on it."),
    "export-templates": Command(
        export_templates, "Writes BlockML as templates of SillyTavern.", "FOLDER"
    ),
    "import": Command(
        take_in, "Takes in a file or a folder, or shows the last import.", "PATH|last"
    ),
    "undo-import": Command(undo_import, "Puts what the last import brought into the bin."),
    "adapter": Command(adapter, "Puts a LoRA on the model, or takes it off.", "[PATH [SCALE]|off]"),
    "model": Command(model, "Lists the models, or lets one write.", "[NAME|FILE|ADDRESS]"),
}
