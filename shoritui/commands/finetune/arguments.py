"""What the commands of `shoritui finetune` share: their config, and the packages they need."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import Final

from shoritui.commands.arguments import named_path
from shoritui.errors import UserError

DEFAULT_CONFIG: Final = Path("finetune.toml")


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add `[CONFIG.toml]`."""
    parser.add_argument(
        "config",
        metavar="CONFIG.toml",
        type=named_path,
        nargs="?",
        default=DEFAULT_CONFIG,
        help=f"the training config (default: {DEFAULT_CONFIG})",
    )


def add_demo(parser: argparse.ArgumentParser) -> None:
    """Add `--demo`."""
    parser.add_argument("--demo", action="store_true", help="use the config and data that ship")


def add_cap(parser: argparse.ArgumentParser, help_: str) -> None:
    """Add `--cap-gib N`, which `cap_of` checks."""
    parser.add_argument("--cap-gib", type=float, metavar="N", help=help_)


def cap_of(options: argparse.Namespace) -> float | None:
    """Return `--cap-gib`.

    Raises:
        UserError: It is no amount of memory.
    """
    cap: float | None = options.cap_gib
    if cap is not None and not 0 < cap < inf:
        raise UserError(f"--cap-gib is {cap:g}: expected a number above 0.")
    return cap


@contextmanager
def finetune_extra() -> Iterator[None]:
    """Say in a sentence how to install what is missing of the `finetune` extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        from shoritui.finetune.run.crash_causes import EXTRA

        package = (error.name or "").partition(".")[0]
        if package not in EXTRA:
            raise
        raise lacking(package) from None


def lacking(package: str) -> UserError:
    """Return the error of a package that is not installed."""
    return UserError(f"{package} is not installed; pip install 'shoritui[finetune]' brings it.")
