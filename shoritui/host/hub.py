"""Where the Hugging Face hub is: asked for before huggingface_hub, which raises as it is imported.

HF_ENDPOINT=https://mirror.example/hf/    https://mirror.example/hf
HF_ENDPOINT=  (or unset)                  https://huggingface.co
"""

from __future__ import annotations

import os
import re
from typing import Final
from urllib.parse import urlsplit

from shoritui.errors import UserError
from shoritui.text import printable

_OWN: Final = "https://huggingface.co"
_ADDRESS: Final = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(/[!\"$->@-~]*)?")
"""Neither a user's name nor a query: what is asked for, and what is said, begins with it."""


def hub_address(given: str | None = None) -> str:
    """Return the address that is given, or the variable HF_ENDPOINT gives, else the hub's own.

    Raises:
        UserError: It is no address. What may be a password in it is not repeated.
    """
    address = (given or os.environ.get("HF_ENDPOINT", "")).strip().rstrip("/") or _OWN
    try:
        host = _ADDRESS.fullmatch(address) and urlsplit(address).hostname
        _ = urlsplit(address).port  # It is looked at only now, and may be none.
    except ValueError:
        host = None
    if host:
        return address
    if re.search("[@?#]", address):
        raise UserError(
            "HF_ENDPOINT holds more than an address: write https://HOST, without a user's name, a "
            "password or a query, and put a token into HF_TOKEN."
        )
    raise UserError(f"HF_ENDPOINT is {printable(address)}: expected https://HOST.")


def check_token() -> None:
    """Raise `UserError` where the variable HF_TOKEN holds what no token is; it is not repeated."""
    token = os.environ.get("HF_TOKEN", "").strip()
    if token and not re.fullmatch("[!-~]+", token):
        raise UserError("HF_TOKEN has characters that no token has: copy it once more.")
