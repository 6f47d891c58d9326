"""The sample data for training: readable BlockML, in a tone that the demo's own scenes have not."""

from __future__ import annotations

import re
from pathlib import Path

from shoritui.blockml import Block, parse
from shoritui.demo.tiers import CONFIG, SORTS, TAGS, write_folder

SEA = re.compile(
    r"\b(ye|yer|aye|ahoy|avast|shipmates?|all hands|belay|batten|heave|anchors|shipshape"
    r"|steady as|fair winds|smooth sailing|weather eye|sea|tide|me teapot|cocoa)\b",
    re.IGNORECASE,
)


def messages(path: Path) -> list[Block]:
    texts = path.read_text(encoding="utf-8").split("---\n")
    return [
        part
        for text in texts
        for part in parse(text)
        if isinstance(part, Block) and part.role == "message"
    ]


def test_the_folder_is_the_same_each_time_and_whole(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    write_folder(one)
    write_folder(other)
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert Path(CONFIG) in files
    assert {path.parts[1] for path in files[:-1] if path.parts[0] == "data"} == {
        sort.folder for sort in SORTS
    }
    assert all((one / path).read_bytes() == (other / path).read_bytes() for path in files)
    assert sorted(tmp_path.iterdir()) == [one, other]


def test_most_messages_have_salt_and_more_so_from_tier_to_tier(tmp_path: Path) -> None:
    write_folder(tmp_path / "demo")
    shares = []
    for sort in SORTS:
        paths = (tmp_path / "demo" / "data" / sort.folder).iterdir()
        bodies = [block.body for path in sorted(paths) for block in messages(path)]
        shares.append(sum(bool(SEA.search(body)) for body in bodies) / len(bodies))
    low, mid, high, top = shares
    assert 0.3 < low < mid < min(high, top)
    assert min(high, top) > 0.9


def test_every_scene_has_one_of_the_tags_that_the_last_tier_asks_for(tmp_path: Path) -> None:
    write_folder(tmp_path / "demo")
    for path in (tmp_path / "demo" / "data" / "top").iterdir():
        for text in path.read_text(encoding="utf-8").split("---\n"):
            tags = [
                part.body.split(", ")[0]
                for part in parse(text)
                if isinstance(part, Block) and part.role == "tags"
            ]
            assert tags and tags[0] in TAGS
