"""What the tree of a chat tells of its reader's taste: which reply stayed, and which were left.

    Wren: ... ─┬─ Mara: "Aye."                                      left
               ╰─ Mara: "Aye. And?"  ── Wren: ... ── Mara: ...      kept

The guide's page on training data says what counts, and describes the file, field by field.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias

from shoritui.blockml import Block, Length, Part, message_header, render, render_all
from shoritui.story import (
    Chat,
    Entry,
    Form,
    FormSettings,
    WholeChat,
    asked,
    fire,
    header_parts,
    outlasts,
    read_by,
    story_parts,
)
from shoritui.text import as_json, clean, command, is_visible, one_line

Because: TypeAlias = Literal["kept", "edited"]
_MUCH: Final = 2
"""After so many messages a branch counts as gone on with."""
_FARTHEST: Final = 32_000
"""Characters of the story before a reply of which nobody knows how much the model read."""
_FRAME: Final = 16
"""Characters of a message beside its text, at least."""


@dataclass(frozen=True, slots=True)
class Preference:
    """One reply that was preferred to others, all of them written after the same context."""

    context: str
    chosen: Entry
    rejected: tuple[Entry, ...]
    """Oldest first."""
    because: Because
    hint: Length | None
    """The length hint that all of them were asked for."""
    is_exact: bool
    """Whether the context is to the letter what was read; else it is what would be read today."""

    def line(self, chat: Chat) -> str:
        """Return it as a line of the file."""
        row = {
            "context": self.context,
            "chosen": self._block(self.chosen),
            "rejected": [self._block(each) for each in self.rejected],
            "because": self.because,
            "chat": f"{chat.id} ({one_line(chat.name)})",
            "entry": self.chosen.id,
            "when": datetime.fromtimestamp(self.chosen.created).isoformat(" ", "minutes"),
        }
        return as_json(row) + "\n"

    def _block(self, entry: Entry) -> str:
        return render(Block("message", entry.text, entry.speaker, self.hint))


def preferences_of(whole: WholeChat, settings: FormSettings) -> list[Preference]:
    """Return what was preferred in a chat, in the order in which it was written.

    The settings say how what the model reads is formed.
    """
    tree, form = _Tree(whole), Form.of_chat(settings, whole.chat)
    found = [*_kept(tree, form), *_edited(tree, form)]
    return sorted(found, key=lambda each: each.chosen.id)


def tally(found: Sequence[Preference]) -> str:
    """Return how many there are of each kind, and how many replies were left, in words."""
    counts = Counter(each.because for each in found)
    words = [f"{counts[because]:,} {because}" for because in ("kept", "edited") if counts[because]]
    left = sum(len(each.rejected) for each in found)
    return f"{' and '.join(words)}, over {left:,} left"


def taste(whole: WholeChat, settings: FormSettings) -> str:
    """Return in sentences what a chat tells of taste, and how that is taken out."""
    found = preferences_of(whole, settings)
    if not found:
        return "No reply of this story was kept over another one, or edited."
    export = command("chats", "export", "--preferences", whole.chat.id)
    return f"In this story: {tally(found)}. `{export}` writes them, to train on."


class _Tree:
    """A chat's entries, and what became of each."""

    def __init__(self, whole: WholeChat) -> None:
        self.chat = chat = whole.chat
        self._path = {entry.id for entry in whole.path()}
        self._users = {chat.user, *(each.name for each in chat.scene.characters if each.user)}
        self._versions: dict[int, list[int]] = defaultdict(list)
        self._made: dict[int, list[Entry]] = defaultdict(list)
        every = {entry.id: entry for entry in whole.entries}
        below: dict[int | None, list[int]] = defaultdict(list)
        for entry in whole.entries:
            below[entry.parent].append(entry.id)
        order = [*below[None]]
        for entry_id in order:
            order += below[entry_id]
        # What a damaged library has in a circle follows no beginning.
        self.entries = {entry_id: every[entry_id] for entry_id in sorted(order)}
        for entry in self.entries.values():
            self._versions[entry.slot].append(entry.id)
            if entry.details.made is not None:
                self._made[entry.details.made.of].append(entry)
        self._depth: dict[int, int] = {}
        """How many entries are above one; what follows counts the entry itself."""
        self._newest: dict[int, int] = {}
        self._speaks: dict[int, bool] = {}
        self._lasting: dict[int, int | None] = {}
        """The nearest entry that is read however old it is."""
        for entry_id in order:
            entry = self.entries[entry_id]
            above = entry.parent
            self._depth[entry_id] = 0 if above is None else self._depth[above] + 1
            self._newest[entry_id] = max(entry_id, 0 if above is None else self._newest[above])
            speaks = entry.kind == "message"
            self._speaks[entry_id] = speaks or (above is not None and self._speaks[above])
            lasting = None if above is None else self._lasting[above]
            self._lasting[entry_id] = entry_id if outlasts(entry) else lasting
        self._originals: dict[int, Entry | None] = {}
        self._told: dict[int, int] = {}
        """How many messages follow an entry, on the branch where most do; `_MUCH` at most."""
        for entry_id in reversed(order):
            counts = (
                self._told[each] + (self.entries[each].kind == "message")
                for each in below[entry_id]
            )
            self._told[entry_id] = min(_MUCH, max(counts, default=0))

    def is_models(self, entry: Entry) -> bool:
        """Whether a model wrote it as a message; who nobody recorded is told by the name."""
        by = entry.origin.by
        is_models = by == "model" or (by in ("", "import") and entry.speaker not in self._users)
        return is_models and entry.kind == "message" and is_visible(entry.text)

    def original(self, entry: Entry) -> Entry | None:
        """Return the text that an edit, or an edit's edit, began with; None if that is not known.

        A text that is no edit is its own.
        """
        here: Entry | None = entry
        way: list[int] = []
        while here is not None and here.id not in self._originals:
            made = here.details.made
            self._originals[here.id] = here if made is None else None
            way.append(here.id)
            if made is not None:
                here = self.entries.get(made.of) if made.how == "edited" else None
        found = None if here is None else self._originals[here.id]
        self._originals.update(dict.fromkeys(way, found))
        return found

    def family(self, entry: Entry, *, with_edits: bool = True) -> list[Entry]:
        """Return a version, and all that was made of it."""
        found, todo = {entry.id}, [entry]
        for each in todo:
            for other in self._made[each.id]:
                made = other.details.made
                is_edit = made is not None and made.how == "edited"
                if other.id not in found and (with_edits or not is_edit):
                    found.add(other.id)
                    todo.append(other)
        return todo

    def told_after(self, entries: Collection[Entry]) -> int:
        """Return how many messages follow one of these, `_MUCH` at most."""
        return max(self._told.get(entry.id, 0) for entry in entries)

    def has_stayed(self, entries: Collection[Entry]) -> bool:
        """Whether one of these stands, or was gone on with where a branch was left later."""
        return self.stands(entries) or self.told_after(entries) == _MUCH

    def stands(self, entries: Collection[Entry]) -> bool:
        """Whether one of these is part of the story as it stands."""
        return any(entry.id in self._path for entry in entries)

    def before(self, entry: Entry, left: int | None) -> _Before:
        """Return what came before an entry when it was written.

        So many of the entries had `left` the context; None is nobody knows how many.
        """
        above = entry.parent
        if above is None:
            return _Before((), (), 0, True)
        if self._newest[above] > entry.id:
            return self._before_changes(entry, left)
        count, room = self._depth[above] + 1, _FARTHEST
        recent: list[Entry] = []
        while above is not None and (left is None or len(recent) < count - left):
            here = self.entries[above]
            room -= len(here.text) + _FRAME
            if left is None and room < 0:
                break
            recent.append(here)
            above = here.parent
        lasting: list[Entry] = []
        step = None if above is None else self._lasting[above]
        while step is not None:
            here = self.entries[step]
            lasting.append(here)
            step = None if here.parent is None else self._lasting[here.parent]
        return _Before(tuple(lasting[::-1]), tuple(recent[::-1]), count - len(recent), True)

    def _before_changes(self, entry: Entry, left: int | None) -> _Before:
        """Return the same where the story above an entry was changed later.

        What was put in later was not there. Of a message that has another version now, it was most
        likely the newest one of then.
        """
        path: list[Entry] = []
        is_sure, step = True, entry.parent
        while step is not None:
            above = self.entries[step]
            step = above.parent
            if above.id > entry.id:
                older = [each for each in self._versions[above.slot] if each < entry.id]
                if not older:
                    continue
                above, is_sure = self.entries[max(older)], False
            path.append(above)
        path.reverse()
        left = 0 if left is None else left
        return _Before(tuple(filter(outlasts, path[:left])), tuple(path[left:]), left, is_sure)

    def is_answer(self, entry: Entry) -> bool:
        """Whether it is sure what came before an entry, and that somebody spoke there."""
        above = entry.parent
        return above is not None and self._newest[above] < entry.id and self._speaks[above]


@dataclass(frozen=True, slots=True)
class _Before:
    """What was there when an entry was written."""

    lasting: tuple[Entry, ...]
    """Of what had left the context, what was read all the same."""
    recent: tuple[Entry, ...]
    left: int
    """How many entries had left the context."""
    is_sure: bool


def _kept(tree: _Tree, form: Form) -> Iterator[Preference]:
    """Yield each reply that the story went on from, of several to the same."""
    for versions in _turns(tree):
        families = {each.id: tree.family(each) for each in versions}
        told = {each: tree.told_after(family) for each, family in families.items()}
        most = max(told.values())
        left = [
            each
            for each in versions
            if told[each.id] < most and not tree.stands(families[each.id]) and _is_left(each)
        ]
        for chosen in versions:
            has_most = told[chosen.id] == most and chosen.status == "complete"
            if not (has_most and tree.has_stayed(families[chosen.id])):
                continue
            if rejected := _others(chosen, left):
                yield from _preference(tree, form, chosen, rejected, versions, "kept")


def _edited(tree: _Tree, form: Form) -> Iterator[Preference]:
    """Yield each edit of a model's reply that stayed."""
    for edit in tree.entries.values():
        reply = _reply_of(tree, edit)
        if reply is None or not (_is_left(reply) and edit.status == "complete"):
            continue
        family = tree.family(edit, with_edits=False)
        told = tree.told_after(family)
        has_stayed = tree.has_stayed(family) and not edit.hidden and is_visible(edit.text)
        is_left = tree.told_after([reply]) < max(1, told) and not tree.stands([reply])
        if has_stayed and is_left and (rejected := _others(edit, [reply])):
            yield from _preference(tree, form, edit, rejected, [reply], "edited")


def _reply_of(tree: _Tree, edit: Entry) -> Entry | None:
    """Return what a model wrote of which an entry is an edit, or an edit's edit."""
    first = tree.original(edit)
    is_reply = first is not None and first is not edit and tree.is_models(first)
    return first if is_reply else None


def _turns(tree: _Tree) -> Iterator[list[Entry]]:
    """Yield the replies to the same: they were written from one document, where that is known.

    Else they follow the same entry, which was so when they were written, and no two are alike to
    the end of one: an older library does not tell a reply from one that went on.
    """
    turns: dict[object, list[Entry]] = defaultdict(list)
    for entry in tree.entries.values():
        if not tree.is_models(entry) or entry.hidden or entry.details.made is not None:
            continue
        given = entry.origin.asked
        turns[given.document if given else (entry.parent, entry.speaker)].append(entry)
    for key, versions in turns.items():
        if isinstance(key, tuple) and len(versions) > 1:
            versions = list(filter(tree.is_answer, versions))
        if len(versions) > 1:
            yield versions


def _is_left(entry: Entry) -> bool:
    """Whether a reply can have been left: it was read to its end, and nobody marked it."""
    return entry.status == "complete" and not (entry.hidden or entry.pinned or entry.label)


def _others(chosen: Entry, left: Sequence[Entry]) -> tuple[Entry, ...]:
    """Return what is another text than the one that was chosen, each text once."""
    own = clean(chosen.text).strip()
    texts = {clean(each.text).strip(): each for each in reversed(left)}
    texts.pop(own, None)
    if chosen.origin.asked is None and chosen.details.made is None:
        texts = {
            text: each
            for text, each in texts.items()
            if not (text.startswith(own) or own.startswith(text))
        }
    return tuple(sorted(texts.values(), key=lambda each: each.id))


def _preference(
    tree: _Tree,
    form: Form,
    chosen: Entry,
    rejected: tuple[Entry, ...],
    written: Sequence[Entry],
    because: Because,
) -> Iterator[Preference]:
    """Yield the preference if it is known what came before these that were `written` there."""
    given = written[0].origin.asked
    hint = None if given is None else given.hint
    header = message_header(chosen.speaker, hint)
    known: str | None = None
    for entry in written:
        before = tree.before(entry, None if given is None else given.left)
        context = render_all(_parts(tree.chat, before, chosen.speaker, form))
        if given is not None and asked((context, header), hint, before.left) == given:
            yield Preference(context, chosen, rejected, because, hint, True)
            return
        if before.is_sure and known is None:
            known = context
        if given is None:
            break  # of the others it is the same
    if known is not None:
        yield Preference(known, chosen, rejected, because, hint, False)


def _parts(chat: Chat, before: _Before, reader: str, form: Form) -> Iterator[Part]:
    """Yield what one reads who writes now."""
    read = read_by([*before.lasting, *before.recent], reader, talk=form.talk())
    ids = {entry.id for entry in before.lasting}
    gone = [entry for entry in read if entry.id in ids]
    told = [entry for entry in read if entry.id not in ids]
    firing = fire(chat.scene.lore, told, passed=before.left)
    for _, part in header_parts(chat.scene, chat.user, form, gone):
        yield part
    for group in story_parts(chat.scene, told, form, firing, gone):
        for _, part in group:
            yield part
