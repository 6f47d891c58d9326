"""The app in a browser: a small server whose every page is a window, a process of its own.

    server = Server(window_command(["--new"]), port=0)
    await server.start()
    print(server.link)

Nothing comes from, or goes to, another machine than the one that looks at the page.
"""

from shoritui.web.server import Server
from shoritui.web.window import window_command

__all__ = ["Server", "window_command"]
