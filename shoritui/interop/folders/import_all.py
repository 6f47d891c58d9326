"""Take in files and whole folders, each file recognised by what it holds, one step at a time.

    work = Import([folder])
    for progress in work.run(library):      one step a file, so that others get at the library
        show(progress)                      work.stop() ends it: what is in stays in
    rows_of(work.outcomes, work.skipped)

Cards, lorebooks and the like come first, then the chats, which know them. What the journal knows
is not imported again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from shoritui.blockml import BLOCK_OPEN
from shoritui.cards import lore_folder, persona_folder
from shoritui.errors import UserError
from shoritui.files import all_or_none, check_space, is_of_disk, open_file
from shoritui.interop.cards import import_card
from shoritui.interop.folders.journal import Journal, Made, Record, alone, digest_of
from shoritui.interop.folders.outcome import Outcome
from shoritui.interop.folders.own_files import import_own, import_personas
from shoritui.interop.folders.scene import Cards, is_group
from shoritui.interop.folders.walk import LARGEST, Found, walk
from shoritui.interop.read_chats import read_chats
from shoritui.interop.templates import import_template
from shoritui.story import Chat, Library
from shoritui.text import clean, one_line, printable, size

_LOGS: Final = (".txt", ".log", ".md", "")
"""How the names of files end that may be a log of a chat: much else has lines like one."""
_HEAD: Final = 4096
_ROOM: Final = 1 << 20
"""Bytes that must be free before a story, so that it can be written down that it is in."""
_NAMED: Final = 10
"""How many chats of one file, or fields without a place, are told by name."""


class Became(Protocol):
    """What a reader has made of a file."""

    @property
    def path(self) -> Path:
        """The new file."""

    @property
    def files(self) -> Sequence[Path]:
        """The new file and what was written beside it."""

    @property
    def kind(self) -> str:
        """Of which kind it is among its reader's: `context`; empty if all are alike."""

    @property
    def left(self) -> Sequence[str]:
        """What has no place in it, in words."""

    @property
    def sentences(self) -> str:
        """What became of it, for people."""


Reader: TypeAlias = Callable[[Path], Became | None]
"""Makes a file of our own out of another program's; None if it is not of the reader's kind.

Raises a `UserError` if it is, and something is wrong with it.
"""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is."""

    done: int
    """Bytes of the files that are done."""
    total: int
    """Bytes of all files."""
    place: int
    """Files that are done."""
    count: int
    """Files in all."""
    shown: str
    """What is next."""


class Import:
    """One import of files and folders."""

    def __init__(self, paths: Sequence[Path], readers: Mapping[str, Reader] | None = None) -> None:
        """`readers` are for what other rooms know, by the word for what they make: `preset`."""
        self._paths = list(paths)
        self._readers: dict[str, Reader] = {
            "persona": import_personas,
            "template": import_template,
            **(readers or {}),
        }
        self.outcomes: list[Outcome] = []
        """What became of each file so far."""
        self.skipped: Counter[str] = Counter()
        """How many files and folders were passed over, by why."""
        self.is_stopped = False

    def stop(self) -> None:
        """End after the step that is under way."""
        self.is_stopped = True

    def run(self, library: Library) -> Iterator[Progress]:
        """Import the files; yield before each step, and at the end.

        Raises:
            UserError: A path cannot be read, nothing can be written, or another import is under
                way; what is in stays in.
        """
        with alone(library):
            yield from self._steps(library)

    def _steps(self, library: Library) -> Iterator[Progress]:
        files, self.skipped = walk(self._paths)
        total = sum(each.size for each in files)
        for shown in _Run(library, self._readers, self.outcomes).steps(files):
            told = sum(each.found.size for each in self.outcomes)
            yield Progress(told, total, len(self.outcomes), len(files), shown)
            if self.is_stopped:
                return
        yield Progress(total, total, len(files), len(files), "")


def imported_card(library: Library, path: Path) -> Path:
    """Return our card of another program's, which is imported if it is new.

    Raises:
        UserError: The file holds no card, something is wrong with it, or an import is under way.
    """
    with alone(library), all_or_none():
        return _imported_card(library, path)


def _imported_card(library: Library, path: Path) -> Path:
    journal = Journal(library)
    try:
        digest = digest_of(path)
    except OSError as error:
        raise UserError(f"{printable(path)} cannot be read: {error.strerror}.") from None
    record = journal.here(digest)
    if record is not None and record.made[0].file:
        return Path(record.made[0].file)
    card = import_card(path)
    if card is None:
        raise UserError(f"{printable(path)} is no card; `shoritui import` takes in what it is.")
    journal.add(path, digest, _word(card.path), card.path.stem, map(_file, card.files))
    return card.path


class _Run:
    """The steps of one import."""

    def __init__(
        self, library: Library, readers: Mapping[str, Reader], outcomes: list[Outcome]
    ) -> None:
        self._library = library
        self._readers = readers
        self._outcomes = outcomes
        self._journal = Journal(library)
        self._cards = Cards(self._journal)
        self._chats: dict[Path, tuple[Found, str]] = {}
        """The files that wait to be read as chats, with their digests."""

    def steps(self, files: Sequence[Found]) -> Iterator[str]:
        """Import the files; yield before each step what is next."""
        groups, folders, single = list[Path](), defaultdict[Path, list[Path]](list), list[Path]()
        for found in files:
            yield found.shown
            if not self._waits(found):
                continue
            if is_group(found.path):
                groups.append(found.path)
            elif found.path.suffix.lower() == ".jsonl":
                folders[found.path.parent].append(found.path)  # one may be the other's branch
            else:
                single.append(found.path)
        bundles = [bundle for paths in folders.values() for bundle in self._bundles(paths)]
        for bundle in (*([path] for path in groups), *bundles, *([path] for path in single)):
            yield from self._stories([path for path in bundle if path in self._chats])

    def _bundles(self, paths: Sequence[Path]) -> Iterator[list[Path]]:
        """Yield the chats of a folder, as many together as may be held in memory."""
        bundle: list[Path] = []
        held = 0
        for path in paths:
            size_of = self._chats[path][0].size
            if bundle and held + size_of > LARGEST:
                yield bundle
                bundle, held = [], 0
            bundle.append(path)
            held += size_of
        if bundle:
            yield bundle

    def _waits(self, found: Found) -> bool:
        """Import a file that is no chat; return whether it may be one, and waits for its turn."""
        if found.size > LARGEST:
            why = f"it has {size(found.size)}, and at most {size(LARGEST)} are read"
            self._outcomes.append(_left(found, why))
            return False
        try:
            digest = digest_of(found.path)
            if (record := self._journal.here(digest)) is not None:
                self._outcomes.append(_known(found, record))
            elif (outcome := self._taken_in(found, digest)) is not None:
                self._outcomes.append(outcome)
            elif found.is_named or _may_be_chat(found.path):
                self._chats[found.path] = found, digest
                return True
            else:
                self._outcomes.append(_left(found, "nothing that is known here"))
        except OSError as error:
            self._outcomes.append(_left(found, f"it cannot be read: {error.strerror}"))
        except UserError as error:
            if is_of_disk(error):
                raise  # the next file would fare no better
            self._outcomes.append(_refused(found, error))
        return False

    def _taken_in(self, found: Found, digest: str) -> Outcome | None:
        """Return what became of a file that is no chat, whole and written down; None if nothing."""
        with all_or_none():
            if (taken := self._made(found)) is None:
                return None
            outcome, made = taken
            self._journal.add(found.path, digest, outcome.kind, outcome.name, made)
            return outcome

    def _made(self, found: Found) -> tuple[Outcome, list[Made]] | None:
        """Return what became of a file that is no chat; None if it is of no known kind."""
        if (card := import_card(found.path)) is not None:
            notes = [card.trouble] if card.trouble else []
            notes += [f"kept beside it: {_listed(card.left)}"] if card.left else []
            name = card.path.stem
            word = _word(card.path)
            outcome = Outcome(found, "new", word, name, tuple(notes), card.sentences)
            return outcome, list(map(_file, card.files))
        if (own := import_own(found.path)) is not None:
            word = _word(own.path)
            outcome = Outcome(found, "new", word, own.path.stem, sentences=own.sentences)
            return outcome, list(map(_file, own.files))
        became = {word: reader(found.path) for word, reader in self._readers.items()}
        taken = {word: each for word, each in became.items() if each is not None}
        if not taken:
            return None
        # SillyTavern's master export is several things in one file.
        left = [each for one in taken.values() for each in one.left]
        outcome = Outcome(
            found,
            "new",
            " and ".join(f"{one.kind} {word}".strip() for word, one in taken.items()),
            " and ".join(dict.fromkeys(name for one in taken.values() for name in _names(one))),
            (f"not used: {_listed(left)}",) if left else (),
            " ".join(one.sentences for one in taken.values()),
        )
        files = [each for one in taken.values() for each in one.files]
        return outcome, list(map(_file, files))

    def _stories(self, paths: Sequence[Path]) -> Iterator[str]:
        """Import the chats in some files that may belong together."""
        if not paths:
            return
        told: list[str] = []
        refused: list[UserError] = []
        yield self._chats[paths[0]][0].shown
        before = len(self._outcomes)
        every = read_chats(paths, told.append, refused.append)
        for files, stories in groupby(every, lambda read: read.paths):
            waiting = [path for path in files if path in self._chats]
            sources = [path for path in waiting if not is_group(path)]
            if not sources:  # a group's file is another one whenever the group is used
                continue
            yield self._chats[sources[0]][0].shown
            shown = printable(sources[0])
            remarks: list[str] = []
            scenes = [self._cards.told(each.whole, sources[0], remarks.append) for each in stories]
            told += [f"{shown}: {remark}" for remark in dict.fromkeys(remarks)]
            check_space(self._journal.folder, _ROOM, "an import")
            chats: list[Chat] = []
            try:
                chats += (self._library.add_chat(scene) for scene in scenes)
                self._told(chats, sources, told)
            except UserError:  # what nobody knows of would come in again
                for chat in chats:
                    with suppress(UserError):
                        self._library.delete_chat(chat.id)
                raise
        for path in paths:
            if path not in self._chats:
                continue
            found, _ = self._chats.pop(path)
            reasons = [error for error in refused if str(error).startswith(f"{printable(path)} ")]
            if reasons:
                self._outcomes.append(_refused(found, reasons[0]))
            else:
                is_new = len(self._outcomes) > before
                self._outcomes.append(_group(found, is_new=is_new))

    def _told(self, chats: Sequence[Chat], paths: Sequence[Path], told: Sequence[str]) -> None:
        """Write down what some files became; one file may hold several chats."""
        name = ", ".join(f"{chat.id} ({one_line(chat.name)})" for chat in chats[:_NAMED])
        name += f" and {len(chats) - _NAMED:,} more" if len(chats) > _NAMED else ""
        for path in paths:
            found, digest = self._chats.pop(path)
            made = [Made(chat=chat.id, created=chat.created) for chat in chats]
            self._journal.add(path, digest, "story", name, made)
            notes = [each for each in told if each.startswith(f"{printable(path)}: ")]
            shown = tuple(each.removeprefix(f"{printable(path)}: ") for each in notes)
            if path == paths[0]:
                said = f"Imported: {name}; you are {one_line(chats[0].user)}"
                outcome = Outcome(found, "new", "story", name, shown, said, tuple(chats))
                self._outcomes.append(outcome)
            else:
                said = f"{printable(found.shown)} is a branch of {name}."
                self._outcomes.append(Outcome(found, "new", "branch", name, shown, said))


def _file(path: Path) -> Made:
    return Made(str(path), digest_of(path))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _names(became: Became) -> Iterator[str]:
    """Yield what a reader has made, by name."""
    yield from (each.stem for each in became.files if each.suffix == became.path.suffix)


def _word(card: Path) -> str:
    words = {lore_folder(): "lorebook", persona_folder(): "persona"}
    return words.get(card.parent, "card")


def _may_be_chat(path: Path) -> bool:
    """Return whether a file that nobody named may be read as a chat."""
    if path.suffix.lower() in _LOGS:
        return True
    with open_file(path) as file:
        head = file.read(_HEAD).decode("utf-8-sig", "replace")
    return head.lstrip()[:1] in ("{", "[") or BLOCK_OPEN in head


def _known(found: Found, record: Record) -> Outcome:
    said = f"{printable(found.shown)} is already here: {record.kind} {one_line(record.name)}."
    return Outcome(found, "known", record.kind, record.name, sentences=said)


def _group(found: Found, *, is_new: bool) -> Outcome:
    """Return the outcome of a group's file, whose chats are files of their own."""
    said = f"{printable(found.shown)} is a group; its stories are here."
    return Outcome(
        found, "new" if is_new else "known", "group", "", ("its stories are here",), said
    )


def _left(found: Found, why: str) -> Outcome:
    said = f"{printable(found.path)} was not imported: {why}."
    return Outcome(found, "left", notes=(why,), sentences=said)


def _refused(found: Found, error: UserError) -> Outcome:
    """Return the outcome of a file with which something is wrong, its name taken from the why."""
    shown, said = printable(found.path), clean(str(error))
    why = said.removeprefix(f"{shown} was not imported: ").removeprefix(f"{shown} ").rstrip(".")
    return Outcome(found, "left", notes=(why,), sentences=said)
