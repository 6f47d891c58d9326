"""The config that ships: the model card's five tiers, with its hyperparameters.

It does not know the data, which is the user's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from shoritui.blockml import Block, render_all
from shoritui.finetune.config.model import Config, Prompt, Tier, Train, Watch

_LIGHTHOUSE: Final = (
    Block("title", "The lamp that would not burn"),
    Block("tags", "lighthouse, storm, mystery"),
    Block(
        "description",
        "Mara\nThe keeper of the light at Gull Point: fifty, blunt, kinder than she lets on. She "
        "trusts knots and wicks, and no one from the mainland.",
    ),
    Block(
        "description",
        "Teo\nA clock mender of twenty who came with the mail boat. Curious, quick to laugh, "
        "afraid of heights.",
    ),
    Block(
        "message",
        '"The stairs end here," Teo said, and held on to the rail with both hands. "Is it meant to '
        'be this dark?"',
        "Teo",
        "short",
    ),
)
_APPLES: Final = (
    Block("title", "Nine apples"),
    Block("message", '"Nine apples," Ilse said. "You were to bring ten."', "Ilse", "micro"),
)


def shipped(path: Path) -> Config:
    """The config for a file at `path`."""

    def tier(name: str, rate: float, folder: str, after: str, where: str = "") -> Tier:
        files = (f"data/{folder}/*",)
        return Tier(name, files, after, where, Train(learning_rate=rate))

    return Config(
        path=path,
        tiers=(
            tier("low", 7.25e-5, "low", after=""),
            tier("mid", 5.5e-5, "mid", after="low"),
            tier("high", 3.75e-5, "high", after="mid"),
            tier("top", 3.5e-5, "top", after="high"),
            tier("top-pg13", 3.5e-5, "top", after="high", where="not explicit"),
        ),
        watch=Watch(
            prompts=(
                Prompt("lighthouse", render_all(_LIGHTHOUSE), "Mara"),
                Prompt("apples", render_all(_APPLES), "Bram", "short"),
            )
        ),
    )
