"""Reading, and acting on the message under the cursor, or on the last one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from textual.actions import SkipAction
from textual.widgets import TextArea

from shoritui.names import addressed
from shoritui.text import counted, one_line
from shoritui.tui.chat.app_protocol import Act, Host
from shoritui.tui.chat.imports import verbs as imports
from shoritui.tui.widgets.passage import Passage

if TYPE_CHECKING:
    from shoritui.director import Director
    from shoritui.story import Entry, Node

_NAME = 32
"""How many characters of its message a bookmark is called by."""

# Reading


def up(host: Host, _: str) -> None:
    """Select the message above; from the input of other talk, one of that."""
    main = host.main
    is_talk = main.ooc is not None and main.side is not None and main.focused is main.side.ooc.input
    shown = main.ooc if is_talk and main.ooc is not None else main.reading
    shown.focus()
    shown.move_cursor(-1)


def read_down(host: Host, _: str) -> None:
    """Select the message below."""
    host.main.reading.move_cursor(1)


def down(host: Host, _: str) -> None:
    """Select the message below; past the last one, the line to write in."""
    main = host.main
    shown = main.reading
    if shown.cursor is not None and shown.cursor < len(shown.passages) - 1:
        shown.move_cursor(1)
        return
    shown.cursor = None
    shown.to_end()
    if shown is main.story or main.side is None:
        main.composer.focus()
    else:
        main.side.ooc.input.focus()


def top(host: Host, _: str) -> None:
    """Go to the beginning."""
    shown = host.main.reading
    if shown.cursor is not None:
        shown.cursor = 0
    shown.scroll_to(y=0, animate=False)


def end(host: Host, _: str) -> None:
    """Go to the end."""
    shown = host.main.reading
    if shown.cursor is not None:
        shown.cursor = len(shown.passages) - 1
    shown.to_end()


def scroll(host: Host, pages: float) -> None:
    """Scroll the story by some pages, unless something else has the focus that scrolls."""
    main = host.main
    if main.focused not in (main.composer, main.story, None):
        raise SkipAction
    rows = round(pages * max(2, main.story.size.height - 2))
    main.story.scroll_relative(y=rows, animate=False)


def copy(host: Host, argument: str) -> None:
    """Copy the selected message's source, or the whole story's."""
    if argument == "all":
        text = "\n\n".join(
            f"{item.speaker}: {item.text}" if item.speaker else item.text
            for item in host.main.story.passages
        )
        what = "The whole story is"
    else:
        item = _selected(host)
        text = item.text if item is not None else ""
        what = f"{item.speaker}'s words are" if item and item.speaker else "The text is"
    if text:
        host.main.app.copy_to_clipboard(text)
        host.report(f"{what} in the clipboard.")


def copy_choices(_: Host) -> list[str]:
    """Return what `/copy` completes."""
    return ["all"]


def interrupt(host: Host, _: str) -> None:
    """Copy what is selected, else stop the reply, else say how to quit."""
    app = host.main.app
    selected = app.focused.selected_text if isinstance(app.focused, TextArea) else ""
    selected = selected or app.screen.get_selected_text() or ""
    if selected:
        app.copy_to_clipboard(selected)
        host.report("The selection is in the clipboard.")
    elif host.performance.is_on:
        host.performance.stop_soon()
    elif not imports.stop(host):
        host.report("Ctrl+Q quits; everything is kept.")


def find(host: Host, words: str) -> None:
    """Look for words in the story."""
    host.main.find_bar.open(words)
    if words:
        host.main.story.focus()


def find_next(host: Host, _: str) -> None:
    """Go to the next message that has the words."""
    _find_step(host, 1)


def find_previous(host: Host, _: str) -> None:
    """Go to the message before that has the words."""
    _find_step(host, -1)


def _find_step(host: Host, step: int) -> None:
    if host.main.find_bar.display:
        host.main.find_bar.go(step)
    else:
        host.main.find_bar.open()


# Acting


class Target(NamedTuple):
    """The message that is acted on."""

    director: Director
    entry: Entry


async def target(host: Host) -> Target | None:
    """Return the message under the cursor, or the last one, once nothing else is being done.

    Where there is none, that is said.
    """
    await host.performance.free()
    return _target(host)


def _target(host: Host) -> Target | None:
    item, director = _selected(host), host.director
    entry = director.chat.entry(item.id) if item is not None and director is not None else None
    if director is not None and entry is not None:
        return Target(director, entry)
    host.report("There is no message yet.")
    return None


async def keeps_following(host: Host, entry: Entry) -> bool | None:
    """Return whether what follows a message that changes comes along; None: do not change it."""
    from shoritui.tui.widgets.chooser import Choice, Chooser

    chat = host.chat
    below = chat.entries[chat.place(entry) + 1 :] if chat is not None else []
    after = sum(each.kind != "ooc" for each in below)
    if not after or entry.kind == "ooc":  # other talk is no part of what follows
        return True
    if host.settings.keep_following != "ask":
        return host.settings.keep_following == "keep"
    choices = [
        Choice("keep", "Keep it", "it comes after the new version"),
        Choice("branch", "Leave it", "on a branch, with the old version"),
    ]
    verb = "follows" if after == 1 else "follow"
    question = (
        f"{counted(after, 'message')} {verb} the one you change. You are asked once; "
        "/settings has the answer as keep_following."
    )
    chooser = Chooser("Keep what follows?", choices, question=question, filters=False)
    answer = await host.push_screen_wait(chooser)
    if answer is None:
        return None
    await host.save(keep_following=answer)
    return answer == "keep"


async def edit(host: Host, _: str) -> None:
    """Edit the selected message."""
    from shoritui.tui.widgets.field import Editor

    found = await target(host)
    if found is None:
        return
    director, entry = found
    text = await host.push_screen_wait(Editor(_title(entry), entry.text))
    if text is None or text.strip() == entry.text.strip():
        return
    keep = await keeps_following(host, entry)
    if keep is not None:
        host.words.write(director.edit(entry.id, text, keep), text)


async def retry(host: Host, _: str) -> None:
    """Write the message anew."""
    await _retry(host)


async def retry_dry(host: Host, _: str) -> None:
    """Write the message anew, with repetitions made unlikely."""
    await _retry(host, with_dry=True)


async def _retry(host: Host, *, with_dry: bool = False) -> None:
    found = await target(host)
    keep = await keeps_following(host, found.entry) if found is not None else None
    if found is not None and keep is not None:
        # Unasked, what the user typed is not written anew.
        is_chosen = host.main.reading.cursor is not None or found.entry.kind == "ooc"
        chosen = found.entry.id if is_chosen else None
        host.performance.play(found.director.regenerate(chosen, keep, with_dry=with_dry))


async def go_on(host: Host, _: str) -> None:
    """Let the message go on."""
    found = await target(host)
    keep = await keeps_following(host, found.entry) if found is not None else None
    if found is not None and keep is not None:
        host.performance.play(found.director.continue_(found.entry.id, keep))


def older(host: Host, _: str) -> None:
    """Take the version before."""
    _step(host, -1)


def newer(host: Host, _: str) -> None:
    """Take the version after."""
    _step(host, 1)


def _step(host: Host, step: int) -> None:
    def other(found: Target) -> Act | None:
        director, entry = found
        versions = director.chat.version_places.get(entry.slot, [])
        if entry.id not in versions or len(versions) < 2:
            host.report("This message has no other version: ^r writes one.")
            return None
        chosen = versions[(versions.index(entry.id) + step) % len(versions)]
        return director.choose_version(entry.id, chosen)

    act(host, other)


def delete(host: Host, _: str) -> None:
    """Put the message into the bin."""
    act(host, lambda it: it.director.delete(it.entry.id))


def hide(host: Host, _: str) -> None:
    """Keep the message from the model, or let it read it again."""
    act(host, lambda it: it.director.hide(it.entry.id, not it.entry.hidden))


def move_up(host: Host, _: str) -> None:
    """Let the message change places with the one before it."""
    act(host, lambda it: it.director.move(it.entry.id, up=True))


def move_down(host: Host, _: str) -> None:
    """Let the message change places with the one after it."""
    act(host, lambda it: it.director.move(it.entry.id, up=False))


def merge(host: Host, _: str) -> None:
    """Make one message of this one and the next."""
    act(host, lambda it: it.director.merge(it.entry.id))


async def split(host: Host, _: str) -> None:
    """Make two messages of one."""
    from shoritui.tui.widgets.field import Splitter

    found = await target(host)
    if found is None:
        return
    at = await host.push_screen_wait(Splitter(_title(found.entry), found.entry.text))
    if at is not None:
        host.performance.play(found.director.split(found.entry.id, at))


async def insert(host: Host, _: str) -> None:
    """Put a new message after this one."""
    await _insert(host, before=False)


async def insert_before(host: Host, _: str) -> None:
    """Put a new message before this one."""
    await _insert(host, before=True)


async def _insert(host: Host, *, before: bool) -> None:
    from shoritui.tui.widgets.field import Editor

    found = await target(host)
    if found is None:
        return
    director, entry = found
    user = one_line(director.chat.user)
    title = f"A message {'before' if before else 'after'} it, by {user}; @Name first: by another"
    text = await host.push_screen_wait(Editor(title, ""))
    speaker, words = addressed(text or "", director.chat.other_names)
    if words.strip():
        after = entry.parent if before else entry.id
        name = speaker or director.chat.user
        host.words.write(director.insert(after, "message", name, words), text or "")


def bookmark(host: Host, name: str) -> None:
    """Set a bookmark at the message, or remove it."""

    def labelled(found: Target) -> Act:
        director, entry = found
        return director.set_label(entry.id, name or (None if entry.label else _beginning(entry)))

    act(host, labelled)


def checkpoint(host: Host, name: str) -> None:
    """Name the last message, to find the way back to it."""
    if host.director is not None:
        host.performance.queue(_checkpoint(host.director, name))


async def _checkpoint(director: Director, name: str) -> Act:
    last = director.chat.last_told
    if last is None:
        return
    taken = {entry.label for entry in director.chat.entries if entry.label}
    number = next(number for number in range(1, 1 << 30) if f"Checkpoint {number}" not in taken)
    async for event in director.set_label(last.id, name or f"Checkpoint {number}"):
        yield event


async def bookmarks(host: Host, _: str) -> None:
    """Choose a bookmark and go there."""
    from shoritui.story import Library
    from shoritui.tui.widgets.chooser import Choice, Chooser

    director, session = host.director, host.session
    if director is None or session is None:
        return
    nodes = await session.disk.run(Library.tree, director.chat.id)
    choices = [
        Choice(
            str(node.id),
            one_line(node.label),
            "" if node.active else "on another branch",
        )
        for node in nodes
        if node.label
    ]
    if not choices:
        host.report("There is no bookmark yet: b in the story sets one.")
        return
    chosen = await host.push_screen_wait(Chooser("Bookmarks", choices))
    if chosen is not None:
        await jump(host, int(chosen))


async def tree(host: Host, _: str) -> None:
    """Show the branches, and go to one."""
    from shoritui.story import Library
    from shoritui.tui.chat.tree_screen import TreeScreen

    director, session = host.director, host.session
    if director is None or session is None:
        return
    chat_id, disk = director.chat.id, session.disk

    async def name(entry_id: int, label: str | None) -> list[Node] | None:
        if not host.performance.play(director.set_label(entry_id, label)):
            return None
        await host.performance.free()
        return await disk.run(Library.tree, chat_id)

    nodes = await disk.run(Library.tree, chat_id)
    chosen = await host.push_screen_wait(TreeScreen(nodes, name))
    if chosen is not None:
        await jump(host, chosen)


async def jump(host: Host, entry_id: int) -> None:
    """Go to an entry, on whatever branch it is."""
    await host.performance.free()
    director = host.director
    if director is None:
        return
    host.main.story.focus()
    if director.chat.entry(entry_id) is None:
        host.performance.play(_gone_to(host, director, entry_id))
    else:
        host.main.story.go_to(entry_id)


async def _gone_to(host: Host, director: Director, entry_id: int) -> Act:
    """Take the story to another branch, and the cursor to an entry there, be it the last one."""
    async for event in director.go_to(entry_id):
        yield event
    host.main.story.go_to(entry_id)


def undo(host: Host, _: str) -> None:
    """Take back what was done last."""
    if host.director is not None:
        host.performance.queue(host.director.undo())


def redo(host: Host, _: str) -> None:
    """Do again what was taken back last."""
    if host.director is not None:
        host.performance.queue(host.director.redo())


def act(host: Host, make: Callable[[Target], Act | None]) -> None:
    """Act on the message under the cursor, or the last one, as it is once it is this act's turn."""
    host.performance.queue(_acted(host, make))


async def _acted(host: Host, make: Callable[[Target], Act | None]) -> Act:
    found = _target(host)
    made = make(found) if found is not None else None
    if made is not None:
        async for event in made:
            yield event


def _title(entry: Entry) -> str:
    return f"{one_line(entry.speaker)}'s words" if entry.speaker else "The text"


def _beginning(entry: Entry) -> str:
    words = one_line(entry.text)
    return words if len(words) <= _NAME else words[:_NAME].rsplit(" ", 1)[0] + " …"


def _selected(host: Host) -> Passage | None:
    """The message under the cursor, or the last one."""
    shown = host.main.reading
    if shown.at_cursor is not None:
        return shown.at_cursor
    return shown.passages[-1] if shown.passages else None
