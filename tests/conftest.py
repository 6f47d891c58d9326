"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

from tests import smollm2

smollm2.hide()

# A busy machine is slow: the clock says nothing about what is true. And a checkout passes or fails
# alike everywhere; `--hypothesis-profile searching` draws new examples each time, `thorough` many.
settings.register_profile("patient", deadline=None, derandomize=True)
settings.register_profile("searching", deadline=None)
settings.register_profile("thorough", deadline=None, max_examples=1_000)
settings.load_profile("patient")
