"""Having one server write: the request, its stream, what the user should know of it.

It does not know what else is asked of the server, or when.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Final

from shoritui.engine.interface import Chance, Evaluation, Event, Noted, Phase
from shoritui.engine.remote import kinds
from shoritui.engine.remote.finding import Found
from shoritui.engine.remote.pieces import DONE, Piece, piece, pieces
from shoritui.engine.remote.scoring import scores
from shoritui.engine.remote.wire import Broken, Refused, TooLong, Wire
from shoritui.engine.remote.wishes import Wishes, wishes
from shoritui.engine.remote.writing import MARKS, Generation, Message
from shoritui.engine.sampling import Sampling
from shoritui.errors import UserError

COMPLETIONS: Final = "/v1/completions"
_LARGEST_SEED: Final = 2**31 - 1
_UNTOLD: Final = (
    "The server tells no probabilities of tokens, which choosing by the model needs: choose "
    "yourself, or use another server."
)

Emit = Callable[[Event], None]
Become = Callable[[Phase, float], None]


class Writer:
    """Asks a server that was found for text."""

    def __init__(self, wire: Wire, found: Found, become: Become) -> None:
        self.found = found
        self._wire = wire
        self._become = become
        self._told: tuple[object, ...] = ()
        self._biases: dict[str, int | None] = {}
        self._errands: set[asyncio.Task[None]] = set()

    async def write(self, call: Generation, emit: Emit) -> None:
        """Write a message, telling of it as it comes. Raises `UserError`, `Broken`."""
        await self._measure(call)
        asked = await self._wishes(call)
        for note in self._news(asked, call.likeliest):
            emit(Noted(note))
        self._become("evaluating", 0.0)
        try:
            await self._stream(call, self._body(call, asked), emit)
        except TooLong as error:
            self._learn(error)
            raise

    async def evaluate(self, texts: Sequence[str]) -> Evaluation:
        """Have the server evaluate a prompt, where it keeps what it evaluated."""
        kind = self.found.kind
        if kind.prefill_tokens is None:
            return Evaluation(0, 0, True)
        if self.found.counter.about(texts) + 1 >= self.found.info.n_ctx:
            return Evaluation(0, 0, True)  # It will be refused when it is needed.
        body = self._request("".join(texts), kind.prefill_tokens) | {"stream": True}
        message = Message()
        self._become("evaluating", 0.0)
        async with aclosing(self._wire.events(COMPLETIONS, body)) as events:
            async for data in events:
                self._show(message, pieces(data), lambda event: None)
        return message.evaluation()

    async def score(self, prompt: str, candidates: Sequence[str]) -> list[float]:
        """How likely each candidate is after the prompt. Raises `UserError`."""
        return await scores(self._likeliest, prompt, candidates)

    async def _likeliest(self, prompt: str) -> Sequence[Chance]:
        kind = self.found.kind
        body = self._request(prompt, 1) | wishes(kind, Sampling(seed=0), (), {}).fields
        body |= {"logprobs": kind.choices, "stream": False}
        try:
            said = piece(await self._wire.post(COMPLETIONS, body))
        except Refused as error:
            raise UserError(f"{_UNTOLD} ({error})") from None
        if said is None or not said.drawn:
            raise UserError(_UNTOLD)
        return said.drawn[0].likeliest

    async def settle(self) -> None:
        """Wait for what was sent beside everything else."""
        if self._errands:
            await asyncio.wait(self._errands)

    # The request

    async def _measure(self, call: Generation) -> None:
        """How long the prompt is, and what is left. Raises `UserError` if that is nothing."""
        if not call.prompt:
            raise UserError("There is nothing to write after: the prompt is empty.")
        counter, n_ctx = self.found.counter, self.found.info.n_ctx
        call.prompt_tokens = counter.beginning + sum(await counter.count(call.texts))
        call.room = n_ctx - call.prompt_tokens
        if call.room > 0:
            return
        if counter.is_exact and self.found.sure_of_context:
            raise UserError(
                f"The prompt has {call.prompt_tokens:,} tokens, the server's context holds "
                f"{n_ctx:,}: shorten the scene or the chat, or start the server with a larger "
                "context."
            )
        call.room = call.max_tokens  # The server knows better.

    async def _wishes(self, call: Generation) -> Wishes:
        bias = await self._bias(call.sampling) if self.found.counter.is_exact else None
        return wishes(self.found.kind, call.sampling, call.names, bias)

    async def _bias(self, sampling: Sampling) -> Mapping[int, float]:
        """The logit bias by token, of those texts that are one."""
        biases: dict[int, float] = {}
        for text, bias in sampling.logit_bias:
            for form in (text, f" {text}"):
                if form not in self._biases:
                    self._biases[form] = await self.found.counter.token(form)
                token = self._biases[form]
                if token is not None:
                    biases[token] = bias
        return biases

    def _body(self, call: Generation, asked: Wishes) -> dict[str, object]:
        kind = self.found.kind
        body = self._request(call.prompt, call.limit) | asked.fields
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        if kind.repeats and call.sampling.seed is None:
            body["seed"] = secrets.randbelow(_LARGEST_SEED)
        if call.likeliest and kind.probabilities:
            body["logprobs"] = min(call.likeliest, kind.probabilities)
        if kind is kinds.KOBOLDCPP:
            body["genkey"] = call.key
        return body

    def _request(self, prompt: str, max_tokens: int) -> dict[str, object]:
        model = {"model": self.found.model} if self.found.model else {}
        fixed = {"prompt": prompt, "max_tokens": max_tokens, "stop": list(MARKS)}
        return model | fixed | dict(self.found.kind.extra)

    # What the user should know

    def _news(self, asked: Wishes, likeliest: int) -> list[str]:
        """What has not been told yet, or was otherwise when it was told."""
        news, self.found.notes = self.found.notes, []
        told = (asked.ignored, asked.unsure, bool(likeliest))
        if told == self._told:
            return news
        self._told = told
        name = self.found.kind.name
        if asked.ignored:
            news.append(f"{name} does not do all of the sampler: without {listed(asked.ignored)}.")
        if asked.unsure:
            news.append(f"The server may not know {listed(asked.unsure)} of the sampler.")
        if likeliest and not self.found.kind.probabilities:
            news.append(f"{name} tells no probabilities while it writes.")
        return news

    # The stream

    async def _stream(self, call: Generation, body: Mapping[str, object], emit: Emit) -> None:
        message, kind = call.message, self.found.kind
        heard = done = False
        try:
            async with aclosing(self._wire.events(COMPLETIONS, body)) as events:
                async for data in events:
                    heard = True
                    self._show(message, pieces(data), emit)
                    done = DONE in data
                    if message.marked or done:
                        break
            if not message.ended and (not done or kind is kinds.LLAMA_CPP_PYTHON):
                raise self._wire.left() if done else self._wire.broken()
        except Broken:
            if message.ended:
                return  # Only figures are missing.
            if not heard:
                await self._ask_why(body)
            raise
        finally:
            if not message.ended and kind is kinds.KOBOLDCPP:
                self._send_abort(call.key)

    def _show(self, message: Message, new: Sequence[Piece], emit: Emit) -> None:
        for each in new:
            if each.progress is not None:
                self._become("evaluating", each.progress.done / each.progress.total)
                emit(each.progress)
        if text := message.take(new):
            self._become("generating", 0.0)
            emit(text)
        for each in new:
            if each.error and not message.ended:
                raise self._wire.failure(each.error)

    async def _ask_why(self, body: Mapping[str, object]) -> None:
        """A stream that broke before its first event told no reason; a plain answer may."""
        plain = {name: value for name, value in body.items() if name != "stream_options"}
        await self._wire.post(COMPLETIONS, plain | {"stream": False, "max_tokens": 1})

    def _learn(self, error: TooLong) -> None:
        """Take the context's size from the refusal, so that the next prompt fits."""
        info = self.found.info
        if error.n_ctx and error.n_ctx < info.n_ctx:
            self.found.info = replace(info, n_ctx=error.n_ctx)
            self.found.sure_of_context = True

    def _send_abort(self, key: str) -> None:
        """KoboldCpp notices a closed connection only between tokens: it is told."""
        errand = asyncio.create_task(self._abort(key))
        self._errands.add(errand)
        errand.add_done_callback(self._errands.discard)

    async def _abort(self, key: str) -> None:
        with suppress(UserError):  # Then it stops at its next token.
            await self._wire.post("/api/extra/abort", {"genkey": key})


def listed(names: Sequence[str]) -> str:
    """The names in a sentence."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
