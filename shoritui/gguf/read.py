"""An opened GGUF file: its metadata, checked, and its tensors, some rows at a time.

The data stay on the disk until they are asked for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from shoritui.errors import UserError
from shoritui.files import open_file
from shoritui.gguf.header import BLOCKS, Place, Value, Verbatim, read_header
from shoritui.text import printable

Floats = npt.NDArray[np.float32]

_FIRST: Final = re.compile(r"(.+)-00001-of-(\d{5})\.gguf")
_VALUES_AT_ONCE: Final = 1 << 22
"""Dequantising needs a few times as much memory as it gives."""
_T = TypeVar("_T", bound=Value)


def parts_of(path: Path) -> list[Path]:
    """Return the files of which one is the first, by its name; alone, if it is none of several.

    `UserError` if one is missing.
    """
    found = _FIRST.fullmatch(path.name)
    if not found:
        return [path]
    count = int(found[2])
    parts = [path.with_name(f"{found[1]}-{n:05}-of-{count:05}.gguf") for n in range(2, count + 1)]
    for part in parts:
        if not part.is_file():
            raise UserError(f"{part} is missing: {path.name} is the first of {count} files.")
    return [path, *parts]


class GgufFile:
    """A file whose header is read; a missing key without a default is a `UserError`."""

    def __init__(self, path: Path, *, texts: bool = True) -> None:
        """`UserError` if it is no GGUF file, or a damaged one; without `texts`, no list of them."""
        self.path = path
        self._header = read_header(path, whole=True, texts=texts)
        self.tensors: dict[str, Place] = {}
        """Of all files, if it is the first of several that make one."""
        self._places: dict[str, Path] = {}
        for each in parts_of(path):
            header = self._header if each == path else read_header(each, whole=True, texts=texts)
            self.tensors |= header.tensors
            self._places |= dict.fromkeys(header.tensors, each)
        count = self._header.number("split.count")
        if count > len(parts_of(path)) or self._header.number("split.no"):
            raise UserError(
                f"{path} is a part of a model in {count} files: name the first of them, "
                f"...-00001-of-{count:05}.gguf."
            )

    @property
    def metadata(self) -> dict[str, Any]:
        """All of it by its whole keys, lists among it."""
        return {**self._header.metadata, **self._header.lists}

    def verbatim(self, *beginnings: str) -> dict[str, Verbatim]:
        """Return what stands in the metadata under all keys that begin so, as it stands there.

        That it is in several files is left out.
        """
        with open_file(self.path) as file:
            values = {}
            for key, (start, end) in self._header.spans.items():
                if key.startswith(beginnings) and not key.startswith("split."):
                    file.seek(start)
                    values[key] = Verbatim(file.read(end - start))
        return values

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text of the metadata."""
        return self._value(key, str, default)

    def whole(self, key: str, default: int | None = None) -> int:
        """Return a whole number of the metadata."""
        return self._value(key, int, default)

    def number(self, key: str, default: float | None = None) -> float:
        """Return a number of the metadata: the shortest that is stored the same in 32 bits."""
        value = self._value(key, (int, float), default)
        return float(str(np.float32(value)))

    def flag(self, key: str, default: bool) -> bool:
        """Return a yes or no of the metadata."""
        return self._value(key, bool, default)

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts; empty if it is missing."""
        return self._list(key, str)

    def numbers(self, key: str) -> tuple[float, ...]:
        """Return a list of numbers; empty if it is missing."""
        return self._list(key, (int, float))

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the sizes of a tensor as numpy counts them, rows first."""
        return self.tensors[name].shape

    def stored_as(self, name: str) -> str:
        """Return the name of a tensor's type, such as `F16` or `Q4_K`."""
        from gguf import GGMLQuantizationType

        kind = self.tensors[name].kind
        return next((each.name for each in GGMLQuantizationType if each == kind), str(kind))

    def rows(self, name: str, order: npt.NDArray[np.intp] | None = None) -> Iterator[Floats]:
        """Yield a tensor's values, some rows at a time, if wanted in another order of rows.

        `UserError` if it is stored in a way that cannot be read here.
        """
        from gguf import GGMLQuantizationType, quants

        kind = self.tensors[name].kind
        try:
            for data in self.raw_rows(name, order):
                yield quants.dequantize(data, GGMLQuantizationType(kind))
        except (NotImplementedError, ValueError, KeyError):
            raise UserError(
                f"{self.path}: {printable(name)} is stored as {self.stored_as(name)}, which "
                "cannot be read here: take the model in F16, Q8_0 or a K-quant."
            ) from None

    def raw_rows(
        self, name: str, order: npt.NDArray[np.intp] | None = None
    ) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield the bytes of a tensor's rows as they are stored, likewise.

        `KeyError` or `ValueError` if its type is unknown, or has blocks that do not fill a row.
        """
        place = self.tensors[name]
        *leading, columns = place.shape or (1,)
        values, size_bytes = BLOCKS[place.kind]
        if columns % values:
            raise ValueError(columns)
        shape = (math.prod(leading), columns // values * size_bytes)
        if 0 in shape:  # which cannot be mapped
            return
        data = np.memmap(self._places[name], np.uint8, "r", place.offset, shape)
        if not leading:
            yield data[0]
            return
        step = max(_VALUES_AT_ONCE // columns, 1)
        for start in range(0, len(data), step):
            some = slice(start, start + step)
            yield data[some] if order is None else data[order[some]]

    def _value(self, key: str, kind: type[_T] | tuple[type[_T], ...], default: _T | None) -> _T:
        value = self._header.metadata.get(key, default)
        if not isinstance(value, kind):
            raise UserError(
                f"{self.path}: its metadata lacks a usable {key}; take a file that is complete."
            )
        return value

    def _list(self, key: str, kind: type[_T] | tuple[type[_T], ...]) -> tuple[_T, ...]:
        values: tuple[Any, ...] = self._header.lists.get(key, ())
        if not all(isinstance(value, kind) for value in values):
            raise UserError(f"{self.path}: {key} in its metadata is no list as it should be.")
        return values
