"""The tokens of a block: their ids; of a message also how likely each is, and what else could stand
there, from which the message can be written anew.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from shoritui.errors import UserError
from shoritui.tui.chat.inspect.token_flow import TokenFlow, shown
from shoritui.tui.widgets.chooser import Framed
from shoritui.tui.widgets.row_list import RowList, Words

if TYPE_CHECKING:
    from shoritui.director import Inspector
    from shoritui.engine import SampledToken, TokenLogprob

_END = "▄"
"""The token that ends a message."""
_PART = "\ufffd"
"""What stands in a token's text for a part of a character."""
_INKS = ((0.5, "likely"), (0.1, "possible"), (0.01, "unlikely"), (0.0, "surprising"))
"""The ink of a token that is at least so likely."""


@dataclass(frozen=True, slots=True)
class Branch:
    """Another way for a message to go on."""

    entry_id: int
    begun: str
    """Its text up to there, with the other token's."""
    is_end: bool
    """Whether it ends there."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What is shown: a block's ids, or a message of the story."""

    title: str
    ids: Sequence[int] | None
    entry_id: int | None
    """The message, whose tokens have likelihoods."""


class TokenScreen(Framed[Branch | None]):
    """Gives another way for the message to go on, or nothing after Escape."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", show=False),
        Binding("enter", "take", show=False, priority=True),
        Binding("left,h", "token(-1)", show=False, priority=True),
        Binding("right,l", "token(1)", show=False, priority=True),
        Binding("up,k", "row(-1)", show=False, priority=True),
        Binding("down,j", "row(1)", show=False, priority=True),
        Binding("pageup", "row(-10)", show=False, priority=True),
        Binding("pagedown", "row(10)", show=False, priority=True),
        Binding("home", "token(-1000000)", show=False, priority=True),
        Binding("end", "token(1000000)", show=False, priority=True),
        Binding("tab", "other(1)", show=False, priority=True),
        Binding("shift+tab", "other(-1)", show=False, priority=True),
        Binding("n", "surprise(1)", show=False),
        Binding("N", "surprise(-1)", show=False),
    ]
    DEFAULT_CSS = """
    TokenScreen > Vertical { width: 94%; max-width: 120; height: 90%; }
    TokenScreen #token { height: auto; padding: 0 1; margin: 1 0 0 0; color: $foreground; }
    TokenScreen RowList { height: 11; margin: 1 0 0 0; }
    """

    def __init__(self, inspector: Inspector, tokens: Tokens) -> None:
        super().__init__()
        self._inspector = inspector
        self._shown = tokens
        self.likelihoods: Sequence[SampledToken] = ()
        self._pieces: list[tuple[int | None, str]] = []
        """Each token's id and text."""
        self.flow = TokenFlow()
        self.others = RowList(self._other_words)
        self.about = Static(id="token")
        self._frame = Vertical()  # held: the tokens may come when the screen is closed

    def compose(self) -> ComposeResult:
        """The tokens, the one that is pointed at, and what else could stand there."""
        with self._frame as frame:
            frame.border_title = Content(self._shown.title)
            frame.border_subtitle = "←→↑↓ token · esc close"
            yield self.flow
            yield self.about
            yield self.others

    def on_mount(self) -> None:
        """Ask for the tokens."""
        self.others.display = False
        self.about.update(Content("reading …"))
        self.watch(self.flow, "cursor", self._show_token, init=False)
        self._read()

    @work(exclusive=True)
    async def _read(self) -> None:
        problem = ""
        try:
            if self._shown.entry_id is not None:
                self.likelihoods = await self._inspector.likelihoods(self._shown.entry_id)
                told = [each.token for each in self.likelihoods]
                self._pieces = [(token.id, token.text) for token in told]
        except UserError as error:
            problem = str(error)
        if not self.likelihoods and self._shown.ids is not None:
            try:
                texts = await self._inspector.pieces(self._shown.ids)
                self._pieces = list(zip(self._shown.ids, texts, strict=True))
            except UserError as error:
                problem = problem or str(error)
        if not self._pieces:
            self.about.update(Content(problem or "The server does not tell these tokens."))
            return
        self.others.display = bool(self.likelihoods)
        if self.likelihoods:
            self._frame.border_subtitle = (
                "←→↑↓ token · n surprising one · tab other · ⏎ go on with it · esc close"
            )
        inks = [ink_of(each.token.logprob) for each in self.likelihoods]
        # Without likelihoods, two inks by turns show where a token ends.
        inks = inks or ["likely" if at % 2 else "possible" for at in range(len(self._pieces))]
        self.flow.show([(text, ink) for (_, text), ink in zip(self._pieces, inks, strict=True)])
        self._show_token()

    def _show_token(self) -> None:
        if not self._pieces:
            return
        id_, text = self._pieces[self.flow.cursor]
        words = f"token {self.flow.cursor + 1:,} of {len(self._pieces):,}"
        words += f" · id {id_}" if id_ is not None else ""
        words += f" · “{shown(text)}”"
        if self.likelihoods:
            words += f" · {percent(self.likelihoods[self.flow.cursor].token.logprob)} likely"
            top = self.likelihoods[self.flow.cursor].top
            others = [at for at, each in enumerate(top) if each.id != id_]
            self.others.show(len(top), others[0] if others else 0)
        self.about.update(Content(words))

    def _other_words(self, row: int) -> Words:
        here = self.likelihoods[self.flow.cursor]
        other = here.top[row]
        is_it = other.id == here.token.id
        if is_it:
            said = "stands there"
        elif other.text == _END:
            said = "ends the message there"
        else:
            said = "" if self._begun(other) is not None else "part of a character"
        return [
            ("● " if is_it else "  ", "title"),
            (f"{percent(other.logprob):>7}  ", ink_of(other.logprob)),
            (f"“{shown(other.text)}”".ljust(24), ""),
            (f"{other.id if other.id is not None else '':>8}  ", "info"),
            (said, "info"),
        ]

    def _begun(self, other: TokenLogprob) -> str | None:
        """Return the message up to this place with another token; None where that is no text."""
        from shoritui.director import begun_with

        at = self.flow.cursor
        is_inside = at > 0 and not self.likelihoods[at - 1].token.text
        if is_inside or not other.text or _PART in other.text:
            return None
        if other.text == _END:
            return begun_with(self.likelihoods, at, "")
        return (
            None
            if "▀" in other.text or _END in other.text
            else begun_with(self.likelihoods, at, other.text)
        )

    def action_take(self) -> None:
        """Let the message go on with the highlighted token."""
        if not self.likelihoods or self._shown.entry_id is None:
            return
        here = self.likelihoods[self.flow.cursor]
        other = here.top[self.others.highlighted]
        begun = self._begun(other)
        if begun is not None and begun.strip() and other.id != here.token.id:
            self.dismiss(Branch(self._shown.entry_id, begun, other.text == _END))

    def action_token(self, tokens: int) -> None:
        """Point at another token."""
        self.flow.move(tokens)

    def action_row(self, rows: int) -> None:
        """Point at a token in another row."""
        self.flow.move_rows(rows)

    def action_other(self, rows: int) -> None:
        """Highlight another of those that could stand there, from the last to the first."""
        if self.likelihoods:
            count = len(self.likelihoods[self.flow.cursor].top)
            self.others.highlighted = (self.others.highlighted + rows) % count

    def action_surprise(self, step: int) -> None:
        """Point at the next token that was not likely."""
        at = self.flow.cursor + step
        while 0 <= at < len(self.likelihoods):
            if ink_of(self.likelihoods[at].token.logprob) in ("unlikely", "surprising"):
                self.flow.cursor = at
                return
            at += step


def percent(logprob: float) -> str:
    """Return a probability as people read it."""
    share = math.exp(logprob)
    return f"{share:.1%}" if share >= 0.001 else "<0.1%"


def ink_of(logprob: float) -> str:
    """Return the ink of a token that is so likely."""
    return next(ink for least, ink in _INKS if math.exp(logprob) >= least)
