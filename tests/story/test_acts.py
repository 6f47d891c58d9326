"""Random acts on a tree: everything can be taken back and done again, and no text is lost."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings, strategies
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from shoritui.errors import UserError
from shoritui.story import Draft, Entry, Library
from tests.story.conftest import SCENE

State = tuple[object, ...]


class Acts(RuleBasedStateMachine):
    """One chat, and what the library promises of it whatever is done."""

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.library = Library(Path(self.folder.name) / "library.db")
        self.chat = self.library.create_chat(SCENE, "Mara").id
        self.states: list[State] = [self.state()]
        self.undone = 0
        self.written = {entry.text for entry in self.library.entries(self.chat)}
        self.count = 0

    def state(self) -> State:
        chat = self.library.chat(self.chat)
        nodes = [(n.id, n.parent, n.label, n.active) for n in self.library.tree(self.chat)]
        bin_ = sorted(entry.id for entry in self.library.bin(self.chat))
        hidden = [(entry.id, entry.hidden) for entry in self.library.entries(self.chat)]
        return (chat.head, chat.user, chat.name, tuple(nodes), tuple(bin_), tuple(hidden))

    def done(self, before: State) -> None:
        """Note an act, if it changed anything."""
        after = self.state()
        if after != before:
            del self.states[len(self.states) - self.undone :]
            self.undone = 0
            self.states.append(after)

    def text(self) -> str:
        self.count += 1
        text = f"words number {self.count}"
        self.written.add(text)
        return text

    def entry(self, data: Any) -> Entry | None:
        entries = self.library.entries(self.chat)
        return data.draw(strategies.sampled_from(entries)) if entries else None

    @rule(speaker=strategies.sampled_from(["Mara", "Bo"]))
    def say(self, speaker: str) -> None:
        before = self.state()
        self.library.append(self.chat, Draft("message", speaker, self.text()))
        self.new(before)

    def new(self, before: State) -> None:
        # Undo leaves what was written in the tree, so states are compared by what is active.
        self.done(before)

    @rule(data=strategies.data(), keep=strategies.booleans())
    def edit(self, data: Any, keep: bool) -> None:
        before = self.state()
        if entry := self.entry(data):
            draft = Draft(entry.kind, entry.speaker, self.text())
            self.library.add_version(entry.id, draft, keep=keep, act="Edit a message")
            self.new(before)

    @rule(data=strategies.data(), keep=strategies.booleans())
    def stream_nothing(self, data: Any, keep: bool) -> None:
        before = self.state()
        if entry := self.entry(data):
            draft = Draft(entry.kind, entry.speaker, "", status="streaming")
            version = self.library.add_version(entry.id, draft, keep=keep, act="Retry")
            self.library.drop(version.id)
            assert self.state() == before
            del self.states[len(self.states) - self.undone :]
            self.undone = 0
            self.states[-1] = before  # what was undone stays beside its path

    @rule(data=strategies.data(), keep=strategies.booleans())
    def swipe(self, data: Any, keep: bool) -> None:
        before = self.state()
        if entry := self.entry(data):
            version = data.draw(strategies.sampled_from(self.library.versions(entry.id)))
            if version.id != entry.id:
                self.library.choose_version(entry.id, version.id, keep=keep)
                self.new(before)

    @rule(data=strategies.data())
    def insert(self, data: Any) -> None:
        before = self.state()
        entry = self.entry(data)
        self.library.insert(self.chat, entry.id if entry else None, Draft("note", "", self.text()))
        self.new(before)

    @rule(data=strategies.data())
    def delete(self, data: Any) -> None:
        before = self.state()
        if entry := self.entry(data):
            self.library.delete([entry.id])
            self.new(before)

    @rule(data=strategies.data())
    def restore(self, data: Any) -> None:
        before = self.state()
        if entries := self.library.bin(self.chat):
            self.library.restore(data.draw(strategies.sampled_from(entries)).id)
            self.new(before)

    @rule(data=strategies.data(), up=strategies.booleans())
    def move(self, data: Any, up: bool) -> None:
        before = self.state()
        if entry := self.entry(data):
            with suppress(UserError):
                self.library.move(entry.id, up=up)
            self.new(before)

    @rule(data=strategies.data())
    def merge(self, data: Any) -> None:
        before = self.state()
        if entry := self.entry(data):
            with suppress(UserError):
                self.library.merge(entry.id)
            self.new(before)

    @rule(data=strategies.data())
    def split(self, data: Any) -> None:
        before = self.state()
        if entry := self.entry(data):
            with suppress(UserError):
                self.library.split(entry.id, len(entry.text) // 2)
            self.new(before)

    @rule(data=strategies.data(), hidden=strategies.booleans())
    def hide(self, data: Any, hidden: bool) -> None:
        before = self.state()
        if entry := self.entry(data):
            self.library.hide(entry.id, hidden)
            self.new(before)

    @rule(data=strategies.data())
    def go(self, data: Any) -> None:
        before = self.state()
        if nodes := self.library.tree(self.chat):
            node = data.draw(strategies.sampled_from(nodes))
            self.library.go_to(node.id, self.chat)
            self.new(before)

    @precondition(lambda self: self.undone < len(self.states) - 1)
    @rule()
    def undo(self) -> None:
        assert self.library.undo(self.chat)
        self.undone += 1

    @precondition(lambda self: self.undone)
    @rule()
    def redo(self) -> None:
        assert self.library.redo(self.chat)
        self.undone -= 1

    @invariant()
    def sound(self) -> None:
        if hasattr(self, "library"):
            expected = self.states[len(self.states) - 1 - self.undone]
            now = self.state()
            assert now[:3] == expected[:3]
            assert _active(now) == _active(expected)

    def teardown(self) -> None:
        if not hasattr(self, "library"):
            return
        last = self.states[-1]
        while self.library.redo(self.chat):
            pass
        assert _active(self.state()) == _active(last)
        while self.library.undo(self.chat):
            pass
        assert _active(self.state()) == _active(self.states[0])
        while self.library.redo(self.chat):
            pass
        assert self.state() == last
        nodes = {node.id for node in self.library.tree(self.chat)}
        nodes |= {entry.id for entry in self.library.bin(self.chat)}
        reachable = set()
        for node in nodes:
            for version in self.library.versions(node):
                reachable.add(version.text)
        reachable |= {entry.text for entry in self.library.bin(self.chat)}
        assert self.written <= reachable
        assert self.library.check() == []
        self.library.close()
        self.folder.cleanup()


def _active(state: State) -> object:
    """What the reader sees of a state: the path; what an undone act wrote stays beside it."""
    nodes: Any = state[3]
    return [node for node in nodes if node[3]], state[4], state[5]


TestActs = Acts.TestCase
TestActs.settings = settings(
    # `--hypothesis-profile thorough`: as many sequences as it says.
    max_examples=1_000 if settings.get_current_profile_name() == "thorough" else 60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
