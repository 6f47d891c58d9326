"""A llama as one GGUF file that llama.cpp runs, written tensor by tensor.

It does not know where the weights come from. K-quants are made by llama.cpp out of such a file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import gguf
import numpy as np
import numpy.typing as npt

from shoritui.finetune.gguf.bpe import Merges
from shoritui.finetune.gguf.names import gguf_names, rows_for_gguf
from shoritui.finetune.gguf.reading import Floats, printable
from shoritui.finetune.gguf.shape import ARCHITECTURE, ROPE_FACTORS, Sizes, add_sizes, rope_factors
from shoritui.finetune.gguf.tokens import add_tokens
from shoritui.finetune.gguf.vocabulary import Vocabulary
from shoritui.finetune.gguf.whole import whole_file

Format = Literal["f32", "f16", "bf16", "q8_0"]
Kind = gguf.GGMLQuantizationType
Report = Callable[[int, int], None]

_KINDS: Final[Mapping[Format, Kind]] = {
    "f32": Kind.F32,
    "f16": Kind.F16,
    "bf16": Kind.BF16,
    "q8_0": Kind.Q8_0,
}
_FILE_TYPES: Final[Mapping[Format, gguf.LlamaFileType]] = {
    "f32": gguf.LlamaFileType.ALL_F32,
    "f16": gguf.LlamaFileType.MOSTLY_F16,
    "bf16": gguf.LlamaFileType.MOSTLY_BF16,
    "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
}


@dataclass(frozen=True, slots=True)
class Llama:
    """A whole model, whose weights come when they are asked for."""

    sizes: Sizes
    tokens: Vocabulary | Merges
    names: Sequence[str]
    """Of its tensors, as Hugging Face calls them; without `lm_head.weight` where it is tied."""
    tensor: Callable[[str], Floats]
    """The weights of a name, in Hugging Face's order of rows."""


@dataclass(frozen=True, slots=True)
class About:
    """What a file says of itself."""

    name: str
    description: str = ""
    license: str = ""
    figures: Mapping[str, int | float] = field(default_factory=dict)
    """More metadata by its whole key: whole numbers, or others."""


def write_model(
    path: Path, model: Llama, form: Format, about: About, report: Report | None = None
) -> None:
    """Write the file: matrices in the wanted format, the rest in F32.

    It replaces an older one when it is whole. `report` is told the bytes done and of all.

    Raises:
        OSError: It cannot be written; an older one is untouched.
    """
    with whole_file(path) as part:
        writer = gguf.GGUFWriter(part, ARCHITECTURE)
        add_about(writer, about)
        writer.add_file_type(_FILE_TYPES[form])
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
        add_sizes(writer, model.sizes)
        add_tokens(writer, model.tokens)
        write_tensors(writer, _entries(model, form), report)


def model_bytes(model: Llama, form: Format) -> int:
    """How much the tensors of such a file take."""
    return sum(entry.size_bytes for entry in _entries(model, form))


def add_about(writer: gguf.GGUFWriter, about: About) -> None:
    """State what a file says of itself."""
    writer.add_name(printable(about.name))
    writer.add_license(about.license)
    writer.add_description(printable(about.description))
    for key, figure in about.figures.items():
        if isinstance(figure, int):
            writer.add_uint64(key, figure)
        else:
            writer.add_float32(key, figure)


@dataclass(frozen=True, slots=True)
class Entry:
    """A tensor of a GGUF that is to be written."""

    name: str
    shape: tuple[int, ...]
    kind: Kind
    values: Callable[[], Floats]

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """The last dimension in bytes, where the values are in blocks."""
        if self.kind in (Kind.F32, Kind.F16):
            return self.shape
        return tuple(gguf.quant_shape_to_byte_shape(self.shape, self.kind))

    @property
    def dtype(self) -> npt.DTypeLike:
        """Of its data."""
        return {Kind.F32: np.float32, Kind.F16: np.float16}.get(self.kind, np.uint8)

    @property
    def size_bytes(self) -> int:
        """Of its data."""
        return int(np.prod(self.stored_shape)) * int(np.dtype(self.dtype).itemsize)

    def data(self) -> npt.NDArray[Any]:
        """Its values as they are stored."""
        values = np.ascontiguousarray(self.values(), np.float32)
        assert values.shape == self.shape, self.name
        data: npt.NDArray[Any] = gguf.quants.quantize(values, self.kind)
        return data


def write_tensors(
    writer: gguf.GGUFWriter, entries: Sequence[Entry], report: Report | None = None
) -> None:
    """Write the whole file of a writer that has its metadata; one tensor is in memory at a time."""
    for entry in entries:
        kind = np.dtype(entry.dtype)
        writer.add_tensor_info(entry.name, entry.stored_shape, kind, entry.size_bytes, entry.kind)
    total, done = sum(entry.size_bytes for entry in entries), 0
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        assert writer.fout is not None
        file = writer.fout[0]
        writer.write_padding(file, file.tell())
        for entry in entries:
            # Not through the writer: numpy's `tofile` is silent when the end does not fit the disk.
            file.write(entry.data().data)
            writer.write_padding(file, entry.size_bytes)
            done += entry.size_bytes
            if report:
                report(done, total)
    finally:
        writer.close()


def _entries(model: Llama, form: Format) -> list[Entry]:
    names = gguf_names(model.sizes.layers)
    entries = [_entry(model, name, names[name], form) for name in model.names]
    factors = rope_factors(model.sizes)
    if factors is not None:
        entries.append(Entry(ROPE_FACTORS, factors.shape, Kind.F32, lambda: factors))
    return entries


def _entry(model: Llama, name: str, other: str, form: Format) -> Entry:
    shape, heads = model.sizes.shape_of(name), model.sizes.heads_of(name)

    def values() -> Floats:
        tensor = model.tensor(name)
        return tensor[rows_for_gguf(heads, len(tensor))] if heads else tensor

    return Entry(other, shape, kind_for(shape, form), values)


def kind_for(shape: tuple[int, ...], form: Format) -> Kind:
    """How a tensor of this shape is stored: what has no whole blocks, in the next better way."""
    if len(shape) == 1:
        return Kind.F32
    if form == "q8_0" and shape[-1] % gguf.GGML_QUANT_SIZES[Kind.Q8_0][0]:
        return Kind.F16
    return _KINDS[form]
