"""The worker's inside: requests to replies, one after the other; a cancel overtakes them."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import BinaryIO, Final

from shoritui.engine.interface import EngineDescription, Event, ModelInfo
from shoritui.engine.llama import library
from shoritui.engine.llama.context import AbortFlag
from shoritui.engine.llama.probe import probe
from shoritui.engine.llama.threads import default_threads
from shoritui.engine.worker import protocol
from shoritui.engine.worker.protocol import Reply, Request
from shoritui.engine.worker.runtime import Runtime
from shoritui.errors import UserError
from shoritui.host.machine import machine_memory, physical_cores, usable_cores

_PROGRESS_STEP: Final = 0.01


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer until the input ends."""
    errors: deque[str] = deque(maxlen=20)

    def log(level: int, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
        if level == library.ERROR_LEVEL:
            errors.append(text.strip())

    library.self_test()
    library.start(log)
    writing = threading.Lock()

    def send(reply: Reply) -> None:
        with writing:
            _write(replies, reply)

    inbox = Inbox(requests, send)
    server = WorkerServer(send, inbox, errors)
    while True:
        request = inbox.next(timeout=server.rest())
        if request is not None:
            server.answer(request)


class Inbox:
    """Requests in their order, read by a thread of its own: it hears cancels and answers pings."""

    def __init__(self, stream: BinaryIO, send: Callable[[Reply], None]) -> None:
        self.abort: Final = AbortFlag()
        self._stream = stream
        self._send = send
        self._waiting: SimpleQueue[Request] = SimpleQueue()
        self._lock = threading.Lock()
        self._current = -1
        self._cancelled: set[int] = set()
        threading.Thread(target=self._read, daemon=True).start()

    def next(self, timeout: float | None = None) -> Request | None:
        """Wait for the next request, None after `timeout` seconds.

        The abort flag is up if it was cancelled before its turn.
        """
        try:
            request = self._waiting.get(block=timeout != 0, timeout=timeout or None)
        except Empty:
            return None
        with self._lock:
            self._current = request.id
            self._cancelled = {id_ for id_ in self._cancelled if id_ >= request.id}
            self.abort.set(request.id in self._cancelled)
        return request

    def is_waiting(self) -> bool:
        """Whether another request waits for its turn."""
        return not self._waiting.empty()

    def _read(self) -> None:
        while (body := protocol.read_body(self._stream)) is not None:
            request = protocol.request(body)
            if isinstance(request, protocol.Cancel):
                self._cancel(request.id)
            elif isinstance(request, protocol.Ping):
                self._send(protocol.Alive(request.id))
            else:
                self._waiting.put(request)
        os._exit(0)  # the app is gone; the other thread may be deep inside llama.cpp

    def _cancel(self, id_: int) -> None:
        with self._lock:
            self._cancelled.add(id_)
            if id_ == self._current:
                self.abort.set(True)


class WorkerServer:
    """Answers each request; holds the model that is open."""

    def __init__(self, send: Callable[[Reply], None], inbox: Inbox, errors: deque[str]) -> None:
        self._send = send
        self._inbox = inbox
        self._errors = errors
        self._runtime: Runtime | None = None

    def answer(self, request: Request) -> None:
        """Send all replies to one request."""
        try:
            self._send(protocol.answer(request, self._value(request)))
        except UserError as error:
            self._send(protocol.Failed(request.id, str(error)))

    def _value(self, request: Request) -> object:
        """What a request asks for."""

        def emit(event: Event) -> None:
            self._send(protocol.Happened(request.id, event))

        give_way = self._inbox.is_waiting
        match request:
            case protocol.Open():
                return self._open(request)
            case protocol.Generate(idle=idle):
                return self._model.generate(request, emit, give_way if idle else None)
            case protocol.Prefill(document=document, idle=idle):
                return self._model.prefill(document, emit, give_way if idle else None)
            case protocol.SetAdapters(adapters=adapters):
                return self._model.adapt(adapters)
            case protocol.Score(document=document, candidates=candidates):
                return self._model.score(document, candidates)
            case protocol.ReadLogprobs(document=document):
                return self._model.logprobs(document)
            case protocol.PlanPrompt(document=document):
                return self._model.plan(document)
            case protocol.ReadAlternatives(document=document, text=text, count=count):
                return self._model.alternatives(document, text, count)
            case protocol.Tokenize(texts=texts, document=document):
                return self._model.tokenize(texts, document=document)
            case protocol.Detokenize(ids=ids):
                return self._model.detokenize(ids)
            case protocol.ReadStats():
                return self._model.stats
            case protocol.Inspect(path=path, options=options):
                try:
                    return probe(path, options).info
                except ValueError:
                    raise self._unreadable(request) from None
            case protocol.Describe():
                return _description()
            case protocol.Cancel() | protocol.Ping():
                raise AssertionError("the inbox keeps them")

    def rest(self) -> float | None:
        """Do one small piece of work while no request waits; when to ask again, None for never."""
        return self._runtime.rest() if self._runtime is not None else None

    @property
    def _model(self) -> Runtime:
        if self._runtime is None:
            raise UserError("No model is open.")
        return self._runtime

    def _open(self, request: protocol.Open) -> ModelInfo:
        sent = -1.0

        def report(share: float) -> None:
            nonlocal sent
            if share - sent >= _PROGRESS_STEP or share >= 1:
                self._send(protocol.Loading(request.id, share))
                sent = share

        try:
            self._runtime = Runtime(request.path, request.options, self._inbox.abort, report)
        except ValueError:
            raise self._unreadable(request) from None
        return self._runtime.info

    def _unreadable(self, request: protocol.Open | protocol.Inspect) -> UserError:
        mark = "error loading model: "
        reasons = [line.partition(mark)[2] for line in self._errors if mark in line]
        reason = reasons[-1] if reasons else "llama.cpp does not say why"
        if "architecture" in reason:
            advice = "it may need a newer llama-cpp-python."
        else:
            advice = "the file may be damaged or incomplete, fetch it again."
        return UserError(f"{request.path} cannot be loaded ({reason}): {advice}")


def _description() -> EngineDescription:
    gpus = library.gpus()
    total, available = machine_memory()
    return EngineDescription(
        package=library.package_version(),
        llama_cpp=library.library_version(),
        gpus=tuple(gpu.name for gpu in gpus),
        system=library.system_info(),
        n_threads=default_threads(),
        physical_cores=physical_cores(),
        usable_cores=usable_cores(),
        memory_total=total,
        memory_available=available,
        gpu_memory_free=tuple(gpu.free for gpu in gpus),
    )


def _write(stream: BinaryIO, reply: Reply) -> None:
    rest = memoryview(protocol.frame(reply))
    while rest:
        rest = rest[stream.write(rest) :]
