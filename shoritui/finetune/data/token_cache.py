"""Tokenised conversations on disk, so that nothing is tokenised twice.

A memo that is torn, or was made by anything else, counts as none.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

from shoritui.bounded import read_json
from shoritui.files import content_of, whole_file
from shoritui.finetune.data.packs import Sample
from shoritui.finetune.data.samples import Tokenized
from shoritui.folders import cache_dir

_UNUSED_SECONDS: Final = 60 * 24 * 60 * 60
_CHECKSUM: Final = 32


def recall(key: str) -> list[Tokenized] | None:
    """What was kept under this key."""
    path = _path(key)
    try:
        data = content_of(path)
        if hashlib.sha256(data[_CHECKSUM:]).digest() != data[:_CHECKSUM]:
            return None
        path.touch()
    except OSError:
        return None
    with np.load(io.BytesIO(data[_CHECKSUM:])) as arrays:
        return _conversations(dict(arrays))


def keep(key: str, conversations: Sequence[Tokenized]) -> None:
    """Keep them; where there is no room for it, do nothing."""
    buffer = io.BytesIO()
    np.savez(buffer, **_arrays(conversations))
    data = buffer.getvalue()
    path = _path(key)
    # The checksum tells what a power cut leaves, so nothing waits for the disk.
    with contextlib.suppress(OSError), whole_file(path, synced=False) as beside:
        _forget_unused(path.parent)
        beside.write_bytes(hashlib.sha256(data).digest() + data)


def _path(key: str) -> Path:
    return cache_dir() / "finetune" / "tokens" / f"{key}.npz"


def _forget_unused(folder: Path) -> None:
    for path in folder.iterdir():
        if path.stat().st_mtime < time.time() - _UNUSED_SECONDS:
            path.unlink(missing_ok=True)


def _arrays(conversations: Sequence[Tokenized]) -> dict[str, Any]:
    samples = [sample for each in conversations for sample in each.samples]
    facts = [
        {
            **{field.name: getattr(each, field.name) for field in dataclasses.fields(each)},
            "samples": [sample.source for sample in each.samples],
        }
        for each in conversations
    ]
    return {
        "ids": np.concatenate([np.zeros(0, np.int32), *(sample.ids for sample in samples)]),
        "learn": np.concatenate([np.zeros(0, np.bool_), *(sample.learn for sample in samples)]),
        "lengths": np.asarray([len(sample.ids) for sample in samples], np.int64),
        "facts": np.frombuffer(json.dumps(facts).encode(), np.uint8),
    }


def _conversations(arrays: dict[str, Any]) -> list[Tokenized]:
    ends = [0, *(int(end) for end in np.cumsum(arrays["lengths"]))]
    spans = iter(pairwise(ends))
    conversations = []
    for facts in read_json(arrays["facts"].tobytes()):
        samples = []
        for source in facts.pop("samples"):
            start, end = next(spans)
            samples.append(Sample(arrays["ids"][start:end], arrays["learn"][start:end], source))
        for name in ("message_tokens", "hints"):
            facts[name] = tuple(facts[name])
        conversations.append(Tokenized(samples=tuple(samples), **facts))
    return conversations
