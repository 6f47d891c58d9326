"""The `shoritui` command, and `python -m shoritui`: Ctrl+C ends it in a word, even at once."""

from __future__ import annotations

import sys

STOPPED = 130
"""The exit code after Ctrl+C."""


def main() -> int:
    """Load the command line and run it; return its exit code."""
    try:
        from shoritui.cli import main as run

        return run()
    except KeyboardInterrupt:
        print("shoritui: Stopped.", file=sys.stderr)
        return STOPPED


if __name__ == "__main__":
    raise SystemExit(main())
