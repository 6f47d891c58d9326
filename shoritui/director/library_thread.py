"""The library on a thread of its own, so that no disk ever makes the keyboard wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from shoritui.story import Library

P = ParamSpec("P")
T = TypeVar("T")


class Disk:
    """One open library and the one thread that may touch it."""

    def __init__(self, library: Library, thread: ThreadPoolExecutor) -> None:
        self._library = library
        self._thread = thread

    @classmethod
    async def open(cls, path: Path) -> Disk:
        """Open or create the library.

        Raises:
            UserError: It cannot be opened.
        """
        thread = ThreadPoolExecutor(1, thread_name_prefix="library")
        try:
            library = await asyncio.get_running_loop().run_in_executor(thread, Library, path)
        except BaseException:
            thread.shutdown(wait=False)
            raise
        return cls(library, thread)

    async def run(
        self, method: Callable[Concatenate[Library, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call a method of the library: `await disk.run(Library.chat, 3)`.

        A call that has begun is finished even if the caller is cancelled, so calls keep
        their order.
        """
        call = asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: method(self._library, *args, **kwargs)
        )
        return await asyncio.shield(call)

    async def read(
        self, method: Callable[Concatenate[Library, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call a method that changes nothing.

        A call that has not begun is dropped with its caller: behind a slow disk, nobody waits for
        what nobody wants any more.
        """
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: method(self._library, *args, **kwargs)
        )

    @property
    def times_replaced(self) -> int:
        """How often another program has put another library into this one's place."""
        return self._library.times_replaced

    async def close(self) -> None:
        """Finish what is under way and close the library."""
        await self.run(Library.close)
        self._thread.shutdown()
