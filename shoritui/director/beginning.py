"""How a chat begins: with which character for the user, on an engine opened how.

It does not know what happens in the chat.
"""

from __future__ import annotations

from shoritui.cards import Card
from shoritui.director.disk import Disk
from shoritui.engine import EngineOptions
from shoritui.settings import Settings
from shoritui.story import Chat, Library


def engine_options(settings: Settings) -> EngineOptions:
    """What the settings say of how a model is loaded."""
    return EngineOptions(
        n_ctx=settings.n_ctx,
        n_threads=settings.n_threads,
        n_gpu_layers=settings.n_gpu_layers,
    )


def default_user(scene: Card) -> str:
    """The name the user speaks as unless told otherwise.

    That is the character marked `user = true`; else the last of the cast; else `You`.
    """
    marked = [c for c in scene.characters if c.user]
    if marked:
        return marked[0].name
    return scene.characters[-1].name if len(scene.characters) > 1 else "You"


async def new_chat(disk: Disk, scene: Card, user: str = "") -> Chat:
    """Begins a chat in the library from a scene."""
    return await disk.run(Library.create_chat, scene, user or default_user(scene))
