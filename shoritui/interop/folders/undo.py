"""Take the last import back: stories into the bin, files into a folder beside the library."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shoritui.errors import UserError
from shoritui.files import why
from shoritui.interop.folders.journal import Journal, Record, digest_of
from shoritui.interop.folders.outcome import HEAD
from shoritui.story import Library
from shoritui.text import one_line, printable

_GONE: Final = "it is not there any more"


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What became of one thing that was imported."""

    name: str
    """What it is: `card orla`, `story 3 (Ferry)`."""
    kept: str = ""
    """Why it stays; empty if it lies in the bin."""
    chat: int = 0
    """Which chat lies in the bin; 0 where it is a file."""


def last_import(library: Library) -> int:
    """Return of how many files the last import is that was not taken back; 0 if there is none."""
    return len(Journal(library).last())


def last_rows(library: Library) -> list[tuple[str, str]]:
    """Return what became of each file of that import as a table's rows; none if there is none."""
    rows = [
        ("/".join(printable(part, 60) for part in Path(record.source).parts[-2:]), _name(record))
        for record in Journal(library).last()
    ]
    return [HEAD, *rows] if rows else []


def take_back(library: Library) -> tuple[list[TakenBack], Path]:
    """Take the last import back that was not; return what became of each thing, and the bin.

    What was changed since it came in stays. Stories lie in the library's bin, files in the folder
    that is returned, which nothing empties.

    Raises:
        UserError: Nothing was imported, or the bin or the journal cannot be written.
    """
    journal = Journal(library)
    records = journal.last()
    if not records:
        raise UserError("There is no import to take back.")
    batch = records[0].batch
    folder = journal.folder / "bin" / f"import-{batch}"
    alive = {(each.id, each.created) for each in library.summaries()}
    once = {record.made: record for record in records}.values()  # branches made one story
    done = [each for record in once for each in _taken_back(library, record, folder, alive)]
    journal.mark_undone(batch)
    return done, folder


def _taken_back(
    library: Library, record: Record, folder: Path, alive: Set[tuple[int, float]]
) -> Iterator[TakenBack]:
    name = _name(record)
    for made in record.made:
        if made.chat:
            is_there = (made.chat, made.created) in alive
            kept = _delete(library, made.chat) if is_there else _GONE
            yield TakenBack(name, kept, 0 if kept else made.chat)
    files = [Path(made.file) for made in record.made if made.file]
    if files:
        yield TakenBack(name, _put_by(record, files, folder))


def _name(record: Record) -> str:
    return f"{record.kind} {one_line(record.name)}"


def _delete(library: Library, chat_id: int) -> str:
    """Put a chat into the bin; return why not, if not."""
    if any(library.next_undo_redo(chat_id)) or library.draft(chat_id).strip():
        return "you have gone on with it"
    try:
        library.delete_chat(chat_id)
    except UserError:
        return "it is open in another window"
    return ""


def _put_by(record: Record, files: list[Path], folder: Path) -> str:
    """Move a file, with what was kept beside it, into a folder; return why not, if not."""
    if not files[0].is_file():
        return _GONE
    digests = {made.file: made.digest for made in record.made}
    try:
        if any(each.is_file() and digest_of(each) != digests[str(each)] for each in files):
            return "you have changed it"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for each in files:
            if each.is_file():
                shutil.move(each, _free(folder / f"{each.parent.name}-{each.name}"))
    except OSError as error:
        raise UserError(f"{printable(folder)} cannot be written: {why(error)}.") from None
    return ""


def _free(path: Path) -> Path:
    """Return a name that no file has."""
    target, number = path, 1
    while target.exists():
        number += 1
        target = path.with_name(f"{path.stem} ({number}){path.suffix}")
    return target
