"""The director's actions being played, one after another, and what the app is doing meanwhile.

It does not know what they do; the stage shows their events.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from textual.worker import Worker, WorkerCancelled, WorkerFailed

from shoritui.tui.passage import one_line

if TYPE_CHECKING:
    from shoritui.director import Event
    from shoritui.engine import EngineState
    from shoritui.tui.app import ShoriTUI
    from shoritui.tui.stage import Stage

Act = Callable[[], "AsyncGenerator[Event]"]
_STOP_SECONDS = 3.0


class Playing:
    """Plays actions of the director, at most one at a time."""

    def __init__(self, app: ShoriTUI) -> None:
        self.stage: Stage | None = None
        self._app = app
        self._worker: Worker[None] | None = None
        self._phase = ""
        """What the engine was doing last."""
        self._is_back = True
        """Whether the engine, if its process ended, has come back since."""

    @property
    def is_on(self) -> bool:
        """Whether something is being written or read."""
        return self._worker is not None

    def play(self, *acts: Act) -> None:
        """Plays these, in order."""
        self._worker = self._app.run_worker(self._play(acts), group="playing")
        self._app.main.show_keys()

    async def _play(self, acts: tuple[Act, ...]) -> None:
        # A collection in the middle of a reply would be seen: up to 60 ms in a long story.
        gc.disable()
        try:
            for act in acts:
                async with aclosing(act()) as events:
                    async for event in events:
                        if self.stage is not None:
                            self.stage.show(event)
        finally:
            gc.enable()
            self._worker = None
            if self._app.is_running:
                if self.stage is not None:
                    self.stage.settle()
                self._app.main.show_keys()
                self._app.show_prompt()

    async def stop(self) -> None:
        """Stops the reply being written; what was written stays."""
        worker, director = self._worker, self._app.director
        if worker is None or director is None:
            return
        self.say_now("stopping")
        await director.stop()
        try:
            await asyncio.wait_for(asyncio.shield(worker.wait()), _STOP_SECONDS)
        except (TimeoutError, WorkerCancelled, WorkerFailed):
            worker.cancel()

    # What is happening

    def say_now(self, text: str, *, trouble: bool = False) -> None:
        """What the app is doing, in the status line."""
        status = self._app.main.status
        status.doing = replace(status.doing, now=text, busy=not trouble, trouble=trouble)

    def show_state(self) -> None:
        """The figures of the last turn, and what comes next."""
        session, director = self._app.session, self._app.director
        if session is None or director is None:
            return
        info, figures = session.engine.info, director.figures
        status = self._app.main.status
        status.doing = replace(
            status.doing,
            model=info.path.name.removesuffix(".gguf") if info is not None else "",
            size=info.n_ctx if info is not None else 0,
            mode="" if info is None else "on a server" if info.server else info.context_mode,
            used=figures.context_used,
            reused=figures.reused,
            evaluated=figures.evaluated,
            tokens_per_second=figures.tokens_per_second,
        )
        if not self.is_on:
            self.engine_changed(session.engine.state)

    def engine_changed(self, state: EngineState) -> None:
        """What the engine is doing, where that is news."""
        was, self._phase = self._phase, state.phase
        self._is_back = self._is_back or state.phase == "ready"
        match state.phase:
            case "starting":
                self.say_now(state.message or "starting the model")
            case "loading":
                self.say_now(f"loading the model, {state.progress:.0%}")
            case "restarting":
                self._is_back = False
                self.say_now(state.message or "starting the model again", trouble=True)
                self._app.tell(f"{state.message} It is started again; the story is kept.")
            case "failed":
                self.say_now(state.message, trouble=True)
                if not self._is_back and not self.is_on:
                    self._app.tell(f"{state.message} The next turn tries once more.", trouble=True)
            case "ready" if was == "loading":
                self._app.show_prompt()
            case "ready" if not self.is_on:
                self._say_ready()
            case "evaluating" if not self.is_on and state.progress < 1:
                self._say_quietly(f"reading ahead, {state.progress:.0%}")
            case "generating":
                self._say_writing()

    def _say_ready(self) -> None:
        director = self._app.director
        name = one_line(director.who_next()) if director is not None else ""
        self._say_quietly(f"ready · {name} answers" if name else "ready")

    def _say_quietly(self, text: str) -> None:
        status = self._app.main.status
        status.doing = replace(status.doing, now=text, busy=False, trouble=False)

    def _say_writing(self) -> None:
        last = self._app.story.passages[-1:]
        name = last[0].speaker if last and last[0].status == "streaming" else ""
        self.say_now(f"{name} is writing" if name else "writing")

    def look_for_versions(self) -> None:
        """Finds out, beside everything else, whether the last message has alternatives."""
        self._app.run_worker(self._mark_version(), group="versions")

    async def _mark_version(self) -> None:
        session, last = self._app.session, self._app.story.passages[-1:]
        if session is not None and session.director is not None and last:
            self._app.story.mark_version(last[0].id, await session.version(last[0].id))
