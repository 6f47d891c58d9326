"""The engine: segments of text in, text out, by llama.cpp in a worker process or by a server.

    engine = Engine()
    await engine.open(Path("model.gguf"))
    async for event in engine.generate(segments, Sampling(), max_tokens=200):
        ...

`interface` says what goes in and comes out, `params` holds the sampler values. `worker` runs a
model: `llama` binds the library, `cache` evaluates nothing twice, `sampling` chooses each token.
`remote` asks a server instead. Importing the engine loads no inference library.
"""

from typing import TypeAlias

from shoritui.engine.interface import (
    NO_GUIDE,
    SPLIT_MARKS,
    Adapter,
    EngineDescription,
    EngineOptions,
    EngineState,
    Evaluated,
    Evaluation,
    Event,
    Finished,
    ModelInfo,
    Noted,
    Outcome,
    PromptPlan,
    SampledToken,
    Segment,
    Text,
    TokenLogprob,
    WorkerDied,
)
from shoritui.engine.length_guide import LengthGuide
from shoritui.engine.presets import Preset, check_preset, presets, save_preset
from shoritui.engine.remote import LocalServer, RemoteEngine, Server, local_servers
from shoritui.engine.sampling_params import ORDER, SETTINGS, Sampling, changed
from shoritui.engine.worker.client import Engine, describe, inspect_model

AnyEngine: TypeAlias = Engine | RemoteEngine
"""Both answer the same calls, which `Engine` explains; only what `open` takes differs."""

__all__ = [
    "NO_GUIDE",
    "ORDER",
    "SETTINGS",
    "SPLIT_MARKS",
    "Adapter",
    "AnyEngine",
    "Engine",
    "EngineDescription",
    "EngineOptions",
    "EngineState",
    "Evaluated",
    "Evaluation",
    "Event",
    "Finished",
    "LengthGuide",
    "LocalServer",
    "ModelInfo",
    "Noted",
    "Outcome",
    "Preset",
    "PromptPlan",
    "RemoteEngine",
    "SampledToken",
    "Sampling",
    "Segment",
    "Server",
    "Text",
    "TokenLogprob",
    "WorkerDied",
    "changed",
    "check_preset",
    "describe",
    "inspect_model",
    "local_servers",
    "presets",
    "save_preset",
]
