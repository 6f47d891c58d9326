"""Which lore fires where: read from the messages alone, so that it comes out the same each time.

    message  message  lore (its key came up)  message     place = "story": put once, and it stays
    lore  message  message                                place = "top": while it is in force
    message  lore  message  message                       place = "depth": the same, near the end

A key that is a pattern, `/w[oa]lf/i`, is searched by the package `regex`, which can be told to give
up: one that takes too long is not tried again.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Final, Literal, TypeAlias
from zlib import crc32

from shoritui.cards import Lore, Pattern, decorated, key_pattern
from shoritui.names import Names, fold
from shoritui.story.model import Entry

PATTERN_SECONDS: Final = 0.02
"""How long one pattern may search one text."""
_SLOW_SECONDS: Final = 0.08
"""How long all slow patterns of a book may take; then the next ones get a tenth of that time."""
_KEPT_TEXTS: Final = 4096
_KEPT_BOOKS: Final = 4

State: TypeAlias = Literal["always", "fired", "waits", "off"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a piece of lore is in the prompt, or why it is not."""

    lore: Lore
    state: State
    rule: str
    """The rule that decided, as words for the user."""
    key: str = ""
    """The key that came up."""
    entry: Entry | None = None
    """The message in which it did."""
    woken_by: str = ""
    """The lore in whose text it did, if it was none."""


@dataclass(slots=True)
class Firing:
    """What fires in a run of messages."""

    before: list[list[Lore]]
    """The lore placed before each of the messages."""
    after: list[list[Lore]]
    """The lore placed after each of them."""
    called: list[Lore]
    """The pieces whose keys came up, whether they fired or not."""
    _verdict: Callable[[int], Verdict]

    def verdict(self, number: int) -> Verdict:
        """Return why the piece of lore at this place is there, or why it is not."""
        return self._verdict(number)


class _Hit:
    """A key that stands in a text."""

    __slots__ = ("is_secondary", "key", "number")

    def __init__(self, number: int, key: str, is_secondary: bool) -> None:
        self.number = number
        self.key = key
        self.is_secondary = is_secondary


class Lorebook:
    """Lore whose keys are found in texts; each text is searched once."""

    def __init__(self, lore: Sequence[Lore]) -> None:
        self.written = lore
        self.lore: list[Lore] = []
        """The same pieces as their decorators have them."""
        self.said: dict[int, str] = {}
        """What must be said of a piece's decorators."""
        for number, (piece, said) in enumerate(map(decorated, lore)):
            self.lore.append(piece)
            if said:
                self.said[number] = "; ".join(said)
        self.always = sorted(
            (piece for piece in self.lore if piece.enabled and not piece.keys),
            key=lambda piece: -piece.order,
        )
        """What has no keys, in the order of the prompt."""
        self.unusable: dict[str, str] = {}
        """Patterns that are not tried, or not any more, and why."""
        self._spent = 0.0
        plain: dict[bool, list[_Hit]] = {False: [], True: []}
        self._patterns: list[tuple[_Hit, Pattern]] = []
        for number, piece in enumerate(self.lore):
            if not piece.enabled:
                continue
            keys = [(key, False) for key in piece.keys]
            for key, is_secondary in [*keys, *((key, True) for key in piece.secondary_keys)]:
                hit = _Hit(number, key, is_secondary)
                try:
                    pattern = key_pattern(key)
                except ValueError as error:
                    self.unusable[key] = f"its key {key} cannot be used: {error}"
                    continue
                if pattern is not None:
                    self._patterns.append((hit, pattern))
                else:
                    plain[piece.case].append(hit)
        self._plain = [
            (Names([hit.key for hit in hits], stars=True, case=case), hits)
            for case, hits in plain.items()
            if hits
        ]
        self._known: OrderedDict[str, list[_Hit]] = OrderedDict()

    def hits(self, text: str) -> list[_Hit]:
        """Return the keys that stand in a text, each once."""
        known = self._known.get(text)
        if known is None:
            known = self._known[text] = self._search(text)
            if len(self._known) > _KEPT_TEXTS:
                self._known.popitem(last=False)
        return known

    def _search(self, text: str) -> list[_Hit]:
        found = [
            hits[place]
            for names, hits in self._plain
            for place in dict.fromkeys(each.name for each in names.find(text))
        ]
        found += [hit for hit, pattern in self._patterns if self._matches(hit.key, pattern, text)]
        return found

    def _matches(self, key: str, pattern: Pattern, text: str) -> bool:
        if key in self.unusable:
            return False
        allowed = PATTERN_SECONDS / (1 if self._spent < _SLOW_SECONDS else 10)
        began = time.monotonic()
        try:
            return pattern.search(text, timeout=allowed) is not None
        except TimeoutError:
            self._spent += time.monotonic() - began
            self.unusable[key] = (
                f"its pattern {key} takes more than {1000 * allowed:.0f} ms to search"
            )
            return False


_books: OrderedDict[int, Lorebook] = OrderedDict()
_books_lock = Lock()


def lorebook(lore: Sequence[Lore]) -> Lorebook:
    """Return the book of these very pieces; it is made once, as long as they stay the same.

    Ten thousand pieces take some tenths of a second: whoever must not wait asks `has_lorebook`, and
    calls this in a thread first.
    """
    book = _books.get(id(lore))  # The book holds its lore, so no other can have its id.
    if book is None:
        book = Lorebook(lore)
        with _books_lock:
            _books[id(lore)] = book
            if len(_books) > _KEPT_BOOKS:
                _books.popitem(last=False)
    return book


def has_lorebook(lore: Sequence[Lore]) -> bool:
    """Return whether the book of these pieces is made already."""
    return id(lore) in _books


def fire(
    lore: Sequence[Lore],
    entries: Sequence[Entry],
    *,
    passed: int = 0,
    budget: int | None = None,
    cost: Callable[[Lore], int] = lambda piece: 0,
) -> Firing:
    """Return which lore fires where in these entries.

    Args:
        lore: The scene's lore.
        entries: The entries that are read, oldest first; what is said out of character wakes none.
        passed: The messages of the story before them, for `delay`.
        budget: The most tokens that lore with keys may take; None for any number.
        cost: The tokens of a piece of lore.
    """
    return _Run(lorebook(lore), entries, passed, budget, cost).firing()


@dataclass(slots=True)
class _Call:
    """A key that came up: where, and in which text."""

    at: int
    key: str
    entry: Entry
    woken_by: str = ""


@dataclass
class _Run:
    book: Lorebook
    entries: Sequence[Entry]
    passed: int
    budget: int | None
    cost: Callable[[Lore], int]
    calls: dict[int, _Call] = field(default_factory=dict)
    """The last time that a key of a piece came up, by the piece's number."""
    seconds: dict[tuple[int, str], int] = field(default_factory=dict)
    """Where each secondary key came up last."""
    placed_at: dict[int, int] = field(default_factory=dict)
    until: dict[int, int] = field(default_factory=dict)
    """The last message at which a piece at the top or at a depth is in force."""
    fired: dict[int, Verdict] = field(default_factory=dict)
    waits: dict[int, Verdict] = field(default_factory=dict)
    spent: int = 0

    def firing(self) -> Firing:
        before: list[list[Lore]] = [[] for _ in self.entries]
        after: list[list[Lore]] = [[] for _ in self.entries]
        lore, told = self.book.lore, -1
        open_: dict[int, None] = {}
        places: list[int] = []
        for place, entry in enumerate(self.entries):
            if entry.kind == "ooc":
                continue
            told += 1
            places.append(place)
            called = self._called(entry.text, entry, told)
            todo = list(dict.fromkeys([*called, *open_]))
            while todo:
                fired = self._choose(todo, entry, told)
                after[place] += [lore[each] for each in fired if lore[each].place == "story"]
                waking = [each for each in fired if lore[each].wakes]
                todo = [
                    number
                    for each in waking
                    for number in self._called(lore[each].text, entry, told, lore[each].name)
                ]
            calls = self.calls
            open_ = {
                number: None
                for number in dict.fromkeys([*open_, *called])
                if told - calls[number].at + 1 < lore[number].scan_depth
                if number not in self.fired or lore[number].cooldown
            }
        in_force = [number for number, until in self.until.items() if until >= told >= 0]
        for number in sorted(in_force, key=self._rank):
            piece = lore[number]
            if self._pays(number):
                deep = 0 if piece.place == "top" else max(0, len(places) - piece.depth)
                before[places[deep]].append(piece)
        for number, verdict in list(self.fired.items()):
            if lore[number].place != "story" and number not in in_force:
                rule = "it was in force until its keys had not come up for long enough"
                self._wait(number, rule, verdict)
                del self.fired[number]
        called_pieces = [lore[number] for number in {**self.fired, **self.waits}]
        return Firing(before, after, called_pieces, self.verdict)

    def _called(self, text: str, entry: Entry, told: int, woken_by: str = "") -> list[int]:
        """Note the keys that stand in a text; return the pieces they may wake."""
        called: list[int] = []
        for hit in self.book.hits(text):
            piece = self.book.lore[hit.number]
            if hit.is_secondary:
                if not woken_by:
                    self.seconds[hit.number, hit.key] = told
                continue
            call = _Call(told, hit.key, entry, woken_by)
            if woken_by and (not piece.woken or piece.name == woken_by):
                continue
            if piece.characters and fold(entry.speaker) not in map(fold, piece.characters):
                if hit.number not in self.fired:
                    names = ", ".join(piece.characters)
                    self._wait(hit.number, f"only a message of {names} brings it up", call)
                continue
            if not woken_by or hit.number not in self.fired:
                self.calls[hit.number] = call
                called.append(hit.number)
        return list(dict.fromkeys(called))

    def _choose(self, numbers: Iterable[int], entry: Entry, told: int) -> list[int]:
        """Return which of the pieces that are called fire at this message, best first."""
        taken: dict[str, str] = {}
        chosen = []
        for number in sorted(numbers, key=lambda each: (*self._rank(each), self._dice(each))):
            piece, call = self.book.lore[number], self.calls[number]
            if self._is_placed(number, told):
                continue
            rule = self._obstacle(number, told)
            if not rule and piece.group and piece.group in taken:
                rule = f"{taken[piece.group]} of its group fired instead"
            if not rule and piece.place == "story" and not self._pays(number):
                rule = self._too_dear(number)
            if rule:
                self._wait(number, rule, call)
                continue
            if piece.group:
                taken[piece.group] = piece.name
            chosen.append(number)
            self.placed_at[number] = told
            if piece.place != "story":
                self.until[number] = max(call.at + piece.scan_depth - 1, told + piece.sticky)
            self.fired[number] = Verdict(
                piece, "fired", _fired_rule(piece, call), call.key, call.entry, call.woken_by
            )
        return chosen

    def _is_placed(self, number: int, told: int) -> bool:
        """Return whether a piece is in the prompt already; one in force stays so for longer."""
        piece = self.book.lore[number]
        if piece.place == "story":
            return number in self.placed_at and not piece.cooldown
        if self.until.get(number, -1) < told:
            return False
        self.until[number] = max(
            self.until[number], self.calls[number].at + piece.scan_depth - 1, told + piece.sticky
        )
        return True

    def _obstacle(self, number: int, told: int) -> str:
        """Return the rule that keeps a piece whose key came up from firing; empty if none does."""
        piece = self.book.lore[number]
        messages = self.passed + told + 1
        if messages <= piece.delay:
            return f"it waits until {piece.delay} messages have been told"
        if messages % piece.every:
            return f"it comes up only at every {piece.every} messages"
        if number in self.placed_at and piece.cooldown:
            end = self.until.get(number, self.placed_at[number]) + piece.cooldown
            if told <= end:
                return f"it cools down for {end - told + 1} more messages"
        if (rule := self._second_rule(number, told)) is not None:
            return rule
        if piece.probability < 100 and self._dice(number) % 100 >= piece.probability:
            return f"its chance of {piece.probability} % did not come up at this message"
        return ""

    def _second_rule(self, number: int, told: int) -> str | None:
        """Return what the secondary keys lack, or None if nothing."""
        piece = self.book.lore[number]
        if not piece.secondary_keys:
            return None
        far = -piece.scan_depth
        there = {
            key: told - self.seconds.get((number, key), far) < piece.scan_depth
            for key in piece.secondary_keys
        }
        found = ", ".join(key for key, is_there in there.items() if is_there)
        missing = ", ".join(key for key, is_there in there.items() if not is_there)
        match piece.logic:
            case "any":
                return None if found else f"none of its secondary keys came up ({missing})"
            case "all":
                return f"a secondary key did not come up ({missing})" if missing else None
            case "not any":
                return f"a secondary key that forbids it came up ({found})" if found else None
        return None if missing else f"all the keys that forbid it came up ({found})"

    def _pays(self, number: int) -> bool:
        """Take a piece's tokens out of the budget, if they are there."""
        cost = self.cost(self.book.lore[number])
        if self.budget is not None and self.spent + cost > self.budget:
            return False
        self.spent += cost
        return True

    def _too_dear(self, number: int) -> str:
        cost = self.cost(self.book.lore[number])
        left = (self.budget or 0) - self.spent
        return f"it takes {cost:,} tokens, and {left:,} of the {self.budget:,} for lore are left"

    def _rank(self, number: int) -> tuple[int]:
        return (-self.book.lore[number].order,)

    def _dice(self, number: int) -> int:
        """Return a number that stays the same for a piece and the message that calls it."""
        entry = self.calls[number].entry
        words = f"{self.book.lore[number].name}\0{entry.speaker}\0{entry.text}"
        return crc32(words.encode("utf-8", "replace"))

    def _wait(self, number: int, rule: str, call: _Call | Verdict) -> None:
        piece = self.book.lore[number]
        self.waits[number] = Verdict(piece, "waits", rule, call.key, call.entry, call.woken_by)

    def verdict(self, number: int) -> Verdict:
        found = self._verdict(number)
        said = self.book.said.get(number)
        return replace(found, rule=f"{found.rule}; {said}") if said else found

    def _verdict(self, number: int) -> Verdict:
        piece = self.book.lore[number]
        if not piece.enabled:
            return Verdict(piece, "off", "it is switched off")
        if not piece.keys:
            return Verdict(piece, "always", "it has no keys, so it is always there")
        if number in self.fired:
            return self.fired[number]
        if number in self.waits:
            return self.waits[number]
        unusable = [self.book.unusable[key] for key in piece.keys if key in self.book.unusable]
        return Verdict(piece, "waits", unusable[0] if unusable else "none of its keys came up")


def _fired_rule(piece: Lore, call: _Call) -> str:
    where = f" in the text of {call.woken_by}" if call.woken_by else ""
    rules = [f"its key {call.key} came up{where}"]
    if piece.secondary_keys:
        came = piece.logic in ("any", "all")
        rules.append("and so did its secondary keys" if came else "and nothing forbade it")
    if piece.probability < 100:
        rules.append(f"and its chance of {piece.probability} % did too")
    return ", ".join(rules)
