"""The evaluation split: decided by content, steady, and the same in all tiers."""

from __future__ import annotations

import hashlib

from shoritui.finetune.data.held_out import held_out


def digests(*numbers: int) -> frozenset[str]:
    return frozenset(hashlib.sha256(bytes([number])).hexdigest() for number in numbers)


ALL = digests(*range(250))


def test_a_share_is_held_out() -> None:
    held = held_out([(ALL, 0.2)])
    assert held < ALL and 30 <= len(held) <= 70
    assert held < held_out([(ALL, 0.4)])
    assert held_out([(ALL, 0.0)]) == held_out([]) == frozenset()


def test_what_comes_or_goes_moves_no_other_conversation() -> None:
    fewer = digests(*range(200))
    assert held_out([(fewer, 0.1)]) == held_out([(ALL, 0.1)]) & fewer


def test_where_there_are_ten_one_is_held_out() -> None:
    assert len(held_out([(digests(*range(10)), 1e-9)])) == 1
    assert held_out([(digests(*range(9)), 1e-9)]) == frozenset()


def test_what_one_tier_holds_out_no_other_learns() -> None:
    low, top = digests(*range(40)), digests(*range(20, 120))
    held = held_out([(low, 0.02), (top, 0.1)])
    assert held & low & top == held_out([(top, 0.1)]) & low | held_out([(low, 0.02)]) & top


def test_a_number_is_held_out() -> None:
    assert [len(held_out([(ALL, count)])) for count in (1, 7, 7.9, 250, 9999)] == [
        1,
        7,
        7,
        250,
        250,
    ]
    assert held_out([(ALL, 7)]) < held_out([(ALL, 8)])
