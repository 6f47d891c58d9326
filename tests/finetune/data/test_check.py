"""Checks: each fault is found alone, with its line; clean prose has none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.blockml import Block, Instruction, Part, render_all
from shoritui.cli import main
from shoritui.demo.making.cast import Plan
from shoritui.demo.making.scenes import make_scene
from shoritui.finetune.config.load import load
from shoritui.finetune.data.conversations import Conversation, read
from shoritui.finetune.data.findings import Checked, check_conversation

CLEAN = (
    '"The tide was late," Mara said, and set the lamp on the sill. _He will not like this._ She '
    "watched the harbour until the last sail had come in. *Clack*, went the shutter behind her.",
    'Teo laughed. "Late? It never **asked** anyone." He was tired, and the bag on his shoulder had '
    "grown heavy since the bridge.\n\nThe ''Swallow'' lay at the quay, and nobody was aboard.",
)


def conversation(*texts: str, name: str = "Mara", file: str = "a.txt") -> Conversation:
    """Title, tags and messages, each block where a file would have it."""
    parts: list[Part] = [Block("title", "One"), Block("tags", "sea, calm")]
    parts += [
        Block("message", text, name if number % 2 == 0 else "Teo")
        for number, text in enumerate(texts)
    ]
    return placed(parts, file)


def placed(parts: list[Part], file: str = "a.txt") -> Conversation:
    lines, line = [], 1
    for part in parts:
        lines.append(line)
        line += render_all([part]).count("\n")
    return Conversation(tuple(parts), file, tuple(lines))


def found(told: Conversation) -> list[tuple[str, int]]:
    return [(finding.kind, finding.line) for finding in check_conversation(told).findings]


def test_clean_prose_has_no_finding() -> None:
    checked = check_conversation(conversation(*CLEAN))
    assert checked.findings == ()
    assert (checked.messages, checked.faulty, checked.repeated) == (2, 0, 0.0)
    assert 0 < checked.narrated < checked.words


@pytest.mark.parametrize("seed", range(25))
def test_the_demos_own_scenes_have_no_finding(seed: int) -> None:
    scene = make_scene(seed, Plan(900, (2, 4), "huge"), lambda text: len(text) // 3)
    assert check_conversation(placed(list(scene.parts))).findings == ()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('"The tide was late, Mara said.', "open mark"),
        ('Mara waited. "No," she said. "', "open mark"),
        ("_He will not like this, Mara thought.", "open mark"),
        ("Mara heard the *clack of the shutter.", "open mark"),
        ("It **never was so, Mara thought.", "open mark"),
        ("The ''Swallow lay at the quay.", "open mark"),
        ("Mara waited* a while.", "open mark"),
        ("“The tide was late,” Mara said.", "curly quote"),
        ("Mara didn’t wait.", "curly quote"),
        ("«Late,» Mara said.", "curly quote"),
        ("Mara pointed at https://example.org/a and left.", "address"),
        ("Mara pointed at www.example.org and left.", "address"),
        ("Mara waved at {{user}} and left.", "user name"),
        ("Mara waved at <USER> and left.", "user name"),
        ("Mara waved at @darkwolf and left.", "user name"),
        ("Mara waved at u/dark_wolf and left.", "user name"),
        ("Mara left. ((be right back, dinner))", "out of character"),
        ("Mara left.\n// back in a minute", "out of character"),
        ("[OOC: be right back] Mara left.", "out of character"),
        ("Mara left. OOC: dinner", "out of character"),
        ("I set the lamp on my sill and watched the harbour.", "first person"),
        ("Mara sets the lamp on the sill. She watches the harbour.", "present tense"),
        ("The harbour is dark, and the boats are in.", "present tense"),
        ("A shiver ran down her spine.", "repeated phrase"),
        ("Mara couldn't help but wait.", "repeated phrase"),
        ("", "empty block"),
        (" \n", "empty block"),
        ("Mara wrote a ▄ on the wall.", "block character"),
    ],
)
def test_one_fault_is_found_alone_and_on_its_line(text: str, kind: str) -> None:
    first, second = CLEAN
    line = 9 if text.startswith("Mara left.\n") else 8
    assert found(conversation(first, text, second)) == [(kind, line)]


@pytest.mark.parametrize(
    "text",
    [
        '"I am here," Mara said. "Is she late? She says so."',
        "_I am late. She looks tired._ Mara ran.",
        "> I am here, and she says so.\n\nMara read the note twice.",
        "```\nis = {{x}} * 3\n```\nMara shut the book.",
        "Mara waited.\n\n* * *\n\nThe night was over.",
        "Mara wrote to mara@example and kept the file_name short.",
        "Twelve steps led down, and her looks said enough.",
        "It was 5 o'clock. \"Don't,\" she said.",
        "The boat (the small one) was gone. Either/or, it made no difference.",
    ],
)
def test_what_only_looks_like_a_fault_is_none(text: str) -> None:
    assert found(conversation(CLEAN[0], text, CLEAN[1])) == []


@pytest.mark.parametrize("name", ["dark_wolf", "Shadow99", "xXMaraXx", "User", "{{char}}", "@mara"])
def test_a_speaker_may_look_like_a_user(name: str) -> None:
    assert found(conversation(*CLEAN, name=name)) == [("user name", 6)]


@pytest.mark.parametrize("name", ["Mara Vey", "R2-D2", "Unit 7", "O'Neil", "霊夢", "Meriel"])
def test_and_a_character_does_not(name: str) -> None:
    assert found(conversation(*CLEAN, name=name)) == []


def test_a_snippet_is_quoted_and_what_is_wrong_follows() -> None:
    told = {
        "Mara heard the *clack.": '"*" is never closed',
        'Mara said, "No.': "'\"' is never closed",
        "Mara said, “No.”": '"“" should be a straight quote (1 more here)',
    }
    for text, sentence in told.items():
        [finding] = check_conversation(conversation(text, CLEAN[1])).findings
        assert finding.sentence == sentence


def test_other_blocks_are_looked_at_too() -> None:
    parts: list[Part] = [
        Block("description", "Mara\nShe is “the keeper”; I say so."),
        Block("lore", " "),
        Instruction("Write like https://example.org does."),
        Block("ooc", "Mara: ((back soon))"),
        Block("message", CLEAN[0], "Mara"),
    ]
    assert found(placed(parts)) == [("curly quote", 3), ("empty block", 5), ("address", 6)]


def test_a_phrase_that_comes_back_is_told_once_where_it_began() -> None:
    phrase = "and the old bell of the harbour rang"
    texts = [f"{word} {phrase}, {word} enough." for word in ("Slow", "Soft", "Late", "Low")]
    checked = check_conversation(conversation(*texts))
    ((kind, line),) = [(finding.kind, finding.line) for finding in checked.findings]
    assert (kind, line) == ("repeated phrase", 6)
    assert '"and the old bell of the" is written 4 times' in checked.findings[0].sentence
    assert checked.repeated > 0


def test_lines_of_json_are_the_conversations() -> None:
    told = conversation(CLEAN[0], "Mara left.\n// away", file="a.jsonl")
    told = Conversation(told.parts, told.file, (7,) * len(told.parts), "record")
    assert found(told) == [("out of character", 7)]


@given(
    st.lists(st.text("ab \"*_'>`\n(/[]{}I\u201c@", max_size=40), min_size=1, max_size=4),
    st.sampled_from(["a.txt", "a.jsonl"]),
)
def test_any_text_is_looked_through_and_places_are_within_it(texts: list[str], file: str) -> None:
    told = conversation(*texts, file=file)
    checked = check_conversation(told)
    last = render_all(told.parts).count("\n")
    assert all(1 <= finding.line <= last for finding in checked.findings)
    assert checked.score is not None
    assert 0 <= checked.score <= 100
    assert checked.narrated <= checked.words


def score(*texts: str) -> int:
    value = check_conversation(conversation(*texts)).score
    assert value is not None
    return value


def test_the_score_is_higher_for_what_is_nearer_the_target() -> None:
    long = [f"{text} {text.replace('lamp', 'stone')}" for text in CLEAN]
    assert 0 <= score('"No."', '"Yes."') < score(*CLEAN) < score(*long) <= 100
    assert score(CLEAN[0], "I see you.") < score(CLEAN[0], "He saw her.")
    assert score(*['"Who is there at the door tonight?"'] * 6) < score('"Who is there?"')


def test_the_formula_is_what_it_says() -> None:
    checked = Checked("a:1", "", (), messages=4, words=160, narrated=32, faulty=1, repeated=0.0)
    assert checked.score == round(30 * 40 / 80 + 15 * 0.2 / 0.4 + 40 * 3 / 4 + 15)
    assert Checked("a:1", "", (), 0, 0, 0, 0, 0.0).score is None


TIERS = """\
[[tier]]
name = "low"
data = ["low/*"]
[[tier]]
name = "high"
data = ["high/*"]
where = "not secret"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    for folder, text in (("low", CLEAN[0]), ("high", CLEAN[1])):
        (tmp_path / folder).mkdir()
        told = [Block("tags", folder), Block("message", text, "Mara")]
        (tmp_path / folder / "a.txt").write_text(render_all(told), encoding="utf-8")
    (tmp_path / "finetune.toml").write_text(TIERS, encoding="utf-8")
    return tmp_path / "finetune.toml"


def test_the_command_prints_a_table_and_is_content(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["finetune", "check", str(config)]) == 0
    out = capsys.readouterr().out
    assert "low/a.txt:1 (low)" in out
    assert out.splitlines()[-1] == "Conversations: 2. Errors: 0. Warnings: 0."


def test_warnings_are_told_but_do_not_fail(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = [Block("tags", "secret"), Block("message", "I say “no” to \x1b[31m you.", "Mara")]
    (config.parent / "high" / "b.txt").write_text(render_all(told), encoding="utf-8")
    (config.parent / "low" / "c.txt").write_text(render_all(told[1:]), encoding="utf-8")
    assert main(["finetune", "check", str(config), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["errors"], facts["warnings"]) == (0, len(facts["findings"]))
    # What the filter keeps out of all tiers is not looked at.
    assert {finding["file"] for finding in facts["findings"]} == {"low/c.txt"}
    assert {"first person", "curly quote"} <= {each["kind"] for each in facts["findings"]}
    scores = {each["source"]: each["score"] for each in facts["conversations"]}
    assert scores["low/c.txt:1"] < scores["low/a.txt:1"]


@pytest.mark.parametrize(
    ("name", "text", "line", "sentence"),
    [
        ("b.txt", "▀message (length: mediun)\nMara: No.▄\n", 3, "did you mean medium?"),
        ("b.txt", "▀message\nMara: No.\n", 3, "never closed"),
        ("b.jsonl", '{"text": 3}\n', 3, ""),
        ("b.md", "x", 0, "no file of conversations"),
    ],
)
def test_data_that_cannot_be_used_fails_and_hides_nothing_else(
    config: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    text: str,
    line: int,
    sentence: str,
) -> None:
    (config.parent / "low" / name).write_text("\n\n" + text, encoding="utf-8")
    assert main(["finetune", "check", str(config), "--json"]) == 1
    facts = json.loads(capsys.readouterr().out)
    (error,) = (each for each in facts["findings"] if each["severity"] == "error")
    assert error["line"] == line
    assert sentence in error["sentence"]
    assert "high/a.txt:1" in {each["source"] for each in facts["conversations"]}


def test_files_that_are_none_are_all_told_and_hide_nothing_else(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    low = config.parent / "low"
    (low / "away.txt").symlink_to("/nowhere/away.txt")
    (low / "round.txt").symlink_to("round.txt")
    (low / "full.txt").symlink_to("/dev/zero")
    assert main(["finetune", "check", str(config), "--json"]) == 1
    facts = json.loads(capsys.readouterr().out)
    errors = [each["sentence"] for each in facts["findings"] if each["severity"] == "error"]
    assert [each.split(", ")[0] for each in errors] == [
        f"tier low: low/{name}.txt" for name in ("away", "full", "round")
    ]
    sources = {each["source"] for each in facts["conversations"]}
    assert {"low/a.txt:1", "high/a.txt:1"} <= sources


def test_a_tier_without_files_is_an_error(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (config.parent / "high" / "a.txt").unlink()
    (config.parent / "high").rmdir()
    assert main(["finetune", "check", str(config)]) == 1
    assert "finetune.toml: error: tier high: " in capsys.readouterr().out


def test_the_example_that_init_writes_is_clean(tmp_path: Path) -> None:
    main(["finetune", "init", str(tmp_path)])
    (told,) = read(load(tmp_path / "finetune.toml"), [*(tmp_path / "data" / "high").iterdir()])
    assert check_conversation(told).findings == ()


def test_the_demos_data_has_no_errors(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["finetune", "check", "--demo", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    # Speech that goes on in the next paragraph closes its quote there: it is meant.
    assert {finding["severity"] for finding in facts["findings"]} <= {"warning"}
    assert {tier for each in facts["conversations"] for tier in each["tiers"]} == {
        *("low", "mid", "high", "top", "top-pg13"),
    }
