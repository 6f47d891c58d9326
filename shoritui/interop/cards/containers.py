"""What a file with a card holds: the card's JSON, its picture, and whether more lies beside it.

PNG, APNG     text chunks (`ccv3`, `chara`)
JPEG, WEBP    the user's comment in the EXIF data
CharX         a zip archive, alone or behind a PNG or JPEG picture
YAML          text-generation-webui
JSON          anything else
"""

from __future__ import annotations

import base64
import binascii
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shoritui.bounded import Malformed, TooDeep, read_json
from shoritui.cards import picture_of
from shoritui.errors import UserError
from shoritui.files import content_of, open_file
from shoritui.interop.cards.assets import EMBEDDED, ICON
from shoritui.interop.cards.charx import CARD, has_archive, opened, read_entry
from shoritui.interop.cards.pictures import comment_in, is_jpeg, is_webp, png_of
from shoritui.interop.cards.png import LARGEST, SIGNATURE, card_in
from shoritui.interop.cards.values import Values, text_of, values_of
from shoritui.interop.cards.yaml_card import looks_like_yaml, values_of_yaml
from shoritui.text import as_json, size

_LARGEST_PICTURE: Final = 64 << 20
"""Bytes of a picture with a card."""
_MOST_KEYS: Final = 100_000
_OF_CARDS: Final = {"spec", "first_mes", "char_name"}
"""What stands on the first level of a card, and of nothing else."""
_LETTERS: Final = (b"ASCII\0\0\0", b"UNICODE\0", b"JIS\0\0\0\0\0", bytes(8))
"""How the text of an EXIF comment begins."""
_DATA: Final = "data:image/"


@dataclass(frozen=True, slots=True)
class Found:
    """What a file holds."""

    text: str
    """JSON as it stands in the file, or what a card in YAML would be as JSON."""
    values: Values
    """The object that the JSON is; empty if it is none."""
    is_card: bool = False
    """Whether the file can be nothing else, so that a mistake in it is worth a sentence."""
    picture: bytes = b""
    """The picture, in whatever format."""
    has_archive: bool = False
    """Whether the file holds more files that the card may name."""

    def png(self) -> bytes:
        """Return the card's picture as a PNG file; nothing if it has none.

        Raises:
            UserError: It is damaged, or too large.
        """
        return png_of(self.picture) if self.picture else b""


def read(path: Path) -> Found:
    """Return what a file holds that may be a card.

    Raises:
        UserError: It should be a card, but is damaged or too large.
        OSError: It cannot be read.
    """
    found = _read(path)
    if _keys_in(found.values) > _MOST_KEYS:
        raise UserError(f"its lore has more than {_MOST_KEYS:,} keys")
    return found


def _read(path: Path) -> Found:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        return Found("", {})
    with open_file(path) as file:
        beginning = file.read(16)
        if beginning.startswith(b"PK\3\4"):
            if not has_archive(path):
                raise UserError(f"it is an archive without {CARD}, so no CharX card")
            return _in_archive(path, b"")
        is_picture = beginning.startswith(SIGNATURE) or is_jpeg(beginning) or is_webp(beginning)
        if not is_picture and status.st_size > LARGEST:
            return Found("", {})
        content = beginning + file.read(_LARGEST_PICTURE)
    return _in_picture(path, content) if is_picture else _in_text(path, content)


def _in_picture(path: Path, content: bytes) -> Found:
    broken: UserError | None = None
    try:
        if has_archive(path):
            return _in_archive(path, content)
    except UserError as error:
        broken = error  # or bytes that only look like an archive's end
    if path.stat().st_size > _LARGEST_PICTURE:
        raise broken or UserError(f"a picture with a card has at most {size(_LARGEST_PICTURE)}")
    try:
        card = card_in(content) if content.startswith(SIGNATURE) else _in_comment(content)
    except UserError as error:
        raise broken or error from None
    text = utf8(card)
    return Found(text, object_in(text), is_card=True, picture=content)


def _in_comment(content: bytes) -> bytes:
    comment = comment_in(content)
    if len(comment) > LARGEST:
        raise UserError(f"the card in the picture is larger than {size(LARGEST)}")
    for text in _comments(comment):
        if text.lstrip()[:1] == b"{":
            return text
    raise UserError("it is a picture without a character card")


def _comments(comment: bytes) -> Iterator[bytes]:
    """Yield what a comment may say: its text, in base64, or as numbers between commas."""
    letters = next((each for each in _LETTERS if comment.startswith(each)), b"")
    text = comment[len(letters) :].strip(b"\0")
    if letters == b"UNICODE\0":
        for coding in ("utf-16-le", "utf-16-be"):
            with suppress(UnicodeDecodeError):
                yield comment[len(letters) :].decode(coding).strip("\0\ufeff").encode()
    yield text.removeprefix(b"\xef\xbb\xbf")
    with suppress(binascii.Error, ValueError):
        yield base64.b64decode(b"".join(text.split()), validate=True)
    with suppress(ValueError):
        yield bytes(map(int, text.split(b",")))


def _in_archive(path: Path, before: bytes) -> Found:
    with opened(path) as archive:
        text = utf8(read_entry(archive, CARD, LARGEST))
        values = object_in(text)
        picture, names = before, set(archive.namelist())
        for uri in (*icons(values), EMBEDDED[0] + ICON):
            name = next((uri[len(each) :] for each in EMBEDDED if uri.startswith(each)), "")
            if name in names:
                with suppress(UserError):
                    picture = read_entry(archive, name)
                    break
    return Found(text, values, is_card=True, picture=picture, has_archive=len(names) > 1)


def _in_text(path: Path, content: bytes) -> Found:
    text = utf8(content)
    values = object_in(text)
    if values:
        return Found(text, values, picture=_picture_in(values))
    if text.lstrip()[:1] != "{" and looks_like_yaml(text):
        values = values_of_yaml(text)
        text = as_json(values, 2)
        return Found(text, values, is_card=True, picture=_picture_beside(path))
    return Found(text, values)


def _picture_beside(path: Path) -> bytes:
    """Return the picture beside a card of text-generation-webui, which has the card's name."""
    picture = picture_of(path)
    if picture is None or picture.stat().st_size > _LARGEST_PICTURE:
        return b""
    return content_of(picture)


def _picture_in(values: Values) -> bytes:
    """Return the picture that stands in JSON itself."""
    for uri in icons(values):
        if uri.startswith(_DATA):
            with suppress(binascii.Error, ValueError):
                return base64.b64decode(uri.partition(",")[2], validate=True)
    return b""


def icons(values: Values) -> Iterator[str]:
    """Yield where a card says that its picture is; the main one comes first."""
    assets = values_of(values.get("data")).get("assets")
    rows = [values_of(each) for each in assets] if isinstance(assets, list) else []
    found = [row for row in rows if row.get("type") == "icon"]
    for row in sorted(found, key=lambda row: row.get("name") != "main"):
        yield text_of(row.get("uri"))
    avatar = values.get("avatar")
    if isinstance(avatar, str):
        yield avatar


def utf8(content: bytes) -> str:
    """Return a text, whatever its bytes are."""
    return content.decode("utf-8-sig", "replace")


def object_in(text: str) -> Values:
    """Return the object in JSON; an empty one for anything else.

    Raises:
        UserError: It looks like a card, but is nested too deep.
    """
    if text.lstrip()[:1] != "{":
        return {}
    try:
        return values_of(read_json(text))
    except TooDeep as error:
        if any(f'"{key}"' in text for key in _OF_CARDS):
            raise UserError(str(error)) from None
        return {}
    except Malformed:
        return {}


def listed(text: str) -> Values:
    """Return a list in JSON as KoboldAI Lite has its world info in a save."""
    return object_in(f'{{"worldinfo": {text}}}') if text.lstrip()[:1] == "[" else {}


def _keys_in(value: object) -> int:
    """Return how many keys of lore are in JSON; each is a pattern to prepare, which takes time."""
    count, rest = 0, [value]
    while rest:
        match rest.pop():
            case dict() as found:
                for name, inner in found.items():
                    if name.startswith(("key", "secondary_key")):
                        count += inner.count(",") + 1 if isinstance(inner, str) else 0
                        count += len(inner) if isinstance(inner, list) else 0
                    else:
                        rest.append(inner)
            case list() as found:
                rest += found
    return count
