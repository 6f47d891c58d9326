"""What stands before the tensors' data in a GGUF file: metadata, vocabulary, a list of tensors.

Whatever the file holds, the answer is a header or one sentence. The format is
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
"""

from __future__ import annotations

import math
import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import BinaryIO, Final

from shoritui.errors import UserError
from shoritui.files import open_file
from shoritui.text import printable, size

Value = str | int | float | bool

TOKENS: Final = "tokenizer.ggml.tokens"
MAGIC: Final = b"GGUF"
ALIGNMENT: Final = 32
"""Of the tensors' data, where the metadata name no other."""
_VERSIONS: Final = (2, 3)
SCALARS: Final = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
"""GGUF's types of one number, by their ids."""
STRING: Final = 8
ARRAY: Final = 9
_U32: Final = SCALARS[4]
_U64: Final = SCALARS[10]
_CHUNK: Final = 2**20
_RUN: Final = 1024
_SHORT: Final = 48
BLOCKS: Final = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
    16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110),
    22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8),
    29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66), 39: (32, 17), 40: (64, 36),
    41: (128, 18),
}  # fmt: skip
"""How many values make a block, and the block's bytes, by ggml's numbers of tensors' types."""
# Far more than any model has; a file that claims more is broken or means harm.
_MOST_KEYS: Final = 2**16
_MOST_TENSORS: Final = 2**18
_MOST_DIMENSIONS: Final = 8
_MOST_NUMBERS: Final = 2**10
_MOST_STRINGS: Final = 2**22
_MOST_HEADER: Final = 2**28
_MOST_TEXT: Final = 2**16
_MOST_PARAMETERS: Final = 2**60


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor lies in a file."""

    shape: tuple[int, ...]
    """As numpy counts: rows first."""
    kind: int
    """ggml's number of its type."""
    offset: int
    """Its first byte, from the beginning of the file."""


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the tensors' data."""

    metadata: dict[str, Value]
    """All values but lists, as they stand there."""
    tokens: bytes
    """The vocabulary's texts as the file has them, each behind its length in eight bytes."""
    n_tensors: int
    n_params: int
    lists: dict[str, tuple[Value, ...]]
    """The short lists of whole numbers, such as one for each layer; of a whole header, all."""
    tensors: dict[str, Place]
    """Of a whole header; otherwise empty."""
    spans: dict[str, tuple[int, int]]
    """Where in the file each value stands, behind its key; of a whole header."""

    def text(self, key: str) -> str:
        """Return a text of the metadata, made printable; "" if it is missing or no text."""
        value = self.metadata.get(key)
        return printable(value) if isinstance(value, str) else ""

    def number(self, key: str) -> int:
        """Return a positive whole number of the metadata; 0 if it is missing or no such number."""
        value = self.metadata.get(key)
        return value if isinstance(value, int) and value > 0 else 0

    def numbers(self, key: str) -> tuple[int, ...]:
        """Return the whole numbers of a list or of a single value; none if it is missing."""
        single = self.number(key)
        listed = self.lists.get(key, ())
        return (single,) if single else tuple(each for each in listed if isinstance(each, int))

    def has_token(self, text: bytes) -> bool:
        """Return whether the vocabulary has exactly this text as a token."""
        return _U64.pack(len(text)) + text in self.tokens


@dataclass(frozen=True, slots=True)
class Verbatim:
    """A value of the metadata as it stands in a file, to be written to another."""

    data: bytes
    """GGUF's number of its type, and what follows."""


class _BrokenError(Exception):
    """Why a file is no GGUF file that anything could load."""


def read_header(path: Path, *, whole: bool = False, texts: bool = True) -> Header:
    """Read a file's header; with `whole`, all lists of the metadata and where each tensor lies.

    Without `texts`, lists of them, of which a vocabulary has long ones, are passed over.

    `UserError` if the file cannot be read, is no GGUF file, or is broken or cut off.
    """
    shown = printable(path)
    try:
        with open_file(path, _CHUNK) as file:
            return _Reader(file, whole, texts).header()
    except FileNotFoundError:
        raise UserError(f"{shown}: there is no such model file.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its name is not one a file can have"
        raise UserError(f"{shown} cannot be read: {reason}.") from None
    except _BrokenError as error:
        raise UserError(f"{shown} {error}.") from None


def _parts(strings: bytes) -> Iterator[bytes]:
    """Yield each text of a list that stands there with the lengths."""
    at = 0
    while at < len(strings):
        begin = at + 8
        at = begin + _U64.unpack_from(strings, at)[0]
        yield strings[begin:at]


def _pass_strings(data: bytearray, at: int, most: int) -> tuple[int, int]:
    """Return where the texts from `at` on end, as far as `data` tell lengths, and how many.

    A vocabulary has hundreds of thousands: a pattern passes a thousand short ones in one step,
    and only what it does not know is measured one by one.
    """
    left = most
    while left >= _RUN and (run := _run_of_strings().match(data, at)):
        at = run.end()
        left -= _RUN
    last = len(data) - 8
    for _ in range(min(left, _RUN)):
        if at > last:
            break
        at += 8 + _U64.unpack_from(data, at)[0]
        left -= 1
    return at, most - left


@cache
def _run_of_strings() -> re.Pattern[bytes]:
    lengths = (re.escape(_U64.pack(n)) + b".{%d}" % n for n in range(_SHORT))
    return re.compile(b"(?s)(?:" + b"|".join(lengths) + b"){%d}+" % _RUN)


class _Reader:
    """Read forward through a header, never past the end of the file."""

    def __init__(self, file: BinaryIO, whole: bool, texts: bool) -> None:
        self._file = file
        self._whole = whole
        self._texts = whole and texts
        self._size = os.fstat(file.fileno()).st_size
        self._at = 0

    def header(self) -> Header:
        self._check_magic()
        n_tensors, n_keys = self._u64(), self._u64()
        if n_tensors > _MOST_TENSORS or n_keys > _MOST_KEYS:
            raise _BrokenError("is broken: its header counts more than any model has")
        metadata: dict[str, Value] = {}
        lists: dict[str, tuple[Value, ...]] = {}
        spans: dict[str, tuple[int, int]] = {}
        tokens = b""
        for _ in range(n_keys):
            key = self._text()
            start = self._at
            kind = self._u32()
            if kind != ARRAY:
                metadata[key] = self._value(kind)
            else:
                kind, count = self._u32(), self._u64()
                if kind != STRING:
                    lists[key] = self._numbers(kind, count)
                else:
                    strings = self._strings(count)
                    tokens = strings if key == TOKENS else tokens
                    if self._texts:
                        lists[key] = tuple(map(self._decoded, _parts(strings)))
            if self._whole:
                spans[key] = (start, self._at)
        tensors, n_params = self._tensors(n_tensors, metadata)
        return Header(metadata, tokens, n_tensors, n_params, lists, tensors, spans)

    def _check_magic(self) -> None:
        magic = self._file.read(4)
        if magic != MAGIC:
            raise _BrokenError("is not a GGUF file: expected a model in llama.cpp's format")
        self._at = 4
        version = self._u32()
        if version not in _VERSIONS:
            raise _BrokenError(
                f"has GGUF version {version}: expected 2 or 3, in little-endian order"
            )

    def _value(self, kind: int) -> Value:
        if kind == STRING:
            return self._text()
        scalar = SCALARS.get(kind)
        if scalar is None:
            raise _BrokenError(f"is broken: its metadata hold a value of the unknown type {kind}")
        value: Value = scalar.unpack(self._read(scalar.size))[0]
        return value

    def _numbers(self, kind: int, count: int) -> tuple[Value, ...]:
        """Return a list; of a header that is not whole, none but a short one of whole numbers."""
        scalar = SCALARS.get(kind)
        if scalar is None:
            raise _BrokenError(f"is broken: its metadata hold a list of the unknown type {kind}")
        if count > _MOST_NUMBERS and not self._whole:
            self._skip(count * scalar.size)
            return ()
        values = [value for (value,) in scalar.iter_unpack(self._read(count * scalar.size))]
        is_kept = self._whole or all(type(value) is int for value in values)
        return tuple(values) if is_kept else ()

    def _strings(self, count: int) -> bytes:
        """Return the bytes of `count` texts with their lengths; none of them is decoded."""
        if count > _MOST_STRINGS:
            raise _BrokenError("is broken: its header counts more than any model has")
        data = bytearray()
        start = self._at
        at, left = 0, count
        while left:
            self._extend(data, start, at + 8)
            at, passed = _pass_strings(data, at, left)
            left -= passed
        self._extend(data, start, at)
        self._at = start + at
        self._file.seek(self._at)
        return bytes(memoryview(data)[:at])

    def _extend(self, data: bytearray, start: int, needed: int) -> None:
        """Read on until `data`, which begins at `start`, holds so many bytes, or some more."""
        missing = needed - len(data)
        if missing <= 0:
            return
        self._check(start + needed)
        data += self._file.read(max(missing, _CHUNK))
        if len(data) < needed:
            raise _BrokenError(self._cut_off())

    def _tensors(self, count: int, metadata: dict[str, Value]) -> tuple[dict[str, Place], int]:
        """Pass the list of tensors, check that they are all there, and count parameters."""
        places: dict[str, Place] = {}
        n_params = last = 0
        for _ in range(count):
            name = ""
            if self._whole:
                name = self._text()
            else:
                self._skip(self._u64())
            n_dimensions = self._u32()
            if n_dimensions > _MOST_DIMENSIONS:
                raise _BrokenError(f"is broken: it has a tensor of {n_dimensions} dimensions")
            shape = tuple(self._u64() for _ in range(n_dimensions))[::-1]
            kind, offset = self._u32(), self._u64()
            elements = math.prod(shape)
            values, size_bytes = BLOCKS.get(kind, (1, 0))
            last = max(last, offset + elements // values * size_bytes)
            n_params += elements
            if self._whole:
                places[name] = Place(shape, kind, offset)
        if n_params > _MOST_PARAMETERS:
            raise _BrokenError("is broken: its header counts more than any model has")
        if self._whole and len(places) != count:
            raise _BrokenError("is broken: two of its tensors have the same name")
        given = metadata.get("general.alignment")
        alignment = given if isinstance(given, int) and given > 0 else ALIGNMENT
        data = -(-self._at // alignment) * alignment
        if count and data + last > self._size:
            raise _BrokenError(self._cut_off())
        return {name: replace(it, offset=data + it.offset) for name, it in places.items()}, n_params

    def _text(self) -> str:
        length = self._u64()
        self._check(self._at + length)
        kept = length if self._whole else min(length, _MOST_TEXT)
        text = self._decoded(self._read(kept))
        self._skip(length - kept)
        return text

    def _decoded(self, data: bytes) -> str:
        try:
            return data.decode("utf-8", "strict" if self._whole else "replace")
        except UnicodeDecodeError:
            raise _BrokenError("is broken: a text in its header is not UTF-8") from None

    def _u32(self) -> int:
        value: int = _U32.unpack(self._read(4))[0]
        return value

    def _u64(self) -> int:
        value: int = _U64.unpack(self._read(8))[0]
        return value

    def _read(self, count: int) -> bytes:
        self._check(self._at + count)
        data = self._file.read(count)
        if len(data) != count:
            raise _BrokenError(self._cut_off())
        self._at += count
        return data

    def _skip(self, count: int) -> None:
        self._check(self._at + count)
        self._at += count
        self._file.seek(self._at)

    def _check(self, end: int) -> None:
        if end > self._size:
            raise _BrokenError(self._cut_off())
        if end > _MOST_HEADER:
            raise _BrokenError(f"is broken: its header is longer than {size(_MOST_HEADER)}")

    def _cut_off(self) -> str:
        return f"is broken or was not copied to its end: it ends after {size(self._size)}"
