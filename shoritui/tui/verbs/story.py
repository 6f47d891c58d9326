"""Saying things, and letting others say them.

It does not know how a reply is made or shown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from shoritui.blockml import LENGTHS, Length
from shoritui.tui.chooser import Choice, Chooser
from shoritui.tui.passage import one_line

if TYPE_CHECKING:
    from shoritui.director import Director
    from shoritui.tui.app import ShoriTUI

AUTO = "auto"


async def send(app: ShoriTUI, argument: str) -> None:
    """Enter: takes a completion, runs a command, or says what was typed and lets one answer."""
    if app.prompt.take_completion(with_enter=True):
        return
    text = app.composer.text
    if text.startswith("/") and not text.startswith("//"):
        await app.prompt.run_command(text)
        return
    director = app.director
    if director is None:
        app.tell("Open a story first: F8 shows them, alt+n begins one.")
        return
    if app.playing.is_on:
        app.tell("Somebody is still writing: Escape stops them.")
        return
    speaker, words = addressed(text.removeprefix("/"), director.cast)
    if words.strip():
        app.playing.play(lambda: director.say(words), lambda: director.reply(speaker))
    else:
        app.playing.play(lambda: director.reply(speaker))
    await app.prompt.sent()


def addressed(text: str, cast_names: list[str]) -> tuple[str | None, str]:
    """Whom a leading `@Name` asks, and the text without it."""
    if text.startswith("@"):
        for name in sorted(cast_names, key=len, reverse=True):
            rest = text[1 + len(name) :]
            begins = text[1:].casefold().startswith(name.casefold())
            if begins and (not rest or rest[0] in " \n,:"):
                return name, rest.lstrip(" ,:")
    return None, text


async def newline(app: ShoriTUI, argument: str) -> None:
    """Begins a new line."""
    app.composer.insert("\n")


async def stop(app: ShoriTUI, argument: str) -> None:
    """Closes the popup, else stops the reply, else goes back to the composer."""
    if app.prompt.close_popup():
        return
    if app.playing.is_on:
        await app.playing.stop()
    elif app.main.close_overlay() or app.story.cursor is not None or not app.composer.has_focus:
        app.story.cursor = None
        app.composer.focus()


async def retry(app: ShoriTUI, argument: str) -> None:
    """Writes the last reply anew."""
    _play(app, lambda director: director.regenerate())


async def go_on(app: ShoriTUI, argument: str) -> None:
    """Continues the last message."""
    _play(app, lambda director: director.continue_())


async def undo(app: ShoriTUI, argument: str) -> None:
    """Takes the last message back."""
    _play(app, lambda director: director.delete_last())


async def note(app: ShoriTUI, argument: str) -> None:
    """Adds an author's note."""
    if not argument:
        app.prompt.ask("note", "Write the author's note after /note.")
        return
    _play(app, lambda director: director.note(argument))


async def title(app: ShoriTUI, argument: str) -> None:
    """Begins a new scene."""
    if not argument:
        app.prompt.ask("title", "Write the new scene's title after /title.")
        return
    _play(app, lambda director: director.change_title(argument))


def _play(app: ShoriTUI, act: Callable[[Director], object]) -> None:
    director = app.director
    if director is None:
        return
    if app.playing.is_on:
        app.tell("Somebody is still writing: Escape stops them.")
    else:
        app.playing.play(lambda: act(director))  # type: ignore[arg-type,return-value]


async def choose_next(app: ShoriTUI, argument: str) -> None:
    """Chooses who answers next."""
    director = app.director
    if director is None:
        return
    others = [name for name in director.cast if name != director.user]
    choices = [Choice(AUTO, "auto", "the cast takes turns")]
    choices += [Choice(name, one_line(name)) for name in others]
    current = director.next_speaker or AUTO
    name = await _chosen(app, argument, "Who speaks next?", choices, current)
    if name is not None:
        await director.choose_next(None if name == AUTO else name)
        app.show_prompt()


async def choose_user(app: ShoriTUI, argument: str) -> None:
    """Chooses whom the user speaks as."""
    director = app.director
    if director is None:
        return
    names = list(dict.fromkeys([*director.cast, director.user]))
    choices = [Choice(name, one_line(name)) for name in names]
    name = await _chosen(app, argument, "Who are you?", choices, director.user)
    if name is not None:
        await director.choose_user(name)
        app.show_prompt()
        app.show_panels()


async def choose_length(app: ShoriTUI, argument: str) -> None:
    """Chooses the length hint."""
    director = app.director
    if director is None:
        return
    choices = [Choice(AUTO, "auto", "no hint: the model decides")]
    choices += [Choice(length, length, _size_of(length)) for length in LENGTHS]
    word = await _chosen(app, argument, "How long?", choices, director.length or AUTO)
    if word is not None:
        await director.choose_length(None if word == AUTO else cast(Length, word))
        app.show_prompt()


def _size_of(length: Length) -> str:
    from shoritui.blockml import token_range

    low, high = token_range(length)
    return f"{low} to {high} tokens"


async def _chosen(
    app: ShoriTUI, argument: str, question: str, choices: list[Choice], current: str
) -> str | None:
    """What the argument names, or what is chosen from a list."""
    if argument:
        for choice in choices:
            if choice.value.casefold() == argument.casefold():
                return choice.value
        app.tell(f"There is no {argument}: choose {', '.join(each.label for each in choices)}.")
        return None
    return await app.push_screen_wait(Chooser(question, choices, current))


def cast_names(app: ShoriTUI) -> list[str]:
    """The names that `/as` completes."""
    return list(app.director.cast) if app.director is not None else []


def next_choices(app: ShoriTUI) -> list[str]:
    """The names that `/next` completes."""
    return [AUTO, *cast_names(app)]


def length_choices(app: ShoriTUI) -> list[str]:
    """The words that `/length` completes."""
    return [AUTO, *LENGTHS]
