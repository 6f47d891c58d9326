"""Memory, as the system and the control groups tell it."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoritui.host.machine import container_memory, free_memory, free_pages, machine_memory


def test_this_machine_has_memory() -> None:
    total, available = machine_memory()
    assert total is not None and total > 2**28
    assert available is None or 0 < available <= total
    assert 0 < free_memory() <= total


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, (None, None)),
        ({"memory.max": "max"}, (None, None)),
        (
            {"memory.max": "1000", "memory.current": "800", "memory.stat": "inactive_file 300"},
            (1000, 500),
        ),
        (
            {"a/memory.max": "900", "a/b/memory.max": "max", "a/memory.current": "950"},
            (900, 0),
        ),
        (
            {
                "memory/a/memory.limit_in_bytes": "700",
                "memory/a/memory.usage_in_bytes": "100",
                "memory/memory.limit_in_bytes": "9223372036854771712",
            },
            (700, 600),
        ),
        ({"memory.max": "lots"}, (None, None)),
    ],
)
def test_a_containers_memory_counts(
    tmp_path: Path, files: dict[str, str], expected: tuple[int | None, int | None]
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    membership = tmp_path / "cgroup"
    membership.write_text("4:memory:/a\n0::/a/b\n")
    assert container_memory(tmp_path, membership) == expected


def test_the_report_of_macos_is_read() -> None:
    report = (
        "Mach Virtual Memory Statistics: (page size of 16384 bytes)\n"
        "Pages free:                                 1000.\n"
        "Pages active:                             300000.\n"
        "Pages inactive:                              200.\n"
        "Pages speculative:                            30.\n"
        "Pages wired down:                          90000.\n"
        "Pages purgeable:                               4.\n"
    )
    assert free_pages(report) == 16384 * 1234
    assert free_pages("") is None
