"""Models on disk: which ones lie on this machine, what they are, and pulling new ones.

It does not know the app's settings, nor llama.cpp. Pulling is in `hub` and `download`, which
import huggingface_hub: only who pulls imports them.
"""

from shoritui.engine.shelf.catalogue import (
    Description,
    Kind,
    Model,
    Shelf,
    describe,
    describe_file,
    find,
    look,
    unknown,
)
from shoritui.engine.shelf.plain import number, printable, size

__all__ = [
    "Description",
    "Kind",
    "Model",
    "Shelf",
    "describe",
    "describe_file",
    "find",
    "look",
    "number",
    "printable",
    "size",
    "unknown",
]
