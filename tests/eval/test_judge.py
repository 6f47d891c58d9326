"""A judge on localhost: what it is asked, and what it may answer."""

from __future__ import annotations

import json

import pytest

from shoritui.engine import Server
from shoritui.errors import UserError
from shoritui.eval.judge import CRITERIA, judge, judging_model, marks_in, request
from tests.engine.remote.scripted_server import scripted_server, told
from tests.eval.stories import reply
from tests.eval.test_figures import GOOD, results

MARKS = {"in character": 8, "entertaining": 6, "fluent": 9}


def answer(text: str) -> dict[str, object]:
    return {"choices": [{"message": {"role": "assistant", "content": text}}]}


async def test_every_reply_is_marked() -> None:
    said = answer(f"Let me see.\n```json\n{json.dumps(MARKS)}\n```")
    found, steps = results(GOOD, GOOD), list[str]()
    async with scripted_server({"/v1/chat/completions": told(said)}) as server:
        await judge(Server(server.url), [found], steps.append)
        first, _ = server.asked("/v1/chat/completions")
    assert found.verdicts == [[MARKS, MARKS]]
    assert steps[-1] == "the judge: reply 2 of 2"
    assert first["model"] == "shori-7b" and first["temperature"] == 0
    assert GOOD in first["messages"][-1]["content"]


async def test_the_judge_is_the_first_model_and_one_that_none_can_be_is_told() -> None:
    for models, name in (({"data": [{"id": "a"}, {"id": "b"}]}, "a"), ({"data": []}, ""), ({}, "")):
        async with scripted_server({"/v1/models": told(models)}) as server:
            assert await judging_model(Server(server.url)) == name
    async with scripted_server({"/v1/models": told({"data": [{"id": 5}]})}) as server:
        with pytest.raises(UserError, match=r"data\[0\].id: expected text, not 5"):
            await judging_model(Server(server.url))


def test_a_judge_is_told_the_criteria_and_the_story() -> None:
    asked = json.dumps(request(reply(GOOD), "x"))
    assert all(name in asked for name in CRITERIA)
    assert "The Lock at Pellow" in asked


@pytest.mark.parametrize(
    "said",
    [
        "",
        "It is very good.",
        '{"fluent": 5}',
        json.dumps({**MARKS, "fluent": 11}),
        json.dumps({**MARKS, "fluent": "nine"}),
        json.dumps({**MARKS, "fluent": True}),
    ],
)
def test_an_answer_without_marks_is_told(said: str) -> None:
    with pytest.raises(UserError, match="holds no marks"):
        marks_in(answer(said))
    with pytest.raises(UserError, match="holds no marks"):
        marks_in({"choices": []})
