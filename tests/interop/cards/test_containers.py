"""A card is read out of every kind of file it travels in, and its picture with it."""

from __future__ import annotations

import base64
import json
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from PIL import Image

from shoritui.cards import archive_of, foreign_card, load_card, picture_of
from shoritui.errors import UserError
from shoritui.folders import HOME_VARIABLE
from shoritui.interop.cards import ImportedCard, import_card
from tests.interop.cards.pictures import animated, archive, chunk, commented, drawn, plain

CARD: dict[str, Any] = {"name": "Orla", "description": "Keeps the light.", "first_mes": "Zoë — hm."}
TEXT = json.dumps(CARD, ensure_ascii=False)
WIDE = {
    "spec": "chara_card_v3",
    "spec_version": "3.0",
    "data": {
        **CARD,
        "assets": [
            {"type": "icon", "uri": "embeded://assets/icon/images/b.png", "name": "b"},
            {"type": "icon", "uri": "embeded://assets/icon/images/a.webp", "name": "main"},
            {"type": "emotion", "uri": "embeded://assets/emotion/images/joy.png", "name": "joy"},
        ],
    },
}
FILES = {
    "card.json": json.dumps(WIDE).encode(),
    "assets/icon/images/b.png": drawn(size=(2, 2)),
    "assets/icon/images/a.webp": drawn("WEBP", size=(8, 8)),
    "assets/emotion/images/joy.png": drawn(size=(3, 3)),
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    return tmp_path / "home"


def taken_in(path: Path, content: bytes) -> ImportedCard:
    path.write_bytes(content)
    imported = import_card(path)
    assert imported is not None
    return imported


def size_of(picture: Path | None) -> tuple[int, int]:
    assert picture is not None and picture.suffix == ".png"
    with Image.open(picture, formats=["PNG"]) as image:
        image.load()
        return image.size


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
@pytest.mark.parametrize(
    "comment",
    [
        b"ASCII\0\0\0" + TEXT.encode(),
        bytes(8) + TEXT.encode(),
        TEXT.encode(),
        b"UNICODE\0" + TEXT.encode("utf-16-le"),
        b"UNICODE\0" + TEXT.encode("utf-16-be"),
        b"ASCII\0\0\0" + base64.b64encode(TEXT.encode()),
        b"ASCII\0\0\0" + ",".join(map(str, TEXT.encode())).encode(),
    ],
    ids=["ascii", "undefined", "bare", "UTF-16", "UTF-16, swapped", "base64", "numbers"],
)
def test_a_card_is_in_the_comment_of_a_picture(form: str, comment: bytes, tmp_path: Path) -> None:
    imported = taken_in(tmp_path / "x", commented(form, comment))
    card = load_card(imported.path)
    assert (card.characters[0].name, card.messages[0].text) == ("Orla", "Zoë — hm.")
    assert size_of(picture_of(imported.path)) == (6, 4)


def test_a_moving_picture_stays_as_it_is_but_for_the_card(tmp_path: Path) -> None:
    imported = taken_in(tmp_path / "x.png", animated(plain("ccv3", CARD), plain("mine", {"a": 1})))
    picture = picture_of(imported.path)
    assert picture is not None
    with Image.open(picture) as image:
        assert getattr(image, "n_frames", 1) == 2
    assert picture.read_bytes() == animated(plain("mine", {"a": 1}))


@pytest.mark.parametrize(
    "before", [b"", drawn("JPEG"), drawn()], ids=["alone", "behind a JPEG", "behind a PNG"]
)
def test_a_card_is_in_an_archive_with_its_pictures(before: bytes, tmp_path: Path) -> None:
    content = archive(FILES, before)
    imported = taken_in(tmp_path / "x", content)
    assert load_card(imported.path).characters[0].name == "Orla"
    assert size_of(picture_of(imported.path)) == (8, 8), "the main icon"
    kept = archive_of(imported.path)
    assert kept is not None and kept.read_bytes() == content
    assert set(imported.files) == {
        imported.path, kept, foreign_card(imported.path), picture_of(imported.path)
    }  # fmt: skip


def test_the_picture_before_an_archive_is_the_cards_if_no_other_is(tmp_path: Path) -> None:
    content = archive({"card.json": TEXT.encode()}, drawn("JPEG", size=(5, 5)))
    imported = taken_in(tmp_path / "x.charx", content)
    assert size_of(picture_of(imported.path)) == (5, 5)
    assert archive_of(imported.path) is None, "nothing more is in it"


def test_a_picture_may_stand_in_json_itself(tmp_path: Path) -> None:
    uri = "data:image/png;base64," + base64.b64encode(drawn()).decode()
    card = {"data": {**CARD, "assets": [{"type": "icon", "name": "main", "uri": uri}]}}
    imported = taken_in(tmp_path / "x.json", json.dumps(card).encode())
    assert size_of(picture_of(imported.path)) == (6, 4)


def test_a_card_in_yaml(tmp_path: Path) -> None:
    text = "name: Orla\ngreeting: |-\n  Mind the step.\n  Hm.\ncontext: Old.\nborn: 2020-01-02\n"
    (tmp_path / "x.png").write_bytes(drawn())
    imported = taken_in(tmp_path / "x.yaml", text.encode())
    assert size_of(picture_of(imported.path)) == (6, 4), "the one beside it"
    card = load_card(imported.path)
    assert card.characters[0].description == "Old."
    assert card.messages[0].text == "Mind the step.\nHm."
    assert imported.left == ("born",)
    kept = foreign_card(imported.path)
    assert kept is not None and json.loads(kept.read_text())["born"] == "2020-01-02"


def test_what_lies_there_already_is_not_taken_for_the_cards(tmp_path: Path, home: Path) -> None:
    folder = home / "config/characters"
    folder.mkdir(parents=True)
    (folder / "orla.png").write_bytes(b"another's")
    imported = taken_in(tmp_path / "x.json", TEXT.encode())
    assert imported.path.name == "orla (2).toml" and picture_of(imported.path) is None


def test_a_picture_that_cannot_be_shown_is_named_and_the_card_taken(tmp_path: Path) -> None:
    broken = drawn()
    broken = broken[:-24] + bytes(8) + broken[-16:]
    imported = taken_in(tmp_path / "x", archive({"card.json": TEXT.encode()}, broken))
    assert picture_of(imported.path) is None
    assert "Its picture was not kept: " in imported.sentences


def test_a_huge_picture_is_not_unpacked(tmp_path: Path) -> None:
    head = chunk(b"IHDR", (60_000).to_bytes(4) * 2 + b"\x08\0\0\0\0")
    content = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0"))
    content += plain("chara", CARD) + chunk(b"IEND", b"")
    imported = taken_in(tmp_path / "x.png", content)
    assert "more than 25 million points" in imported.trouble


def test_a_picture_of_endless_passes_is_not_unpacked(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0" + TEXT.encode()
    whole = drawn("JPEG", exif=exif, progressive=True)
    assert picture_of(taken_in(tmp_path / "x.jpg", whole).path) is not None
    last = whole.rindex(b"\xff\xda")
    slow = whole[:-2] + whole[last:-2] * 300 + whole[-2:]
    assert "too many passes" in taken_in(tmp_path / "x.jpg", slow).trouble


def bomb() -> bytes:
    return archive({"card.json": bytes(17 << 20)}, packing=ZIP_DEFLATED)


def many() -> bytes:
    file = BytesIO()
    with ZipFile(file, "w") as written:
        for number in range(3_500):
            written.writestr(f"{number:0>300}", b"")
        written.writestr("card.json", TEXT)
    return file.getvalue()


def locked() -> bytes:
    content = bytearray(archive({"card.json": TEXT.encode()}))
    content[6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1
    return bytes(content)


def yaml(rest: str) -> bytes:
    return f"name: Orla\ncontext: x\n{rest}".encode()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (archive({"a.txt": b""}), "an archive without card.json"),
        (archive({"card.json": b"[1]"}), "a card is none"),
        (archive(FILES)[:-30], "without card.json"),
        (bomb(), "card.json in it has more than 16 MiB"),
        (many(), "too many files"),
        (locked(), "damaged, or locked with a password"),
        (drawn("JPEG"), "a picture without a character card"),
        (drawn("WEBP")[:-9], "damaged, or none of PNG, JPEG and WEBP"),
        (commented("WEBP", b"ASCII\0\0\0hello"), "a picture without a character card"),
        (commented("JPEG", b"ASCII\0\0\0{}"), "a card is none"),
        (b"\x89PNG\r\n\x1a\n" + chunk(b"teSt", b"") * 100_001, "more than 100,000 parts"),
        (json.dumps({**CARD, "tags": ["x"] * 10_001}).encode(), "more than 10,000 rows under tags"),
        (json.dumps({**CARD, "data": [{"keys": ["x"] * 100_001}]}).encode(), "100,000 keys"),
        (json.dumps({"entries": [{"content": "x", "key": "," * 100_000}]}).encode(), "0,000 keys"),
        (yaml("a: [1, 2"), "line 4: this is not YAML"),
        (yaml("a: &a [1]\nb: *a"), "line 4: a reference"),
        (yaml("a:\n" + "- " * 500), "nested more than 100 levels deep"),
        (yaml("a: !!python/object:os.system x"), "line 3: this is not YAML"),
        (yaml("a: 0x" + "f" * 9999), "holds values that none has"),
        (yaml("? [1, 2]\n: 3"), "line 3: this is not YAML"),
        (yaml("a: " + "x" * (1 << 20)), "at most 1.0 MiB"),
    ],
    ids=[
        *("no card", "no object", "cut", "bomb", "many", "locked", "JPEG", "cut WEBP", "comment"),
        *(
            "empty",
            "parts",
            "rows",
            "many keys",
            "long key",
            "YAML",
            "references",
            "deep",
            "tag",
            "no number",
            "keys",
            "long YAML",
        ),
    ],
)
def test_a_bad_file_is_refused_in_a_sentence(
    content: bytes, reason: str, tmp_path: Path, home: Path
) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        import_card(path)
    assert reason in str(error.value) and str(error.value).isprintable()
    assert not list(home.rglob("*.*"))
