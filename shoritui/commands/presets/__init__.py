"""`shoritui presets`: sampler presets and prompt templates, for this and other programs."""

from typing import Final

DESCRIPTION: Final = """\
List sampler presets, and write them, or BlockML's templates, for SillyTavern. `shoritui import`
takes presets of other programs in.
"""

COMMANDS: Final = {
    "list": "list the presets (the default)",
    "export": "write presets as SillyTavern's text completion presets",
    "templates": "write BlockML as SillyTavern's Context and Instruct templates",
}

EXAMPLES: Final = """\
examples:
  shoritui presets
  shoritui presets export card-main --to ~/tavern
  shoritui presets templates --to ~/tavern
  shoritui help samplers                 the guide's page
"""
