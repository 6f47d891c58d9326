"""A damaged row is told, and locks nobody out of anything else."""

from __future__ import annotations

import io
import re
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from shoritui.cards import card_to_json
from shoritui.cli import main
from shoritui.errors import UserError
from shoritui.folders import HOME_VARIABLE
from shoritui.story import Draft, Library, back_up, restore
from tests.story.damage import BROKEN, FIRST, KINDS, LAST, SCENE, Damage, mutate, stories
from tests.story.test_file import FORMAT_1


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library before it is damaged."""
    path = tmp_path_factory.mktemp("sound") / "library.db"
    stories(path)
    return path


@pytest.fixture
def damaged(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], tuple[Damage, Path]]:
    """A home whose library is damaged in one way."""
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))

    def damage(name: str) -> tuple[Damage, Path]:
        path = tmp_path / "data" / "library.db"
        path.parent.mkdir()
        shutil.copy(sound, path)
        KINDS[name].do(path)
        return KINDS[name], path

    return damage


def cells(path: Path) -> list[tuple[object, ...]]:
    """All that the library holds, but for who has it open and what was used when."""
    with closing(sqlite3.connect(path)) as db:
        db.text_factory = bytes
        return [
            row
            for table, left_out in (("chats", {"holder", "updated"}), ("entries", {"writer"}))
            for columns in [
                [each[1].decode() for each in db.execute(f"PRAGMA table_info({table})")]
            ]
            for row in db.execute(
                "SELECT "
                + ", ".join(f"typeof({c}), {c}" for c in columns if c not in left_out)
                + f" FROM {table} ORDER BY id"
            )
        ]


def shoritui(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """What a command returns and prints."""
    code = main([*map(str, words)])
    shown = capsys.readouterr()
    assert all(c.isprintable() or c == "\n" for c in shown.out + shown.err)
    assert "Traceback" not in shown.err
    return code, shown.out, shown.err


@pytest.mark.parametrize("name", KINDS)
def test_every_command_reads_all_other_chats(
    damaged: Callable[[str], tuple[Damage, Path]],
    name: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    damage, path = damaged(name)
    before = cells(path) if name != "a damaged page" else []

    code, out, err = shoritui(capsys, "chats")
    assert (code, err) == (0, "") and "  First" in out and "  Last" in out
    assert len(out.splitlines()) == 4
    assert (re.search(damage.says, out) is not None) == damage.is_listed or not damage.says
    assert shoritui(capsys, "chats", "list", "--json")[0] == 0

    for chat, title in ((FIRST, "First"), (LAST, "Last")):
        code, out, err = shoritui(capsys, "chats", "show", chat)
        assert (code, err) == (0, "") and f"The end of {title}." in out
    if damage.chat >= 0:  # else it looks like an option
        code, out, err = shoritui(capsys, "chats", "show", damage.chat)
        if damage.says:
            assert (code, out) == (1, "") and re.search(damage.says, err) and err.count("\n") == 1
        else:
            assert code == 0 and not err and "Ada:" in out

    can_export = not damage.says and name != "an entry of no text beside the story"
    for form in ("blockml", "json", "sillytavern"):
        to = tmp_path / form
        code, out, err = shoritui(capsys, "chats", "export", "--all", "--to", to, "--format", form)
        assert len([*to.iterdir()]) == out.count(f"{to}/") == 2 + can_export
        assert code == (not can_export) and err.count("\n") == code
        assert can_export or re.search(damage.says or damage.check, err)

    code, out, err = shoritui(capsys, "chats", "check")
    expected = damage.check or damage.says
    if expected == "sound":
        assert (code, out, err) == (0, "The library is sound.\n", "")
    else:
        assert code == 1 and re.search(expected, out) and not err

    code, out, err = shoritui(capsys, "chats", "search", "whistle")
    assert (code, err) == (0, "") and "First" in out and "Last" in out
    if before and "written by" not in name:  # what its dead writer left is cut
        assert cells(path) == before


@pytest.mark.parametrize("name", KINDS)
def test_the_other_chats_are_written_on(
    damaged: Callable[[str], tuple[Damage, Path]], name: str
) -> None:
    damage, path = damaged(name)
    with closing(Library(path)) as library:
        library.tidy()
        for chat in (FIRST, LAST):
            assert library.claim(chat)
            try:
                library.append(chat, Draft("message", "Ada", "And on."))
            except UserError as error:  # once: it has been mended
                assert "search index" in str(error)
                library.append(chat, Draft("message", "Ada", "And on."))
            assert library.undo(chat) and library.redo(chat)
            assert [entry.text for entry in library.entries(chat)][-1] == "And on."
            library.save_draft(chat, "unsent")
            library.update_settings(chat, preset="other")
        new = library.create_chat(library.chat(FIRST).scene, "Bram")
        library.add_history("typed")
        assert new.id == 4 and library.entries(new.id) and library.history()[-1] == "typed"
        assert {hit.chat for hit in library.search("and on")} >= {FIRST, LAST}
        library.delete_chat(damage.chat)
        assert damage.chat in [chat.id for chat in library.summaries(deleted=True)]
        library.restore_chat(damage.chat)


@pytest.mark.parametrize("name", KINDS)
def test_plain_lines_open_the_other_chats(
    damaged: Callable[[str], tuple[Damage, Path]],
    name: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    damage, path = damaged(name)
    typed = "/open\n/open First\n/open Last\n/open 1\n/search whistle\n/search 1\n/quit\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    code, out, err = shoritui(capsys, "chat", "--linear", "--model", path.parent / "none.gguf")
    assert (code, err) == (0, "")
    assert "The end of First." in out and "The end of Last." in out
    assert not damage.says or re.search(damage.says, out)


def library_of(folder: Path, seed: int, sound: Path) -> tuple[Path, list[str]]:
    path = folder / "data" / "library.db"
    path.parent.mkdir(parents=True)
    shutil.copy(sound, path)
    random = Random(seed)
    return path, mutate(path, random, random.choice((1, 1, 1, 2, 5)))


@settings(max_examples=8)
@given(seed=st.integers(0, 2**32))
def test_any_cell_may_hold_anything(sound: Path, seed: int) -> None:
    with tempfile.TemporaryDirectory() as top, pytest.MonkeyPatch.context() as patch:
        patch.setenv(HOME_VARIABLE, top)
        path, done = library_of(Path(top), seed, sound)
        note(", ".join(done))
        for words in DOORS:
            patch.setattr(sys, "stdin", io.StringIO("/open\n/open 1\n/open 2\n/open 3\nx\n/quit\n"))
            out, err = io.StringIO(), io.StringIO()
            with redirect_stdout(out), redirect_stderr(err):
                code = main([*(word.format(top=top) for word in words)])
            assert code in (0, 1), words
            told = out.getvalue() + err.getvalue()
            assert "A fault in ShoriTUI" not in told, (words, told)
            assert all(c.isprintable() or c == "\n" for c in told), (words, told)
        use_everything(path)


def use_everything(path: Path) -> None:
    """Call every reading and writing act of a library; what fails is a sentence."""
    with suppress(UserError), closing(Library(path)) as library:
        for act in (
            library.tidy,
            library.check,
            library.last_chat,
            library.history,
            lambda: library.search("the"),
            lambda: library.add_history("x"),
            lambda: library.create_chat(SCENE, "Bram"),
        ):
            with suppress(UserError):
                act()
        for chat in [each.id for each in (*library.summaries(), *library.summaries(deleted=True))]:
            for read in (
                *(library.chat, library.tree, library.bin, library.draft, library.whole_chat),
                *(library.version_counts, library.next_undo_redo, library.claim, library.touch),
                *(library.undo, library.redo, library.erase_untouched, library.delete_chat),
                *(library.restore_chat, library.let_go),
                lambda chat: library.tail(chat, 6),
                lambda chat: library.append(chat, Draft("message", "Ada", "And on.")),
                lambda chat: library.copy_chat(chat, "A copy"),
                lambda chat: library.set_tags(chat, ["a"]),
                lambda chat: library.choose(chat, "instruction", "x", "Change it"),
            ):
                with suppress(UserError):
                    read(chat)
            with suppress(UserError):
                for entry in library.entries(chat)[-3:]:
                    for change in (
                        *(library.versions, library.merge, library.restore),
                        lambda entry: library.hide(entry, True),
                        lambda entry: library.move(entry, up=True),
                        lambda entry: library.split(entry, 3),
                        lambda entry: library.delete([entry]),
                        lambda entry: library.add_version(
                            entry, Draft("message", "Ada", "x"), keep=True, act="Edit a message"
                        ),
                    ):
                        with suppress(UserError):
                            change(entry.id)


DOORS = (
    *(("chats",), ("chats", "list", "--json"), ("chats", "list", "--bin"), ("chats", "check")),
    *(("chats", "show", "1"), ("chats", "show", "2", "--json"), ("chats", "search", "whistle")),
    *(("chats", "search", "a", "--json"), ("chats", "restore"), ("chats", "backup")),
    *(
        ("chats", "export", "--all", "--to", "{top}/" + form, "--format", form)
        for form in ("json", "blockml")
    ),
    ("chats", "export", "--preferences", "--yes", "-o", "{top}/preferences.jsonl"),
    ("export", "--all", "{top}/all"),
    ("chat", "--linear", "--model", "{top}/none.gguf"),
)


def test_a_backup_keeps_what_is_damaged_as_it_is(sound: Path, tmp_path: Path) -> None:
    path = tmp_path / "library.db"
    for name in ("a text that is not UTF-8", "a scene nested too deep", "a long circle"):
        shutil.copy(sound, path)
        KINDS[name].do(path)
        before = cells(path)
        copy = back_up(path, "by-hand")
        path.unlink()
        restore(path, copy)
        assert cells(path) == before


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE entries SET text = CAST(x'ff' AS TEXT) WHERE chat = 2",
        "UPDATE entries SET parent = id WHERE chat = 2",
        "UPDATE entries SET parent = 1, kind = x'ff', speaker = 5 WHERE chat = 2",
        "UPDATE chats SET scene = '{', settings = x'ff' WHERE id = 2",
        "UPDATE chats SET head = 999, name = x'ff' WHERE id = 2",
    ],
)
def test_an_older_library_is_brought_up_to_date_with_its_damaged_rows(
    tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "library.db"
    with closing(sqlite3.connect(path)) as old:
        old.executescript(FORMAT_1)
        for chat in (1, 2):
            old.execute(
                "INSERT INTO chats VALUES (?, 'Old', ?, 'Bram', NULL, '{}', 5.0, 6.0)",
                (chat, card_to_json(SCENE)),
            )
            old.execute(
                "INSERT INTO entries VALUES "
                "(?1, ?1, NULL, 'message', 'Ada', NULL, 'Hm.', 'complete', NULL, 5.5, 2)",
                (chat,),
            )
            old.execute("UPDATE chats SET head = id WHERE id = ?", (chat,))
        old.execute(damage)
        old.commit()
    with closing(Library(path)) as library:
        assert [entry.text for entry in library.entries(1)] == ["Hm."]
        assert library.append(1, Draft("message", "Ada", "And on.")).parent == 1
        assert len(library.summaries()) == 2 and library.check()
        with pytest.raises(UserError, match=r"damaged|cannot be opened|beginning"):
            library.whole_chat(2)


@pytest.mark.parametrize(
    "name", ["an entry that follows one of another chat", "a last entry of another chat"]
)
def test_a_damaged_chat_keeps_no_other_one_in_the_bin(
    sound: Path, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "library.db"
    shutil.copy(sound, path)
    KINDS[name].do(path)
    with closing(Library(path)) as library:
        library.delete_chat(FIRST)
        library.erase_chats([FIRST])
        assert library.summaries(deleted=True) == []
        assert [chat.id for chat in library.summaries()] == [BROKEN, LAST]
