"""Cores, as the system and the control groups tell them."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoritui.host.machine import container_cores, physical_cores, usable_cores


def test_a_container_takes_cores_away() -> None:
    assert 1 <= usable_cores() <= physical_cores()


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, None),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu.max": "150000 100000"}, 1.5),
        ({"a/cpu.max": "400000 100000", "a/b/cpu.max": "max 100000"}, 4),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({"cpu/a/cpu.cfs_quota_us": "200000", "cpu/a/cpu.cfs_period_us": "100000"}, 2),
        ({"cpu.max": "garbage"}, None),
    ],
)
def test_a_containers_processor_time_counts(
    tmp_path: Path, files: dict[str, str], cores: float | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    membership = tmp_path / "cgroup"
    membership.write_text("3:cpu,cpuacct:/a\n0::/a/b\n")
    assert container_cores(tmp_path, membership) == cores
