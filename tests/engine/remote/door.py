"""The command line with less patience, so that a silent server is left within a second or two.

python -m tests.engine.remote.door say ...
"""

from __future__ import annotations

import sys
from typing import Final

from shoritui.cli import main
from shoritui.engine.remote import completion, http, tokenizer

_PATIENCE: Final = (
    (completion, "PROMPT_SECONDS", 1.0),
    (completion, "SILENCE_SECONDS", 0.7),
    (completion, "FIGURES_SECONDS", 0.2),
    (http, "ANSWER_SECONDS", 1.0),
    (http, "CONNECT_SECONDS", 1.0),
    (http, "ERRAND_SECONDS", 0.2),
    (tokenizer, "COUNT_SECONDS", 2.0),
)


def be_impatient(shorten: object = setattr) -> None:
    """Make every wait for a server a short one; `shorten` sets an attribute."""
    for module, name, seconds in _PATIENCE:
        shorten(module, name, seconds)  # type: ignore[operator]


if __name__ == "__main__":
    be_impatient()
    raise SystemExit(main(sys.argv[1:]))
