"""The tree of a chat against a plain model of it, over any series of operations."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from shoritui.cards import Card, Character
from shoritui.story import Draft, Library

SCENE = Card(characters=(Character(name="A"),))


@dataclass
class Node:
    chat: int
    parent: int | None
    text: str
    status: str


class Tree(RuleBasedStateMachine):
    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.library = Library(self.folder / "library.db")
        self.nodes: dict[int, Node] = {}
        self.heads: dict[int, int | None] = {
            self.library.create_chat(SCENE, "A").id: None for _ in range(2)
        }

    def pick_chat(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from(sorted(self.heads)))

    def pick_node(self, data: st.DataObject, chat: int) -> int | None:
        own = [key for key, node in self.nodes.items() if node.chat == chat]
        return data.draw(st.sampled_from([None, *own]))

    @rule(data=st.data(), text=st.text(max_size=5), streaming=st.booleans())
    def append(self, data: st.DataObject, text: str, streaming: bool) -> None:
        chat = self.pick_chat(data)
        status = "streaming" if streaming else "complete"
        entry = self.library.append(
            chat, Draft("message", "A", text, status="streaming" if streaming else "complete")
        )
        self.nodes[entry.id] = Node(chat, self.heads[chat], text, status)
        self.heads[chat] = entry.id

    @rule(data=st.data(), text=st.text(max_size=5))
    def append_after(self, data: st.DataObject, text: str) -> None:
        chat = self.pick_chat(data)
        parent = self.pick_node(data, chat)
        entry = self.library.append(chat, Draft("note", "", text), parent=parent)
        self.nodes[entry.id] = Node(chat, parent, text, "complete")
        self.heads[chat] = entry.id

    @rule(data=st.data())
    def set_head(self, data: st.DataObject) -> None:
        chat = self.pick_chat(data)
        self.heads[chat] = self.pick_node(data, chat)
        self.library.go_to(self.heads[chat], chat, exactly=True)

    @rule(data=st.data(), text=st.text(max_size=5))
    def write(self, data: st.DataObject, text: str) -> None:
        streaming = [key for key, node in self.nodes.items() if node.status == "streaming"]
        if streaming:
            key = data.draw(st.sampled_from(sorted(streaming)))
            self.library.write(key, text, status="complete", tokens=3)
            self.nodes[key].text = text
            self.nodes[key].status = "complete"

    @rule()
    def reopen(self) -> None:
        self.library.close()
        self.library = Library(self.folder / "library.db")
        # What came of a stream is cut; a stream of which nothing came has never been.
        for key, node in sorted(self.nodes.items(), reverse=True):
            if node.status == "streaming" and not node.text.strip():
                self.heads = {
                    chat: node.parent if head == key else head for chat, head in self.heads.items()
                }
                for other in self.nodes.values():
                    other.parent = node.parent if other.parent == key else other.parent
                del self.nodes[key]
            node.status = node.status.replace("streaming", "cut")

    @invariant()
    def every_path_is_the_model_s(self) -> None:
        for chat, head in self.heads.items():
            expected = []
            step = head
            while step is not None:
                node = self.nodes[step]
                expected.append((step, node.parent, node.text, node.status))
                step = node.parent
            path = self.library.entries(chat)
            assert [(e.id, e.parent, e.text, e.status) for e in path] == expected[::-1]
            assert self.library.chat(chat).head == head

    def teardown(self) -> None:
        self.library.close()
        shutil.rmtree(self.folder)


Tree.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestTree = Tree.TestCase
