"""Letters as dots, five by seven and two below the line: those that a picture's words need.

It does not know where they are drawn.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Final

WIDTH: Final = 5
HEIGHT: Final = 7
"""Above the baseline."""

_ROWS: Final = (
    (
        "0123456789,+",
        """
.###. ..#.. .###. .###. ...#. ##### .###. ##### .###. .###. ..... .....
#...# .##.. #...# #...# ..##. #.... #.... ....# #...# #...# ..... ..#..
#..## ..#.. ....# ....# .#.#. ####. #.... ...#. #...# #...# ..... ..#..
#.#.# ..#.. ..##. ..##. #..#. ....# ####. ..#.. .###. .#### ..... #####
##..# ..#.. .#... ....# ##### ....# #...# ..#.. #...# ....# ..... ..#..
#...# ..#.. #.... #...# ...#. #...# #...# ..#.. #...# ....# ..##. ..#..
.###. .###. ##### .###. ...#. .###. .###. ..#.. .###. .###. ..##. .....
..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ...#. .....
..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ..#.. .....
""",
    ),
    (
        "aefgikmnost",
        """
..... ..... ...## ..... ..#.. #.... ..... ..... ..... ..... .#...
..... ..... ..#.. ..... ..... #.... ..... ..... ..... ..... .#...
.###. .###. ..#.. .#### .##.. #..#. ##.#. #.##. .###. .#### ####.
....# #...# .###. #...# ..#.. #.#.. #.#.# ##..# #...# #.... .#...
.#### ##### ..#.. #...# ..#.. ##... #.#.# #...# #...# .###. .#...
#...# #.... ..#.. #...# ..#.. #.#.. #.#.# #...# #...# ....# .#..#
.#### .###. ..#.. .#### .###. #..#. #.#.# #...# .###. ####. ..##.
..... ..... ..... ....# ..... ..... ..... ..... ..... ..... .....
..... ..... ..... .###. ..... ..... ..... ..... ..... ..... .....
""",
    ),
)


@cache
def glyphs() -> dict[str, tuple[tuple[int, int], ...]]:
    """The dots of each letter, as column and row from its upper left."""
    found: dict[str, tuple[tuple[int, int], ...]] = {" ": ()}
    for letters, drawn in _ROWS:
        rows = [row.split() for row in drawn.split("\n") if row]
        for at, letter in enumerate(letters):
            dots = product(range(WIDTH), range(len(rows)))
            found[letter] = tuple((x, y) for x, y in dots if rows[y][at][x] == "#")
    return found
