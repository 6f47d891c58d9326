"""Read from a server no faster than leaves the keys their time, however much it sends.

All that comes passes here, headers and what is thrown away included: a server that never ends
them would otherwise have the event loop for itself.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from time import perf_counter
from typing import Any, Final

import httpcore
import httpx

_AT_ONCE: Final = 1 << 12
"""Bytes that are taken before all others have their turn."""
_REST: Final = 3.0
"""Seconds that others have for each second that was spent on what came."""
_SHORTEST: Final = 0.002
"""Seconds; less is not rested, but owed."""
_LONGEST: Final = 0.25
"""Seconds of a rest: this process may have stood still."""


def pace(client: httpx.AsyncClient) -> None:
    """Have all connections of a client, through proxies too, read at a pace."""
    transports: list[Any] = [client._transport, *client._mounts.values()]
    for transport in transports:
        if transport is not None:
            transport._pool._network_backend = PacedBackend()  # httpx has no door for it


class PacedBackend(httpcore.AnyIOBackend):
    """Connects over TCP, as httpcore does by itself."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection that is read at a pace."""
        stream = await super().connect_tcp(host, port, timeout, local_address, socket_options)
        return PacedStream(stream)


class PacedStream(httpcore.AsyncNetworkStream):
    """A connection that rests when much comes."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._given = perf_counter()
        self._owed = 0.0

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return what comes next, a little of it."""
        self._owed += _REST * (perf_counter() - self._given)
        if self._owed > _SHORTEST:
            await asyncio.sleep(min(self._owed, _LONGEST))
            self._owed = 0.0
        data = await self._stream.read(min(max_bytes, _AT_ONCE), timeout)
        self._given = perf_counter()
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send bytes."""
        await self._stream.write(buffer, timeout)
        self._given = perf_counter()

    async def aclose(self) -> None:
        """End the connection."""
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Return the same connection, encrypted."""
        return PacedStream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        """What is known of the connection."""
        return self._stream.get_extra_info(info)
