"""Loading: what a file says, and the one sentence about a file that is not right."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.cards import (
    Card,
    Character,
    Lore,
    Opening,
    find_cards,
    load_card,
    load_cards,
    settle_card,
)
from shoritui.errors import UserError

WHOLE = '''\
title = "A strange incident"
tags = ["barrier", "shrine"]
scenario = """
The barrier must
be mended.
"""

[[character]]
name = "Reimu"
aliases = ["Miss Hakurei"]
description = """
**Name:** Reimu Hakurei
"""

[[character]]
name = "Marisa"
user = true

[[lore]]
name = "The barrier"
text = "It keeps the world out."
keys = ["barrier"]

[[message]]
speaker = "Reimu"
length = "short"
text = """
"Hmm," said Reimu.
"""
'''

CAST = '[[character]]\nname = "Reimu"\n'


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def sentence(path: Path) -> str:
    """The sentence about the file; it is one line and names the file first."""
    with pytest.raises(UserError) as raised:
        load_card(path)
    text = str(raised.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    assert "\x1b" not in text
    return text.removeprefix(f"{path}: ")


def test_every_field_arrives_without_the_space_around_its_text(tmp_path: Path) -> None:
    path = write(tmp_path / "card.toml", WHOLE)
    assert load_card(path) == Card(
        title="A strange incident",
        tags=("barrier", "shrine"),
        scenario="The barrier must\nbe mended.",
        characters=(
            Character(
                name="Reimu", aliases=("Miss Hakurei",), description="**Name:** Reimu Hakurei"
            ),
            Character(name="Marisa", user=True),
        ),
        lore=(Lore(name="The barrier", text="It keeps the world out.", keys=("barrier",)),),
        messages=(Opening(speaker="Reimu", text='"Hmm," said Reimu.', length="short"),),
        source=str(path),
    )


def test_windows_line_ends_and_a_byte_order_mark_change_nothing(tmp_path: Path) -> None:
    plain = load_card(write(tmp_path / "card.toml", WHOLE))
    windows = b"\xef\xbb\xbf" + WHOLE.replace("\n", "\r\n").encode()
    assert load_card(write(tmp_path / "card.toml", windows)) == plain


def test_the_home_folder_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "card.toml", CAST)
    assert load_card("~/card.toml").characters == (Character(name="Reimu"),)


@pytest.mark.parametrize(
    ("text", "line", "parts"),
    [
        ('titel = "x"\n' + CAST, 1, ['"titel"', 'did you mean "title"?']),
        ("\n\n[[charakter]]\nname = 'x'\n", 3, ['"charakter"', 'did you mean "character"?']),
        (CAST + 'descripton = "x"\n', 3, ["[[character]]", 'did you mean "description"?']),
        (CAST + "\n[[character]]\nuser = false\n", 4, ['"name"', "[[character]]", "missing"]),
        (CAST + '[[lore]]\nname = "a"\n', 3, ['"text"', "[[lore]]", "missing"]),
        (CAST + '[[lore]]\nname = "a"\ntext = " "\n', 5, ['"text"', "empty"]),
        (CAST + "user = 1\n", 3, ['"user"', "true or false", "not 1"]),
        (CAST + 'user = "yes"\n', 3, ["true or false", 'not the text "yes"']),
        (CAST + "description = 1979-05-27\n", 3, ["text in quotes", "not a date"]),
        (CAST + 'aliases = "R"\n', 3, ["a list of names", 'not the text "R"']),
        (CAST + 'aliases = [\n  "a",\n  "b:c",\n]\n', 5, ['not "b:c"', "colon"]),
        ("tags = true\n" + CAST, 1, ["a list of texts", "not true"]),
        ('tags = ["a, b"]\n' + CAST, 1, ["without commas", 'not "a, b"']),
        ('[[character]]\nname = "A:b"\n', 2, ["no colon", 'not "A:b"']),
        ('[[character]]\nname = "a\\nb"\n', 2, ["one line"]),
        ('[[character]]\nname = "a▀"\n', 2, ["▀"]),
        ('[[character]]\nname = "a\\u202eb"\n', 2, ["invisible"]),
        ('[[character]]\nname = ""\n', 2, ["empty"]),
        (f'[[character]]\nname = "{"x" * 61}"\n', 2, ["60"]),
        ('[character]\nname = "x"\n', 1, ["[[character]]", "double brackets"]),
        (CAST + "\n" + CAST, 5, ['"Reimu"', "already"]),
        (CAST + '[[character]]\nname = "REIMU"\n', 4, ['"REIMU"', "already"]),
        (
            CAST + 'user = true\n[[character]]\nname = "B"\nuser = true\n',
            6,
            ["only one character", '"Reimu"'],
        ),
        (CAST + '[[message]]\ntext = "x"\nspeaker = "Reimo"\n', 5, ['did you mean "Reimu"?']),
        (CAST + '[[message]]\ntext = "x"\nspeaker = "Bob"\n', 5, ['"Bob"', "Reimu"]),
        (
            CAST + '[[message]]\nspeaker = "Reimu"\ntext = "x"\nlength = "mediun"\n',
            6,
            ["nano, micro, tiny", 'did you mean "medium"?'],
        ),
        ('title = "no cast"\n', 1, ["[[character]]", "at least one"]),
        ("", 1, ["empty"]),
        (" \n\n", 1, ["empty"]),
        ('title = "x"\nname = \n', 2, ["column 8", "TOML"]),
        ('title = "x"\ntitle = "y"\n', 2, ["TOML"]),
        (CAST + '"\\u001b[31m\\n" = 2\n', 3, ["is not a field"]),
    ],
)
def test_a_problem_names_its_line_its_field_and_what_was_expected(
    tmp_path: Path, text: str, line: int, parts: list[str]
) -> None:
    said = sentence(write(tmp_path / "card.toml", text))
    assert said.startswith(f"line {line}")
    for part in parts:
        assert part in said


def test_the_first_of_several_problems_is_told_and_the_others_counted(tmp_path: Path) -> None:
    text = CAST + 'nam = "x"\nuser = 3\n[[lore]]\ntext = 2\n'
    said = sentence(write(tmp_path / "card.toml", text))
    assert said.startswith("line 3:")
    assert said.endswith("(3 more after this one)")


def test_files_that_are_no_text_are_told_in_one_sentence(tmp_path: Path) -> None:
    assert "folder" in sentence(tmp_path)
    assert "no such file" in sentence(tmp_path / "nobody.toml")
    write(tmp_path / "shrine.toml", CAST)
    assert 'did you mean "shrine.toml"?' in sentence(tmp_path / "shrin.toml")
    assert "line 2: the file is not UTF-8" in sentence(
        write(tmp_path / "latin.toml", CAST.encode().replace(b"Reimu", b"Ren\xe9"))
    )
    assert "UTF-16" in sentence(write(tmp_path / "wide.toml", CAST.encode("utf-16")))
    assert "too large" in sentence(write(tmp_path / "huge.toml", CAST + "#" * 2_000_000))
    assert "nested" in sentence(write(tmp_path / "deep.toml", "a = " + "[" * 100_000))
    sentence(write(tmp_path / "number.toml", "a = " + "9" * 10_000))
    os.mkfifo(tmp_path / "pipe.toml")
    assert "not a plain file" in sentence(tmp_path / "pipe.toml")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(3_000_000), "this is a PNG picture, not a TOML card"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "this is a JPEG picture, not a TOML card"),
        (b"SQLite format 3\0", "this is a SQLite database, not a TOML card"),
        (b"name = 1\n\0\0\0", "this is a binary file, not a TOML card in UTF-8"),
        (b'{"spec": "chara_card_v2"}', "this is JSON, not a TOML card"),
    ],
)
def test_what_is_no_toml_says_what_it_is(tmp_path: Path, content: bytes, what: str) -> None:
    assert sentence(write(tmp_path / "card.toml", content)) == what
    with_hint = sentence(write(tmp_path / "card.png", content))
    assert with_hint == f"{what}: `shoritui import` makes one of it"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "card.toml", CAST)
    path.chmod(0)
    assert "cannot be read" in sentence(path)


# Things that look like keys and tables but are none, or are written in an odd way.
_ODD = st.lists(
    st.sampled_from(
        [
            "# nam = 1",
            "",
            'scenario = """\n[[character]]\nnam = "x"\\\n  """',
            "description = '''\n'nam' = 2\n''' # nam",
            '"aliases" = [ # nam\n  "a", # ]\n  \'b]\',\n]',
            "user = false",
            "title = \"a \\\" nam = 1 # '''\"",
        ]
    ),
    max_size=6,
    unique_by=lambda text: (
        text.split(" ")[0].strip('"') if "=" in text and text[0] != "#" else text
    ),
)


@given(rows=st.lists(_ODD, min_size=1, max_size=4), data=st.data())
def test_the_line_is_found_whatever_stands_around_it(
    rows: list[list[str]], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    bad_row = data.draw(st.integers(0, len(rows) - 1))
    known = ("#", "description", '"aliases"', "user")
    lines: list[str] = []
    expected = 0
    for index, row in enumerate(rows):
        lines += ["[[character]]", f'name = "{index}"']
        kept = [text for text in row if not text or text.startswith(known)]
        position = data.draw(st.integers(0, len(kept)))
        for place, text in enumerate([*kept, ""]):
            if index == bad_row and place == position:
                lines.append('nam = "x"')
                expected = len("\n".join(lines).split("\n"))
            lines.append(text)
    path = tmp_path_factory.getbasetemp() / "odd.toml"
    assert sentence(write(path, "\n".join(lines))).startswith(f'line {expected}: "nam"')


def test_lines_are_found_in_inline_tables_and_dotted_keys(tmp_path: Path) -> None:
    inline = 'character = [\n  { name = "A" },\n  { name = "B",\n  usr = true },\n]\n'
    assert sentence(write(tmp_path / "a.toml", inline)).startswith('line 4: "usr"')
    dotted = CAST + "\n[character.look]\nhair = 1\n"
    assert sentence(write(tmp_path / "b.toml", dotted)).startswith('line 4: "look"')


class TestSeveralFiles:
    def test_the_first_title_and_user_win_and_the_rest_is_joined(self, tmp_path: Path) -> None:
        first = write(tmp_path / "a.toml", 'tags = ["x"]\n' + CAST + "user = true\n")
        second = write(
            tmp_path / "b.toml",
            'title = "B"\ntags = ["x", "y"]\n[[character]]\nname = "Marisa"\nuser = true\n'
            '[[message]]\nspeaker = "Reimu"\ntext = "Hm."\n',
        )
        card = load_cards([first, second])
        assert card.title == "B"
        assert card.tags == ("x", "y")
        assert [(each.name, each.user) for each in card.characters] == [
            ("Reimu", True),
            ("Marisa", False),
        ]
        assert card.messages[0].speaker == "Reimu"
        assert card.source == f"{first}, {second}"

    def test_a_folder_stands_for_its_files_and_no_file_counts_twice(self, tmp_path: Path) -> None:
        file = write(tmp_path / "b.toml", '[[character]]\nname = "B"\n')
        write(tmp_path / "a.toml", '[[character]]\nname = "A"\n')
        write(tmp_path / "notes.txt", "no card")
        card = load_cards([tmp_path, file])
        assert [each.name for each in card.characters] == ["A", "B"]

    def test_one_name_in_two_files_names_both_and_the_line(self, tmp_path: Path) -> None:
        write(tmp_path / "a.toml", "\n" + CAST)
        write(tmp_path / "b.toml", CAST)
        with pytest.raises(UserError) as raised:
            load_cards([tmp_path / "a.toml", tmp_path / "b.toml"])
        assert f"{tmp_path / 'a.toml'}: line 3:" in str(raised.value)
        assert str(tmp_path / "b.toml") in str(raised.value)

    def test_no_file_and_an_empty_folder_are_told(self, tmp_path: Path) -> None:
        for nothing in ([], [tmp_path]):
            with pytest.raises(UserError):
                load_cards(nothing)


def test_one_bad_file_never_hides_the_good_ones(tmp_path: Path) -> None:
    good = write(tmp_path / "good.toml", CAST)
    write(tmp_path / "bad.toml", "nam = 1\nx")
    write(tmp_path / "latin.toml", b"\xff\xfe")
    (tmp_path / "folder.toml").mkdir()
    other = write(tmp_path / "z.toml", WHOLE)
    found, problems = find_cards([tmp_path, tmp_path / "missing"])
    assert [path for path, _ in found] == [good, other]
    assert [problem.split(":")[0] for problem in problems] == [
        str(tmp_path / name) for name in ("bad.toml", "folder.toml", "latin.toml")
    ]


def test_each_of_several_cards_speaks_of_its_own_character(tmp_path: Path) -> None:
    first = write(tmp_path / "a.toml", '[[character]]\nname = "Ada"\n')
    second = write(
        tmp_path / "b.toml",
        'scenario = "{{user}} waits at {{ Char }}\'s door."\n'
        '[[character]]\nname = "Bo"\ndescription = "{{char}} hums."\n'
        '[[lore]]\nname = "Door"\nkeys = ["<BOT>\'s door"]\ntext = "{{char}} painted it."\n',
    )
    card = settle_card(load_cards([first, second]), "Wren", 0.0)
    assert card.scenario == "Wren waits at Bo's door."
    assert (card.lore[0].text, card.lore[0].keys) == ("Bo painted it.", ("Bo's door",))
    assert card.characters[1].description == "Bo hums."
    assert load_cards([second]).scenario == "{{user}} waits at {{ Char }}'s door."
