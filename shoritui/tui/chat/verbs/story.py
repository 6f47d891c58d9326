"""Writing: replies, and who speaks how long."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from shoritui.names import addressed
from shoritui.settings import Strategy
from shoritui.text import one_line
from shoritui.tui.chat.app_protocol import Act, Host
from shoritui.tui.chat.imports import verbs as imports
from shoritui.tui.chat.main_screen import TURNS
from shoritui.tui.chat.verbs import panels
from shoritui.tui.widgets.chooser import Choice, Chooser

if TYPE_CHECKING:
    from shoritui.director import Director

AUTO = "auto"
AUTO_TURNS = 20
"""So many turns are played where nobody says how many."""
_STRANGER: Final = re.compile(r"@([^\W\d_][\w'’-]{0,59})(?=[\s,:]|$)")
"""A name of one word that is asked to answer."""


async def send(host: Host, _: str) -> None:
    """Take a completion, run a command, or say what was typed and let one answer."""
    if host.words.take_completion(with_enter=True):
        return
    text, director = host.main.composer.text, host.director
    if is_command(text):
        await host.words.run_command(text)
        return
    if director is None:
        host.report("Open a story first: F8 shows them, alt+n begins one.")
        return
    whispers = bool(host.main.whispers_to)
    if director.chat.asks_for_speaker and not text.strip() and not whispers:
        await host.do("next")
        return
    speaker, _ = addressed(text, director.chat.other_names)
    stranger = _STRANGER.match(text)
    if host.performance.is_on:
        _say(host, text)
    elif speaker is None and stranger is not None:
        host.main.run_worker(_meet(host, stranger[1], text), group="asking")
    elif speaker in director.chat.absent:
        host.main.run_worker(_let_in(host, speaker, text), group="asking")
    else:
        _say(host, text)


async def _meet(host: Host, name: str, text: str) -> None:
    """Somebody who is not there is asked to answer: offer to add them."""
    from shoritui.tui.chat.panels.scene import with_character

    choices = [
        Choice("add", f"Add {name}", "to the cast, to answer this"),
        Choice("say", "Send it as it is"),
    ]
    chooser = Chooser("Who is that?", choices, question=f"{name} is not here.", filters=False)
    answer = await host.push_screen_wait(chooser)
    if answer == "add" and host.chat is not None:
        await panels.change_scene(host, with_character(host.chat.scene, name))
        await host.performance.free()
    if answer is not None and host.main.composer.text == text:
        _say(host, text)


async def _let_in(host: Host, name: str, text: str) -> None:
    """Somebody absent is asked to answer: offer to let them enter."""
    shown = one_line(name)
    choices = [
        Choice("enter", f"Let {shown} enter", "to answer this"),
        Choice("say", "Send it as it is", "as a letter or a call reaches somebody"),
    ]
    chooser = Chooser("Not here", choices, question=f"{shown} is not here.", filters=False)
    answer = await host.push_screen_wait(chooser)
    if answer == "enter" and host.director is not None:
        host.performance.play(host.director.enter(name))
        await host.performance.free()
    if answer is not None and host.main.composer.text == text:
        _say(host, text)


def _say(host: Host, text: str) -> None:
    """Say what was typed and let one answer."""
    director = host.director
    if director is None:
        return
    speaker, words = addressed(text.removeprefix("/"), director.chat.other_names)
    said = [director.say(words)] if words.strip() else []
    unsaid = partial(host.words.give_back, text) if said else None
    acts = [*said, director.reply(speaker)]
    if heard := host.main.whispers_to:
        acts = [director.whisper(words, heard, speaker)]
    if host.performance.queue(*acts, unsaid=unsaid):
        host.main.story.cursor = None
        host.main.story.to_end()
        host.words.sent()


def is_command(text: str) -> bool:
    """Return whether it is a command; `//` begins a line of the story."""
    return text.startswith("/") and not text.startswith("//")


def newline(host: Host, _: str) -> None:
    """Begin a new line."""
    host.main.composer.insert("\n")


def stop(host: Host, _: str) -> None:
    """Take back a begun command, else close the popup, end the find, stop the reply, go back."""
    main = host.main
    if (main.composer.has_focus and host.words.take_back()) or host.words.close_popup():
        return
    if main.find_bar.close():
        if main.focused is main.find_bar:
            main.composer.focus()
        return
    if host.performance.is_on:
        host.performance.stop_soon()
    elif imports.stop(host):
        return
    elif main.close_overlay() or main.story.cursor is not None or not main.composer.has_focus:
        main.story.cursor = main.reading.cursor = None
        main.composer.focus()


def hand_over(host: Host, _: str) -> None:
    """Let the character go on whose message the last reply began."""
    if host.director is not None:
        host.performance.play(host.director.hand_over())


async def choose_next(host: Host, argument: str) -> None:
    """Choose who answers next."""
    chat = host.chat
    if chat is None:
        return
    others = [name for name in chat.present if name != chat.user]
    odds = chat.odds or {}
    choices = [Choice(AUTO, "auto", f"as /turns says: {TURNS[chat.strategy][0]}")]
    choices += [
        Choice(name, one_line(name), f"{odds[name]:.0%}" if name in odds else "") for name in others
    ]
    current = chat.next_speaker or AUTO
    name = await chosen(
        host,
        argument,
        "Who speaks next?",
        choices,
        current,
        "Until you choose another; @Name in a message asks one for one turn.",
    )
    if name is not None:
        await chat.choose_next(None if name == AUTO else name)
        host.show_choices()


async def choose_turns(host: Host, argument: str) -> None:
    """Choose how the cast takes turns."""
    chat = host.chat
    if chat is None:
        return
    choices = [Choice(value, *words) for value, words in TURNS.items()]
    strategy = await chosen(host, argument, "Who speaks next?", choices, chat.strategy)
    if strategy is not None:
        await chat.choose_turns(cast(Strategy, strategy))
        host.show_choices()


def overrule(host: Host, _: str) -> None:
    """Give the turn to the next likeliest; a reply that is written is stopped and deleted."""
    director = host.director
    if director is None:
        return
    chat, performance, writing = director.chat, host.performance, director.writing
    others = chat.others_in_line(chat.who_next() if writing is None else writing.speaker)
    if not others:
        host.report("Nobody else is there to speak.")
    elif writing is not None:
        performance.stop_soon()
        performance.queue(_deleted(director, writing.id), director.reply(others[0]))
    elif performance.is_on:
        host.report("Wait until the reply begins, or stop it with Escape.")
    else:
        chat.pick(others[0])
        host.show_choices()


async def _deleted(director: Director, entry_id: int) -> Act:
    """Delete a reply, if anything stays of it once it has ended."""
    if director.chat.entry(entry_id) is not None:
        async for event in director.delete(entry_id):
            yield event


def auto_play(host: Host, argument: str) -> None:
    """Let the scene play itself, or end that after the reply that is written."""
    director = host.director
    if argument and not (argument.isdecimal() and 0 < int(argument) < 10_000):
        host.report("Say how many turns: /auto 20.")
    elif director is None:
        host.report("Open a story first: F8 shows them, alt+n begins one.")
    elif director.is_auto:
        director.pause()
        host.report("It pauses after this reply.")
    else:
        turns = int(argument) if argument else director.turns_left or AUTO_TURNS
        host.performance.play(director.auto_play(turns))


async def choose_user(host: Host, argument: str) -> None:
    """Choose whom the user speaks as."""
    chat = host.chat
    if chat is None:
        return
    names = list(dict.fromkeys([*chat.cast, chat.user]))
    choices = [Choice(name, one_line(name)) for name in names]
    name = await chosen(host, argument, "Who are you?", choices, chat.user)
    if name is not None:
        await chat.choose_user(name)
        host.show_choices()
        host.show_panels()


async def chosen(
    host: Host,
    argument: str,
    title: str,
    choices: list[Choice],
    current: str,
    question: str = "",
) -> str | None:
    """Return what the argument names, or what is chosen from a list."""
    if argument:
        for choice in choices:
            if choice.value.casefold() == argument.casefold():
                return choice.value
        host.report(f"There is no {argument}: choose {', '.join(each.label for each in choices)}.")
        return None
    return await host.push_screen_wait(Chooser(title, choices, current, question=question))


def cast_names(host: Host) -> list[str]:
    """Return the names that `/as` completes."""
    return list(host.chat.cast) if host.chat is not None else []


def next_choices(host: Host) -> list[str]:
    """Return the names that `/next` completes."""
    return [AUTO, *cast_names(host)]


def turns_choices(_: Host) -> list[str]:
    """Return the words that `/turns` completes."""
    return list(TURNS)
