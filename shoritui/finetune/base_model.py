"""Where the frozen base lies: a folder, a GGUF file, or a repository of the hub, pulled once."""

from __future__ import annotations

import importlib
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from shoritui import demo
from shoritui.errors import UserError
from shoritui.files import kept_folder
from shoritui.finetune.cache.digests import digests_of
from shoritui.finetune.config.model import Base
from shoritui.finetune.events import Preparing, Report
from shoritui.finetune.quiet_libraries import quieten
from shoritui.folders import cache_dir, user_path
from shoritui.host.hub import check_token, hub_address
from shoritui.text import clean, printable

_HUB_ID: Final = re.compile(r"[\w.-]+/[\w.-]+")
_VOCABULARY: Final = (
    *("config.json", "generation_config.json"),
    *("tokenizer*", "special_tokens_map.json", "added_tokens.json"),
)
_WEIGHTS: Final = ("*.safetensors", "*.safetensors.index.json")
_NOT_WANTED: Final = ["*/*", "consolidated*", "adapter_*", "*.bin", "*.gguf"]
_MIB: Final = 2**20
_TIMEOUT: Final = 20.0


def folder_of(base: Base, report: Report, here: Path = Path(), *, weights: bool = True) -> Path:
    """Return the folder with the base's config, safetensors and tokenizer.

    Relative paths begin at `here`. Without `weights` a hub's vocabulary is there in a moment.

    Raises:
        UserError: There is no such base, or it cannot be had, or it has no safetensors.
    """
    if (shipped := demo.named(base.model)) is not None:
        return _of_gguf(shipped, report)
    path = user_path(base.model, here)
    if path.is_dir():
        return _checked(path, str(path), weights)
    if path.suffix.lower() == ".gguf":
        return _of_gguf(path, report)
    if path.exists():
        raise UserError(f"[base] model: {printable(path)} is neither a folder nor a GGUF file.")
    if not _HUB_ID.fullmatch(base.model):
        raise UserError(
            f"[base] model: there is no {printable(base.model)}; expected a folder, a GGUF file, a "
            "hub's OWNER/NAME, smollm2, or demo."
        )
    return _checked(_pulled(base, report, weights), base.model, weights)


def at_hand(base: Base, here: Path = Path()) -> Path | None:
    """Return the folder or the GGUF file of a base, if its vocabulary at least is on this machine.

    Nothing is downloaded; None if it is not there.
    """
    try:
        path = demo.named(base.model) or user_path(base.model, here)
    except UserError:  # its package is not installed
        return None
    if path.is_dir() or (path.suffix.lower() == ".gguf" and path.is_file()):
        return path
    if path.exists() or not _HUB_ID.fullmatch(base.model):
        return None
    quieten()
    from huggingface_hub import snapshot_download

    with suppress(Exception):  # it is not there
        return Path(
            snapshot_download(
                base.model,
                revision=base.revision or None,
                allow_patterns=list(_VOCABULARY),
                ignore_patterns=_NOT_WANTED,
                local_files_only=True,
            )
        )
    return None


def _of_gguf(path: Path, report: Report) -> Path:
    """Return the folder with the same model, which is made once for a content and kept."""
    from shoritui.finetune.blank_model import blank_model
    from shoritui.gguf.folder import VERSION, write_folder
    from shoritui.gguf.read import parts_of

    last = -1

    def written(done: int, total: int) -> None:
        nonlocal last
        if done // _MIB > last:
            last = done // _MIB
            report(Preparing(f"unpacking {path.name}, MiB", last, total // _MIB))

    try:
        digests = list(digests_of(parts_of(path)).values())
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    whole = digests[0] if len(digests) == 1 else sha256("".join(digests).encode()).hexdigest()
    return kept_folder(
        cache_dir() / "finetune" / "bases" / f"{whole}-{VERSION}",
        lambda folder: write_folder(path, folder, blank_model, written),
    )


def _checked(folder: Path, name: str, weights: bool) -> Path:
    name = printable(name)
    if not (folder / "config.json").is_file():
        raise UserError(f"[base] model: {name} has no config.json, so it is no model's folder.")
    if weights and not any(folder.glob("*.safetensors")):
        raise UserError(
            f"[base] model: {name} has no weights as safetensors; take a folder or repository "
            "that has them, or a GGUF file."
        )
    return folder


def _pulled(base: Base, report: Report, weights: bool) -> Path:
    """Return the hub's copy in its own cache, where other programs find it too.

    Files that are there whole are not asked for again; without a network they are enough.
    """
    quieten()
    from huggingface_hub import snapshot_download

    address = hub_address()
    check_token()
    pull = partial(
        snapshot_download,
        base.model,
        revision=base.revision or None,
        endpoint=address,
        token=os.environ.get("HF_TOKEN") or None,
        allow_patterns=[*_VOCABULARY, *(_WEIGHTS if weights else ())],
        ignore_patterns=_NOT_WANTED,
        etag_timeout=_TIMEOUT,
    )
    stopped: list[BaseException] = []
    bars = _bars(f"downloading {base.model}, MiB", _size(pull), report, stopped)
    try:
        with _in_sentences(base, address):
            # One file after the other: of those that are not whole, the next run begins anew.
            folder: str = pull(tqdm_class=bars, max_workers=1)
    except UserError:
        if stopped:  # it was not the hub's fault
            raise stopped[0] from None
        raise
    return Path(folder)


def _size(pull: Callable[..., Any]) -> int:
    """Return the bytes to download; 0 if the hub does not say, as is found out in a moment."""
    with suppress(Exception):
        files = pull(dry_run=True, tqdm_class=_bars("", 0, lambda event: None, []))
        return sum(file.file_size or 0 for file in files if file.will_download)
    return 0


def _bars(what: str, total: int, report: Report, stopped: list[BaseException]) -> Any:
    """Return a class of tqdm bars that draw nothing and report how many of `total` bytes there are.

    The hub counts the same bytes in several bars, and in several threads. What `report` raises ends
    them all, and is put into `stopped`.
    """
    tqdm: Any = importlib.import_module("tqdm.auto").tqdm
    lock = threading.Lock()
    last = -1

    class Bar(tqdm):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            self.counts_bytes = options.get("unit") == "B"
            self.bytes = int(options.get("initial") or 0)
            super().__init__(*arguments, **{**options, "disable": True})

        def update(self, n: float | None = 1) -> bool | None:
            nonlocal last
            with lock:
                if stopped:
                    raise stopped[0]
                self.bytes += int(n or 0)
                if self.counts_bytes and self.bytes // _MIB > last:
                    last = self.bytes // _MIB
                    try:
                        report(Preparing(what, last, total // _MIB))
                    except BaseException as error:
                        stopped.append(error)
                        raise
            return None

    return Bar


@contextmanager
def _in_sentences(base: Base, address: str) -> Iterator[None]:
    """Turn what goes wrong between here and the hub into a sentence for the user."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    name = base.model
    try:
        yield
    except HFValidationError:
        raise UserError(f"[base] model: {name} is no name of a repository on the hub.") from None
    except GatedRepoError:
        raise UserError(
            f"[base] model: {name} asks for consent: give it on {address}/{name}, then set "
            "HF_TOKEN to a token of your account."
        ) from None
    except RepositoryNotFoundError:
        raise UserError(
            f"[base] model: there is no folder {name} here, and no repository of that name at "
            f"{address} that you may read: check the name, or, if it is private, set HF_TOKEN."
        ) from None
    except RevisionNotFoundError:
        raise UserError(
            f"[base] revision: {name} has no branch, tag or commit {printable(base.revision)}."
        ) from None
    except LocalEntryNotFoundError as error:
        cause = error.__cause__
        if isinstance(cause, HfHubHTTPError):
            raise UserError(_refusal(name, address, cause)) from None
        if isinstance(cause, OfflineModeIsEnabled):
            raise UserError(
                f"[base] model: {name} is not wholly in the cache, and HF_HUB_OFFLINE is set: "
                "unset it to download the rest."
            ) from None
        raise UserError(_unreachable(name, address, cause or error)) from None
    except HfHubHTTPError as error:
        raise UserError(_refusal(name, address, error)) from None
    except OSError as error:
        if error.strerror and error.filename:
            raise UserError(f"{error.filename} cannot be written: {error.strerror}.") from None
        raise UserError(_unreachable(name, address, error)) from None
    except UserError:
        raise
    except Exception as error:  # a captive portal's page, a wrong proxy: they have no common name
        raise UserError(_unreachable(name, address, error)) from None


def _refusal(name: str, address: str, error: Any) -> str:
    status = error.response.status_code if error.response is not None else 0
    if status in (401, 403):
        return (
            f"[base] model: {address} refuses access to {name}: check that HF_TOKEN is a token "
            "which is still valid and may read it."
        )
    return f"[base] model: {address} fails with the status {status} for {name}: try again later."


def _unreachable(name: str, address: str, error: BaseException) -> str:
    reason = clean(str(error).partition("\n")[0])[:100] or type(error).__name__
    return (
        f"[base] model: {name} cannot be downloaded from {address} ({reason}): check the "
        "connection, or HF_ENDPOINT, or name a folder; what is complete is kept."
    )
