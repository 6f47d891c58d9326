"""Repairs: what is mechanical is mended in copies, the rest is left, and twice is as once."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoritui.blockml import Block, Part, parse, render_all
from shoritui.blockml.narration import measure
from shoritui.cli import main
from shoritui.finetune.config.load import load
from shoritui.finetune.data.checks.repair import Repaired, repair
from shoritui.finetune.data.checks.repaired_text import repaired_source, repaired_text
from shoritui.interop.datasets import Found, Reading, conversations_in
from tests.finetune.data.strategies import parts

CONFIG = 'base = "demo"\n[[tier]]\nname = "low"\ndata = ["data/*"]\n'


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("“Late,” she said. ‘No’, didn’t he?", "\"Late,\" she said. 'No', didn't he?"),
        ("« Tard », dit-elle. „Ja“", '"Tard", dit-elle. "Ja"'),
        ("She came\u00a0late\u200b, \u2060so.", "She came late, so."),
        ("👩\u200d🚀 waved, w\u200dell.", "👩\u200d🚀 waved, well."),
        ("See https://example.org/a?b=1.", "See."),
        ("See https://example.org/a, and go.", "See, and go."),
        ("See [the log](https://example.org) (www.example.org) now.", "See the log now."),
        ("![x](https://e.org/x.png)\n\nShe left.", "She left."),
        ("https://example.org She left.\nwww.e.org\nSo.", "She left.\nSo."),
        ("Late.\n\n- https://a.b\n- (www.a.b)\n\nSo.", "Late.\n\nSo."),
        ('He sent "https://a.b" to her, **www.a.b** too.', "He sent to her, too."),
        ("She came \u200b so.", "She came so."),
        ("She left.▄", "She left."),
        ("She wrote a ▄ there.", "She wrote a there."),
        ('"No," she said. "', '"No," she said.'),
        ('""Late," she said.', '"Late," she said.'),
        ('"Late."" she said.', '"Late." she said.'),
        ("''Late,\" she said.", '"Late," she said.'),
        ("She waited * a while.", "She waited a while."),
        ("She left.  \n\n\n\nSo.\n ", "She left.\n\nSo."),
    ],
)
def test_what_is_mechanical_is_mended(text: str, mended: str) -> None:
    new, edits = repaired_text(text, is_message=True)
    assert new == mended and edits
    assert repaired_text(new, is_message=True) == (new, [])


@pytest.mark.parametrize(
    "text",
    [
        '"The tide was late, she said.',
        "_He will not like this, she thought.",
        "She heard the *clack of the shutter.",
        "She waved at {{user}} and left. ((brb))",
        "She waited.\n\n* * *\n\nThe night was over.",
        "```\n  if x:\n    y *\n```",
        "\n> Dear Ada,\n> no.",
        "霊夢は「うん」と言った。",
    ],
)
def test_what_may_be_meant_is_left(text: str) -> None:
    assert repaired_text(text, is_message=True) == (text, [])


@given(
    st.one_of(
        st.text(),
        st.text("ab \"*_'`\n.()[]<>“”‘«»▄▀\u200b\u00a0", max_size=40),
        st.lists(
            st.sampled_from(["https://a.b", "www.x", '"', "*", " ", "\n", "a", "(", ")", "[x]"])
        ).map("".join),
    ),
    st.booleans(),
)
def test_twice_is_as_once_and_nothing_gets_worse(text: str, is_message: bool) -> None:
    new, edits = repaired_text(text, is_message=is_message)
    assert repaired_text(new, is_message=is_message) == (new, [])
    assert (new == text) == (not edits)
    lines = text.count("\n")
    assert all(0 <= each.line <= lines for each in edits)
    if is_message:
        assert len(measure(new).open_marks) <= max(
            len(measure(text).open_marks), new.count('"') + new.count("'")
        )


def test_blocks_that_cannot_be_read_are_closed_and_hints_spelt() -> None:
    text = (
        "▀title\nOne\n▀message (length: mediun)\nAda: No.\n\n"
        "▀message (Length: Tiny)\nBo: Yes\x07.▄\n"
        "▀message (length: 12)\nAda: So.\n---\n▀message (mood: sad)\nAda: No.\n"
    )
    mended, edits = repaired_source(text)
    assert mended == (
        "▀title\nOne▄\n▀message (length: medium)\nAda: No.▄\n\n▀message (length: tiny)\nBo: Yes.▄\n"
        "▀message\nAda: So.▄\n---\n▀message (mood: sad)\nAda: No.▄\n"
    )
    assert repaired_source(mended) == (mended, [])
    assert sorted({each.kind for each in edits}) == [
        "hidden character",
        "length hint",
        "open block",
    ]
    assert sorted(each.line for each in edits if each.kind == "length hint") == [2, 5, 7]
    assert len(parse(mended.partition("---\n")[0])) == 4


@given(st.lists(parts, max_size=4).map(lambda each: "---\n".join(map(render_all, each))))
def test_what_can_be_read_is_no_source_to_mend(text: str) -> None:
    assert repaired_source(text) == (text, [])


def repaired(folder: Path, new: Path) -> Repaired:
    return repair(load(folder / "finetune.toml"), new)


def spoken(folder: Path) -> list[list[str]]:
    """Who speaks in each conversation of a folder."""
    [file] = folder.iterdir()
    told = list(conversations_in(file, Reading()))
    return [
        [part.name for part in each.parts if isinstance(part, Block) and part.role == "message"]
        for each in told
        if isinstance(each, Found)
    ]


@settings(max_examples=30)
@given(told=st.lists(parts, min_size=1, max_size=3), suffix=st.sampled_from([".txt", ".jsonl"]))
def test_copies_have_the_same_speakers_and_are_mended_once(
    told: list[list[Part]], suffix: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("repair")
    (folder / "data").mkdir()
    (folder / "finetune.toml").write_text(CONFIG, encoding="utf-8")
    texts = list(map(render_all, told))
    old = (
        "---\n".join(texts)
        if suffix == ".txt"
        else "".join(json.dumps({"text": each}) + "\n" for each in texts)
    )
    (folder / "data" / f"a{suffix}").write_text(old, encoding="utf-8")
    first = repaired(folder, folder / "one")
    assert first.is_whole and first.knows_hints
    (folder / "one" / "finetune.toml").write_text(CONFIG, encoding="utf-8")
    second = repaired(folder / "one", folder / "two")
    assert second.texts == first.texts and second.changes == ()
    assert (folder / "data" / f"a{suffix}").read_text(encoding="utf-8") == old
    assert spoken(folder / "one" / "data") == spoken(folder / "data")


def test_a_repair_that_is_made_often_is_one_line_and_no_copy_replaces_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "finetune.toml").write_text(CONFIG, encoding="utf-8")
    chat = {"conversations": [{"from": "Ada", "value": "It didn’t, couldn’t, wouldn’t."}]}
    (tmp_path / "data/a.json").write_text(json.dumps([chat]), encoding="utf-8")
    (tmp_path / "data/a.json.txt").write_text("▀message\nBo: No.▄\n", encoding="utf-8")
    outside = tmp_path.parent / f"{tmp_path.name}.txt"
    outside.write_text("▀message\nMara: Hm.▄\n", encoding="utf-8")
    (tmp_path / "data/linked.txt").symlink_to(outside)
    new = tmp_path / "new"
    assert main(["finetune", "check", str(tmp_path), "--repair", str(new)]) == 0
    mended = [line for line in capsys.readouterr().out.splitlines() if "curly quote" in line]
    assert mended == ['data/a.json:1: curly quote: "’" -> "\'" (3 times)']
    copies = {path.name: path.read_text(encoding="utf-8") for path in (new / "data").iterdir()}
    assert copies == {
        "a.json.txt": "▀message\nAda: It didn't, couldn't, wouldn't.▄\n",
        "a.json-2.txt": "▀message\nBo: No.▄\n",
        "linked.txt": "▀message\nMara: Hm.▄\n",
    }


def test_what_a_crash_left_of_a_file_is_no_slip_to_mend(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "finetune.toml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "data/a.txt").write_text("▀message\nAda: So.▄\n", encoding="utf-8")
    (tmp_path / "data/b.txt").write_bytes("▀message\nBo: It".encode() + b"\0" * 4096 + b"\n")
    (tmp_path / "data/c.txt").write_bytes(b"")
    made = repaired(tmp_path, tmp_path / "new")
    assert [path.name for path in made.texts] == ["a.txt"] and not made.changes
    told = [(each.file, each.line, each.sentence.partition(":")[0]) for each in made.left]
    assert told == [
        ("data/b.txt", 2, "there are NUL characters where text was lost"),
        ("data/c.txt", 0, "there is nothing in it to learn from"),
    ]
    assert not made.is_whole


def test_the_command_writes_a_new_folder_and_says_what_it_did(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    config = tmp_path / "finetune.toml"
    config.write_text(CONFIG.replace('"data/*"', '"data/*", "../*/extra.txt"'), encoding="utf-8")
    outside = tmp_path.parent / f"{tmp_path.name}-x"
    outside.mkdir()
    (outside / "extra.txt").write_text("Ada: So.\n\nBo: “Hm.”\n", encoding="utf-8")
    text = "▀message (length: huge)\nAda: “No.”\n\n*So.▄\nstray\n---\n▀message\nBo: Yes. \x07▄\n"
    (tmp_path / "data" / "a.txt").write_text(text, encoding="utf-8")
    chat = {"conversations": [{"from": "Ada", "value": "See www.x.org."}]}
    (tmp_path / "data" / "b.json").write_text(json.dumps([chat]), encoding="utf-8")
    new = tmp_path / "new"
    assert main(["finetune", "check", str(config), "--repair", str(new)]) == 1
    out = capsys.readouterr().out
    assert "data/a.txt:5: error: this text stands outside" in out
    assert 'data/a.txt:8: hidden character: "Bo: Yes. ' in out
    assert 'data/b.json:1: address: " www.x.org" -> ""' in out
    files = {path.relative_to(new).as_posix() for path in new.rglob("*") if path.is_file()}
    elsewhere = f"elsewhere{outside.as_posix()}/extra.txt"
    assert files == {"data/a.txt", "data/b.json.txt", elsewhere}
    assert (new / "data/a.txt").read_text(encoding="utf-8") == "▀message\nBo: Yes.▄\n"
    assert (new / "data/b.json.txt").read_text(encoding="utf-8") == "▀message\nAda: See.▄\n"
    assert stat.S_IMODE((new / "data/a.txt").stat().st_mode) == 0o600
    assert main(["finetune", "check", str(config), "--repair", str(new)]) == 1
    assert "is not empty" in capsys.readouterr().err
    (tmp_path / "data" / "a.txt").write_text(text.replace("stray\n", ""), encoding="utf-8")
    (tmp_path / "empty").mkdir()
    line = ["finetune", "check", str(config), "--repair", str(tmp_path / "empty"), "--json"]
    assert main(line) == 0
    facts = json.loads(capsys.readouterr().out)
    assert {each["kind"] for each in facts["left"]} == {"open mark"}
    assert {"length hint", "curly quote"} <= {each["kind"] for each in facts["changes"]}
