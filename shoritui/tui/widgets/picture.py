"""A card's picture: read, scaled and painted in a thread, drawn as well as the terminal can.

    kitty     the picture is sent once; cells with a special character say where each part of it is
    sixel     each row of cells ends with a command that draws a strip of the picture over it
    blocks    ▀ in two colours is two pixels

A file that is no picture, or one too large, is no picture here: the log says why.
"""

from __future__ import annotations

import asyncio
import logging
from base64 import b64encode
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from io import BytesIO
from itertools import count, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from rich.color import Color as RichColor
from rich.color_triplet import ColorTriplet
from rich.segment import ControlType, Segment
from rich.style import Style
from textual import work
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from shoritui.files import open_file
from shoritui.tui.widgets.graphics import Graphics

if TYPE_CHECKING:
    from PIL.Image import Image

Find = Callable[[], Sequence[Path]]
"""Finds the pictures to show; called in a thread."""
Colour = tuple[int, int, int]

_FORMATS: Final = ("PNG", "JPEG", "WEBP")
_MOST_BYTES: Final = 64 << 20
"""A file of a card may hold much more than its picture."""
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_SEEN: Final = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_MOST_CHUNKS: Final = 20_000
_MOST_PIXELS: Final = 25_000_000
_MOST_DETAIL: Final = (1024, 1024)
"""What is kept of a picture, in pixels."""
_MOST_SCANS: Final = 100
"""A JPEG in so many passes was made to keep its reader busy; others have about ten."""
_SCAN: Final = b"\xff\xda"
_MOST_PICTURES: Final = 4
"""So many stand side by side."""
_MOST_CELLS: Final = 60
"""A picture is no wider and no higher."""
_GAP: Final = 1
"""The columns between two pictures."""
_BLOCK: Final = (1, 2)
"""The pixels of a cell of half blocks."""
_NO_TEXT: Final = [(ControlType.CURSOR_FORWARD, 0)]
"""Marks a segment as a command, which takes no cells."""

# Kitty's Unicode placeholders: https://sw.kovidgoyal.net/kitty/graphics-protocol
_PLACEHOLDER: Final = "\U0010eeee"
_NUMBERS: Final = tuple(
    map(
        chr,
        (
            *(0x305, 0x30D, 0x30E, 0x310, 0x312, 0x33D, 0x33E, 0x33F, 0x346, 0x34A, 0x34B, 0x34C),
            *(0x350, 0x351, 0x352, 0x357, 0x35B, *range(0x363, 0x370), *range(0x483, 0x488)),
            *(0x592, 0x593, 0x594, 0x595, 0x597, 0x598, 0x599, 0x59C, 0x59D, 0x59E, 0x59F, 0x5A0),
            *(0x5A1, 0x5A8, 0x5A9, 0x5AB, 0x5AC, 0x5AF, 0x5C4, *range(0x610, 0x618)),
        ),
    )
)
"""The marks above a placeholder that say its row and its column in the picture."""
_FIRST_ID, _IDS = 16, 240
"""A picture's number is the colour of its placeholders, one of the 256 that no theme changes."""
_KITTY_CHUNK: Final = 4096
_log = logging.getLogger(__name__)
_ids = count()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be painted, and into how many cells at most."""

    find: Find
    columns: int
    rows: int


@dataclass(frozen=True, slots=True)
class Painted:
    """A picture ready to be drawn: its rows, and what the terminal is sent before and after."""

    key: object = None
    strips: tuple[Strip, ...] = ()
    arrive: str = ""
    leave: str = ""
    has_commands: bool = False

    @property
    def size(self) -> Size:
        """How many cells it takes."""
        return Size(self.strips[0].cell_length if self.strips else 0, len(self.strips))


class Picture(Widget):
    """One picture, or a few side by side; nothing where there is none."""

    can_focus = False
    ALLOW_SELECT = False
    DEFAULT_CSS = "Picture { width: auto; height: auto; display: none; }"

    def __init__(self) -> None:
        super().__init__()
        self._wanted: Wanted | None = None
        self._painted = Painted()

    def show(self, find: Find, columns: int, rows: int) -> None:
        """Show these pictures in at most so many cells, as soon as they are read."""
        self._wanted = Wanted(find, columns, rows)
        if self.is_mounted:
            self.paint()

    def fit(self, columns: int, rows: int) -> None:
        """Show the same in at most so many cells."""
        if self._wanted is not None:
            self.show(self._wanted.find, columns, rows)

    def on_mount(self) -> None:
        """Paint, now and in each theme."""
        self.watch(self.app, "theme", self._paint_later, init=False)
        self.paint()

    def _paint_later(self) -> None:
        self.call_after_refresh(self.paint)  # when the new background is known

    @work(exclusive=True, group="picture")
    async def paint(self) -> None:
        """Paint once more: the terminal, the theme or the settings changed."""
        wanted = self._wanted
        if wanted is None or min(wanted.columns, wanted.rows) < 1:  # or nothing is laid out yet
            return
        graphics: Graphics = getattr(self.app, "graphics", Graphics())
        background = self.background_colors[1].rgb
        call = partial(_paint, wanted, graphics, background, self._painted)
        painted = await asyncio.get_running_loop().run_in_executor(_painter(), call)
        if painted is not self._painted:
            self._take(painted)

    def _take(self, painted: Painted) -> None:
        self._send(self._painted.leave + painted.arrive)
        self._painted = painted
        self.display = bool(painted.strips)
        self.refresh(layout=True)

    def on_unmount(self) -> None:
        """The terminal need not remember the picture."""
        self._send(self._painted.leave)

    def _send(self, text: str) -> None:
        driver = self.app._driver
        if text and driver is not None and not driver.is_headless:
            driver.write(text)

    def get_content_width(self, container: Size, viewport: Size) -> int:
        """Return the picture's width."""
        return self._painted.size.width

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return the picture's height."""
        return self._painted.size.height

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the rows as they are: a filter would take commands for text."""
        blank = Strip.blank(crop.width, self.rich_style)
        if self._painted.has_commands and not self.screen.is_active:  # Shade would spoil commands.
            return [blank] * crop.height
        rows = [strip.crop(crop.x, crop.right) for strip in self._painted.strips]
        shown = rows[crop.y : crop.bottom]
        return [*shown, *[blank] * (crop.height - len(shown))]


@cache
def _painter() -> ThreadPoolExecutor:
    """One thread: who walks through many cards waits for one picture at most."""
    return ThreadPoolExecutor(1, "picture")


def _paint(wanted: Wanted, graphics: Graphics, background: Colour, before: Painted) -> Painted:
    """Return the painted pictures; `before` where they would be the same."""
    paths = [] if graphics.way == "none" else list(wanted.find())[:_MOST_PICTURES]
    key = (wanted.columns, wanted.rows, graphics, background, [_state(path) for path in paths])
    if key == before.key:
        return before
    images = [image for path in paths if (image := _read(path, background)) is not None]
    if not images:
        return Painted(key)
    image, size = _side_by_side(images, wanted, graphics, background)
    painters = {"kitty": _kitty, "sixel": _sixel, "blocks": _blocks}
    return replace(painters[graphics.way](image, size), key=key)


def _state(path: Path) -> object:
    try:
        stat = path.stat()
    except OSError:
        return path, None
    return path, stat.st_mtime_ns, stat.st_size


def _read(path: Path, background: Colour) -> Image | None:
    """Return a file's picture on the background; None if it is none."""
    try:
        with open_file(path) as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise ValueError(f"it is larger than {_MOST_BYTES >> 20} MB")
        return _decoded(_without_words(data) if data[:8] == _SIGNATURE else data, background)
    except Exception as error:  # Pillow raises whatever a broken file brings about.
        _log.info("%s is not shown as a picture: %s", path, error)
        return None


def _without_words(data: bytes) -> bytes:
    """Return a PNG file with nothing in it but its picture, however large the card in it is."""
    kept, at = [_SIGNATURE], len(_SIGNATURE)
    for _ in range(_MOST_CHUNKS):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] in _SEEN:
            kept.append(data[at:end])
        if end >= len(data):
            return b"".join(kept)
        at = end
    raise ValueError(f"it has more than {_MOST_CHUNKS:,} chunks")


def _decoded(data: bytes, background: Colour) -> Image:
    from PIL import Image, ImageOps

    with Image.open(BytesIO(data), formats=_FORMATS) as file:
        image: Image.Image = file
        if image.width * image.height > _MOST_PIXELS:
            raise ValueError(f"it has more than {_MOST_PIXELS // 10**6} million pixels")
        if file.format == "JPEG" and data.count(_SCAN) > _MOST_SCANS:
            raise ValueError(f"it is drawn in more than {_MOST_SCANS} passes")
        if image.mode in ("1", "P"):  # These would be scaled without smoothing.
            image = image.convert("RGBA")
        image.thumbnail(_MOST_DETAIL, reducing_gap=2.0)
        upright = ImageOps.exif_transpose(image).convert("RGBA")
    flat = Image.new("RGBA", upright.size, background)
    flat.alpha_composite(upright)
    return flat.convert("RGB")


def _side_by_side(
    images: Sequence[Image], wanted: Wanted, graphics: Graphics, background: Colour
) -> tuple[Image, Size]:
    """Return the pictures as one, of one height, and the cells that it fills."""
    from PIL import Image

    columns, most_rows = min(wanted.columns, _MOST_CELLS), min(wanted.rows, _MOST_CELLS)
    gaps = _GAP * (len(images) - 1)
    width, height = _BLOCK if graphics.way == "blocks" else graphics.cell
    ratios = [image.width / image.height for image in images]
    fitting = (columns - gaps) * width / sum(ratios) / height
    rows = max(1, int(min(most_rows, fitting)))
    widths = [max(1, round(rows * height * ratio / width)) for ratio in ratios]
    if sum(widths) + gaps > columns:  # by rounding, or as it is very wide
        widths = [min(each, max(1, (columns - gaps) // len(images))) for each in widths]
    size = Size(sum(widths) + gaps, rows)
    whole = Image.new("RGB", (size.width * width, size.height * height), background)
    column = 0
    for image, cells in zip(images, widths, strict=True):
        scaled = image.resize((cells * width, rows * height), Image.Resampling.LANCZOS)
        whole.paste(scaled, (column * width, 0))
        column += cells + _GAP
    return whole, size


def _blocks(image: Image, size: Size) -> Painted:
    strips = []
    for row in range(size.height):
        upper, lower = (
            [cast(Colour, image.getpixel((x, 2 * row + y))) for x in range(size.width)]
            for y in (0, 1)
        )
        runs = groupby(zip(upper, lower, strict=True))
        segments = [Segment("▀" * len(list(run)), _two_colours(*pair)) for pair, run in runs]
        strips.append(Strip(segments, size.width))
    return Painted(strips=tuple(strips))


def _two_colours(upper: Colour, lower: Colour) -> Style:
    return Style(
        color=RichColor.from_triplet(ColorTriplet(*upper)),
        bgcolor=RichColor.from_triplet(ColorTriplet(*lower)),
    )


def _sixel(image: Image, size: Size) -> Painted:
    # The package's front door asks the terminal when it is opened, and takes keys for the answer.
    from textual_image._sixel import image_to_sixels

    width, height = size.width, image.height // size.height
    few = image.quantize(256)
    strips = []
    for row in range(size.height):
        sixels = image_to_sixels(few.crop((0, row * height, image.width, (row + 1) * height)))
        back = f"\x1b7\x1b[{width}D{sixels}\x1b8"
        segments = [Segment(" " * width, Style.null()), Segment(back, Style.null(), _NO_TEXT)]
        strips.append(Strip(segments, width))
    return Painted(strips=tuple(strips), has_commands=True)


def _kitty(image: Image, size: Size) -> Painted:
    number = _FIRST_ID + next(_ids) % _IDS
    file = BytesIO()
    image.save(file, "PNG", compress_level=2)
    data = b64encode(file.getvalue()).decode()
    chunks = [data[at : at + _KITTY_CHUNK] for at in range(0, len(data), _KITTY_CHUNK)]
    keys = f"a=T,U=1,q=2,f=100,i={number},c={size.width},r={size.height},"
    sent = "".join(
        f"\x1b_G{'' if place else keys}m={int(place < len(chunks) - 1)};{chunk}\x1b\\"
        for place, chunk in enumerate(chunks)
    )
    leave = f"\x1b_Ga=d,d=I,q=2,i={number}\x1b\\"
    style = Style(color=RichColor.from_ansi(number))
    strips = []
    for row in range(size.height):
        cells = (_PLACEHOLDER + _NUMBERS[row] + _NUMBERS[x] for x in range(size.width))
        strips.append(Strip([Segment(cell, style) for cell in cells], size.width))
    return Painted(strips=tuple(strips), arrive=leave + sent, leave=leave, has_commands=True)
