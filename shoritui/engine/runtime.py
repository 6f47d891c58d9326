"""A loaded model and everything that is asked of it.

It does not know processes or how requests travel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Final

from shoritui.engine.adapters import Adapters
from shoritui.engine.banned import Watch
from shoritui.engine.cache import CancelledError, KVCache
from shoritui.engine.choosing import Chooser
from shoritui.engine.context import AbortFlag
from shoritui.engine.fingerprint import fingerprint
from shoritui.engine.generation import Message
from shoritui.engine.interface import (
    Adapter,
    EngineOptions,
    EngineStats,
    Evaluated,
    Evaluation,
    Event,
    ModelInfo,
    Outcome,
    Segment,
)
from shoritui.engine.journal import Journal, root_key
from shoritui.engine.keeping import Keeper
from shoritui.engine.loading import probe
from shoritui.engine.model import BLOCK_CLOSE, Model
from shoritui.engine.opening import Pace, make_room, try_out
from shoritui.engine.protocol import Generate
from shoritui.engine.scoring import (
    Ids,
    LogProbabilities,
    log_probability,
    log_softmax,
    shared_beginnings,
)
from shoritui.engine.spellings import Spellings
from shoritui.engine.tokens import Tokens
from shoritui.errors import UserError

SPELLINGS: Final = "spellings.db"
_QUIET_SECONDS: Final = 1.0
"""The end of a prompt is saved once nothing was asked for so long."""
_WRITING_SECONDS: Final = 0.02
"""How long a block that is being written is waited for before we look again."""


class Runtime:
    """One model in memory with its KV cache; one call at a time."""

    def __init__(
        self,
        path: Path,
        options: EngineOptions,
        abort: AbortFlag,
        on_progress: Callable[[float], None],
    ) -> None:
        """Load; `UserError` if memory cannot suffice, `ValueError` if the file is no model."""
        found = probe(path, options)
        found.check_memory()
        info = found.info
        self._model = Model(path, n_gpu_layers=info.n_gpu_layers, on_progress=on_progress)
        tuner, seconds_per_id = try_out(self._model, found, options, abort)
        room = make_room(self._model, found, options, abort, seconds_per_id)
        self._adapters = Adapters(self._model, room.context)
        self._made_of = (fingerprint(path), info.llama_cpp, options.kv_type, info.gpu)
        keeper = None
        if options.journal is not None and not self._model.is_recurrent:
            journal = Journal(options.journal, options.journal_bytes)
            shifted = room.mode == "shift"
            keeper = Keeper(journal, room.context, room.scratch, shifted=shifted)
        self._keeper = keeper
        self._cache = KVCache(
            room.context,
            abort,
            n_ctx=room.n_ctx,
            lines=room.lines,
            scratch=room.branches,
            shift=room.mode == "shift",
            keeper=keeper,
        )
        self._pace = Pace(tuner, room.context, room.scratch)
        self._pace.watch(self._cache)
        spelled = options.journal / SPELLINGS if options.journal is not None else None
        self._tokens = Tokens(self._model, Spellings(spelled, self._made_of[0]))
        self._chooser = Chooser(self._model, self._tokens)
        self._asked_at = 0.0
        self.info = replace(info, n_ctx=room.n_ctx, context_mode=room.mode)
        self.adapt(options.adapters)

    def adapt(self, adapters: Sequence[Adapter]) -> ModelInfo:
        """Take these adapters in place of those before; `UserError` if one does not fit.

        What was evaluated with others stays where it is, and counts again once they come back.
        """
        keys = self._adapters.take(adapters)
        self._cache.root = root_key(*self._made_of, *keys)
        self.info = replace(self.info, adapters=tuple(adapters))
        return self.info

    @property
    def stats(self) -> EngineStats:
        """What was evaluated since the model was loaded."""
        held = tuple(len(line) for line in self._cache.lines)
        return EngineStats(self._cache.decodes, self._cache.evaluated, held)

    def rest(self) -> float | None:
        """Do one small piece of work that nobody waits for.

        Returns the seconds after which to ask again, None when there is nothing left to do.
        """
        if self._pace.tune_if_due():
            self._cache.forget_logits()
            return 0.0
        if self._cache.save_next():
            return 0.0
        if self._keeper is not None and self._keeper.is_busy:
            return _WRITING_SECONDS
        quiet = monotonic() - self._asked_at
        if quiet < _QUIET_SECONDS:
            return _QUIET_SECONDS - quiet
        self._cache.save_prompt()  # not of every word that is being typed
        return None

    def generate(
        self,
        request: Generate,
        emit: Callable[[Event], None],
        give_way: Callable[[], bool] | None = None,
    ) -> Outcome:
        """Write one message after the document; too long a document: `UserError`.

        With `give_way` beside the line in use, until that says that other work waits.
        """
        if give_way is not None and len(self._cache.lines) == 1:
            raise UserError("The context has no room to write anything beside what is read.")
        texts = _texts(request.document)
        prompt = self._prompt(texts)
        banned = request.sampling.banned
        watch = Watch(banned, before=texts[-1][-1:]) if banned else None
        self._pace.steady(request.sampling.seed is not None)
        message = Message(
            self._model,
            self._cache,
            watch=watch,
            likeliest=request.likeliest,
            give_way=give_way,
        )
        outcome = message.write(
            prompt, lambda: self._chooser.begin(request), request.max_tokens, emit
        )
        if give_way is not None:
            self._cache.step_back()
        if give_way is None or outcome.stop != "cancelled":
            self._keep(texts, message)
        return outcome

    def prefill(
        self,
        document: Sequence[Segment],
        emit: Callable[[Event], None],
        give_way: Callable[[], bool] | None = None,
    ) -> Evaluation:
        """Evaluate the document, so that writing after it can begin at once.

        With `give_way` in small steps, until that says that other work waits.
        """
        prompt = self._prompt(_texts(document))
        return self._cache.reach(prompt, lambda done, of: emit(Evaluated(done, of)), give_way)

    def score(self, document: Sequence[Segment], candidates: Sequence[str]) -> list[float]:
        """How likely each candidate is: the logarithm of the probability of its beginning.

        Of its beginning as far as it takes to tell it from the others: where the first tokens
        differ, the logits after the document say it all; the rest takes one batch.
        """
        if not self._cache.reach(self._prompt(_texts(document))).complete:
            raise UserError("Scoring was cancelled.")
        branches = [self._tokens.ids(text) for text in candidates]
        shared = shared_beginnings(branches)
        scores: dict[Ids, LogProbabilities] = {(): log_softmax(self._cache.logits)}
        try:
            behind = self._cache.branches(shared)
        except CancelledError:
            raise UserError("Scoring was cancelled.") from None
        scores |= {begin: log_softmax(row) for begin, row in zip(shared, behind, strict=True)}
        return [log_probability(branch, scores) for branch in branches]

    def tokenize(self, texts: Sequence[str], *, document: bool) -> list[list[int]]:
        """The ids of each text."""
        return [
            list(self._tokens.ids(text, first=document and index == 0))
            for index, text in enumerate(texts)
        ]

    def spell(self, ids: Sequence[int]) -> list[str]:
        """The text of each token."""
        return [self._model.pieces[id_].decode("utf-8", "replace") for id_ in ids]

    def _prompt(self, texts: Sequence[str]) -> list[tuple[int, ...]]:
        prompt = self._tokens.document(texts)
        length = sum(map(len, prompt))
        self._asked_at = monotonic()
        if not length:
            raise UserError("There is nothing to write after: the prompt is empty.")
        if length >= self._cache.n_ctx:
            raise UserError(
                f"The prompt has {length:,} tokens, the context holds {self._cache.n_ctx:,}: "
                "shorten the scene or the chat, or open the model with a larger context."
            )
        return prompt

    def _keep(self, texts: Sequence[str], message: Message) -> None:
        """Remember the generated ids under the text that the next document will show."""
        ids = self._spelling(message)
        if not ids:
            return
        first = len(texts) == 1
        text = texts[-1] + message.text
        all_ids = [*self._tokens.ids(texts[-1], first=first), *ids]
        self._tokens.keep(text, all_ids, first=first)
        end = BLOCK_CLOSE + "\n"
        self._tokens.keep(text + end, [*all_ids, *self._tokens.ids(end)], first=first)

    def _spelling(self, message: Message) -> list[int]:
        """The generated ids that spell the text, without the bytes of an unfinished character."""
        for drop in range(4):
            ids = message.ids[: len(message.ids) - drop]
            data = b"".join(self._model.pieces[token] for token in ids)
            if data.decode("utf-8", "replace") == message.text:
                return ids
        return []  # a mark inside a token ended the text


def _texts(document: Sequence[Segment]) -> list[str]:
    return [segment.text for segment in document]
