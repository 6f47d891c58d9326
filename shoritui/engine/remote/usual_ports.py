"""Find the servers of language models that run on this machine, on the ports they usually take."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from shoritui.engine.remote.detect import listed_models
from shoritui.engine.remote.http import HttpClient, Refused
from shoritui.engine.remote.server import Server
from shoritui.errors import UserError
from shoritui.text import message

USUAL_PORTS: Final = {
    "llama-server": 8080,
    "KoboldCpp": 5001,
    "Ollama": 11434,
    "LM Studio": 1234,
    "TabbyAPI": 5000,
}
SEARCH_SECONDS: Final = 1.5
"""How long a server has to answer; those that run here do so in milliseconds."""
_MOST_MODELS: Final = 200
_UNAUTHORIZED: Final = 401


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A server that answers on this machine."""

    name: str
    """Whose usual port it is."""
    url: str
    models: tuple[str, ...] = ()
    """The models that it offers, as requests name them; only those that can be shown."""
    wants_key: bool = False
    """Whether it lists its models only to who has its API key."""


async def local_servers(ports: dict[str, int] = USUAL_PORTS) -> list[LocalServer]:
    """Ask all usual ports of this machine at once; return those that answer as such servers do."""
    found = await asyncio.gather(*(_ask(name, port) for name, port in ports.items()))
    return [server for server in found if server is not None]


async def _ask(name: str, port: int) -> LocalServer | None:
    server = Server(f"http://127.0.0.1:{port}")
    http = await asyncio.to_thread(HttpClient, server)  # It reads certificates for a while.
    try:
        async with asyncio.timeout(SEARCH_SECONDS):
            models = list(await listed_models(http))
    except Refused as error:
        wants_key = error.status == _UNAUTHORIZED
        return LocalServer(name, server.url, wants_key=True) if wants_key else None
    except (UserError, TimeoutError):
        return None
    finally:
        await http.close()
    shown = (model for model in models if model and message(model, len(model)) == model)
    return LocalServer(name, server.url, tuple(shown)[:_MOST_MODELS])
