"""`shoritui lore`: lorebooks from the command line."""

from typing import Final

DESCRIPTION: Final = """\
Lorebooks of your own lie as TOML files in the folder `lore` beside your characters; shoritui import
takes those of other programs in, and these write them for other programs.
"""

COMMANDS: Final = {
    "list": "list your lorebooks (the default)",
    "export": "write a lorebook for SillyTavern, RisuAI, Agnai and others",
}

EXAMPLES: Final = """\
examples:
  shoritui import Eldoria.json           world info of SillyTavern
  shoritui lore export eldoria --as sillytavern
                                         and back
  shoritui lore export seraphina --as risu --to ~/lore.json
                                         the lore of a card
"""
