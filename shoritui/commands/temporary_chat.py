"""A chat for one command: the director that the app uses, on a library that is gone afterwards."""

from __future__ import annotations

import argparse
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager

from shoritui.cards import card_files, load_cards, macro_problems
from shoritui.commands.output import print_error, show_making
from shoritui.director import Director, Disk, make_engine, new_chat, open_engine
from shoritui.engine import check_preset, presets
from shoritui.errors import UserError
from shoritui.files import temporary_folder
from shoritui.folders import config_dir
from shoritui.settings import Settings
from shoritui.text import closest


@asynccontextmanager
async def temporary_chat(
    options: argparse.Namespace, settings: Settings
) -> AsyncGenerator[Director]:
    """Begin the scene of the cards, with the speaker and the length that are asked for.

    Raises:
        UserError: A card, a name or the model is not right.
    """
    scene = load_cards(card_files(options.cards))
    cast = [character.name for character in scene.characters]
    user = in_cast(options.user, cast) if options.user is not None else ""
    folder = config_dir() / "presets"
    samplers, problems = presets(folder)
    if preset := getattr(options, "preset", None):
        check_preset(preset, samplers, folder)
    for problem in (*problems, *macro_problems(scene)):
        print_error(problem)
    engine = make_engine(settings)
    with temporary_folder() as home:
        disk = await Disk.open(home / "library.db")
        try:
            await open_engine(engine, settings, options.model, show_making)
            chat = await new_chat(disk, scene, user)
            director = await Director.open(disk, chat, engine, settings, samplers)
            if options.length:
                await director.chat.choose_length(options.length)
            if options.speaker:
                await director.chat.choose_next(in_cast(options.speaker, cast))
            yield director
        finally:
            await engine.close()
            await disk.close()


def in_cast(name: str, cast: Collection[str]) -> str:
    """Return the name of the cast that is meant.

    Raises:
        UserError: There is none.
    """
    by_folded = {member.casefold(): member for member in cast}
    if name.casefold() in by_folded:
        return by_folded[name.casefold()]
    near = closest(name, cast)
    hint = f" Did you mean {near}?" if near else ""
    raise UserError(f"There is no {name!r} in the cast: choose one of {', '.join(cast)}.{hint}")
