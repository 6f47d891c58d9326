"""The emoji before a message, which tell its mood: where they are shown, and whether to ask."""

from __future__ import annotations

from shoritui.tui.chat.app_protocol import Host
from shoritui.tui.widgets.chooser import Choice, Chooser

_PLACES = {
    "text": ("In the text", "as they were written"),
    "name": ("Beside the name", "and not in the text"),
    "hidden": ("Nowhere", "the text keeps them"),
}
_ASK = "ask"


async def mood(host: Host, argument: str) -> None:
    """Choose where they are shown; `ask` asks the model for them, or no longer."""
    asks = host.settings.mood_ask
    choices = [Choice(place, *words) for place, words in _PLACES.items()]
    ask = "Don't ask the model for them" if asks else "Ask the model for them"
    choices.append(Choice(_ASK, ask, "the story is read again"))
    chosen: str | None = argument.casefold()
    if not argument:
        title = "Emoji that tell a message's mood"
        chosen = await host.push_screen_wait(Chooser(title, choices, host.settings.mood))
    if chosen == _ASK:
        if await host.save(mood_ask=not asks):
            await host.use_settings()
            said = "no longer asked for" if asks else "asked for"
            host.report(f"Emoji before a message are {said} from the next reply on.")
    elif chosen in _PLACES:
        await host.save(mood=chosen)
    elif chosen is not None:
        host.report(f"There is no {argument}: choose {', '.join((*_PLACES, _ASK))}.")


def mood_choices(_: Host) -> list[str]:
    """Return the words that `/mood` completes."""
    return [*_PLACES, _ASK]
