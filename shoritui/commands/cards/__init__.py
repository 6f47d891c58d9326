"""`shoritui cards`: cards from the command line."""

from typing import Final

DESCRIPTION: Final = """\
Look whether your cards are right, and take them along to other programs. `shoritui import` brings
theirs here.
"""

COMMANDS: Final = {
    "check": "say what is in cards, and what is wrong with them",
    "export": "write a card as a picture, JSON or an archive that other programs read",
}

EXAMPLES: Final = """\
examples:
  shoritui cards check                             all of your own
  shoritui cards export seraphina --as png         her picture, with the card in it
  shoritui cards export plum-street --as v2 --to out
                                                   each of its characters, as JSON
  shoritui cards export mira.charx --as png        another program's card, in another format
  shoritui help taking-along                       the guide's page
"""
