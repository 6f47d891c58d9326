"""Full-text search over everything ever written.

SQLite's FTS5 index holds every run of three characters, so words of all scripts are found,
inside text without spaces too. A shorter word than that is looked for in the texts themselves.
"""

from __future__ import annotations

from shoritui.errors import UserError
from shoritui.story.database import Database
from shoritui.story.model import Hit
from shoritui.story.rows import is_hit, storable
from shoritui.text import composed

_INDEXED = 3
"""Characters of the shortest word that the index finds."""
_MOST_TERMS = 64
_LONGEST_TERM = 1_000
_LIKE = "entries.text LIKE ? ESCAPE '\\'"
_AROUND = 60
"""Characters of context that a hit shows on either side."""


def search(database: Database, words: str, chat_id: int | None, limit: int) -> list[Hit]:
    """Return the entries that hold all words, newest first; a phrase stands in double quotes.

    Those that are damaged are left out.

    Raises:
        UserError: These are too many words.
    """
    wanted = _terms(storable(words))
    if not wanted:
        return []
    if len(wanted) > _MOST_TERMS or max(map(len, wanted)) > _LONGEST_TERM:
        raise UserError(
            f"That is too much to search for: at most {_MOST_TERMS} words, each of up to "
            f"{_LONGEST_TERM:,} characters."
        )
    newest = "entries.id"
    same = (
        "FROM entries AS other WHERE other.chat = entries.chat "
        "AND other.slot = entries.slot AND other.deleted IS NULL"
    )
    conditions, values = ["entries.deleted IS NULL", "chats.deleted IS NULL"], list[str | int]()
    source = "entries"
    indexed = [term for term in wanted if len(term) >= _INDEXED]
    if indexed:
        source = "words CROSS JOIN entries ON entries.id = words.rowid"
        newest = "words.rowid"  # The index is read from its end, and no further than `limit`.
        conditions.append("words MATCH ?")
        values.append(" AND ".join(map(_phrase, indexed)))
    for term in wanted:
        if len(term) < _INDEXED:
            # SQLite itself folds the case of ASCII letters alone.
            cases = sorted({term, term.lower(), term.upper(), term.capitalize()})
            conditions.append(f"({' OR '.join([_LIKE] * len(cases))})")
            values += [f"%{_escaped(case)}%" for case in cases]
    if chat_id is not None:
        conditions.append("entries.chat = ?")
        values.append(chat_id)
    sql = f"""
        SELECT chats.id, chats.name, entries.id, entries.kind, entries.speaker, entries.created,
            entries.text, (SELECT count(*) {same} AND other.id <= entries.id),
            (SELECT count(*) {same})
        FROM {source} JOIN chats ON chats.id = entries.chat
        WHERE {" AND ".join(conditions)} ORDER BY {newest} DESC LIMIT ?
        """
    found = database.rows(sql, *values, limit)
    if not found and indexed and not finds_newest(database):
        database.mend_index()
        found = database.rows(sql, *values, limit)
    return [
        Hit(*[*row, *_context(text, wanted), version, versions])
        for *row, text, version, versions in found
        if is_hit(row, text)
    ]


def finds_newest(database: Database) -> bool:
    """Return whether the index finds the newest entry, which one that lost its rows does not."""
    newest = database.rows(
        "SELECT id, substr(text, 1, ?1) FROM entries WHERE status <> 'streaming' "
        "AND typeof(text) = 'text' AND length(text) >= ?1 ORDER BY id DESC LIMIT 1",
        _INDEXED,
    )
    return all(
        isinstance(beginning, bytes)
        or database.rows(
            "SELECT 1 FROM words WHERE words MATCH ? AND rowid = ?", _phrase(beginning), entry_id
        )
        for entry_id, beginning in newest
    )


def _phrase(term: str) -> str:
    return '"' + term.replace('"', '""') + '"'


def _terms(words: str) -> list[str]:
    """Return the words and the quoted phrases that are asked for, each once."""
    terms = []
    for place, part in enumerate(words.split('"')):
        terms += [part] if place % 2 else part.split()
    found = (composed(each).strip() for each in terms)
    return [term for term in dict.fromkeys(found) if term]


def _escaped(term: str) -> str:
    return term.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _context(text: str, terms: list[str]) -> tuple[str, str, str]:
    folded = text.casefold() if len(text.casefold()) == len(text) else text.lower()
    if len(folded) != len(text):  # Some capital letter has another number of small ones.
        folded = text
    places = [(folded.find(term.lower()), len(term)) for term in terms]
    start, length = min(((at, size) for at, size in places if at >= 0), default=(0, 0))
    before = text[max(0, start - _AROUND) : start]
    after = text[start + length : start + length + _AROUND]
    return (
        _one_line(("…" if start > _AROUND else "") + before),
        _one_line(text[start : start + length]),
        _one_line(after + ("…" if len(text) > start + length + _AROUND else "")),
    )


def _one_line(text: str) -> str:
    return "".join(" " if character.isspace() else character for character in text)
