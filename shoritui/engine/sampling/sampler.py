"""The sampler of a model: a chain for each message, and what lives on from one to the next.

What counts tokens (penalties, DRY) keeps what it has counted, Mirostat its mu. `chain.py` says
which steps a chain has.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Collection, Container, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shoritui.engine.cache.token_cache import TokenCache
from shoritui.engine.length_guide import LengthGuide
from shoritui.engine.llama.model import Model
from shoritui.engine.sampling.candidates import Candidates, Counted
from shoritui.engine.sampling.chain import (
    LARGEST_SEED,
    WORDS_ONLY,
    Step,
    build,
    build_dry,
    first_cut,
    steps,
)
from shoritui.engine.sampling.llama_samplers import CountingSampler, LlamaSampler
from shoritui.engine.sampling.python_samplers import (
    AdaptiveP,
    AnySampler,
    LlamaDraw,
    Mirostat,
    State,
    TokenDraw,
    WordsOnly,
)
from shoritui.engine.sampling_params import Sampling
from shoritui.errors import UserError

_COUNTING: Final = ("penalties", "dry")
"""The steps that count tokens, and change the scores of counted ones alone."""
_MESSAGES_KEPT: Final = 64
"""So many messages can be written again from where their first try began."""
_LONGEST_BREAKER: Final = 40
"""Bytes of a breaker that DRY looks at."""


@dataclass(frozen=True, slots=True)
class _Bias:
    ids: NDArray[np.intp]
    by: NDArray[np.float32]


@dataclass(slots=True)
class _End:
    """A message's end, as the length guide leads it."""

    ids: NDArray[np.intp]
    guide: LengthGuide
    is_begun: bool = False
    """Whether the token before was the first of an end of several."""

    def change(self, candidates: Candidates, drawn: int) -> None:
        if not self.is_begun:
            before = candidates.scores[self.ids]
            candidates.put(self.ids, before + np.float32(self.guide.bias(drawn)), before)


@dataclass(frozen=True, slots=True)
class ChainRequest:
    """A message whose tokens shall be chosen."""

    sampling: Sampling
    prompt: Sequence[str]
    """The texts that it is written after; the last one is open."""
    penalized: Sequence[str] = ()
    """The message bodies, newest last, that penalties and DRY look back on."""
    names: Sequence[str] = ()
    """The cast's names, at which DRY's sequences end."""
    idle: bool = False
    """Whether it may never be read: then Mirostat's mu stays as it is."""
    guide: LengthGuide | None = None
    """What its end is made likelier or less likely by."""


class SamplerChain:
    """How one message's tokens are chosen."""

    def __init__(
        self,
        candidates: Candidates,
        bias: _Bias | None,
        early: Sequence[CountingSampler],
        cut: Mapping[str, Any],
        steps: Sequence[AnySampler],
        draw: TokenDraw,
        end: _End | None = None,
    ) -> None:
        """`early` come before anything else, and before what `cut` leaves out."""
        self._candidates, self._bias, self._end = candidates, bias, end
        self._cut, self._steps, self._draw = cut, steps, draw
        self._early = [each.apply_to for each in early]
        self._counted = Counted({token for each in early for token in each.seen})
        self._counting = [each for each in (*early, *steps) if isinstance(each, CountingSampler)]
        self._states: list[State] = [draw.state]

    def token(self, logits: NDArray[np.float32], never: Collection[int] = ()) -> int:
        """The next token's id; never one of `never`, nor the one that opens a block."""
        candidates = self._candidates
        candidates.take(logits)
        try:
            if self._bias is not None:
                ids, by = self._bias.ids, self._bias.by
                before = logits[ids]
                candidates.put(ids, before + by, before)
            if self._end is not None:
                self._end.change(candidates, len(self._states) - 1)
            if never:
                ids = np.fromiter(never, np.intp)
                candidates.put(ids, -np.inf, logits[ids])
            if self._early:
                self._counted.change(candidates, self._early)
            candidates.gather(**self._cut)
        finally:
            candidates.give_back()
        for step in self._steps:
            step.apply(candidates)
        token = self._draw.draw(candidates)
        self._states.append(self._draw.state)
        if self._end is not None:
            self._end.is_begun = token in self._end.ids
        for each in self._counting:
            each.count(token)
        self._counted.add(token)
        return token

    def back(self, ids: Sequence[int]) -> None:
        """Only `ids` have been drawn, the others are taken back."""
        if self._end is not None:
            self._end.is_begun = bool(ids) and ids[-1] in self._end.ids
        self._draw.state = self._states[len(ids)]
        del self._states[len(ids) + 1 :]
        for each in self._counting:
            each.recount(ids)


class Sampler:
    """Builds the chain of each message; keeps Mirostat's mu from message to message."""

    def __init__(self, model: Model, tokens: TokenCache) -> None:
        self._model, self._tokens = model, tokens
        self._ends = model.ends | ({model.end} if model.end is not None else set())
        self._never = () if model.open is None else (model.open,)
        self._candidates = Candidates(model.n_vocab, self._never)
        self._counted: dict[str, tuple[Hashable, LlamaSampler]] = {}
        self._breaking: tuple[Hashable, LlamaSampler] | None = None
        self._mirostat = _MirostatMemory()

    @contextmanager
    def begin(self, request: ChainRequest) -> Iterator[SamplerChain]:
        """Yield the chain of a message, and free it; a bias on no token: `UserError`."""
        sampling = request.sampling
        bias = self._bias(sampling)
        seed = secrets.randbelow(LARGEST_SEED) if sampling.seed is None else sampling.seed
        *before, last = steps(sampling, seed)
        counting = [step.name in _COUNTING for step in before]
        first = counting.index(False) if False in counting else len(before)
        early = [self._counting(step, request) for step in before[:first]]
        applied: list[AnySampler] = []
        owned: list[LlamaSampler | CountingSampler] = [*early]
        cut, rest = first_cut(before[first:])
        for step in rest:
            made = self._made(step, request)
            owned += made
            if step.name in WORDS_ONLY:
                applied += [*made[:-1], WordsOnly(made[-1], self._ends)]
            else:
                applied += made
        if last.name in ("dist", "greedy"):
            (sampler,) = build(last, self._model.n_vocab)
            owned.append(sampler)
            draw: TokenDraw = LlamaDraw(sampler)
        else:
            draw = self._steered(last, request)
        try:
            yield SamplerChain(
                self._candidates, bias, early, cut, applied, draw, self._guided(request.guide)
            )
        finally:
            if isinstance(draw, Mirostat) and sampling.seed is None and not request.idle:
                self._mirostat.ended(draw.state)
            for each in owned:
                each.free()

    def _made(self, step: Step, request: ChainRequest) -> Sequence[LlamaSampler | CountingSampler]:
        if step.name in _COUNTING:
            return [self._counting(step, request)]
        return build(step, self._model.n_vocab)

    def _counting(self, step: Step, request: ChainRequest) -> CountingSampler:
        make = self._dry if step.name == "dry" else self._penalties
        return make(step, request)

    def _penalties(self, step: Step, request: ChainRequest) -> CountingSampler:
        uncounted = self._model.uncounted | self._ends
        window = request.sampling.penalty_window
        seen = recent_tokens(self._tokens, request.penalized, window, without=uncounted)

        def make() -> LlamaSampler:
            (sampler,) = build(step, self._model.n_vocab)
            return sampler

        return CountingSampler(self._having_counted(step, seen, make), seen, uncounted)

    def _dry(self, step: Step, request: ChainRequest) -> CountingSampler:
        model, sampling = self._model, request.sampling
        border = [model.close] if model.close is not None else model.tokenize("\n")
        bodies = request.penalized
        goes_on = bool(bodies) and request.prompt[-1].endswith(bodies[-1])
        window = sampling.dry_window
        seen = recent_tokens(self._tokens, bodies, window, border=border, goes_on=goes_on)
        breakers = _breakers(sampling, request.names)
        key = (step, breakers)
        if self._breaking is None or self._breaking[0] != key:
            if self._breaking is not None:
                self._breaking[1].free()
            self._breaking = key, build_dry(model.vocab, step.values, breakers)
        make = self._breaking[1].clone
        before = self._having_counted(step, seen, make, breakers)
        return CountingSampler(before, seen, self._ends)

    def _having_counted(
        self,
        step: Step,
        seen: Sequence[int],
        make: Callable[[], LlamaSampler],
        more: Hashable = (),
    ) -> LlamaSampler:
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

    def _steered(self, step: Step, request: ChainRequest) -> TokenDraw:
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

    def _guided(self, guide: LengthGuide | None) -> _End | None:
        if guide is None or self._model.end is None:
            return None
        return _End(np.array(sorted(self._ends), np.intp), guide)

    def _bias(self, sampling: Sampling) -> _Bias | None:
        if not sampling.logit_bias:
            return None
        added: dict[int, float] = {}
        for text, by in sampling.logit_bias:
            for token in self._single_tokens(text):
                added[token] = added.get(token, 0.0) + by
        return _Bias(np.array(list(added), np.intp), np.array(list(added.values()), np.float32))

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


def _place(request: ChainRequest) -> Hashable:
    """What tells a message from others, also after old ones have been dropped."""
    return (*request.prompt[-3:], *request.penalized[-2:])


def recent_tokens(
    tokens: TokenCache,
    bodies: Sequence[str],
    window: int,
    *,
    without: Container[int] = (),
    border: Sequence[int] = (),
    goes_on: bool = False,
) -> list[int]:
    """The last `window` ids of message bodies, oldest first, `border` after each body.

    Ids in `without` are left out. Where the last body `goes_on` in what is written now, no border
    comes after it.
    """
    newest_first: list[int] = []
    for index, text in enumerate(reversed(bodies)):
        if index or not goes_on:
            newest_first += reversed(border)
        ids = tokens.ids(" " + text.lstrip(" "))
        newest_first += [token for token in reversed(ids) if token not in without]
        if len(newest_first) >= window:
            break
    return newest_first[:window][::-1]


def _breakers(sampling: Sampling, names: Sequence[str]) -> tuple[str, ...]:
    """All texts at which DRY's sequences end, each as far as DRY looks."""
    texts = ("▀", "▄", *sampling.dry_breakers, *names)
    cut = (text.encode()[:_LONGEST_BREAKER].decode("utf-8", "ignore") for text in texts)
    return tuple(dict.fromkeys(filter(None, cut)))
