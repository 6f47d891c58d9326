"""A tier's files to samples, those to learn from and those held out.

files ─ where ─▶ conversations ─ tokenize ─▶ samples ─ held_out ─▶ train, evaluation
                                    │
                                   memo: what was tokenised once is read from the disk
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

import shoritui.blockml
import shoritui.text
from shoritui.errors import UserError
from shoritui.finetune.cache.digests import digest_of
from shoritui.finetune.config.model import Config, Tier
from shoritui.finetune.config.tag_filter import parse_where
from shoritui.finetune.data import token_cache
from shoritui.finetune.data.conversations import find, name_of, read
from shoritui.finetune.data.held_out import held_out
from shoritui.finetune.data.packs import Sample
from shoritui.finetune.data.samples import Rule, Tokenized, tokenize
from shoritui.finetune.data.tokenizer import Tokenizer
from shoritui.finetune.events import Preparing, Report

_AT_ONCE: Final = 32
"""Conversations between two reports."""


@dataclass(frozen=True, slots=True)
class TierData:
    """What a tier learns from, and what it is judged by."""

    train: tuple[Sample, ...]
    """In an order that only what is in them decides."""
    evaluation: tuple[Sample, ...]
    tokenized: tuple[Tokenized, ...]
    """Every conversation, in the order of the files."""
    held: frozenset[str]
    """The digests of those held out, here or in another tier."""
    fingerprint: str
    """Names the ids and masks of both sides, whatever their files are called."""

    @property
    def conversations(self) -> int:
        """How many there are, those held out among them."""
        return len(self.tokenized)

    @property
    def tokens(self) -> int:
        """How many all of them hold, each token once: no repeated block, no beginning's token."""
        return sum(each.tokens for each in self.tokenized)


def prepare(
    config: Config, tokenizer: Tokenizer, report: Report = lambda event: None
) -> dict[str, TierData]:
    """Return every tier's data, by the tier's name.

    Raises:
        UserError: Files are missing, or hold mistakes, or leave a tier nothing to learn from.
    """
    tokenized = {tier.name: _tokenized(config, tier, tokenizer, report) for tier in config.tiers}
    held = held_out(
        (frozenset(each.digest for each in tokenized[tier.name]), tier.data.evaluation)
        for tier in config.tiers
    )
    return {tier.name: _tier_data(tier, tokenized[tier.name], held) for tier in config.tiers}


def _tokenized(
    config: Config, tier: Tier, tokenizer: Tokenizer, report: Report
) -> tuple[Tokenized, ...]:
    folder = config.path.parent
    files = find(folder, tier.files)
    rule = Rule(tier.data, tier.train.sequence_len, tier.train.seed)
    key = _key(folder, files, tier.where, rule, tokenizer)
    known = token_cache.recall(key)
    if known is not None:
        return tuple(known)
    conversations = read(folder, files, parse_where(tier.where).allows)
    done: list[Tokenized] = []
    what = f"reading {tier.name}, conversations"
    for start in range(0, len(conversations), _AT_ONCE):
        report(Preparing(what, len(done), len(conversations)))
        done += tokenize(conversations[start : start + _AT_ONCE], tokenizer, rule)
    report(Preparing(what, len(done), len(conversations)))
    token_cache.keep(key, done)
    return tuple(done)


def _tier_data(tier: Tier, tokenized: tuple[Tokenized, ...], held: frozenset[str]) -> TierData:
    train = _ordered(s for each in tokenized if each.digest not in held for s in each.samples)
    evaluation = _ordered(s for each in tokenized if each.digest in held for s in each.samples)
    if not train:
        raise UserError(
            f"Tier {tier.name!r} has nothing to learn from: {_reason(tier, tokenized)}."
        )
    fingerprint = hashlib.sha256()
    for side in (train, evaluation):
        fingerprint.update(len(side).to_bytes(8, "little"))
        for sample in side:
            fingerprint.update(_content(sample))
    here = frozenset(each.digest for each in tokenized)
    return TierData(train, evaluation, tokenized, held & here, fingerprint.hexdigest())


def _reason(tier: Tier, tokenized: Sequence[Tokenized]) -> str:
    if not tokenized:
        filtered = f" that where = {tier.where!r} lets through" if tier.where else ""
        return f"there is no conversation{filtered} in its files"
    if not any(each.samples for each in tokenized):
        return "[data] learn, speakers and not_speakers leave no token to learn"
    return "every conversation is held out; lower evaluation in [data]"


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
        return digest_of(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None


@cache
def _code() -> str:
    """Names the code that decides what a text becomes, so that no older memo outlives it."""
    digest = hashlib.sha256()
    files = [Path(shoritui.text.__file__)]
    for room in (shoritui.blockml.__file__, __file__):
        files += sorted(Path(room).parent.rglob("*.py"))
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()
