"""`shoritui models`: list the models on this machine, pull another one, choose one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from shoritui.commands.arguments import add_json, named_path
from shoritui.commands.output import print_json, show_making
from shoritui.director import engine_options
from shoritui.engine import inspect_model
from shoritui.errors import UserError
from shoritui.folders import models_dir, settings_path
from shoritui.host.hub import hub_address
from shoritui.host.machine import machine_memory
from shoritui.models import (
    Description,
    Kind,
    Model,
    better,
    describe,
    describe_file,
    found_models,
    model_file,
    shipped_path,
)
from shoritui.progress import ProgressLine
from shoritui.settings import Settings, load_settings, save_settings
from shoritui.text import command, number, printable, size, table

DESCRIPTION: Final = """\
List the GGUF models in ShoriTUI's own folder, the Hugging Face cache, and the folders of LM
Studio and Ollama: what each is, and whether `▀` and `▄` are single tokens of its vocabulary.
The one in use is marked.
"""
KNOWN: Final = ("lemonilia/ShoriRP-v0.75d", "LoneStriker/ShoriRP-merged-v0.60-GGUF")
"""Repositories with models that were trained on BlockML."""
_KINDS: Final[dict[Kind, str]] = {
    "adapter": "an adapter, to be used with a model",
    "projector": "a projector, which lets a model see images",
    "vocabulary": "a vocabulary without a model",
    "other": "not a language model",
}
_HEAD: Final = ("", "NAME", "SIZE", "QUANT", "MODEL", "CONTEXT", "▀ ▄", "FROM")
_RIGHT: Final = (_HEAD.index("SIZE"), _HEAD.index("CONTEXT"))
_WIDEST_NAME: Final = 60


@dataclass(frozen=True, slots=True)
class _Listed:
    model: Model
    description: Description
    in_use: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments and its actions."""
    add_json(parser)
    actions = parser.add_subparsers(title="actions", metavar="ACTION")
    listing = actions.add_parser(
        "list",
        help="list them (the default)",
        description="List the models on this machine, as `shoritui models` alone does.",
    )
    add_json(listing, argparse.SUPPRESS)
    pulling = actions.add_parser(
        "pull",
        help="download a model from the Hugging Face hub",
        description="Download a model into ShoriTUI's own folder. An interrupted download "
        "resumes when the command is run again. HF_TOKEN and HF_ENDPOINT are honoured.",
    )
    pulling.add_argument(
        "repo",
        metavar="REPO[:QUANT]",
        help="a repository; where it has several models, also a quantisation such as Q4_K_M, or a "
        "file's name",
    )
    pulling.set_defaults(run=pull)
    using = actions.add_parser(
        "use",
        help="choose the model for every story from now on",
        description="Check that a model can be loaded, and write it into the settings.",
    )
    using.add_argument(
        "model", metavar="NAME|FILE", type=named_path, help="a name from the list, or a GGUF file"
    )
    using.set_defaults(run=use)


def run(options: argparse.Namespace) -> int:
    """Print what is on this machine, as rows or as JSON."""
    chosen, problems = _chosen(load_settings())
    models = found_models(chosen)
    problems += models.problems
    in_use = _identity(chosen) if chosen else None
    listed = []
    for model in models.all:
        try:
            listed.append(_Listed(model, describe(model), _identity(model.path) == in_use))
        except UserError as error:
            problems.append(str(error))
    if options.json:
        print_json({"models": [_facts(one) for one in listed], "problems": problems})
    else:
        print("\n".join(_lines(listed, problems)))
        if sentence := better(""):
            print(sentence)
    return 0


def pull(options: argparse.Namespace) -> int:
    """Download a model of the hub into our own folder."""
    hub_address()
    from shoritui.models.download import download
    from shoritui.models.hub import choose, repository

    name, _, wanted = options.repo.partition(":")
    try:
        repo = repository(name)
        offer = choose(repo, wanted, machine_memory()[0])
        label = f"{offer.quantisation}, " if offer.quantisation else ""
        print(f"{offer.name} ({label}{size(offer.size_bytes)}) from {repo.name}", flush=True)
        with ProgressLine(offer.size_bytes) as line:
            files = download(repo, offer, models_dir().joinpath(*name.split("/")), line.report)
    except KeyboardInterrupt:
        print(
            "Stopped. What was downloaded is kept; the same command resumes the download.",
            file=sys.stderr,
        )
        return 130
    print(f"Downloaded: {printable(files[0])}")
    print(f"Use it: {command('models', 'use', _name_of(files[0]))}")
    return 0


def use(options: argparse.Namespace) -> int:
    """Write a model into the settings, after checking that it can be loaded."""
    path = _file_of(options.model)
    shown = printable(path)
    kind = describe_file(path).kind
    if kind != "model":
        raise UserError(f"{shown} is {_KINDS[kind]}: name a model.")
    info = inspect_model(path, engine_options(load_settings()))
    # The one that ships moves with the program, so no path is written.
    is_shipped = _identity(path) == _identity(shipped_path())
    save_settings(model="" if is_shipped else str(path.absolute()))
    print(f"In use: {shown}{' (it ships with ShoriTUI)' if is_shipped else ''}")
    print(
        f"Written to {settings_path()}: {printable(info.description)}, about "
        f"{size(info.memory_bytes)} of memory with a context of {info.n_ctx:,} tokens."
    )
    return 0


def _chosen(settings: Settings) -> tuple[Path | None, list[str]]:
    """Return the file that the settings name, or why there is none."""
    try:
        return model_file(None, settings.model, show_making), []
    except UserError as error:
        return None, [str(error)]


def _file_of(wanted: Path) -> Path:
    """Return the file of a path, or of a name in the list."""
    return wanted if wanted.is_file() else found_models().named(str(wanted)).path


def _name_of(path: Path) -> str:
    """Return a file's name in the list; its path if another has that name too."""
    models = found_models().all
    names = [model.name for model in models if _identity(model.path) == _identity(path)]
    others = [model.name.casefold() for model in models]
    return names[0] if names and others.count(names[0].casefold()) == 1 else str(path)


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells one real file from another; None for one that is not there."""
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
    yield from table(
        [_HEAD, *(_row(one) for one in listed if one.description.kind == "model")], _RIGHT
    )
    yield ""
    for one in listed:
        if one.description.kind != "model":
            yield f"{one.model.name} ({one.model.source}) is {_KINDS[one.description.kind]}."
    yield from problems
    yield "Use one: shoritui models use NAME"
    yield f"Made for BlockML: {command('models', 'pull', KNOWN[0])}, or {', '.join(KNOWN[1:])}"


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
