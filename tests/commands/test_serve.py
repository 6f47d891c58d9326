"""`shoritui serve`: what it refuses, and what it says."""

from __future__ import annotations

import signal
import subprocess
import sys
from functools import partial
from urllib.request import urlopen

import pytest

from shoritui.cli import main


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--host", "0.0.0.0"], "Other machines are served only with a password"),
        (["--password"], "The password is empty"),
        (["--port", "70000"], "--port must be a number from 0 to 65535, not '70000'."),
        (["--port", "x"], "--port must be a number from 0 to 65535, not 'x'."),
        (["--host", "203.0.113.1", "--password", "x"], "203.0.113.1 is no address of this machine"),
        (["--host", "a\x1b" * 99, "--password", "x"], "is no address of this machine"),
    ],
)
def test_what_cannot_be_served_is_told(
    arguments: list[str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SHORITUI_PASSWORD", raising=False)
    try:
        code = main(["serve", "--port", "0", *arguments])
    except SystemExit as error:
        code = int(error.code or 0)
    said = capsys.readouterr().err
    assert code != 0 and sentence in said
    assert "Traceback" not in said and "\x1b" not in said


def test_serving_others_warns_and_ends_with_ctrl_c() -> None:
    command = (sys.executable, "-m", "shoritui", "serve", "--port", "0", "--host", "0.0.0.0")
    with subprocess.Popen(
        (*command, "--password", "x"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None and server.stderr is not None
        assert "?key=" not in server.stdout.readline()
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 0
        assert "Without TLS" in server.stderr.read()


def test_under_nohup_it_outlives_its_terminal() -> None:
    with subprocess.Popen(
        (sys.executable, "-m", "shoritui", "serve", "--port", "0"),
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=partial(signal.signal, signal.SIGHUP, signal.SIG_IGN),
    ) as server:
        assert server.stdout is not None
        link = server.stdout.readline().split()[-1]
        server.send_signal(signal.SIGHUP)
        with urlopen(link) as page:
            assert page.status == 200
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 0
