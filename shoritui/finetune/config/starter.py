"""The config that ships: the model card's five tiers, with its hyperparameters."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from shoritui.finetune.config.model import Config, Prompt, Tier, Train, Watch

_LIGHTHOUSE: Final = """\
▀title
The lamp that would not burn▄
▀tags
lighthouse, storm, mystery▄
▀description
Mara
The keeper of the light at Gull Point: fifty, blunt, kinder than she lets on. She trusts knots and \
wicks, and no one from the mainland.▄
▀description
Teo
A clock mender of twenty who came with the mail boat. Curious, quick to laugh, afraid of heights.▄
▀message (length: short)
Teo: "The stairs end here," Teo said, and held on to the rail with both hands. "Is it meant to be \
this dark?"▄
"""
_APPLES: Final = """\
▀title
Nine apples▄
▀message (length: micro)
Ilse: "Nine apples," Ilse said. "You were to bring ten."▄
"""


def shipped(path: Path) -> Config:
    """Return the config for a file at `path`."""

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
                Prompt("lighthouse", _LIGHTHOUSE, "Mara"),
                Prompt("apples", _APPLES, "Bram", "short"),
            )
        ),
    )
