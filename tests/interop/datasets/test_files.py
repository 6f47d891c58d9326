"""Files of any size and of any text: read once, record by record, and never more than linear."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.blockml import Block, parse, render_all
from shoritui.interop.datasets import Found, Read, Reading, Unusable, conversations_in, files
from tests.interop.datasets import formats
from tests.interop.datasets.test_formats import WHO, found, read

TALK = [("Mara", "Hm."), ("Ilse", "Oh.")]


@given(
    st.lists(st.binary(max_size=40) | st.sampled_from([b'{"messages": [', b"[{", b"]", b"\n"])),
    st.sampled_from(["a.jsonl", "a.json", "a.txt", "a.yaml", "a.log"]),
)
def test_any_file_is_conversations_or_sentences(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], name: str
) -> None:
    for each in read(tmp_path_factory.mktemp("data"), name, b"".join(pieces)):
        if isinstance(each, Unusable):
            assert str(each) and each.line >= 0
        else:
            assert parse(render_all(each.parts)) == list(each.parts)


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                (
                    *("messages", "conversations", "from", "role", "value", "content", "name"),
                    *("text", "instruction", "output", "history", "names", "personas", "system"),
                    "weight",
                )
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(st.lists(_json, max_size=4))
def test_any_json_is_conversations_or_sentences(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any]
) -> None:
    folder = tmp_path_factory.mktemp("data")
    for name, text in (("a.jsonl", formats.lines(rows)), ("a.json", json.dumps(rows))):
        for each in read(folder, name, text):
            if isinstance(each, Found):
                assert parse(render_all(each.parts)) == list(each.parts)


def test_hostile_text_is_as_clean_as_in_a_chat(tmp_path: Path) -> None:
    text = "a\tb\x1b[31m\x07 \u202e▀title\nno▄ [/INST]"
    (each,) = found(tmp_path, "a.jsonl", formats.lines([formats.messages([("Mara", text)])]))
    assert each.parts == (Block("message", "a    b ▀title\nno▄ [/INST]", "Mara"),)
    assert parse(render_all(each.parts)) == list(each.parts)
    names = [("A:\x1b[31mda▄", "Hm."), ("\x00", "Oh.")]
    rows = [{"from": name, "value": text} for name, text in names]
    (told,) = read(tmp_path, "a.jsonl", json.dumps({"conversations": rows[:1]}))
    assert isinstance(told, Found) and told.parts == (Block("message", "Hm.", "A da"),)
    (told,) = read(tmp_path, "a.jsonl", json.dumps({"conversations": rows}))
    assert isinstance(told, Unusable) and "nobody can be called" in str(told)


def test_half_a_character_and_bytes_that_are_none(tmp_path: Path) -> None:
    rows = formats.lines([formats.messages(TALK)])
    (each, error) = read(tmp_path, "a.jsonl", rows.encode() + b'{"messages": "\xff"}')
    assert isinstance(each, Found) and isinstance(error, Unusable)
    assert (error.line, str(error)) == (2, "it is not UTF-8 text: save it as UTF-8")
    (each, error) = read(tmp_path, "a.json", b"[\n" + rows.encode() + b",\n\xff]")
    assert isinstance(error, Unusable) and "UTF-8" in str(error)
    half = '[{"messages": [{"role": "Mara", "content": "\\ud83d"}]}]'
    (each,) = found(tmp_path, "a.json", half)
    assert each.parts == (Block("message", "�", "Mara"),)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('[\n{"messages": []},\n{"messages"}\n]', 3, "not JSON"),
        ('[\n{"messages": []}\n{"messages": []}]', 3, "expected , or ]"),
        ('[\n{"messages": []},\n', 3, "ends within its list"),
        ("[]\n\nx", 3, "expected the end of the file"),
        ('[{"messages": [{"role": "user", "content": "x', 1, "not JSON"),
        ("[" * 100_000, 1, "nested too deeply"),
        ("", 0, "nothing in it"),
        ("[]", 0, "nothing in it"),
        ('[\n{"messages": []},\n\0\0', 3, "NUL"),
    ],
)
def test_what_is_wrong_with_a_document_is_told_with_its_line(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    *_, error = read(tmp_path, "a.json", text)
    assert isinstance(error, Unusable)
    assert (error.line, words in str(error)) == (line, True), str(error)


def test_a_broken_chat_of_our_own_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "two.jsonl"
    path.write_text('{"text": "▀message\\nMara: Hm.▄"}\n{"format": "shoritui-chat"}\n', "utf-8")
    good, broken = conversations_in(path, Reading())
    assert isinstance(good, Found) and isinstance(broken, Unusable)
    assert broken.line == 2


def test_a_conversation_too_large_for_anybody_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LARGEST", 100_000)
    record = formats.messages([("Mara", "x" * 200_000), ("Ilse", "Oh.")])
    for name, text in (("a.jsonl", formats.lines([record])), ("a.json", json.dumps([record]))):
        (error,) = read(tmp_path, name, text)
        assert isinstance(error, Unusable)


class _Counted:
    """A decoder that counts the characters it is asked to look at."""

    def __init__(self, decoder: json.JSONDecoder) -> None:
        self._decoder = decoder
        self.seen = 0

    def raw_decode(self, text: str, at: int) -> Any:
        try:
            value, end = self._decoder.raw_decode(text, at)
        except ValueError:
            self.seen += len(text) - at
            raise
        self.seen += end - at
        return value, end


def work(monkeypatch: pytest.MonkeyPatch, path: Path, reading: Reading) -> tuple[int, int]:
    """How many characters are decoded for a file, and the most that are held of it at once."""
    decoder = _Counted(json.JSONDecoder(strict=False))
    monkeypatch.setattr(files, "DECODER", decoder)
    most = 0
    fill = files._Elements._fill

    def filled(self: Any, count: int) -> None:
        nonlocal most
        fill(self, count)
        most = max(most, len(self._text))

    monkeypatch.setattr(files._Elements, "_fill", filled)
    assert all(isinstance(each, Found) for each in conversations_in(path, reading))
    monkeypatch.undo()
    return decoder.seen, most


@pytest.mark.parametrize("size", [300, 300_000])
def test_a_document_is_decoded_as_often_whatever_its_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    record = formats.messages([("Mara", "x" * size), ("Ilse", "y")])
    counts = {}
    for count in (600_000 // size, 1_200_000 // size):
        path = tmp_path / f"{count}.json"
        path.write_text(json.dumps([record] * count, indent=1))
        decoded, held = work(monkeypatch, path, WHO)
        counts[count] = decoded
        assert decoded < 4 * path.stat().st_size
        assert held < 4 * (size + (1 << 16))
    few, many = counts.values()
    assert many < 2.2 * few


def hostile(many: int, few: int) -> Iterator[tuple[str, str]]:
    """Texts that would take a careless reader the square of their length, which is `many`."""
    yield "a.txt", f"<|im_start|>user\n{'<|im_end|>' * many}"
    yield "a.txt", "<|im_start|>" * few
    yield "a.txt", f"### Input:{' ' * many}x\n### Input:\nx"
    yield "a.txt", f"### Input:{' (length = ' * many}\n### Input:\nx"
    yield "a.txt", "### Input:\n" * few
    yield "a.log", "a: b\n" * few
    yield "a.log", f"a: b\nb: c\n{':' * many}"
    yield "a.log", "".join(f"a{at}: b\n" for at in range(few))
    yield "a.log", f"{'-' * many}x\na: b\nb: c"
    for text in (
        "\n(length = x)" * many + "x",
        " " * many + "(length",
        "'s Persona" * many,
        "{{user" * many,
        "A:" * many,
        "\n".join(f"a{at}: b" for at in range(few)),
    ):
        turns = [{"from": "system", "value": text}, {"from": "human", "value": text}]
        yield "a.jsonl", json.dumps({"conversations": [*turns, {"from": "gpt", "value": text}]})
    names = [f"<{at}>" for at in range(few)]
    turns = [{"role": name, "content": "Hm."} for name in names]
    yield "a.jsonl", json.dumps({"names": dict.fromkeys(names, "x"), "messages": turns})


_HOSTILE = list(hostile(200_000, 5_000))


@pytest.mark.parametrize("which", range(len(_HOSTILE)))
def test_no_text_takes_the_square_of_its_length(tmp_path: Path, which: int) -> None:
    name, text = _HOSTILE[which]
    assert read(tmp_path, name, text, WHO)


def test_only_one_record_is_in_memory(tmp_path: Path) -> None:
    """A reader that is stopped has read no more than it gave."""
    path = tmp_path / "a.jsonl"
    row = json.dumps(formats.messages(TALK)).encode() + b"\n"
    path.write_bytes(row * 3 + b"\xff\n" * 100_000)
    some: Iterator[Read] = conversations_in(path, WHO)
    assert [isinstance(next(some), Found) for _ in range(3)] == [True] * 3
