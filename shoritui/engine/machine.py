"""What this machine has: memory and processor time, within the limits of a container.

It does not know what they are for.
"""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_CGROUPS: Final = Path("/sys/fs/cgroup")
_MEMBERSHIP: Final = Path("/proc/self/cgroup")
_NO_LIMIT: Final = 1 << 60
"""The first version of cgroups says "no limit" with a number near 2 to the 63rd."""


def machine_memory() -> tuple[int | None, int | None]:
    """Total and available bytes for this process, as far as the system tells."""
    if sys.platform == "darwin":
        return _darwin_memory()
    if sys.platform == "win32":
        return _windows_memory()
    total, available = _linux_memory()
    limit, left = container_memory()
    return _least(total, limit), _least(available, left)


def container_memory(
    root: Path = _CGROUPS, membership: Path = _MEMBERSHIP
) -> tuple[int | None, int | None]:
    """The memory that the control groups allow, and what of it is left; None without a limit."""
    limit = left = None
    for folder in _folders(root, membership, "memory"):
        for most, used, cache in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            here = _number(folder / most)
            if here is None or here >= _NO_LIMIT:
                continue
            limit = _least(limit, here)
            held = _number(folder / used)
            if held is not None:
                held -= _counter(folder / "memory.stat", cache)
                left = _least(left, max(here - max(held, 0), 0))
    return limit, left


def container_cores(root: Path = _CGROUPS, membership: Path = _MEMBERSHIP) -> float | None:
    """How many processors' time the control groups allow; None without a limit."""
    least: float | None = None
    for folder in _folders(root, membership, "cpu"):
        quota = period = None
        with suppress(OSError, ValueError):
            first, second = (folder / "cpu.max").read_text().split()
            quota, period = (int(first) if first != "max" else None), int(second)
        if quota is None:
            quota = _number(folder / "cpu.cfs_quota_us")
            period = _number(folder / "cpu.cfs_period_us")
        if quota and period and quota > 0:
            cores = quota / period
            least = cores if least is None else min(least, cores)
    return least


def _folders(root: Path, membership: Path, controller: str) -> Iterator[Path]:
    """The folders of this process's groups for a controller, and of the groups around them."""
    bases = {"": root, controller: root / controller}
    with suppress(OSError):
        for line in membership.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            for name in set(controllers.split(",")) & bases.keys():
                folder = bases[name] / path.strip("/")
                while folder != bases[name]:
                    yield folder
                    folder = folder.parent
    yield from bases.values()


def _linux_memory() -> tuple[int | None, int | None]:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        kib = {key: int(value.split()[0]) for key, _, value in (x.partition(":") for x in lines)}
        return kib["MemTotal"] * 1024, kib["MemAvailable"] * 1024
    except (OSError, KeyError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), None
    except (AttributeError, OSError, ValueError):
        return None, None


def _darwin_memory() -> tuple[int | None, int | None]:
    total = _output("/usr/sbin/sysctl", "-n", "hw.memsize").strip()
    return (int(total) if total.isdecimal() else None), free_pages(_output("/usr/bin/vm_stat"))


def free_pages(report: str) -> int | None:
    """The bytes that macOS's `vm_stat` calls free, or held only until somebody needs them."""
    size = re.search(r"page size of (\d+) bytes", report)
    names = "free|inactive|speculative|purgeable"
    pages = re.findall(rf"^Pages (?:{names}):\s+(\d+)", report, re.MULTILINE)
    return int(size[1]) * sum(map(int, pages)) if size and pages else None


def _windows_memory() -> tuple[int | None, int | None]:
    # MEMORYSTATUSEX: its length, the load in percent, then seven counts of bytes.
    status = (ctypes.c_uint64 * 8)()
    status[0] = ctypes.sizeof(status)
    if not ctypes.WinDLL("kernel32").GlobalMemoryStatusEx(status):  # type: ignore[attr-defined]
        return None, None
    return status[1], status[2]


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _counter(path: Path, name: str) -> int:
    with suppress(OSError):
        for line in path.read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == name and value.isdecimal():
                return int(value)
    return 0


def _least(first: int | None, second: int | None) -> int | None:
    known = [value for value in (first, second) if value is not None]
    return min(known, default=None)
