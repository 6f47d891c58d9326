"""How long replies are: their hint, of all characters or of one, and the guide that leads to it."""

from __future__ import annotations

from typing import Final, cast

from shoritui.blockml import LENGTHS, token_range
from shoritui.settings import GuideSetting, HintSetting
from shoritui.text import one_line
from shoritui.tui.chat.app_protocol import Host
from shoritui.tui.chat.verbs.story import AUTO, chosen
from shoritui.tui.widgets.chooser import Choice, Chooser

MODEL: Final = "model"
_ONE: Final = "one character"
_GUIDES: Final = {
    AUTO: "on where the model is known not to keep to hints",
    "on": "a reply's end is made likelier or less likely, by its hint",
    "off": "the model ends its replies by itself",
}


async def choose_length(host: Host, argument: str) -> None:
    """Choose the length hint, `tiny`, or that of one character, `tiny Mara`."""
    chat = host.chat
    if chat is None:
        return
    choices = [
        Choice(AUTO, "auto", "no hint: the model writes as it likes"),
        Choice(MODEL, "model", "the model chooses a hint for each reply"),
    ]
    for length in LENGTHS:
        low, high = token_range(length)
        choices.append(Choice(length, length, f"{low} to {high} tokens"))
    hint, _, speaker = argument.partition(" ")
    if speaker and speaker not in chat.cast:
        names = ", ".join(map(one_line, chat.cast))
        host.report(f"There is no {one_line(speaker)} in the cast: choose one of {names}.")
        return
    more = [] if argument or not chat.cast else [Choice(_ONE, _ONE, "a hint of its own")]
    word = await chosen(host, hint, "How long?", [*choices, *more], chat.hint())
    if word == _ONE:
        whose = [Choice(name, one_line(name), chat.hint(name)) for name in chat.cast]
        picked = await host.push_screen_wait(Chooser("Whose replies?", whose))
        if picked is None:
            return
        speaker = picked
        title = f"How long does {one_line(speaker)} speak?"
        word = await chosen(host, "", title, choices, chat.hint(speaker))
    if word is not None:
        await chat.choose_length(cast(HintSetting, word), speaker)
        host.show_choices()


def length_choices(_: Host) -> list[str]:
    """Return the words that `/length` completes."""
    return [AUTO, MODEL, *LENGTHS]


async def choose_guide(host: Host, argument: str) -> None:
    """Choose whether replies are led to the length of their hint."""
    chat, director = host.chat, host.director
    if chat is None or director is None:
        return
    choices = [Choice(value, value, words) for value, words in _GUIDES.items()]
    word = await chosen(host, argument, "Length guide", choices, chat.length_guide)
    if word is None:
        return
    await chat.choose_length_guide(cast(GuideSetting, word))
    guides = director.guides
    is_on = guides.is_on if word == AUTO else word == "on"
    state = f"The length guide is {'on' if is_on else 'off'} in this story."
    host.report(guides.obstacle if word == "on" and guides.obstacle else state)


def guide_choices(_: Host) -> list[str]:
    """Return the words that `/length-guide` completes."""
    return list(_GUIDES)
