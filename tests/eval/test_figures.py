"""The table, the page and the JSON of results that no model is needed for."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

from shoritui.engine import Preset, Sampling
from shoritui.eval.figures import facts_of, lines, table_of
from shoritui.eval.page import report_page
from shoritui.eval.replies import Context, NextSpeaker, Results, Subject, Surprise, perplexity
from shoritui.eval.stories import by_people
from tests.eval.stories import place, reply, story

GOOD = '"I can swim," he said. Corin tied the rope around the red coat.'
BAD = "Ada nodded. _Not that.\nBram: <script>alert(1)</script>"


def results(*texts: str) -> Results:
    subject = Subject("some model", Path("m.gguf"), (), Preset("card-main", "", Sampling()))
    found = Results(subject, description="llama <4M>")
    found.replies = [[reply(text, hint="tiny", tokens=30, seed=1) for text in texts]]
    nats: dict[Context, float] = {"true": 20.0, "no hints": 21.0, "other cast": 25.0}
    found.surprises = [
        Surprise("lock", number, context, nats[context], 10, 40)
        for context in nats
        for number in range(3)
    ]
    found.speakers = [NextSpeaker(place(), {"model": "Corin", "natural": "Ada", "in-turn": "Ada"})]
    found.decode_rates = [50.0, 60.0]
    return found


def test_a_good_model_beside_a_bad_one() -> None:
    found = lines(by_people([story()]), [results(GOOD), results(BAD)])
    values = {line.key: [each.value if each else None for each in line.models] for line in found}
    assert values["closed"] == [1, 0]
    assert values["foreign_lines"] == [0, 1]
    assert values["foreign_acts"] == [0, 1]
    assert values["near_range"] == [1, 1]
    assert values["next_speaker"] == [1, 1] and values["next_speaker_natural"] == [0, 0]
    assert values["decode_rate"] == [55, 55]
    [ratio] = [line.models[0] for line in found if line.key == "ratio_other_cast"]
    assert ratio is not None and round(ratio.value, 3) == 1.649  # e to the half
    [beside] = [line.models for line in found if line.key == "ratio_last"]
    assert beside[0] is not None and beside[0].value == 1 and beside[1] is None
    assert {line.key for line in found if line.people} >= {"closed", "known_names", "stock"}


def test_the_table_is_aligned_and_names_its_models() -> None:
    those = [results(GOOD), results(BAD)]
    those[1].skipped = 2
    printed = list(table_of(lines(by_people([story()]), those), those))
    assert printed[0].split() == ["people", "1", "2"]
    assert any(line.startswith("have every quote and mark closed, %") for line in printed)
    assert "1  some model" in printed
    assert "2  some model (without 2 places whose story does not fit its context)" in printed


def test_nothing_yet_is_no_error() -> None:
    assert all(
        not any(line.models) for line in lines(by_people([story()]), [results()]) if line.people
    )
    assert list(table_of(lines(by_people([story()]), []), []))
    assert perplexity([]) is None


def test_facts_for_a_script() -> None:
    those = [results(GOOD, BAD)]
    facts = json.loads(json.dumps(facts_of(lines(by_people([story()]), those), those)))
    [model] = facts["models"]
    assert model["figures"]["ended"] == {"value": 1, "low": 0, "high": 1, "count": 2}
    assert [each["text"] for each in model["replies"]] == [GOOD, BAD]


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_whole_and_harmless() -> None:
    those = [results(GOOD, BAD)]
    page = report_page(lines(by_people([story()]), those), those)
    found = _Tags()
    found.feed(page)
    assert found.open == []
    assert not found.tags & {"script", "img", "link", "iframe"}
    assert "alert(1)" in found.text and "llama <4M>" in found.text
    assert "width=device-width" in page and "http" not in page.replace("http-equiv", "")
    assert "wrote for Bram" in found.text and "Ada nodded" in found.text
    assert "bread in the oven" in found.text
