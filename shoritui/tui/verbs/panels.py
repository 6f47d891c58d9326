"""The panels at the side: the scene, the sampler, the talk out of character.

It does not know how they look.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shoritui.errors import UserError
from shoritui.tui.chooser import Choice, Chooser
from shoritui.tui.passage import one_line

if TYPE_CHECKING:
    from shoritui.cards import Card
    from shoritui.tui.app import ShoriTUI
    from shoritui.tui.sampler_values import Value


async def scene(app: ShoriTUI, argument: str) -> None:
    """Shows or hides the scene."""
    await app.main.toggle_section("scene")


async def add_character(app: ShoriTUI, argument: str) -> None:
    """Adds a character to the cast."""
    from shoritui.tui.scene_panel import with_character

    director = app.director
    if director is None:
        return
    if not argument:
        app.prompt.ask("cast", "Write the new character's name after /cast.")
        return
    try:
        changed = with_character(director.scene, argument)
    except ValueError as error:
        app.tell(f"{argument} can't join: {error}.", trouble=True)
        return
    change_scene(app, changed)
    await app.main.open_section("scene")


async def add_lore(app: ShoriTUI, argument: str) -> None:
    """Adds a piece of lore."""
    from shoritui.tui.scene_panel import with_field

    director = app.director
    if director is None:
        return
    if not argument:
        app.prompt.ask("lore", "Write the name of the new piece of lore after /lore.")
        return
    changed = with_field(director.scene, "new.lore", argument)
    change_scene(app, changed)
    await app.main.open_section("scene")


async def sampler(app: ShoriTUI, argument: str) -> None:
    """Shows or hides the sampler, or changes values."""
    if not argument:
        await app.main.toggle_section("sampler")
        return
    director = app.director
    if director is None:
        return
    numbers, lists = sampler_words(argument)
    for word in numbers:
        name, _, text = word.partition("=")
        try:
            value = number(text)
        except ValueError:
            app.tell(f"{word}: write it as name=number, such as min_p=0.08.", trouble=True)
        else:
            await change_sampling(app, name, value)
    if lists:
        await change_list(app, lists)


def sampler_words(argument: str) -> tuple[list[str], str]:
    """What `/sampler` was given: `name=number` words, and the list that may come after them."""
    from shoritui.tui.sampler_values import LISTS

    found = re.search(rf"(?:^|(?<=\s))(?:{'|'.join(LISTS)})\s*=", argument)
    begin = found.start() if found else len(argument)
    return argument[:begin].split(), argument[begin:]


async def change_list(app: ShoriTUI, written: str) -> None:
    """Changes a list of the sampler, written as `banned=a shiver, her spine`."""
    from shoritui.tui.sampler_values import read_list

    name, _, text = written.partition("=")
    name = name.strip()
    try:
        value = read_list(name, text, between=",")
    except ValueError as error:
        app.tell(f"{error}: write it as logit_bias=word=number, word=number.", trouble=True)
    else:
        await change_sampling(app, name, value)


def sampler_choices(app: ShoriTUI) -> list[str]:
    """What `/sampler` completes: every value as it is now."""
    from shoritui.tui.sampler_values import LISTS, SCALES, list_text

    if app.director is None:
        return []
    sampling = app.director.sampling
    numbers = [f"{name}={getattr(sampling, name)}" for name in SCALES]
    lists = [f"{name}={list_text(name, getattr(sampling, name), ', ')}" for name in LISTS]
    return numbers + lists


async def preset(app: ShoriTUI, argument: str) -> None:
    """Chooses a preset."""
    director = app.director
    if director is None:
        return
    name: str | None = argument
    if not argument:
        choices = [
            Choice(name, name, one_line(each.title)) for name, each in director.presets.items()
        ]
        name = await app.push_screen_wait(Chooser("Which sampler?", choices, director.preset))
    if name:
        await choose_preset(app, name)


def preset_choices(app: ShoriTUI) -> list[str]:
    """What `/preset` completes."""
    return list(app.director.presets) if app.director is not None else []


async def ooc(app: ShoriTUI, argument: str) -> None:
    """Shows or hides the channel, or says something in it."""
    if not argument:
        await app.main.toggle_section("ooc")
        return
    await app.main.open_section("ooc")
    say_ooc(app, argument)


def change_scene(app: ShoriTUI, scene: Card) -> None:
    """Takes an edited scene; it is kept at once."""
    director = app.director
    if director is None:
        return
    if app.playing.is_on:
        app.tell("Somebody is still writing: Escape stops them.")
        app.show_panels()
    else:
        app.playing.play(lambda: director.change_scene(scene))


async def change_sampling(app: ShoriTUI, name: str, value: Value) -> None:
    """Changes one value of the sampler, from the next reply on."""
    from shoritui.engine import changed

    director = app.director
    if director is None:
        return
    try:
        changed(director.sampling, {name: value})
        await director.change_sampling(**{name: value})
    except UserError as error:
        app.tell(str(error), trouble=True)
    app.show_panels()


def number(text: str) -> float | None:
    """A number as it was typed, whole where it can be; nothing for `none` and `any`.

    Raises:
        ValueError: It is no number.
    """
    if text.casefold() in ("none", "any"):
        return None
    return int(text) if text.lstrip("-").isdigit() else float(text)


async def choose_preset(app: ShoriTUI, name: str) -> None:
    """Takes a preset, from the next reply on."""
    director = app.director
    if director is None:
        return
    try:
        await director.choose_preset(name)
    except UserError as error:
        app.tell(str(error), trouble=True)
    app.show_panels()


def say_ooc(app: ShoriTUI, text: str) -> bool:
    """Says something out of character; whether it could be."""
    director = app.director
    if director is None:
        return False
    if app.playing.is_on:
        app.tell("Somebody is still writing: Escape stops them.")
        return False
    app.playing.play(lambda: director.ooc(text))
    return True
