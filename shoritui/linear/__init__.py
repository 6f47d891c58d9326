"""The chat as plain lines: for screen readers, pipes, and terminals that can do no more.

    Mara: "Who goes there?" She lifted the lamp.
    Wren: /retry

Nothing moves, nothing has a colour, no escape code is printed. What is said out of the story stands
in parentheses. `Evening` is the story that is open, `commands` what can be done with it.
"""

from __future__ import annotations

from shoritui.linear.run import run

__all__ = ["run"]
