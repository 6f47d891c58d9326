"""The models that could write: those on this machine, and those of servers that run on it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace
from textual import work
from textual.content import Content

from shoritui.engine import LocalServer, ModelInfo, Server, local_servers
from shoritui.errors import UserError
from shoritui.models import Description, Model, describe, found_models, shipped_path
from shoritui.settings import Settings
from shoritui.text import one_line, printable, size
from shoritui.tui.widgets.browser import Browser, Keys
from shoritui.tui.widgets.passage import Passage

_KEY = "it wants an API key: set server and server_key in the settings"


@dataclass(frozen=True, slots=True)
class Offer:
    """A model that can be chosen."""

    name: str
    detail: str
    settings: Settings | None
    """The settings that choose it; None where more is needed."""


class ModelPicker(Browser[Settings | None]):
    """Gives the settings that choose a model. Servers are looked for while it is open."""

    DEFAULT_CSS = """
    ModelPicker > Vertical { max-width: 90; height: 80%; }
    ModelPicker OptionList { width: 1fr; }
    ModelPicker Inside, ModelPicker.-wide Inside { display: none; }
    """

    def __init__(
        self, settings: Settings, servers: Iterable[Settings], current: ModelInfo | None
    ) -> None:
        super().__init__("The model that writes")
        self._settings = settings
        self._current = current
        self._known = {each.server: each for each in servers}
        self._offers: list[Offer] = []
        self._looking = {"models", "servers"}
        self._shipped = Path()
        """Where the model is that ships."""

    async def read(self) -> None:
        """Begin to look; what is found is shown as it comes."""
        self._find_models()
        self._find_servers()

    @work(group="models")
    async def _find_models(self) -> None:
        settings = self._settings
        chosen = Path(settings.model) if settings.model.endswith(".gguf") else None
        self._shipped = await asyncio.to_thread(shipped_path)
        self._found("models", await asyncio.to_thread(lambda: list(_offers_here(settings, chosen))))

    @work(group="models")
    async def _find_servers(self) -> None:
        found = await local_servers()
        urls = {Server(each.url).base for each in found}
        offers = [offer for each in found for offer in _offers_of(each, self._settings)]
        others = [each for url, each in self._known.items() if Server(url).base not in urls]
        offers += [
            Offer(each.server_model or "its model", Server(each.server).shown, each)
            for each in others
        ]
        self._found("servers", offers)

    def _found(self, what: str, offers: list[Offer]) -> None:
        self._looking.discard(what)
        self._offers += offers
        self.fill()

    def fill(self) -> None:
        """Show the models that hold the words."""
        words = self.typed.casefold().split()
        rows = [
            (str(number), self._lines(offer))
            for number, offer in enumerate(self._offers)
            if all(word in f"{offer.name} {offer.detail}".casefold() for word in words)
        ]
        current = next((n for n, each in enumerate(self._offers) if self._is_current(each)), 0)
        self.show_rows(rows, start=str(current))
        frame = self.query_one("Vertical")
        looking = " and ".join(sorted(self._looking))
        frame.border_subtitle = f"looking for {looking} …" if looking else ""

    def _lines(self, offer: Offer) -> list[Content]:
        mark = "● " if self._is_current(offer) else "  "
        return [
            Content.styled(f"{mark}{offer.name}", "bold" if offer.settings else "dim"),
            Content.styled(f"  {offer.detail}", "dim"),
        ]

    def _is_current(self, offer: Offer) -> bool:
        """Return whether this one writes now."""
        info, wanted = self._current, offer.settings
        if info is None or wanted is None or bool(info.server) != bool(wanted.server):
            return False
        if wanted.server:
            is_there = Server(wanted.server).shown == info.server
            return is_there and wanted.server_model in ("", self._settings.server_model)
        return info.path == Path(wanted.model or self._shipped).absolute()

    def hints(self) -> Keys:
        """Return what can be done."""
        return [("⏎", "write with it"), ("esc", "close")]

    async def look(self, row_id: str) -> tuple[list[str], list[Passage]]:
        """Return nothing: all that is known stands in the row."""
        return [], []

    def take(self, row_id: str) -> None:
        """Choose it."""
        settings = self._offers[int(row_id)].settings
        if settings is not None:
            self.dismiss(settings)


def settings_for(settings: Settings, path: Path) -> Settings:
    """Return the settings with a model of this machine; of the one that ships no path is kept."""
    is_shipped = path.resolve() == shipped_path().resolve()
    return replace(settings, model="" if is_shipped else str(path), server="", server_model="")


def settings_at(settings: Settings, url: str, model: str = "") -> Settings:
    """Return the settings with a server's model; a key meant for another server stays behind."""
    key = settings.server_key if settings.server == url else ""
    return replace(settings, server=url, server_model=model, server_key=key)


def _offers_here(settings: Settings, chosen: Path | None) -> Iterator[Offer]:
    for model in found_models(chosen).all:
        try:
            told = describe(model)
        except UserError:  # `shoritui models` says what is wrong with it.
            continue
        if told.kind == "model":
            path = model.path.absolute()
            yield Offer(model.name, _detail(model, told), settings_for(settings, path))


def _detail(model: Model, told: Description) -> str:
    context = f"{told.n_ctx_train:,} tokens" if told.n_ctx_train else ""
    marks = "" if told.block_tokens else "▀ ▄ are several tokens: not made for BlockML"
    facts = (size(model.size_bytes), told.quantisation, context, model.source, marks)
    return " · ".join(filter(None, map(printable, facts)))


def _offers_of(server: LocalServer, settings: Settings) -> Iterator[Offer]:
    where = f"{server.name} · {Server(server.url).shown}"
    if server.wants_key and settings.server != server.url:
        yield Offer(server.name, f"{where} · {_KEY}", None)
    elif not server.models:
        yield Offer(server.name, where, settings_at(settings, server.url))
    for model in server.models:
        yield Offer(one_line(model), where, settings_at(settings, server.url, model))
