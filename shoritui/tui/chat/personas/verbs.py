"""Who the user is: a persona taken up in the story, and the one that new stories begin with."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from shoritui.errors import UserError
from shoritui.tui.chat.app_protocol import Host

if TYPE_CHECKING:
    from shoritui.cards import Card, Character


async def persona(host: Host, name: str) -> None:
    """Become a persona, named or chosen from all of them."""
    from shoritui.cards import persona_named
    from shoritui.tui.chat.personas.screen import PersonaScreen

    if not name:
        chosen = await host.push_screen_wait(PersonaScreen(host))
        await learn_names(host)
        if chosen is not None:
            await _become(host, chosen)
        return
    try:
        found = await asyncio.to_thread(persona_named, name)
    except UserError as error:
        host.report(str(error), trouble=True)
    else:
        await _become(host, found.character)


async def _become(host: Host, character: Character) -> None:
    if host.director is None:
        host.report("Open a story first: F8 shows them, alt+n begins one.")
    elif host.performance.play(host.director.become(character)):
        await host.performance.settled()
        host.show_panels()


async def with_persona(host: Host, scene: Card) -> Card:
    """Return the scene with the persona in it that new stories begin with, if there is one."""
    from shoritui.cards import persona_named, played_by

    if not host.settings.persona:
        return scene
    try:
        found = await asyncio.to_thread(persona_named, host.settings.persona)
    except UserError as error:
        host.report(str(error), trouble=True)
        return scene
    return played_by(scene, found.character)


async def learn_names(host: Host) -> None:
    """Look for the personas there are."""
    from shoritui.cards import find_personas

    found, _ = await asyncio.to_thread(find_personas)
    if host.session is not None:
        host.session.persona_names = [each.character.name for each in found]


def persona_names(host: Host) -> list[str]:
    """Return the names that `/persona` completes."""
    return list(host.session.persona_names) if host.session is not None else []
