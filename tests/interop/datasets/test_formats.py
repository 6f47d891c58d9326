"""Each format: what is written in it is read as the same speakers who say the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.blockml import Block, Instruction
from shoritui.cards import Character
from shoritui.interop.datasets import Found, Read, Reading, Unnamed, Unusable, conversations_in
from tests.interop.datasets import formats
from tests.interop.datasets.formats import RECORDS, Said, talks

WHO = Reading(names={"user": "Mara", "char": "Ilse"})


def read(folder: Path, name: str, text: str | bytes, reading: Reading = WHO) -> list[Read]:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return list(conversations_in(path, reading))


def found(folder: Path, name: str, text: str | bytes, reading: Reading = WHO) -> list[Found]:
    all_read = read(folder, name, text, reading)
    assert all(isinstance(each, Found) for each in all_read), all_read
    return [each for each in all_read if isinstance(each, Found)]


def one(folder: Path, record: object, reading: Reading = WHO) -> Found:
    (each,) = found(folder, "a.jsonl", json.dumps(record), reading)
    return each


def error(folder: Path, record: object, reading: Reading = WHO) -> str:
    (each,) = read(folder, "a.jsonl", json.dumps(record), reading)
    assert isinstance(each, Unusable)
    assert "\n" not in str(each)
    return str(each)


def said(each: Found) -> list[Said]:
    return [
        (part.name, part.body)
        for part in each.parts
        if isinstance(part, Block) and part.role == "message"
    ]


@pytest.mark.parametrize("kind", RECORDS)
@given(data=st.data())
def test_a_record_is_read_as_it_was_said(
    tmp_path_factory: pytest.TempPathFactory, kind: str, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("data")
    talked = data.draw(st.lists(talks(), min_size=1, max_size=3))
    if kind == "alpaca":
        talked = [each[: len(each) // 2 * 2] for each in talked]
    rows = [RECORDS[kind](each) for each in talked]
    as_lines = found(folder, "a.jsonl", formats.lines(rows))
    assert [said(each) for each in as_lines] == talked
    assert [each.lines[0] for each in as_lines] == list(range(1, len(rows) + 1))
    pretty = found(folder, "a.json", json.dumps(rows, indent=1, ensure_ascii=False))
    dense = found(folder, "b.json", json.dumps(rows))
    assert [each.parts for each in pretty] == [each.parts for each in dense]
    assert [each.parts for each in pretty] == [each.parts for each in as_lines]
    assert [each.number for each in dense] == [0, *range(2, len(rows) + 1)]
    # Who is who may be said in the file's own words, or by a card.
    if kind in ("sharegpt", "messages"):
        own = {"human": "Mara", "gpt": "Ilse", "user": "Mara", "assistant": "Ilse"}
        cast = (Character(name="Mara", user=True), Character(name="Ilse"))
        for reading in (Reading(names=own), Reading(cast=cast)):
            again = found(folder, "a.jsonl", formats.lines(rows), reading)
            assert [said(each) for each in again] == talked


@given(talks())
def test_a_text_is_read_as_it_was_said(
    tmp_path_factory: pytest.TempPathFactory, talk: list[Said]
) -> None:
    folder = tmp_path_factory.mktemp("data")
    for name, text in (
        ("a.txt", formats.chatml(talk)),
        ("a.log", formats.log(talk)),
        ("Ilse.jsonl", formats.sillytavern(talk)),
    ):
        (each,) = found(folder, name, text)
        assert said(each) == talk
        rows = text.split("\n")
        for line, (_, body) in zip(each.lines, talk, strict=True):
            assert json.dumps(body[:1], ensure_ascii=False)[1:-1] in "\n".join(
                rows[line - 1 : line + 1]
            )


@given(st.lists(talks(), min_size=1, max_size=3))
def test_dashes_stand_between_the_conversations_of_a_log(
    tmp_path_factory: pytest.TempPathFactory, talked: list[list[Said]]
) -> None:
    folder = tmp_path_factory.mktemp("data")
    each = found(folder, "a.txt", "---\n".join(map(formats.log, talked)))
    assert [said(one) for one in each] == talked


def test_a_list_of_turns_is_one_conversation(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Hm."}, {"role": "assistant", "content": "Oh."}]
    for name, text in (
        ("a.json", json.dumps(turns, indent=2)),
        ("a.jsonl", formats.lines(turns)),
        ("b.jsonl", json.dumps(turns)),
    ):
        (each,) = found(tmp_path, name, text)
        assert said(each) == [("Mara", "Hm."), ("Ilse", "Oh.")]


def test_who_is_who_is_asked_for(tmp_path: Path) -> None:
    rows = [{"from": "human", "value": "Hm."}, {"from": "gpt", "value": "Oh."}] * 2
    (each,) = read(tmp_path, "a.json", json.dumps([{"conversations": rows}]), Reading())
    assert isinstance(each, Unnamed)
    assert each.roles == {"human": 2, "gpt": 2}
    assert '"human" (2 messages) and as "gpt" (2 messages)' in str(each)


def test_names_rename_whoever_the_file_names(tmp_path: Path) -> None:
    reading = Reading(names={"mara_v": "Mara", "Bot": "Ilse"})
    rows = [("mara_v", "Hm."), ("Bot", "Oh.")]
    turns = [{"role": "user", "name": name, "content": text} for name, text in rows]
    told = formats.log([*rows, *rows])
    wanted = [("Mara", "Hm."), ("Ilse", "Oh.")]
    assert said(one(tmp_path, {"messages": turns}, reading)) == wanted
    assert said(found(tmp_path, "a.txt", told, reading)[0]) == wanted * 2
    assert said(found(tmp_path, "b.jsonl", formats.sillytavern(rows), reading)[0]) == wanted
    own = {"messages": [{"name": name, "text": text} for name, text in rows]}
    assert said(one(tmp_path, own, reading)) == wanted


def test_a_text_may_say_who_speaks_several_times(tmp_path: Path) -> None:
    turns = [
        {"from": "human", "value": "Mara: Hm.\nShe waited."},
        {"from": "gpt", "value": "Ilse: Oh.\nTeo: Ah."},
        {"from": "gpt", "value": "Teo: Well."},
    ]
    told = one(tmp_path, {"conversations": turns}, Reading())
    wanted = [("Mara", "Hm.\nShe waited."), ("Ilse", "Oh."), ("Teo", "Ah."), ("Teo", "Well.")]
    assert said(told) == wanted
    # With a name for the role, only names that are known are no part of the text.
    turns[2]["value"] = "Warning: wet."
    told = one(tmp_path, {"conversations": turns}, Reading(names={"user": "Mara", "gpt": "Ilse"}))
    assert said(told)[1:] == [("Ilse", "Oh.\nTeo: Ah."), ("Ilse", "Warning: wet.")]


@pytest.mark.parametrize(
    ("use", "part"),
    [
        ("instruction", Instruction("Be Ilse for Mara.")),
        ("scenario", Block("scenario", "Be Ilse for Mara.")),
        ("lore", Block("lore", "Be Ilse for Mara.")),
        ("description", Block("description", "Be Ilse for Mara.")),
        ("drop", None),
    ],
)
def test_a_system_message_becomes_what_is_wanted(tmp_path: Path, use: str, part: object) -> None:
    record = formats.sharegpt([("Mara", "Hm."), ("Ilse", "Oh.")])
    reading = Reading(names=WHO.names, system=use)  # type: ignore[arg-type]
    text = "Be {{char}} for {{user}}."
    rows = record["conversations"]
    for found in (
        one(tmp_path, {**record, "system": text}, reading),
        one(tmp_path, {"conversations": [{"from": "system", "value": text}, *rows]}, reading),
    ):
        assert [*found.parts[:-2]] == ([part] if part else [])
    later = [*rows, {"from": "system", "value": "Night falls."}]
    (*_, last) = one(tmp_path, {"conversations": later}, reading).parts
    assert last == (
        Block("message", "Oh.", "Ilse") if use == "drop" else Instruction("Night falls.")
    )


def test_the_instructions_of_limarp_are_taken_apart(tmp_path: Path) -> None:
    text = """\
Below is an instruction that describes a task.

### Instruction:
Ilse's Persona: Ilse keeps the ledger.

Mara's Persona: Late: always.

Scenario: {{user}} owes apples.

Play the role of Ilse. You must engage in a roleplaying chat with Mara below this line. Do not \
write dialogues and narration for Mara.

### Input:
Mara: Here.

### Response: (length = huge)
Ilse: Nine?

### Input:
Mara: Nine.
"""
    wanted = (
        Block("description", "Ilse keeps the ledger."),
        Block("description", "Mara\nLate: always."),
        Block("scenario", "Mara owes apples."),
        Block("message", "Here.", "Mara"),
        Block("message", "Nine?", "Ilse", "huge"),
        Block("message", "Nine.", "Mara"),
    )
    (each,) = found(tmp_path, "a.txt", text, Reading())
    assert each.parts == wanted
    assert one(tmp_path, {"text": text}, Reading()).parts == wanted
    anybody = text.replace("Ilse's", "Character's").replace("Mara's", "User's")
    assert one(tmp_path, {"text": anybody}, Reading()).parts == wanted


def test_limarps_own_files_are_read(tmp_path: Path) -> None:
    yaml = """\
names: {"<FIRST>": Ilse, "<SECOND>": Mara}
personas:
  "<FIRST>": <FIRST> keeps the ledger.
  "<SECOND>": Mara is late.
scenario: <SECOND> owes apples.
conversation:
  - {name: "<SECOND>", text: "Here, <FIRST>."}
  - {name: "<FIRST>", text: "Nine?"}
"""
    (each,) = found(tmp_path, "a.yaml", yaml, Reading())
    assert each.parts == (
        Block("description", "Ilse keeps the ledger."),
        Block("description", "Mara is late."),
        Block("scenario", "Mara owes apples."),
        Block("message", "Here, Ilse.", "Mara"),
        Block("message", "Nine?", "Ilse"),
    )


def test_length_hints_of_others_are_ours(tmp_path: Path) -> None:
    turns = [
        {"from": "human", "value": "Mara: Hm.\n(length = tiny)"},
        {"from": "gpt", "value": "Ilse: Oh."},
        {"from": "gpt", "value": "(length: unlimited)\nIlse: Oh."},
        {"from": "gpt", "value": "Ilse: Ah.", "length": "micro"},
        {"from": "gpt", "value": "Ilse: Ah.", "length": 12},
    ]
    told = one(tmp_path, {"conversations": turns}, Reading()).parts
    hints = [part.length for part in told if isinstance(part, Block)]
    assert hints == [None, "tiny", "enormous", "micro", None]
    chatml = "<|im_start|>Mara\nHm.<|im_end|>\n<|im_start|>Ilse (Length: short)\nOh.<|im_end|>"
    (each,) = found(tmp_path, "a.txt", chatml, Reading())
    assert each.parts[1] == Block("message", "Oh.", "Ilse", "short")


def test_what_has_no_weight_is_read_but_not_learnt(tmp_path: Path) -> None:
    turns = [
        {"role": "user", "content": "Hm.", "weight": 0},
        {"role": "assistant", "content": "Oh."},
    ]
    assert one(tmp_path, {"messages": turns}).unlearnt == {0}
    assert "weight should be 0 or 1" in error(
        tmp_path, {"messages": [{"role": "user", "content": "Hm.", "weight": 0.5}]}
    )


def test_cards_describe_those_who_speak(tmp_path: Path) -> None:
    cast = (
        Character(name="Mara", description="Late; {{char}} waits for {{user}}.", user=True),
        Character(
            name="Ilse Brandt", aliases=("Ilse",), description="She keeps {{user}}'s ledger."
        ),
        Character(name="Teo", description="Nobody hears him."),
    )
    reading = Reading(names=WHO.names, cast=cast, tags=("apples", "sea"))
    record = formats.messages([("Mara", "Hm."), ("Ilse", "Oh.")])
    told = one(tmp_path, {**record, "system": "Be brief."}, reading)
    assert told.parts == (
        Block("tags", "apples, sea"),
        Block("description", "Ilse\nShe keeps Mara's ledger."),
        Block("description", "Late; Ilse Brandt waits for Mara."),
        Instruction("Be brief."),
        Block("message", "Hm.", "Mara"),
        Block("message", "Oh.", "Ilse"),
    )
    # What a conversation says itself stays as it is.
    own = {
        "title": "A lamp",
        "tags": "Sea",
        "descriptions": [{"name": "Ilse", "text": "Tired."}],
        "scenario": "Night.",
        "messages": [{"name": "Mara", "text": "Hm."}, {"name": "Ilse", "text": "Oh."}],
    }
    assert one(tmp_path, own, reading).parts[:5] == (
        Block("title", "A lamp"),
        Block("tags", "Sea, apples"),
        Block("description", "Ilse\nTired."),
        Block("description", "Late; Ilse Brandt waits for Mara."),
        Block("scenario", "Night."),
    )


def test_a_chat_is_read_with_its_scene_and_the_swipe_that_was_kept(tmp_path: Path) -> None:
    rows = [
        {"user_name": "Mara", "character_name": "Ilse", "chat_metadata": {"note_prompt": "Brief."}},
        {"name": "Ilse", "mes": "Nine?", "swipes": ["Ten?", "Nine?"], "swipe_id": 1},
        {"name": "Mara", "is_user": True, "mes": "(aside)", "is_system": True},
        {"name": "Mara", "is_user": True, "mes": "Nine."},
        {"name": "Teo", "mes": "Ha."},
    ]
    (each,) = found(tmp_path, "Ilse.jsonl", formats.lines(rows), Reading())
    assert each.parts == (
        Instruction("Brief."),
        Block("message", "Nine?", "Ilse"),
        Block("message", "Nine.", "Mara"),
        Block("message", "Ha.", "Teo"),
    )
    assert each.lines == (1, 2, 4, 5)
    torn = formats.lines(rows) + '{"name": "Teo", "mes'
    (broken,) = read(tmp_path, "Teo.jsonl", torn, Reading())
    assert isinstance(broken, Unusable) and "6" in str(broken)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"messages": [{"role": "tool", "content": "4"}]}, "messages[0] is of 'tool'"),
        (
            {"messages": [{"role": "assistant", "content": None, "tool_calls": [{}]}]},
            "calls of tools",
        ),
        ({"conversations": [{"from": "function_call", "value": "f()"}]}, "'function_call'"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content should be text"),
        ({"messages": [{"role": "user", "content": None}]}, "should be text, not nothing"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": ""}]}]},
            "holds image_url",
        ),
        ({"conversations": [{"from": "human", "value": "x"}, 3]}, "conversations[1] should be"),
        ({"conversations": [{"value": "x"}]}, "does not say who speaks"),
        ({"conversations": []}, "its conversations are none"),
        ({"conversations": [{"from": "system", "value": "x"}]}, "nobody says anything"),
        ({"instruction": "x", "output": 3}, "output should be text"),
        ({"instruction": "x", "output": "y", "history": [["a"]]}, "history[0] should be two texts"),
        ({"instruction": "x", "input": "y"}, "its keys are instruction, input"),
        ({"a": 1, "\x1b[31m": 2}, "its keys are a, �[31m"),
        ({}, "its keys are none"),
        (
            {"conversations": [{"from": "human", "value": "x"}], "instruction": "x", "output": "y"},
            "this may be sharegpt, alpaca: say which, as format",
        ),
        ([1], "expected a JSON object"),
        ("x", "not a text"),
        (None, "not null"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, record: object, words: str) -> None:
    assert words in error(tmp_path, record)


def test_a_format_settles_what_a_record_is(tmp_path: Path) -> None:
    both = {**formats.alpaca([("Mara", "a"), ("Ilse", "b")]), **formats.sharegpt([("Mara", "c")])}
    assert said(one(tmp_path, both, Reading("sharegpt", WHO.names))) == [("Mara", "c")]
    assert len(said(one(tmp_path, both, Reading("alpaca", WHO.names)))) == 2
    assert "this is not messages" in error(tmp_path, both, Reading("messages"))


def test_a_text_without_speakers_may_be_somebodys(tmp_path: Path) -> None:
    record = {"text": "The tide was late, and nobody had lit the lamp."}
    assert 'speaks as "text"' in error(tmp_path, record, Reading())
    told = one(tmp_path, record, Reading(names={"text": "Narrator"}))
    assert said(told) == [("Narrator", record["text"])]


def test_what_is_wrong_hides_nothing_else(tmp_path: Path) -> None:
    good = formats.messages([("Mara", "Hm."), ("Ilse", "Oh.")])
    text = "\n".join([json.dumps(good), "{", '{"messages": [{"role": "tool"}]}', json.dumps(good)])
    kinds = [
        each.line if isinstance(each, Unusable) else each.lines[0]
        for each in read(tmp_path, "a.jsonl", text)
    ]
    assert kinds == [1, 2, 3, 4]
