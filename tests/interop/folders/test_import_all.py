"""A SillyTavern folder comes in once, is told file by file, and goes back into the bin."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.cards import card_folders, lore_folder, persona_folder
from shoritui.errors import UserError
from shoritui.interop.folders import (
    Found,
    Import,
    Outcome,
    Progress,
    pasted_paths,
    rows_of,
    summary,
    take_back,
)
from shoritui.story import Draft, Library
from tests.benchmarks._tavern import card_png, write_tavern
from tests.commands.process import shoritui


@pytest.fixture
def tavern(tmp_path: Path) -> Path:
    """Three cards, four stories, a group, two lorebooks, and what is none of our business."""
    root = tmp_path / "SillyTavern/data/default-user"
    write_tavern(root, cards=3, chats=4, lorebooks=2, size=20_000)
    group = {
        "name": "The quay",
        "chat_id": "77",
        "members": ["Person 0.png", "Person 1.png", "../secrets.json"],
        "chats": ["77"],
    }
    (root / "groups/5.json").write_text(json.dumps(group), encoding="utf-8")
    lines = [
        {"name": "Person 0", "is_user": False, "mes": "So."},
        {"name": "Ada", "is_user": True, "mes": "Yes."},
    ]
    (root / "group chats/77.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    (root / "User Avatars/me.png").write_bytes(_bare_png())
    (root / "settings.json").write_text('{"theme": "dark"}', encoding="utf-8")
    (root / "style.css").write_text("body: red\nhead: blue\n", encoding="utf-8")
    (root / ".hidden").mkdir()
    return root


def _bare_png() -> bytes:
    picture = card_png({})
    return picture[: picture.index(b"tEXt") - 4] + b"\0\0\0\0IEND\xaeB`\x82"


def _run(library: Library, *paths: Path) -> Import:
    work = Import(paths)
    list(work.run(library))
    return work


def _left(work: Import) -> dict[str, str]:
    return {e.found.shown: " ".join(e.notes) for e in work.outcomes if e.status == "left"}


def test_a_whole_folder_comes_in(library: Library, tavern: Path) -> None:
    work = _run(library, tavern)
    assert summary(work.outcomes) == (
        "Imported: 3 cards, 2 lorebooks, 5 stories, 1 group; 3 files left."
    )
    assert len([*card_folders()[0].glob("*.toml")]) == 3
    assert len([*lore_folder().glob("*.toml")]) == 2
    left = _left(work)
    assert left.keys() == {"User Avatars/me.png", "settings.json", "style.css"}
    assert left["User Avatars/me.png"] == "it is a picture without a character card"
    assert dict(work.skipped) == {
        "hidden": 1,
        "folders of copies and code": 2,
        "keys of other services": 1,
    }
    rows = rows_of(work.outcomes, work.skipped)
    assert ("characters/Person 0.png", "card person-0") in rows
    assert ("groups/5.json", "group · its stories are here") in rows
    assert any(row[0] == "style.css" for row in rows)


def test_stories_know_their_cards(library: Library, tavern: Path) -> None:
    _run(library, tavern)
    chats = {each.name: library.chat(each.id) for each in library.summaries()}
    group = next(chat for name, chat in chats.items() if name == "The quay")
    names = [each.name for each in group.scene.characters]
    assert (*names[:2], names[-1]) == ("Person 0", "Person 1", "Ada")
    assert all(each.description for each in group.scene.characters[:2])
    single = next(chat for name, chat in chats.items() if name.startswith("Person 2"))
    orla, ada = single.scene.characters
    assert orla.name == "Person 2" and orla.description and len(single.scene.lore) == 5
    assert ada.user and single.user == "Ada"
    assert Path(single.scene.source).name == "person-2.toml"


def _small_tavern(root: Path, cards: dict[str, str], chats: dict[str, list[str]]) -> Path:
    """Write cards by their files, whose names they have, and chats by their speakers."""
    for file, name in cards.items():
        (root / "characters").mkdir(parents=True, exist_ok=True)
        data = {"name": name, "description": "{{char}} is kind.", "first_mes": "So."}
        data["scenario"] = "{{user}} comes to {{char}}."
        book = {"entries": [{"keys": [name], "content": f"{{{{char}}}} of {file}."}]}
        card = {"spec": "chara_card_v2", "data": {**data, "character_book": book}}
        (root / f"characters/{file}.png").write_bytes(card_png(card))
    for file, names in chats.items():
        path = root / f"{file}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines: list[object] = [{"user_name": "Ada", "character_name": names[0]}]
        lines += [{"name": each, "is_user": False, "mes": "Hm."} for each in names]
        path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return root


def test_each_card_of_a_group_speaks_of_its_own_character(library: Library, tmp_path: Path) -> None:
    cards = {"orla": "Orla", "mira": "Mira"}
    _run(library, _small_tavern(tmp_path, cards, {"group chats/1": ["orla", "Mira"]}))
    [chat] = [library.chat(each.id) for each in library.summaries()]
    assert chat.scene.scenario == "Ada comes to orla.\n\nAda comes to Mira."
    assert [each.text for each in chat.scene.lore] == ["orla of orla.", "Mira of mira."]
    described = [each.description for each in chat.scene.characters if not each.user]
    assert [text.partition("\n")[0] for text in described] == ["orla is kind.", "Mira is kind."]


def test_a_chat_finds_its_card_under_another_files_name(library: Library, tmp_path: Path) -> None:
    cards = {"default_Orla": "Orla", "one": "Mira", "two": "Mira"}
    chats = {f"chats/{name}/a": [name] for name in ("Orla", "Mira", "Nobody")}
    work = _run(library, _small_tavern(tmp_path, cards, chats))
    found = {each.name: library.chat(each.id) for each in library.summaries()}
    whose = {c.scene.characters[0].name: c.scene.characters[0].description for c in found.values()}
    notes = {each.found.shown: each.notes for each in work.outcomes if each.kind == "story"}
    assert notes == {
        "chats/Mira/a.jsonl": ("2 cards are called Mira, so it has none",),
        "chats/Nobody/a.jsonl": ("no card of Nobody is in `characters`",),
        "chats/Orla/a.jsonl": (),
    }
    orla = next(each for each in library.summaries() if library.chat(each.id).scene.lore)
    assert library.chat(orla.id).scene.characters[0].description.startswith("Orla is kind.")
    assert whose["Mira"] == whose["Nobody"] == ""


def test_personas_come_in_and_are_told_in_their_stories(library: Library, tavern: Path) -> None:
    personas: dict[str, object] = {"me.png": "Ada", "x.png": "Bo", "odd": 5}
    described = {"me.png": {"description": "A baker."}, "x.png": "Tall."}
    settings = {"power_user": {"personas": personas, "persona_descriptions": described}}
    (tavern / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    work = _run(library, tavern)
    made = next(each for each in work.outcomes if each.kind == "persona")
    assert (made.name, made.sentences) == ("ada and bo", "2 personas: Ada, Bo.")
    chat = next(library.chat(e.id) for e in library.summaries() if e.name.startswith("Person 2"))
    assert (chat.scene.characters[-1].name, chat.scene.characters[-1].description) == (
        *("Ada", "A baker."),
    )
    personas["y.png"] = "Ada"  # SillyTavern writes it every day
    (tavern / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    assert _left(_run(library, tavern))["settings.json"] == "its personas are here already"
    take_back(library)
    assert not [*persona_folder().glob("*.toml")]


def test_branches_come_in_as_one_story(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "chats/Orla"
    folder.mkdir(parents=True)
    lines = [{"name": "Orla", "is_user": False, "mes": each} for each in ("So.", "Well?", "No.")]
    head = {"user_name": "Ada", "character_name": "Orla", "chat_metadata": {"main_chat": "quay"}}
    (folder / "quay.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    branch = [head, *lines[:2], {"name": "Orla", "is_user": False, "mes": "Yes."}]
    (folder / "b.jsonl").write_text("\n".join(map(json.dumps, branch)), encoding="utf-8")
    work = _run(library, tmp_path)
    assert summary(work.outcomes) == "Imported: 1 story, 1 branch."
    assert summary(_run(library, folder).outcomes).endswith("2 files already here.")
    (back,) = take_back(library)[0]
    assert back.chat and library.summaries() == []


def test_every_chat_of_a_file_comes_in_and_goes_again(library: Library, tmp_path: Path) -> None:
    chats = [{"message": [{"role": "char", "data": each}]} for each in ("So.", "Well?")]
    found = {"type": "risuAllChats", "ver": 2, "data": chats}
    (tmp_path / "Orla_all_chats_2024-10-18T2052.json").write_text(json.dumps(found))
    (outcome,) = _run(library, tmp_path).outcomes
    assert len(outcome.chats) == 2 and outcome.name.count("Orla, ") == 2
    assert _run(library, tmp_path).outcomes[0].status == "known"
    take_back(library)
    assert library.summaries() == []


def test_nothing_comes_in_twice(library: Library, tavern: Path) -> None:
    _run(library, tavern)
    again = _run(library, tavern.parent.parent, tavern / "characters")
    assert summary(again.outcomes) == (
        "Imported: nothing new; 11 files already here; 3 files left."
    )
    assert rows_of(again.outcomes, again.skipped)[0] == ("LEFT", "WHY")
    assert len(library.summaries()) == 5
    (known,) = _run(library, tavern / "characters/Person 1.png").outcomes
    assert known.sentences == "Person 1.png is already here: card person-1."


def test_what_was_deleted_comes_in_again(library: Library, tavern: Path) -> None:
    _run(library, tavern)
    library.delete_chat(library.summaries()[0].id)
    (card_folders()[0] / "person-1.toml").unlink()
    again = _run(library, tavern)
    assert summary(again.outcomes).startswith("Imported: 1 card, 1 story;")


def test_an_import_is_taken_back_and_made_again(library: Library, tavern: Path) -> None:
    _run(library, tavern / "worlds")
    _run(library, tavern)
    chats = library.summaries()
    library.append(chats[0].id, Draft("message", "Ada", "Wait."))
    (changed := card_folders()[0] / "person-1.toml").write_text(
        '[[character]]\nname = "Mine"\n', encoding="utf-8"
    )
    done, folder = take_back(library)
    assert {each.kept for each in done} == {"", "you have gone on with it", "you have changed it"}
    assert [each.id for each in library.summaries()] == [chats[0].id]
    assert {each.id for each in library.summaries(deleted=True)} == {e.id for e in chats[1:]}
    assert [*card_folders()[0].glob("*.toml")] == [changed]
    assert changed.with_suffix(".json").is_file()  # what belongs to it stays with it
    assert sorted(each.name for each in folder.glob("*.toml")) == [
        "characters-person-0.toml",
        "characters-person-2.toml",
    ]
    assert len([*lore_folder().glob("*.toml")]) == 2  # they are of the import before
    again = _run(library, tavern)
    assert summary(again.outcomes).startswith(
        "Imported: 2 cards, 4 stories, 1 group; 4 files already"
    )
    take_back(library)
    take_back(library)
    assert not [*lore_folder().glob("*.toml")]
    with pytest.raises(UserError, match="no import to take back"):
        take_back(library)


def test_a_stopped_import_keeps_what_is_in(library: Library, tavern: Path) -> None:
    work = Import([tavern])
    for progress in work.run(library):
        if progress.place == 4:
            work.stop()
    assert len(work.outcomes) == 4
    assert summary(work.outcomes, is_stopped=True).startswith("Stopped; what is in stays in. ")
    before = sum(each.status == "new" for each in work.outcomes)
    rest = _run(library, tavern)
    assert sum(each.status == "new" for each in rest.outcomes) == 11 - before
    assert sum(each.status == "known" for each in rest.outcomes) == before


def test_progress_counts_bytes(library: Library, tavern: Path) -> None:
    steps: list[Progress] = list(Import([tavern]).run(library))
    assert [each.done for each in steps] == sorted(each.done for each in steps)
    assert steps[-1].done == steps[-1].total and steps[-1].place == steps[-1].count


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are none on this system")
def test_links_and_special_files_are_passed_over(library: Library, tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    (outside / "orla.png").write_bytes(card_png({"name": "Orla", "description": "Old."}))
    root.mkdir()
    (root / "loop").symlink_to(root)
    (root / "orla.png").symlink_to(outside / "orla.png")
    (root / "deeper").symlink_to(outside)
    os.mkfifo(root / "pipe")
    deep = root
    for _ in range(20):
        deep /= "d"
    deep.mkdir(parents=True)
    (deep / "orla.png").write_bytes((outside / "orla.png").read_bytes())
    work = _run(library, root)
    assert work.outcomes == []
    assert dict(work.skipped) == {"links": 3, "special files": 1, "folders too deep": 1}


@pytest.mark.parametrize("name", ["none", "pipe"])
def test_a_path_that_is_none_is_said(library: Library, tmp_path: Path, name: str) -> None:
    if name == "pipe":
        os.mkfifo(tmp_path / name)
    with pytest.raises(UserError, match=name):
        _run(library, tmp_path / name)


def test_a_broken_journal_is_read_as_far_as_it_goes(library: Library, tavern: Path) -> None:
    _run(library, tavern / "worlds")
    journal = library.path.with_name("imports.jsonl")
    journal.write_bytes(b"\xff{]\n" + journal.read_bytes() + b'{"batch": "half')
    again = _run(library, tavern)
    assert sum(each.status == "known" for each in again.outcomes) == 2
    assert sum(e.status == "known" for e in _run(library, tavern).outcomes) == 11
    assert journal.stat().st_mode & 0o077 == 0


@pytest.fixture
def full_disk() -> Callable[[int], AbstractContextManager[None]]:
    """Let no file of this process grow beyond so many bytes, as on a disk that is full."""
    resource = pytest.importorskip("resource")

    @contextmanager
    def limited(most: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited


def test_on_a_full_disk_nothing_half_written_stays(
    library: Library,
    tmp_path: Path,
    full_disk: Callable[[int], AbstractContextManager[None]],
) -> None:
    card = {"name": "Orla", "description": "Old.", "first_mes": "Hm.", "other": "x" * 3_000_000}
    (tmp_path / "orla.json").write_text(json.dumps(card), encoding="utf-8")
    with full_disk(2_000_000), pytest.raises(UserError, match=r"orla\.json was not imported: "):
        _run(library, tmp_path / "orla.json")
    assert not [*card_folders()[0].iterdir()]
    (new,) = _run(library, tmp_path / "orla.json").outcomes
    assert (new.status, new.name) == ("new", "orla")


def test_on_a_full_disk_an_import_is_taken_back_later(
    library: Library, tavern: Path, full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    _run(library, tavern)
    with full_disk(1), pytest.raises(UserError, match="not wholly taken back") as error:
        take_back(library)
    assert "undo again to go on" in str(error.value)
    done, _ = take_back(library)
    assert len(done) == 10 and not any(each.kept for each in done)
    assert not library.summaries() and not [*card_folders()[0].glob("*.toml")]
    with pytest.raises(UserError, match="no import to take back"):
        take_back(library)


def test_one_import_at_a_time(library: Library, tavern: Path) -> None:
    steps = Import([tavern]).run(library)
    next(steps)
    home = library.path.parent.parent
    for words in (["import", tavern], ["import", "--undo"]):
        other = shoritui(*words, home=home)
        assert other.returncode == 1
        assert other.stderr.startswith("shoritui: Another import is under way in this library")
    list(steps)
    assert "11 files already here" in shoritui("import", tavern, home=home).stdout


@pytest.mark.parametrize("kind", ["a pipe", "a folder", "a text"])
@pytest.mark.parametrize("name", ["imports.jsonl", "imports.lock"])
def test_a_file_of_imports_that_is_none_is_named(
    kind: str, name: str, library: Library, tavern: Path
) -> None:
    file = library.path.with_name(name)
    if kind == "a text":
        file.write_text("Hello.\n")
    else:
        os.mkfifo(file) if kind == "a pipe" else file.mkdir()
    done = shoritui("import", tavern, home=library.path.parent.parent)
    if (kind, name) == ("a text", "imports.jsonl"):  # a broken line of it
        assert done.returncode == 0
    else:
        assert done.returncode == 1
        assert done.stderr.startswith(f"shoritui: {file} cannot be ")


def test_a_lock_of_imports_that_is_a_broken_link_is_named(library: Library, tavern: Path) -> None:
    file = library.path.with_name("imports.lock")
    file.symlink_to("gone/imports.lock")
    done = shoritui("import", tavern, home=library.path.parent.parent)
    assert (done.returncode, done.stderr) == (
        1,
        f"shoritui: {file} is a link that leads nowhere: move it away.\n",
    )


def test_many_left_for_one_reason_are_one_row() -> None:
    outcomes = [Outcome(found, "left", notes=("no",)) for found in _founds(5)]
    assert rows_of(outcomes, {}) == [
        ("LEFT", "WHY"),
        ("f0, and 4 more", "no"),
    ]


def _founds(count: int) -> list[Found]:
    return [Found(Path(f"f{each}"), f"f{each}", 1, is_named=False) for each in range(count)]


def test_a_dropped_path_is_known_in_every_spelling(tmp_path: Path) -> None:
    file = tmp_path / "Orla's card (1).png"
    file.touch()
    escaped = str(file).replace(" ", "\\ ").replace("'", "\\'").replace("(", "\\(")
    quoted = "'" + str(file).replace("'", "'\\''") + "'"
    for written in (str(file), f" {file}\n", escaped, quoted, f'"{file}"', file.as_uri()):
        assert pasted_paths(written) == [file]
    assert pasted_paths(str(tmp_path)) == [tmp_path]
    for written in (f"{quoted} {escaped}", f"{file.as_uri()}\n{file}"):
        assert pasted_paths(written) == [file, file]
    for text in (
        f"Look at {file}",
        f"{file} and more",
        f"{quoted} no",
        "Orla's card (1).png",
        str(tmp_path / "none.png"),
        "file://elsewhere/etc/passwd",
        "/",
        "/\0",
        "",
    ):
        assert pasted_paths(text) == []


@given(st.text())
def test_no_text_is_too_odd_to_be_none(text: str) -> None:
    assert pasted_paths(f"nothing {text}") == []
    pasted_paths(text)
