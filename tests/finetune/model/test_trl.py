"""A preference tier's loss, figures and gradients are those of TRL on the same model."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from shoritui.finetune.config.model import Preference
from shoritui.finetune.data.packs import Sample, pack_of
from shoritui.finetune.model.interface import Draw, Level
from shoritui.finetune.run.distributed import Ranks
from shoritui.finetune.run.objectives import Pairs, losses_of, referred
from tests.finetune.model import plain
from tests.finetune.model.test_network import adapted_mistral, like

pytestmark = pytest.mark.slow

PAIRS = (([5, 9, 30, 7], [11, 12, 13], [40, 41, 42, 43, 44, 45]), ([60] * 9, [8, 3, 8], [70]))
"""The prompt, the chosen and the rejected completion, as ids."""


def _rows() -> Iterator[dict[str, str]]:
    """The trainer wants some text; what it is asked for is made of ids."""
    yield {"prompt": "a", "chosen": "b", "rejected": "c"}


def trainer_of(model: Any, folder: Path, **settings: Any) -> Any:
    """TRL's trainer of a PEFT model, whose reference is the adapter as it is now."""
    trl: Any = pytest.importorskip("trl")
    datasets: Any = pytest.importorskip("datasets")
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    transformers: Any = importlib.import_module("transformers")
    words = {word: number for number, word in enumerate(("<s>", "</s>", "<unk>", "a", "b", "c"))}
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel(words, unk_token="<unk>")),
        **{"bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>", "unk_token": "<unk>"},
    )
    return trl.DPOTrainer(
        model=model,
        args=trl.DPOConfig(
            output_dir=str(folder),
            max_steps=1,
            report_to="none",
            use_cpu=True,
            bf16=False,
            **settings,
        ),
        train_dataset=datasets.IterableDataset.from_generator(_rows),
        processing_class=tokenizer,
    )


@pytest.mark.parametrize(
    ("settings", "theirs"),
    [
        (Preference(beta=0.3), {"loss_type": "sigmoid"}),
        (Preference(beta=4.0, length_normalised=True), {"loss_type": "sigmoid_norm"}),
    ],
)
def test_trl_finds_the_same(tmp_path: Path, settings: Preference, theirs: dict[str, Any]) -> None:
    model = adapted_mistral()
    parent, policy = like(model), like(model)
    trainer = trainer_of(model, tmp_path, beta=settings.beta, **theirs)
    torch.manual_seed(4)
    for name, parameter in policy.adapter.items():
        parameter.data += 0.01 * torch.randn_like(parameter)
        model.get_parameter(name.replace(".weight", ".default.weight")).data.copy_(parameter)
    batch = trainer.data_collator(
        [{"prompt_ids": a, "chosen_ids": b, "rejected_ids": c} for a, b, c in PAIRS]
    )
    model.train()
    loss = trainer.compute_loss(model, batch)
    loss.backward()
    expected = {
        name.replace(".default", ""): parameter.grad
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }
    figures = {name: values[-1] for name, values in trainer._metrics["train"].items()}
    samples = []
    for prompt, *completions in PAIRS:
        for completion in completions:
            ids = np.array(prompt + completion, np.int32)
            samples.append(Sample(ids, np.arange(len(ids)) >= len(prompt), "pair"))
    pack = pack_of(tuple(samples))
    losses = losses_of(parent, [pack], Level.ATTENTION, Ranks(), lambda: False)
    assert losses is not None
    (known,) = referred([pack], losses.numpy())
    objective = Pairs(settings)
    by_document = policy.loss(known, Draw(1, 0, 0), Level.ATTENTION).by_document
    mean = objective.total(known, by_document) / objective.count(known)
    mean.backward()  # type: ignore[no-untyped-call]
    reached = objective.reached([known], by_document.detach()).preference
    assert reached
    assert mean.item() == pytest.approx(loss.item(), rel=1e-6)
    assert plain.furthest(plain.gradients(policy), expected) < 1e-5
    if not settings.length_normalised:  # TRL's rewards are of whole messages all the same
        assert reached.accuracy == figures["rewards/accuracies"]
        assert reached.margin == pytest.approx(figures["rewards/margins"], rel=1e-4)
        rewards = (figures["rewards/chosen"], figures["rewards/rejected"])
        drifts = (settings.beta * reached.chosen, settings.beta * reached.rejected)
        assert drifts == pytest.approx(rewards, rel=1e-4)
