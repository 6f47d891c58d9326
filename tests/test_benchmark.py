from __future__ import annotations

import pytest

from shoritui.benchmark import Aim, Figure, benchmark, table_line


@benchmark(Aim("ratio", "ratio", ">= 0.98"), Aim("stated", "s"))
def both() -> dict[str, Figure]:
    return {"ratio": Figure([1.2, 0.9, 1.0]), "stated": Figure([3.0], "a note")}


def test_the_median_is_held_against_the_aim() -> None:
    ratio, stated = both.rows(both.measure())
    assert (ratio.value, ratio.low, ratio.high, ratio.samples) == (1.0, 0.9, 1.2, 3)
    assert ratio.ok is True
    assert stated.ok is None and stated.note == "a note"


@pytest.mark.parametrize(
    ("aim", "value", "reached"),
    [
        (">= 0.98", 0.98, True),
        (">= 0.98", 0.979, False),
        ("<= 0.02", 0.02, True),
        ("<= 0.02", 0.021, False),
        ("< 50", 50.0, False),
        ("< 50", 49.9, True),
    ],
)
def test_an_aim_is_reached_or_not(aim: str, value: float, reached: bool) -> None:
    [row, _] = both.rows({"ratio": Figure([value], aim=aim), "stated": Figure(())})
    assert (row.aim, row.ok) == (aim, reached)


def test_a_measurement_may_take_back_an_aim() -> None:
    [row, _] = both.rows({"ratio": Figure([0.1], aim=""), "stated": Figure(())})
    assert (row.aim, row.ok) == ("", None)


def test_a_row_that_cannot_be_measured_says_why() -> None:
    rows = both.missing("There is no compiler.")
    assert [row.value for row in rows] == [None, None]
    assert all(row.ok is None and row.note == "There is no compiler." for row in rows)
    assert "There is no compiler." in table_line(rows[0])


def test_a_topic_means_all_its_rows_and_an_id_only_that_one() -> None:
    figures = both.measure()
    assert [row.id for row in both.rows(figures, ["stated"])] == ["stated"]
    assert [row.id for row in both.rows(figures, [both.topic])] == ["ratio", "stated"]
    assert [row.id for row in both.rows(figures, ["of another"])] == ["ratio", "stated"]
