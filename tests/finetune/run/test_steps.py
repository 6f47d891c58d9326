"""One step: exact under accumulation, the same after memory ran out, and never silently wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from shoritui.errors import UserError
from shoritui.finetune.config.model import Lora, Train
from shoritui.finetune.data.packs import Ids, Pack, Sample, packs_of
from shoritui.finetune.model.interface import Draw, Level, Loss, Reading
from shoritui.finetune.model.network import Network
from shoritui.finetune.model.optimizer import make_optimizer
from shoritui.finetune.run.distributed import Ranks
from shoritui.finetune.run.steps import Batches, StepResult, Steps
from shoritui.finetune.run.tier import evaluate, worst_of
from shoritui.gguf.shape import Shape
from tests.finetune.run.small import QUICK

SHAPE = Shape(32, 48, 2, 4, 2, 8, 64)
POISON = 63


class Short:
    """A network for which memory runs out on the levels above one, in the middle of a step."""

    is_fast = True
    neftune = 0.0

    def __init__(self, network: Network, highest: int) -> None:
        self.network = network
        self.highest = highest
        self.adapter: Mapping[str, nn.Parameter] = network.adapter
        self.device = network.device

    def loss(self, pack: Pack, draw: Draw | None, level: Level) -> Loss:
        if level > self.highest and draw and draw.pack == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.network.loss(pack, draw, level)

    def logits(self, ids: Ids) -> Tensor:
        return self.network.logits(ids)

    def reading(self, room: int) -> Reading:
        return self.network.reading(room)


def network(dropout: float = 0.0, poisoned: bool = False) -> Network:
    torch.manual_seed(5)
    lora = Lora(r=4, alpha=8.0, dropout=dropout)
    made = Network.random(SHAPE, lora, torch.device("cpu"), torch.float32, is_nf4=False)
    if poisoned:
        made.weights.embedding[POISON] = torch.nan
    return made


def samples(lengths: Sequence[int], highest: int = POISON) -> list[Sample]:
    draws = np.random.default_rng(7)
    made = []
    for number, length in enumerate(lengths):
        learn = draws.random(length) < 0.7
        learn[0] = False
        ids = draws.integers(3, highest, length).astype(np.int32)
        made.append(Sample(ids, learn, f"data/{number}.txt:1"))
    return made


def taken(
    model: Network | Short, packs: Sequence[Pack], train: Train, level: Level = Level.ATTENTION
) -> tuple[StepResult, dict[str, bytes], list[Level]]:
    """One step: what it was, the adapter after it, and the levels that it fell to."""
    optimizer = make_optimizer(model.adapter, Lora(), train)
    fallen: list[Level] = []
    steps = Steps(model, optimizer, Batches(train, tuple(packs)), level, Ranks(), lambda: False)
    result = steps.take(0, fallen.append)
    assert result is not None
    adapter = {name: one.detach().numpy().tobytes() for name, one in model.adapter.items()}
    return result, adapter, fallen


def gradients(model: Network, packs: Sequence[Pack], train: Train) -> Iterator[Tensor]:
    """How far a step of plain descent goes from where it begins."""
    before = [one.detach().clone() for one in model.adapter.values()]
    optimizer = torch.optim.SGD(list(model.adapter.values()), lr=1.0)
    for group in optimizer.param_groups:
        group["times"] = 1.0
    batches = Batches(replace(train, learning_rate=1.0, max_grad_norm=0), tuple(packs))
    Steps(model, optimizer, batches, Level.ATTENTION, Ranks(), lambda: False).take(
        0, lambda _: None
    )
    return (old - new.detach() for old, new in zip(before, model.adapter.values(), strict=True))


def test_packs_of_a_step_add_up_to_one_pack_however_many_tokens_each_has() -> None:
    documents = samples([40, 9, 23, 5])
    apart = packs_of(documents, 64, False)
    joined = packs_of(documents, 128, True)
    assert (len(apart), len(joined)) == (4, 1)
    one, _, _ = taken(network(), apart, replace(QUICK, accumulation=4))
    other, _, _ = taken(network(), joined, replace(QUICK, accumulation=1))
    assert one.reached.loss == pytest.approx(other.reached.loss, rel=1e-6)
    assert one.gradient_norm == pytest.approx(other.gradient_norm, rel=1e-5)
    many = gradients(network(), apart, replace(QUICK, accumulation=4))
    single = gradients(network(), joined, replace(QUICK, accumulation=1))
    for a, b in zip(many, single, strict=True):
        assert float((a - b).norm()) <= 1e-5 * float(b.norm())


def test_a_step_tells_each_conversations_loss() -> None:
    packs = packs_of(samples([40, 9, 23, 5]), 64, True)
    step, _, _ = taken(network(), packs, QUICK)
    model = network()
    for pack in packs:
        for index, (begin, end) in enumerate(zip(pack.starts, pack.starts[1:], strict=False)):
            total = model.loss(pack, None, Level.INPUTS).by_document[index]
            found = dict(step.reached.documents)[pack.sources[index]]
            assert found == pytest.approx(float(total) / int(pack.learn[begin:end].sum()), rel=1e-5)


def test_the_gradient_is_clipped_and_its_norm_told_as_it_was() -> None:
    packs = packs_of(samples([40]), 64, True)
    free, _, _ = taken(network(), packs, QUICK)
    most = free.gradient_norm / 10
    went = list(gradients(network(), packs, QUICK))
    model = network()
    before = [one.detach().clone() for one in model.adapter.values()]
    optimizer = torch.optim.SGD(list(model.adapter.values()), lr=1.0)
    optimizer.param_groups[0]["times"] = 1.0
    train = replace(QUICK, learning_rate=1.0, max_grad_norm=most)
    steps = Steps(
        model, optimizer, Batches(train, packs), Level.ATTENTION, Ranks(), lambda: False
    ).take(0, lambda _: None)
    assert steps and steps.gradient_norm == pytest.approx(free.gradient_norm)
    for old, new, whole in zip(before, model.adapter.values(), went, strict=True):
        torch.testing.assert_close(old - new.detach(), whole / 10, rtol=1e-3, atol=1e-6)


def test_where_memory_runs_out_the_same_step_is_done_on_a_lower_level() -> None:
    packs = packs_of(samples([40, 39]), 48, True)
    _, expected, fallen = taken(network(0.1), packs, QUICK, Level.INPUTS)
    assert fallen == []
    _, found, fallen = taken(Short(network(0.1), Level.INPUTS), packs, QUICK)
    assert fallen == [Level.HALVES, Level.INPUTS]
    assert found == expected


def test_through_transformers_only_the_lowest_level_takes_less() -> None:
    packs = packs_of(samples([40, 39]), 48, True)
    model = Short(network(), Level.OFFLOAD)
    model.is_fast = False
    assert taken(model, packs, QUICK)[2] == [Level.OFFLOAD]


def test_where_no_level_is_low_enough_that_is_told() -> None:
    packs = packs_of(samples([40, 39]), 48, True)
    with pytest.raises(UserError, match="memory is full, and no checkpointing level takes less"):
        taken(Short(network(), 0), packs, QUICK)


def test_a_loss_that_is_no_number_names_the_conversations_of_its_pack() -> None:
    documents = samples([40, 39])
    documents[1].ids[20] = POISON
    packs = packs_of(documents, 48, True)
    with pytest.raises(UserError, match=r"^Step 1: the loss is not a number .* data/1\.txt:1\. "):
        taken(network(poisoned=True), packs, QUICK)


def test_a_pack_of_which_nothing_is_learnt_changes_nothing() -> None:
    documents = samples([40, 30])
    documents[1].learn[:] = False
    both, adapter, _ = taken(network(), packs_of(documents, 48, True), QUICK)
    one, expected, _ = taken(network(), packs_of(documents[:1], 48, True), QUICK)
    assert (both.reached.loss, adapter) == (one.reached.loss, expected)
    assert both.tokens == 70
    assert [source for source, _ in both.reached.documents] == ["data/0.txt:1"]


def test_evaluation_counts_every_token_once_and_stops_when_asked() -> None:
    packs = packs_of(samples([40, 9, 23, 5]), 48, True)
    model = network(0.1)
    totals = [model.loss(pack, None, Level.INPUTS).total.item() for pack in packs]
    expected = sum(totals) / sum(pack.learnt for pack in packs)
    found = evaluate(model, packs, Level.ATTENTION, Ranks(), lambda: False)
    assert found and found.loss == pytest.approx(expected, rel=1e-6)
    assert evaluate(model, packs, Level.ATTENTION, Ranks(), lambda: True) is None


def test_the_worst_conversations_come_first_with_what_they_were_when_last_read() -> None:
    losses = dict([("a", 3.0), ("b", 5.0)])
    losses.update([("b", 1.0), *((f"c{number}", 2.0) for number in range(20))])
    found = worst_of(losses)
    assert (found[0].source, found[0].loss) == ("a", 3.0)
    assert len(found) == 8 and "b" not in {document.source for document in found}


@given(st.integers(1, 9), st.integers(1, 4), st.integers(1, 3), st.integers(0, 99))
def test_every_epoch_reads_every_pack_once(
    count: int, accumulation: int, epochs: int, done: int
) -> None:
    packs = packs_of(samples([5 + number for number in range(count)]), 64, False)
    train = replace(QUICK, accumulation=accumulation, epochs=epochs)
    batches = Batches(train, packs)
    for epoch in range(epochs):
        first = epoch * batches.steps_per_epoch
        steps = range(first, first + batches.steps_per_epoch)
        read = [pack.sources for step in steps for pack in batches.packs_of(step)]
        assert sorted(read) == sorted(pack.sources for pack in packs)
    done = min(done, batches.steps)
    left = [pack for step in range(done, batches.steps) for pack in batches.packs_of(step)]
    assert batches.tokens_after(done) == sum(len(pack.ids) for pack in left)
