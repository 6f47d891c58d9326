"""Reading, and doing something with the message under the cursor.

It does not know how a message is drawn or kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.actions import SkipAction

if TYPE_CHECKING:
    from shoritui.tui.app import ShoriTUI
    from shoritui.tui.passage import Passage


async def up(app: ShoriTUI, argument: str) -> None:
    """Selects the message above."""
    app.story.focus()
    app.story.move_cursor(-1)


async def down(app: ShoriTUI, argument: str) -> None:
    """Selects the message below; past the last one, the composer."""
    story = app.story
    if story.cursor is None or story.cursor == len(story.passages) - 1:
        story.cursor = None
        story.to_end()
        app.composer.focus()
        return
    story.move_cursor(1)


async def edit(app: ShoriTUI, argument: str) -> None:
    """Edits the selected message."""
    from shoritui.tui.editor import Editor

    item, director = _selected(app), app.director
    if item is None or director is None:
        return
    entry = next((entry for entry in director.entries if entry.id == item.id), None)
    if entry is None:
        return
    title = f"{item.speaker}'s words" if item.speaker else "The text"
    text = await app.push_screen_wait(Editor(title, item.text))
    if text is not None and text.strip() != item.text.strip():
        app.playing.play(lambda: director.edit(entry.id, text))


async def copy(app: ShoriTUI, argument: str) -> None:
    """Copies the selected message's source, or the whole story's."""
    if argument == "all":
        text = "\n\n".join(
            f"{item.speaker}: {item.text}" if item.speaker else item.text
            for item in app.story.passages
        )
        what = "The whole story is"
    else:
        item = _selected(app)
        text = item.text if item is not None else ""
        what = f"{item.speaker}'s words are" if item and item.speaker else "The text is"
    if text:
        app.copy_to_clipboard(text)
        app.tell(f"{what} in the clipboard.")


def copy_choices(app: ShoriTUI) -> list[str]:
    """What `/copy` completes."""
    return ["all"]


async def older(app: ShoriTUI, argument: str) -> None:
    """Takes the version before."""
    await _step(app, -1)


async def newer(app: ShoriTUI, argument: str) -> None:
    """Takes the version after."""
    await _step(app, 1)


async def _step(app: ShoriTUI, step: int) -> None:
    director = app.director
    if director is None or app.playing.is_on or not director.entries:
        return
    last = director.entries[-1]
    versions = [entry.id for entry in await director.alternatives(last.id)]
    if last.id not in versions or len(versions) < 2:
        app.tell("The last message has no other version: ^r writes one.")
        return
    chosen = versions[(versions.index(last.id) + step) % len(versions)]
    app.playing.play(lambda: director.choose(chosen))


async def top(app: ShoriTUI, argument: str) -> None:
    """Goes to the beginning."""
    app.story.scroll_to(y=0, animate=False)


async def end(app: ShoriTUI, argument: str) -> None:
    """Goes to the end."""
    app.story.to_end()


async def half_up(app: ShoriTUI, argument: str) -> None:
    """Half a page up."""
    _scroll(app, -0.5)


async def half_down(app: ShoriTUI, argument: str) -> None:
    """Half a page down."""
    _scroll(app, 0.5)


async def page_up(app: ShoriTUI, argument: str) -> None:
    """A page up."""
    _scroll(app, -1)


async def page_down(app: ShoriTUI, argument: str) -> None:
    """A page down."""
    _scroll(app, 1)


def _scroll(app: ShoriTUI, pages: float) -> None:
    if app.focused not in (app.composer, app.story, None):
        raise SkipAction
    rows = round(pages * max(2, app.story.size.height - 2))
    app.story.scroll_relative(y=rows, animate=False)


def _selected(app: ShoriTUI) -> Passage | None:
    """The message under the cursor, or the last one."""
    story = app.story
    if story.at_cursor is not None:
        return story.at_cursor
    return story.passages[-1] if story.passages else None
