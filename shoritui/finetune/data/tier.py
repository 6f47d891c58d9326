"""A tier's files to samples, those to learn from and those held out; nothing is done twice.

It does not know packs or training.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

import shoritui.blockml
from shoritui.errors import UserError
from shoritui.finetune.config.model import Config, Tier
from shoritui.finetune.config.where import parse_where
from shoritui.finetune.data import memo
from shoritui.finetune.data.conversations import find, name_of, read
from shoritui.finetune.data.evaluation import held_out
from shoritui.finetune.data.sample import Sample
from shoritui.finetune.data.samples import Rule, Tokenized, tokenize
from shoritui.finetune.data.tokenizer import Tokenizer
from shoritui.finetune.events import Preparing

Tell = Callable[[Preparing], None]
"""Is told how far it is."""

_AT_ONCE: Final = 32
"""Conversations between two words of progress."""


@dataclass(frozen=True, slots=True)
class TierData:
    """What a tier learns from, and what it is judged by."""

    train: tuple[Sample, ...]
    """In an order that only what is in them decides."""
    evaluation: tuple[Sample, ...]
    told: tuple[Tokenized, ...]
    """Every conversation, in the order of the files."""
    held: frozenset[str]
    """The digests of those held out, here or in another tier."""
    fingerprint: str
    """Names the ids and masks of both sides, whatever their files are called."""

    @property
    def conversations(self) -> int:
        """How many there are, those held out among them."""
        return len(self.told)

    @property
    def messages(self) -> int:
        """Messages of all conversations."""
        return sum(len(told.message_tokens) for told in self.told)

    @property
    def tokens(self) -> int:
        """Tokens of all conversations, each once."""
        return sum(told.tokens for told in self.told)

    @property
    def longest(self) -> int:
        """Tokens of the longest conversation."""
        return max((told.tokens for told in self.told), default=0)


def prepare_all(
    config: Config, tokenizer: Tokenizer, tell: Tell = lambda preparing: None
) -> dict[str, TierData]:
    """Every tier's data, by the tier's name.

    Raises:
        UserError: Files are missing, or hold mistakes (file and line are told), or leave a tier
            nothing to learn from.
    """
    told = {tier.name: _told(config, tier, tokenizer, tell) for tier in config.tiers}
    held = held_out(
        (frozenset(each.digest for each in told[tier.name]), tier.data.evaluation)
        for tier in config.tiers
    )
    return {tier.name: _tier_data(tier, told[tier.name], held) for tier in config.tiers}


def prepare(
    config: Config,
    tier: Tier,
    tokenizer: Tokenizer,
    tell: Tell = lambda preparing: None,
) -> TierData:
    """One tier's data; all tiers are read, since what one holds out no other learns from.

    Raises:
        UserError: As in `prepare_all`.
    """
    return prepare_all(config, tokenizer, tell)[tier.name]


def _told(config: Config, tier: Tier, tokenizer: Tokenizer, tell: Tell) -> tuple[Tokenized, ...]:
    folder = config.path.parent
    files = find(folder, tier.files)
    rule = Rule(tier.data, tier.train.sequence_len, tier.train.seed)
    key = _key(folder, files, tier.where, rule, tokenizer)
    known = memo.recall(key)
    if known is not None:
        return tuple(known)
    conversations = read(folder, files, parse_where(tier.where).allows)
    done: list[Tokenized] = []
    what = f"reading {tier.name}, conversations"
    for start in range(0, len(conversations), _AT_ONCE):
        tell(Preparing(what, len(done), len(conversations)))
        done += tokenize(conversations[start : start + _AT_ONCE], tokenizer, rule)
    tell(Preparing(what, len(done), len(conversations)))
    memo.keep(key, done)
    return tuple(done)


def _tier_data(tier: Tier, told: tuple[Tokenized, ...], held: frozenset[str]) -> TierData:
    train = _ordered(s for each in told if each.digest not in held for s in each.samples)
    evaluation = _ordered(s for each in told if each.digest in held for s in each.samples)
    if not train:
        raise UserError(f"Tier {tier.name!r} has nothing to learn from: {_reason(tier, told)}.")
    fingerprint = hashlib.sha256()
    for side in (train, evaluation):
        fingerprint.update(len(side).to_bytes(8, "little"))
        for sample in side:
            fingerprint.update(_content(sample))
    here = frozenset(each.digest for each in told)
    return TierData(train, evaluation, told, held & here, fingerprint.hexdigest())


def _reason(tier: Tier, told: Sequence[Tokenized]) -> str:
    if not told:
        filtered = f" that where = {tier.where!r} lets through" if tier.where else ""
        return f"there is no conversation{filtered} in its files"
    if not any(each.samples for each in told):
        return "[data] learn, speakers and not_speakers leave no token to learn"
    return "every conversation is held out; lower the share in [data] evaluation"


def _ordered(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    return tuple(sorted(samples, key=_content))


def _content(sample: Sample) -> bytes:
    """Names a sample's ids and what of them is learnt."""
    ids, learn = sample.ids.astype("<i4").tobytes(), sample.learn.tobytes()
    return hashlib.sha256(len(sample.ids).to_bytes(8, "little") + ids + learn).digest()


def _key(folder: Path, files: Sequence[Path], where: str, rule: Rule, tokenizer: Tokenizer) -> str:
    """Names all that decides a tier's tokenised conversations, and what their files are called."""
    data = replace(rule.data, evaluation=0.0)  # the split comes later
    facts = {
        "files": [[name_of(path, folder), _sha256(path)] for path in files],
        "where": where,
        "rule": dataclasses.asdict(replace(rule, data=data)),
        "tokenizer": tokenizer.fingerprint,
        "code": _code(),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None


@cache
def _code() -> str:
    """Names the code that decides what a text becomes, so that no older memo outlives it."""
    digest = hashlib.sha256()
    for folder in (Path(shoritui.blockml.__file__).parent, Path(__file__).parent):
        for path in sorted(folder.glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()
