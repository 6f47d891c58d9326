"""Cards go out as other programs read them, and nothing that they held before is lost."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from shoritui.cards import (
    Card,
    Character,
    Lore,
    Note,
    Opening,
    card_from_json,
    card_to_json,
    check_card,
    load_card,
    picture_of,
    save_card,
)
from shoritui.errors import UserError
from shoritui.folders import HOME_VARIABLE
from shoritui.interop.cards import CARD_FORMATS, export_card, import_card, whole_card
from shoritui.interop.cards.character import card_of
from shoritui.interop.cards.marks import facts_of
from shoritui.interop.cards.png import card_in
from shoritui.interop.cards.write_back import alone, written_back
from shoritui.text import clean
from tests.cards.strategies import cards
from tests.interop.cards.foreign import CARDS, lost
from tests.interop.cards.pictures import archive, chunk, drawn, picture, plain

ENVELOPE = (".spec", ".spec_version")
slow = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
few = settings(slow, max_examples=8)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    return tmp_path / "home"


def taken_in(path: Path, content: object = None) -> Path:
    """Import a file, and return the card."""
    if content is not None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        path.write_bytes(data)
    imported = import_card(path)
    assert imported is not None
    return imported.path


def sent_out(card: Path, form: str, folder: Path) -> Path:
    [path] = export_card(whole_card(card), form, folder).paths
    return path


def held(path: Path) -> dict[str, Any]:
    """The JSON in a file that was exported."""
    content = path.read_bytes()
    if path.suffix == ".png":
        content = card_in(content)
    elif path.suffix == ".charx":
        with ZipFile(path) as opened:
            content = opened.read("card.json")
    found: dict[str, Any] = json.loads(content)
    return found


def read_back(found: dict[str, Any]) -> Card:
    """What an import would make of a card that went out."""
    return check_card(card_of(json.loads(json.dumps(found)))[0])


@slow
@given(found=CARDS, version=st.sampled_from(["v2", "v3"]))
def test_a_card_that_nobody_changed_goes_out_as_it_came(
    found: dict[str, Any], version: Any
) -> None:
    card = check_card(card_of(found)[0])
    out = written_back(card, found, version)
    gone = lost(found, out)
    assert set(gone) <= set(ENVELOPE) and (not gone or found["spec"] != out["spec"])
    assert "shoritui" not in out["data"]["extensions"]
    assert read_back(out) == card
    assert written_back(read_back(out), out, version) == out


@slow
@given(found=st.just({}) | CARDS, card=cards(), version=st.sampled_from(["v2", "v3"]))
def test_whatever_was_changed_here_is_read_again_and_the_rest_is_as_it_was(
    found: dict[str, Any], card: Card, version: Any
) -> None:
    try:
        card = check_card(alone(cleaned(card), 0))
    except UserError:
        assume(False)
    out = written_back(card, found, version)
    assert facts_of(read_back(out)) == facts_of(card)
    assert not [place for place in lost(found, out) if ".x-" in place and ".entries" not in place]


def cleaned(card: Card) -> Card:
    """A card as an import would have it, which lets no control character in."""

    def each(value: Any) -> Any:
        if isinstance(value, list):
            return [each(inner) for inner in value]
        if isinstance(value, dict):
            return {key: each(inner) for key, inner in value.items()}
        return clean(value) if isinstance(value, str) else value

    return card_from_json(json.dumps(each(json.loads(card_to_json(card)))))


@few
@given(found=CARDS, form=st.sampled_from([*CARD_FORMATS]))
def test_a_card_goes_through_every_kind_of_file(
    found: dict[str, Any], form: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("cards")
    first = taken_in(folder / "x.json", found)
    out = sent_out(first, form, folder)
    gone = lost(found, held(out))
    assert not [place for place in gone if place not in (*ENVELOPE, ".data.assets")]
    again = taken_in(out)
    assert load_card(again).characters == load_card(first).characters
    assert held(sent_out(again, form, folder)) == held(out)


ORLA = {"name": "Orla", "description": "Old.", "first_mes": "Hm.", "x": 1, "avatar": "none"}


def test_what_a_user_changed_stands_in_every_copy_of_a_field(tmp_path: Path) -> None:
    found = {
        **{**ORLA, "talkativeness": "0.5"},
        "spec": "chara_card_v2",
        "spec_version": "2.0",
        "data": {**ORLA, "personality": "dry", "extensions": {"talkativeness": "0.5", "a": [1]}},
    }
    path = taken_in(tmp_path / "x.json", found)
    card = load_card(path)
    assert card.characters[0].description == "Old.\n**Personality:** dry"
    orla = replace(
        card.characters[0],
        description="Young.\n**Personality:** dry",
        talkativeness=0.9,
        speaks="never",
    )
    save_card(path, replace(card, characters=(orla,), title="The light"))
    out = held(sent_out(path, "v2", tmp_path))
    assert (out["description"], out["talkativeness"]) == ("Young.", 0.9)
    data = out["data"]
    assert (data["description"], data["personality"], data["x"]) == ("Young.", "dry", 1)
    assert data["extensions"] == {
        "talkativeness": 0.9,
        "a": [1],
        "shoritui": {
            "fields": {"title": ["", "The light"], "character.speaks": ["freely", "never"]}
        },
    }


def test_what_was_changed_elsewhere_counts(tmp_path: Path) -> None:
    card = Card(title="A", characters=(Character(name="Orla", aliases=("Or",), speaks="never"),))
    out = written_back(card, {}, "v3")
    fields = out["data"]["extensions"]["shoritui"]["fields"]
    fields["character.speaks"][0] = "when named"
    out["data"]["description"] = "New."
    [orla] = read_back(out).characters
    assert (orla.description, orla.aliases, orla.speaks) == ("New.", ("Or",), "freely")


def test_a_nickname_stays_one(tmp_path: Path) -> None:
    path = taken_in(tmp_path / "x.json", {"data": {**ORLA, "nickname": "Or"}})
    card = load_card(path)
    assert card.characters[0].name == "Or"
    save_card(path, replace(card, characters=(replace(card.characters[0], name="Orly"),),
                            messages=()))  # fmt: skip
    data = held(sent_out(path, "v3", tmp_path))["data"]
    assert (data["name"], data["nickname"], data["first_mes"]) == ("Orla", "Orly", "")


def test_a_scene_becomes_a_card_for_each_character_but_the_users(tmp_path: Path) -> None:
    scene = Card(
        scenario="Fog.",
        characters=(
            Character(name="Bram", user=True, description="Secret."),
            Character(name="Ada", description="Old."),
            Character(name="Cleo"),
        ),
        lore=(Lore(name="horn", text="It blows.", keys=("horn",)),),
        notes=(
            Note(text="Be brief.", depth=2, character="Ada"),
            Note(text="Cleo's.", character="Cleo"),
        ),
        messages=(
            Opening(speaker="Ada", text="Hm.", versions=("Well.",)),
            Opening(speaker="Cleo", text="No."),
            Opening(speaker="Bram", text="Yes."),
        ),
    )  # fmt: skip
    path = tmp_path / "scene.toml"
    save_card(path, scene)
    done = export_card(whole_card(path), "v3", tmp_path / "out")
    assert [each.name for each in done.paths] == ["Ada.v3.json", "Cleo.v3.json"]
    ada = held(done.paths[0])["data"]
    assert (ada["first_mes"], ada["alternate_greetings"]) == ("Hm.", ["Well."])
    assert ada["character_book"]["entries"][0]["keys"] == ["horn"]
    assert ada["extensions"]["depth_prompt"]["prompt"] == "Be brief."
    assert "Bram" not in done.paths[0].read_text(encoding="utf-8"), "the user is not given away"
    back = load_card(taken_in(done.paths[0]))
    assert facts_of(back) == facts_of(alone(scene, 1))
    with pytest.raises(UserError, match="name a folder"):
        export_card(whole_card(path), "v3", tmp_path / "one.json")


def test_nothing_is_replaced(tmp_path: Path) -> None:
    path = taken_in(tmp_path / "x.json", ORLA)
    first, second = (sent_out(path, "png", tmp_path / "out") for _ in range(2))
    assert (first.name, second.name) == ("Orla.png", "Orla (2).png")
    [named] = export_card(whole_card(path), "png", tmp_path / "mine.png").paths
    assert named == tmp_path / "mine.png"


def test_a_picture_holds_the_card_in_both_versions(tmp_path: Path) -> None:
    before = picture(plain("chara", ORLA), chunk(b"tEXt", b"Comment\0by hand"))
    path = taken_in(tmp_path / "x.png", before)
    out = sent_out(path, "png", tmp_path).read_bytes()
    with Image.open(BytesIO(out)) as image:
        image.load()
        texts = {name: value for name, value in image.info.items() if isinstance(value, str)}
    assert texts["Comment"] == "by hand"
    old, new = (json.loads(base64.b64decode(texts[name])) for name in ("chara", "ccv3"))
    assert (old["spec"], new["spec"]) == ("chara_card_v2", "chara_card_v3")
    assert old["data"]["x"] == new["data"]["x"] == 1
    assert out.count(b"chara\0") == 1


def test_who_has_no_picture_gets_a_plain_one(tmp_path: Path) -> None:
    path = taken_in(tmp_path / "x.json", ORLA)
    out = sent_out(path, "png", tmp_path)
    with Image.open(out) as image:
        image.load()
        assert image.size == (400, 600)
    assert held(out)["data"]["name"] == "Orla"


ASSETS = [
    {"type": "icon", "uri": "embeded://assets/icon/images/a.png", "name": "main", "ext": "png"},
    {"type": "emotion", "uri": "embeded://assets/emotion/images/joy.png", "name": "joy"},
]
V3 = {"spec": "chara_card_v3", "spec_version": "3.0", "data": {**ORLA, "assets": ASSETS}}
FILES = {
    "card.json": json.dumps(V3).encode(),
    "assets/icon/images/a.png": drawn(size=(7, 7)),
    "assets/emotion/images/joy.png": drawn(size=(3, 3)),
    "module.risum": b"\1\2\3",
}


def files_in(path: Path) -> dict[str, bytes]:
    with ZipFile(path) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


@pytest.mark.parametrize("before", [b"", drawn("JPEG")], ids=["alone", "behind a JPEG"])
def test_an_archive_goes_out_with_all_that_was_in_it(before: bytes, tmp_path: Path) -> None:
    path = taken_in(tmp_path / "x.charx", archive(FILES, before))
    out = files_in(sent_out(path, "charx", tmp_path))
    kept = json.loads(out.pop("card.json"))
    assert out == {name: content for name, content in FILES.items() if name != "card.json"}
    assert not lost(V3, kept)


def test_the_files_of_an_archive_stand_in_a_picture_as_far_as_it_names_them(tmp_path: Path) -> None:
    path = taken_in(tmp_path / "x.charx", archive(FILES))
    done = export_card(whole_card(path), "png", tmp_path)
    assert done.told == ("1 file that came with it cannot go into a PNG; CharX takes them along.",)
    [out] = done.paths
    uris = [row["uri"] for row in held(out)["data"]["assets"]]
    assert uris == ["__asset:assets/icon/images/a.png", "__asset:assets/emotion/images/joy.png"]
    again = taken_in(out)
    back = files_in(sent_out(again, "charx", tmp_path))
    assert json.loads(back["card.json"])["data"]["assets"] == ASSETS
    for name in ("assets/icon/images/a.png", "assets/emotion/images/joy.png"):
        assert back[name] == FILES[name]
    told = export_card(whole_card(again), "v3", tmp_path).told
    assert told == ("2 files that came with it cannot go into JSON; CharX takes them along.",)


def test_an_archive_holds_the_picture_of_a_card_that_had_none_there(tmp_path: Path) -> None:
    path = taken_in(tmp_path / "x.png", drawn()[:-12] + plain("chara", ORLA) + drawn()[-12:])
    out = sent_out(path, "charx", tmp_path)
    again = picture_of(taken_in(out))
    first = picture_of(path)
    assert again is not None and first is not None and again.read_bytes() == first.read_bytes()


def test_a_file_of_another_program_goes_out_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "x.charx"
    file.write_bytes(archive(FILES))
    [out] = export_card(whole_card(file), "png", tmp_path).paths
    assert not lost(V3["data"], {**held(out)["data"], "assets": ASSETS})
    file.write_text("[1]")
    with pytest.raises(UserError, match="it holds no card"):
        whole_card(file)


def test_what_lies_beside_a_card_and_is_none_of_its_own_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "orla.toml"
    save_card(path, Card(characters=(Character(name="Orla"),)))
    path.with_suffix(".json").write_text('{"a": ' * 5000)
    path.with_suffix(".png").write_bytes(b"\x89PNG\r\n\x1a\nxx")
    done = export_card(whole_card(path), "png", tmp_path)
    assert done.told == ("Its picture was left out: the picture ends in the middle.",)
    assert held(done.paths[0])["data"]["name"] == "Orla"
    path.with_suffix(".charx").write_bytes(b"PK\5\6")
    for form in ("png", "v3"):
        told = export_card(whole_card(path), form, tmp_path).told
        assert any("left out: the archive is damaged" in each for each in told)
    with pytest.raises(UserError) as error:
        export_card(whole_card(path), "charx", tmp_path)
    assert str(error.value).isprintable()
