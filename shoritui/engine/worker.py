"""The process that runs the model: `python -m shoritui.engine.worker`.

Requests come on standard input, replies leave on standard output, and it ends when the input does.
It does not know what requests mean; `serving.py` does.
"""

from __future__ import annotations

import os
import sys
from typing import BinaryIO

from shoritui.engine import protocol
from shoritui.errors import UserError


def main() -> None:
    """Take the two pipes for the protocol alone, then load the library and serve."""
    requests, replies = take_pipes()
    os.environ["GGML_NO_BACKTRACE"] = "1"  # a failed assertion would start a debugger
    try:
        from shoritui.engine.serving import serve

        serve(requests, replies)
    except UserError as error:
        refuse(requests, replies, str(error))


def take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Standard input and output, which from now on are nothing and the log.

    Libraries print where they like, also past Python: only the descriptors themselves are safe.
    """
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return requests, replies


def refuse(requests: BinaryIO, replies: BinaryIO, sentence: str) -> None:
    """Answer everything with the reason why nothing works."""
    while (body := protocol.read_body(requests)) is not None:
        replies.write(protocol.frame(protocol.Failed(protocol.request(body).id, sentence)))


if __name__ == "__main__":
    main()
