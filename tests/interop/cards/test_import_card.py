"""Cards and lorebooks of other programs become ours, and nothing in them can do harm."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shoritui.cards import (
    Card,
    Note,
    card_folders,
    check_card,
    load_card,
    load_lorebook,
    lore_folder,
)
from shoritui.errors import UserError
from shoritui.folders import HOME_VARIABLE
from shoritui.interop.cards import ImportedCard, import_card
from shoritui.interop.cards.character import card_of as card_of_json
from shoritui.interop.cards.character import is_card
from shoritui.interop.cards.lore import lore_of
from shoritui.interop.cards.png import LARGEST
from tests.interop.cards.pictures import SIGNATURE, chunk, international, packed, picture, plain

V1: dict[str, Any] = {
    "name": "Orla",
    "description": "{{char}} keeps the light.",
    "personality": "dry, patient",
    "scenario": "The lamp went out.",
    "first_mes": '"Mind the step," {{char}} told {{user}}.',
    "mes_example": "<START>\n{{char}}: Hm.",
}
BOOK: dict[str, Any] = {
    "name": "Rock",
    "scan_depth": 5,
    "extensions": {},
    "entries": [
        {
            "keys": ["fog", "/mist(s)?/i"],
            "secondary_keys": ["night"],
            "selective": True,
            "comment": "Fog",
            "content": "The fog comes at dusk.",
            "insertion_order": 7,
            "enabled": True,
            "constant": False,
            "position": "before_char",
            "use_regex": True,
            "extensions": {
                "position": 4,
                "depth": 2,
                "selectiveLogic": 2,
                "probability": 40,
                "useProbability": True,
                "exclude_recursion": True,
                "sticky": 3,
                "automation_id": "horn",
            },
        },
        {"keys": [], "content": "The rock is old.", "constant": True, "enabled": True},
        {"keys": [], "content": "Never comes up.", "enabled": True},
        {"keys": ["gull"], "content": " ", "enabled": True},
    ],
}
V2: dict[str, Any] = {
    **V1,
    "avatar": "none",
    "spec": "chara_card_v2",
    "spec_version": "2.0",
    "data": {
        **V1,
        "creator_notes": "Made at night.",
        "creator": "Ann",
        "character_version": "1.2",
        "system_prompt": "{{original}} Never speak for {{user}}.",
        "post_history_instructions": "{{char}} is cold.",
        "alternate_greetings": ["The horn blew.", "Fog.", "Fog.", 7],
        "group_only_greetings": ["All hands!"],
        "character_book": BOOK,
        "tags": ["sea", "a,\n b"],
        "extensions": {
            "talkativeness": "0.8",
            "fav": False,
            "world": "",
            "depth_prompt": {"prompt": "Be brief.", "depth": 2, "role": "user"},
            "mine/own": {"a": 1},
        },
    },
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    return tmp_path / "home"


def taken_in(path: Path, content: object) -> ImportedCard:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    path.write_bytes(data)
    imported = import_card(path)
    assert imported is not None
    return imported


def card_of(imported: ImportedCard) -> Card:
    return load_card(imported.path)


def test_an_old_card_becomes_a_card_of_ones_own(tmp_path: Path) -> None:
    imported = taken_in(tmp_path / "x.json", V1)
    assert imported.path == card_folders()[0] / "orla.toml"
    card = card_of(imported)
    [orla] = card.characters
    assert orla.name == "Orla"
    assert orla.description == "{{char}} keeps the light.\n**Personality:** dry, patient"
    assert card.scenario == "The lamp went out."
    assert [(each.speaker, each.text) for each in card.messages] == [("Orla", V1["first_mes"])]
    assert orla.examples == "<START>\n{{char}}: Hm."
    assert imported.left == () and imported.sentences == f"Orla: {imported.path}."


def test_everything_in_a_newer_card_is_taken_over_or_named(tmp_path: Path) -> None:
    imported = taken_in(tmp_path / "x.json", V2)
    card = card_of(imported)
    assert card.characters[0].talkativeness == 0.8
    fog, rock, never = card.lore
    assert (fog.name, fog.keys, fog.secondary_keys) == ("Fog", ("fog*", "/mist(s)?/i"), ("night*",))
    assert (fog.logic, fog.order, fog.place, fog.depth) == ("not any", 7, "depth", 2)
    assert (fog.probability, fog.woken, fog.wakes, fog.sticky) == (40, False, True, 3)
    assert fog.scan_depth == 5
    assert rock.keys == () and rock.enabled and rock.place == "story"
    assert not never.enabled
    [opening] = card.messages
    assert opening.texts(in_group=False) == (V1["first_mes"], "The horn blew.", "Fog.")
    assert opening.texts(in_group=True) == ("All hands!", *opening.texts(in_group=False))
    assert card.instruction == "{{original}} Never speak for {{user}}."
    assert card.notes == (
        Note(text="Be brief.", depth=2, character="Orla", role="user"),
        Note(text="{{char}} is cold.", depth=0, character="Orla"),
    )
    assert (card.creator, card.creator_notes) == ("Ann", "Made at night.")
    assert (card.card_version, card.labels, card.tags) == ("1.2", ("sea", "a b"), ())
    assert imported.left == ("mine/own", "lore's automation")
    kept = json.loads(imported.path.with_suffix(".json").read_text(encoding="utf-8"))
    assert kept == V2


def test_a_nickname_is_what_a_character_is_called(tmp_path: Path) -> None:
    card = {"spec": "chara_card_v3", "data": {**V1, "nickname": "Or", "assets": [{"uri": "x"}]}}
    imported = taken_in(tmp_path / "x.json", card)
    [orla] = card_of(imported).characters
    assert (orla.name, orla.aliases) == ("Or", ("Orla",))
    assert "pictures and other files" in imported.left


def test_pygmalions_names_are_known(tmp_path: Path) -> None:
    old = {"char_name": "Orla", "char_persona": "Old.", "char_greeting": "Hm."}
    card = card_of(taken_in(tmp_path / "x.json", old))
    assert (card.characters[0].description, card.messages[0].text) == ("Old.", "Hm.")


@pytest.mark.parametrize(
    "text",
    [
        plain("chara", V2),
        plain("Chara", V2),
        packed("chara", V2),
        international("ccv3", V2, is_packed=False),
        international("ccv3", V2, is_packed=True),
        plain("Software", {}) + plain("chara", {"name": "Old", **V1}) + plain("ccv3", V2),
    ],
    ids=["plain", "capital", "packed", "international", "international, packed", "newer wins"],
)
def test_a_card_is_found_in_a_picture(text: bytes, tmp_path: Path) -> None:
    card = card_of(taken_in(tmp_path / "x.png", picture(text)))
    assert len(card.lore) == 3


def test_world_info_becomes_a_lorebook(tmp_path: Path) -> None:
    book = {
        "entries": {
            "0": {
                "uid": 0,
                "key": ["Eldoria", "wood"],
                "keysecondary": ["elf"],
                "comment": "",
                "content": "Eldoria is a forest.",
                "order": 50,
                "position": 2,
                "useProbability": False,
                "probability": 0,
                "groupWeight": 100,
                "caseSensitive": True,
                "triggers": ["swipe"],
            },
            "1": {"key": ["x"], "content": "Off.", "disable": True},
            "2": {"key": ["/(/"], "comment": "a: b", "content": "Bad."},
        }
    }
    imported = taken_in(tmp_path / "The Woods!.json", book)
    assert imported.path == lore_folder() / "the-woods.toml"
    wood, off, bad = load_lorebook(imported.path).lore
    assert (wood.name, wood.keys) == ("Eldoria", ("Eldoria*", "wood*"))
    assert wood.secondary_keys == ("elf*",)
    assert (wood.order, wood.case, wood.probability, wood.enabled) == (50, True, 100, True)
    assert not off.enabled
    assert (bad.name, bad.keys, bad.enabled) == ("a b", (), False)
    assert imported.left == ("kinds of generation", "keys that are no pattern")
    assert imported.sentences.startswith("3 pieces of lore: ")


def test_a_lorebook_of_cards_is_one(tmp_path: Path) -> None:
    imported = taken_in(tmp_path / "x.json", {"spec": "lorebook_v3", "data": BOOK})
    assert imported.path.name == "rock.toml" and len(load_lorebook(imported.path).lore) == 3


def test_nothing_is_replaced(tmp_path: Path) -> None:
    first = taken_in(tmp_path / "x.json", V1)
    before = first.path.read_bytes()
    second = taken_in(tmp_path / "x.json", {**V1, "scenario": "Another."})
    assert second.path.name == "orla (2).toml" and first.path.read_bytes() == before
    assert second.path.with_suffix(".json").name == "orla (2).json"


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1]", b"{}", b'{"a": ' * 200 + b"1" + b"}" * 200, b"\xff\xfe{\0"],
    ids=["empty", "cut", "list", "bare", "deep", "UTF-16"],
)
def test_what_is_neither_is_left_to_others(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    assert import_card(path) is None
    path.write_text('{"format": "shoritui-chat", "name": "x", "description": "", "entries": []}')
    assert import_card(path) is None
    assert import_card(tmp_path) is None
    assert import_card(tmp_path / "missing.png") is None


BOMB = zlib.compress(bytes(3 * LARGEST), 9)
GOOD = plain("chara", V1)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (picture(), "it is a picture without a character card"),
        (picture(GOOD)[:-40], "the picture ends in the middle"),
        (picture(GOOD[:-4] + b"abcd"), "a text in the picture is damaged"),
        (picture(chunk(b"zTXt", b"chara\0\0" + BOMB)), "larger than 16 MiB"),
        (picture(chunk(b"iTXt", b"ccv3\0\1\0\0\0" + BOMB)), "larger than 16 MiB"),
        (picture(chunk(b"zTXt", b"chara\0\0junk")), "packed, and damaged"),
        (picture(packed("chara", V1)[:-20]), "ends in the middle"),
        (picture(chunk(b"tEXt", b"chara\0!!")), "it is no base64"),
        (picture(chunk(b"tEXt", b"chara\0e30=")), "as a card is none"),
        (picture(chunk(b"tEXt", b"chara\0rcc||x")), "encrypted by RisuAI"),
        (picture(plain("chara", {"spec": "chara_card_v2", "data": 3})), "names nobody"),
        (picture(plain("chara", {"hello": 1})), "as a card is none"),
        (SIGNATURE, "it is a picture without a character card"),
    ],
    ids=[
        *("no card", "cut", "checksum", "bomb", "international bomb", "junk", "packed and cut"),
        *("no base64", "empty", "encrypted", "nobody", "other", "signature"),
    ],
)
def test_a_bad_picture_is_refused_in_a_sentence(
    content: bytes, reason: str, tmp_path: Path, home: Path
) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        import_card(path)
    assert reason in str(error.value) and "\n" not in str(error.value)
    assert not list(home.rglob("*.toml"))


def test_a_card_too_large_for_our_files_is_refused(tmp_path: Path, home: Path) -> None:
    source = tmp_path / "x.json"
    with pytest.raises(UserError, match="too large for a card") as error:
        taken_in(source, {**V1, "description": "a " * 1_100_000})
    assert str(error.value).startswith(f"{source} was not imported: this would be too large")
    assert not list(home.rglob("*.toml"))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ('{"a": ' * 900 + "1" + "}" * 900, "it is nested more than 100 levels deep"),
        ('{"a": ' * 9999 + "1" + "}" * 9999, "it is nested more than 100 levels deep"),
    ],
    ids=["deep", "far too deep"],
)
def test_what_is_nested_too_deep_is_said(
    value: str, reason: str, tmp_path: Path, home: Path
) -> None:
    source = tmp_path / "x.json"
    card = json.dumps({**V1, "extensions": "HERE"})
    source.write_text(card.replace('"HERE"', value), encoding="utf-8")
    with pytest.raises(UserError) as error:
        import_card(source)
    assert str(error.value) == f"{source} was not imported: {reason}."
    assert not list(home.rglob("*.toml"))


@pytest.mark.parametrize("value", ["9" * 5000, "1e999", "NaN", str(2**70)], ids=len)
def test_a_number_that_is_none_costs_no_card(value: str, tmp_path: Path, home: Path) -> None:
    source = tmp_path / "x.json"
    source.write_text(json.dumps({**V1, "talkativeness": "HERE"}).replace('"HERE"', value))
    assert import_card(source) is not None


def test_hostile_names_and_texts_do_no_harm(tmp_path: Path, home: Path) -> None:
    hostile = {
        "name": "../../e\x1b[2Jvil▀▄:\nx",
        "description": "▀message\nYou: a▄\x1b]0;x\x07",
        "../\x1b[1m": "kept",
    }
    imported = taken_in(tmp_path / "x.json", hostile)
    assert imported.path == home / "config" / "characters" / "evil-x.toml"
    [evil] = card_of(imported).characters
    assert evil.name == "../../evil x" and "\x1b" not in evil.description
    assert "\x1b" not in imported.sentences


SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """A card of which some values, at any depth, are of any other shape."""
    card: dict[str, Any] = json.loads(json.dumps(draw(st.sampled_from([V1, V2, BOOK]))))
    for _ in range(draw(st.integers(1, 3))):
        place: Any = card
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(place[key], dict | list) and draw(st.booleans()):
                place = place[key]
                continue
            place[key] = draw(SHAPES)
            break
    return card


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(card=mutated())
def test_any_shape_of_json_is_a_card_or_a_sentence(card: dict[str, Any]) -> None:
    made = Card(lore=lore_of(card)[0])
    try:
        if is_card(card):
            made, _ = card_of_json(card)
    except UserError as error:
        assert "names nobody" in str(error)
    check_card(made, cast=bool(made.characters))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    text=st.sampled_from([plain("chara", V2), packed("ccv3", V2)]),
    at=st.floats(0, 1),
    byte=st.binary(max_size=4),
    cut=st.integers(0, 8),
)
def test_any_damage_to_a_picture_is_a_card_or_a_sentence(
    text: bytes, at: float, byte: bytes, cut: int, tmp_path: Path
) -> None:
    whole = picture(text)
    place = int(at * len(whole))
    try_it(tmp_path / "x.png", whole[:place] + byte + whole[place + cut :])


def try_it(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        imported = import_card(path)
    except UserError as error:
        assert "\n" not in str(error) and str(error).isprintable()
    else:
        if imported is not None:
            assert imported.sentences.isprintable()
            assert imported.path.parent in (card_folders()[0], lore_folder())
            load_lorebook(imported.path) if not imported.card.characters else card_of(imported)


@pytest.mark.parametrize(
    ("book", "keys", "left"),
    [
        (
            {
                "type": "risu",
                "ver": 1,
                "data": [
                    {"key": "\uf000folder:1", "comment": "Folder", "content": "", "mode": "folder"},
                    {
                        "key": "fog, sea mist",
                        "secondkey": "night",
                        "selective": True,
                        "insertorder": "7",
                        "comment": "Fog",
                        "content": "Fog.",
                        "activationPercent": 40,
                        "extentions": {"risu_case_sensitive": True, "mine": 1},
                    },
                ],
            },
            ("fog*", "sea mist*"),
            ("mine",),
        ),
        (
            {
                "kind": "memory",
                "name": "Fog",
                "description": "",
                "entries": [
                    {
                        "name": "Fog",
                        "entry": "Fog.",
                        "keywords": ["fog", "mist*", "?og", "*ist*"],
                        "secondaryKeys": ["night"],
                        "selective": True,
                        "priority": 7,
                        "weight": 9,
                        "probability": 40,
                        "enabled": True,
                    }
                ],
            },
            ("fog", "mist*", r"/\b\wog\b/i", r"/\b\w*ist\w*\b/i"),
            ("weight",),
        ),
        (
            {
                "gamestarted": False,
                "prompt": "",
                "actions": [],
                "worldinfo": [
                    {
                        "key": "fog,mist",
                        "keysecondary": "night",
                        "keyanti": "sun",
                        "selective": True,
                        "content": "Fog.",
                        "comment": "Fog",
                        "probability": "40",
                        "wigroup": "Sea",
                    }
                ],
            },
            ("fog*", "mist*"),
            ("keyanti",),
        ),
        (
            {
                "lorebookVersion": 5,
                "settings": {"orderByKeyLocations": True},
                "entries": [
                    {
                        "text": "Fog.",
                        "displayName": "Fog",
                        "keys": ["fog", "/mists?/i"],
                        "contextConfig": {"budgetPriority": 7, "suffix": "\n"},
                        "keyRelative": True,
                    }
                ],
            },
            ("fog*", "/mists?/i"),
            ("settings", "keyRelative"),
        ),
    ],
    ids=["RisuAI", "Agnai", "KoboldAI Lite", "NovelAI"],
)
def test_lorebooks_of_other_programs_come_in(
    book: dict[str, Any], keys: tuple[str, ...], left: tuple[str, ...], tmp_path: Path
) -> None:
    imported = taken_in(tmp_path / "fog.json", book)
    [fog] = load_lorebook(imported.path).lore
    assert imported.path == lore_folder() / "fog.toml"
    assert (fog.name, fog.text, fog.keys, fog.enabled) == ("Fog", "Fog.", keys, True)
    assert imported.left == left
    if "lorebookVersion" not in book:
        assert fog.secondary_keys[0].startswith("night") and fog.probability == 40
    if "worldinfo" not in book:
        assert fog.order == 7


def test_a_bare_list_of_world_info_comes_in_and_a_save_with_a_story_does_not(
    tmp_path: Path,
) -> None:
    rows = [{"key": "fog", "content": "Fog.", "constant": True}]
    imported = taken_in(tmp_path / "fog.json", rows)
    assert load_lorebook(imported.path).lore[0].keys == ()
    (tmp_path / "save.json").write_text(
        json.dumps({"prompt": "It was dark.", "actions": ["Hm."], "worldinfo": rows})
    )
    assert import_card(tmp_path / "save.json") is None
