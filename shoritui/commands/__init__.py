"""The command line, one module a command: its arguments, its calls, its printing.

A new command is a module here and a line in `COMMANDS`; `shoritui.cli` says what it must hold.
"""

from typing import Final

DESCRIPTION: Final = """\
A terminal home for multi-character roleplay with a local language model.

A story is a scene (characters, lore, a scenario) and the messages written in
it: you write as any of the characters, the model as the others. Scenes are
small TOML files, called cards. Several cards and a small model are included.
"""

COMMANDS: Final = {
    "chat": "open the app (the default)",
    "serve": "open the app in a browser, here or on another device",
    "say": "say one thing, print one reply",
    "prompt": "print exactly what the model would read",
    "models": "list the models on this machine, download one, choose one",
    "chats": "list, search, read, export, import and back up your chats",
    "cards": "write your cards as files that other programs read",
    "import": "take in cards, lorebooks, presets and chats: a file or a folder",
    "lore": "list your lorebooks, and write them for other programs",
    "presets": "list sampler presets; write them, and BlockML's templates, for SillyTavern",
    "export": "take out one thing, or everything: stories, cards, lorebooks, presets",
    "doctor": "show what is installed, which model is used, and where your data is",
    "bench": "measure the speed on this machine, compared with other programs",
    "eval": "measure how well a model tells stories, beside other models",
    "lengths": "measure how long a model's replies are, under each length hint",
    "finetune": "train an adapter on your own conversations",
    "help": "show a page of the guide",
}

EXAMPLES: Final = """\
examples:
  shoritui chat                          continue a story, or pick a scene
  shoritui chat mine.toml --model ~/models/ShoriRP.v075d.q6_k.gguf
  shoritui serve                         the app in a browser
  shoritui say '"Who took the lamp?" Wren asked.' mine.toml --speaker Mara
  shoritui prompt mine.toml --tokens     show exactly what the model would read
  shoritui models                        list the models on this machine
  shoritui chats export 3 --format html  a story as a page for a friend's phone
  shoritui import SillyTavern/data/default-user
                                         everything that you have there
  shoritui cards export mira --as png    a card as other programs read it
  shoritui doctor                        check the installation and the GPU
  shoritui bench                         measure the speed on this machine
  shoritui eval --quick                  measure how well it tells stories
  shoritui finetune --demo               train a small adapter on this CPU
  shoritui help keys                     read the guide's page about keys
"""
