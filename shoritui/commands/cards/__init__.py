"""`shoritui cards`: cards from the command line."""

from typing import Final

DESCRIPTION: Final = """\
Take your cards along to other programs. `shoritui import` brings theirs here.
"""

COMMANDS: Final = {
    "export": "write a card as a picture, JSON or an archive that other programs read",
}

EXAMPLES: Final = """\
examples:
  shoritui cards export seraphina --as png         her picture, with the card in it
  shoritui cards export plum-street --as v2 --to out
                                                   each of its characters, as JSON
  shoritui cards export mira.charx --as png        another program's card, in another format
  shoritui help taking-along                       the guide's page
"""
