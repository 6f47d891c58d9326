"""The weights of a Hugging Face folder, as safetensors: read by mmap, and written one by one.

The format is https://github.com/huggingface/safetensors; torch is not needed for it.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from shoritui.bounded import read_json
from shoritui.errors import UserError
from shoritui.files import content_of, open_file
from shoritui.gguf.read import Floats
from shoritui.gguf.shape import EMBEDDING, HEAD, Shape
from shoritui.gguf.write import ByteProgress
from shoritui.text import printable

Dtype = Literal["F32", "F16", "BF16"]
NUMPY: Final[Mapping[Dtype, str]] = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
"""How numpy reads a type; bfloat16, which it does not have, by its bits."""

_INDEX: Final = "model.safetensors.index.json"
_WHOLE: Final = "model.safetensors"
_NOT_READ: Final = ("consolidated", "adapter_")
_MADE_ANEW: Final = ".rotary_emb.inv_freq"
"""Old folders hold what follows from the config."""
_READS: Final = re.compile(
    r"(?:(?:model\.)?language_model\.(?:model\.)?|(?=lm_head\.))(?P<rest>.+)"
)
"""What reads in a model that also sees: before transformers 5 a model in it, since then a part."""
_ROWS: Final = 4096
"""Rows of a matrix that are compared at a time."""
_ALIGNMENT: Final = 8
_LONGEST_HEADER: Final = 100_000_000
"""In bytes, as in the format's own library."""
_Count = Annotated[int, msgspec.Meta(ge=0)]


@dataclass(frozen=True, slots=True)
class Stored:
    """How a tensor stands in a file."""

    dtype: Dtype
    shape: tuple[int, ...]

    @property
    def size_bytes(self) -> int:
        """Its bytes."""
        return math.prod(self.shape) * np.dtype(NUMPY[self.dtype]).itemsize


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor lies."""

    path: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int


class Checkpoint:
    """The tensors of a folder by name, each read when it is asked for."""

    def __init__(self, folder: Path, *, reads_only: bool = False) -> None:
        """Read which tensors there are; `UserError` if none, or a file is missing or damaged.

        Of a model that also sees, `reads_only` gives those of the part that reads, by the names
        that they have in a model which does nothing else.
        """
        self.folder = folder
        self._places: dict[str, Place] = {}
        for path in _files(folder):
            self._places |= places_in(path)
        if reads_only:
            found = ((_READS.match(name), place) for name, place in self._places.items())
            self._places = {_alone(match["rest"]): place for match, place in found if match}

    def check(self, shape: Shape) -> None:
        """See that there is what a model of this shape needs, in plain numbers, and no more.

        `UserError` names the first tensor that is missing, of another shape, or unknown.
        """
        expected = shape.tensors
        for name, sizes in expected.items():
            if name not in self._places:
                raise UserError(f"{self.folder} is not complete: the weights have no {name}.")
            place = self._plain(name)
            if place.shape != sizes:
                raise UserError(
                    f"{self.folder}: {name} is {_by(place.shape)}, but config.json says "
                    f"{_by(sizes)}: they are not of one model."
                )
        strange = self._places.keys() - expected.keys() - {HEAD}
        strange = {name for name in strange if not name.endswith(_MADE_ANEW)}
        if strange:
            raise UserError(
                f"{self.folder}: the weights have {printable(min(strange))}, for which a model of "
                "this config.json has no place."
            )

    @property
    def has_own_head(self) -> bool:
        """Whether there is an output head other than the embedding, whatever a config says."""
        if HEAD not in self._places or EMBEDDING not in self._places:
            return HEAD in self._places
        (kind, head), (other, embedding) = self.stored(HEAD), self.stored(EMBEDDING)
        if kind != other or head.shape != embedding.shape:
            return True
        starts = range(0, len(head), _ROWS)
        return any((head[at : at + _ROWS] != embedding[at : at + _ROWS]).any() for at in starts)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The sizes of every tensor by name, rows first."""
        return {name: place.shape for name, place in self._places.items()}

    def stored(self, name: str) -> tuple[str, npt.NDArray[Any]]:
        """Return the type and the numbers of a tensor, mapped from the file.

        What is written into the array stays in memory; the file is never changed. `UserError` if
        it is stored in a way that is not read here.
        """
        place = self._plain(name)
        return place.dtype, _mapped(place)

    def floats(self, name: str) -> Floats:
        """Return a tensor in fp32; `UserError` likewise."""
        return floats_at(self._plain(name))

    def _plain(self, name: str) -> Place:
        place = self._places[name]
        if place.dtype not in NUMPY:
            raise UserError(
                f"{self.folder}: {printable(name)} is stored as {printable(place.dtype)}; take the "
                f"model's own weights in {', '.join(NUMPY)}."
            )
        return place


def floats_at(place: Place) -> Floats:
    """Return a tensor of a type in NUMPY in fp32."""
    numbers = _mapped(place)
    if place.dtype == "BF16":
        floats: Floats = (numbers.astype("<u4") << 16).view("<f4")
        return floats
    return np.asarray(numbers, np.float32)


def _mapped(place: Place) -> npt.NDArray[Any]:
    kind = NUMPY[place.dtype]  # type: ignore[index]
    return np.memmap(place.path, kind, "c", place.offset, place.shape)


def _alone(name: str) -> str:
    return name if name == HEAD else f"model.{name}"


def _files(folder: Path) -> list[Path]:
    if (folder / _INDEX).is_file():
        return _indexed(folder)
    if (folder / _WHOLE).is_file():
        return [folder / _WHOLE]
    found = sorted(
        path for path in folder.glob("*.safetensors") if not path.name.startswith(_NOT_READ)
    )
    if not found:
        raise UserError(f"{folder} has no weights as safetensors.")
    return found


def _indexed(folder: Path) -> list[Path]:
    path = folder / _INDEX
    try:
        names = set(read_json(content_of(path))["weight_map"].values())
        files = [folder / Path(name).name for name in sorted(names)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path} is no index of weights: download or copy it again.") from None
    for file in files:
        if not file.is_file():
            raise UserError(f"{file} is missing: download or copy the model again.")
    return files


def places_in(path: Path) -> dict[str, Place]:
    """Return where each tensor of a file lies; its header is checked to the last number.

    `UserError` if it is no file of safetensors, or a damaged one.
    """
    if not path.is_file():
        raise UserError(f"{printable(path)} is missing, or no plain file.")
    try:
        with open_file(path) as file:
            total = os.fstat(file.fileno()).st_size
            length = int.from_bytes(file.read(8), "little")
            if not 0 < length <= min(total - 8, _LONGEST_HEADER):
                raise _broken(path)
            header = msgspec.json.decode(file.read(length), type=dict[str, Any])
            header.pop("__metadata__", None)
            entries = msgspec.convert(header, dict[str, _Entry])
    except OSError as error:
        raise UserError(f"{printable(path)} cannot be read: {error.strerror}.") from None
    except (msgspec.MsgspecError, RecursionError):
        raise _broken(path) from None
    first = 8 + length
    if not all(entry.fits(total - first) for entry in entries.values()):
        raise _broken(path)
    return {
        name: Place(path, entry.dtype, entry.shape, first + entry.data_offsets[0])
        for name, entry in entries.items()
    }


class _Entry(msgspec.Struct, frozen=True):
    """A tensor in a header."""

    dtype: str
    shape: tuple[_Count, ...]
    data_offsets: tuple[_Count, _Count]

    def fits(self, total: int) -> bool:
        """Return whether it is as long as its shape says, and ends within so many bytes."""
        begin, end = self.data_offsets
        known = NUMPY.get(self.dtype)  # type: ignore[call-overload]
        if known and end - begin != math.prod(self.shape) * np.dtype(known).itemsize:
            return False
        return begin <= end <= total


def _broken(path: Path) -> UserError:
    return UserError(
        f"{printable(path)} is damaged, or no file of safetensors: download or copy it again."
    )


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "one number"


def write_safetensors(
    path: Path,
    tensors: Mapping[str, Stored],
    data: Callable[[str], Iterable[npt.NDArray[Any]]],
    report: ByteProgress | None = None,
) -> None:
    """Write a file; `data` gives a tensor's bytes in pieces, by its name."""
    total = sum(tensor.size_bytes for tensor in tensors.values())
    done = 0
    with path.open("wb") as file:
        file.write(_header(tensors))
        for name, tensor in tensors.items():
            start = done
            for piece in data(name):
                done += file.write(piece.tobytes())
                if report:
                    report(done, total)
            assert done - start == tensor.size_bytes, name


def _header(tensors: Mapping[str, Stored]) -> bytes:
    ends = list(accumulate((tensor.size_bytes for tensor in tensors.values()), initial=0))
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    for (name, tensor), start, end in zip(tensors.items(), ends, ends[1:], strict=False):
        entries[name] = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [start, end]}
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(8, "little") + text
