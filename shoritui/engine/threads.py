"""How many threads the engine takes by default.

It does not know what they compute.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def default_threads() -> int:
    """The physical cores but one, at least one.

    One core stays for the app: the threads wait for each other by spinning, and with all cores
    taken, any other work slows every token several times.
    """
    return max(physical_cores() - 1, 1)


def physical_cores() -> int:
    """The processor's cores that this process may use, hyper-threads not counted."""
    if sys.platform == "darwin":
        return _darwin_cores() or os.cpu_count() or 1
    if not hasattr(os, "sched_getaffinity"):
        return max((os.cpu_count() or 1) // 2, 1)
    usable = os.sched_getaffinity(0)
    siblings = {_siblings(cpu) for cpu in usable}
    return len(siblings)


def _siblings(cpu: int) -> str:
    path = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    try:
        return path.read_text().strip()
    except OSError:
        return str(cpu)


def _darwin_cores() -> int:
    command = ["/usr/sbin/sysctl", "-n", "hw.perflevel0.physicalcpu"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return int(result.stdout) if result.stdout.strip().isdecimal() else 0
