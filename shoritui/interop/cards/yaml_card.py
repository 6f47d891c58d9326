"""Cards of text-generation-webui: YAML with a name, a greeting and a context.

name: Orla
greeting: Mind the step.
context: |
  Orla keeps the light.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from shoritui.bounded import Malformed, read_json, read_yaml
from shoritui.errors import UserError
from shoritui.text import size

_LARGEST: Final = 1 << 20
"""Bytes; the text of a card is far shorter."""
_NAME: Final = re.compile(r"^name[ \t]*:", re.MULTILINE)
_SIGN: Final = re.compile(r"^(?:context|greeting)[ \t]*:", re.MULTILINE)


def looks_like_yaml(text: str) -> bool:
    """Return whether a text has the keys of such a card at the beginning of lines."""
    return bool(_NAME.search(text) and _SIGN.search(text))


def values_of_yaml(text: str) -> dict[str, Any]:
    """Return the values in YAML, as JSON has them: dates are texts, and so are all keys.

    Raises:
        UserError: It is no YAML, no table, or what no card needs: references, deep nesting.
    """
    if len(text) > _LARGEST:
        raise UserError(f"a card in YAML has at most {size(_LARGEST)}")
    try:
        found = read_json(json.dumps(read_yaml(text), default=str))
    except Malformed as error:
        raise UserError(f"it looks like a card in YAML, but {error}") from None
    except (ValueError, TypeError):
        raise UserError("it looks like a card in YAML, but holds values that none has") from None
    if not isinstance(found, dict):
        raise UserError("it looks like a card in YAML, but is no table")
    return found
