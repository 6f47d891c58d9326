"""What once failed, and some mutated inputs of each target; `python -m tests.fuzz` plays on."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final

import pytest

from tests.fuzz.mutate import mutate
from tests.fuzz.run import CORPUS, Fuzzer, Input
from tests.fuzz.targets import interop
from tests.fuzz.world import World

INPUTS: Final = {
    **{"cards": 40, "chats": 20, "finetune": 20, "gguf": 8},
    **{"interop": 30, "server": 15, "settings": 10, "widgets": 1},
}
ROOT: Final = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("target", INPUTS)
def test_promises_are_kept(target: str) -> None:
    command = (sys.executable, "-m", "tests.fuzz", target, "--dry", "--inputs")
    done = subprocess.run(
        (*command, str(INPUTS[target])),
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_target_is_played() -> None:
    modules = {path.stem for path in ROOT.glob("tests/fuzz/targets/[!_]*.py")}
    assert modules == INPUTS.keys()
    assert {path.name for path in CORPUS.iterdir()} <= INPUTS.keys()


def test_the_same_seed_makes_the_same_inputs() -> None:
    seeds = [each.content for each in interop.seeds()]
    for number, content in enumerate(seeds):
        made = [mutate(Random(number), content, seeds) for _ in range(2)]
        assert made[0] == made[1]


class Planted:
    """Breaks the promise that its input names."""

    def seeds(self) -> Iterator[Input]:
        yield Input("x.txt", b"nothing")

    def play(self, world: World, path: Path) -> None:
        with world.promises("it", seconds=0.3):
            match path.read_text(encoding="utf-8").split():
                case [*_, "raise", _]:
                    raise RuntimeError
                case ["hang"]:
                    while True:
                        pass
                case ["take"]:
                    bytearray(8 << 30)
                case ["die"]:
                    os.abort()
                case ["write"]:
                    (world.root.parent / "x").touch()
                case ["change"]:
                    path.write_text("changed", encoding="utf-8")
                case ["leave"]:
                    (world.tmp / "x").touch()
                case ["call"]:
                    socket.create_connection(("192.0.2.1", 80))
        if path.read_bytes() == b"print":
            world.door("chats", "show", "\x1b[2J")


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("nothing", ""),
        ("print", ""),
        ("lines\nto\nraise\nx", "it: RuntimeError at fuzz/test_fuzz.py"),
        ("hang", "it: hangs"),
        ("take", "it: MemoryError"),
        ("die", "ended the process (-6)"),
        ("write", "open elsewhere"),
        ("change", "the input was changed"),
        ("leave", "temporary files are left"),
        ("call", "a connection to elsewhere"),
    ],
)
def test_what_breaks_a_promise_is_found_and_made_small(
    word: str, reason: str, tmp_path: Path
) -> None:
    fuzzer = Fuzzer("planted", "1", tmp_path, Planted())
    fuzzer.play([Input("x.txt", word.encode())])
    assert "".join(fuzzer.tally.failures).startswith(reason)
    kept = [path.read_bytes() for path in tmp_path.glob("planted/x-*.txt")]
    assert kept == ([word.encode().removeprefix(b"lines\nto\n")] if reason else [])
