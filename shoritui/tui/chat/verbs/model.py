"""The model that writes, and its adapters."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec.structs import replace

from shoritui.errors import UserError
from shoritui.text import one_line
from shoritui.tui.chat.app_protocol import Host

if TYPE_CHECKING:
    from shoritui.settings import AdapterFile, Settings

_PLACE = ("model", "server", "server_model", "server_key")
"""The settings that say which model writes."""
_LOADING = ("starting", "loading", "restarting")


async def model(host: Host, argument: str) -> None:
    """Let another model write from now on: one named, or chosen from a list."""
    from shoritui.models import model_file
    from shoritui.tui.chat.settings.model_picker import ModelPicker, settings_at, settings_for

    session = host.session
    if session is None or _is_busy(host):
        return
    settings: Settings | None
    if argument.startswith(("http://", "https://")):
        settings = settings_at(host.settings, argument)
    elif argument:
        settings = await asyncio.to_thread(
            lambda: settings_for(host.settings, model_file(None, argument).absolute())
        )
    else:
        servers, info = session.servers.values(), session.engine.info
        settings = await host.push_screen_wait(ModelPicker(host.settings, servers, info))
    if settings is None or _is_busy(host) or not await host.switch_model(settings):
        return
    changes = {name: getattr(settings, name) for name in _PLACE}
    await host.save(**changes)
    info = session.engine.info
    if info is not None:
        host.report(f"{one_line(info.path.name.removesuffix('.gguf'))} writes from now on.")


def model_choices(host: Host) -> list[str]:
    """Return what `/model` completes."""
    return host.session.model_names if host.session is not None else []


def _is_busy(host: Host) -> bool:
    """Say why the model can't be changed now, if it can't."""
    if host.performance.is_on:
        host.report("Somebody is still writing: Escape stops them.")
    elif host.session is not None and host.session.engine.state.phase in _LOADING:
        host.report("The model is still being loaded.")
    else:
        return False
    return True


async def adapter(host: Host, argument: str) -> None:
    """Put a LoRA adapter on, change how strongly it counts, take one or all off, or list them."""
    from shoritui.director import adapters_after, adapters_told

    if not argument:
        host.report(adapters_told(host.settings.adapters))
        return
    if host.performance.is_on:
        host.report("Somebody is still writing: Escape stops them.")
        return
    try:
        files = await asyncio.to_thread(adapters_after, host.settings.adapters, argument)
    except UserError as error:
        host.report(str(error), trouble=True)
        return
    await _wear(host, files)


def adapter_choices(host: Host) -> list[str]:
    """Return what `/adapter` completes: those that are on, and `off`."""
    from shoritui.director import OFF

    return [OFF, *(each.path for each in host.settings.adapters)]


async def _wear(host: Host, files: list[AdapterFile]) -> None:
    from shoritui.director import adapters, adapters_told

    session = host.session
    if session is None or session.engine.state.phase in _LOADING:
        host.report("The model is not loaded yet.")
        return
    if session.engine.info is None:
        # It could not be loaded, perhaps because of an adapter: it is tried once more.
        session.settings = replace(session.settings, adapters=files)
        host.load_model()
    else:
        try:
            await session.engine.adapt(await asyncio.to_thread(adapters, files))
        except UserError as error:
            host.report(str(error), trouble=True)
            return
    await host.save(adapters=files)
    session.settings = host.settings
    host.report(adapters_told(files))
    host.show_choices()
