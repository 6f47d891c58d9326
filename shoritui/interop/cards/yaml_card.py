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

from shoritui.errors import UserError
from shoritui.text import size

_LARGEST: Final = 1 << 20
"""Bytes; the text of a card is far shorter."""
_DEEPEST: Final = 20
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
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _check(yaml, text, loader)
        found = json.loads(json.dumps(yaml.load(text, loader), default=str, allow_nan=False))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise UserError(f"it looks like a card in YAML, but is not right{where}") from None
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        raise UserError("it looks like a card in YAML, but holds values that none has") from None
    if not isinstance(found, dict):
        raise UserError("it looks like a card in YAML, but is no table")
    return found


def _check(yaml: Any, text: str, loader: Any) -> None:
    """Refuse what would unpack into more than the text itself."""
    depth = 0
    for event in yaml.parse(text, loader):
        if isinstance(event, yaml.AliasEvent):
            raise UserError("it has references (`*name`), which no card needs")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise UserError("it is nested deeper than any card")
