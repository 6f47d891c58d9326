"""What a user writes by hand: settings, presets, themes, personas."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from zlib import crc32

from shoritui.folders import bundled_dir
from tests.fuzz.raw_server import TAME, serving
from tests.fuzz.run import Input
from tests.fuzz.world import World

_RARELY: Final = 10
_SETTINGS = """\
version = 1
# Mine.
model = "~/models/shori.gguf"
server_model = "shori"
server_key = "NO_SUCH_KEY"
preset = "steady"
n_ctx = 4096
kv_cache_gb = 1.5
adapters = [{path = "~/loras/noir.gguf", scale = 0.8}]
stop_strings = ["\\nWren:"]
persona = "Wren"
turns = "in-turn"
max_tokens = 12
length = "short"
instruction = "Be brief."
ooc_form = "{name}: {text}"
theme = "mine"
mood_ask = true
[keymap]
retry = "f9"
"""
_PRESET = """\
title = "Mine"
temperature = 1.1
min_p = 0.05
top_k = 40
repeat_penalty = 1.1
dry_multiplier = 0.8
dry_breakers = ["\\n", ":"]
xtc_probability = 0.5
banned = ["shivers"]
order = ["top_k", "min_p", "temperature"]
seed = 7
[logit_bias]
a = -2.0
"""
_PERSONA = """\
[[character]]
name = "Wren"
aliases = ["W"]
description = "Keeps the log."
"""
_CARD = """\
title = "Quay"
scenario = "Fog."
[[character]]
name = "Mara"
description = "A pilot."
[[message]]
speaker = "Mara"
text = '"Who goes there?"'
"""
_PLACES = {
    "settings": "settings.toml",
    "preset": "presets/mine.toml",
    "theme": "themes/mine.toml",
    "persona": "personas/wren.toml",
}


def seeds() -> Iterator[Input]:
    """One of each."""
    yield Input("settings.toml", _SETTINGS.encode())
    yield Input("preset.toml", _PRESET.encode())
    yield Input("persona.toml", _PERSONA.encode())
    yield Input("theme.toml", (bundled_dir("themes") / "hanabi.toml").read_bytes())


def play(world: World, path: Path) -> None:
    """Put it where it belongs, and go through the doors that read it."""
    config = world.home / "config"
    place = config / _PLACES[path.stem]
    place.parent.mkdir(parents=True)
    shutil.copy(path, place)
    if path.stem != "settings":
        settings = 'theme = "mine"\npreset = "mine"\npersona = "Wren"\n'
        (config / "settings.toml").write_text(settings, encoding="utf-8")
    card = world.home / "quay.toml"
    card.write_text(_CARD, encoding="utf-8")
    with serving(TAME) as url:
        if crc32(path.read_bytes()) % _RARELY == 0:  # it starts a process
            world.door("doctor", "--server", url)
        world.door("say", "Hm.", card, "--server", url)
        world.door("prompt", card, "--server", url)
    world.door("presets", "list")
    world.door("presets", "list", "--json")
    world.door("presets", "export", "mine", "--to", world.out)
    world.door("presets", "templates", "--to", world.out)
    world.door("models", "--json")
    world.door("chat", codes=(1, 2))
