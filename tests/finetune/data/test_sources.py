"""Sources: data sets of others through a config's commands, with who is who said in it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from shoritui.blockml import Block, render_all
from shoritui.cards import Card, Character
from shoritui.cli import main
from shoritui.errors import UserError
from shoritui.finetune.config.load import load
from shoritui.finetune.config.model import Config
from shoritui.finetune.data.conversations import Conversation, find, read
from shoritui.finetune.data.tier import TierData, prepare
from shoritui.finetune.data.tokenizer import Tokenizer
from shoritui.interop import export_chat
from shoritui.story import Draft, Library
from tests.interop.datasets import formats

TALK = [("Mara", "The lamp was out."), ("Ilse", '"Again," Ilse said.')]
TIER = """
[[tier]]
name = "low"
data = ["data"]
evaluation = 0
"""
CARD = """
[[character]]
name = "Ilse"
description = "She keeps {{user}}'s ledger."
[[character]]
name = "Mara"
user = true
"""
WHO = '[[source]]\nfiles = ["data/*.json*"]\nnames = { user = "Mara", char = "Ilse" }\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data set in each format that needs to be told who is who."""
    data = tmp_path / "data"
    data.mkdir()
    for kind in ("sharegpt", "messages", "alpaca", "chatml_field"):
        talk = [(name, f"{text} It was of {kind}.") for name, text in TALK]
        text = formats.lines([formats.RECORDS[kind](talk)])
        (data / f"{kind}.jsonl").write_text(text, encoding="utf-8")
    rows = [formats.sharegpt([("Mara", f"Then {at}."), ("Ilse", "Now.")]) for at in range(3)]
    (data / "all.json").write_text(json.dumps(rows), encoding="utf-8")
    return tmp_path


def config(folder: Path, text: str) -> Config:
    path = folder / "finetune.toml"
    path.write_text('base = "demo"\n' + text, encoding="utf-8")
    return load(path)


def conversations(config: Config) -> list[Conversation]:
    (tier,) = config.tiers
    return read(config, find(config.path.parent, tier.files))


def check(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    code = main(["finetune", "check", str(folder / "finetune.toml"), "--json", *words])
    return code, json.loads(capsys.readouterr().out)


def test_a_source_says_who_is_who_in_all_of_its_files(folder: Path) -> None:
    told = conversations(config(folder, WHO + TIER))
    assert len(told) == 7
    assert {tuple(part.name for part in each.messages) for each in told} == {("Mara", "Ilse")}
    assert [each.source for each in told[:3]] == [
        *("data/all.json:1", "data/all.json:1#2", "data/all.json:1#3"),
    ]


WANTED = (
    'data/all.json:1: nobody says who speaks as "human" (1 message) and as "gpt" (1 message): '
    'say it in finetune.toml, in a [[source]] with files = ["data/all.json"] and '
    'names = { human = "NAME", gpt = "NAME" }'
)


@pytest.mark.parametrize(
    "words",
    [
        ["stats"],
        *(pytest.param(each, marks=pytest.mark.slow) for each in (["plan"], ["run", "--plain"])),
    ],
)
def test_without_one_each_command_says_what_to_write(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    command, *options = words
    written = config(folder, TIER)
    assert main(["finetune", command, str(written.path), *options]) == 1
    assert WANTED in capsys.readouterr().err


def test_and_check_says_it_once_for_a_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config(folder, TIER)
    code, facts = check(folder, capsys)
    assert code == 1
    errors = [f"{each['file']}:{each['line']}: {each['sentence']}" for each in facts["findings"]]
    assert f"{WANTED} (and in 2 more places)" in errors
    assert {each.partition(":")[0] for each in errors} == {
        f"data/{name}" for name in ("all.json", "alpaca.jsonl", "messages.jsonl", "sharegpt.jsonl")
    } | {"data/chatml_field.jsonl"}
    config(folder, WHO.replace("user", "humna").replace("char", "gpt") + TIER)
    _, facts = check(folder, capsys)
    assert (
        'add human = "NAME" to the names of its [[source]] in finetune.toml; "humna" is there and '
        "looks like it"
    ) in facts["findings"][0]["sentence"]


def test_conversations_are_shown_as_they_are_learnt(
    folder: Path, capsys: pytest.CaptureFixture[str], tokenizer: Tokenizer
) -> None:
    (folder / "data" / "own.txt").write_text(
        render_all([Block("message", "x" * 2000, "Mara"), Block("message", "y\n" * 99, "Teo")])
        + "---\n" * 3
    )
    (folder / "ilse.toml").write_text(CARD, encoding="utf-8")
    cards = WHO + 'cards = ["ilse.toml"]\ntags = ["apples"]\n'
    written = config(folder, cards + TIER)
    code, facts = check(folder, capsys, "--show", "1")
    assert code == 0
    # One of the source, and one of what is in none.
    assert [each["source"] for each in facts["shown"]] == ["data/all.json:1", "data/own.txt:1"]
    hint = prepare(written, tokenizer)["low"].tokenized[0].hints[0]
    assert facts["shown"][0]["text"] == (
        "▀tags\napples▄\n▀description\nIlse\nShe keeps Mara's ledger.▄\n"
        f"▀message (length: {hint})\nMara: Then 0.▄\n▀message (length: {hint})\nIlse: Now.▄\n"
    )
    assert check(folder, capsys, "--show", "0")[1]["shown"] == []
    assert len(check(folder, capsys)[1]["shown"]) == 5
    assert main(["finetune", "check", str(written.path), "--show", "99"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "As the model will read them (8 of 8):"
    assert "  [59 lines of 59 letters are not shown]" in lines
    assert f"  Mara: {'x' * 394} [1,457 letters] {'x' * 149}▄" in lines
    assert main(["finetune", "check", str(written.path), "--show", "-1"]) == 1
    assert "--show is -1" in capsys.readouterr().err


def test_a_base_that_is_not_here_yet_shows_no_hints(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = config(folder, WHO + TIER)
    written.path.write_text(written.path.read_text().replace("demo", "someone/else"))
    assert main(["finetune", "check", str(written.path)]) == 0
    out = capsys.readouterr().out
    assert "  ▀message\n  Mara: Then 0.▄" in out
    assert "Length hints are computed with the base's vocabulary, which is not here yet" in out


def test_what_a_source_says_is_part_of_what_is_remembered(
    folder: Path, tokenizer: Tokenizer
) -> None:
    (folder / "ilse.toml").write_text(CARD, encoding="utf-8")

    def fingerprint(source: str) -> str:
        data: TierData = prepare(config(folder, source + TIER), tokenizer)["low"]
        return data.fingerprint

    cards = WHO + 'cards = ["ilse.toml"]\n'
    prints = [
        fingerprint(WHO),
        fingerprint(WHO.replace("Ilse", "Elsa")),
        fingerprint(WHO + 'tags = ["x"]\n'),
        fingerprint(cards),
    ]
    (folder / "ilse.toml").write_text(CARD.replace("keeps", "burns"), encoding="utf-8")
    prints.append(fingerprint(cards))
    assert len(set(prints)) == 5
    assert fingerprint(WHO) == prints[0]


def test_what_has_no_weight_is_not_learnt(folder: Path, tokenizer: Tokenizer) -> None:
    record = formats.messages(TALK)
    record["messages"][0]["weight"] = 0
    for file in (folder / "data").iterdir():
        file.unlink()
    (folder / "data" / "a.jsonl").write_text(json.dumps(record))
    (sample,) = prepare(config(folder, WHO + TIER), tokenizer)["low"].train
    learnt = tokenizer.text([int(each) for each in sample.ids[sample.learn]])
    assert "Again" in learnt and "lamp" not in learnt
    assert "lamp" in tokenizer.text([int(each) for each in sample.ids])


def test_tags_of_a_source_are_for_where(folder: Path, tokenizer: Tokenizer) -> None:
    some = WHO.replace("data/*.json*", "data/all.json") + 'tags = ["apples"]\n'
    rest = WHO.replace("data/*.json*", "data/*.jsonl")
    data = prepare(config(folder, some + rest + TIER + 'where = "not apples"\n'), tokenizer)
    assert data["low"].conversations == 4


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ('[[source]]\nfiles = ["no/*"]\n', "source 1: 'no/*' matches no file"),
        (WHO * 2, "source 2: all.json is in another source too"),
        ('[[source]]\nfiles = ["finetune.toml"]\n', "is no file of conversations"),
        ('[[source]]\nfiles = ["elsewhere.txt"]\n', "source 1: no tier reads its files"),
        (WHO + 'cards = ["nobody.toml"]\n', 'there is no card or scene "nobody.toml"'),
    ],
)
def test_a_source_that_makes_no_sense_is_told(folder: Path, source: str, words: str) -> None:
    (folder / "elsewhere.txt").touch()
    written = config(folder, source + TIER)
    with pytest.raises(UserError, match=re.escape(words)):
        conversations(written)


def test_a_name_that_nobody_has_got_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config(folder, WHO.replace("{ user", '{ Ilsa = "Elsa", user') + TIER)
    code, facts = check(folder, capsys)
    (told,) = (each for each in facts["findings"] if each["kind"] == "speaker")
    assert (code, told["file"], told["line"], told["severity"]) == (
        *(0, "finetune.toml", 4, "warning"),
    )
    sentence = 'nobody in the files of this source is "Ilsa"; did you mean "Ilse"?'
    assert told["sentence"] == sentence


def test_what_a_card_says_is_no_finding_in_the_data(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "ilse.toml").write_text(CARD.replace("keeps", "“keeps”"), encoding="utf-8")
    config(folder, WHO + 'cards = ["ilse.toml"]\n' + TIER)
    _, facts = check(folder, capsys, "--show", "1")
    assert "“keeps”" in facts["shown"][0]["text"]
    assert "curly quote" not in {each["kind"] for each in facts["findings"]}


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.arrow"])
def test_tables_are_named_and_not_read(folder: Path, name: str) -> None:
    (folder / "data" / name).touch()
    with pytest.raises(UserError, match="save it as JSON Lines"):
        conversations(config(folder, WHO + TIER))


def test_a_folder_of_ones_own_chats_is_read(folder: Path) -> None:
    for file in (folder / "data").iterdir():
        file.unlink()
    cast = (Character(name="Mara", user=True), Character(name="Ilse", description="Strict."))
    library = Library(folder / "library.db")
    chat = library.create_chat(Card(title="Apples", characters=cast), "Mara").id
    for name, text in TALK:
        library.append(chat, Draft("message", name, text))
    whole = library.whole_chat(chat)
    library.close()
    for form in ("json", "blockml", "jsonl", "sillytavern"):
        (folder / "data" / form).mkdir()
        export_chat(whole, form, folder / "data" / form)
    told = conversations(config(folder, TIER))
    assert len(told) == 4
    assert len({each.digest() for each in told}) == 1
    for each in told:
        assert Block("description", "Ilse\nStrict.") in each.parts
        assert [(part.name, part.body) for part in each.messages] == TALK
