"""The process that runs the model: `python -m shoritui.engine.worker`.

Requests come on standard input, replies leave on standard output, and it ends when the input does.
"""

from __future__ import annotations

import os
import signal
from typing import BinaryIO

from shoritui.engine.worker import protocol
from shoritui.errors import UserError
from shoritui.host.process import at_parents_end, end_if_unheard, take_streams


def main() -> None:
    """Take the two pipes for the protocol alone, then load the library and serve."""
    at_parents_end(getattr(signal, "SIGKILL", 0))
    end_if_unheard()
    requests, replies = take_streams(buffering=0)
    os.environ["GGML_NO_BACKTRACE"] = "1"  # a failed assertion would start a debugger
    try:
        from shoritui.engine.worker.server import serve

        serve(requests, replies)
    except UserError as error:
        refuse(requests, replies, str(error))


def refuse(requests: BinaryIO, replies: BinaryIO, sentence: str) -> None:
    """Answer everything with the reason why nothing works."""
    while (body := protocol.read_body(requests)) is not None:
        replies.write(protocol.frame(protocol.Failed(protocol.request(body).id, sentence)))


if __name__ == "__main__":
    main()
