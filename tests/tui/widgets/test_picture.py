"""A card's picture in half blocks, as Sixel, by Kitty's protocol; and files that are none."""

from __future__ import annotations

import io
import logging
import struct
import zlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from textual.app import App, ComposeResult
from textual.drivers.headless_driver import HeadlessDriver
from textual.pilot import Pilot

from shoritui.tui.widgets.graphics import Answers, Graphics, Pictures, TerminalAnswered, Way
from shoritui.tui.widgets.picture import Picture
from tests.tui.conftest import until

RED, BLUE = (200, 0, 0), (0, 0, 200)


class Frame(App[None]):
    """An app with one picture."""

    def __init__(self, graphics: Graphics) -> None:
        super().__init__()
        self.graphics = graphics
        self.picture = Picture()

    def compose(self) -> ComposeResult:
        yield self.picture


@asynccontextmanager
async def shown(
    *paths: Path,
    way: Way = "blocks",
    cell: tuple[int, int] = (10, 20),
    within: tuple[int, int] = (20, 10),
) -> AsyncGenerator[tuple[Frame, Pilot[None]]]:
    """The pictures in at most so many columns and rows."""
    app = Frame(Graphics(way, cell))
    async with app.run_test(size=(80, 24)) as pilot:
        asked: list[bool] = []

        def find() -> Sequence[Path]:
            asked.append(True)
            return paths

        app.picture.show(find, *within)
        await until(pilot, lambda: asked and not app.picture.workers)
        yield app, pilot


def cells(app: App[Any]) -> list[list[tuple[str, Any, Any]]]:
    """The rows of the screen: each piece of text with its colours."""
    return [
        [
            (text, style and style.color and style.color.triplet, style and style.bgcolor)
            for text, style, _ in strip
        ]
        for strip in app.screen._compositor.render_strips()
    ]


def saved(path: Path, size: tuple[int, int], upper: Any = RED, lower: Any = BLUE) -> Path:
    """A picture of two halves."""
    image = Image.new("RGB", size, upper)
    image.paste(lower, (0, size[1] // 2, *size))
    image.save(path)
    return path


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
async def test_a_half_block_is_two_pixels(tmp_path: Path, suffix: str) -> None:
    async with shown(saved(tmp_path / f"a{suffix}", (40, 40)), within=(20, 1)) as (app, _):
        ((text, upper, lower), *_), *_ = cells(app)
        assert text.startswith("▀") and app.picture.size == (2, 1)
        assert upper.red > 150 > upper.blue and lower.triplet.blue > 150 > lower.triplet.red


@pytest.mark.parametrize(
    ("size", "cells"),
    [((400, 400), (20, 10)), ((200, 400), (10, 10)), ((400, 200), (20, 5)), ((9000, 3), (20, 1))],
)
async def test_a_picture_keeps_its_shape(
    tmp_path: Path, size: tuple[int, int], cells: tuple[int, int]
) -> None:
    async with shown(saved(tmp_path / "a.png", size)) as (app, _):
        assert app.picture.size == cells


async def test_pictures_stand_side_by_side_and_share_the_room(tmp_path: Path) -> None:
    two = [saved(tmp_path / f"{name}.png", (300, 300)) for name in "ab"]
    async with shown(*two) as (app, _):
        assert app.picture.size == (17, 4)
    async with shown(*two * 9) as (app, _):
        assert app.picture.size.width <= 20


async def test_what_is_transparent_shows_the_background(tmp_path: Path) -> None:
    Image.new("RGBA", (40, 40), (255, 0, 0, 0)).save(tmp_path / "a.png")
    async with shown(tmp_path / "a.png") as (app, _):
        ((_, upper, _), *_), *_ = cells(app)
        assert tuple(upper) == app.picture.background_colors[1].rgb


async def test_sixel_is_drawn_row_by_row(tmp_path: Path) -> None:
    picture = saved(tmp_path / "a.png", (400, 400))
    async with shown(picture, way="sixel", cell=(8, 16)) as (app, _):
        strips = app.picture.render_lines(app.picture.size.region)
        commands = [strip._segments[-1].text for strip in strips]
        assert app.picture.size == (20, 10) and {strip.cell_length for strip in strips} == {20}
        assert all(each.startswith('\x1b7\x1b[20D\x1bP0;0;0q"1;1;160;16') for each in commands)
        assert all(each.endswith("\x1b\\\x1b8") for each in commands)


async def test_kitty_is_told_where_each_part_stands(tmp_path: Path) -> None:
    async with shown(saved(tmp_path / "a.png", (400, 400)), way="kitty") as (app, _):
        strips = app.picture.render_lines(app.picture.size.region)
        assert app.picture.size == (20, 10)
        assert strips[2].text.startswith("\U0010eeee\u030e\u0305\U0010eeee\u030e\u030d")
        assert {strip.text.count("\U0010eeee") for strip in strips} == {20}


async def test_pictures_come_and_go_with_the_files(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", (400, 400))
    async with shown(path) as (app, pilot):
        assert app.picture.display
        path.unlink()
        app.picture.fit(20, 10)
        await until(pilot, lambda: not app.picture.display)
        saved(path, (400, 400))
        app.picture.fit(20, 10)
        await until(pilot, lambda: app.picture.display)
        app.graphics = Graphics("none")
        app.picture.paint()
        await until(pilot, lambda: not app.picture.display)


def chunk(kind: bytes, data: bytes) -> bytes:
    crc = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


def png_of(width: int, height: int, *chunks: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"".join([b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", head), *chunks, chunk(b"IEND", b"")])


def jpeg_in_passes(count: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), RED).save(file, "JPEG", progressive=True)
    data = file.getvalue()
    scan = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + scan * count + data[-2:]


BROKEN = {
    "empty": b"",
    "text": b"not a picture at all",
    "cut": png_of(64, 64, chunk(b"IDAT", b"x\x9c")),
    "huge": png_of(60_000, 60_000, chunk(b"IDAT", zlib.compress(b""))),
    "large": png_of(6_000, 6_000, chunk(b"IDAT", zlib.compress(bytes(18_006) * 6_000))),
    "no size": png_of(0, 0),
    "passes": jpeg_in_passes(2_000),
    "chunks": png_of(8, 8, *[chunk(b"tEXt", b"")] * 30_000),
    "heavy": png_of(8, 8, chunk(b"tEXt", bytes(65 << 20))),
    "gif": b"GIF89a" + bytes(50),
}


@pytest.mark.parametrize("kind", BROKEN)
async def test_a_broken_file_is_no_picture_and_the_log_says_why(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(BROKEN[kind])
    caplog.set_level(logging.INFO, "shoritui")
    async with shown(path) as (app, _):
        assert not app.picture.display
    assert f"{path} is not shown as a picture: " in caplog.text


async def test_a_picture_shows_however_large_the_card_in_it_is(tmp_path: Path) -> None:
    picture = saved(tmp_path / "a.png", (400, 400)).read_bytes()
    words = chunk(b"zTXt", b"chara\0\0" + zlib.compress(bytes(80_000_000)))
    (tmp_path / "a.png").write_bytes(picture[:33] + words + picture[33:])
    async with shown(tmp_path / "a.png") as (app, _):
        assert app.picture.size == (20, 10)


async def test_a_broken_file_leaves_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no")
    async with shown(tmp_path / "a.png", saved(tmp_path / "b.png", (400, 400))) as (app, _):
        assert app.picture.size == (20, 10)


SIXEL, NONE = TerminalAnswered(sixel=True), TerminalAnswered(sixel=False)


@pytest.mark.parametrize(
    ("answers", "wanted", "no_colour", "way"),
    [
        ([], "auto", False, "blocks"),
        ([NONE], "auto", False, "blocks"),
        ([SIXEL], "auto", False, "sixel"),
        ([SIXEL], "blocks", False, "blocks"),
        ([SIXEL], "off", False, "none"),
        ([SIXEL], "auto", True, "none"),
    ],
)
def test_pictures_are_drawn_as_the_terminal_can_and_the_user_wants(
    answers: list[TerminalAnswered], wanted: Pictures, no_colour: bool, way: Way
) -> None:
    told = Answers()
    for answer in answers:
        told.take(answer)
    assert told.graphics(wanted, no_colour=no_colour).way == way


def test_a_cell_is_as_large_as_the_terminal_says() -> None:
    told = Answers()
    told.take(TerminalAnswered(cell=(7, 15)))
    told.take(SIXEL)
    assert told.graphics("auto", no_colour=False) == Graphics("sixel", (7, 15))


async def test_only_a_terminal_is_asked() -> None:
    app = Frame(Graphics())
    async with app.run_test():
        told = Answers()
        assert isinstance(app._driver, HeadlessDriver)
        told.ask(app._driver, {"TERM": "xterm-kitty"})
        assert told.graphics("auto", no_colour=False).way == "blocks"
