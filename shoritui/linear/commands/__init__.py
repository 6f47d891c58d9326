"""Every slash command of the chat, as it is without a screen.

The chat's table of actions (`tui/chat/actions.py`) says which there are; a test holds that each is
here, or in `INSTEAD` with what to use in its place.
"""

from __future__ import annotations

from typing import Final

from shoritui.linear.commands import library, message, scene, story
from shoritui.linear.commands.command import Command
from shoritui.linear.evening import Evening
from shoritui.text import closest, one_line

COMMANDS: Final[dict[str, Command]] = {
    **story.COMMANDS,
    **message.COMMANDS,
    **scene.COMMANDS,
    **library.COMMANDS,
}
INSTEAD: Final = {
    "stop": "Ctrl+C stops the reply that is being written.",
    "copy": "Select the lines in your terminal to copy them, or /export writes them into a file.",
    "theme": "There are no colours here.",
    "mood": "Emoji stand in the text here; the setting mood_ask asks the model for them.",
    "settings": "The settings are in settings.toml: `shoritui help settings` lists them, and "
    "`shoritui doctor` says where the file is.",
    "keys": "There are no keys here but Enter, Ctrl+C and Ctrl+D.",
    "palette": "/help lists the commands; /help WORD looks for one.",
    "web": "`shoritui serve` opens the app in a browser.",
}


async def run_command(evening: Evening, text: str) -> None:
    """Do what `/word argument` says; of an unknown word, say which is near.

    Raises:
        UserError: It cannot be done.
    """
    word, _, argument = text[1:].partition(" ")
    word = word.casefold()
    if word == "help":
        _help(evening, argument.strip())
    elif word in COMMANDS:
        await COMMANDS[word].run(evening, argument.strip())
    elif word in INSTEAD:
        evening.voice.news(INSTEAD[word])
    else:
        near = closest(word, [*COMMANDS, "help"])
        hint = f"did you mean /{near}?" if near else "/help lists them."
        evening.voice.news(f"There is no /{one_line(word)}: {hint}")


def _help(evening: Evening, wanted: str) -> None:
    """List the commands, those that have to do with a word, or show a page of the guide."""
    from shoritui import guide

    if wanted and wanted.casefold() in {topic.name for topic in guide.topics()}:
        evening.voice.line(guide.text(wanted))
        return
    rows = {
        f"/{word} {command.argument}".strip(): command.help for word, command in COMMANDS.items()
    }
    rows["/help [WORD]"] = "Lists the commands, or those with a word; or a page of the guide."
    key = wanted.casefold().removeprefix("/")
    found = [f"{row}: {text}" for row, text in rows.items() if key in f"{row} {text}".casefold()]
    evening.voice.line("\n".join(found) or f"No command has to do with {one_line(wanted)}.")


__all__ = ["COMMANDS", "INSTEAD", "run_command"]
