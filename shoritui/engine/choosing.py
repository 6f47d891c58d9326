"""The steps of one message, and what of them lives on to the next.

It does not know where the scores come from.
"""

from __future__ import annotations

import math
import secrets
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from shoritui.engine.candidates import Candidates
from shoritui.engine.context import Context
from shoritui.engine.drawing import AdaptiveP, Drawing, Mirostat, Plain, State
from shoritui.engine.endings import WordsOnly
from shoritui.engine.history import Remembering, sequence
from shoritui.engine.model import Model
from shoritui.engine.protocol import Generate
from shoritui.engine.samplers import Chain, Sampler, dry, samplers
from shoritui.engine.sampling import Sampling
from shoritui.engine.steps import Step, chain
from shoritui.engine.tokens import Tokens
from shoritui.errors import UserError

_LARGEST_SEED: Final = 2**32 - 2
_MESSAGES_KEPT: Final = 64
"""So many messages can be written again from where their first try began."""
_LONGEST_BREAKER: Final = 40
"""Bytes of a breaker that DRY looks at."""
_WORDS_ONLY: Final = ("xtc", "typical_p")
"""The steps that may drop the likeliest tokens."""
_NATIVE: Final = (
    "penalties", "top_n_sigma", "top_k", "top_p", "min_p", "temperature", "dynamic_temperature",
)  # fmt: skip
"""The steps that llama.cpp does alone as they shall be done."""


class _Applied(Protocol):
    def apply(self, candidates: Candidates) -> None: ...


@dataclass(frozen=True, slots=True)
class _Bias:
    ids: NDArray[np.int32]
    by: NDArray[np.float32]


class Choice:
    """How one message's tokens are chosen; a context manager that frees what it holds."""

    def __init__(
        self,
        candidates: Candidates,
        bias: _Bias | None,
        steps: Sequence[_Applied],
        drawing: Drawing,
        remembering: Sequence[Remembering],
        on_end: Callable[[], None],
        native: Callable[[], Chain] | None = None,
    ) -> None:
        """`native` chains all steps, where llama.cpp can do them alone."""
        self._native, self._chain = native, native() if native is not None else None
        self._candidates, self._bias = candidates, bias
        self._steps, self._drawing = steps, drawing
        self._remembering = remembering
        self._on_end = on_end
        self._states: list[State] = [drawing.state]

    def token(self, logits: NDArray[np.float32], never: Collection[int] = ()) -> int:
        """The next token's id; never one of `never`, nor the one that opens a block."""
        candidates = self._candidates
        candidates.fill(logits)
        if self._bias is not None:
            candidates.raise_scores(self._bias.ids, self._bias.by)
        if never:
            candidates.forbid(never)
        for step in self._steps:
            step.apply(candidates)
        token = self._drawing.draw(candidates)
        self._states.append(self._drawing.state)
        for each in self._remembering:
            each.count((token,))
        return token

    def token_of(self, context: Context) -> int | None:
        """The next token's id, as `token` would choose it, by llama.cpp alone; None if it cannot.

        The context's logits are those to choose from.
        """
        if self._chain is None:
            return None
        token = self._chain.draw(context)
        self._states.append(())
        for each in self._remembering:
            if not each.has_counted(token):
                self._chain_anew()
        return token

    def back(self, ids: Sequence[int]) -> None:
        """Only `ids` have been drawn, the others are taken back."""
        self._drawing.state = self._states[len(ids)]
        del self._states[len(ids) + 1 :]
        for each in self._remembering:
            each.recount(ids)
        self._chain_anew()

    def _chain_anew(self) -> None:
        """A sampler of the chain was replaced."""
        if self._chain is not None and self._native is not None:
            self._chain.free()
            self._chain = self._native()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._chain is not None:
            self._chain.free()
        self._on_end()


class Chooser:
    """Makes the steps of each message; keeps Mirostat's mu from message to message."""

    def __init__(self, model: Model, tokens: Tokens) -> None:
        self._model, self._tokens = model, tokens
        self._ends = model.ends | ({model.close} if model.close is not None else set())
        self._never = () if model.open is None else (model.open,)
        self._candidates = Candidates(model.n_vocab, self._never)
        self._counted: dict[str, tuple[Hashable, Sampler]] = {}
        self._breaking: tuple[Hashable, Sampler] | None = None
        self._mirostat = _MirostatMemory()

    def begin(self, request: Generate) -> Choice:
        """The steps of the message that is asked for; a bias on no token: `UserError`."""
        sampling = request.sampling
        bias = self._bias(sampling)
        seed = secrets.randbelow(_LARGEST_SEED) if sampling.seed is None else sampling.seed
        *steps, last = chain(sampling, seed)
        applied: list[_Applied] = []
        owned: list[Sampler | Remembering] = []
        for step in steps:
            made = self._made(step, request)
            owned += made
            if step.name in _WORDS_ONLY:
                applied += [*made[:-1], WordsOnly(made[-1], self._ends)]
            else:
                applied += made
        remembering = [each for each in owned if isinstance(each, Remembering)]
        if last.name in ("dist", "greedy"):
            (sampler,) = samplers(last, self._model.n_vocab)
            owned.append(sampler)
            drawing: Drawing = Plain(sampler)
        else:
            drawing = self._steered(last, request)

        biases = dict(zip(bias.ids.tolist(), bias.by.tolist(), strict=True)) if bias else {}
        biases |= dict.fromkeys(self._never, -math.inf)

        def native() -> Chain:
            handles = [each.sampler if isinstance(each, Remembering) else each for each in owned]
            return Chain(handles, biases, self._model.n_vocab)

        is_native = isinstance(drawing, Plain) and all(step.name in _NATIVE for step in steps)

        def end() -> None:
            if isinstance(drawing, Mirostat) and sampling.seed is None and not request.idle:
                self._mirostat.ended(drawing.state)
            for each in owned:
                each.free()

        made_native = native if is_native else None
        return Choice(self._candidates, bias, applied, drawing, remembering, end, made_native)

    def _made(self, step: Step, request: Generate) -> list[Sampler | Remembering]:
        if step.name == "penalties":
            return [self._penalties(step, request)]
        if step.name == "dry":
            return [self._dry(step, request)]
        return list(samplers(step, self._model.n_vocab))

    def _penalties(self, step: Step, request: Generate) -> Remembering:
        uncounted = self._model.uncounted | self._ends
        window = request.sampling.penalty_window
        seen = self._tokens.bodies(request.penalized, window, uncounted)

        def make() -> Sampler:
            (sampler,) = samplers(step, self._model.n_vocab)
            return sampler

        return Remembering(self._having_counted(step, seen, make), seen, uncounted)

    def _dry(self, step: Step, request: Generate) -> Remembering:
        model, sampling = self._model, request.sampling
        border = [model.close] if model.close is not None else model.tokenize("\n")
        bodies = request.penalized
        goes_on = bool(bodies) and request.document[-1].text.endswith(bodies[-1])
        seen = sequence(self._tokens, bodies, sampling.dry_window, border, goes_on=goes_on)
        breakers = _breakers(sampling, request.names)
        key = (step, breakers)
        if self._breaking is None or self._breaking[0] != key:
            if self._breaking is not None:
                self._breaking[1].free()
            self._breaking = key, dry(model.vocab, step.values, breakers)
        make = self._breaking[1].clone
        before = self._having_counted(step, seen, make, breakers)
        return Remembering(before, seen, self._ends)

    def _having_counted(
        self, step: Step, seen: Sequence[int], make: Callable[[], Sampler], more: Hashable = ()
    ) -> Sampler:
        """A sampler that has counted these; that of the message before, if it has."""
        key = (step, more, tuple(seen))
        if step.name in self._counted:
            known_key, known = self._counted[step.name]
            if known_key == key:
                return known
            known.free()
        new = make()
        new.count(seen)
        self._counted[step.name] = key, new
        return new

    def _steered(self, step: Step, request: Generate) -> Drawing:
        seed, *values = step.values
        if step.name == "adaptive_p":
            target, decay = values
            return AdaptiveP(int(seed), target, decay, self._ends)
        tau, eta = values
        mirostat = Mirostat(int(seed), tau, eta)
        if request.sampling.seed is None:
            begin = self._mirostat.seen if request.idle else self._mirostat.begun
            mirostat.state = begin((tau, eta), _place(request), else_from=mirostat.state)
        return mirostat

    def _bias(self, sampling: Sampling) -> _Bias | None:
        if not sampling.logit_bias:
            return None
        added: dict[int, float] = {}
        for text, by in sampling.logit_bias:
            for token in self._single_tokens(text):
                added[token] = added.get(token, 0.0) + by
        return _Bias(np.array(list(added), np.int32), np.array(list(added.values()), np.float32))

    def _single_tokens(self, text: str) -> set[int]:
        """The token that is this text, and the one that has a space before it."""
        model = self._model
        spelled = [model.tokenize(spelling) for spelling in {text, " " + text.removeprefix(" ")}]
        single = {ids[0] for ids in spelled if len(ids) == 1}
        if not single:
            raise UserError(
                f"logit_bias has {text!r}, which is {len(model.tokenize(text))} tokens of this "
                "model: only a text of one token has a score to change."
            )
        return single


class _MirostatMemory:
    """Mirostat's mu: where it is now, and where it was when each message was begun."""

    def __init__(self) -> None:
        self._values: Hashable = None
        self._now: State | None = None
        self._began: OrderedDict[Hashable, State] = OrderedDict()

    def begun(self, values: Hashable, place: Hashable, *, else_from: State) -> State:
        """The mu to begin a message with: again the same if it is written once more."""
        if values != self._values:
            self._values, self._now = values, else_from
            self._began.clear()
        assert self._now is not None
        state = self._began.setdefault(place, self._now)
        self._began.move_to_end(place)
        if len(self._began) > _MESSAGES_KEPT:
            self._began.popitem(last=False)
        return state

    def seen(self, values: Hashable, place: Hashable, *, else_from: State) -> State:
        """The same for a message that may never be read: nothing of it is remembered."""
        if values != self._values or self._now is None:
            return else_from
        return self._began.get(place, self._now)

    def ended(self, state: State) -> None:
        """The mu that the message has left behind."""
        self._now = state


def _place(request: Generate) -> Hashable:
    """What tells a message from others, also after old ones have been dropped."""
    texts = [segment.text for segment in request.document[-3:]]
    return (*texts, *request.penalized[-2:])


def _breakers(sampling: Sampling, names: Sequence[str]) -> tuple[str, ...]:
    """All texts at which DRY's sequences end, each as far as DRY looks."""
    texts = ("▀", "▄", *sampling.dry_breakers, *names)
    cut = (text.encode()[:_LONGEST_BREAKER].decode("utf-8", "ignore") for text in texts)
    return tuple(dict.fromkeys(filter(None, cut)))
