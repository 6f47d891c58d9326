"""Read a lorebook of any format, and write lore as one without losing what it had before."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import count
from typing import Any, Final

import msgspec

from shoritui.cards import Card, Lore, check_card
from shoritui.errors import UserError
from shoritui.interop.cards.lore.form import Entry, Form
from shoritui.interop.cards.lore.world_info import BOOK
from shoritui.interop.cards.values import Values, text_of, unused, values_of
from shoritui.text import clean

_FIELDS: Final = tuple(field.name for field in fields(Lore))
_MARK: Final = "shoritui"
_SILENT: Final = {
    "name", "description", "extensions", "entries", "scan_depth", "scanDepth", "spec", "data",
    "originalData", "kind", "type", "ver", "_id", "userId", "lorebookVersion", "is_creation",
}  # fmt: skip
"""What a book has that says nothing of its lore, or is used."""
_ALIKE: Final[tuple[Callable[[Lore], Hashable], ...]] = (
    lambda piece: piece,
    lambda piece: (piece.name, piece.text),
    lambda piece: (piece.name, piece.keys),
    lambda piece: piece.text,
    lambda piece: piece.name,
)
"""What a piece is known again by, the surest first."""


@dataclass(frozen=True, slots=True)
class Row:
    """An entry of a book."""

    form: Form
    key: str | None
    entry: object
    piece: Lore | None
    """What it says, perhaps without a text; None if it is nothing at all."""

    @property
    def lore(self) -> Lore | None:
        """The piece of lore that it is."""
        return self.piece if self.piece is not None and self.piece.text else None


@dataclass(frozen=True, slots=True)
class Kept:
    """A book as another program wrote it."""

    form: Form
    found: object
    rows: tuple[Row, ...]

    @property
    def lore(self) -> tuple[Lore, ...]:
        """Its pieces of lore."""
        return tuple(row.lore for row in self.rows if row.lore is not None)

    @property
    def name(self) -> str:
        """What it is called; empty if it does not say."""
        return text_of(values_of(_inner(self.found, self.form)).get("name"))


def kept_of(found: object, form: Form) -> Kept:
    """Return a book with its entries."""
    book = values_of(_inner(found, form))
    rows = book.get(form.path[-1])
    pairs: Iterable[tuple[str | None, object]] = ()
    if isinstance(rows, dict):
        pairs = rows.items()
    elif isinstance(rows, list):
        pairs = ((None, row) for row in rows)
    made = (
        Row(form, key, entry, _piece(form, values_of(entry), number, book))
        for number, (key, entry) in enumerate(pairs, 1)
    )
    return Kept(form, found, tuple(made))


def left_in(kept: Kept) -> tuple[str, ...]:
    """Return the names of what a book has beside its lore, each once."""
    form = kept.form
    left = dict.fromkeys(unused(values_of(_inner(kept.found, form)), {*_SILENT, form.path[-1]}))
    for row in kept.rows:
        if row.lore is not None:
            left.update(dict.fromkeys(form.left(values_of(row.entry))))
    left.pop(_MARK, None)
    return tuple(left)


def written(lore: Iterable[Lore], form: Form, *kept: Kept, name: str = "") -> dict[str, Any]:
    """Return lore as a book of a format, with all that the books it came from had beside.

    Args:
        lore: The pieces.
        form: The format.
        kept: The books they came from, in any format. An entry whose piece is gone is left out.
        name: What a new book is called.
    """
    pieces = list(lore)
    rows = [row for book in kept for row in book.rows]
    taken = {text for row in rows if row.form.kind == form.kind for text in _ids(row)}
    free = (number for number in count() if str(number) not in taken)
    outer = _outer(form, kept, name)
    inner = _inner(outer, form)
    held = _Held(is_keyed=isinstance(inner.get(form.path[-1]), dict), free=free)
    for row, piece in _in_order(pieces, rows, form):
        if piece is None:
            held.add(row.key if row is not None else None, row.entry if row is not None else None)
            continue
        is_same = row is not None and row.form.kind == form.kind
        entry = _copied(row, form) if row is not None and is_same else form.blank(next(free))
        if row is not None and not is_same:
            _carry(form, entry, row)
        _fit(form, entry, piece, held.count + 1, inner)
        held.add(row.key if row is not None and is_same else None, entry, is_one=len(kept) < 2)
    inner[form.path[-1]] = held.entries
    if isinstance(old := outer.get("originalData"), dict) and pieces != [*kept[0].lore]:
        outer["originalData"] = written(pieces, BOOK, kept_of(old, BOOK))
    return outer


class _Held:
    """The entries of a book that is made."""

    def __init__(self, *, is_keyed: bool, free: Iterator[int]) -> None:
        self.entries: Any = {} if is_keyed else []
        self.count = 0
        self._free = free
        self._ids: set[object] = set()

    def add(self, key: str | None, entry: Any, *, is_one: bool = True) -> None:
        """Add one; with its key if it is free, and with a number of its own among several books."""
        self.count += 1
        own = next((name for name in ("uid", "id") if name in values_of(entry)), "")
        number = entry[own] if own and isinstance(entry[own], int | str) else None
        if not is_one and number in self._ids:
            number = entry[own] = next(self._free)
            key = None
        self._ids.add(number)
        if isinstance(self.entries, list):
            self.entries.append(entry)
            return
        if key is None:
            key = str(number)
        while key in self.entries or key == "None":
            number = next(self._free)
            key = str(number)
            if own:
                entry[own] = number
        self.entries[key] = entry


def _ids(row: Row) -> Iterator[str]:
    """Yield what an entry is known by, as a text."""
    values = values_of(row.entry)
    yield from (str(each) for each in (row.key, values.get("uid"), values.get("id")))


def _inner(found: object, form: Form) -> Any:
    """Return what holds the entries."""
    for step in form.path[:-1]:
        found = values_of(found).get(step)
    return found


def _wrapped(inner: dict[str, Any], form: Form) -> dict[str, Any]:
    """Return a book around what holds its entries."""
    for step in reversed(form.path[:-1]):
        inner = {step: inner}
    return inner


def _piece(form: Form, entry: Values, number: int, book: Values) -> Lore | None:
    """Return what an entry says; None if it is nothing."""
    return _restored(form.read(entry, number, book), _mark(form, entry)) if entry else None


def _outer(form: Form, kept: Sequence[Kept], name: str) -> dict[str, Any]:
    """Return the book that the entries go into, as far as one is known."""
    made, place = form.new(name), form.path[-1]
    old = kept[0] if len(kept) == 1 else None
    if old is None or old.form.kind != form.kind or not values_of(old.found):
        return made
    inner = {**values_of(_inner(old.found, old.form))}
    if old.form is not form or not isinstance(inner.get(place), dict | list):
        inner[place] = _inner(made, form)[place]
    if old.form is form:
        return {**values_of(old.found), **_wrapped(inner, form)}
    return {**made, **_wrapped({**_inner(made, form), **inner}, form)}


def _matched(pieces: Sequence[Lore], rows: Sequence[Row]) -> list[int | None]:
    """Return for each piece the place of the row that it came from."""
    places: list[int | None] = [None] * len(pieces)
    taken: set[int] = set()
    for alike in _ALIKE:
        known: defaultdict[Hashable, deque[int]] = defaultdict(deque)
        for at, row in enumerate(rows):
            if row.lore is not None and at not in taken:
                known[alike(row.lore)].append(at)
        for number, piece in enumerate(pieces):
            if places[number] is None and (found := known.get(alike(piece))):
                at = places[number] = found.popleft()
                taken.add(at)
    return places


def _in_order(
    pieces: Sequence[Lore], rows: Sequence[Row], form: Form
) -> Iterator[tuple[Row | None, Lore | None]]:
    """Yield each piece with its row, and between them the rows that never were a piece of lore."""
    blank = [at for at, row in enumerate(rows) if row.lore is None]
    rest = deque(
        at for at in blank if rows[at].piece is not None or rows[at].form.kind == form.kind
    )
    for piece, place in zip(pieces, _matched(pieces, rows), strict=True):
        while place is not None and rest and rest[0] < place:
            yield _blank(rows[rest.popleft()], form)
        yield (rows[place] if place is not None else None), piece
    for at in rest:
        yield _blank(rows[at], form)


def _blank(row: Row, form: Form) -> tuple[Row, Lore | None]:
    """Return a row as it is, or what it says if the format is of another kind."""
    return row, None if row.form.kind == form.kind else row.piece


def _copied(row: Row, form: Form) -> Entry:
    """Return an entry to be changed."""
    entry = dict(values_of(row.entry))
    if isinstance(extensions := entry.get(form.extensions), dict):
        entry[form.extensions] = dict(extensions)
    return entry


def _carry(form: Form, entry: Entry, row: Row) -> None:
    """Put into a new entry what it had beside in its old format, and in those before."""
    old = _copied(row, row.form)
    if form.renamed:
        _merge(form, entry, form.renamed(old, row.form.kind))
    kept = {**values_of(_mark(row.form, old).get("kept"))}
    if own := values_of(kept.pop(form.kind, None)):
        _merge(form, entry, own)
    used = {*row.form.used, _MARK, "uid"}
    rest = {key: value for key, value in old.items() if key not in {*used, row.form.extensions}}
    extensions = old.get(row.form.extensions)
    if isinstance(extensions, dict):
        extensions = {key: value for key, value in extensions.items() if key not in used}
    if extensions:
        rest[row.form.extensions] = extensions
    if rest:
        kept[row.form.kind] = rest
    _set_mark(form, entry, {"kept": kept} if kept else {})


def _merge(form: Form, entry: Entry, more: Values) -> None:
    old, new = entry.get(form.extensions), more.get(form.extensions)
    entry.update(more)
    if isinstance(old, dict) and isinstance(new, dict):
        entry[form.extensions] = {**old, **new}


def _fit(form: Form, entry: Entry, piece: Lore, number: int, book: Values) -> None:
    """Make an entry say what a piece does, and leave alone what says so already."""
    if _piece(form, entry, number, book) == piece:
        return
    mark = {key: value for key, value in _mark(form, entry).items() if key != "fields"}
    _set_mark(form, entry, mark)
    found = form.read(entry, number, book)
    for _ in range(2):
        for field in _FIELDS:
            if field in form.write and getattr(found, field) != getattr(piece, field):
                form.write[field](entry, piece)
        found = form.read(entry, number, book)
    # What has no field there, or comes back as something else.
    was, now = _plain(found), _plain(piece)
    if other := {field: [was[field], now[field]] for field in _FIELDS if was[field] != now[field]}:
        _set_mark(form, entry, {**mark, "fields": other})


def _mark(form: Form, entry: Values) -> Values:
    """Return what this program put into an entry."""
    return values_of(values_of(entry.get(form.extensions)).get(_MARK, entry.get(_MARK)))


def _set_mark(form: Form, entry: Entry, mark: Values) -> None:
    extensions = entry.get(form.extensions)
    holder = extensions if isinstance(extensions, dict) else entry
    if not mark:
        holder.pop(_MARK, None)
    elif extensions is None:
        entry[form.extensions] = {_MARK: mark}
    else:
        holder[_MARK] = mark


def _restored(piece: Lore, mark: Values) -> Lore:
    """Return a piece with what its entry could not say, where it still says the rest."""
    was = _plain(piece)
    told = {
        field: _cleaned(pair[1])
        for field, pair in values_of(mark.get("fields")).items()
        if field in was and isinstance(pair, list) and len(pair) == 2 and pair[0] == was[field]
    }
    if not told:
        return piece
    try:
        made = msgspec.convert({**was, **told}, Lore)
        # An entry without a text is no lore, but what it says is kept.
        card = Card(lore=(replace(made, text=made.text or "none"),))
        checked = check_card(card, cast=False).lore[0]
        return checked if made.text else replace(checked, text="")
    except (UserError, msgspec.ValidationError, RecursionError):
        return piece


def _plain(piece: Lore) -> dict[str, Any]:
    """Return the fields of a piece as JSON has them."""
    values = ((field, getattr(piece, field)) for field in _FIELDS)
    return {key: [*value] if isinstance(value, tuple) else value for key, value in values}


def _cleaned(value: object) -> object:
    if isinstance(value, list):
        return [clean(each) if isinstance(each, str) else each for each in value]
    return clean(value) if isinstance(value, str) else value
