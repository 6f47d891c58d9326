"""The tree of branches: what its rows say, and how little of a big one is drawn."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import App
from textual.events import Key

from shoritui.folders import bundled_dir
from shoritui.story import Node
from shoritui.tui.chat.tree_rows import tree_rows, words_of
from shoritui.tui.chat.tree_screen import TreeScreen
from shoritui.tui.themes import find_themes
from shoritui.tui.widgets.row_list import Words
from tests.tui.conftest import screen_text, until


def node(
    number: int,
    parent: int | None,
    *,
    slot: int | None = None,
    active: bool = True,
    label: str | None = None,
) -> Node:
    words = f"Words {number}"
    return Node(number, parent, slot or number, "message", "Mara", words, label, active)


FORKED = [
    *(node(number, number - 1 or None) for number in range(1, 9)),
    node(9, 5, slot=6, active=False, label="with the key"),
    node(10, 9, active=False),
]


def texts(nodes: Sequence[Node], words: str = "", unfolded: Sequence[int] = ()) -> list[str]:
    rows = tree_rows(nodes, words, unfolded)
    return ["".join(text for text, _ in words_of(row)) for row in rows]


def test_a_branch_is_indented_under_the_message_after_which_it_leaves() -> None:
    assert texts(FORKED) == [
        "⋮ 4 messages",
        "● Mara  Words 5",
        "├╴○ ⚑ with the key  Mara  2/2  Words 9",
        "│ ○ Mara  Words 10",
        "● Mara  1/2  Words 6",
        "● Mara  Words 7",
        "◉ Mara  Words 8",
    ]
    assert texts(FORKED, unfolded=[1])[:2] == ["● Mara  Words 1", "● Mara  Words 2"]
    assert texts(FORKED, "WITH the") == ["├╴○ ⚑ with the key  Mara  2/2  Words 9"]
    assert texts([]) == []


def test_nothing_a_terminal_would_obey_is_drawn() -> None:
    hostile = "\x1b[2J\x07\u202e"
    [text] = texts([Node(1, None, 1, "message", hostile, hostile, hostile, True)])
    assert text.isprintable()


class Forest(App[None]):
    """The tree alone."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        super().__init__()
        for theme in find_themes([bundled_dir("themes")])[0].values():
            self.register_theme(theme)
        self.theme = "shori-dark"
        self.nodes = list(nodes)
        self.taken: list[int | None] = []

    def open_tree(self) -> TreeScreen:
        async def name(entry_id: int, label: str | None) -> Sequence[Node]:
            self.nodes = [
                node(each.id, each.parent, slot=each.slot, active=each.active, label=label)
                if each.id == entry_id
                else each
                for each in self.nodes
            ]
            return self.nodes

        screen = TreeScreen(self.nodes, name)
        self.push_screen(screen, self.taken.append)
        return screen


async def test_a_message_is_found_named_and_gone_to() -> None:
    app = Forest(FORKED)
    async with app.run_test(size=(80, 20)) as pilot:
        screen = app.open_tree()
        await pilot.pause()
        head = screen.highlighted
        assert head is not None and head.is_head
        await pilot.press(*"words 7", "f2")
        await until(pilot, lambda: app.screen is not screen)
        await pilot.press(*"later", "enter")
        await until(pilot, lambda: "⚑ later" in screen_text(app))
        await pilot.press("escape")
        await until(pilot, lambda: "⋮ 4 messages" in screen_text(app))
        await pilot.press("ctrl+home", "enter")
        await until(pilot, lambda: "Words 1" in screen_text(app))
        assert app.taken == []
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.taken == [2])


async def test_enter_takes_the_row_of_the_letters_typed_before_it() -> None:
    app = Forest(FORKED)
    async with app.run_test(size=(80, 20)) as pilot:
        screen = app.open_tree()
        await until(pilot, lambda: app.focused is screen.line)
        for key, letter in (*(("", each) for each in "Words 10"), ("enter", None)):
            app.post_message(Key(key or letter or "", letter))  # at once, nothing drawn between
        await until(pilot, lambda: app.taken == [10])


async def test_of_a_big_tree_only_what_is_seen_is_drawn() -> None:
    nodes = [node(number, number - 1 or None) for number in range(1, 5001)]
    nodes += [
        node(number, number - 5000, slot=number - 4999, active=False)
        for number in range(5001, 10001)
    ]
    app = Forest(nodes)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = app.open_tree()
        drawn, words = set[int](), screen.view._draw

        def noted(index: int) -> Words:
            drawn.add(index)
            return words(index)

        screen.view._draw = noted
        await until(pilot, lambda: "Words 5000" in screen_text(app))
        assert len(screen.rows) >= 10000 - 1
        screen.action_move(-7000)
        await until(pilot, lambda: "Words 5000" not in screen_text(app))
        assert 40 <= len(drawn) <= 4 * 40
