"""An engine on another machine, or in another program: any server with `/v1/completions`.

It does not know llama.cpp; importing it loads no HTTP library.
"""

from shoritui.engine.remote.engine import RemoteEngine
from shoritui.engine.remote.server import Server

__all__ = ["RemoteEngine", "Server"]
