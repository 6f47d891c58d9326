"""What this machine has: memory and cores, within the limits of a container.

Linux's control groups are read in both versions, nested or not.
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

_ROOT: Final = Path("/sys/fs/cgroup")
_MEMBERSHIP: Final = Path("/proc/self/cgroup")
_NO_LIMIT: Final = 1 << 60
"""The first version says "no limit" with a number near 2 to the 63rd."""


def machine_memory() -> tuple[int | None, int | None]:
    """Return the total and the available bytes for this process, as far as the system tells."""
    if sys.platform == "darwin":
        return _darwin_memory()
    if sys.platform == "win32":
        return _windows_memory()
    total, available = _linux_memory()
    limit, left = container_memory()
    return _least(total, limit), _least(available, left)


def free_memory() -> int:
    """Return the available bytes; all that there are where the system does not tell."""
    total, available = machine_memory()
    return (total or 0) if available is None else available


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
    """Return the bytes that macOS's `vm_stat` calls free, or held until somebody needs them."""
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


def usable_cores() -> int:
    """Return the physical cores that this process may use, within a container's processor time."""
    quota = container_cores()
    return physical_cores() if quota is None else max(min(physical_cores(), int(quota)), 1)


def physical_cores() -> int:
    """Return the processor's cores that this process may run on, hyper-threads not counted."""
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


def container_memory(
    root: Path = _ROOT, membership: Path = _MEMBERSHIP
) -> tuple[int | None, int | None]:
    """Return the bytes that the groups allow, and what of them is left; None without a limit."""
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


def container_cores(root: Path = _ROOT, membership: Path = _MEMBERSHIP) -> float | None:
    """Return how many processors' time the groups allow; None without a limit."""
    allowed: list[float] = []
    for folder in _folders(root, membership, "cpu"):
        quota = period = None
        with suppress(OSError, ValueError):
            first, second = (folder / "cpu.max").read_text().split()
            quota, period = (int(first) if first != "max" else None), int(second)
        if quota is None:
            quota = _number(folder / "cpu.cfs_quota_us")
            period = _number(folder / "cpu.cfs_period_us")
        if quota and period and quota > 0:
            allowed.append(quota / period)
    return min(allowed, default=None)


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
    """Return the smaller one of those that are known."""
    known = [value for value in (first, second) if value is not None]
    return min(known, default=None)
