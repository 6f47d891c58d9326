"""Play many inputs in processes under limits; keep what leads to new places; shrink failures."""

from __future__ import annotations

import gc
import os
import pickle
import resource
import select
import signal
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from random import Random
from traceback import format_exception
from typing import BinaryIO, Final, NoReturn, Protocol, cast
from zlib import crc32

from tests.fuzz.mutate import mutate
from tests.fuzz.world import Broken, Call, Calls, World, watch

CORPUS: Final = Path(__file__).parent / "corpus"
MEMORY: Final = 1 << 30
"""Bytes that an input may take beside what the program takes by itself."""
SILENCE: Final = 180.0
"""Seconds after which a process that says nothing waits for something that never comes."""
_BATCH: Final = 50
"""Inputs for one process."""
_SEEN: Final = 3
"""One input in so many is looked at while it is played, which takes half as long again."""
_TRIES: Final = 400
_SHRINK_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Input:
    """A file: its name, which says what it is for, and what is in it."""

    name: str
    content: bytes

    @property
    def file_name(self) -> str:
        """What it is called in the corpus."""
        stem, dot, suffix = self.name.partition(".")
        return f"{stem}-{sha256(self.content).hexdigest()[:8]}{dot}{suffix}"


class Target(Protocol):
    """A module of `tests.fuzz.targets`."""

    def seeds(self) -> Iterable[Input]:
        """Sound inputs."""

    def play(self, world: World, path: Path) -> None:
        """Take an input through the doors that it is for; `Broken` if a promise is not kept."""


@dataclass(frozen=True, slots=True)
class Report:
    """What became of an input."""

    given: Input
    broken: str = ""
    """The promise that was not kept."""
    details: str = ""
    calls: frozenset[Call] = frozenset()
    """Calls that no input before has led to."""
    heard: frozenset[str] = frozenset()
    """Sentences that no input before has led to."""
    peak: int = 0
    """Bytes of memory that the process took at most."""


@dataclass
class Tally:
    """What a run has come to."""

    inputs: int = 0
    seconds: float = 0.0
    seeds: int = 0
    calls: int = 0
    sentences: int = 0
    peak: int = 0
    failures: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        pace = self.inputs / max(self.seconds, 0.001)
        return (
            f"{self.inputs:,} inputs in {self.seconds:,.0f} s ({pace:.1f}/s), "
            f"{self.calls:,} calls, {self.sentences:,} sentences, {self.seeds:,} seeds, "
            f"{self.peak >> 20} MiB at most: {len(self.failures)} failures"
        )


def corpus(name: str) -> list[Input]:
    """Return the inputs of a target that have failed once."""
    paths = sorted((CORPUS / name).iterdir()) if (CORPUS / name).is_dir() else []
    return [Input(_name(path), path.read_bytes()) for path in paths]


def _name(path: Path) -> str:
    stem, dot, suffix = path.name.partition(".")
    return stem[:-9] + dot + suffix


class Fuzzer:
    """One target, from its seeds on."""

    def __init__(
        self, name: str, seed: str, keep: Path | None = None, target: Target | None = None
    ) -> None:
        """Failures are written into the folder `keep`; the target is the module of that name."""
        self.name = name
        self._target = target or cast(Target, import_module(f"tests.fuzz.targets.{name}"))
        self._seed = seed
        self._keep = keep
        self._known: set[Call] = set()
        self._heard: set[str] = set()
        self._pool: list[Input] = []
        self.tally = Tally()

    def replay(self) -> None:
        """Play the corpus and the seeds."""
        self.play([*corpus(self.name), *self._target.seeds()])

    def play(self, inputs: Iterable[Input]) -> None:
        """Play these inputs; whatever they lead to, they are seeds."""
        began = time.monotonic()
        for report in self._play(inputs):
            self._take(report, is_seed=True)
        self.tally.seconds += time.monotonic() - began

    def run(self, seconds: float = float("inf"), inputs: float = float("inf")) -> None:
        """Play mutated inputs for so long, or so many."""
        began = time.monotonic()
        number = 0
        while number < inputs and time.monotonic() - began < seconds:
            few = int(min(_BATCH, inputs - number))
            for report in self._play(self._made(range(number, number + few))):
                self._take(report)
            number += few
        self.tally.seconds += time.monotonic() - began

    def _made(self, numbers: Iterable[int]) -> Iterator[Input]:
        by_kind: dict[str, list[bytes]] = {}
        for each in self._pool:
            by_kind.setdefault(each.name, []).append(each.content)
        names = list(by_kind)
        for number in numbers:
            random = Random(f"{self._seed} {self.name} {number}")
            name = random.choice(names)
            contents = by_kind[name]
            few = contents[-30:] if random.random() < 0.5 else contents
            others = random.choices(self._pool, k=2)
            parts = [*random.choices(contents, k=3), *(each.content for each in others)]
            yield Input(name, mutate(random, random.choice(few), parts))

    def _take(self, report: Report, is_seed: bool = False) -> None:
        self.tally.inputs += 1
        self.tally.peak = max(self.tally.peak, report.peak)
        self._known |= report.calls
        self._heard |= report.heard
        if report.broken:
            self._fail(report)
        if is_seed or ((report.calls or report.heard) and not report.broken):
            self._pool.append(report.given)
        self.tally.seeds, self.tally.calls = len(self._pool), len(self._known)
        self.tally.sentences = len(self._heard)

    def _fail(self, report: Report) -> None:
        self.tally.failures[report.broken] += 1
        if self.tally.failures[report.broken] > 1:
            return
        small = self._shrunk(report)
        print(f"{self.name}: {report.broken}\n{report.details}", flush=True)
        if self._keep is None:
            print(f"  {small.name}, {len(small.content)} bytes: {small.content[:2_000]!r}")
            return
        folder = self._keep / self.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / small.file_name).write_bytes(small.content)
        print(f"  seed {self._seed}, kept as {folder / small.file_name}", flush=True)

    def _shrunk(self, report: Report) -> Input:
        """Return a smaller input that fails likewise: without lines, then without bytes."""
        name, content = report.given.name, report.given.content
        end, tries = time.monotonic() + _SHRINK_SECONDS, _TRIES

        def fails(candidate: bytes) -> bool:
            nonlocal tries
            tries -= 1
            found = list(self._play([Input(name, candidate)]))
            return any(each.broken == report.broken for each in found)

        for parts in (content.splitlines(True), None):
            left: Sequence[bytes] = parts or [bytes([each]) for each in content]
            size = len(left) // 2
            while size and tries > 0 and time.monotonic() < end:
                at = 0
                while at < len(left) and tries > 0 and time.monotonic() < end:
                    shorter = [*left[:at], *left[at + size :]]
                    if fails(b"".join(shorter)):
                        left = shorter
                    else:
                        at += size
                size //= 2
            content = b"".join(left)
        return Input(name, content)

    def _play(self, inputs: Iterable[Input]) -> Iterator[Report]:
        """Play inputs in a process of their own, and go on in another where one ends it."""
        rest = iter(inputs)
        is_over = False
        while not is_over:
            with _process(self._target, rest, self._known, self._heard) as (pipe, ended):
                begun: Input | None = None
                for message in _messages(pipe):
                    if isinstance(message, Input):
                        begun = message
                        next(rest, None)
                    elif isinstance(message, Report):
                        begun = None
                        yield message
                    else:
                        is_over = True
                        _import(cast(list[str], message))
                if begun is not None:
                    yield Report(begun, ended())
                elif not is_over:
                    raise RuntimeError(f"the target {self.name} cannot be played: {ended()}")


@contextmanager
def _process(
    target: Target, inputs: Iterator[Input], known: set[Call], heard: set[str]
) -> Iterator[tuple[BinaryIO, Callable[[], str]]]:
    """A process that plays what is left of the inputs: what it says, and how it has ended."""
    here, there = os.pipe()
    with (
        os.fdopen(here, "rb", buffering=0) as pipe,
        tempfile.TemporaryDirectory(
            prefix="fuzz-", dir=_shm(), ignore_cleanup_errors=True
        ) as folder,
    ):
        sys.stdout.flush()
        child = os.fork()
        if not child:
            _serve(target, World(Path(folder) / "world"), inputs, known, heard, there)
        os.close(there)

        @cache
        def ended() -> str:
            os.kill(child, signal.SIGKILL)
            return _end(os.waitpid(child, 0)[1])

        try:
            yield pipe, ended
        finally:
            ended()


def _end(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGKILL:
        return f"waited for more than {SILENCE:.0f} s, or took too much memory"
    return f"ended the process ({code})"


def _import(names: Iterable[str]) -> None:
    """Import what a process had to import, so that the next one need not."""
    for name in names:
        if name not in sys.modules:
            import_module(name)


_SIZE: Final = struct.Struct("<Q")


def _messages(pipe: BinaryIO) -> Iterator[object]:
    """Yield what a process says, until it ends or is silent for too long."""

    def read(count: int) -> bytes:
        got = b""
        while len(got) < count:
            ready, _, _ = select.select([pipe], [], [], SILENCE)
            piece = pipe.read(count - len(got)) if ready else b""
            if not piece:
                return b""
            got += piece
        return got

    while (head := read(_SIZE.size)) and (body := read(*_SIZE.unpack(head))):
        yield pickle.loads(body)


def _serve(
    target: Target,
    world: World,
    inputs: Iterator[Input],
    known: set[Call],
    heard: set[str],
    pipe: int,
) -> NoReturn:
    """Be the process that plays: tell each input before and after; never return."""
    with os.fdopen(pipe, "wb", buffering=0) as file:

        def say(message: object) -> None:
            body = pickle.dumps(message)
            file.write(_SIZE.pack(len(body)) + body)

        code = 0
        try:
            _limit()
            watch()
            for each in inputs:
                say(each)
                calls = Calls(known, is_idle=crc32(each.content) % _SEEN != 0)
                say(_played(target, world, each, calls, heard))
            say([name for name in sys.modules if name.startswith("shoritui.")])
        except BaseException as error:
            print("".join(format_exception(error)), file=sys.stderr, flush=True)
            code = 70
        finally:
            os._exit(code)


def _played(target: Target, world: World, given: Input, calls: Calls, heard: set[str]) -> Report:
    broken = details = ""
    try:
        with world.with_input(given.name, given.content) as path, calls:
            target.play(world, path)
    except Broken as error:
        broken, details = error.reason, error.details
    sentences = frozenset(world.heard) - heard
    heard |= sentences
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    return Report(given, broken, details, frozenset(calls.new), sentences, peak)


def _limit() -> None:
    """Limit the memory, and the size of what is written."""
    gc.collect()
    status = Path("/proc/self/status").read_text(encoding="ascii")
    used = int(status.partition("VmData:")[2].split()[0]) << 10
    resource.setrlimit(resource.RLIMIT_DATA, (used + MEMORY, used + MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _shm() -> str | None:
    """A folder in memory, where there is one: what is forced to a disk takes its time."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
