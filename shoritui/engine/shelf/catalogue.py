"""The models on this machine: each real file once, split ones whole, and what each says of itself.

It does not know which one is in use, nor how a list is shown.
"""

from __future__ import annotations

import glob
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from typing import Final, Literal

from shoritui.engine.shelf import places, quantisation
from shoritui.engine.shelf.gguf import Header, read_header
from shoritui.engine.shelf.places import Found
from shoritui.engine.shelf.plain import printable
from shoritui.errors import UserError

Kind = Literal["model", "adapter", "projector", "vocabulary", "other"]

PART: Final = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})", re.DOTALL)
"""How the parts of a split model are named, without the suffix."""
_MARKS: Final = ("▀", "▄")
_KINDS: Final[dict[str, Kind]] = {"model": "model", "adapter": "adapter", "mmproj": "projector"}


@dataclass(frozen=True, slots=True)
class Model:
    """A model, or what belongs to one, as its file or files lie here."""

    name: str
    """What a user calls it; made printable, as all texts here."""
    path: Path
    """The file to load; of a split model the first."""
    parts: tuple[Path, ...]
    source: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Description:
    """What a model's header says."""

    kind: Kind
    architecture: str
    quantisation: str
    """Such as `Q4_K_M`, "" if nothing tells."""
    n_params: int
    n_ctx_train: int
    """The context it was trained for in tokens, 0 if it does not say."""
    block_tokens: bool
    """Whether `▀` and `▄` are single tokens of its vocabulary."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """What was found, and a sentence for each file that is broken."""

    models: tuple[Model, ...]
    problems: tuple[str, ...]


def look(own: Path, shipped: Path, chosen: Path | None = None) -> Shelf:
    """Finds all model files: in our own folder and other programs', and the two that are named.

    No file is opened. A file that was found already, by whatever name, is left out.
    """
    named = [Found(shipped, shipped.stem, "ships with ShoriTUI")]
    if chosen is not None:
        named.append(Found(chosen, chosen.stem, "your settings"))
    return _gather(
        chain(
            places.gguf_files(own, "own folder"),
            places.hugging_face(),
            places.lm_studio(),
            places.ollama(),
            named,
        )
    )


def describe(model: Model) -> Description:
    """Reads what a model says of itself.

    Raises:
        UserError: A file cannot be read or is broken.
    """
    header, *rest = [read_header(path) for path in model.parts]
    architecture = header.text("general.architecture")
    numbered = header.metadata.get("general.file_type")
    known = quantisation.by_file_type(numbered if isinstance(numbered, int) else None)
    return Description(
        kind=_kind(header, architecture, sum(part.n_tensors for part in (header, *rest))),
        architecture=architecture,
        quantisation=known or quantisation.by_name(model.name),
        n_params=header.n_params + sum(part.n_params for part in rest),
        n_ctx_train=header.number(f"{architecture}.context_length"),
        block_tokens=all(_has_mark(header, mark) for mark in _MARKS),
    )


def describe_file(path: Path) -> Description:
    """Reads what a model of one or more files says of itself, by the file to load.

    Raises:
        UserError: A file cannot be read or is broken, or is only a part of a model.
    """
    shelf = _gather(Found(part, part.stem, "") for part in _with_siblings(path))
    if not shelf.models:
        raise UserError(shelf.problems[0])
    if shelf.models[0].path != path:
        raise UserError(f"{printable(path)} is a part: name {printable(shelf.models[0].path)}.")
    return describe(shelf.models[0])


def find(name: str, models: Iterable[Model]) -> Model | None:
    """The model of a name, in any case, with or without `.gguf`.

    Raises:
        UserError: Several models have the name.
    """
    wanted = name.casefold()
    matches = [
        model
        for model in models
        if wanted in (model.name.casefold(), f"{model.name}.gguf".casefold())
    ]
    if len(matches) > 1:
        files = ", ".join(printable(model.path) for model in matches)
        raise UserError(f"Several models are called {printable(name)}; name the file: {files}.")
    return matches[0] if matches else None


def unknown(name: str, models: Iterable[Model]) -> UserError:
    """That no model has this name, and which one may be meant."""
    names = {model.name.casefold(): model.name for model in models}
    nearest = get_close_matches(name.casefold(), names, n=1)
    hint = f" Did you mean {names[nearest[0]]}?" if nearest else " `shoritui models` lists all."
    return UserError(f"There is no model called {printable(name)} on this machine.{hint}")


def _with_siblings(path: Path) -> list[Path]:
    """A file, or all parts of a split model that lie beside it."""
    match = PART.fullmatch(path.stem)
    if not match:
        return [path]
    names = f"{glob.escape(match['stem'])}-*-of-{match['count']}{glob.escape(path.suffix)}"
    return sorted(path.parent.glob(names))


def _gather(found: Iterable[Found]) -> Shelf:
    models: list[Model] = []
    problems: list[str] = []
    seen: set[tuple[int, int]] = set()
    for name, parts, count in _whole(found):
        shown = printable(parts[0].path)
        try:
            status = [part.path.stat() for part in parts]
        except (OSError, ValueError):
            problems.append(f"{shown} cannot be read: the file is gone, or is not for you.")
            continue
        if any("\udc80" <= letter <= "\udcff" for letter in str(parts[0].path)):
            problems.append(f"{shown}: the name is not UTF-8; rename the file to use it.")
            continue
        if not all(stat.S_ISREG(one.st_mode) for one in status):
            problems.append(f"{shown} is no file.")
            continue
        identity = (status[0].st_dev, status[0].st_ino)
        if identity in seen:
            continue
        seen.add(identity)
        if len(parts) != count:
            problems.append(f"{shown}: only {len(parts)} of its {count} parts are there.")
            continue
        models.append(
            Model(
                name=printable(name),
                path=parts[0].path,
                parts=tuple(part.path for part in parts),
                source=printable(parts[0].source),
                size_bytes=sum(one.st_size for one in status),
            )
        )
    return Shelf(tuple(models), tuple(problems))


def _whole(found: Iterable[Found]) -> Iterator[tuple[str, list[Found], int]]:
    """Name, parts and expected number of parts of each file or split model, in order."""
    groups: dict[tuple[Path, str, int], list[Found]] = {}
    for file in found:
        match = PART.fullmatch(file.name) if file.path.stem == file.name else None
        stem, count = (match["stem"], int(match["count"])) if match else (file.name, 1)
        key = (file.path.parent if match else file.path, stem, count)
        groups.setdefault(key, []).append(file)
    for (_, stem, count), parts in groups.items():
        unique: dict[Path, Found] = {}
        for part in parts:
            unique.setdefault(part.path, part)
        yield stem, [unique[path] for path in sorted(unique)], count


def _kind(header: Header, architecture: str, n_tensors: int) -> Kind:
    stated = header.text("general.type")
    if stated:
        return _KINDS.get(stated, "vocabulary" if stated == "vocab" else "other")
    if architecture == "clip":
        return "projector"
    if not n_tensors and header.tokens:
        return "vocabulary"
    return "model" if n_tensors else "other"


def _has_mark(header: Header, mark: str) -> bool:
    text = mark.encode()
    if header.text("tokenizer.ggml.model") == "gpt2":
        text = "".join(_byte_letter(byte) for byte in text).encode()
    return header.has_token(text)


def _byte_letter(byte: int) -> str:
    """The letter by which a byte-level vocabulary writes a byte: itself, if it is printable."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    if byte in plain:
        return chr(byte)
    return chr(0x100 + sum(other not in plain for other in range(byte)))
