"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

# A busy machine is slow: the clock says nothing about what is true. And a checkout passes or fails
# alike everywhere; `--hypothesis-profile searching` draws new examples each time.
settings.register_profile("patient", deadline=None, derandomize=True)
settings.register_profile("searching", deadline=None)
settings.load_profile("patient")
