"""Measure in one go all that is owed on a GPU, in less than ten minutes.

    python -m tests.benchmarks.gpu                # on a GPU, from a checkout
    python -m tests.benchmarks.gpu                # once more: goes on with what is missing

Every job is a process of its own with a limit of its own: one that fails or takes too long leaves
a sentence in the table, and the others go on. Results are in `gpu.json` after every job.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from shoritui.benchmark import HEADER, Row, table_line
from shoritui.errors import UserError
from shoritui.files import replace_text
from shoritui.text import clean

MINUTES: Final = 9.5
_LEAST: Final = 10.0
"""Seconds that a job needs to come to anything."""


@dataclass(frozen=True, slots=True)
class Job:
    """One process that measures some rows."""

    name: str
    command: tuple[str, ...]
    limit: float
    """Seconds after which it is ended."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large everything is; the defaults are what the aims are about."""

    shape: str = "mistral-7b"
    tokens: int = 16384
    cap_gib: float = 24.0
    engine_shape: str = "7b"
    context: int = 16384
    device: str = "cuda"

    def jobs(self) -> list[Job]:
        """Return what is measured, in the order of worth."""
        options = ("--shape", self.shape, "--cap-gib", f"{self.cap_gib:g}", "--json")
        train = ("finetune", "bench", *options, "--device", self.device)
        long = (*train, "--tokens", str(self.tokens))
        engine = ("bench", "--shape", self.engine_shape, "--context", str(self.context), "--json")
        return [
            Job("equality", (*train, *EQUALITY), 60),
            Job("levels", (*long, *LEVELS), 150),
            Job("peft", (*long, *BESIDE_PEFT), 120),
            # Makes the chat's model, which takes its time once.
            Job("model", (*engine, "score_extra_decodes"), 180),
            Job("streaming", (*engine, "decode_vs_c", "decode_vs_high_level_300"), 120),
            Job("context", (*engine, *FULL_CONTEXT), 120),
            Job("inside", (*long, "product_share", "dropout_overhead"), 90),
            Job("long", (*long, "peak_error_131072", "tokens_per_second_131072"), 150),
            Job("latency", (*engine, *LATENCY), 90),
        ]


EQUALITY: Final = ("nf4_loss_vs_peft", "nf4_gradients_vs_peft")
_LEVELS: Final = ("all", "attention", "halves", "inputs", "offload")
LEVELS: Final = (
    *(f"peak_error_{level}" for level in _LEVELS),
    *(f"tokens_per_second_{level}" for level in _LEVELS),
    *("tokens_per_second", "offload_overhead"),
)
BESIDE_PEFT: Final = (
    "tokens_per_second_vs_peft",
    "tokens_per_second_two_documents",
    "tokens_per_second_eight_documents",
)
FULL_CONTEXT: Final = (
    "full_context_first_token",
    "full_context_vs_shift",
    "full_context_vs_prefix",
    "trim_idle_s",
)
LATENCY: Final = ("swipe_first_token_ms", "resume_vs_reevaluation", "type_ahead", "cancel_ms")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is missing and print all; 1 if something still is."""
    options = _parser().parse_args(arguments)
    sizes = Sizes(
        options.shape,
        options.tokens,
        options.cap_gib,
        options.engine_shape,
        options.context,
        options.device,
    )
    end = time.monotonic() + 60 * options.minutes
    try:
        found = _read(options.results, sizes)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    jobs = [job for job in sizes.jobs() if not options.jobs or job.name in options.jobs]
    for job in jobs:
        if found["jobs"].get(job.name, {}).get("ok"):
            continue
        limit = min(job.limit, end - time.monotonic())
        if limit < _LEAST:
            why = "not measured: the time is up; the same command goes on from here"
            found["jobs"][job.name] = {"ok": False, "why": why, "rows": []}
            continue
        print(f"{job.name}: at most {limit:.0f} s", file=sys.stderr, flush=True)
        found["jobs"][job.name] = measured(job, limit)
        replace_text(options.results, json.dumps(found, indent=1) + "\n")
    print(table(jobs, found["jobs"]))
    return 0 if all(found["jobs"][job.name]["ok"] for job in jobs) else 1


def measured(job: Job, limit: float) -> dict[str, Any]:
    """Run a job; whether it measured, its rows, and a sentence if it did not."""
    begun = time.monotonic()
    program = [sys.executable, "-m", "shoritui", *job.command]
    with subprocess.Popen(
        program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            out, errors = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            _end(process)
            return {"ok": False, "why": f"not done within {limit:.1f} s", "rows": []}
        except BaseException:
            _end(process)
            raise
    seconds = round(time.monotonic() - begun, 1)
    if process.returncode:
        lines = errors.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        why = f"ended with {process.returncode}: {clean(lines[-1])}"
        return {"ok": False, "why": why, "seconds": seconds, "rows": []}
    facts: dict[str, Any] = json.loads(out)
    rows = facts.pop("rows")
    missing = [row["note"] for row in rows if row["value"] is None]
    # What runs out of memory under the cap would do so again: that is a result.
    again = [note for note in missing if "out of memory" not in note]
    return {
        "ok": not again,
        "why": again[0] if again else "",
        "seconds": seconds,
        "facts": facts,
        "rows": rows,
    }


def table(jobs: Sequence[Job], found: dict[str, Any]) -> str:
    """Return everything for people."""
    lines = [HEADER]
    for job in jobs:
        result = found[job.name]
        lines += [table_line(Row(**row)) for row in result["rows"]]
        if not result["rows"]:
            lines.append(f"{job.name}: {result['why']}")
    return "\n".join(lines)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it and what it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def _read(path: Path, sizes: Sizes) -> dict[str, Any]:
    """What an earlier run found; `UserError` if it measured other sizes."""
    asked = json.loads(json.dumps({name: getattr(sizes, name) for name in Sizes.__slots__}))
    if not path.exists():
        return {"sizes": asked, "jobs": {}}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        same = found["sizes"] == asked and isinstance(found["jobs"], dict)
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path} holds no results: move it away.") from None
    if not same:
        raise UserError(f"{path} holds results of other sizes: move it away, or name another.")
    return dict(found)


def _parser() -> argparse.ArgumentParser:
    usual = Sizes()
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gpu", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    names = ", ".join(job.name for job in usual.jobs())
    parser.add_argument("jobs", nargs="*", metavar="JOB", help=f"only these, of {names}")
    parser.add_argument("--results", type=Path, default=Path("gpu.json"), metavar="FILE")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="(default: %(default)g)")
    parser.add_argument("--cap-gib", type=float, default=usual.cap_gib, help="GPU memory to use")
    parser.add_argument("--shape", default=usual.shape, help="of the base that is trained")
    parser.add_argument("--tokens", type=int, default=usual.tokens, help="in a pack")
    parser.add_argument("--engine-shape", default=usual.engine_shape, help="of the chat's model")
    parser.add_argument("--context", type=int, default=usual.context, help="of the chat's model")
    parser.add_argument(
        "--device", choices=("cuda", "cpu"), default=usual.device, help="cpu: to try it out"
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
