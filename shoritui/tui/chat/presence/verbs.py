"""Let characters enter and leave, mute them, and whisper to some of them alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from shoritui.names import addressed, names_first
from shoritui.text import one_line
from shoritui.tui.chat.app_protocol import Host
from shoritui.tui.widgets.chooser import Choice, Chooser

if TYPE_CHECKING:
    from shoritui.director import ChatState

_COMMAND = "/whisper "
_NO_STORY = "Open a story first: F8 shows them, alt+n begins one."


async def who(host: Host, _: str) -> None:
    """Show who is here."""
    from shoritui.tui.chat.presence.who_screen import WhoScreen

    if host.chat is None:
        host.report(_NO_STORY)
    elif not host.chat.cast:
        host.report("Nobody is in the cast yet: /cast NAME adds a character.")
    else:
        await host.push_screen_wait(WhoScreen(host))


async def enter(host: Host, argument: str) -> None:
    """Let a character enter."""
    await _come_or_go(host, "enter", argument)


async def leave(host: Host, argument: str) -> None:
    """Let a character leave."""
    await _come_or_go(host, "leave", argument)


async def _come_or_go(host: Host, kind: Literal["enter", "leave"], argument: str) -> None:
    director = host.director
    if director is None:
        host.report(_NO_STORY)
        return
    names = (absent_names if kind == "enter" else present_names)(host)
    name, how = addressed(f"@{argument}", director.chat.other_names) if argument else (None, "")
    if argument and name is None:
        host.report(f"There is no {argument} in the cast: /cast {argument} adds a character.")
        return
    if name is None and not names:
        host.report(f"Nobody is {'away' if kind == 'enter' else 'here'}.")
        return
    if name is None:
        choices = [Choice(each, one_line(each)) for each in names]
        name = await host.push_screen_wait(Chooser(f"Who {kind}s?", choices))
    if name is not None:
        act = director.enter if kind == "enter" else director.leave
        host.words.write(act(name, how), f"/{kind} {argument}".strip())


async def whisper(host: Host, argument: str) -> None:
    """Whisper something, or let the composer whisper until this is done again."""
    director, main = host.director, host.main
    if director is None:
        host.report(_NO_STORY)
        return
    chat = director.chat
    others = hearers_of(chat)
    heard, text = names_first(argument, chat.other_names)
    missing = [name for name in heard if name not in others]
    if chat.user in missing:
        host.report(f"You speak as {one_line(chat.user)}: whisper to somebody else.")
    elif missing or (argument and not heard):
        host.report(f"{one_line(missing[0]) if missing else argument} is not here to hear it.")
    elif text:
        host.words.write(director.whisper(text, heard), f"{_COMMAND}{argument}")
    elif heard:
        host.words.whisper_to(heard)
    elif main.whispers_to:
        host.words.whisper_to(())
    elif not others:
        host.report("Nobody else is here to hear it.")
    else:
        from shoritui.tui.chat.presence.who_screen import HearersScreen

        chosen = await host.push_screen_wait(HearersScreen(director, others))
        if chosen:
            host.words.whisper_to(chosen)


def hearers_of(chat: ChatState) -> list[str]:
    """Return who may hear a whisper of the user's."""
    return [name for name in chat.present if name != chat.user]


def absent_names(host: Host) -> list[str]:
    """Return the names that `/enter` completes."""
    chat = host.chat
    return [name for name in chat.cast if name in chat.absent] if chat is not None else []


def present_names(host: Host) -> list[str]:
    """Return the names that `/leave` completes."""
    return list(host.chat.present) if host.chat is not None else []


def hearers(host: Host) -> list[str]:
    """Return what `/whisper` completes: one more name after those that stand there."""
    if host.chat is None:
        return []
    head, comma, _ = host.main.composer.text.removeprefix(_COMMAND).rpartition(",")
    begun = f"{head}, " if comma else ""
    taken, _ = names_first(head, host.chat.other_names)
    return [f"{begun}{name}" for name in hearers_of(host.chat) if name not in taken]
