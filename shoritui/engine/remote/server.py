"""Where a server is and how it is asked: its address in whatever form people copy it, its key."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import SplitResult, unquote, urlsplit

from shoritui.errors import UserError
from shoritui.text import shown_address


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs the model. A bad address: `UserError`."""

    url: str
    """Its address, with or without `http://` and `/v1`."""
    model: str = ""
    """The model to ask for; "" takes the one that it has."""
    key: str = field(default="", repr=False)
    """The API key; "" sends none."""
    n_ctx: int = 0
    """The most tokens of its context to use; 0 takes what it tells."""

    def __post_init__(self) -> None:
        self._parts()
        if not (self.key.isascii() and self.key.isprintable()):
            raise UserError("The API key has characters that no key has: copy it once more.")

    @property
    def base(self) -> str:
        """The address that the routes are appended to, without `/v1`."""
        parts = self._parts()
        path = parts.path.rstrip("/").removesuffix("/completions").removesuffix("/v1")
        return f"{parts.scheme}://{parts.netloc}{path}"

    @property
    def shown(self) -> str:
        """The address for people: without a user's name or password in it."""
        parts = self._parts()
        return self.base.replace(parts.netloc, parts.netloc.rpartition("@")[2], 1)

    @property
    def is_here(self) -> bool:
        """Whether it runs on this machine, so that nobody else sees what is sent."""
        host = self._parts().hostname or ""
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return host == "localhost" or host.endswith(".localhost")

    @property
    def shows_key(self) -> bool:
        """Whether the key can be read on its way."""
        return bool(self.key) and self._parts().scheme == "http" and not self.is_here

    def hidden(self, text: str) -> str:
        """Return a text that the server wrote without the key or the password, if it echoes them.

        It is shown to people.
        """
        parts = self._parts()
        user, _, password = parts.netloc.rpartition("@")[0].partition(":")
        plain = f"{unquote(user)}:{unquote(password)}"
        login = b64encode(plain.encode()).decode().rstrip("=") if user else ""
        for secret in (self.key, password, unquote(password), login):
            if secret:
                text = text.replace(secret, "…")
        return text

    def _parts(self) -> SplitResult:
        url = self.url.strip()
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            good = parts.scheme in ("http", "https") and bool(parts.hostname)
            good = good and "@" not in parts.path  # the rest of a password with a slash in it
            _ = parts.port  # It is looked at only now, and may be none.
        except ValueError:
            good = False
        if not good or not url.isprintable():
            raise UserError(
                f"{shown_address(url)!r} is no server's address: expected one like "
                "http://localhost:8080."
            )
        return parts
