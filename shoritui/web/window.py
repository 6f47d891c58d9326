"""A window: the app in a process of its own, which paints into a browser instead of a terminal."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from aiohttp.web import WebSocketResponse
from textual_serve.app_service import AppService
from textual_serve.download_manager import DownloadManager

from shoritui.host.process import WEB_DRIVER, environment, python_command

_LAST_SECONDS: Final = 15.0
"""The app ends itself in less, whatever it is doing."""
_OF_A_TERMINAL: Final = (
    *("TMUX", "STY", "KITTY_WINDOW_ID", "WEZTERM_PANE", "WT_SESSION", "SSH_TTY", "VTE_VERSION"),
    *("COLORTERM", "LC_TERMINAL", "ITERM_SESSION_ID", "SHORITUI_PASSWORD"),
)
"""Variables that tell of the terminal in which the server was started, or are not a window's."""


def window_command(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return the command of a window: `shoritui chat` with these arguments."""
    return (*python_command("shoritui"), "chat", *arguments)


class Window(AppService):
    """One running window, between its process and the page that shows it."""

    def __init__(
        self,
        command: Sequence[str],
        page: WebSocketResponse,
        downloads: DownloadManager,
        variables: Mapping[str, str],
    ) -> None:
        super().__init__(
            "",
            write_bytes=page.send_bytes,
            write_str=page.send_str,
            close=self._leave_page,
            download_manager=downloads,
        )
        self._words, self._variables = tuple(command), variables

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        """Start it without a shell, in a session of its own: Ctrl+C here is not meant for it."""
        its_own = self._build_environment(width, height) | environment()
        its_own |= {**self._variables, "TEXTUAL_DRIVER": WEB_DRIVER, "TERM": "xterm-256color"}
        self._process = process = await asyncio.create_subprocess_exec(
            *self._words,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env={name: text for name, text in its_own.items() if name not in _OF_A_TERMINAL},
            start_new_session=True,
        )
        assert process.stdin is not None
        self._stdin = process.stdin
        return process

    async def _leave_page(self) -> None:
        """The app is about to end: the server closes the page once it has."""

    async def stop(self) -> None:
        """Hang up, upon which the app keeps everything and ends, and wait for that."""
        process, task = self._process, self._task
        if process is None:
            return
        self.stdin.close()
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(process.wait(), _LAST_SECONDS)
        if process.returncode is None:
            process.kill()
            await process.wait()
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self._process = self._task = None

    async def ended(self) -> None:
        """Wait until the app has ended by itself, and its last words were handed on."""
        if self._task is not None:
            await asyncio.shield(self._task)
