"""What holds for all tests."""

from __future__ import annotations

import signal

from hypothesis import settings

from tests import smollm2

smollm2.hide()

# A busy machine is slow: the clock says nothing about what is true. And a checkout passes or fails
# alike everywhere; `--hypothesis-profile searching` draws new examples each time, `thorough` many.
settings.register_profile("patient", deadline=None, derandomize=True)
settings.register_profile("searching", deadline=None)
settings.register_profile("thorough", deadline=None, max_examples=1_000)
settings.load_profile("patient")

# A run started in the background ignores Ctrl+C (under nohup SIGHUP, too), and so would every
# program that the tests start and then stop with them.
for _name, _handler in (
    ("SIGINT", signal.default_int_handler),
    ("SIGHUP", signal.SIG_DFL),
    ("SIGQUIT", signal.SIG_DFL),
):
    if hasattr(signal, _name) and signal.getsignal(getattr(signal, _name)) is signal.SIG_IGN:
        signal.signal(getattr(signal, _name), _handler)
