"""`shoritui doctor`: show what is installed, found and used; no model's weights are loaded."""

from __future__ import annotations

import argparse
import asyncio
import platform
from pathlib import Path
from typing import Any, Final

from shoritui import __version__
from shoritui.commands.arguments import add_engine, add_json, settings_of
from shoritui.commands.output import print_json, show_making
from shoritui.director import engine_options, make_engine, open_engine
from shoritui.engine import RemoteEngine, describe, inspect_model
from shoritui.errors import UserError
from shoritui.folders import cache_dir, config_dir, data_dir, settings_path
from shoritui.models import model_file, size_on_disk
from shoritui.progress import show
from shoritui.settings import Settings
from shoritui.text import number, shown_address, size

DESCRIPTION: Final = """\
Show the versions, whether llama.cpp uses a GPU, which model is found and how much memory it
takes, where your data is, and what is wrong in your settings.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_engine(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print the findings; 1 if no story can be played with these settings."""
    try:
        findings = _findings(options.model, settings_of(options))
    finally:
        show()
    if options.json:
        print_json(findings)
    else:
        for name, value in _rows(findings):
            print(f"{name:<12} {value}")
    model = findings["model"]
    return 1 if model.get("problem") or model.get("shortage") else 0


def _findings(model: Path | None, settings: Settings) -> dict[str, Any]:
    show("asking llama.cpp")
    engine = _engine_facts()
    show(f"asking {shown_address(settings.server)}" if settings.server else "looking at the model")
    return {
        "shoritui": __version__,
        "python": platform.python_version(),
        "engine": engine,
        "model": (
            asyncio.run(_server_facts(settings))
            if settings.server
            else _model_facts(model_file(model, settings.model, show_making), settings, engine)
        ),
        "settings_problems": _settings_problems(settings),
        "folders": {
            "config": str(config_dir()),
            "data": str(data_dir()),
            "cache": str(cache_dir()),
        },
    }


def _engine_facts() -> dict[str, Any]:
    try:
        engine = describe()
    except UserError as error:
        return {"problem": str(error)}
    return {
        "llama_cpp_python": engine.package,
        "llama_cpp": engine.llama_cpp,
        "gpu_offload": bool(engine.gpus),
        "gpus": list(engine.gpus),
        "gpu_memory_free": list(engine.gpu_memory_free),
        "threads": engine.n_threads,
        "physical_cores": engine.physical_cores,
        "usable_cores": engine.usable_cores,
        "memory_total": engine.memory_total,
        "memory_available": engine.memory_available,
        "system": engine.system,
    }


def _model_facts(model: Path, settings: Settings, engine: dict[str, Any]) -> dict[str, Any]:
    if "problem" in engine:
        return {"path": str(model), "problem": engine["problem"]}
    try:
        info = inspect_model(model, engine_options(settings))
    except UserError as error:
        return {"path": str(model), "problem": str(error)}
    return {
        "path": str(info.path),
        "description": info.description,
        "parameters": info.n_params,
        "bytes": size_on_disk(info.path),
        "context": info.n_ctx,
        "trained_context": info.n_ctx_train,
        "block_tokens": info.block_tokens,
        "memory_bytes": info.memory_bytes,
        "shortage": info.shortage,
        "kv_type": info.kv_type,
        "context_mode": info.context_mode,
        "gpu_layers": info.n_gpu_layers,
        "threads": info.n_threads,
        "adapters": [{"path": str(one.path), "scale": one.scale} for one in info.adapters],
    }


def _settings_problems(settings: Settings) -> list[str]:
    """Return what the apps would report of the settings' theme, keys and persona, and of cards."""
    from shoritui.cards import card_folders, find_cards, find_personas, persona_named
    from shoritui.tui.action import keymap_problems
    from shoritui.tui.chat.actions import ACTIONS
    from shoritui.tui.themes import theme_problem
    from shoritui.tui.training.actions import ACTIONS as OTHERS

    ids = {action.id for action in OTHERS}
    problems = [theme_problem(settings.theme), *keymap_problems(ACTIONS, settings.keymap, ids)]
    if settings.persona:
        try:
            persona_named(settings.persona)
        except UserError as error:
            problems.append(str(error))
    problems += [*find_personas()[1], *find_cards(card_folders())[1]]
    return list(dict.fromkeys(problem for problem in problems if problem))


async def _server_facts(settings: Settings) -> dict[str, Any]:
    """Return what the server that runs the model says of it."""
    engine = make_engine(settings)
    assert isinstance(engine, RemoteEngine)
    try:
        info = await open_engine(engine, settings)
    except UserError as error:
        address = shown_address(settings.server)
        return {"path": settings.server_model, "server": address, "problem": str(error)}
    else:
        return {
            "path": str(info.path),
            "description": info.description,
            "server": info.server,
            "context": info.n_ctx,
            "block_tokens": info.block_tokens,
            "notes": list(engine.notes),
        }
    finally:
        await engine.close()


def _rows(findings: dict[str, Any]) -> list[tuple[str, str]]:
    engine, model, folders = findings["engine"], findings["model"], findings["folders"]
    rows = [
        ("shoritui", f"{findings['shoritui']} on Python {findings['python']}"),
        *_engine_rows(engine, model),
        ("model", model["path"]),
        *(_server_rows(model) if "server" in model else _model_rows(model, engine)),
    ]
    there = "" if settings_path().exists() else " (not there yet: the defaults are used)"
    rows.append(("settings", f"{settings_path()}{there}"))
    rows += [("", problem) for problem in findings["settings_problems"]]
    return [*rows, *folders.items()]


def _engine_rows(engine: dict[str, Any], model: dict[str, Any]) -> list[tuple[str, str]]:
    if "problem" in engine:
        return [("llama.cpp", engine["problem"])]
    runs_on = (
        f"GPU: {', '.join(engine['gpus'])}; runs all layers unless n_gpu_layers is set"
        if engine["gpu_offload"]
        else "CPU (llama.cpp was built without GPU support, or found no GPU)"
    )
    return [
        ("llama.cpp", f"{engine['llama_cpp']} (llama-cpp-python {engine['llama_cpp_python']})"),
        ("runs on", runs_on),
        ("threads", _threads(engine, model)),
    ]


def _server_rows(model: dict[str, Any]) -> list[tuple[str, str]]:
    if "problem" in model:
        return [("server", model["problem"])]
    return [
        ("server", model["server"]),
        ("", model["description"]),
        ("context", f"{model['context']:,} tokens"),
        *(("", note) for note in model["notes"]),
    ]


def _model_rows(model: dict[str, Any], engine: dict[str, Any]) -> list[tuple[str, str]]:
    if "problem" in engine:
        return []
    if "problem" in model:
        return [("", model["problem"])]
    blocks = (
        "the block marks ▀ and ▄ are single tokens of its vocabulary"
        if model["block_tokens"]
        else "the block marks ▀ and ▄ are several tokens each: not made for BlockML, but usable"
    )
    weights = f"{number(model['parameters'])} parameters, {size(model['bytes'])} on disk"
    context = (
        f"{model['context']:,} tokens (trained for {model['trained_context']:,}), "
        f"KV cache in {model['kv_type']}, context mode {model['context_mode']}"
    )
    need = f"about {size(model['memory_bytes'])} at this context"
    rows = [
        ("", f"{model['description']}, {weights}"),
        ("", blocks),
        ("context", context),
        ("memory", f"{need}; {_free(engine)}"),
    ]
    if model["shortage"]:
        rows.append(("", model["shortage"]))
    adapters = [f"{one['path']} at {one['scale']:g}" for one in model["adapters"]]
    return rows + [("adapter", text) for text in adapters]


def _threads(engine: dict[str, Any], model: dict[str, Any]) -> str:
    cores = f"{engine['physical_cores']} physical cores"
    if engine["usable_cores"] < engine["physical_cores"]:
        cores += f", {engine['usable_cores']} of them in this container"
    count = model.get("threads", engine["threads"])
    if count != engine["threads"]:
        return f"{count}, set by n_threads ({cores})"
    return f"{count} to begin with; the fastest number is measured ({cores})"


def _free(engine: dict[str, Any]) -> str:
    """Return what memory is free where the model goes."""
    if engine["gpu_memory_free"]:
        return f"{size(sum(engine['gpu_memory_free']))} free on the GPU"
    if engine["memory_available"] is None:
        return "free memory is unknown"
    return f"{size(engine['memory_available'])} free"
