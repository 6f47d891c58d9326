"""Damage to a library, as a bad disk, another tool or a newer program leaves it.

`KINDS` are the kinds that there are, each done to the chat `BROKEN` of the library that `stories`
makes; `mutate` puts any value into any cell.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from shoritui.cards import Card, Character, Lore, Opening
from shoritui.story import Details, Draft, Library, NoteRule, Origin

SCENE: Final = Card(
    title="The last ferry",
    characters=(
        Character(name="Bram", description="A baker who is late.", user=True),
        Character(name="Ada", description="Patient."),
    ),
    lore=(Lore(name="whistle", text="The whistle is tin.", keys=("whistle",)),),
    messages=(Opening(speaker="Ada", text='"We leave at noon."', length="nano"),),
)
FIRST, BROKEN, LAST = 1, 2, 3
"""The ids of the chats. All are alike; the second one is damaged, and was used last."""
DEEP: Final = "[" * 100_000
LONG: Final = '{"version": 1' + "0" * 5_000 + "}"
NOT_UTF8: Final = b"{\xff\xc0}"
HOSTILE: Final = "a\0b\x1b]52;c;AAAA\x07▄\u202e[/][@click=app.quit]\n▀\u2028"
VALUES: Final[tuple[object, ...]] = (
    *(None, "", "x", b"", b"\xff\x00", NOT_UTF8, HOSTILE, 0, 1, 2, 3, 7, -1, 2**31, 2**53, 2**62),
    *(2**63 - 1, -(2**63), 0.5, -1.0, 1e300, float("inf"), float("-inf"), 2.4e11, "complete"),
    *("streaming", "message", "note", "{}", "[]", "{", "[5]", "null", '{"a": 1e999}', DEEP, LONG),
    *('{"version": 99}', '{"heard": 5}', '{"span": [1, 99]}', '{"made": {"how": "x"}}', "Ada"),
    *('[["entries", 8, "parent", 1, 2]]', '[["chats", 2, "head", [], {}]]', "x" * 100_000),
)
"""What a cell may hold that none should, or not here."""
TABLES: Final = {
    "chats": (
        *("id", "name", "scene", "user", "head", "settings", "created", "updated", "draft"),
        *("tags", "favourite", "archived", "deleted", "holder"),
    ),
    "entries": (
        *("id", "chat", "parent", "kind", "speaker", "length", "text", "status", "writer"),
        *("created", "tokens", "slot", "origin", "hidden", "label", "visited", "deleted"),
        *("details", "pinned"),
    ),
    "acts": ("id", "chat", "name", "at", "changes", "undone"),
    "history": ("id", "text"),
    "sqlite_sequence": ("name", "seq"),
    "words_data": ("id", "block"),
    "words_docsize": ("id", "sz"),
    "words_config": ("k", "v"),
}
"""Every cell that there is."""


def stories(path: Path) -> None:
    """Make a library of three chats in which there is one of everything."""
    with closing(Library(path)) as library:
        for name in ("First", "Broken", "Last"):
            chat = library.create_chat(SCENE, "Bram", name).id
            left = library.append(chat, Draft("message", "Bram", "No."))
            said = Draft("message", "Bram", f"He heard the whistle in {name}.", "tiny")
            library.add_version(left.id, said, keep=False, act="Edit a message")
            rule = Details(note=NoteRule(sticky=True))
            library.append(chat, Draft("note", "", "Be brief.", details=rule))
            secret = Draft(
                *("message", "Ada", f"A whisper of {name}."),
                origin=Origin("model", "storyteller"),
                details=Details(heard=("Bram",)),
            )
            library.set_label(library.append(chat, secret).id, "here")
            library.append(chat, Draft("ooc", "Bram", "Back soon."))
            gone = library.append(chat, Draft("message", "Ada", "Forget it."))
            library.delete([gone.id])
            library.append(chat, Draft("message", "Ada", f"The end of {name}."))
            library.update_settings(chat, preset="steady", next_speaker="Ada")
            library.save_draft(chat, f"unsent in {name}")
            library.hide(left.id, True)
            library.undo(chat)
        library.add_history("typed before")
        library.touch(BROKEN)


@contextmanager
def unruled(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection for which no column has a rule and no trigger runs; afterwards they hold."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        before = db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        db.execute("PRAGMA writable_schema = ON")
        db.execute(
            "UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '') WHERE type = 'table'"
        )
        db.execute("UPDATE sqlite_master SET type = 'was' WHERE type = 'trigger'")
        db.execute("PRAGMA writable_schema = RESET")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA writable_schema = ON")
        db.execute("BEGIN")
        yield db
        db.executemany(
            "UPDATE sqlite_master SET sql = ? WHERE name = ?", [(sql, name) for name, sql in before]
        )
        db.execute("UPDATE sqlite_master SET type = 'trigger' WHERE type = 'was'")
        db.execute("COMMIT")


@dataclass(frozen=True, slots=True)
class Damage:
    """One way in which a library was damaged, and what is to be said of it."""

    do: Callable[[Path], object]
    """Damages the library of a path."""
    says: str = ""
    """What is said where the chat `BROKEN` is opened; empty where it can still be read."""
    check: str = ""
    """What `chats check` says, where that is something else; `sound` is nothing."""
    is_listed: bool = False
    """Whether a list of chats says it, which looks into no message but the last."""
    chat: int = BROKEN
    """The id of the chat, where that is what was damaged."""


class Text(bytes):
    """Bytes that stand where a text should, as one."""


def put(table: str, column: str, value: object, where: str) -> Callable[[Path], None]:
    """What puts a value into cells, whatever the rules of their column."""
    new = "CAST(? AS TEXT)" if isinstance(value, Text) else "?"
    return run(f"UPDATE {table} SET {column} = {new} WHERE {where}", value)


def run(statement: str, *values: object) -> Callable[[Path], None]:
    """What runs a statement, whatever the rules of the tables."""

    def do(path: Path) -> None:
        with unruled(path) as db:
            assert db.execute(statement, values).rowcount

    return do


def _chat(column: str, value: object, what: str = "", *, listed: bool = True) -> Damage:
    do = put("chats", column, value, f"id = {BROKEN}")
    return Damage(do, f"chat {BROKEN} is damaged: its {what or column} cannot be read", "", listed)


_NO_SCENE = f"chat {BROKEN} (cannot be opened|is damaged: its scene cannot be read)"


def _scene(value: object, says: str = _NO_SCENE) -> Damage:
    return Damage(put("chats", "scene", value, f"id = {BROKEN}"), says, is_listed=True)


def _entry(column: str, value: object, what: str = "") -> Damage:
    do = put("entries", column, value, "text = 'A whisper of Broken.'")
    return Damage(do, f"is damaged: its {what or column} cannot be read")


def _harmless(do: Callable[[Path], object], check: str = "sound") -> Damage:
    return Damage(do, check=check)


def _tree(statement: str, check: str, *values: object) -> Damage:
    return Damage(run(statement, *values), "does not lead to a beginning", check)


def _new_id(chat: int) -> Callable[[Path], None]:
    def do(path: Path) -> None:
        with unruled(path) as db:
            db.execute("UPDATE chats SET id = ? WHERE id = ?", (chat, BROKEN))
            for table in ("entries", "acts"):
                db.execute(f"UPDATE {table} SET chat = ? WHERE chat = ?", (chat, BROKEN))
            db.execute("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'chats'", (chat,))

    return do


def _page(path: Path) -> None:
    """Overwrite a page in the midst of the chat `BROKEN`."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE entries SET text = text || ?", ("." * 1_500,))  # two to a page
        db.commit()
        db.execute("VACUUM")
    content = bytearray(path.read_bytes())
    at = content.index(b"A whisper of Broken...") // 4096 * 4096
    content[at : at + 4096] = b"\xa5" * 4096
    path.write_bytes(content)


def _backups(path: Path) -> None:
    folder = path.parent / "backups"
    folder.mkdir()
    (folder / f"{path.stem}-20260101-000000-000000-daily.db").write_bytes(b"\xa5" * 5_000)
    (folder / f"{path.stem}-20260102-000000-000000-daily.db").touch()
    (folder / f"{path.stem}-20260103-000000-000000-daily.db").symlink_to("nowhere")
    (folder / f"{path.stem}-20260104-000000-000000-daily.db").mkdir()


_INDEX = "search index was damaged and has been made anew"
_ENDS = f"does not lead to a beginning|chat {BROKEN} is damaged: its last entry cannot be read"

KINDS: Final[dict[str, Damage]] = {
    "a scene of a newer format": _scene('{"version": 99, "source": ""}', "has format 99"),
    "a scene that is no JSON": _scene('{"version": 1, '),
    "a scene that is another JSON": _scene("[5]"),
    "a scene without a source": _scene('{"version": 1}'),
    "a scene of other types": _scene('{"version": 1, "source": "", "character": {"name": [5]}}'),
    "a scene nested too deep": _scene(DEEP),
    "a scene with a number too long": _scene(LONG),
    "a scene that is not UTF-8": _scene(Text(NOT_UTF8)),
    "a scene of bytes": _scene(NOT_UTF8),
    "no scene": _scene(None),
    "settings that are no JSON": _chat("settings", "{"),
    "settings that are another JSON": _chat("settings", "[]"),
    "settings nested too deep": _chat("settings", DEEP),
    "settings with a number too long": _harmless(put("chats", "settings", LONG, f"id = {BROKEN}")),
    "settings that are not UTF-8": _chat("settings", Text(NOT_UTF8)),
    "no settings": _chat("settings", None),
    "a name of bytes": _chat("name", b"\xff"),
    "a name that is not UTF-8": _chat("name", Text(b"Bro\xffken")),
    "no name": _chat("name", None),
    "a user of bytes": _chat("user", b"Bram", "user's name"),
    "no user": _chat("user", None, "user's name"),
    "tags that are no JSON": _chat("tags", "["),
    "tags of other types": _chat("tags", '["a", 5, null]'),
    "no tags": _chat("tags", None),
    "used at no time": _chat("updated", None, "date"),
    "used for ever": _chat("updated", float("inf"), "date"),
    "used in the far future": _chat("updated", 1e300, "date"),
    "made before all times": _chat("created", -1.0, "date"),
    "made at a word": _chat("created", "yesterday", "date"),
    "a last entry that is a word": _chat("head", "end", "last entry"),
    "a last entry of bytes": _chat("head", b"\xff", "last entry"),
    "a last entry that is not there": Damage(
        put("chats", "head", 999, f"id = {BROKEN}"), _ENDS, "that is not there", is_listed=True
    ),
    "a last entry of another chat": Damage(
        put("chats", "head", 1, f"id = {BROKEN}"), _ENDS, "of another chat", is_listed=True
    ),
    "a text of bytes": _entry("text", b"\xff\x00"),
    "a text that is not UTF-8": _entry("text", Text(b"A \xff whisper")),
    "no text": _entry("text", None),
    "a last text that is not UTF-8": Damage(
        put("entries", "text", Text(b"\xff"), "text = 'The end of Broken.'"),
        "is damaged: its text cannot be read",
        is_listed=True,
    ),
    "a speaker of bytes": _entry("speaker", b"Ada"),
    "a speaker that is not UTF-8": _entry("speaker", Text(b"A\xffda")),
    "no speaker": _entry("speaker", None),
    "an unknown kind of entry": _entry("kind", "hologram"),
    "no kind of entry": _entry("kind", None),
    "an unknown status": _entry("status", "dreaming"),
    "an unknown length": _entry("length", "vast"),
    "an entry of no time": _entry("created", None, "date"),
    "an entry of eternity": _entry("created", float("inf"), "date"),
    "an entry of the far future": _entry("created", 1e300, "date"),
    "too many tokens": _entry("tokens", 2**62, "number of tokens"),
    "fewer tokens than none": _entry("tokens", -1, "number of tokens"),
    "tokens that are a word": _entry("tokens", "many", "number of tokens"),
    "a slot that is a word": _entry("slot", "first", "place among its versions"),
    "no slot": _entry("slot", None, "place among its versions"),
    "a slot of another chat": _harmless(
        put("entries", "slot", 2, "text = 'A whisper of Broken.'"), "of another chat"
    ),
    "a slot that two messages have": _harmless(
        put("entries", "slot", 11, f"chat = {BROKEN} AND kind = 'message'")
    ),
    "a bookmark of bytes": _entry("label", b"here", "bookmark"),
    "a bookmark that is not UTF-8": _entry("label", Text(b"he\xffre"), "bookmark"),
    "a whisper to nobody knows whom": _entry("details", '{"heard": 5}'),
    "details that are no JSON": _entry("details", "{"),
    "details nested too deep": _entry("details", DEEP),
    "no details": _entry("details", None),
    "an origin that is no JSON": _harmless(
        put("entries", "origin", "{", "text = 'A whisper of Broken.'"), "its origin cannot be read"
    ),
    "no origin": _harmless(
        put("entries", "origin", None, "text = 'A whisper of Broken.'"), "its origin cannot be read"
    ),
    "an entry that follows none": _tree(
        "UPDATE entries SET parent = 999 WHERE text = 'A whisper of Broken.'", "that is not there"
    ),
    "an entry that follows itself": _tree(
        "UPDATE entries SET parent = id WHERE text = 'A whisper of Broken.'", "in a circle"
    ),
    "two entries that follow each other": _tree(
        "UPDATE entries SET parent = (SELECT max(id) FROM entries WHERE chat = 2 AND id < "
        "(SELECT head FROM chats WHERE id = 2) AND deleted IS NULL) "
        "WHERE text = 'A whisper of Broken.'",
        "in a circle",
    ),
    "a long circle": _tree(
        f"UPDATE entries SET parent = (SELECT head FROM chats WHERE id = {BROKEN}) "
        f"WHERE chat = {BROKEN} AND parent IS NULL",
        "in a circle",
    ),
    "an entry that follows one of another chat": _tree(
        "UPDATE entries SET parent = 2 WHERE text = 'A whisper of Broken.'", "of another chat"
    ),
    "an entry that follows a word": Damage(
        put("entries", "parent", "the first", "text = 'A whisper of Broken.'"),
        "does not lead to a beginning|its place in the story cannot be read",
    ),
    "an entry of no chat": _tree(
        "UPDATE entries SET chat = 999 WHERE text = 'A whisper of Broken.'", "to a chat that is not"
    ),
    "an entry of no text beside the story": Damage(
        put("entries", "text", None, f"chat = {BROKEN} AND text = 'No.'"),
        check="its text cannot be read",
    ),
    "the largest number": Damage(_new_id(2**63 - 1), check="sound", chat=2**63 - 1),
    "a negative number": Damage(_new_id(-7), check="sound", chat=-7),
    "the largest number of an entry": _harmless(
        run(
            "INSERT INTO entries (id, chat, kind, speaker, text, status, created, tokens, deleted) "
            f"VALUES ({2**63 - 1}, {BROKEN}, 'message', 'Ada', 'x', 'complete', 5.0, 0, 2e9)"
        )
    ),
    "numbers that are used up": _harmless(run(f"UPDATE sqlite_sequence SET seq = {2**63 - 1}")),
    "numbers that are words": _harmless(run("UPDATE sqlite_sequence SET seq = 'x'")),
    "numbers that are lost": _harmless(run("DELETE FROM sqlite_sequence")),
    "marks that are words": _harmless(
        run(
            f"UPDATE chats SET favourite = 'x', archived = x'', holder = '../x' WHERE id = {BROKEN}"
        )
    ),
    "flags that are words": _harmless(
        put("entries", "hidden", "x", "text = 'A whisper of Broken.'")
    ),
    "written by a name that is a path": _harmless(
        run(
            "UPDATE entries SET status = 'streaming', writer = ? WHERE text = 'The end of Broken.'",
            "../" * 2_000,
        )
    ),
    "written by bytes": _harmless(
        run(
            "UPDATE entries SET status = 'streaming', writer = x'ff', text = '' WHERE text = ?",
            "The end of Broken.",
        )
    ),
    "an act that is no JSON": _harmless(
        put("acts", "changes", "[[", f"chat = {BROKEN}"), "what it changed cannot be read"
    ),
    "an act of bytes": _harmless(
        put("acts", "changes", b"\xff", f"chat = {BROKEN}"), "what it changed cannot be read"
    ),
    "no act": _harmless(
        put("acts", "changes", None, f"chat = {BROKEN}"), "what it changed cannot be read"
    ),
    "an act with a name that is not UTF-8": _harmless(
        put("acts", "name", Text(b"\xff"), f"chat = {BROKEN}"), "its name cannot be read"
    ),
    "a draft of bytes": _harmless(put("chats", "draft", b"half \xff", f"id = {BROKEN}")),
    "a draft that is not UTF-8": _harmless(put("chats", "draft", Text(b"\xff"), f"id = {BROKEN}")),
    "no draft": _harmless(put("chats", "draft", None, f"id = {BROKEN}"), "NULL value in"),
    "a history that is not UTF-8": _harmless(put("history", "text", Text(b"\xff"), "TRUE")),
    "no history": _harmless(put("history", "text", None, "TRUE"), "NULL value in"),
    "a text of control characters": _harmless(
        put("entries", "text", HOSTILE, "text = 'A whisper of Broken.'")
    ),
    "names of control characters": _harmless(
        run(
            "UPDATE chats SET user = ?1, tags = json_array(?1), name = 'Broken' || ?1 WHERE id = 2",
            HOSTILE,
        )
    ),
    "a search index of bytes": _harmless(run("UPDATE words_data SET block = x'deadbeef'"), _INDEX),
    "no search index": _harmless(run("DELETE FROM words_data")),
    "a search index of no format": _harmless(run("DELETE FROM words_config")),
    "a torn search index": _harmless(
        run("UPDATE words_data SET block = x'00' WHERE id = 10"), _INDEX
    ),
    "a damaged page": Damage(_page, "The library .* is damaged"),
    "damaged backups": _harmless(_backups),
}
"""Every kind of damage, by its name."""


def mutate(path: Path, random: Random, count: int = 1) -> list[str]:
    """Put any values into any cells of a library, and return what was done."""
    done: list[str] = []
    with unruled(path) as db:
        while len(done) < count:
            table = random.choice([*TABLES])
            column = random.choice(TABLES[table])
            value = random.choice(VALUES)
            new = "?"
            if isinstance(value, bytes) and random.random() < 0.5:
                new = "CAST(? AS TEXT)"
            if isinstance(value, str) and random.random() < 0.2:
                value = value[: random.randrange(len(value) + 1)]
            key = f"rowid = {random.randrange(30)}" if "id" in TABLES[table][0] else "TRUE"
            try:
                changed = db.execute(f"UPDATE {table} SET {column} = {new} WHERE {key}", (value,))
            except sqlite3.Error:  # a number that another row has, or no number
                continue
            if changed.rowcount:
                done.append(f"{table}.{column} = {str(value)[:40]!r} where {key}")
    return done
