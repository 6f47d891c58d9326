"""A chat's active path as BlockML: what a model would read if its context were large enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from shoritui.blockml import render_all
from shoritui.cards import Card
from shoritui.settings import load_settings
from shoritui.story import (
    COMINGS,
    JSON,
    Entry,
    Form,
    WholeChat,
    header_parts,
    is_summary,
    read_by,
    story_parts,
)
from shoritui.text import as_json, clean


def blockml_text(whole: WholeChat) -> str:
    """Return the scene's blocks and the story's, as the user's settings form them."""
    # What is exported is told, and what is told is trained on: examples are neither.
    form = replace(form_of_settings(whole.chat.scene, whole.chat.settings), reads_examples=False)
    parts = header_parts(whole.chat.scene, whole.chat.user, form)
    for group in story_parts(whole.chat.scene, read_entries(whole), form):
        parts += group
    return clean(render_all(part for _, part in parts))


def read_entries(whole: WholeChat) -> list[Entry]:
    """Return what a model reads of the active path: neither hidden entries nor empty ones.

    All messages fit, so there are no summaries in their place.
    """
    told = [entry for entry in whole.path() if not is_summary(entry)]
    talk = form_of_settings(whole.chat.scene, whole.chat.settings).talk()
    read = read_by(told, talk=talk)
    return [entry for entry in read if entry.text.strip() or entry.kind in COMINGS]


def blockml_line(whole: WholeChat) -> str:
    """Return the same as one line of JSON."""
    return as_json({"text": blockml_text(whole)}) + "\n"


def form_of_settings(scene: Card | None = None, chosen: Mapping[str, JSON] | None = None) -> Form:
    """Return the user's choices of form, with the scene's and those made for one chat."""
    return Form.of(load_settings(), scene or Card(), chosen or {})
