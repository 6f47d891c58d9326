"""Sampler presets of other programs: taken in as presets of ours, and written for SillyTavern.

    import_preset(path)                  a file becomes a preset of the user's; None if it is none
    is_preset(found)                     whether the values of a JSON or YAML file are one
    preset_of(found, "Universal-Light")  its values as ours, and by name what has no counterpart
    export_preset(preset, own, folder)   the other way round

What a file held is kept beside the new one, so that nothing is lost when it is exported again.
"""

from shoritui.engine.presets.foreign.files import (
    TakenPreset,
    export_preset,
    import_preset,
    take_preset,
)
from shoritui.engine.presets.foreign.read import ForeignPreset, is_preset, preset_of
from shoritui.engine.presets.foreign.write import sillytavern_preset

__all__ = [
    "ForeignPreset",
    "TakenPreset",
    "export_preset",
    "import_preset",
    "is_preset",
    "preset_of",
    "sillytavern_preset",
    "take_preset",
]
