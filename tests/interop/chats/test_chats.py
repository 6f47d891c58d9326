"""Chats of other programs come in with the right speakers, versions, notes and lore."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shoritui.errors import UserError
from shoritui.interop import import_chats, import_file, read_chats
from shoritui.story import Entry, Library, NoteRule, WholeChat


def refused(error: UserError) -> None:
    raise error


def read_all(folder: Path, name: str, found: object) -> tuple[list[WholeChat], list[str]]:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(found if isinstance(found, str) else json.dumps(found), encoding="utf-8")
    told: list[str] = []
    chats = [each.whole for each in read_chats([path], told.append, refused)]
    return chats, [each.removeprefix(f"{path}: ") for each in told]


def read(folder: Path, name: str, found: object) -> WholeChat:
    [whole], told = read_all(folder, name, found)
    assert told == []
    return whole


def said(whole: WholeChat) -> list[tuple[str, str]]:
    return [(entry.speaker, entry.text) for entry in whole.path()]


def versions(whole: WholeChat, entry: Entry) -> list[str]:
    return [each.text for each in whole.entries if each.slot == entry.slot]


def cast(whole: WholeChat) -> list[tuple[str, bool]]:
    return [(each.name, each.user) for each in whole.chat.scene.characters]


def kobold(**more: object) -> dict[str, Any]:
    return {"gamestarted": True, "prompt": "", "memory": "", "actions": [], **more}


SETTINGS = {"opmode": 3, "chatname": "Bram", "chatopponent": "Ada||$||Cleo"}


def test_a_chat_of_kobold_lite(tmp_path: Path) -> None:
    whole = read(
        tmp_path,
        "ferry.json",
        kobold(
            prompt="\nAda: Hm.\nShe sat.",
            actions=["\nBram: No, {{char}}.", "\nCleo: Oh.[<|h|abc|h|>]", " And so on.\nAda: Yes."],
            memory="A harbour.",
            authorsnote="Be brief.",
            anotetemplate="[Author's note: <|>]",
            anotestr=480,
            worldinfo=[
                {
                    "key": "fog, mist",
                    "content": "It is thick.",
                    "comment": "Fog",
                    "constant": False,
                },
                {"key": "tin", "keyanti": "gold", "selective": True, "content": "A whistle."},
                {"key": "", "content": "Always.", "constant": True, "widisabled": True},
            ],
            savedsettings=SETTINGS,
        ),
    )
    assert said(whole) == [
        ("", "Be brief."),
        ("Ada", "Hm.\nShe sat."),
        *[("Bram", "No, Ada."), ("Cleo", "Oh. And so on."), ("Ada", "Yes.")],
    ]
    assert whole.path()[0].details.note == NoteRule(depth=2)
    assert cast(whole) == [("Ada", False), ("Cleo", False), ("Bram", True)]
    memory, fog, tin, always = whole.chat.scene.lore
    assert (memory.name, memory.text, memory.keys) == ("Memory", "A harbour.", ())
    assert (fog.name, fog.keys) == ("Fog", ("fog*", "mist*"))
    assert (tin.secondary_keys, tin.logic) == (("gold*",), "not any")
    assert not always.enabled
    assert whole.chat.name == "ferry"


def test_instructions_of_kobold_lite(tmp_path: Path) -> None:
    instruct = {"opmode": 4, "chatname": "Bram", "chatopponent": "Ada"}
    whole = read(
        tmp_path,
        "it.json",
        kobold(
            prompt="Rain.\n{{[INPUT]}}\nNo.",
            actions=[
                "\n{{[OUTPUT]}}\n",
                "Hm.",
                "\n{{[INPUT]}}\nBram: Yes.\n{{[SYSTEM]}}\nBe brief.",
            ],
            savedsettings=instruct,
        ),
    )
    assert said(whole) == [
        *[("Narrator", "Rain."), ("Bram", "No."), ("Ada", "Hm."), ("Bram", "Yes.")],
        ("", "Be brief."),
    ]
    tags = {"instruct_starttag": "\\n### Instruction:\\n", "instruct_endtag": "### Response:"}
    raw = "\n### Instruction:\nNo.\n### Response:\nHm."
    whole = read(tmp_path, "it.json", kobold(prompt=raw, savedsettings={**instruct, **tags}))
    assert said(whole) == [("Bram", "No."), ("Ada", "Hm.")]


def test_an_adventure_prose_and_a_chat_without_settings(tmp_path: Path) -> None:
    adventure = kobold(
        prompt="A road.",
        actions=["\n\n> go east\n", "You go.\n> not you"],
        savedsettings={"opmode": 2, "chatname": "Bram"},
    )
    assert said(read(tmp_path, "a.json", adventure)) == [
        *[("Narrator", "A road."), ("Bram", "go east"), ("Narrator", "You go.\n> not you")]
    ]
    prose = kobold(prompt="Once: upon", actions=[" a time.", " End."], savedsettings={"opmode": 1})
    whole = read(tmp_path, "b.json", prose)
    assert said(whole) == [
        ("Narrator", "Once: upon"),
        ("Narrator", "a time."),
        ("Narrator", "End."),
    ]
    talk = ["\nAda: a\n", "Bram: b\n", "Ada: c", "\nBram: Note: d"]
    whole = read(tmp_path, "c.json", kobold(actions=talk))
    assert said(whole) == [("Ada", "a"), ("Bram", "b"), ("Ada", "c"), ("Bram", "Note: d")]


def test_branches_of_kobold_lite_are_branches(tmp_path: Path) -> None:
    branches = [None, ["\nAda: a", "\nBram: other", "\nAda: end"], ["\nAda: elsewhere"], [3, ""]]
    talk = kobold(
        prompt="\nAda: a", actions=["\nBram: b"], altbranches=branches, savedsettings=SETTINGS
    )
    whole = read(tmp_path, "it.json", talk)
    texts = {entry.id: entry.text for entry in whole.entries}
    assert {entry.text: texts.get(entry.parent or 0) for entry in whole.entries} == {
        **{"a": None, "b": "a", "other": "a", "end": "other"}
    }


def test_other_forms_of_koboldais_saves(tmp_path: Path) -> None:
    new = kobold(
        prompt="Rain.",
        actions={"actions": {"0": {"Selected Text": " It fell."}, "1": {"Options": []}}},
        worldinfo_v2={"entries": {"1": {"key": ["fog"], "keysecondary": [], "content": "Thick."}}},
        authornote="Hm.",
    )
    whole = read(tmp_path, "new.json", new)
    assert said(whole) == [("", "Hm."), ("Narrator", "Rain."), ("Narrator", "It fell.")]
    assert whole.chat.scene.lore[0].keys == ("fog*",)
    shared = {
        "md": 1,
        "ga": ["Rain.", " It fell."],
        "cm": "A road.",
        "ca": "Brief.",
        "ct": "",
        "cwi": [],
    }
    whole = read(tmp_path, "shared.json", shared)
    assert said(whole)[1:] == [("Narrator", "Rain."), ("Narrator", "It fell.")]
    assert whole.chat.scene.lore[0].text == "A road."


def test_chats_of_risuai(tmp_path: Path) -> None:
    chat = {
        "name": "Chat 1",
        "note": "Be brief.",
        "localLore": [
            {"key": "fog, mist", "comment": "Fog", "content": "It is thick.", "mode": "normal"},
            {"key": "/a,b/", "useRegex": True, "content": "x", "alwaysActive": False},
            {"key": "", "content": "y", "mode": "constant"},
            {"key": "f", "content": "", "mode": "folder"},
        ],
        "bookmarks": ["m2"],
        "bookmarkNames": {"m2": "the fork"},
        "message": [
            {"role": "char", "data": "Gone.", "disabled": "allBefore"},
            {"role": "char", "data": "Hm, <user>.", "saying": "id1", "time": 1729284737123},
            {"role": "user", "data": "No.", "chatId": "m2"},
            {"role": "char", "data": "Oh.", "saying": "id2", "disabled": True},
            {"role": "char", "data": "Named.", "name": "Cleo"},
            {"role": "char", "data": "Mine.", "isComment": True},
            {"role": "char", "data": 3},
        ],
    }
    found = {"type": "risuChat", "ver": 2, "data": chat}
    whole = read(tmp_path, "Ada_2024-10-18T205217123Z_chat.json", found)
    assert [(e.kind, e.speaker, e.text, e.hidden) for e in whole.path()] == [
        *[("note", "", "Be brief.", False), ("message", "Ada", "Gone.", True)],
        *[("message", "Ada", "Hm, You.", False), ("message", "You", "No.", False)],
        *[("message", "Ada 2", "Oh.", True), ("message", "Cleo", "Named.", False)],
        ("note", "", "Mine.", True),
    ]
    assert whole.path()[2].created == 1729284737.123
    assert whole.path()[3].label == "the fork"
    lore = whole.chat.scene.lore
    assert [each.keys for each in lore] == [("fog*", "mist*"), ("/a,b/",), ()]
    assert (lore[0].name, lore[0].text) == ("Fog", "It is thick.")
    every = {
        "type": "risuAllChats",
        "ver": 2,
        "data": [chat, {"message": []}, {**chat, "name": "B"}],
    }
    chats, _ = read_all(tmp_path, "Ada_all_chats_2024-10-18T205217123Z.json", every)
    assert [each.chat.name for each in chats] == ["Ada, Chat 1", "Ada, B"]
    summed = {"type": "risuChat", "data": {**chat, "supaMemoryData": "They met."}}
    assert read_all(tmp_path, "it.json", summed)[1] == ["its summaries were left out."]


def test_a_chat_of_agnai(tmp_path: Path) -> None:
    rows = [
        {"_id": "1", "msg": "Hm.", "characterId": "imported", "name": "Ada"},
        {"_id": "2", "parent": "1", "msg": "No.", "userId": "u", "handle": "Bram"},
        {"_id": "3", "parent": "2", "msg": "Oh.", "retries": ["Ah.", "Eh."], "characterId": "c2"},
        {"_id": "4", "parent": "3", "msg": "brb", "userId": "u", "ooc": True, "name": "Bram"},
        {"_id": "5", "parent": "2", "msg": "Else.", "characterId": "imported", "name": "Ada"},
        {"_id": "6", "parent": "5", "msg": "A storm.", "characterId": "x", "event": "world"},
        {"_id": "7", "parent": "6", "msg": "Be quick.", "characterId": "x", "event": "hidden"},
    ]
    found = {"name": "Exported", "greeting": "", "sampleChat": "", "scenario": "To {{user}}'s sea."}
    whole = read(tmp_path, "chat-1.json", {**found, "messages": rows})
    assert [(e.kind, e.speaker, e.text) for e in whole.path()] == [
        *[("message", "Ada", "Hm."), ("message", "Bram", "No."), ("message", "Ada", "Else.")],
        *[("message", "Narrator", "A storm."), ("note", "", "Be quick.")],
    ]
    [ooc] = [entry for entry in whole.entries if entry.kind == "ooc"]
    assert (ooc.speaker, ooc.text) == ("Bram", "brb")
    [third] = [entry for entry in whole.entries if entry.text == "Oh."]
    assert versions(whole, third) == ["Oh.", "Ah.", "Eh."]
    assert whole.chat.scene.scenario == "To Bram's sea." and whole.chat.user == "Bram"
    leaf = read(tmp_path, "it.json", {**found, "treeLeafId": "4", "messages": rows})
    assert said(leaf)[-1] == ("Bram", "brb")
    [whole], told = read_all(
        tmp_path, "it.json", {"greeting": "Welcome.", "messages": [{"msg": "a"}]}
    )
    assert told == ["its greeting was left out: a card has a place for it."]
    assert said(whole) == [("Character", "a")]


def test_a_history_of_text_generation_webui(tmp_path: Path) -> None:
    found = {
        "internal": [["<|BEGIN-VISIBLE-CHAT|>", "Hm."], ["<b> & {{char}}", "Oh."], ["x", "cut"]],
        "visible": [["", "Hm."], ["&lt;b&gt;", "Oh."], ["x", "cut"]],
        "metadata": {
            "assistant_1": {
                "timestamp": "Oct 18, 2024 20:52",
                "versions": [{"content": "Ah."}, {"content": "Oh."}, {"content": 3}],
                "current_version_index": 1,
            },
            "assistant_2": {"versions": [{"content": "old"}], "current_version_index": 0},
        },
    }
    whole = read(tmp_path, "logs/chat/Ada/20241018-20-52-17.json", found)
    assert said(whole) == [
        *[("Ada", "Hm."), ("You", "<b> & Ada"), ("Ada", "Oh."), ("You", "x"), ("Ada", "cut")]
    ]
    assert versions(whole, whole.path()[2]) == ["Ah.", "Oh."]
    assert versions(whole, whole.path()[4]) == ["old", "cut"]
    assert cast(whole) == [("Ada", False), ("You", True)]
    old = {"data": [["No.", "Hm."]], "data_visible": [["No.", "Hm."]]}
    assert said(read(tmp_path, "Ada_persistent.json", old)) == [("You", "No."), ("Ada", "Hm.")]
    seen = {"data_visible": [["a &amp; b", "Hm."]]}
    assert said(read(tmp_path, "it.json", seen)) == [("You", "a & b"), ("Character", "Hm.")]
    assert said(read(tmp_path, "logs/instruct/1.json", old))[1] == ("Assistant", "Hm.")
    number = f"&#{'9' * 5_000};"  # more digits than Python makes a number of
    seen = {"data_visible": [[number, "Hm."]]}
    assert said(read(tmp_path, "it.json", seen))[0] == ("You", number)


def test_histories_of_character_ai(tmp_path: Path) -> None:
    rows = [
        {"src": {"is_human": False, "name": "Ada"}, "text": "Hm."},
        {"src": {"is_human": True, "name": "Bram"}, "text": "No."},
        {"src": {"is_human": False}, "text": "Oh."},
        {"text": 3},
    ]
    found = {"histories": {"histories": [{"msgs": rows}, {"msgs": []}, {"msgs": rows[:1]}]}}
    chats, _ = read_all(tmp_path, "it.json", found)
    assert [said(whole) for whole in chats] == [
        [("Ada", "Hm."), ("Bram", "No."), ("Ada", "Oh.")],
        [("Ada", "Hm.")],
    ]
    assert [whole.chat.name for whole in chats] == ["it, 1", "it, 2"]


OTAKU = """\
# The last ferry

<!-- otaku export
otaku-version: 0.5.0
format-version: 1
-->

## Story

### Story so far

They met.

### System

Be brief.

### Cast

- **Ada** (aka Addie, The Girl) — A ferrywoman.
- **Cleo**

## Scenes

### 1 · The harbour
- **Messages:** 1-2

Rain fell.

#### Ada

**State:** Wet.

## Messages

### 1 · user · Bram · "/me sits"
He sat.

### 9 · user
not a header

### 2 · assistant · Ada
"Hm."

### 3 · assistant (narration)
Night came.

### 4 · user (ooc)
brb
"""


def test_a_story_of_otaku(tmp_path: Path) -> None:
    whole = read(tmp_path, "it.md", OTAKU)
    assert [(e.kind, e.speaker, e.text, e.hidden) for e in whole.path()] == [
        ("note", "", "Be brief.", False),
        ("message", "Bram", "He sat.\n\n### 9 · user\nnot a header", False),
        ("message", "Ada", '"Hm."', False),
        ("message", "Narrator", "Night came.", False),
        ("ooc", "Bram", "brb", False),
        ("note", "", "Story so far\nThey met.", True),
        (
            *("note", ""),
            "1 · The harbour\n- **Messages:** 1-2\n\nRain fell.\n\n#### Ada\n\n**State:** Wet.",
            True,
        ),
    ]
    ada, cleo, bram = whole.chat.scene.characters
    assert (ada.aliases, ada.description) == (("Addie", "The Girl"), "A ferrywoman.")
    assert (cleo.name, bram.name, bram.user) == ("Cleo", "Bram", True)
    assert whole.chat.name == "The last ferry"


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        ({"type": "risuChat", "data": None}, "no message is in it"),
        ({"type": "risuAllChats", "data": [{"message": [3, {}]}]}, "no message is in it"),
        (kobold(prompt="  ", savedsettings=SETTINGS), "no message is in it"),
        ({"messages": [{"msg": " "}]}, "no message is in it"),
        ({"internal": [["", ""]]}, "no message is in it"),
        ({"messages": [3]}, "no chat that is known"),
        ({"histories": {"histories": [{"msgs": 3}]}}, "no chat that is known"),
        ("<!-- otaku export\n## Messages\n", "no message is in it"),
    ],
)
def test_what_holds_no_message_is_one_sentence(
    library: Library, tmp_path: Path, found: object, sentence: str
) -> None:
    path = tmp_path / "it.json"
    path.write_text(found if isinstance(found, str) else json.dumps(found))
    with pytest.raises(UserError, match=sentence):
        import_file(library, path)
    assert library.summaries() == []


def test_each_chat_of_a_file_is_one_of_the_library(library: Library, tmp_path: Path) -> None:
    rows = [{"src": {"is_human": False, "name": "Ada"}, "text": "Hm."}]
    histories = {"histories": {"histories": [{"msgs": rows}, {"msgs": rows}]}}
    (tmp_path / "it.json").write_text(json.dumps(histories))
    chats = import_chats(library, [tmp_path / "it.json"], print, refused)
    assert [chat.name for chat in chats] == ["it, 1", "it, 2"]
    assert len(library.summaries()) == 2 and library.check() == []
