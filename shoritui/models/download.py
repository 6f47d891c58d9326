"""Download files of a repository into a folder: resumed, verified, each in its place only whole.

huggingface_hub finds the files, and makes the requests and their errors; the transfer is ours. Its
`hf_hub_download` throws away what has come once a download is interrupted (2.4
writes to a file of a random name), checks the size but no digest, and removes the old file before
the new one is there. Models of tens of gigabytes need all three.
"""

from __future__ import annotations

import glob
import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, cast

from huggingface_hub import hf_hub_url
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

from shoritui.errors import UserError
from shoritui.files import check_space, open_file, open_to_append
from shoritui.models.hub import NETWORK_ERROR, Offer, RemoteFile, Repository, hub_errors
from shoritui.text import printable, size

Report = Callable[[int], None]
"""Hears how many bytes of all files are there and counted into their digests."""

_CHUNK: Final = 2**20
_TIMEOUT: Final = 20.0
_SPARE: Final = 64 * 2**20
"""What a pull leaves free on the disk."""
_BUSY: Final = (408, 429, 500, 502, 503, 504)
_LONGEST_PAUSE: Final = 8.0


def download(
    repo: Repository, offer: Offer, folder: Path, report: Report, *, tries: int = 6
) -> list[Path]:
    """Download all files of an offer into a folder; what an earlier call got is kept.

    A connection that breaks is taken up again, until `tries` times in a row brought nothing.
    `UserError` if hub or disk refuses, or what came is not what the hub announced.
    """
    targets = [folder.joinpath(*file.path.split("/")) for file in offer.files]
    arrived = 0
    try:
        _check_space(folder, offer, targets)
        for file, target in zip(offer.files, targets, strict=True):
            target.parent.mkdir(parents=True, exist_ok=True)
            if not _is_whole(file, target, report, arrived):
                _fetch(repo, file, target, report, arrived, tries)
            arrived += file.size_bytes
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UserError(f"{printable(folder)} cannot be written: {reason}.") from None
    return targets


class _Content:
    """What a file on the disk holds so far, and its digest."""

    def __init__(self, file: RemoteFile, disk: BinaryIO, report: Report, before: int) -> None:
        self._file = file
        self._disk = disk
        self._report = report
        self._before = before
        self._begin()

    def count(self) -> None:
        """Take in what the disk has already."""
        self._disk.seek(0)
        while chunk := self._disk.read(_CHUNK):
            self._digest.update(chunk)
            self._grow(len(chunk))

    def add(self, chunk: bytes) -> None:
        """Append to the disk, at most what the hub announced."""
        chunk = chunk[: self._file.size_bytes - self.done]
        rest = memoryview(chunk)
        while rest:  # the file is not buffered: a write may take a part only
            rest = rest[self._disk.write(rest) :]
        self._digest.update(chunk)
        self._grow(len(chunk))

    def clear(self) -> None:
        """Throw away everything."""
        self._disk.truncate(0)
        self._begin()

    @property
    def is_right(self) -> bool:
        """Whether it is the whole file that the hub announced."""
        expected = self._file.sha256 or self._file.git_id
        return self.done == self._file.size_bytes and expected in ("", self._digest.hexdigest())

    def _begin(self) -> None:
        self.done = 0
        if self._file.sha256 or not self._file.git_id:
            self._digest = hashlib.sha256()
        else:
            self._digest = hashlib.sha1(b"blob %d\0" % self._file.size_bytes)

    def _grow(self, count: int) -> None:
        self.done += count
        self._report(self._before + self.done)


def _check_space(folder: Path, offer: Offer, targets: list[Path]) -> None:
    missing = sum(
        file.size_bytes - _present(file, target)
        for file, target in zip(offer.files, targets, strict=True)
    )
    folder.mkdir(parents=True, exist_ok=True)
    if missing:
        advice = "make room, or pull a smaller one"
        check_space(folder, missing + _SPARE, "the rest of the model", advice)


def _present(file: RemoteFile, target: Path) -> int:
    for path in (target, _part(file, target)):
        if path.is_file() and path.stat().st_size <= file.size_bytes:
            return path.stat().st_size
    return 0


def _part(file: RemoteFile, target: Path) -> Path:
    """Where a file grows: named by its content, so that nothing else is ever added to it."""
    return target.with_name(f".{target.name}.{(file.sha256 or file.git_id)[:16]}.part")


def _is_whole(file: RemoteFile, target: Path, report: Report, before: int) -> bool:
    if not target.is_file() or target.stat().st_size != file.size_bytes:
        return False
    with open_file(target) as disk:
        content = _Content(file, disk, report, before)
        content.count()
        return content.is_right


def _fetch(
    repo: Repository, file: RemoteFile, target: Path, report: Report, before: int, tries: int
) -> None:
    part = _part(file, target)
    with cast(BinaryIO, open_to_append(part).detach()) as disk:
        _lock(disk, target)
        content = _Content(file, disk, report, before)
        content.count()
        if content.done > file.size_bytes:
            content.clear()
        _fill(repo, file, content, tries)
        if not content.is_right:
            content.clear()
            name = printable(target.name)
            raise UserError(f"{name} came damaged and was thrown away: pull it again.")
        os.fsync(disk.fileno())
    part.replace(target)
    for other in target.parent.glob(f".{glob.escape(target.name)}.*.part"):
        other.unlink(missing_ok=True)


def _lock(disk: BinaryIO, target: Path) -> None:
    """Keep a second pull of the same file out, as long as this one has its part open."""
    if sys.platform == "win32":
        return
    import fcntl

    try:
        fcntl.flock(disk, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(f"{printable(target.name)} is being pulled already.") from None
    except OSError:
        return  # a file system without locks


def _fill(repo: Repository, file: RemoteFile, content: _Content, tries: int) -> None:
    left = tries
    while content.done < file.size_bytes:
        before = content.done
        with hub_errors(repo.name, repo.endpoint):
            try:
                _receive(repo, file, content)
            except NETWORK_ERROR as error:
                if not _may_pass(error) or (left <= 1 and not content.done):
                    raise
        if content.done < file.size_bytes:
            left = (tries if content.done > before else left) - 1
            if left <= 0:
                raise UserError(
                    f"The connection to {repo.endpoint} broke; {size(content.done)} of "
                    f"{size(file.size_bytes)} are here, and the same command goes on from there."
                )
            time.sleep(min(2.0 ** (tries - left - 1), _LONGEST_PAUSE))


def _receive(repo: Repository, file: RemoteFile, content: _Content) -> None:
    """Ask for what is missing, and append it as it comes."""
    with _answer(repo, file, content.done) as (goes_on, chunks):
        if not goes_on and content.done:
            content.clear()
        for chunk in chunks:
            content.add(chunk)
            if content.done == file.size_bytes:
                return


@contextmanager
def _answer(
    repo: Repository, file: RemoteFile, begin: int
) -> Iterator[tuple[bool, Iterator[bytes]]]:
    """Whether the hub sends the rest from `begin` on, else the whole; and what it sends."""
    url = hf_hub_url(repo.name, file.path, revision=repo.commit, endpoint=repo.endpoint)
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    if begin:
        headers["Range"] = f"bytes={begin}-"
    session = get_session()
    with session.stream(
        "GET", url, headers=headers, timeout=_TIMEOUT, follow_redirects=True
    ) as response:
        hf_raise_for_status(response)
        sent = response.headers.get("Content-Range", "")
        yield sent.startswith(f"bytes {begin}-"), response.iter_raw()


def _may_pass(error: Exception) -> bool:
    """Whether the same request may succeed a moment later."""
    return not isinstance(error, HfHubHTTPError) or error.response.status_code in _BUSY
