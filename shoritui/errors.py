"""The one exception whose text a user reads.

It knows nothing of where the sentence is shown: the command line, the app and scripts each decide.
"""

from __future__ import annotations


class UserError(Exception):
    """One clear sentence: which file, line or field, what was expected, what to do."""
