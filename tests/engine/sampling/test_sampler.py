"""What is drawn under each sampler value, from scores that the test sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from shoritui.engine import ORDER, Sampling, changed
from shoritui.engine.cache.token_cache import TokenCache, TokenStore
from shoritui.engine.llama.model import Model
from shoritui.engine.sampling.sampler import ChainRequest, Sampler, SamplerChain, recent_tokens
from shoritui.errors import UserError


class Fixed:
    """A vocabulary whose model always finds the same tokens likely."""

    def __init__(self, model: Path) -> None:
        self.model = Model(model, vocab_only=True)
        self.tokens = TokenCache(self.model, TokenStore(None, b""))
        self.sampler = Sampler(self.model, self.tokens)
        self.likely: dict[int, float] = {}
        self.others = -100.0

    @contextmanager
    def begin(
        self,
        sampling: Sampling,
        *,
        penalized: Sequence[str] = (),
        names: Sequence[str] = (),
        header: str = "▀message\nAda:",
        idle: bool = False,
    ) -> Iterator[SamplerChain]:
        request = ChainRequest(sampling, [header], penalized, names, idle=idle)
        with self.sampler.begin(request) as chain:
            yield chain

    def token(self, chain: SamplerChain, never: Sequence[int] = ()) -> int:
        logits = np.full(self.model.n_vocab, self.others, np.float32)
        for token, score in self.likely.items():
            logits[token] = score
        return chain.token(logits, never)

    def drawn(self, sampling: Sampling, draws: int = 200) -> Counter[int]:
        with self.begin(changed(sampling, {"seed": 3})) as chain:
            return Counter(self.token(chain) for _ in range(draws))

    def one(self, text: str) -> int:
        (token,) = self.model.tokenize(text)
        return token


@pytest.fixture(scope="module")
def one_model(model: Path) -> Fixed:
    return Fixed(model)


@pytest.fixture
def fixed(one_model: Fixed) -> Fixed:
    one_model.likely, one_model.others = {}, -100.0
    return one_model


GREEDY = Sampling(temperature=0)


# Truncation and temperature


def test_the_order_changes_what_survives(fixed: Fixed) -> None:
    fixed.likely = {100: 0.0, 101: -1.0, 102: -2.0, 103: -3.0}
    late = changed(Sampling(), {"temperature": 4.0, "min_p": 0.3})
    early = changed(late, {"order": ["temperature", *ORDER[:-1]]})
    assert set(fixed.drawn(late)) == {100, 101}
    assert set(fixed.drawn(early)) == {100, 101, 102, 103}


@pytest.mark.parametrize(
    ("values", "survivors"),
    [
        ({"top_k": 2}, {100, 101}),
        ({"top_p": 0.6}, {100}),
        ({"top_p": 0.7}, {100, 101}),
        ({"min_p": 0.2}, {100, 101}),
        ({"top_n_sigma": 0.55}, {100, 101}),
        ({"xtc_probability": 1.0, "xtc_threshold": 0.2}, {101, 102}),
    ],
)
def test_each_truncation_keeps_what_its_number_says(
    fixed: Fixed, values: dict[str, object], survivors: set[int]
) -> None:
    # Probabilities of about 0.665, 0.245 and 0.09.
    fixed.likely = {100: 0.0, 101: -1.0, 102: -2.0}
    assert set(fixed.drawn(changed(Sampling(), values), draws=400)) == survivors


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ({"min_p": 0.25}, 2),  # e^-1 of the best is kept, e^-2 is not
        ({"min_p": 0.25, "temperature": 2.0, "order": ["temperature", "min_p"]}, 3),
        ({"min_p": 0.25, "temperature": 2.0, "order": ["min_p", "temperature"]}, 2),
        ({"min_p": 1.0}, 1),
        ({"top_k": 3}, 3),
        ({"top_k": 500}, 500),
        ({"top_k": 3, "min_p": 0.25, "order": ["top_k", "min_p"]}, 2),
    ],
)
def test_what_the_first_truncation_drops_is_never_drawn(
    fixed: Fixed, values: dict[str, object], kept: int
) -> None:
    """The rest are as likely as llama.cpp's own softmax of them says."""
    names = ["sea", "boat", "rope", "bread", "lamp"]
    order = [fixed.one(f" {name}") for name in names]
    fixed.likely = {token: float(-place) for place, token in enumerate(order)}
    fixed.others = -4.5
    drawn = fixed.drawn(changed(Sampling(), values), 2000)
    assert set(drawn) >= set(order[: min(kept, 3)])
    assert len(drawn) <= kept and (kept > len(order) or set(drawn) <= set(order[:kept]))


@pytest.mark.parametrize(
    "values",
    [
        {"min_p": 0.075, "presence_penalty": 0.4},
        {"temperature": 2.45, "min_p": 0.4, "frequency_penalty": 0.12},
        {"temperature": 0.7, "min_p": 0.05, "dry_multiplier": 0.8, "xtc_probability": 0.5},
        {"temperature": 1.5, "min_p": 0.1, "order": ["temperature", "min_p"]},
    ],
)
def test_llama_cpp_draws_the_same_when_it_handles_all_tokens(
    one_model: Fixed, monkeypatch: pytest.MonkeyPatch, values: dict[str, object]
) -> None:
    sampling = changed(Sampling(seed=11), values)
    bodies = [' "The sea," she said, "is the sea."', " He took the rope, and the boat."]

    def drawn() -> list[int]:
        rng = np.random.default_rng(5)
        with one_model.begin(sampling, penalized=bodies) as chain:
            size = one_model.model.n_vocab
            return [
                chain.token((3 * rng.standard_normal(size)).astype(np.float32)) for _ in range(200)
            ]

    soon = drawn()
    monkeypatch.setattr(
        "shoritui.engine.sampling.sampler.first_cut", lambda steps: ({}, list(steps))
    )
    assert drawn() == soon and len(set(soon)) > 50


def test_dynamic_temperature_is_high_only_where_the_model_is_unsure(fixed: Fixed) -> None:
    sampling = Sampling(temperature=2.0, dynatemp_range=1.9, top_k=16)
    fixed.likely = {100: 12.0} | dict.fromkeys(range(101, 116), 0.0)
    assert set(fixed.drawn(sampling)) == {100}
    assert len(fixed.drawn(changed(sampling, {"temperature": 4.0, "dynatemp_range": 0}))) > 1


def test_banned_at_a_place_is_not_drawn_there(fixed: Fixed) -> None:
    fixed.likely = {100: 9.0, 101: 5.0}
    for sampling in (GREEDY, Sampling(typical_p=0.9), Sampling(top_n_sigma=1.0, typical_p=0.5)):
        with fixed.begin(sampling) as chain:
            assert fixed.token(chain, never=[100]) == 101


# Penalties and DRY


def test_penalties_see_words_but_never_the_marks_of_a_block(fixed: Fixed) -> None:
    close, newline = fixed.model.close, fixed.model.newline
    assert close is not None
    assert newline is not None
    word, other = fixed.one(" the"), fixed.one(" and")
    sampling = Sampling(temperature=0, presence_penalty=1.0, frequency_penalty=0.1)
    for mark in (close, newline):
        fixed.likely = {mark: 1.0, other: 0.5}
        with fixed.begin(sampling, penalized=["the\n▄ the"]) as chain:
            assert {fixed.token(chain) for _ in range(50)} == {mark}
    fixed.likely = {word: 1.0, other: 0.5}
    with fixed.begin(sampling) as chain:
        assert [fixed.token(chain) for _ in range(2)] == [word, other]
    with fixed.begin(sampling, penalized=["the"]) as chain:
        assert fixed.token(chain) == other
    # A newline between leaves what was counted before it.
    with fixed.begin(sampling, penalized=["the"]) as chain:
        fixed.likely = {newline: 9.0}
        assert fixed.token(chain) == newline
        fixed.likely = {word: 1.0, other: 0.5}
        assert fixed.token(chain) == other


def test_penalties_look_back_on_their_window_only(fixed: Fixed) -> None:
    word, other, third = map(fixed.one, (" the", " and", " a"))
    sampling = Sampling(temperature=0, presence_penalty=1.0, penalty_window=2)
    fixed.likely = {word: 1.0, other: 0.5, third: 0.25}
    with fixed.begin(sampling) as chain:
        assert [fixed.token(chain) for _ in range(4)] == [word, other, third, word]
    with fixed.begin(sampling, penalized=["the", "and a"]) as chain:
        assert fixed.token(chain) == word


@pytest.mark.parametrize("order", [ORDER, ("top_k", *ORDER[:3])])
def test_penalties_count_the_same_wherever_they_stand(fixed: Fixed, order: list[str]) -> None:
    word, other = fixed.one(" the"), fixed.one(" and")
    sampling = Sampling(temperature=0, frequency_penalty=0.3, top_k=3, order=tuple(order))
    fixed.likely = {word: 1.0, other: 0.5}
    with fixed.begin(sampling, penalized=["the"]) as chain:
        drawn = [fixed.token(chain) for _ in range(4)]
    assert drawn == [word, other, word, other]


DRY = Sampling(temperature=0, dry_multiplier=10.0, dry_allowed_length=2)


def after(fixed: Fixed, written: str, penalized: Sequence[str], sampling: Sampling = DRY) -> int:
    """The token drawn after a message that begins so; ` and` is a little less likely than ` a`."""
    with fixed.begin(sampling, penalized=penalized, names=["Ada"]) as chain:
        for token in fixed.model.tokenize(written):
            fixed.likely = {token: 50.0}
            assert fixed.token(chain) == token
        fixed.likely = {fixed.one(" a"): 1.0, fixed.one(" and"): 0.5}
        return fixed.token(chain)


def test_dry_stops_a_sequence_that_the_chat_has_already(fixed: Fixed) -> None:
    a, other = fixed.one(" a"), fixed.one(" and")
    assert after(fixed, " in the old house was", ["in the old house was a"]) == other
    assert after(fixed, " in the old house was", ["the boat was a"]) == a


def test_dry_looks_back_on_its_window_only(fixed: Fixed) -> None:
    said = ["in the old house was a", " ".join(["one", "two", "three"] * 9)]
    short = changed(DRY, {"dry_window": 12})
    assert after(fixed, " in the old house was", said, short) == fixed.one(" a")
    assert after(fixed, " in the old house was", said) == fixed.one(" and")


@pytest.mark.parametrize("breaker", ['"', "*", "\n", " Ada", ":"])
def test_a_sequence_ends_at_breakers_and_names(fixed: Fixed, breaker: str) -> None:
    text = f" in the old house{breaker} was"
    assert after(fixed, text, [f"{text} a"]) == fixed.one(" a")
    longer = f" in the{breaker} old house was"
    assert after(fixed, longer, [f"{longer} a"]) == fixed.one(" and")


def test_a_sequence_does_not_go_over_the_border_of_messages(fixed: Fixed) -> None:
    a = fixed.one(" a")
    assert after(fixed, " a", ["the old house was", "a a"], DRY) in (a, fixed.one(" and"))
    said = ["in the old", "house was a"]
    assert after(fixed, " in the old house was", said, changed(DRY, {"dry_allowed_length": 4})) == a


def test_the_end_of_a_message_is_hurt_by_neither_penalties_nor_dry(fixed: Fixed) -> None:
    close = fixed.model.close
    assert close is not None
    sampling = changed(DRY, {"presence_penalty": 2.0, "frequency_penalty": 2.0})
    said = ["and they all went home"] * 5
    with fixed.begin(sampling, penalized=said) as chain:
        for token in fixed.model.tokenize(" and they all went home"):
            fixed.likely = {token: 90.0}
            assert fixed.token(chain) == token
        fixed.likely = {close: 1.0, fixed.one(" a"): 0.9}
        assert fixed.token(chain) == close


# The end of a message


@pytest.mark.parametrize(
    "values",
    [
        {"xtc_probability": 1.0},
        {"xtc_probability": 0.5, "min_p": 0.001},
        {"typical_p": 0.3},
        {"typical_p": 0.3, "xtc_probability": 1.0, "order": ["xtc", "typical_p"]},
        {"adaptive_target": 0.9, "min_p": 0.001},
        {"adaptive_target": 0.1, "min_p": 0.001},
    ],
)
@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_a_message_ends_as_likely_as_the_model_says(
    fixed: Fixed, values: dict[str, object], share: float
) -> None:
    close = fixed.model.close
    assert close is not None
    words = np.array([0.5, 0.2, 0.1, 0.1, 0.05, 0.05]) * (1 - share)
    fixed.likely = {100 + n: float(np.log(p)) for n, p in enumerate(words)}
    fixed.likely[close] = float(np.log(share))
    draws = 3000
    drawn = fixed.drawn(changed(Sampling(), values), draws)
    assert abs(drawn[close] / draws - share) < 4 * (share * (1 - share) / draws) ** 0.5
    assert sum(drawn.values()) == draws


def test_a_message_never_opens_a_block(fixed: Fixed) -> None:
    assert fixed.model.open is not None
    fixed.likely, fixed.others = {fixed.model.open: 50.0}, 0.0
    assert fixed.model.open not in fixed.drawn(Sampling(), draws=50)
    assert fixed.model.open not in fixed.drawn(GREEDY, draws=1)


# TokenDraw


def test_the_same_seed_draws_the_same(fixed: Fixed) -> None:
    fixed.likely = dict.fromkeys(range(64, 128), 0.0)
    for values in ({}, {"mirostat": 2}, {"adaptive_target": 0.3}, {"xtc_probability": 0.5}):
        texts = []
        for seed in (1, 2, 1):
            with fixed.begin(changed(Sampling(seed=seed), values)) as chain:
                texts.append([fixed.token(chain) for _ in range(20)])
        assert texts[0] == texts[2] != texts[1]


def test_mirostat_goes_on_from_message_to_message(fixed: Fixed) -> None:
    # Six bits of surprise, but only four pass at first: the first token is drawn again and again,
    # each time without surprise, until Mirostat has opened wide enough.
    fixed.likely = dict.fromkeys(range(64, 128), 0.0)
    sampling = Sampling(mirostat=2, mirostat_tau=2.0, mirostat_eta=0.1)
    messages = []
    for number in range(4):
        with fixed.begin(sampling, header=f"▀message\n{number}:") as chain:
            messages.append({fixed.token(chain) for _ in range(5)})
    assert len(messages[0]) == 1
    assert len(messages[-1]) > 1
    with fixed.begin(changed(sampling, {"seed": 1})) as chain:
        assert len({fixed.token(chain) for _ in range(5)}) == 1


def test_a_message_written_again_begins_with_the_same_mu_and_other_dice(fixed: Fixed) -> None:
    fixed.likely = dict.fromkeys(range(64, 128), 0.0)
    sampling = Sampling(mirostat=2, mirostat_tau=2.5, mirostat_eta=0.1)
    begun, tries = [], []
    for header in ["first:", "again:", "next:", "again:", "again:"]:
        with fixed.begin(sampling, header=header) as chain:
            begun.append(chain._draw.state)
            tries.append([fixed.token(chain) for _ in range(30)])
    first, again, following, *swipes = begun
    assert again == swipes[0] == swipes[1]
    assert len({first, again, following}) == 3
    assert tries[1] != tries[3] != tries[4]


def test_what_is_written_idle_begins_with_the_mu_of_its_message_and_leaves_none(
    fixed: Fixed,
) -> None:
    fixed.likely = dict.fromkeys(range(64, 128), 0.0)
    sampling = Sampling(mirostat=2, mirostat_tau=2.7, mirostat_eta=0.1)
    with fixed.begin(sampling, header="first:") as chain:
        first = chain._draw.state
        _ = [fixed.token(chain) for _ in range(30)]
        left = chain._draw.state
    for values in ({}, {"mirostat_tau": 2.8}):
        with fixed.begin(changed(sampling, values), header="first:", idle=True) as chain:
            assert values or chain._draw.state == first
            _ = [fixed.token(chain) for _ in range(30)]
    with fixed.begin(sampling, header="next:") as chain:
        assert chain._draw.state == left


def test_mirostat_surprises_more_where_it_aims_higher(fixed: Fixed) -> None:
    p = 0.7 ** np.arange(40)
    fixed.likely = {100 + n: float(np.log(each)) for n, each in enumerate(p)}
    kinds = []
    for tau in (0.5, 1.0, 2.0):
        sampling = Sampling(seed=1, mirostat=2, mirostat_tau=tau, mirostat_eta=0.1)
        with fixed.begin(sampling) as chain:
            drawn = Counter(fixed.token(chain) for _ in range(600))
            (mu,) = chain._draw.state
        # How far mu has moved is how far the average was from its aim.
        assert abs(mu - 2 * tau) / (0.1 * 600) < 0.1
        kinds.append(len(drawn))
    assert kinds[0] < kinds[1] < kinds[2]


def test_adaptive_p_draws_near_its_target_on_average(fixed: Fixed) -> None:
    p = 0.5 ** np.arange(1, 12)
    fixed.likely = {100 + n: float(np.log(each)) for n, each in enumerate(p)}
    averages = []
    for target in (0.1, 0.3):
        drawn = fixed.drawn(Sampling(adaptive_target=target, min_p=1e-4), draws=2000)
        averages.append(sum(count * p[token - 100] for token, count in drawn.items()) / 2000)
    assert abs(averages[0] - 0.1) < 0.05
    assert abs(averages[1] - 0.3) < 0.05


@pytest.mark.parametrize(
    "values",
    [
        {"mirostat": 2},
        {"adaptive_target": 0.4},
        {"presence_penalty": 1.0, "dry_multiplier": 2.0, "temperature": 0.0},
    ],
)
def test_what_is_taken_back_leaves_no_trace(fixed: Fixed, values: dict[str, object]) -> None:
    fixed.likely = {100 + n: -0.2 * n for n in range(30)}

    def drawing(detour: int) -> tuple[list[int], object]:
        with fixed.begin(changed(Sampling(seed=5), values)) as chain:
            kept = [fixed.token(chain) for _ in range(5)]
            for _ in range(detour):
                fixed.token(chain)
            chain.back(kept)
            state = chain._draw.state
            fixed_penalties = [fixed.token(chain) for _ in range(5)]
        return (fixed_penalties if "presence_penalty" in values else kept), state

    assert drawing(detour=7) == drawing(detour=0)


# Logit bias


def test_a_bias_moves_a_word_with_and_without_its_space(fixed: Fixed) -> None:
    assert {len(fixed.model.tokenize(text)) for text in (" the", "the")} == {1}
    for spelling in (" the", "the"):
        fixed.likely = {fixed.one(spelling): 3.0, fixed.one(" and"): 0.0}
        sampling = changed(GREEDY, {"logit_bias": {"the": -5}})
        with fixed.begin(sampling) as chain:
            assert fixed.token(chain) == fixed.one(" and")
        with fixed.begin(changed(GREEDY, {"logit_bias": {"the": -2}})) as chain:
            assert fixed.token(chain) == fixed.one(spelling)


def test_a_bias_on_a_longer_text_is_refused(fixed: Fixed) -> None:
    sampling = changed(Sampling(), {"logit_bias": {"the xylophone": 2}})
    count = len(fixed.model.tokenize("the xylophone"))
    with pytest.raises(UserError, match=f"'the xylophone', which is {count} tokens of this model"):
        fixed.drawn(sampling)


def test_penalised_bodies_are_the_newest_words_in_order(fixed: Fixed) -> None:
    vocabulary, tokens = fixed.model, fixed.tokens
    without = vocabulary.uncounted
    old, new = vocabulary.tokenize(" one two"), vocabulary.tokenize(" three")
    assert recent_tokens(tokens, ["one two", "three\n▄"], 100, without=without) == old + new
    assert recent_tokens(tokens, ["one two", "three"], len(new) + 1, without=without) == [
        old[-1],
        *new,
    ]
    assert recent_tokens(tokens, [], 100, without=without) == []


def test_the_scores_that_it_was_given_stay_as_they_were(fixed: Fixed) -> None:
    word = fixed.one(" the")
    sampling = changed(
        Sampling(seed=3),
        {"presence_penalty": 0.5, "dry_multiplier": 0.8, "min_p": 0.1, "logit_bias": [("a", 2.0)]},
    )
    logits = np.linspace(-9, 4, fixed.model.n_vocab, dtype=np.float32)
    before = logits.copy()
    with fixed.begin(sampling, penalized=["the sea and the sea and the sea"]) as chain:
        for _ in range(300):  # more new words than there is room for at first
            chain.token(logits, [word])
    assert np.array_equal(logits, before)
