"""A chat's tree as rows: each branch indented under the message after which it leaves.

    ● Mara  "Nobody has oiled that hinge."
    ⋮ 36 messages
    ● Tobiah  ◀ 1/2 ▶  "It's not breaking in."
    ├╴○ Tobiah  ◀ 2/2 ▶  "I have a key."  ⚑ with the key
    │ ○ Mara  "You never."
    ◉ Mara  "Then knock."

● is on the story as it stands, ◉ its end. Where nothing forks and nothing has a name, messages are
folded into one row.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from shoritui.story import Node
from shoritui.text import one_line
from shoritui.tui.widgets.row_list import Words

_DEEPEST = 12
"""Branches of branches are indented up to here."""
_FEWEST = 3
"""So many messages are folded; fewer take no more room as they are."""
_KINDS = {"note": "Author's note", "title": "Title", "description": "Enters", "lore": "Lore"}
_KINDS |= {"tags": "Tags", "scenario": "Scenario", "enter": "Enters", "leave": "Leaves"}


class TreeRow(NamedTuple):
    """A message, or a run of some that are folded."""

    nodes: tuple[Node, ...]
    depth: int
    begins: bool = False
    """Whether a branch begins here."""
    version: tuple[int, int] = (1, 1)
    is_head: bool = False


def tree_rows(
    nodes: Sequence[Node], words: str = "", unfolded: Collection[int] = ()
) -> list[TreeRow]:
    """Return the rows of a tree.

    Args:
        nodes: The tree, in the order of their ids.
        words: Only messages that begin with, or are named by, or spoken by these, are wanted.
        unfolded: The ids of the first messages of runs that are not to be folded.
    """
    counts = Counter(node.slot for node in nodes)
    versions: defaultdict[int, list[int]] = defaultdict(list)
    for node in nodes:
        if counts[node.slot] > 1:
            versions[node.slot].append(node.id)
    active = [node for node in nodes if node.active]
    parents = {node.parent for node in active}
    head = next((node.id for node in active if node.id not in parents), None)
    wanted = words.casefold()
    rows: list[TreeRow] = []
    run: list[Node] = []
    run_depth = 0
    for node, depth, begins, forks in _walk(nodes):
        if wanted and wanted not in _all_words(node):
            continue
        is_head = node.id == head
        folds = not (forks or begins or is_head or node.slot in versions or node.label or wanted)
        if run and not (folds and depth == run_depth):
            rows += _run(run, run_depth, unfolded)
            run = []
        if folds:
            run.append(node)
            run_depth = depth
        else:
            ids = versions.get(node.slot, [node.id])
            version = (ids.index(node.id) + 1, len(ids))
            rows.append(TreeRow((node,), depth, begins, version, is_head))
    return rows  # The last message of a tree is the end of a branch: no run is left.


def _run(run: list[Node], depth: int, unfolded: Collection[int]) -> list[TreeRow]:
    if len(run) < _FEWEST or run[0].id in unfolded:
        return [TreeRow((node,), depth) for node in run]
    return [TreeRow(tuple(run), depth)]


def _walk(nodes: Sequence[Node]) -> Iterator[tuple[Node, int, bool, bool]]:
    """Yield each node, its depth, whether a branch begins with it, whether several or none follow.

    After a node come the branches that leave there, then the one that goes on: the active one,
    else the newest.
    """
    known = {node.id for node in nodes}
    only: dict[int | None, Node] = {}  # most have one that follows
    several: dict[int | None, list[Node]] = {None: []}
    for node in nodes:
        parent = node.parent if node.parent in known else None
        if parent in several:
            several[parent].append(node)
        elif only.setdefault(parent, node) is not node:
            several[parent] = [only.pop(parent), node]
    waiting = _branches(several[None], 0)
    while waiting:
        node, depth, begins = waiting.pop()
        while (following := only.get(node.id)) is not None:
            yield node, depth, begins, False
            node, begins = following, False
        yield node, depth, begins, True
        waiting += _branches(several.get(node.id, ()), depth)


def _branches(children: Sequence[Node], depth: int) -> list[tuple[Node, int, bool]]:
    """Return what follows a node, the one that goes on first: it is to be taken last."""
    if not children:
        return []
    on = next((node for node in children if node.active), children[-1])
    branches = [(node, depth + 1, True) for node in reversed(children) if node is not on]
    return [(on, depth, False), *branches]


def _all_words(node: Node) -> str:
    return f"{node.label or ''} {node.speaker} {node.beginning}".casefold()


def words_of(row: TreeRow) -> Words:
    """Return what a row says."""
    depth = min(row.depth, _DEEPEST)
    guides = "│ " * (depth - row.begins) + "├╴" * row.begins
    node = row.nodes[0]
    ink = "" if node.active else "faint"
    if len(row.nodes) > 1:
        return [(guides, "rule"), (f"⋮ {len(row.nodes):,} messages", "faint")]
    mark = "◉" if row.is_head else "●" if node.active else "○"
    words = [(guides, "rule"), (f"{mark} ", "best" if node.active else "faint")]
    if node.label:
        words.append((f"⚑ {one_line(node.label)}  ", "bookmark"))
    name = one_line(node.speaker) or _KINDS.get(node.kind, "")
    words.append((name, "title" if node.active else "faint"))
    position, count = row.version
    if count > 1:
        words.append((f"  {position}/{count}", "version"))
    return [*words, (f"  {one_line(node.beginning)}", ink)]
