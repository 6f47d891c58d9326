"""Acts on a chat's tree: each changes where entries hang, never what they say.

    edit 2, what follows stays         1 ── 2  ── 3 ── 4          1 ── 2
    under the new version                                =>         ╰─ 2' ── 3 ── 4

    edit 2, what follows is left       1 ── 2  ── 3 ── 4          1 ── 2 ── 3 ── 4
    on the old branch                                    =>         ╰─ 2'

    delete 2 (it goes to the bin)      1 ── 2  ── 3 ── 4    =>    1 ── 3 ── 4

Every function works inside a transaction of the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from sqlite3 import Connection
from typing import Literal

import msgspec

from shoritui.errors import UserError
from shoritui.story import rows
from shoritui.story.acts import Act
from shoritui.story.database import Damaged, fetch
from shoritui.story.model import Draft, Entry, Made

_NEAR = 64


def next_on_path(db: Connection, chat_id: int, entry_id: int | None) -> int | None:
    """Return what follows an entry on the active path (or, of None, the path's first entry).

    Raises:
        UserError: The entry is not on the active path.
    """
    step, after = rows.read_head(db, chat_id), None
    for _ in range(_NEAR):
        if step == entry_id or step is None:
            break
        after = step
        [step] = rows.the_one(
            fetch(db, "SELECT parent FROM entries WHERE id = ?", step), "entry", step
        )
    else:  # Step by step it would take longer than to read the index whole.
        found = db.execute("SELECT id, parent FROM entries WHERE chat = ?", (chat_id,))
        for above in rows.way_up(dict(found.fetchall()), step):
            step = above
            if step == entry_id:
                break
            after = step
        else:
            step = None
    if step != entry_id:
        raise UserError("That message is not part of the story as it stands.")
    return after


def leaf(db: Connection, entry_id: int) -> int:
    """Return where the story went on from an entry: its descendant that was head last."""
    found: tuple[int] = db.execute(
        """
        WITH RECURSIVE below (step) AS (
            SELECT ?
            UNION  -- not ALL: a damaged library may hold circles
            SELECT id FROM entries JOIN below ON parent = step WHERE deleted IS NULL
        )
        SELECT id FROM entries JOIN below ON id = step ORDER BY visited DESC, id DESC LIMIT 1
        """,
        (entry_id,),
    ).fetchone()
    return found[0]


def add_version(
    db: Connection, act: Act, entry: Entry, draft: Draft, *, keep: bool, writer: str | None
) -> int:
    """Put another version of an entry into its place and return its id."""
    chat_id = rows.chat_of(db, entry.id)
    after = next_on_path(db, chat_id, entry.id)
    version = rows.insert_entry(db, chat_id, entry.parent, draft, writer=writer, slot=entry.slot)
    _put_in_place(act, version, after if keep else None)
    _mark_like(act, entry, version, keep=keep)
    return version


def choose_version(db: Connection, act: Act, entry: Entry, version: Entry, *, keep: bool) -> None:
    """Put another version of an entry into its place, the one of those that there are."""
    if version.slot != entry.slot:
        raise UserError("That is not a version of this message.")
    after = next_on_path(db, rows.chat_of(db, entry.id), entry.id)
    act.set("entries", version.id, "parent", entry.parent)
    if keep and after is not None:
        act.set("entries", after, "parent", version.id)
    else:
        act.set_head(leaf(db, version.id))


def insert(db: Connection, act: Act, chat_id: int, after: int | None, draft: Draft) -> int:
    """Put a new message after an entry of the active path, or first; return its id."""
    follower = next_on_path(db, chat_id, after)
    entry_id = rows.insert_entry(db, chat_id, after, draft)
    _put_in_place(act, entry_id, follower)
    return entry_id


def append_all(db: Connection, act: Act, chat_id: int, drafts: Sequence[Draft]) -> int:
    """Put new messages at the end of the active path; return the id of the last one."""
    head = rows.read_head(db, chat_id)
    for draft in drafts:
        head = rows.insert_entry(db, chat_id, head, draft)
    act.set_head(head)
    assert head is not None
    return head


def delete(db: Connection, act: Act, entry: Entry) -> None:
    """Take an entry out of the tree and put it into the bin; what follows it moves up."""
    chat_id = rows.chat_of(db, entry.id)
    for (child,) in db.execute("SELECT id FROM entries WHERE parent = ?", (entry.id,)).fetchall():
        act.set("entries", child, "parent", entry.parent)
    if rows.read_head(db, chat_id) == entry.id:
        act.set_head(entry.parent)
    act.set("entries", entry.id, "deleted", rows.now(db))


def restore(db: Connection, act: Act, entry: Entry) -> None:
    """Take an entry out of the bin: it follows what came before it, as a branch."""
    act.set("entries", entry.id, "deleted", None)
    act.set("entries", entry.id, "parent", _above_bin(db, entry))
    act.set_head(leaf(db, entry.id))


def _above_bin(db: Connection, entry: Entry) -> int | None:
    """Return what came before an entry and does not lie in the bin as well."""
    parents = {entry.id: entry.parent}
    step = entry.parent
    while step is not None and step not in parents:
        found = fetch(db, "SELECT parent, deleted FROM entries WHERE id = ?", step)
        parents[step], deleted = rows.the_one(found, "entry", step)
        if deleted is None:
            return step
        step = parents[step]
    if step is not None:
        raise Damaged(f"The stored entry {entry.id} is damaged: it follows itself.")
    return None


def move_up(db: Connection, act: Act, entry: Entry) -> None:
    """Let an entry of the active path change places with the one before it."""
    if entry.parent is None:
        raise UserError("It is the first message already.")
    chat_id = rows.chat_of(db, entry.id)
    after = next_on_path(db, chat_id, entry.id)
    before = rows.read_entry(db, entry.parent)
    act.set("entries", entry.id, "parent", before.parent)
    act.set("entries", before.id, "parent", entry.id)
    _put_in_place(act, before.id, after)


def move_down(db: Connection, act: Act, entry: Entry) -> None:
    """Let an entry of the active path change places with the one after it."""
    after = next_on_path(db, rows.chat_of(db, entry.id), entry.id)
    if after is None:
        raise UserError("It is the last message already.")
    move_up(db, act, rows.read_entry(db, after))


def merge(db: Connection, act: Act, entry: Entry, joint: str) -> int:
    """Let one message say what an entry and the one after it say; return its id.

    Both stay on a branch of their own.
    """
    chat_id = rows.chat_of(db, entry.id)
    after = next_on_path(db, chat_id, entry.id)
    if after is None:
        raise UserError("There is no message after it to merge it with.")
    second = rows.read_entry(db, after)
    if (second.kind, second.speaker) != (entry.kind, entry.speaker):
        raise UserError("Only two messages of the same speaker can be merged.")
    if second.details.heard != entry.details.heard:
        raise UserError("They were not said to the same people, so they cannot be merged.")
    follower = next_on_path(db, chat_id, after)
    both = replace(
        _draft(entry, "merged"), text=f"{entry.text}{joint}{second.text}", status=second.status
    )
    merged = rows.insert_entry(db, chat_id, entry.parent, both, slot=entry.slot)
    _put_in_place(act, merged, follower)
    _mark_like(act, entry, merged, keep=True)
    return merged


def split(db: Connection, act: Act, entry: Entry, at: int) -> tuple[int, int]:
    """Let two messages say what an entry says, the second from character `at` on; their ids."""
    first, second = entry.text[:at].rstrip(), entry.text[at:].lstrip()
    if not first or not second:
        raise UserError("Both parts need some text: split it between two words.")
    chat_id = rows.chat_of(db, entry.id)
    after = next_on_path(db, chat_id, entry.id)
    draft = _draft(entry, "split")
    one = rows.insert_entry(
        db,
        chat_id,
        entry.parent,
        replace(draft, text=first, status="complete"),
        slot=entry.slot,
    )
    two = rows.insert_entry(db, chat_id, one, replace(draft, text=second))
    _put_in_place(act, two, after)
    _mark_like(act, entry, two, keep=False)
    _mark_like(act, entry, one, keep=True)
    return one, two


def _put_in_place(act: Act, entry_id: int, follower: int | None) -> None:
    """Let a follower come after the entry, or the path end with it."""
    if follower is None:
        act.set_head(entry_id)
    else:
        act.set("entries", follower, "parent", entry_id)


def _mark_like(act: Act, entry: Entry, version: int, *, keep: bool) -> None:
    """Hide or pin what stands for such an entry; the bookmark goes along where the story does."""
    act.set("entries", version, "hidden", int(entry.hidden))
    act.set("entries", version, "pinned", int(entry.pinned))
    if keep and entry.label is not None:
        act.set("entries", entry.id, "label", None)
        act.set("entries", version, "label", entry.label)


def _draft(entry: Entry, how: Literal["merged", "split"]) -> Draft:
    """Return what an entry says as a draft; its tokens and hint are to be found anew."""
    return Draft(
        *(entry.kind, entry.speaker, entry.text, None, entry.status, 0),
        origin=entry.origin,
        details=msgspec.structs.replace(entry.details, made=Made(how, entry.id)),
    )
