"""Files of conversations: what they may look like, and the sentence about a mistake in one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.blockml import Block, Instruction, Part, render_all
from shoritui.errors import UserError
from shoritui.finetune.config.model import Config, Source
from shoritui.finetune.data.conversations import Conversation, find, read
from tests.finetune.data.strategies import conversation, parts

HELLO = [Block("title", "A lamp"), Block("message", '"Hello."', "Ada", "nano")]
ANSWER = [Block("message", "_Hm._", "Bram")]


def written(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def config(folder: Path, *sources: Source) -> Config:
    return Config(folder / "finetune.toml", (), sources=sources)


def read_one(folder: Path, name: str, text: str | bytes) -> list[Conversation]:
    return read(config(folder), [written(folder, name, text)])


def sentence(folder: Path, name: str, text: str | bytes) -> str:
    with pytest.raises(UserError) as raised:
        read_one(folder, name, text)
    told = str(raised.value)
    assert told.startswith(name) and "\n" not in told and "\x1b" not in told
    return told


@given(st.lists(parts, min_size=1, max_size=4))
def test_what_is_rendered_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, told: list[list[Part]]
) -> None:
    folder = tmp_path_factory.mktemp("data")
    text = "---\n".join(map(render_all, told))
    objects = "\n".join(json.dumps({"text": render_all(parts)}) for parts in told)
    for name, content in (("a.txt", text), ("a.blockml", text), ("a.jsonl", objects)):
        assert [list(one.parts) for one in read_one(folder, name, content)] == told


def test_each_part_knows_its_line(tmp_path: Path) -> None:
    text = render_all(HELLO) + "\n---\n\n" + render_all([*ANSWER, Instruction("Go\non.")])
    first, second = read_one(tmp_path, "low/a.txt", text)
    assert (first.source, first.lines) == ("low/a.txt:1", (1, 3))
    assert (second.source, second.lines) == ("low/a.txt:8", (8, 10))
    lines = text.split("\n")
    assert [lines[line - 1][:5] for line in (*first.lines, *second.lines)] == [
        *("▀titl", "▀mess", "▀mess", "[INST")
    ]


def test_a_line_of_dashes_separates_only_outside_of_blocks(tmp_path: Path) -> None:
    scene = Block("message", "He left.\n---\nNight fell.", "Ada")
    note = Instruction("one\n---\ntwo")
    told = read_one(tmp_path, "a.txt", f"---\n{render_all([scene, note])}-----\n---\n")
    assert [one.parts for one in told] == [(scene, note)]


def test_a_file_of_another_system_reads_the_same(tmp_path: Path) -> None:
    text = "﻿" + render_all(HELLO).replace("\n", "\r\n")
    assert [list(one.parts) for one in read_one(tmp_path, "a.txt", text)] == [HELLO]


def test_fields_make_the_blocks_of_a_conversation(tmp_path: Path) -> None:
    fields = {
        "title": "A lamp",
        "tags": ["night", "sea"],
        "lore": "Lamps burn oil.",
        "descriptions": [{"name": "Ada", "text": "Patient."}, "**Name:** Bram"],
        "scenario": "It goes out.",
        "instruction": "Be brief.",
        "messages": [{"name": "Ada", "text": "Hm.", "length": "nano"}, {"name": "B", "text": ""}],
    }
    (told,) = read_one(tmp_path, "a.jsonl", "\n" + json.dumps(fields) + "\n")
    assert told.parts == (
        Block("title", "A lamp"),
        Block("tags", "night, sea"),
        Block("lore", "Lamps burn oil."),
        Block("description", "Ada\nPatient."),
        Block("description", "**Name:** Bram"),
        Block("scenario", "It goes out."),
        Instruction("Be brief."),
        Block("message", "Hm.", "Ada", "nano"),
        Block("message", "", "B"),
    )
    assert (told.source, set(told.lines)) == ("a.jsonl:2", {2})


def test_text_is_as_clean_as_in_a_chat(tmp_path: Path) -> None:
    text = "▀message\nAda: a\tb\x1b[31m\x07▄\n▀title\n\u202eevil▄\n"
    (told,) = read_one(tmp_path, "a.txt", text)
    assert told.parts == (Block("message", "a    b", "Ada"), Block("title", "evil"))


@pytest.mark.parametrize(
    ("name", "text", "place", "words"),
    [
        ("a.txt", "▀title\nA▄\n---\n\n▀mesage\nAda: x▄\n", "a.txt:5:", "did you mean message?"),
        ("a.txt", "▀title\nA▄\n▀message\nAda: x\n▀title\nB▄\n---\n", "a.txt:3:", "never closed"),
        ("a.txt", "▀title\nA▄\nloose\n", "a.txt:3:", "outside of any block"),
        ("a.txt", "▀message (length: big)\nAda: x▄\n", "a.txt:1:", "unknown length hint"),
        ("a.txt", "▀title\nA▄\n▀message\n: x▄\n", "a.txt:3", "a name must not be empty"),
        ("a.txt", "▀message\n\x1b[31mA: x▄\n", "a.txt:1", "control characters"),
        ("a.txt", b"\xe2\x96\x80title\nA\n\xff", "a.txt:3", "not UTF-8"),
        ("a.txt", b"", "a.txt", "nothing in it"),
        ("a.txt", "---\n---\n", "a.txt", "nothing in it"),
        ("a.jsonl", b"\n\n", "a.jsonl", "nothing in it"),
        ("a.json", b"", "a.json", "nothing in it"),
        ("a.txt", "▀title\nA▄\n▀title\nB\0\0▄\n", "a.txt:4", "NUL"),
        ("a.jsonl", '{"text": "▀title\\nA▄"}\n\0\0\n', "a.jsonl:2", "NUL"),
        ("a.jsonl", '{"messages": []}\n', "a.jsonl:1", "none"),
        ("a.jsonl", '\n{"messages": [}\n', "a.jsonl:2", "not JSON"),
        ("a.jsonl", "[" * 100_000, "a.jsonl:1", "nested more than 100 levels deep"),
        ("a.jsonl", "[1]", "a.jsonl:1", "expected a JSON object"),
        ("a.jsonl", '{"messages": "\\ud83d"}', "a.jsonl:1", "messages: expected a list, not text"),
        ("a.json", '[{"messages": "\\ud83d"}]', "a.json:1", "messages: expected a list, not text"),
        ("a.jsonl", '{"title": "x"}', "a.jsonl:1", "`messages`"),
        ("a.jsonl", '{"messages": [], "titel": "x"}', "a.jsonl:1", "did you mean 'title'?"),
        ("a.jsonl", '{"text": "", "title": "x"}', "a.jsonl:1", "unknown key 'title'"),
        ("a.jsonl", '{"text": "▀title▄"}', "a.jsonl:1", "in its text, line 1"),
        ("a.jsonl", '{"text": " "}', "a.jsonl:1", "no block"),
        ("a.jsonl", '{"messages": [{"name": "A"}]}', "a.jsonl:1", "messages[0]"),
        ("a.jsonl", '{"messages": [{"name": "A", "text": 1}]}', "a.jsonl:1", "messages[0].text"),
        ("a.jsonl", '{"messages": [{"name": "A:", "text": ""}]}', "a.jsonl:1", "a colon"),
        (
            "a.jsonl",
            '{"messages": [{"name": "A", "text": "", "length": "big"}]}',
            "a.jsonl:1",
            "length",
        ),
        ("a.jsonl", '{"\\u001b[31m": 1, "text": ""}', "a.jsonl:1", "unknown key"),
    ],
)
def test_a_mistake_is_told_with_its_line(
    tmp_path: Path, name: str, text: str | bytes, place: str, words: str
) -> None:
    told = sentence(tmp_path, name, text)
    assert place in told and words in told


def test_tags_decide_which_conversations_are_wanted(tmp_path: Path) -> None:
    tagged = render_all([Block("tags", "Night,  at   sea , "), *HELLO])
    file = written(tmp_path, "a.txt", f"{tagged}---\n{render_all(ANSWER)}")
    assert read(config(tmp_path), [file])[0].tags == {"Night", "at sea"}
    assert len(read(config(tmp_path), [file], lambda tags: "at sea" not in tags)) == 1


def test_globs_are_read_once_and_in_order(tmp_path: Path) -> None:
    files = [written(tmp_path, f"data/{name}", "") for name in ("a/1.txt", "a/2.jsonl", "b.txt")]
    written(tmp_path, "data/a/.DS_Store", b"\0")
    assert find(tmp_path, ["data/**/*.txt", "data/a/*"]) == files
    assert find(tmp_path / "data", ["../data/a/*.txt"])[0].read_bytes() == b""
    assert find(tmp_path, [str(tmp_path / "data/b.*")]) == [files[2]]
    (tmp_path / "data/notes.pdf").touch()
    for pattern, words in (("nothing/*", "no file"), ("data/*", ".pdf"), ("", "glob")):
        with pytest.raises(UserError, match=words):
            find(tmp_path, [pattern])


def test_nothing_in_a_folder_of_data_is_passed_over(tmp_path: Path) -> None:
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    first = written(data, "a.txt", "")
    inner = written(elsewhere, "b.txt", "")
    (data / "linked").symlink_to(elsewhere, target_is_directory=True)
    (elsewhere / "round").symlink_to(data, target_is_directory=True)
    for pattern in ("data", "data/*"):
        assert find(tmp_path, [pattern]) == [first, data / "linked" / inner.name]
    for name, put, words in (
        ("gone.txt", lambda path: path.symlink_to("nowhere"), "leads nowhere"),
        ("gone", lambda path: path.symlink_to("nowhere"), "leads nowhere"),
        ("sub/round.txt", lambda path: path.symlink_to(path), "leads nowhere"),
        ("pipe.txt", os.mkfifo, "no plain file"),
        ("sub/c.jsonl.gz", Path.touch, "unpack it"),
    ):
        path = data / name
        path.parent.mkdir(exist_ok=True)
        put(path)
        for pattern in ("data", "data/*"):
            with pytest.raises(UserError, match=f"data/{name}, which .* {words}"):
                find(tmp_path, [pattern])
        path.unlink()


def test_the_digest_is_of_what_is_said() -> None:
    said = Block("message", "Good   day.\n", "Ada", "nano")
    same = Block("message", "good day.", "Ada")
    here = conversation(Block("title", "A"), said).digest()
    assert here == conversation(Block("tags", "x"), same, file="b.txt").digest()
    assert here != conversation(Block("message", "good day.", "Bram")).digest()
    assert conversation(Block("lore", "a")).digest() != conversation(Block("lore", "b")).digest()
