"""Summarise what is old, and pin what must not be forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoritui.text import counted, one_line
from shoritui.tui.chat.app_protocol import Host
from shoritui.tui.chat.verbs.message import act

if TYPE_CHECKING:
    from shoritui.director import SummaryDraft


def pin(host: Host, _: str) -> None:
    """Keep the message in what the model reads, or no longer."""
    act(host, lambda it: it.director.pin(it.entry.id, not it.entry.pinned))


async def summarise(host: Host, _: str) -> None:
    """Have a summary written up to the message cursor, show it to be edited, and use it."""
    from shoritui.tui.widgets.field import Editor

    await host.performance.free()
    director, item = host.director, host.main.story.at_cursor
    if director is None:
        host.report("Open a story first: F8 shows them, alt+n begins one.")
        return
    memory = director.memory
    last = item.id if item is not None else memory.usual_end()
    while host.performance.play(director.summarise(last)):
        await host.performance.settled()
        draft = memory.draft_to(last)
        if draft is None or host.director is not director:
            return
        text: str | None = draft.text
        if not (memory.is_auto and draft.whole and draft.text):
            text = await host.push_screen_wait(Editor(_title(draft), draft.text))
        if text is None or not text.strip():
            host.report("The summary is kept: summarise again to see it.")
            return
        host.performance.play(director.use_summary(text))
        await host.performance.settled()
        if memory.draft is not None or not memory.is_missing(last):
            return


def _title(draft: SummaryDraft) -> str:
    title = f"To be read in place of {counted(draft.count, 'message')}"
    if draft.heard is None:
        return title
    return f"{title} that only {one_line(' and '.join(draft.heard))} know"
