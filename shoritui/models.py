"""`shoritui models`: which models are here, pulling another one, and which one to use.

It only shows and asks; what lies on the disk and on the hub is the engine room's.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from shoritui.director import engine_options
from shoritui.engine import inspect_model
from shoritui.engine.machine import machine_memory
from shoritui.engine.shelf import (
    Description,
    Kind,
    Model,
    describe,
    describe_file,
    find,
    look,
    number,
    printable,
    size,
    unknown,
)
from shoritui.errors import UserError
from shoritui.progress import ProgressLine
from shoritui.settings import (
    Settings,
    model_file,
    models_dir,
    save_settings,
    settings_path,
    shipped_model,
)

KNOWN: Final = ("lemonilia/ShoriRP-v0.75d", "LoneStriker/ShoriRP-merged-v0.60-GGUF")
"""Repositories with models that were trained on BlockML."""
_KINDS: Final[dict[Kind, str]] = {
    "adapter": "an adapter, to be used with a model",
    "projector": "a projector, which gives a model eyes",
    "vocabulary": "a vocabulary without a model",
    "other": "no language model",
}
_HEAD: Final = ("", "NAME", "SIZE", "QUANT", "MODEL", "CONTEXT", "▀ ▄", "FROM")
_RIGHT: Final = ("SIZE", "CONTEXT")
_WIDEST_NAME: Final = 60


@dataclass(frozen=True, slots=True)
class _Listed:
    model: Model
    description: Description
    in_use: bool


def list_models(options: argparse.Namespace, settings: Settings) -> int:
    """Prints what is on this machine, as rows or as JSON."""
    chosen, problems = _chosen(settings)
    shelf = look(models_dir(), shipped_model(), chosen)
    problems += shelf.problems
    in_use = _identity(chosen) if chosen else None
    listed = []
    for model in shelf.models:
        try:
            listed.append(_Listed(model, describe(model), _identity(model.path) == in_use))
        except UserError as error:
            problems.append(str(error))
    if options.json:
        facts = {"models": [_facts(one) for one in listed], "problems": problems}
        # Escaped, so that no file's name reaches a terminal as a command.
        print(json.dumps(facts, indent=2).replace("\x7f", "\\u007f"))
    else:
        print("\n".join(_lines(listed, problems)))
    return 0


def pull(options: argparse.Namespace) -> int:
    """Brings a model of the hub into our own folder."""
    from shoritui.engine.shelf.download import download
    from shoritui.engine.shelf.hub import choose, repository

    name, _, wanted = options.repo.partition(":")
    try:
        repo = repository(name)
        offer = choose(repo, wanted, machine_memory()[0])
        label = f"{offer.quantisation}, " if offer.quantisation else ""
        print(f"{offer.name} ({label}{size(offer.size_bytes)}) from {repo.name}", flush=True)
        with ProgressLine(offer.size_bytes) as line:
            files = download(repo, offer, models_dir().joinpath(*name.split("/")), line.report)
    except KeyboardInterrupt:
        print("Stopped: what has come stays, the same command goes on from there.", file=sys.stderr)
        return 130
    print(f"Here: {printable(files[0])}")
    print(f"Use it: shoritui models use {_name_of(files[0])}")
    return 0


def use(options: argparse.Namespace, settings: Settings) -> int:
    """Writes a model into the settings, after checking that it can be loaded."""
    path = _meant(options.model)
    shown = printable(path)
    kind = describe_file(path).kind
    if kind != "model":
        raise UserError(f"{shown} is {_KINDS[kind]}: name a model.")
    info = inspect_model(path, engine_options(settings))
    # The one that ships moves with the program: it is meant by no path.
    is_shipped = _identity(path) == _identity(shipped_model())
    save_settings(model="" if is_shipped else str(path.absolute()))
    print(f"In use: {shown}{' (it ships with ShoriTUI)' if is_shipped else ''}")
    print(
        f"Written to {settings_path()}: {printable(info.description)}, about "
        f"{size(info.memory_bytes)} of memory with a context of {info.n_ctx:,} tokens."
    )
    return 0


def _chosen(settings: Settings) -> tuple[Path | None, list[str]]:
    """The file that the settings mean, or why there is none."""
    try:
        return model_file(None, settings), []
    except UserError as error:
        return None, [str(error)]


def _meant(wanted: str) -> Path:
    """The file that a user means by its path, or by its name in the list."""
    path = Path(wanted).expanduser()
    if path.is_file():
        return path
    models = look(models_dir(), shipped_model()).models
    model = find(wanted, models)
    if model is None:
        raise unknown(wanted, models)
    return model.path


def _name_of(path: Path) -> str:
    """What a file is called in the list; its path if another has that name too."""
    models = look(models_dir(), shipped_model()).models
    names = [model.name for model in models if _identity(model.path) == _identity(path)]
    others = [model.name.casefold() for model in models]
    return names[0] if names and others.count(names[0].casefold()) == 1 else printable(path)


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells one real file from another; None for one that is not there."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _facts(listed: _Listed) -> dict[str, Any]:
    model, description = listed.model, listed.description
    return {
        "name": model.name,
        "path": str(model.path),
        "parts": len(model.parts),
        "kind": description.kind,
        "bytes": model.size_bytes,
        "quantisation": description.quantisation,
        "architecture": description.architecture,
        "parameters": description.n_params,
        "trained_context": description.n_ctx_train,
        "block_tokens": description.block_tokens,
        "source": model.source,
        "in_use": listed.in_use,
    }


def _lines(listed: Sequence[_Listed], problems: Sequence[str]) -> Iterator[str]:
    yield from _table([_HEAD, *(_row(one) for one in listed if one.description.kind == "model")])
    yield ""
    for one in listed:
        if one.description.kind != "model":
            yield f"{one.model.name} ({one.model.source}) is {_KINDS[one.description.kind]}."
    yield from problems
    yield "Use one: shoritui models use NAME"
    yield f"Made for BlockML: shoritui models pull {KNOWN[0]}, or {', '.join(KNOWN[1:])}"


def _row(listed: _Listed) -> tuple[str, ...]:
    model, description = listed.model, listed.description
    context = f"{description.n_ctx_train:,}" if description.n_ctx_train else "?"
    return (
        "*" if listed.in_use else "",
        printable(model.name, _WIDEST_NAME),
        size(model.size_bytes),
        description.quantisation or "?",
        f"{printable(description.architecture, 20)} {number(description.n_params)}".strip(),
        context,
        "yes" if description.block_tokens else "no",
        model.source,
    )


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    right = [title in _RIGHT for title in _HEAD]
    return [
        "  ".join(
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in rows
    ]
