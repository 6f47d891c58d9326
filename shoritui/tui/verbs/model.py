"""The model that writes: the adapters it wears.

It does not know how a model is run.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from shoritui.errors import UserError
from shoritui.tui.passage import one_line

if TYPE_CHECKING:
    from shoritui.settings import AdapterFile
    from shoritui.tui.app import ShoriTUI

OFF = "off"


async def adapter(app: ShoriTUI, argument: str) -> None:
    """Puts a LoRA adapter on, changes how strongly it counts, takes one or all off, or tells."""
    if not argument:
        app.tell(_told(app.settings.adapters))
        return
    if app.playing.is_on:
        app.tell("Somebody is still writing: Escape stops them.")
        return
    await _wear(app, changed(app.settings.adapters, argument))


def changed(worn: list[AdapterFile], argument: str) -> list[AdapterFile]:
    """The adapters after `FILE [SCALE]` or `off`; a scale of 0 takes that one off."""
    from shoritui.settings import AdapterFile

    if argument == OFF:
        return []
    file, scale = _parted(argument)
    path = str(Path(file).expanduser().absolute())
    others = [each for each in worn if Path(each.path).expanduser() != Path(path)]
    return [*others, AdapterFile(path, scale)] if scale else others


def adapter_choices(app: ShoriTUI) -> list[str]:
    """What `/adapter` completes: those that are on, and `off`."""
    return [OFF, *(each.path for each in app.settings.adapters)]


async def _wear(app: ShoriTUI, files: list[AdapterFile]) -> None:
    from shoritui.director import adapters

    session = app.session
    if session is None or session.engine.state.phase in ("starting", "loading", "restarting"):
        app.tell("The model is not loaded yet.")
        return
    if session.engine.info is None:
        # It could not be loaded, perhaps because of an adapter: it is tried once more.
        session.settings = replace(session.settings, adapters=files)
        app.load_model()
    else:
        try:
            await session.engine.adapt(adapters(files))
        except UserError as error:
            app.tell(str(error), trouble=True)
            return
    await app.save(adapters=[{"path": each.path, "scale": each.scale} for each in files])
    app.tell(_told(files))
    app.show_prompt()


def _parted(argument: str) -> tuple[str, float]:
    """A file, whose name may hold spaces, and the number after it, 1 if there is none."""
    file, _, last = argument.rpartition(" ")
    try:
        return (file.strip(), float(last)) if file else (last, 1.0)
    except ValueError:
        return argument, 1.0


def _told(files: list[AdapterFile]) -> str:
    if not files:
        return "No adapter is on: /adapter FILE puts one on."
    names = (f"{one_line(Path(each.path).stem)} at {each.scale:g}" for each in files)
    return f"Adapters that are on: {', '.join(names)}."
