"""The `shoritui` command, and `python -m shoritui`: Ctrl+C ends it in a word, even at once."""

from __future__ import annotations

import os
import sys

STOPPED = 130
"""The exit code after Ctrl+C."""
_OTHERS = 0o077
"""What others may not do with files and folders that are new."""


def main() -> int:
    """Load the command line and run it; return its exit code."""
    os.umask(_OTHERS)  # in the processes that are started, too, and whatever library writes
    try:
        from shoritui.cli import main as run

        return run()
    except ImportError as error:
        from shoritui.errors import lacking

        if not (sentence := lacking(error)):
            raise
        print(f"shoritui: {sentence}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("shoritui: Stopped.", file=sys.stderr)
        return STOPPED


if __name__ == "__main__":
    raise SystemExit(main())
