"""The length guide of a chat's replies: when there is one, and how it leads to a hint.

added to the
end's score                        ╱  sure: by the end of the next longer range a reply ends
 +10 ┤                          ╱     wherever a sentence does
  +4 ┤           ╭───────────╱        led: at the next place where the model could well end
   0 ┼───────────│─────────────────   tokens
  -12 ┤___________│                   held: only a model that is quite sure ends
                aim
"""

from __future__ import annotations

from typing import Final

from shoritui.blockml import LENGTHS, Length, token_range
from shoritui.director.chat_state import ChatState
from shoritui.director.length_table import LengthTable
from shoritui.engine import NO_GUIDE, AnyEngine, LengthGuide, ModelInfo
from shoritui.settings import GuideSetting

_HELD: Final = -12.0
_LED: Final = 4.0
_SURE: Final = 10.0
_EDGE: Final = 4
"""The rise from held to led takes this part of the aim."""
_NO_END: Final = (
    "The length guide cannot be used with this model: in its vocabulary, the end of a block begins "
    "as other text does."
)


class LengthGuides:
    """Makes the guide of each reply of one chat, where it has one."""

    def __init__(self, chat: ChatState, engine: AnyEngine) -> None:
        self._chat = chat
        self._engine = engine
        self._known: tuple[ModelInfo, LengthTable | None] | None = None

    @property
    def table(self) -> LengthTable | None:
        """What is known of the lengths of the model in use; None if nothing is."""
        info = self._engine.info
        if info is None:
            return None
        if self._known is None or self._known[0] is not info:
            self._known = info, LengthTable.read(info)
        return self._known[1]

    @property
    def obstacle(self) -> str:
        """Why the model in use cannot be led, in a sentence; empty if it can."""
        info = self._engine.info
        if info is None or info.leads_end:
            return ""
        return NO_GUIDE if info.server else _NO_END

    @property
    def is_on(self) -> bool:
        """Whether replies are led."""
        info = self._engine.info
        return info is not None and is_led(info, self._chat.length_guide, self.table)

    def guide(self, length: Length | None, most: int, begun: int = 0) -> LengthGuide | None:
        """Return what leads a reply of at most so many tokens, some of which are written already.

        None where it is not led.
        """
        if length is None or not self.is_on:
            return None
        aim = (self.table or LengthTable()).aim(length)
        return LengthGuide(points(length, aim, most), begun)


def is_led(info: ModelInfo, chosen: GuideSetting, table: LengthTable | None) -> bool:
    """Return whether a model's replies are led where this is chosen; `table` is what is known."""
    if chosen == "auto":
        return info.leads_end and table is not None and not table.obeys
    return info.leads_end and chosen == "on"


def points(length: Length, aim: int, most: int) -> tuple[tuple[int, float], ...]:
    """Return what is added to the end's score after how many tokens; `most` are its limit."""
    longer = LENGTHS[min(LENGTHS.index(length) + 1, len(LENGTHS) - 1)]
    end = max(min(token_range(longer)[1], most), 3)
    aim = min(aim, 3 * end // 4)  # The limit may come before what the hint stands for.
    return (aim - max(aim // _EDGE, 1), _HELD), (aim, _LED), (end, _SURE)
