"""The engine: segments of text in, text out, by llama.cpp in a worker process.

It does not know characters, chats or blocks; importing it loads no inference library.
"""

from shoritui.engine.client import Engine
from shoritui.engine.inspection import describe, inspect_model
from shoritui.engine.interface import (
    Adapter,
    AnyEngine,
    Chance,
    Drawn,
    EngineDescription,
    EngineOptions,
    EngineState,
    EngineStats,
    Evaluated,
    Evaluation,
    Event,
    Finished,
    ModelInfo,
    Noted,
    Outcome,
    Segment,
    Text,
    WorkerDied,
)
from shoritui.engine.presets import Preset, presets
from shoritui.engine.remote import RemoteEngine, Server
from shoritui.engine.sampling import ORDER, SETTINGS, Sampling, changed

__all__ = [
    "ORDER",
    "SETTINGS",
    "Adapter",
    "AnyEngine",
    "Chance",
    "Drawn",
    "Engine",
    "EngineDescription",
    "EngineOptions",
    "EngineState",
    "EngineStats",
    "Evaluated",
    "Evaluation",
    "Event",
    "Finished",
    "ModelInfo",
    "Noted",
    "Outcome",
    "Preset",
    "RemoteEngine",
    "Sampling",
    "Segment",
    "Server",
    "Text",
    "WorkerDied",
    "changed",
    "describe",
    "inspect_model",
    "presets",
]
