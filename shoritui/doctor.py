"""`shoritui doctor`: what is installed, found and used, as rows or as JSON.

It only looks; it changes nothing and loads no model's weights.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
from pathlib import Path
from typing import Any

from shoritui import __version__
from shoritui.director import engine_options, make_engine, open_engine
from shoritui.engine import EngineDescription, RemoteEngine, describe, inspect_model
from shoritui.errors import UserError
from shoritui.settings import Settings, cache_dir, config_dir, data_dir, model_file


def doctor(options: argparse.Namespace, settings: Settings) -> int:
    """Prints the findings; the exit code is 1 if no story can be played as the settings want."""
    findings = _findings(options.model, settings)
    if options.json:
        print(json.dumps(findings, indent=2, ensure_ascii=False))
    else:
        for name, value in _rows(findings):
            print(f"{name:<12} {value}")
    model = findings["model"]
    return 1 if model.get("problem") or model.get("shortage") else 0


def _findings(model: Path | None, settings: Settings) -> dict[str, Any]:
    engine = describe()
    return {
        "shoritui": __version__,
        "python": platform.python_version(),
        "engine": _engine_facts(engine),
        "model": (
            asyncio.run(_server_facts(settings))
            if settings.server
            else _model_facts(model_file(model, settings), settings)
        ),
        "folders": {
            "config": str(config_dir()),
            "data": str(data_dir()),
            "cache": str(cache_dir()),
        },
    }


def _engine_facts(engine: EngineDescription) -> dict[str, Any]:
    return {
        "llama_cpp_python": engine.package,
        "llama_cpp": engine.llama_cpp,
        "gpu_offload": engine.gpu_offload,
        "gpus": list(engine.gpus),
        "gpu_memory_free": list(engine.gpu_memory_free),
        "threads": engine.n_threads,
        "physical_cores": engine.physical_cores,
        "usable_cores": engine.usable_cores,
        "memory_total": engine.memory_total,
        "memory_available": engine.memory_available,
        "system": engine.system,
    }


def _model_facts(model: Path, settings: Settings) -> dict[str, Any]:
    try:
        info = inspect_model(model, engine_options(settings))
    except UserError as error:
        return {"path": str(model), "problem": str(error)}
    return {
        "path": str(info.path),
        "description": info.description,
        "parameters": info.n_params,
        "bytes": info.size_bytes,
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


async def _server_facts(settings: Settings) -> dict[str, Any]:
    """What the server that runs the model tells of it."""
    engine = make_engine(settings)
    assert isinstance(engine, RemoteEngine)
    try:
        info = await open_engine(engine, settings)
    except UserError as error:
        address = settings.server.rpartition("@")[2]
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
    runs_on = (
        f"GPU: {', '.join(engine['gpus'])}; all layers go there unless n_gpu_layers says less"
        if engine["gpu_offload"]
        else "CPU: this build of llama.cpp has no GPU offload, or found no GPU"
    )
    rows = [
        ("shoritui", f"{findings['shoritui']} on Python {findings['python']}"),
        ("llama.cpp", f"{engine['llama_cpp']} (llama-cpp-python {engine['llama_cpp_python']})"),
        ("runs on", runs_on),
        ("threads", _threads(engine, model)),
        ("model", model["path"]),
        *(_server_rows(model) if "server" in model else _model_rows(model, engine)),
    ]
    return rows + [(name, path) for name, path in folders.items()]


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
    if "problem" in model:
        return [("", model["problem"])]
    blocks = (
        "▀ and ▄ are single tokens"
        if model["block_tokens"]
        else "▀ and ▄ are no single tokens here: replies are stopped by their text"
    )
    size = f"{model['parameters'] / 1e6:,.1f} M parameters, {_size(model['bytes'])} on disk"
    context = (
        f"{model['context']:,} tokens (trained for {model['trained_context']:,}), "
        f"KV cache {model['kv_type']}, likely mode {model['context_mode']}"
    )
    need = f"about {_size(model['memory_bytes'])} at this context"
    rows = [
        ("", f"{model['description']}, {size}"),
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
        return f"{count} by the setting n_threads ({cores})"
    return f"{count} at first, then as measured ({cores})"


def _free(engine: dict[str, Any]) -> str:
    """What is free where the model goes."""
    if engine["gpu_memory_free"]:
        return f"{_size(sum(engine['gpu_memory_free']))} free on the GPU"
    if engine["memory_available"] is None:
        return "nobody knows what is free"
    return f"{_size(engine['memory_available'])} free here"


def _size(count: int) -> str:
    return f"{count / 2**30:,.1f} GiB" if count >= 2**30 else f"{count / 2**20:,.0f} MiB"
