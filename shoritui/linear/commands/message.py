"""Reading, and acting on the message that was read last, or on the last one."""

from __future__ import annotations

from shoritui.errors import UserError
from shoritui.linear.commands.command import Command, choose
from shoritui.linear.evening import Evening
from shoritui.names import addressed
from shoritui.story import Entry, Library
from shoritui.text import one_line, printable

_TOLD = 80
"""Letters of a message by which it is known again."""
_READ = 20


async def up(evening: Evening, _: str) -> None:
    """Go to the message above."""
    _go(evening, -1)


async def down(evening: Evening, _: str) -> None:
    """Go to the message below."""
    _go(evening, 1)


def _go(evening: Evening, step: int) -> None:
    told, target = evening.told, evening.target
    at = next((at for at, entry in enumerate(told) if entry.id == target.id), len(told) - 1) + step
    if not 0 <= at < len(told):
        evening.voice.news("That is the end." if step > 0 else "That is the beginning.")
        at -= step
    _to(evening, told[at])


def _to(evening: Evening, entry: Entry) -> None:
    evening.at = None if entry.id == evening.told[-1].id else entry.id
    evening.voice.entry(entry)


async def top(evening: Evening, _: str) -> None:
    """Go to the first message."""
    if evening.told:
        _to(evening, evening.told[0])


async def end(evening: Evening, _: str) -> None:
    """Go to the last message."""
    if evening.told:
        _to(evening, evening.told[-1])


async def read(evening: Evening, count: str) -> None:
    """Read the last messages."""
    if count and count != "all" and not count.isdecimal():
        raise UserError("Say how many: /read 20, or /read all.")
    told = evening.told
    evening.read(told if count == "all" else told[-int((count or str(_READ))[:9]) or len(told) :])


async def retry(evening: Evening, _: str) -> None:
    """Write a reply anew."""
    await evening.play(evening.playing.regenerate(evening.at))


async def dry(evening: Evening, _: str) -> None:
    """Write a reply anew, with repetitions made unlikely."""
    await evening.play(evening.playing.regenerate(evening.at, with_dry=True))


async def go_on(evening: Evening, _: str) -> None:
    """Let a message go on."""
    await evening.play(evening.playing.continue_(evening.at))


async def versions(evening: Evening, wanted: str) -> None:
    """List the versions of a message, or take one."""
    entry = evening.target
    found = await evening.chat.versions(entry.id)
    ids = [str(each.id) for each in found]
    rows = "\n".join(one_line(each.text)[:_TOLD] for each in found)
    if wanted and not wanted.isdecimal():
        raise UserError("Say which: /versions 2.")
    chosen = choose(evening, "versions", wanted, ids, str(entry.id), rows)
    if chosen is not None:
        await evening.play(evening.playing.choose_version(entry.id, int(chosen)))


async def older(evening: Evening, _: str) -> None:
    """Take the version before."""
    await _step(evening, -1)


async def newer(evening: Evening, _: str) -> None:
    """Take the version after."""
    await _step(evening, 1)


async def _step(evening: Evening, step: int) -> None:
    entry = evening.target
    versions = evening.chat.version_places.get(entry.slot, [])
    if entry.id not in versions or len(versions) < 2:
        raise UserError("This message has no other version: /retry writes one.")
    chosen = versions[(versions.index(entry.id) + step) % len(versions)]
    await evening.play(evening.playing.choose_version(entry.id, chosen))


async def edit(evening: Evening, text: str) -> None:
    """Give a message another text."""
    entry = evening.target
    if not text:
        evening.voice.line(entry.text)
        evening.voice.news("/edit TEXT gives it this text instead; the old one stays a version.")
        return
    await evening.play(evening.playing.edit(entry.id, text))


async def delete(evening: Evening, _: str) -> None:
    """Put a message into the bin."""
    await evening.play(evening.playing.delete(evening.target.id))


async def hide(evening: Evening, _: str) -> None:
    """Keep a message from the model, or let it read it again."""
    entry = evening.target
    if await evening.play(evening.playing.hide(entry.id, not entry.hidden)):
        evening.voice.news("Shown to the model." if entry.hidden else "Hidden from the model.")


async def pin(evening: Evening, _: str) -> None:
    """Keep a message in what the model reads, or no longer."""
    entry = evening.target
    if await evening.play(evening.playing.pin(entry.id, not entry.pinned)):
        evening.voice.news("No longer pinned." if entry.pinned else "Pinned.")


async def move_up(evening: Evening, _: str) -> None:
    """Let a message change places with the one before it."""
    await evening.play(evening.playing.move(evening.target.id, up=True))


async def move_down(evening: Evening, _: str) -> None:
    """Let a message change places with the one after it."""
    await evening.play(evening.playing.move(evening.target.id, up=False))


async def insert(evening: Evening, text: str) -> None:
    """Put a new message after this one."""
    await _insert(evening, text, evening.target.id)


async def insert_before(evening: Evening, text: str) -> None:
    """Put a new message before this one."""
    await _insert(evening, text, evening.target.parent)


async def _insert(evening: Evening, text: str, after: int | None) -> None:
    speaker, words = addressed(text, evening.chat.other_names)
    if not words.strip():
        raise UserError("Write the new message after the command; @NAME first: by another.")
    name = speaker or evening.chat.user
    await evening.play(evening.playing.insert(after, "message", name, words))


async def merge(evening: Evening, _: str) -> None:
    """Make one message of this one and the next."""
    await evening.play(evening.playing.merge(evening.target.id))


async def split(evening: Evening, words: str) -> None:
    """Make two messages of one."""
    entry = evening.target
    at = entry.text.find(words) if words else -1
    if at < 1:
        raise UserError("Write the words with which the second one begins after /split.")
    await evening.play(evening.playing.split(entry.id, at))


async def bookmark(evening: Evening, name: str) -> None:
    """Set a bookmark, or remove it."""
    entry = evening.target
    label = name or (None if entry.label else one_line(entry.text)[:32])
    if await evening.play(evening.playing.set_label(entry.id, label)):
        evening.voice.news("The bookmark is set." if label else "The bookmark is removed.")


async def checkpoint(evening: Evening, name: str) -> None:
    """Name the last message."""
    taken = {entry.label for entry in evening.told if entry.label}
    number = next(number for number in range(1, 1 << 30) if f"Checkpoint {number}" not in taken)
    evening.at = None
    await bookmark(evening, name or f"Checkpoint {number}")


async def bookmarks(evening: Evening, wanted: str) -> None:
    """List the bookmarks, or go to one."""
    nodes = await evening.disk.run(Library.tree, evening.chat.id)
    marked = [node for node in nodes if node.label]
    rows = "\n".join(
        one_line(node.label or "") + ("" if node.active else ", on another branch")
        for node in marked
    )
    chosen = choose(evening, "bookmarks", wanted, [str(node.id) for node in marked], rows=rows)
    if chosen is not None:
        await jump(evening, int(chosen))


async def tree(evening: Evening, wanted: str) -> None:
    """List where branches end, or go to one."""
    nodes = await evening.disk.run(Library.tree, evening.chat.id)
    parents = {node.parent for node in nodes}
    ends = [node for node in nodes if node.id not in parents]
    rows = "\n".join(
        f"{one_line(node.label or node.speaker) or node.kind}: {one_line(node.beginning)}"
        + (" (now)" if node.active else "")
        for node in ends
    )
    chosen = choose(evening, "tree", wanted, [str(node.id) for node in ends], rows=rows)
    if chosen is not None:
        await jump(evening, int(chosen))


async def jump(evening: Evening, entry_id: int) -> None:
    """Go to an entry, on whatever branch it is."""
    if evening.chat.entry(entry_id) is None:
        await evening.play(evening.playing.go_to(entry_id))
    elif (entry := evening.chat.entry(entry_id)) is not None:
        _to(evening, entry)


async def find(evening: Evening, words: str) -> None:
    """List the messages that have some words; go to the last of them."""
    if not words:
        raise UserError("Write what to look for after /find.")
    found = [entry for entry in evening.told if words.casefold() in entry.text.casefold()]
    if not found:
        raise UserError(f"Nothing here has the words {printable(words)}: /search looks everywhere.")
    for entry in found[:-1]:
        evening.voice.line(f"{one_line(entry.speaker) or entry.kind}: {one_line(entry.text)}")
    _to(evening, found[-1])


async def undo(evening: Evening, _: str) -> None:
    """Take back what was done last."""
    await evening.play(evening.playing.undo())


async def redo(evening: Evening, _: str) -> None:
    """Do again what was taken back."""
    await evening.play(evening.playing.redo())


COMMANDS = {
    "retry": Command(retry, "Writes the reply again; the old version is kept."),
    "dry": Command(dry, "Writes the reply again, with repetitions made unlikely."),
    "continue": Command(go_on, "Continues the message."),
    "undo": Command(undo, "Takes back the last change to the story, without limit."),
    "redo": Command(redo, "Repeats what you took back."),
    "read": Command(read, "Reads the last messages to you.", "[NUMBER|all]"),
    "up": Command(up, "Reads the message above; commands then act on that one."),
    "down": Command(down, "Reads the message below."),
    "top": Command(top, "Reads the first message."),
    "end": Command(end, "Reads the last message; commands act on it again."),
    "find": Command(find, "Lists the messages with these words, and goes to the last.", "TEXT"),
    "versions": Command(versions, "Lists the versions of the message, or takes one.", "[NUMBER]"),
    "older": Command(older, "Takes the previous version of the message."),
    "newer": Command(newer, "Takes the next version of the message."),
    "edit": Command(edit, "Gives the message another text.", "[TEXT]"),
    "delete": Command(delete, "Moves the message to the bin; what follows stays."),
    "hide": Command(hide, "Hides the message from the model, or shows it again."),
    "pin": Command(pin, "Lets the model read the message however old it is, or no longer."),
    "move-up": Command(move_up, "Moves the message above the one before it."),
    "move-down": Command(move_down, "Moves the message below the one after it."),
    "insert": Command(insert, "Writes a new message after it; @NAME first: by another.", "TEXT"),
    "insert-before": Command(insert_before, "Writes a new message before it.", "TEXT"),
    "merge": Command(merge, "Joins the message and the next, of the same speaker."),
    "split": Command(split, "Splits the message where these words begin.", "WORDS"),
    "bookmark": Command(bookmark, "Sets a bookmark at the message, or removes it.", "[NAME]"),
    "checkpoint": Command(checkpoint, "Bookmarks the last message.", "[NAME]"),
    "bookmarks": Command(bookmarks, "Lists the bookmarks, or goes to one.", "[NUMBER]"),
    "tree": Command(tree, "Lists where branches end, or goes to one.", "[NUMBER]"),
}
