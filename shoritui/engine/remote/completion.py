"""Completions: the request for a message, its stream, its end, what the user should know of it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from math import inf
from time import perf_counter
from typing import Final

from shoritui.engine.interface import (
    Evaluated,
    Evaluation,
    Event,
    Noted,
    Outcome,
    Phase,
    SampledToken,
    Stop,
    Text,
    TokenLogprob,
)
from shoritui.engine.remote import profiles
from shoritui.engine.remote.detect import DetectedServer
from shoritui.engine.remote.http import LARGEST, Broken, HttpClient, Refused, TooLong
from shoritui.engine.remote.logprobs import scores
from shoritui.engine.remote.response import DONE, Chunk, parse, parse_events
from shoritui.engine.remote.sampling_params import SamplingParams, sampling_params
from shoritui.engine.sampling_params import MARKS, Sampling
from shoritui.errors import UserError

COMPLETIONS: Final = "/v1/completions"
PROMPT_SECONDS: Final = 1800.0
"""How long a server may read a prompt without a word of how far it is; a CPU reads slowly."""
SILENCE_SECONDS: Final = 300.0
"""How long it may write on one token."""
FIGURES_SECONDS: Final = 2.0
"""How long it may take to tell the figures of a reply that is whole."""
_BYTES_A_TOKEN: Final = 64
"""The most that a reply's text may have for each of its tokens; most languages need 2 to 6."""
_SENT_A_TOKEN: Final = 1 << 14
"""The most that may come for each: with its event, and with the likeliest tokens beside it."""
_LARGEST_SEED: Final = 2**31 - 1
_UNTOLD: Final = (
    "The server gives no probabilities of tokens, so the model cannot choose here: choose "
    "yourself, or use another server."
)
_WITHOUT: Final = "the text is whole, but figures or probabilities beside it are left out"

Emit = Callable[[Event], None]
Become = Callable[[Phase, float], None]


@dataclass(slots=True)
class Completion:
    """A call for a message: what was asked, and what has become of it."""

    texts: Sequence[str]
    sampling: Sampling
    max_tokens: int
    names: Sequence[str]
    top_logprobs: int
    message: StreamedMessage = field(default_factory=lambda: StreamedMessage())
    key: str = field(default_factory=lambda: secrets.token_hex(8))
    """Names the request to servers that are told which one to end."""
    prompt_tokens: int = 0
    room: int = 0

    @property
    def prompt(self) -> str:
        """What the model reads."""
        return "".join(self.texts)

    @property
    def limit(self) -> int:
        """The most tokens to write."""
        return min(self.max_tokens, self.room)

    def outcome(self, stop: Stop | None = None) -> Outcome:
        """How it ended: as `stop` says, else as the server said."""
        return self.message.outcome(stop, self.prompt_tokens, self.room, self.max_tokens)


class CompletionClient:
    """Asks a server that was found for text."""

    def __init__(self, http: HttpClient, found: DetectedServer, become: Become) -> None:
        self.found = found
        self._http = http
        self._become = become
        self._told: tuple[object, ...] = ()
        self._biases: dict[str, int | None] = {}
        self._doubted = False
        """Whether a figure could not be read; it is told once."""

    async def write(self, call: Completion, emit: Emit) -> None:
        """Write a message, telling of it as it comes. Raises `UserError`, `Broken`."""
        await self._measure(call)
        asked = await self._params(call)
        for note in self._news(asked, call.top_logprobs):
            emit(Noted(note))
        self._become("evaluating", 0.0)
        call.message.limit = call.limit
        try:
            await self._stream(call, self._body(call, asked), emit)
        except TooLong as error:
            self._learn(error)
            raise
        for note in self._news(asked, call.top_logprobs):
            emit(Noted(note))

    async def evaluate(self, texts: Sequence[str]) -> Evaluation:
        """Have the server evaluate a prompt, where it keeps what it evaluated."""
        profile = self.found.profile
        if profile.prefill_tokens is None:
            return Evaluation(0, 0, True)
        if self.found.tokenizer.about(texts) + 1 >= self.found.info.n_ctx:
            return Evaluation(0, 0, True)  # It will be refused when it is needed.
        body = self._request("".join(texts), profile.prefill_tokens) | {"stream": True}
        message = StreamedMessage(limit=1)
        self._become("evaluating", 0.0)
        await self._follow(body, message, lambda event: None)
        return message.evaluation()

    async def score(self, prompt: str, candidates: Sequence[str]) -> list[float]:
        """How likely each candidate is after the prompt. Raises `UserError`."""
        return await scores(self._likeliest, prompt, candidates)

    async def _likeliest(self, prompt: str) -> Sequence[TokenLogprob]:
        profile = self.found.profile
        body = self._request(prompt, 1) | sampling_params(profile, Sampling(seed=0), (), {}).fields
        body |= {"logprobs": profile.choices, "stream": False}
        try:
            said = parse(await self._http.post(COMPLETIONS, body))
        except Refused as error:
            raise UserError(f"{_UNTOLD} ({error})") from None
        if what := said.misfit or said.doubt:
            raise self._http.misfit(COMPLETIONS, what)
        if not said.logprobs:
            raise UserError(_UNTOLD)
        return said.logprobs[0].top

    # The request

    async def _measure(self, call: Completion) -> None:
        """How long the prompt is, and what is left. Raises `UserError` if that is nothing."""
        if not call.prompt:
            raise UserError("There is nothing to write after: the prompt is empty.")
        tokenizer, n_ctx = self.found.tokenizer, self.found.info.n_ctx
        call.prompt_tokens = tokenizer.beginning + sum(await tokenizer.count(call.texts))
        call.room = n_ctx - call.prompt_tokens
        if call.room > 0:
            return
        if tokenizer.is_exact and self.found.sure_of_context:
            raise UserError(
                f"The prompt has {call.prompt_tokens:,} tokens, the server's context holds "
                f"{n_ctx:,}: shorten the scene or the chat, or start the server with a larger "
                "context."
            )
        call.room = call.max_tokens  # The server knows better.

    async def _params(self, call: Completion) -> SamplingParams:
        bias = await self._bias(call.sampling) if self.found.tokenizer.is_exact else None
        return sampling_params(self.found.profile, call.sampling, call.names, bias)

    async def _bias(self, sampling: Sampling) -> Mapping[int, float]:
        """The logit bias by token, of those texts that are one."""
        biases: dict[int, float] = {}
        for text, bias in sampling.logit_bias:
            for form in (text, f" {text}"):
                if form not in self._biases:
                    self._biases[form] = await self.found.tokenizer.token(form)
                token = self._biases[form]
                if token is not None:
                    biases[token] = bias
        return biases

    def _body(self, call: Completion, asked: SamplingParams) -> dict[str, object]:
        profile = self.found.profile
        body = self._request(call.prompt, call.limit) | asked.fields
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        if profile.repeats and call.sampling.seed is None:
            body["seed"] = secrets.randbelow(_LARGEST_SEED)
        if call.top_logprobs and profile.probabilities:
            body["logprobs"] = min(call.top_logprobs, profile.probabilities)
        if profile is profiles.KOBOLDCPP:
            body["genkey"] = call.key
        return body

    def _request(self, prompt: str, max_tokens: int) -> dict[str, object]:
        model = {"model": self.found.model} if self.found.model else {}
        fixed = {"prompt": prompt, "max_tokens": max_tokens, "stop": list(MARKS)}
        return model | fixed | dict(self.found.profile.extra)

    # What the user should know

    def _news(self, asked: SamplingParams, top_logprobs: int) -> list[str]:
        """What has not been told yet, or was otherwise when it was told."""
        news, self.found.notes = self.found.notes, []
        told = (asked.ignored, asked.unsure, bool(top_logprobs))
        if told == self._told:
            return news
        self._told = told
        name = self.found.profile.name
        if asked.ignored:
            news.append(f"{name} samples without {listed(asked.ignored)}.")
        if asked.unsure:
            news.append(f"The server may not know the sampler values {listed(asked.unsure)}.")
        if top_logprobs and not self.found.profile.probabilities:
            news.append(f"{name} gives no probabilities while it writes.")
        return news

    # The stream

    async def _stream(self, call: Completion, body: Mapping[str, object], emit: Emit) -> None:
        message, profile = call.message, self.found.profile
        try:
            done = await self._follow(body, message, emit)
            if not message.ended and (not done or profile is profiles.LLAMA_CPP_PYTHON):
                raise self._http.left() if done else self._http.broken()
        except Broken:
            if message.ended:
                return  # Only figures are missing.
            if not message.heard:
                await self._ask_why(body)
            raise
        finally:
            if not message.ended and profile is profiles.KOBOLDCPP:
                # It notices a closed connection only between tokens.
                self._http.send("/api/extra/abort", {"genkey": call.key})

    async def _follow(
        self, body: Mapping[str, object], message: StreamedMessage, emit: Emit
    ) -> bool:
        """Take what comes until the message is whole; return whether the server said "done".

        A server that says much, but nothing new, is as silent as one that says nothing.
        """
        loop, seconds, done = asyncio.get_running_loop(), PROMPT_SECONDS, False
        most = LARGEST + message.limit * _SENT_A_TOKEN
        try:
            async with (
                asyncio.timeout(seconds) as clock,
                aclosing(self._http.events(COMPLETIONS, body, most)) as events,
            ):
                async for data in events:
                    was_whole = message.ended
                    if self._show(message, parse_events(data), emit) and not was_whole:
                        seconds = FIGURES_SECONDS if message.ended else message.patience
                        clock.reschedule(loop.time() + seconds)
                    done = DONE in data
                    if message.cut or done:
                        break
        except TimeoutError:
            if not message.ended:
                raise self._http.silent(seconds) from None
        return done

    def _show(self, message: StreamedMessage, new: Sequence[Chunk], emit: Emit) -> bool:
        """Tell what is new of the message; return whether anything is."""
        failed = next((each for each in new if each.error or each.misfit), None)
        if failed is not None:
            new = new[: new.index(failed)]
        was_whole, text = message.ended, message.take(new)
        if progress := message.advance(new):
            self._become("evaluating", progress.done / progress.total)
            emit(progress)
        if text:
            self._become("generating", 0.0)
            emit(text)
        if failed is not None and not message.ended:
            if failed.error:
                raise self._http.failure(failed.error)
            raise self._http.misfit(COMPLETIONS, failed.misfit)
        for each in new:
            if each.doubt and not self._doubted:
                self._doubted = True
                note = self._http.misfit(COMPLETIONS, each.doubt, _WITHOUT)
                self.found.notes.append(str(note))
        return bool(progress or text or message.ended != was_whole)

    async def _ask_why(self, body: Mapping[str, object]) -> None:
        """A stream that broke before its first event told no reason; a plain answer may."""
        plain = {name: value for name, value in body.items() if name != "stream_options"}
        await self._http.post(COMPLETIONS, plain | {"stream": False, "max_tokens": 1})

    def _learn(self, error: TooLong) -> None:
        """Take the context's size from the refusal, so that the next prompt fits."""
        info = self.found.info
        if error.n_ctx and error.n_ctx < info.n_ctx:
            self.found.info = replace(info, n_ctx=error.n_ctx)
            self.found.sure_of_context = True


class StreamedMessage:
    """A message while its chunks arrive: whatever the server sends, no more than was asked for."""

    def __init__(self, limit: int = 0) -> None:
        self.limit = limit
        """The most tokens that are taken."""
        self.heard = False
        """Whether any event came."""
        self._done = 0
        self._size = 0
        self._started = self._first = self._last = perf_counter()
        self._parts: list[str] = []
        self._tokens = 0
        self._finish = ""
        self._prompt: int | None = None
        self._reused: int | None = None
        self._generated: int | None = None
        self._counts = False
        """Whether the server counts them while it writes."""
        self.cut = False
        """Whether what follows is not wanted: a block mark came, or more than was asked for."""
        self._marked = False

    @property
    def ended(self) -> bool:
        """Whether its text is whole; figures may still follow."""
        return self.cut or bool(self._finish)

    @property
    def patience(self) -> float:
        """How many seconds may pass before more of it comes."""
        return SILENCE_SECONDS if self._parts else PROMPT_SECONDS

    def advance(self, chunks: Sequence[Chunk]) -> Evaluated | None:
        """How far the server is with the prompt, where it got further."""
        told = [each.progress for each in chunks if each.progress is not None]
        if not told or told[-1].done <= self._done:
            return None
        self._done = told[-1].done
        return told[-1]

    def take(self, chunks: Sequence[Chunk]) -> Text | None:
        """The new text of chunks that came together."""
        self.heard = True
        text, tokens, logprobs = "", 0, list[SampledToken]()
        for chunk in chunks:
            wanted = "" if self.ended else self._within(chunk.text, tokens)
            if piece := self._until_mark(wanted):
                text += piece
                tokens += max(1, len(chunk.logprobs))
                logprobs += chunk.logprobs
            self._note(chunk)
        if not text:
            return None
        self._last = perf_counter()
        if not self._parts:
            self._first = self._last
        self._parts.append(text)
        self._tokens += tokens
        return Text(text, tokens, tuple(logprobs))

    def outcome(self, stop: Stop | None, prompt: int, room: int, asked: int) -> Outcome:
        """Return how it ended: as `stop` says, else as the server said.

        `prompt` counts for servers that tell none; `room` is what the context had left.
        """
        prompt = prompt if self._prompt is None else self._prompt
        new, seconds = self._new_tokens(), self._last - self._first
        return Outcome(
            stop=stop or self._stop(new, min(room, asked), asked),
            text="".join(self._parts),
            prompt_tokens=prompt,
            reused_tokens=min(self._reused or 0, prompt),
            evaluated_tokens=0 if self._reused is None else max(0, prompt - self._reused),
            generated_tokens=new,
            first_token_ms=1000 * (self._first - self._started) if self._parts else 0.0,
            tokens_per_second=(new - 1) / seconds if new > 1 and seconds else 0.0,
        )

    def evaluation(self) -> Evaluation:
        """What it took to have the prompt evaluated, as far as the server told."""
        prompt, reused = self._prompt or 0, self._reused or 0
        evaluated = 0 if self._reused is None else max(0, prompt - reused)
        return Evaluation(min(reused, prompt), evaluated, True)

    def _within(self, text: str, new: int) -> str:
        """The text of a chunk as far as the limit allows.

        Where the server does not count while it writes, every chunk is a token at least.
        """
        data = text.encode()
        left = _BYTES_A_TOKEN * (self.limit + 1) - self._size
        written = self._generated if self._counts and self._generated else self._tokens + new
        if written >= self.limit:
            left = 0
        if len(data) > left:
            self.cut, self._finish = True, "length"
        self._size += len(data)
        return data[:left].decode("utf-8", "ignore")

    def _until_mark(self, text: str) -> str:
        for mark in MARKS:
            before, found, _ = text.partition(mark)
            if found:
                text, self.cut, self._marked = before, True, True
        return text

    def _note(self, chunk: Chunk) -> None:
        self._finish = self._finish or chunk.finish
        self._counts |= (chunk.generated_tokens or 0) > (self._generated or inf)
        for name in ("prompt", "reused", "generated"):
            value = getattr(chunk, f"{name}_tokens")
            if value is not None:
                setattr(self, f"_{name}", value)

    def _new_tokens(self) -> int:
        """What the server counted, less the token at which it stopped; else what came."""
        if not self._generated or not self._parts:
            return self._tokens
        return min(max(1, self._generated - (self._finish == "stop")), self.limit)

    def _stop(self, new: int, limit: int, asked: int) -> Stop:
        if self._marked or self._finish != "length":
            return "block_end"
        return "context_full" if limit < asked and new + 1 >= limit else "token_limit"


def listed(names: Sequence[str]) -> str:
    """The names in a sentence."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
