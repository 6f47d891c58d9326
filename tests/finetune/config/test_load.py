"""Loading: what a config says, what a tier inherits, and the one sentence about a wrong one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings

from shoritui.errors import UserError
from shoritui.finetune.config.load import load, parse_config
from shoritui.finetune.config.model import Config, Data, Train
from shoritui.finetune.config.write import text_of
from tests.finetune.config.strategies import configs

TIER = '[[tier]]\nname = "low"\ndata = ["low/*"]\n'


def read(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "finetune.toml"
    path.write_text(text, encoding="utf-8")
    return load(path)


def sentence(tmp_path: Path, text: str) -> str:
    """The sentence about the text; it is one line and names the file first."""
    with pytest.raises(UserError) as raised:
        read(tmp_path, text)
    told = str(raised.value)
    assert told.startswith(f"{tmp_path / 'finetune.toml'}: ")
    assert "\n" not in told
    return told


@settings(max_examples=30)
@given(configs())
def test_what_is_written_is_read_again(config: Config) -> None:
    assert parse_config(config.path, text_of(config)) == config


def test_one_tier_is_enough_and_all_else_has_a_default(tmp_path: Path) -> None:
    config = read(tmp_path, TIER)
    assert config.path == tmp_path / "finetune.toml"
    (tier,) = config.tiers
    assert (tier.name, tier.files, tier.after, tier.where) == ("low", ("low/*",), "", "")
    assert (tier.train, tier.data) == (Train(), Data())
    assert replace(config, tiers=()) == Config(config.path, ())


def test_the_base_may_be_one_word_or_a_table(tmp_path: Path) -> None:
    word = read(tmp_path, 'base = "demo"\n' + TIER).base
    table = read(tmp_path, '[base]\nmodel = "demo"\nquantize = "nf4"\n' + TIER).base
    assert word == table
    assert word.model == "demo"


def test_a_tier_inherits_the_rate_from_above_and_all_else_from_the_tables(tmp_path: Path) -> None:
    text = """
[train]
learning_rate = 1e-4
epochs = 3
[data]
hint_dropout = 0.25
[[tier]]
name = "low"
data = ["a"]
epochs = 1
hints = "none"
[[tier]]
name = "mid"
data = ["b", "c"]
learning_rate = 5e-5
[[tier]]
name = "high"
data = ["d"]
where = "not explicit"
[[tier]]
name = "aside"
data = ["d"]
after = "low"
weight_decay = 0
speakers = ["Mara"]
[[tier]]
name = "fresh"
data = ["d"]
after = ""
"""
    low, mid, high, aside, fresh = read(tmp_path, text).tiers
    assert [tier.after for tier in (low, mid, high, aside, fresh)] == ["", "low", "mid", "low", ""]
    assert low.train == Train(learning_rate=1e-4, epochs=1)
    assert low.data == Data(hint_dropout=0.25, hints="none")
    assert mid.train == high.train == fresh.train == Train(learning_rate=5e-5, epochs=3)
    assert mid.data == high.data == Data(hint_dropout=0.25)
    assert aside.train == Train(learning_rate=5e-5, epochs=3, weight_decay=0.0)
    assert isinstance(aside.train.weight_decay, float)
    assert aside.data == Data(hint_dropout=0.25, speakers=("Mara",))
    assert high.where == "not explicit"


def test_a_file_that_is_missing_names_the_one_it_resembles(tmp_path: Path) -> None:
    (tmp_path / "finetune.toml").write_text(TIER)
    with pytest.raises(UserError, match=r'no such file; did you mean "finetune.toml"\?'):
        load(tmp_path / "finetun.toml")


@pytest.mark.parametrize(
    ("text", "line", "parts"),
    [
        ("", 1, ["no [[tier]]"]),
        (TIER + "epoks = 2\n", 4, ['"epoks" is not a field of [[tier]]', 'did you mean "epochs"?']),
        ("[train]\nepoks = 2\n" + TIER, 2, ["[train]", 'did you mean "epochs"?']),
        ("[trian]\nepochs = 2\n" + TIER, 1, ['"trian"', 'did you mean "train"?']),
        ('outptu = "x"\n' + TIER, 1, ["the top of the file", 'did you mean "output"?']),
        ('bse = "x"\n' + TIER, 1, ['did you mean "base"?']),
        ("base = 3\n" + TIER, 1, ['"base" must be a folder, a hub id', "not 3"]),
        ('base = " "\n' + TIER, 1, ['"base" must be', "empty"]),
        ('[base]\nmodel = ""\n' + TIER, 2, ['"model" of [base] must be', "but it is empty"]),
        ("train = 3\n" + TIER, 1, ["[train] must be a table, not 3"]),
        ("[tier]\nname = 'x'\n", 1, ["[[tier]] in double brackets"]),
        ('[[tier]]\ndata = ["x"]\n', 1, ['"name" of this [[tier]] is missing', "letters"]),
        ('[[tier]]\nname = "x"\n', 1, ['"data" of this [[tier]] is missing', "a list of files"]),
        (
            '[[tier]]\nname = "x"\ndata = []\n',
            3,
            ['"data" of [[tier]]', "but it is empty"],
        ),
        ('[[tier]]\nname = "x"\ndata = "a"\n', 3, ["a list of files", 'not the text "a"']),
        ('[[tier]]\nname = "x"\ndata = [\n"a",\n" "]\n', 5, ["a list of files", "empty"]),
        ('[[tier]]\nname = ""\ndata = ["a"]\n', 2, ["letters", "empty"]),
        *(
            (f'[[tier]]\nname = "{name}"\ndata = ["a"]\n', 2, ['"name" of [[tier]]', name])
            for name in ("../up", "a/b", "a b", ".hidden", "end.", "CON", "com1.x", "-x")
        ),
        (f'[[tier]]\nname = "{"x" * 61}"\ndata = ["a"]\n', 2, ['"name" of [[tier]]', "x" * 40]),
        (TIER + TIER.replace("low", "LOW", 1), 5, ['"LOW" is already the name of a tier']),
        (TIER + TIER.replace("low", "mid") + 'after = "lwo"\n', 7, ['did you mean "low"?']),
        (TIER + 'after = "low"\n', 4, ['"low" is not above']),
        (TIER + 'after = "mid"\n' + TIER.replace("low", "mid"), 4, ['"mid" is not above']),
        (TIER + 'where = "explicit magic"\n', 4, ['"where" of [[tier]]', "column 10"]),
        (TIER + "epochs = 0\n", 4, ["a whole number of 1 or more", "not 0"]),
        (TIER + "epochs = 2.0\n", 4, ["a whole number", "not 2.0"]),
        (TIER + "epochs = true\n", 4, ["a whole number", "not true"]),
        (TIER + "learning_rate = 0\n", 4, ["a number above 0 and at most 1"]),
        (TIER + "learning_rate = nan\n", 4, ["a number above 0", "not nan"]),
        (TIER + 'learning_rate = "1e-4"\n', 4, ["a number above 0", 'not the text "1e-4"']),
        (TIER + "weight_decay = inf\n", 4, ["a number of 0 or more", "not inf"]),
        (TIER + "beta2 = 1.0\n", 4, ["from 0 to below 1"]),
        (TIER + "hint_dropout = 1.5\n", 4, ["from 0 to 1", "not 1.5"]),
        (TIER + f"seed = {2**63}\n", 4, ["a whole number"]),
        (TIER + "hint_limits = [3, 2]\n", 4, ["8 rising numbers"]),
        (TIER + "packing = 1\n", 4, ["true or false"]),
        (TIER + 'optimizer = "adamw_8bit"\n', 4, ["one of", 'did you mean "adamw8bit"?']),
        (TIER + 'learn = ["title", "mesage"]\n', 4, ["any of", 'did you mean "message"?']),
        ("[lora]\nalpha = 1" + "0" * 400 + "\n" + TIER, 2, ["a number above 0"]),
        ("[lora]\ndropout = 1979-05-27\n" + TIER, 2, ["a number", "a date"]),
        ("[watch]\nrung = 'atention'\n" + TIER, 2, ['did you mean "attention"?']),
        ("[watch]\nprompts = []\n" + TIER, 2, ['"prompts" is not a field of [watch]']),
        (TIER + '[[prompt]]\nname = "a"\nspeaker = "B"\n', 4, ['"text" of this [[prompt]]']),
        (
            TIER + '[[prompt]]\nname = "a"\nspeaker = "B:"\ntext = "▀lore\\nx▄"\n',
            6,
            ['"speaker" of [[prompt]]', 'not "B:"', "colon"],
        ),
        (
            TIER + '[[prompt]]\nname = "a"\nspeaker = "B"\ntext = "▀title\\nx"\n',
            7,
            ["must be BlockML", "never closed"],
        ),
        ('output = ""\n' + TIER, 1, ['"output" must be', "but it is empty"]),
        ("= 3", 1, ["this is not TOML"]),
    ],
)
def test_what_is_wrong_is_told_with_its_line(
    tmp_path: Path, text: str, line: int, parts: list[str]
) -> None:
    told = sentence(tmp_path, text)
    assert f": line {line}" in told
    for part in parts:
        assert part in told


def test_several_faults_are_counted(tmp_path: Path) -> None:
    told = sentence(tmp_path, TIER + "epochs = 0\nseed = -1\nx = 1\n")
    assert "line 4" in told
    assert "(2 more after this one)" in told
