"""Cards and lorebooks: TOML, and pictures, JSON, archives and YAML of other programs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from shoritui.folders import bundled_dir
from shoritui.interop.cards import CARD_FORMATS, LORE_FORMATS
from tests.fuzz.run import Input
from tests.fuzz.world import World
from tests.interop.cards.mutations import BOOK, CARD, FILES, text_of

_SUFFIXES = {"png": ".png", "apng": ".png", "jpeg": ".jpg", "webp": ".webp", "charx": ".charx"}
_LORE = """
title = "The harbour"
[[lore]]
name = "fog"
text = "Thick."
keys = ["fog", "/mist/i"]
priority = 3
"""


def seeds() -> Iterator[Input]:
    """A card in each kind of file, and those that ship."""
    for name, build in FILES.items():
        suffix = _SUFFIXES.get(name.split()[-1], f".{name.split()[-1]}")
        yield Input(f"card{suffix}", build(CARD))
    yield Input("card.json", text_of(CARD["data"]))
    yield Input("book.json", text_of(BOOK))
    yield Input("book.toml", _LORE.encode())
    for path in sorted(bundled_dir("characters").glob("*.toml"))[:4]:
        yield Input("card.toml", path.read_bytes())


def play(world: World, path: Path) -> None:
    """Check it, take it in, look at what is there then, and write it in every format."""
    is_ours = path.suffix == ".toml"
    world.door("cards", "check", path, "--json")
    take = ("cards", "check") if is_ours else ("import",)
    is_right = not world.door(*take, path).code
    if is_right and not is_ours:
        world.door("cards", "check", codes=(0,))
        world.door("lore", "list")
    # What is not right is refused by all of them alike.
    for form in [*CARD_FORMATS][: None if is_right else 1]:
        world.door("cards", "export", path, "--as", form, "--to", world.out)
    for form in [*LORE_FORMATS][: None if is_right else 1]:
        world.door("lore", "export", path, "--as", form, "--to", world.out)
    if written := sorted(each for each in world.out.iterdir() if each.is_file()):
        world.door("cards", "check", *written)
    if is_right and not is_ours:
        world.door("import", "--undo", codes=(0,))
