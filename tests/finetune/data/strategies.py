"""Conversations to try, of any text."""

from __future__ import annotations

from hypothesis import strategies as st

from shoritui.blockml import (
    LENGTHS,
    Block,
    Instruction,
    Part,
)
from shoritui.finetune.data.conversations import Conversation
from shoritui.text import clean

words = st.sampled_from(["said", "the", "_Oh_", '"Yes"', "😀", "</s>", "---", "[/INST]", "▄", "\n"])
bodies = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.lists(words, max_size=12).map(" ".join),
).map(clean)
names = st.sampled_from(["Ada", "Bram", "Mrs. O'Neil"])
headers = st.builds(Block, st.sampled_from(["title", "tags", "lore", "description"]), bodies)
messages = st.builds(Block, st.just("message"), bodies, names, st.none() | st.sampled_from(LENGTHS))
others = st.builds(Block, st.sampled_from(["ooc", "scenario", "title", "lore"]), bodies)
parts = st.lists(
    st.one_of(headers, messages, messages, messages, others, st.builds(Instruction, bodies)),
    min_size=1,
    max_size=12,
)


def conversation(*parts: Part, file: str = "a.txt") -> Conversation:
    return Conversation(parts, file, tuple(range(1, len(parts) + 1)))


conversations = parts.map(lambda parts: conversation(*parts))
