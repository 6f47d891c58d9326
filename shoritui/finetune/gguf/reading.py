"""One GGUF file: its metadata, checked, and its tensors, of which a few rows are read at a time.

It does not know models.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import gguf
import numpy as np
import numpy.typing as npt

from shoritui.errors import UserError

Floats = npt.NDArray[np.float32]
Tensor = gguf.ReaderTensor

_VALUES_AT_ONCE: Final = 1 << 22
"""Dequantising needs a few times as much memory as it gives."""
_T = TypeVar("_T")
_DAMAGED: Final = (
    *(ValueError, KeyError, IndexError, TypeError),
    *(OverflowError, MemoryError, UnicodeDecodeError),
)


class GgufFile:
    """A file that is mapped into memory, not read."""

    def __init__(self, path: Path) -> None:
        """`UserError` if it is no GGUF file, or a damaged one."""
        self.path = path
        try:
            with np.errstate(all="ignore"):
                reader = gguf.GGUFReader(path)
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror or error}.") from None
        except _DAMAGED:
            raise UserError(
                f"{path} is no GGUF file, or a damaged one: take another, or fetch it again."
            ) from None
        self._fields = reader.fields
        self.tensors: dict[str, Tensor] = {tensor.name: tensor for tensor in reader.tensors}

    def text(self, key: str, default: str | None = None) -> str:
        """A text of the metadata; `UserError` if it is missing and there is no default."""
        return self._value(key, str, default)

    def whole(self, key: str, default: int | None = None) -> int:
        """A whole number of the metadata, likewise."""
        return self._value(key, int, default)

    def number(self, key: str, default: float | None = None) -> float:
        """A number of the metadata, likewise: the shortest that is stored the same."""
        value = self._value(key, (int, float), default)
        return float(str(np.float32(value)))

    def flag(self, key: str, default: bool) -> bool:
        """A yes or no of the metadata."""
        return self._value(key, bool, default)

    def texts(self, key: str) -> list[str]:
        """A list of texts; empty if it is missing."""
        return self._list(key, str)

    def numbers(self, key: str) -> list[float]:
        """A list of numbers; empty if it is missing."""
        return self._list(key, (int, float))

    def has(self, key: str) -> bool:
        """Whether the metadata has such a key."""
        return key in self._fields

    def shape(self, name: str) -> tuple[int, ...]:
        """The sizes of a tensor as numpy counts them, rows first."""
        return tuple(int(size) for size in reversed(self.tensors[name].shape))

    def rows(self, name: str, order: npt.NDArray[np.intp] | None = None) -> Iterator[Floats]:
        """A tensor's values, some rows at a time, if wanted in another order of rows.

        `UserError` if it is stored in a way that cannot be read here.
        """
        tensor = self.tensors[name]
        for data in self.raw_rows(name, order):
            try:
                yield gguf.quants.dequantize(data, tensor.tensor_type)
            except (NotImplementedError, ValueError):
                raise UserError(
                    f"{self.path}: {printable(name)} is stored as {tensor.tensor_type.name}, which "
                    "cannot be read here: take the model in F16, Q8_0 or a K-quant."
                ) from None

    def raw_rows(
        self, name: str, order: npt.NDArray[np.intp] | None = None
    ) -> Iterator[npt.NDArray[Any]]:
        """A tensor's rows as they are stored, some at a time, if wanted in another order."""
        data = self.tensors[name].data
        columns = self.shape(name)[-1] if data.ndim > 1 else 1
        step = max(_VALUES_AT_ONCE // columns, 1) if data.ndim > 1 else len(data)
        for start in range(0, len(data), max(step, 1)):
            some = slice(start, start + step)
            yield data[some] if order is None else data[order[some]]

    def _value(self, key: str, kind: type[_T] | tuple[type[_T], ...], default: _T | None) -> _T:
        value = self._contents(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, kind):
            raise UserError(
                f"{self.path}: its metadata lacks a usable {key}; take a file that is complete."
            )
        return value

    def _list(self, key: str, kind: type[_T] | tuple[type[_T], ...]) -> list[_T]:
        values = self._contents(key)
        if values is None:
            return []
        if not isinstance(values, list) or not all(isinstance(value, kind) for value in values):
            raise UserError(f"{self.path}: {key} in its metadata is no list as it should be.")
        return values

    def _contents(self, key: str) -> Any:
        field = self._fields.get(key)
        try:
            return None if field is None else field.contents()
        except _DAMAGED:
            raise UserError(f"{self.path}: {key} in its metadata is damaged.") from None


def printable(text: str) -> str:
    """A name out of a file, fit for a sentence on a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text[:80])
