"""What holds for all tests."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings

from shoritui import fault_log
from tests import smollm2

smollm2.hide()

# A busy machine is slow: the clock says nothing about what is true. And a checkout passes or fails
# alike everywhere; `--hypothesis-profile searching` draws new examples each time, `thorough` many.
_AT_ITS_PACE: Final[Mapping[str, Any]] = {
    "deadline": None,
    "suppress_health_check": (HealthCheck.too_slow,),
}
settings.register_profile("patient", **_AT_ITS_PACE, derandomize=True)
settings.register_profile("searching", **_AT_ITS_PACE)
settings.register_profile("thorough", **_AT_ITS_PACE, max_examples=1_000)
settings.load_profile("patient")

# A run started in the background ignores Ctrl+C (under nohup SIGHUP, too), and so would every
# program that the tests start and then stop with them.
for _name, _handler in (
    ("SIGINT", signal.default_int_handler),
    ("SIGHUP", signal.SIG_DFL),
    ("SIGQUIT", signal.SIG_DFL),
):
    if hasattr(signal, _name) and signal.getsignal(getattr(signal, _name)) is signal.SIG_IGN:
        signal.signal(getattr(signal, _name), _handler)

_PLAYED = ("commands", "e2e", "engine", "faults", "finetune/run", "kill", "linear", "tui", "web")
"""Folders whose tests run programs, windows and terminals in real time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give what a machine's hiccup can upset one more try; the summary names it as rerun."""
    here = Path(__file__).parent
    for item in items:
        if any(item.path.is_relative_to(here / folder) for folder in _PLAYED):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(autouse=True)
def faults(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[BaseException]]:
    """What the program took for a fault of its own, which ends no app, but each of these tests.

    A test that brings one about takes it out of the list.
    """
    found: list[BaseException] = []
    note = fault_log.note

    def noted(error: BaseException) -> bool:
        found.append(error)
        return note(error)

    monkeypatch.setattr(fault_log, "note", noted)
    yield found
    if found:
        raise found[0]
