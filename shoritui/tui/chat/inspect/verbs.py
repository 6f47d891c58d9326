"""What the inspector is asked for: the next prompt, and what follows from a look at it."""

from __future__ import annotations

from shoritui.text import closest
from shoritui.tui.chat.app_protocol import Host


async def inspect(host: Host, argument: str) -> None:
    """Show what the model reads next, as this character or whoever is next."""
    from shoritui.tui.chat.inspect.inspect_screen import InspectScreen
    from shoritui.tui.chat.inspect.token_screen import Branch
    from shoritui.tui.chat.verbs.message import jump, keeps_following

    director = host.director
    if director is None:
        host.report("No story is open.")
        return
    names = speakers(host)
    speaker = next((name for name in names if name.casefold() == argument.casefold()), "")
    if argument and not speaker:
        near = closest(argument, names)
        host.report(f"Nobody here is {argument}." + (f" Did you mean {near}?" if near else ""))
        return
    at = host.main.story.at_cursor
    screen = InspectScreen(
        director.inspector,
        host.performance.settled,
        names,
        speaker,
        at.id if at is not None else None,
    )
    chosen = await host.push_screen_wait(screen)
    if isinstance(chosen, int):
        await jump(host, chosen)
    elif isinstance(chosen, Branch) and (entry := director.chat.entry(chosen.entry_id)) is not None:
        keep = await keeps_following(host, entry)
        if keep is not None:
            write = director.edit if chosen.is_end else director.go_on_from
            host.performance.play(write(entry.id, chosen.begun, keep))


def speakers(host: Host) -> list[str]:
    """Return whose prompts can be looked at."""
    chat = host.chat
    return list(dict.fromkeys([*chat.cast, chat.user])) if chat is not None else []
