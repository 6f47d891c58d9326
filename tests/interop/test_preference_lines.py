"""Whatever is preferred to whatever: training reads each line."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shoritui.finetune.data.preferences import preference_of
from shoritui.interop import preferences_of
from shoritui.settings import Settings
from shoritui.story import Asked, Chat, Details, Entry, Made, Origin, WholeChat
from tests.director.conftest import SCENE

texts = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["a", " a", "a\u200b", "▄", "▀x\n▄", "a\x1b[1m", "\n", ": b"]),
)


@given(
    versions=st.lists(st.tuples(texts, st.sampled_from(["", "edited", "continued"])), min_size=2),
    before=st.lists(
        st.tuples(st.sampled_from(["message", "note", "ooc", "lore", "title", "enter"]), texts)
    ),
    chosen=st.integers(0, 20),
)
def test_any_texts_make_lines_that_training_reads(
    versions: list[tuple[str, Any]], before: list[tuple[Any, str]], chosen: int
) -> None:
    entries: list[Entry] = []

    def add(kind: Any, speaker: str, text: str, slot: int = 0, **rest: Any) -> None:
        number = len(entries) + 1
        above = (slot or number) - 1 or None
        entries.append(
            Entry(
                number, above, kind, speaker, None, text, "complete", 0, 0, slot or number, **rest
            )
        )

    for kind, text in [*before, ("message", "Well?")]:
        add(kind, "Wren" if kind != "note" else "", text)
    slot = len(entries) + 1
    for text, how in versions:
        made = Made(how, slot) if how and len(entries) >= slot else None
        origin = Origin("model", asked=Asked("d", "short"))
        add("message", "Mara", text, slot, origin=origin, details=Details(made=made))
    kept = slot + chosen % len(versions)
    entries.append(
        replace(entries[0], id=len(entries) + 1, parent=kept, kind="message", text="So.")
    )
    head = len(entries)
    chat = Chat(1, "x", SCENE, "Wren", head, {}, 0, 0)
    for each in preferences_of(WholeChat(chat, tuple(entries), {}), Settings()):
        read = preference_of(each.line(chat), "here:1")
        assert len(read.rejected) == len(each.rejected) and read.chosen.length == "short"
        assert each.chosen.id == kept or entries[kept - 1].details.made is not None
