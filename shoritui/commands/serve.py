"""`shoritui serve`: the app in a browser."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from contextlib import suppress
from getpass import getpass
from typing import TYPE_CHECKING, Final

from shoritui.commands.arguments import add_engine, count
from shoritui.commands.output import print_error
from shoritui.errors import UserError
from shoritui.host.signals import ending_signals

if TYPE_CHECKING:
    from shoritui.web import Server

DESCRIPTION: Final = """\
Serve the app to browsers, until Ctrl+C: each page is a window of its own, with the same library.
Without a password only this machine is served, and the address shown lets in whoever follows it.
"""
_PASSWORD: Final = "SHORITUI_PASSWORD"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--host",
        metavar="ADDRESS",
        default="127.0.0.1",
        help="where to listen (default: 127.0.0.1); any address but this machine's own needs a "
        "password",
    )
    parser.add_argument(
        "--port", metavar="N", type=_port, default=8000, help="0 takes a free one (default: 8000)"
    )
    parser.add_argument(
        "--password",
        metavar="WORD",
        nargs="?",
        const="",
        help="without WORD, which the list of processes shows, it is asked for; it may also stand "
        f"in {_PASSWORD}",
    )
    parser.add_argument(
        "--windows",
        metavar="N",
        type=count,
        default=4,
        help="how many may be open at once; each runs the model for itself (default: 4)",
    )
    add_engine(parser)


def run(options: argparse.Namespace) -> int:
    """Serve until Ctrl+C."""
    from shoritui.models import model_file
    from shoritui.settings import SERVER_VARIABLE, load_settings
    from shoritui.web import Server, window_command
    from shoritui.web.guard import is_loopback

    settings, words = load_settings(), list[str]()
    if options.model:
        words = ["--model", str(model_file(options.model, settings.model).absolute())]
    is_local = is_loopback(options.host)
    server = Server(
        window_command(words),
        variables={SERVER_VARIABLE: options.server} if options.server else None,
        host=options.host,
        port=options.port,
        password=_password(options.password, is_needed=not is_local),
        most=options.windows,
    )
    return asyncio.run(_serve(server, is_local=is_local))


async def _serve(server: Server, *, is_local: bool) -> int:
    await server.start()
    if not is_local:
        print_error(
            "Without TLS everybody on the way can read the story and the password: serve in a "
            "network that you trust, or behind a server that speaks HTTPS. Whoever has the "
            "password can do in the app what you can."
        )
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in ending_signals():
        with suppress(NotImplementedError):  # Windows' loop takes no handlers.
            loop.add_signal_handler(number, ended.set)
    print(f"ShoriTUI is at {server.link}\nCtrl+C ends it.", flush=True)
    try:
        await ended.wait()
    finally:
        await server.close()
    return 0


def _password(word: str | None, *, is_needed: bool) -> str:
    """Return the password: given, out of the environment, or asked for; empty for none.

    Raises:
        UserError: One is needed, and there is none.
    """
    found = word if word else os.environ.get(_PASSWORD, "")
    if not found and (word is not None or is_needed) and sys.stdin.isatty():
        found = getpass("Password for the browser: ")
    if not found and (word is not None or is_needed):
        raise UserError(
            f"Other machines are served only with a password: set {_PASSWORD}, or give --password."
            if is_needed
            else f"The password is empty: set {_PASSWORD}, or give --password WORD."
        )
    return found


def _port(word: str) -> int:
    if not word.isdecimal() or int(word) > 65535:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 65535, not {word!r}.")
    return int(word)
