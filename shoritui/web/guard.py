"""Who may look: the secret, the cookie that stands for it, wrong guesses, other sites' pages."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from collections import deque
from hashlib import sha256
from time import monotonic
from typing import Final
from urllib.parse import urlsplit

_GUESSES: Final = 5
"""So many wrong passwords from one address, and ten times as many from all, are looked at"""
_GUESSING_SECONDS: Final = 60.0
"""in so many seconds."""
_MOST_ADDRESSES: Final = 256
_LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def is_loopback(host: str) -> bool:
    """Return whether only programs of this machine reach a server at this host."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.casefold() == "localhost"


class Guard:
    """Lets in whoever knows the secret: a password, or the key in the address that is shown.

    A key is for this machine alone, so that then also the name must be this machine's: a page of
    another site cannot make its own name mean this server.
    """

    def __init__(self, password: str = "") -> None:
        self._secret = _digest(password or (key := secrets.token_urlsafe(16)))
        self.key = "" if password else key
        """What stands in the address; empty where there is a password."""
        self.cookie = secrets.token_urlsafe(32)
        """What a browser shows once it was let in. It ends with the server."""
        self._wrong: dict[str, deque[float]] = {}
        self._all_wrong: deque[float] = deque()

    def opens(self, secret: str, address: str) -> bool | None:
        """Return whether this is the secret; None, unlooked at, after too many wrong ones.

        `address` is whose guess it is.
        """
        mine = self._wrong.get(address, deque())
        if _recent(mine) >= _GUESSES or _recent(self._all_wrong) >= 10 * _GUESSES:
            return None
        if hmac.compare_digest(_digest(secret), self._secret):
            return True
        while len(self._wrong) >= _MOST_ADDRESSES and address not in self._wrong:
            del self._wrong[next(iter(self._wrong))]
        for times in (self._wrong.setdefault(address, mine), self._all_wrong):
            times.append(monotonic())
        return False

    def knows(self, cookie: str) -> bool:
        """Return whether a browser was let in."""
        return hmac.compare_digest(_digest(cookie), _digest(self.cookie))

    def may_be_called(self, host: str) -> bool:
        """Return whether this server may be meant by a `Host` header."""
        return not self.key or _name(host) in _LOCAL_NAMES

    @staticmethod
    def is_own_page(origin: str, host: str) -> bool:
        """Return whether a page of this server asks, by the `Origin` and `Host` headers."""
        try:
            return bool(host) and urlsplit(origin).netloc.casefold() == host.casefold()
        except ValueError:
            return False


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def _recent(times: deque[float]) -> int:
    """Return how many of them are not over yet."""
    while times and times[0] < monotonic() - _GUESSING_SECONDS:
        times.popleft()
    return len(times)


def _name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").casefold()
    except ValueError:
        return ""
