"""`shoritui chats`: the library from the command line."""

from typing import Final

DESCRIPTION: Final = """\
List, search and read the chats of your library, take them along as files, back them up. A chat is
named by its number, or by a title that only it has.
"""

COMMANDS: Final = {
    "list": "list the chats, the one used last first (the default)",
    "search": "find words in everything ever written",
    "show": "print a chat as it stands",
    "rename": "give a chat another title",
    "export": "write chats as files: to read, to keep, to train on",
    "import": "make chats of files: exported JSON, SillyTavern, BlockML, logs",
    "delete": "put chats into the bin, for 30 days",
    "undelete": "take chats out of the bin",
    "erase": "erase what lies in the bin",
    "backup": "copy the whole library",
    "restore": "list the backups, or put one in the library's place",
    "check": "look for damage in the library",
}

EXAMPLES: Final = """\
examples:
  shoritui chats search lantern          who said it, and in which chat
  shoritui chats export 3 --format html  one page that a friend can read on a phone
  shoritui chats export 3 --format json  everything, every branch
  shoritui chats import ferry-3.json     on another machine
  shoritui chats export --all --to mine --tier high
                                         your chats as training data
  shoritui chats export --preferences    what you kept and what you swiped away, to train on
  shoritui chats restore                 which backups there are
  shoritui help taking-along             the guide's page
"""
