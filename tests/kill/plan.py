"""The twenty rounds that are played again and again."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.kill import commands, rounds
from tests.kill.rounds import Home

Round = Callable[[Home, random.Random], None]
ROUNDS: tuple[Round, ...] = (
    rounds.app_in_mid_stream,
    rounds.writers,
    commands.say,
    rounds.migration,
    commands.restored,
    commands.training,
    rounds.app_before_the_first_token,
    commands.imported,
    commands.backup,
    commands.settings,
    rounds.app_in_mid_stream,
    commands.everything_exported,
    rounds.writers,
    commands.exported_adapter,
    commands.say,
    rounds.migration,
    commands.restored,
    commands.training,
    rounds.writers,
    rounds.worker_in_mid_stream,
)
"""The last one waits until the app has swept up what those before it have left."""
