"""The panels at the side: the scene, the sampler, the talk out of character."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING

from shoritui.errors import UserError
from shoritui.text import one_line, printable
from shoritui.tui.chat.app_protocol import Host
from shoritui.tui.widgets.chooser import Choice, Chooser, LinePrompt

if TYPE_CHECKING:
    from shoritui.cards import Card
    from shoritui.tui.chat.panels.sampler_values import Value


async def scene(host: Host, argument: str) -> None:
    """Show or hide the scene."""
    await host.toggle_section("scene")


def show_help(host: Host, argument: str) -> None:
    """Show the help."""
    host.show_help(argument)


async def settings(host: Host, _: str) -> None:
    """Show the settings; what was changed counts once they are left."""
    from shoritui.tui.chat.settings.settings_screen import SettingsScreen

    await host.push_screen_wait(SettingsScreen(host))
    await host.use_settings()


async def change_keys(host: Host, _: str) -> None:
    """Show the keys."""
    from shoritui.tui.chat.settings.keys_screen import KeysScreen

    await host.push_screen_wait(KeysScreen(host))


def help_choices(_: Host) -> list[str]:
    """Return the topics that `/help` completes."""
    from shoritui import guide

    return list(guide.names())


def cast(host: Host, argument: str) -> None:
    """Go to a character in the panel; a new one joins the cast."""
    if argument:
        host.main.run_worker(_cast(host, argument), group="asking")
    else:
        host.words.ask("cast", "Write a character's name after /cast.")


async def _cast(host: Host, argument: str) -> None:
    from shoritui.tui.chat.panels.scene import with_character

    names = [character.name.casefold() for character in _scene(host).characters]
    if argument.casefold() not in names:
        try:
            changed = with_character(_scene(host), argument)
        except ValueError as error:
            host.report(f"{argument} can't join: {error}.", trouble=True)
            return
        await change_scene(host, changed)
    await host.open_section("scene")
    if host.main.side is not None:
        host.main.side.scene.go_to(argument)


def add_lore(host: Host, argument: str) -> None:
    """Add a piece of lore."""
    if argument:
        host.main.run_worker(_add_lore(host, argument), group="asking")
    else:
        host.words.ask("lore", "Write the name of the new piece of lore after /lore.")


async def _add_lore(host: Host, argument: str) -> None:
    from shoritui.tui.chat.panels.scene import with_field

    await change_scene(host, with_field(_scene(host), "new.lore", argument))
    await host.open_section("scene")


async def sampler(host: Host, argument: str) -> None:
    """Show or hide the sampler, or change values."""
    if argument:
        host.main.run_worker(_change_sampler(host, argument), group="asking")
    else:
        await host.toggle_section("sampler")


async def _change_sampler(host: Host, argument: str) -> None:
    numbers, lists = sampler_words(argument)
    for word in numbers:
        name, _, text = word.partition("=")
        try:
            value = number(text)
        except ValueError:
            host.report(f"{word}: write it as name=number, such as min_p=0.08.", trouble=True)
        else:
            await change_sampling(host, name, value)
    if lists:
        await change_list(host, lists)


def sampler_words(argument: str) -> tuple[list[str], str]:
    """Return the `name=number` words of a `/sampler` command, and the list that may follow them."""
    from shoritui.tui.chat.panels.sampler_values import LISTS

    found = re.search(rf"(?:^|(?<=\s))(?:{'|'.join(LISTS)})\s*=", argument)
    begin = found.start() if found else len(argument)
    return argument[:begin].split(), argument[begin:]


async def change_list(host: Host, written: str) -> None:
    """Change a list of the sampler, written as `banned=a shiver, her spine`."""
    from shoritui.tui.chat.panels.sampler_values import read_list

    name, _, text = written.partition("=")
    name = name.strip()
    try:
        value = read_list(name, text, between=",")
    except ValueError as error:
        host.report(f"{error}: write it as logit_bias=word=number, word=number.", trouble=True)
    else:
        await change_sampling(host, name, value)


def sampler_choices(host: Host) -> list[str]:
    """Return what `/sampler` completes: every value as it is now."""
    from shoritui.tui.chat.panels.sampler_values import LISTS, SCALES, list_text

    if host.chat is None:
        return []
    sampling = host.chat.sampling
    numbers = [f"{name}={getattr(sampling, name)}" for name in SCALES]
    lists = [f"{name}={list_text(name, getattr(sampling, name), ', ')}" for name in LISTS]
    return numbers + lists


async def preset(host: Host, argument: str) -> None:
    """Choose a preset."""
    chat = host.chat
    if chat is None:
        return
    await _read_presets(host)
    name: str | None = argument
    if not argument:
        choices = [Choice(name, name, one_line(each.title)) for name, each in chat.presets.items()]
        name = await host.push_screen_wait(Chooser("Which sampler?", choices, chat.preset))
    if name:
        await choose_preset(host, name)


async def _read_presets(host: Host) -> None:
    """Take up the presets that came in since the start, from an import or another window."""
    from shoritui.engine import presets
    from shoritui.folders import config_dir

    found, _ = await asyncio.to_thread(presets, config_dir() / "presets")
    if (chat := host.chat) is not None:
        gone = [name for name in chat.presets if name not in found and name != chat.preset]
        for name in gone:
            del chat.presets[name]
        chat.presets.update(found)


async def export_templates(host: Host, folder: str) -> None:
    """Write BlockML as SillyTavern's templates."""
    from shoritui.folders import user_path
    from shoritui.interop.templates import FOR_GROUPS, write_templates

    if not folder:
        question = "BlockML as Context and Instruct templates of SillyTavern."
        prompt = LinePrompt("Into which folder?", str(Path.cwd()), question=question, word="export")
        typed = await host.push_screen_wait(prompt)
        folder = typed or ""
    if not folder.strip():
        return
    try:
        where = await asyncio.to_thread(user_path, folder.strip())
        said = (host.chat.form if host.chat else host.settings).instruction
        written = await asyncio.to_thread(write_templates, where, said)
    except UserError as error:
        host.report(str(error), trouble=True)
        return
    host.report(f"{len(written)} templates are in {printable(where.absolute())}. {FOR_GROUPS}")


async def keep_preset(host: Host, name: str) -> None:
    """Save the sampler's values as a preset of one's own, and use it."""
    from shoritui.engine import save_preset
    from shoritui.folders import config_dir

    chat = host.chat
    if chat is None:
        host.report("No story is open.")
        return
    if not name:
        prompt = LinePrompt("The preset's name", question="The sampler's values as they are now.")
        typed = await host.push_screen_wait(prompt)
        name = typed or ""
    if not name:
        return
    folder, sampling = config_dir() / "presets", chat.sampling
    try:
        saved = await asyncio.to_thread(save_preset, folder, name, sampling)
    except UserError as error:
        host.report(str(error), trouble=True)
        return
    chat.presets[saved.name] = saved
    await choose_preset(host, saved.name)
    host.report(f"The sampler's values are the preset {saved.name} from now on.")


def preset_choices(host: Host) -> list[str]:
    """Return what `/preset` completes."""
    return list(host.chat.presets) if host.chat is not None else []


async def ooc(host: Host, argument: str) -> None:
    """Show or hide the channel, or say something in it."""
    if not argument:
        await host.toggle_section("ooc")
        return
    await host.open_section("ooc")
    if host.director is not None:
        host.words.write(host.director.ooc(argument), f"/ooc {argument}")


def _scene(host: Host) -> Card:
    """Return the open story's scene, or a blank one."""
    from shoritui.cards import Card

    return host.chat.scene if host.chat is not None else Card()


async def change_scene(host: Host, scene: Card) -> None:
    """Take an edited scene; it is kept at once. Where no story is open, one begins with it."""
    if host.director is None:
        if host.session is not None:
            await host.begin(scene)
    elif not host.performance.play(host.director.change_scene(scene)):
        host.show_panels()


async def change_sampling(host: Host, name: str, value: Value) -> None:
    """Change one value of the sampler, from the next reply on."""
    from shoritui.engine import changed

    chat = host.chat
    if chat is None:
        return
    try:
        changed(chat.sampling, {name: value})
        await chat.change_sampling(**{name: value})
    except UserError as error:
        host.report(str(error), trouble=True)
    host.show_panels()


def number(text: str) -> float | None:
    """Return a number as it was typed, whole where it can be; nothing for `none` and `any`.

    Raises:
        ValueError: It is no number.
    """
    if text.casefold() in ("none", "any"):
        return None
    return int(text) if text.lstrip("-").isdigit() else float(text)


async def choose_preset(host: Host, name: str) -> None:
    """Take a preset, from the next reply on."""
    chat = host.chat
    if chat is None:
        return
    try:
        await chat.choose_preset(name)
    except UserError as error:
        host.report(str(error), trouble=True)
    host.show_panels()
