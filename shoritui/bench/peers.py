"""Other ways to write a reply, each in a process of its own: a C program, the high-level API,
llama.cpp's server; and our own engine without its worker.

Prompts go in as ids, times come out.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from shoritui.bench.lab import SAMPLING
from shoritui.benchmark import Unmeasurable
from shoritui.engine import ModelInfo
from shoritui.files import temporary_folder
from shoritui.host.process import environment, python_command

_SOURCE: Final = Path(__file__).with_name("decode_loop.c")
_SUFFIX: Final = ".dylib" if sys.platform == "darwin" else ".so"


@dataclass(frozen=True, slots=True)
class Peer:
    """A running program that writes replies and says how long that took."""

    process: Process
    name: str

    async def rate(self, prompt: Sequence[int], count: int) -> float:
        """Return tokens a second between the first and the last of `count` after the prompt."""
        assert self.process.stdin is not None
        with suppress(ConnectionError):
            self.process.stdin.write(f"{count} {' '.join(map(str, prompt))}\n".encode())
            await self.process.stdin.drain()
        return (count - 1) / float(await self.line())

    async def line(self) -> bytes:
        """Return the next line that it writes."""
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        if not line.strip():
            raise Unmeasurable(f"{self.name} ended (exit {await self.process.wait()}).")
        return line


@asynccontextmanager
async def decode_loop(info: ModelInfo, n_batch: int, n_ctx: int) -> AsyncGenerator[Peer, None]:
    """The C program, compiled now; without compiler or header the same loop in Python."""
    with temporary_folder() as folder:
        program = folder / "decode_loop"
        missing = await _compile(program)
        command = [str(program)] if not missing else _python("loop")
        name = f"a bare Python loop ({missing})" if missing else "a C program"
        async with _running(command, name, info, n_batch, n_ctx) as peer:
            yield peer


def high_level(info: ModelInfo, n_batch: int, n_ctx: int) -> AbstractAsyncContextManager[Peer]:
    """`Llama.create_completion(stream=True)`."""
    return _running(_python("high-level"), "Llama.create_completion", info, n_batch, n_ctx)


async def own_time(info: ModelInfo, n_batch: int, n_ctx: int) -> dict[str, float]:
    """The milliseconds that our engine takes for a token beside its evaluation, by preset."""
    async with _running(_python("own-time"), "this engine", info, n_batch, n_ctx) as peer:
        return msgspec.json.decode(await peer.line(), type=dict[str, float])


@asynccontextmanager
async def llama_server(info: ModelInfo, n_batch: int, n_ctx: int) -> AsyncGenerator[str, None]:
    """llama.cpp's server with this model; yields its address."""
    if importlib.util.find_spec("xllamacpp") is None:
        raise Unmeasurable("llama.cpp's server is not installed: `pip install xllamacpp`.")
    command = _python("llama-server")
    async with _running(command, "llama.cpp's server", info, n_batch, n_ctx) as peer:
        yield (await peer.line()).decode().strip()


@asynccontextmanager
async def _running(
    command: Sequence[str], name: str, info: ModelInfo, n_batch: int, n_ctx: int
) -> AsyncGenerator[Peer, None]:
    arguments: tuple[object, ...] = (
        info.path, n_ctx, n_batch, info.n_threads, info.n_gpu_layers,
        SAMPLING.penalty_window, SAMPLING.presence_penalty, SAMPLING.min_p, SAMPLING.seed,
    )  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *command,
        *map(str, arguments),
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        env=_environment(),
        start_new_session=True,  # the terminal's Ctrl+C is for the command
    )
    try:
        yield Peer(process, name)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _compile(program: Path) -> str:
    """Compile the C program; what is missing if that cannot be done, else nothing."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return "there is no C compiler"
    package = _package("llama_cpp")
    libraries = package / "lib"
    library = libraries / f"libllama{_SUFFIX}"
    folders = (package.parent / "include", package / "include", Path(sys.prefix) / "include")
    header = next((folder for folder in folders if (folder / "llama.h").is_file()), None)
    if header is None or not library.is_file():
        return "llama-cpp-python came without llama.h or its library"
    command = [
        compiler, "-O2", "-o", str(program), str(_SOURCE), f"-I{header}", str(library),
        f"-L{libraries}", f"-Wl,-rpath,{libraries}",
    ]  # fmt: skip
    if sys.platform != "darwin":
        command.append(f"-Wl,-rpath-link,{libraries}")
    process = await asyncio.create_subprocess_exec(*command, stdout=DEVNULL, stderr=DEVNULL)
    return "it did not compile" if await process.wait() else ""


def _package(name: str) -> Path:
    """Return where a package lies, without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise Unmeasurable(f"{name} is not installed.")
    return Path(spec.submodule_search_locations[0])


def _python(kind: str) -> list[str]:
    return [*python_command("shoritui.bench.peer_programs"), kind]


def _environment() -> dict[str, str]:
    """Put this package first, and the CUDA runtime where pip's nvidia wheels have it."""
    spec = importlib.util.find_spec("nvidia")
    places = spec.submodule_search_locations if spec else None
    cuda = [str(folder) for place in places or () for folder in Path(place).glob("*/lib")]
    folders = [*cuda, *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
    return environment() | {"LD_LIBRARY_PATH": os.pathsep.join(folders), "GGML_NO_BACKTRACE": "1"}
