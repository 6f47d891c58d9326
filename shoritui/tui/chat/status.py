"""The status line: what the engine is doing, and the figures of the last turn."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rich.cells import cell_len

from shoritui.text import counted, one_line

if TYPE_CHECKING:
    from textual.timer import Timer

    from shoritui.engine import EngineState
    from shoritui.tui.chat.app_protocol import Host


_AROUND = 4
"""Cells of the status line that are not words."""


class Status:
    """Turns the engine's states into words."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._phase = ""
        """What the engine was doing last."""
        self._is_back = True
        """Whether the engine, if its process ended, has come back since."""
        self.news = ""
        """What was told last."""
        self._told: Timer | None = None

    def tell(self, sentence: str, seconds: float) -> bool:
        """Say this in place of what is happening; return False where it does not fit."""
        main = self._host.main
        if cell_len(sentence) + _AROUND > main.size.width or not main.is_current:
            return False
        self.news = sentence
        main.status.doing = replace(main.status.doing, news=sentence)
        if self._told is not None:
            self._told.stop()
        self._told = main.set_timer(seconds, self._forget)
        return True

    def _forget(self) -> None:
        line = self._host.main.status
        line.doing = replace(line.doing, news="")

    def show(self) -> None:
        """Show the model, the figures of the last turn, and what comes next."""
        session, director = self._host.session, self._host.director
        if session is None:
            return
        info, line = session.engine.info, self._host.main.status
        line.doing = replace(
            line.doing,
            model=info.path.name.removesuffix(".gguf") if info is not None else "",
            size=info.n_ctx if info is not None else 0,
            mode="" if info is None else "on a server" if info.server else info.context_mode,
        )
        if director is not None:
            figures = director.figures
            line.doing = replace(
                line.doing,
                used=figures.context_used,
                reused=figures.reused,
                evaluated=figures.evaluated,
                tokens_per_second=figures.tokens_per_second,
                repeated=director.repetition,
            )
        if not self._host.performance.is_on:
            self.follow(session.engine.state)
            if self._host.performance.note:
                self._host.main.say(self._host.performance.note, busy=False)

    def follow(self, state: EngineState) -> None:
        """Say what the engine is doing, where that is news."""
        was, self._phase = self._phase, state.phase
        self._is_back = self._is_back or state.phase == "ready"
        is_on, main = self._host.performance.is_on, self._host.main
        match state.phase:
            case "starting":
                main.say(state.message or "starting the model")
            case "loading":
                main.say(f"loading the model, {state.progress:.0%}")
            case "restarting":
                self._is_back = False
                main.say(state.message or "starting the model again", trouble=True)
                self._host.report(f"{state.message} It is started again; the story is kept.")
            case "silent":
                sentence = "The model's process does not answer"
                main.say(sentence, trouble=True)
                self._host.report(f"{sentence}: Escape starts it again.", trouble=True)
            case "failed":
                main.say(state.message, trouble=True)
                if not self._is_back and not is_on:
                    again = f"{state.message} The next turn tries once more."
                    self._host.report(again, trouble=True)
            case "ready" if was == "loading":
                self._host.show_choices()
            case "ready" if not is_on:
                main.say(self._ready(), busy=False)
            case "evaluating" if not is_on and state.progress < 1:
                note = self._host.performance.note
                main.say(note or f"reading ahead, {state.progress:.0%}", busy=False)
            case "generating":
                main.say(self._writing())

    def show_writing(self) -> None:
        """Show how the reply gets on that is being written."""
        director, line = self._host.director, self._host.main.status
        if director is not None and director.busy and self._phase == "generating":
            line.doing = replace(
                line.doing,
                repeated=director.repetition,
                tokens_per_second=self._host.performance.tokens_per_second,
            )
            self._host.main.say(self._writing())

    def _writing(self) -> str:
        name, director = self._host.performance.writing, self._host.director
        state = (director.state if director is not None else "") or "writing"
        words = [f"{name} is {state}" if name else state]
        if seconds := self._host.performance.seconds:
            words.append(f"{seconds} s")
        if director is not None and director.is_auto and director.turns_left > 1:
            words.append(f"{counted(director.turns_left - 1, 'more turn')} by themselves")
        return " · ".join(words)

    def _ready(self) -> str:
        if self._host.performance.note:
            return self._host.performance.note
        director = self._host.director
        name = one_line(director.chat.who_next()) if director is not None else ""
        return f"ready · {name} answers" if name else "ready"
