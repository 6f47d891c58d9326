"""Questions about the installation and about model files, each answered by a short-lived worker.

It does not know the answers; the caller never imports llama.cpp.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from shoritui.engine import protocol
from shoritui.engine.causes import likely_cause
from shoritui.engine.files import check_model_file
from shoritui.engine.interface import (
    DEFAULT_OPTIONS,
    EngineDescription,
    EngineOptions,
    ModelInfo,
)
from shoritui.engine.process import COMMAND, environment
from shoritui.engine.protocol import Reply, Request
from shoritui.errors import UserError


def describe() -> EngineDescription:
    """What is installed and whether it can use a GPU; `UserError` if it cannot be loaded."""
    reply = _ask(protocol.Describe(0))
    assert isinstance(reply, protocol.Described)
    return reply.description


def inspect_model(path: Path, options: EngineOptions = DEFAULT_OPTIONS) -> ModelInfo:
    """What a model would be and need if it were opened; its weights are not loaded."""
    check_model_file(path)
    reply = _ask(protocol.Inspect(0, path.absolute(), options))
    assert isinstance(reply, protocol.Opened)
    return reply.info


def _ask(request: Request) -> Reply:
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment(),
            start_new_session=True,
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(protocol.frame(request))
        process.stdin.flush()
        body = protocol.read_body(process.stdout)
        process.stdin.close()
        if body is None:
            log.seek(0)
            cause = likely_cause(process.wait(), log.read().decode("utf-8", "replace"))
            raise UserError(f"llama.cpp cannot be used: {cause}.")
    reply = protocol.reply(body)
    if isinstance(reply, protocol.Failed):
        raise UserError(reply.sentence)
    return reply
