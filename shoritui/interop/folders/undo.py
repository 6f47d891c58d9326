"""Take the last import back: stories into the bin, files into a folder beside the library."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shoritui.errors import UserError
from shoritui.files import why
from shoritui.interop.folders.journal import Journal, Made, Record, alone, digest_of
from shoritui.interop.folders.outcome import HEAD
from shoritui.story import HELD_ELSEWHERE, Library
from shoritui.text import counted, one_line, printable

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
        UserError: Nothing was imported; an import is under way; or the bin or the journal cannot
            be written. What is in the bin by then stays there, and taking the import back again
            goes on from there.
    """
    with alone(library):
        journal = Journal(library)
        records = journal.last()
        if not records:
            raise UserError("There is no import to take back.")
        batch = records[0].batch
        folder = journal.folder / "bin" / f"import-{batch}"
        done: list[TakenBack] = []
        troubles: list[UserError] = []
        for record in {record.made: record for record in records}.values():  # branches: one story
            try:
                done += _taken_back(library, record, folder)
            except UserError as error:
                troubles.append(error)
        try:
            if not troubles:
                journal.mark_undone(batch)
        except UserError as error:
            troubles.append(error)
    if troubles:
        moved = counted(sum(not each.kept for each in done), "thing")
        raise UserError(
            f"The import is not wholly taken back: {str(troubles[0]).rstrip('.')}. So far {moved} "
            f"went into the bin, files into {printable(folder)}; undo again to go on."
        )
    return done, folder


def _taken_back(library: Library, record: Record, folder: Path) -> Iterator[TakenBack]:
    name = _name(record)
    for made in record.made:
        if made.chat:
            kept = _delete(library, made)
            yield TakenBack(name, kept, 0 if kept else made.chat)
    files = [Path(made.file) for made in record.made if made.file]
    if files:
        yield TakenBack(name, _put_by(record, files, folder))


def _name(record: Record) -> str:
    return f"{record.kind} {one_line(record.name)}"


def _delete(library: Library, made: Made) -> str:
    """Put a chat into the bin, unless it is there; return why not, if not."""
    chat_id, chat = made.chat, (made.chat, made.created)
    if chat in _chats(library, deleted=True):
        return ""
    if chat not in _chats(library):
        return _GONE
    if any(library.next_undo_redo(chat_id)) or library.draft(chat_id).strip():
        return "you have gone on with it"
    try:
        library.delete_chat(chat_id)
    except UserError as error:
        if str(error) != HELD_ELSEWHERE:
            raise
        return "it is open in another window"
    return ""


def _chats(library: Library, *, deleted: bool = False) -> set[tuple[int, float]]:
    return {(each.id, each.created) for each in library.summaries(deleted=deleted)}


def _put_by(record: Record, files: list[Path], folder: Path) -> str:
    """Move a file, with what was kept beside it, into a folder; return why not, if not."""
    if not files[0].is_file() and not _in_bin(files[0], folder).exists():
        return _GONE
    digests = {made.file: made.digest for made in record.made}
    try:
        if any(each.is_file() and digest_of(each) != digests[str(each)] for each in files):
            return "you have changed it"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for each in files:
            if each.is_file():
                _move(each, _free(_in_bin(each, folder)))
    except OSError as error:
        raise UserError(f"{printable(folder)} cannot be written: {why(error)}.") from None
    return ""


def _in_bin(file: Path, folder: Path) -> Path:
    return folder / f"{file.parent.name}-{file.name}"


def _move(file: Path, target: Path) -> None:
    try:
        shutil.move(file, target)
    except OSError:
        if file.is_file():  # a copy to another disk that ended in the middle
            target.unlink(missing_ok=True)
        raise


def _free(path: Path) -> Path:
    """Return a name that no file has."""
    target, number = path, 1
    while target.exists():
        number += 1
        target = path.with_name(f"{path.stem} ({number}){path.suffix}")
    return target
