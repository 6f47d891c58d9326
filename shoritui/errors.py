"""The one exception whose text a user reads, on the command line and in the app; and what to say
where it is Python that lacks a package, without which hardly anything else can be imported.
"""

from __future__ import annotations

import sys
from typing import Final

_DISTRIBUTIONS: Final = {"llama_cpp": "llama-cpp-python", "PIL": "pillow", "yaml": "pyyaml"}
"""The packages that are not installed by the name they are imported by."""


class UserError(Exception):
    """One clear sentence: which file, line or field, what was expected, what to do."""


def lacking(error: BaseException) -> str:
    """Return which package of those ShoriTUI needs cannot be imported, and what installs it.

    Empty where that is not what has failed.
    """
    if not isinstance(error, ImportError):
        return ""
    import re
    import shlex
    from importlib.metadata import PackageNotFoundError, requires

    module = (error.name or "").partition(".")[0]
    name = _DISTRIBUTIONS.get(module, module.replace("_", "-"))
    try:
        needed = [each for each in requires("shoritui") or () if "extra ==" not in each]
    except PackageNotFoundError:  # it runs from a folder
        return ""
    for each in needed:
        if re.match(rf"{re.escape(name)}(?![\w.-])", each):
            is_there = not isinstance(error, ModuleNotFoundError) or error.name != module
            state = "is damaged, or of another version" if is_there else "is not installed"
            again = " --force-reinstall --no-deps" if is_there else ""
            pip = f"{shlex.quote(sys.executable)} -m pip install{again} {shlex.quote(each)}"
            return f"{name}, which ShoriTUI needs, {state}: {pip} installs it."
    return ""
