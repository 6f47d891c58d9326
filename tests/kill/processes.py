"""Processes as the system tells of them: who began whom, who is still there."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

_PATIENCE = 30.0


def kill_family(ancestor: int) -> float:
    """Kill a process, and return how many seconds those that it has begun live on."""
    processes, killed = family(ancestor), time.monotonic()
    os.kill(ancestor, signal.SIGKILL)
    while left := [pid for pid in processes if is_running(pid)]:
        if time.monotonic() > killed + _PATIENCE:
            raise AssertionError(f"{len(left)} orphans of a dead process live on")
        time.sleep(0.02)
    return time.monotonic() - killed


def family(ancestor: int) -> set[int]:
    """The processes that one has begun, and those that they have, and itself."""
    parents = {
        int(each.name): int(state[1])
        for each in Path("/proc").iterdir()
        if each.name.isdigit() and (state := _state(int(each.name)))
    }
    found = {ancestor}
    while new := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= new
    return found


def is_running(pid: int) -> bool:
    """Whether any thread of it is: one that waits for the disk dies after the others."""
    try:
        tasks = [task.name for task in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return False
    return any(_state(int(task))[:1] not in ([], ["Z"]) for task in tasks)


def _state(pid: int) -> list[str]:
    """State, parent, group, session ... of a process; nothing of one that is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return []
