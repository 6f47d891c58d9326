"""The one exception whose text a user reads, on the command line and in the app."""

from __future__ import annotations


class UserError(Exception):
    """One clear sentence: which file, line or field, what was expected, what to do."""
