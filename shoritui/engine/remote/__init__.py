"""An engine on another machine, or in another program: any server with `/v1/completions`.

Importing it loads no HTTP library.
"""

from shoritui.engine.remote.engine import RemoteEngine
from shoritui.engine.remote.server import Server
from shoritui.engine.remote.usual_ports import LocalServer, local_servers

__all__ = ["LocalServer", "RemoteEngine", "Server", "local_servers"]
