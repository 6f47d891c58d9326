"""The Hugging Face hub: which GGUF models a repository offers, and which of them is meant."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated, Final

import msgspec
from huggingface_hub import HfApi
from huggingface_hub.errors import (
    DisabledRepoError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from huggingface_hub.hf_api import RepoSibling
from msgspec import Meta

from shoritui.bounded import misfit
from shoritui.errors import UserError
from shoritui.host.hub import check_token, hub_address
from shoritui.models.catalogue import PART
from shoritui.models.quantisation import UNQUANTISED, by_name
from shoritui.text import closest, command, printable, size

# A server may have warnings printed as it words them; what matters we say in our words.
logging.getLogger("huggingface_hub").setLevel(logging.ERROR)

NETWORK_ERROR: Final[type[Exception]] = HfHubHTTPError.__bases__[0]
"""The HTTP library's error: huggingface_hub 1 and 2 speak through different ones."""
_Commit = Annotated[str, Meta(pattern=r"\A(?:main|[0-9a-f]{40,64})\Z")]
_SUFFIX: Final = ".gguf"
_SIZE: Final = attrgetter("size_bytes")
_MOST_NAMED: Final = 20
_FOR_WEIGHTS: Final = 0.6
"""The share of a machine's memory that a suggested model's weights take at most."""
_TIMEOUT: Final = 20.0


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a repository."""

    path: str
    """Inside the repository, with slashes; it leads to no place outside."""
    size_bytes: Annotated[int, Meta(ge=0, le=2**50)]
    sha256: Annotated[str, Meta(pattern=r"\A(?:[0-9a-f]{64})?\Z")]
    """The digest of its content, "" for a small file that is kept in git itself."""
    git_id: Annotated[str, Meta(pattern=r"\A(?:[0-9a-f]{40,64})?\Z")]
    """The digest that git gives it, "" if the hub does not tell."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A model of a repository: one file, or the parts of one that was split."""

    name: str
    """The file's path without suffix and number."""
    quantisation: str
    """Such as `Q4_K_M`, "" if its name does not tell."""
    files: tuple[RemoteFile, ...]

    @property
    def size_bytes(self) -> int:
        """The size of all parts."""
        return sum(file.size_bytes for file in self.files)


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository as it is at one commit."""

    name: str
    commit: str
    endpoint: str
    offers: tuple[Offer, ...]
    """From the smallest to the largest."""


def repository(name: str, endpoint: str | None = None) -> Repository:
    """Ask the hub what a repository holds; `UserError` if it refuses, or there is no GGUF file."""
    address = hub_address(endpoint)
    check_token()
    try:
        with hub_errors(name, address):
            info = HfApi(endpoint=address).model_info(name, files_metadata=True, timeout=_TIMEOUT)
            offers = _offers(_files(info.siblings or []))
            commit = msgspec.convert(info.sha or "main", _Commit)
    except OSError as error:
        reason = f"{printable(error.filename)}: {error.strerror}"
        raise UserError(f"The folder of the Hugging Face cache cannot be used: {reason}.") from None
    if not offers:
        raise UserError(f"{name} has no GGUF files: look for a repository with GGUF in its name.")
    return Repository(name, commit, address, offers)


def choose(repo: Repository, wanted: str, memory: int | None) -> Offer:
    """Return the offer that a quantisation's or a file's name means; without a name the only one.

    `UserError` if it is none, or several; it lists them, and which suits so much `memory`.
    """
    if not wanted:
        if len(repo.offers) == 1:
            return repo.offers[0]
        pick = suggest(repo.offers, memory)
        pick_name = f"{repo.name}:{_label(pick)}"
        raise UserError(
            f"{repo.name} has {len(repo.offers)} models: {_list(repo.offers)}. For this machine "
            f"take {_label(pick)}: {command('models', 'pull', pick_name)}"
        )
    name = wanted.casefold()
    by_file = [offer for offer in repo.offers if name in _names(offer)]
    matches = by_file or [o for o in repo.offers if name == o.quantisation.casefold()]
    if len(matches) == 1:
        return matches[0]
    if matches:
        names = ", ".join(printable(o.files[0].path) for o in matches[:_MOST_NAMED])
        raise UserError(f"{repo.name} has several {printable(wanted)}; name the file: {names}.")
    near = "" if by_name(wanted) else closest(name, map(_label, repo.offers))
    hint = f" Did you mean {near}?" if near else ""
    raise UserError(f"{repo.name} has no {printable(wanted)}, but {_list(repo.offers)}.{hint}")


def suggest(offers: Sequence[Offer], memory: int | None) -> Offer:
    """Return the largest quantised model that leaves room in the memory, else the smallest."""
    quantised = [o for o in offers if o.quantisation and o.quantisation not in UNQUANTISED]
    fitting = [o for o in quantised or offers if memory and o.size_bytes <= _FOR_WEIGHTS * memory]
    return max(fitting or [min(offers, key=_SIZE)], key=_SIZE)


@contextmanager
def hub_errors(repo: str, address: str) -> Iterator[None]:
    """Turn what goes wrong between here and the hub into a sentence for the user."""
    shown = printable(repo)
    try:
        yield
    except HFValidationError:
        raise UserError(f"{shown}: expected a repository's name, such as OWNER/NAME.") from None
    except GatedRepoError:
        raise UserError(
            f"{shown} asks for consent: give it on {address}/{shown}, then set HF_TOKEN to a token "
            "of your account."
        ) from None
    except RepositoryNotFoundError:
        raise UserError(
            f"There is no repository {shown} at {address} that you may read: check the name, or, "
            "if it is private, set HF_TOKEN to a token that may read it."
        ) from None
    except DisabledRepoError:
        raise UserError(f"{shown} was disabled by {address}: take another one.") from None
    except HfHubHTTPError as error:
        raise UserError(_refusal(shown, address, error.response.status_code)) from None
    except OfflineModeIsEnabled:
        raise UserError("HF_HUB_OFFLINE is set: unset it to pull models.") from None
    except (NETWORK_ERROR, ConnectionError) as error:
        raise UserError(
            f"{address} cannot be reached ({_reason(error)}): check the connection, or HF_ENDPOINT "
            "if you use a mirror."
        ) from None
    except OSError:
        raise  # the disk's, which the caller knows more about
    except Exception as error:
        # A captive portal's page, a proxy that is set wrongly, a mirror that is no hub: what the
        # libraries make of them has no common name.
        raise UserError(
            f"{address} does not answer as the hub does ({_reason(error)}): check HF_ENDPOINT, and "
            "the variables that name a proxy."
        ) from None


def _refusal(repo: str, address: str, status: int) -> str:
    if status in (401, 403):
        return (
            f"{address} refuses access to {repo}: check the name, and that HF_TOKEN is a token "
            "which is still valid and may read it."
        )
    if status == 404:
        return f"{address} no longer has this file of {repo}: pull again."
    if status == 429:
        return f"{address} gets too many requests from here: wait a while, then pull again."
    return f"{address} fails with the status {status}: try again later."


def _reason(error: Exception) -> str:
    said: object = misfit(error) if isinstance(error, msgspec.ValidationError) else error
    if isinstance(error, KeyError):
        said = f"its answer has no {error}"
    return printable(said, most=80) or type(error).__name__


def _files(siblings: Sequence[RepoSibling]) -> list[RemoteFile]:
    """The GGUF files of a repository that could be put into a folder.

    Raises:
        ValidationError: A size is none, or a digest, after which a file is named on the way.
    """
    return [
        msgspec.convert(
            {
                "path": file.rfilename,
                "size_bytes": file.lfs.size if file.lfs else file.size or 0,
                "sha256": file.lfs.sha256 if file.lfs else "",
                "git_id": file.blob_id or "",
            },
            RemoteFile,
        )
        for file in siblings
        if file.rfilename.lower().endswith(_SUFFIX) and _is_safe(file.rfilename)
    ]


def _is_safe(path: str) -> bool:
    """Whether a name that somebody else chose stays inside the folder it is put into."""
    parts = PurePosixPath(path).parts
    return (
        path.isprintable()
        and "\\" not in path
        and not path.startswith("/")
        and ".." not in parts
        and not any(PureWindowsPath(part).drive or part.startswith(".") for part in parts)
    )


def _offers(files: Sequence[RemoteFile]) -> tuple[Offer, ...]:
    groups: dict[tuple[str, int], list[RemoteFile]] = {}
    for file in sorted(files, key=lambda file: file.path):
        stem = file.path[: -len(_SUFFIX)]
        match = PART.fullmatch(stem)
        key = (match["stem"], int(match["count"])) if match else (stem, 1)
        groups.setdefault(key, []).append(file)
    offers = [
        Offer(stem, by_name(stem), tuple(parts))
        for (stem, count), parts in groups.items()
        if len(parts) == count and not _is_extra(stem)
    ]
    return tuple(sorted(offers, key=_SIZE))


def _is_extra(stem: str) -> bool:
    """What belongs to a model but is none: the eye of one that sees, a table of importance."""
    name = PurePosixPath(stem).name.casefold()
    return "mmproj" in name or "imatrix" in name


def _names(offer: Offer) -> set[str]:
    """What a user may call an offer's file, folded."""
    paths = [offer.name, *(file.path for file in offer.files)]
    return {name.casefold() for path in paths for name in (path, PurePosixPath(path).name)}


def _label(offer: Offer) -> str:
    return offer.quantisation or printable(offer.files[0].path)


def _list(offers: Sequence[Offer]) -> str:
    shown = [f"{_label(offer)} ({size(offer.size_bytes)})" for offer in offers[:_MOST_NAMED]]
    more = [f"{len(offers) - _MOST_NAMED} more"] if len(offers) > _MOST_NAMED else []
    return ", ".join(shown + more)
