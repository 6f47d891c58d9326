"""Data sets to train on, whoever wrote them, as conversations with named speakers.

conversations_in(Path("log.jsonl"), Reading(names={"human": "Mara", "gpt": "Ilse"}))
    Found(parts=(Block("message", "Hm.", "Mara"), ...), lines=(1, ...))
    Unusable(7, "conversations[2] does not say who speaks: ...")
"""

from shoritui.interop.datasets.files import EMPTY, text_of
from shoritui.interop.datasets.model import (
    SIDES,
    Format,
    Found,
    Layout,
    Read,
    Reading,
    SystemUse,
    Unnamed,
    Unusable,
)
from shoritui.interop.datasets.own import ObjectError, converted
from shoritui.interop.datasets.read import SUFFIXES, conversations_in
from shoritui.interop.datasets.scene import cleaned

__all__ = [
    "EMPTY",
    "SIDES",
    "SUFFIXES",
    "Format",
    "Found",
    "Layout",
    "ObjectError",
    "Read",
    "Reading",
    "SystemUse",
    "Unnamed",
    "Unusable",
    "cleaned",
    "conversations_in",
    "converted",
    "text_of",
]
