"""The making of the model, on a toy budget: it runs, can be taken up again, and is exact."""

from __future__ import annotations

from pathlib import Path

import pytest

np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")
pytest.importorskip("sentencepiece")
pytest.importorskip("gguf")

import torch.nn.functional as F  # noqa: E402

torch.set_num_threads(1)

from shoritui.demo.making.batches import scene_row, stammered  # noqa: E402
from shoritui.demo.making.build import Build, build, vocabulary  # noqa: E402
from shoritui.demo.making.cast import Plan  # noqa: E402
from shoritui.demo.making.circuit import start  # noqa: E402
from shoritui.demo.making.export import write_gguf  # noqa: E402
from shoritui.demo.making.measure import Reader  # noqa: E402
from shoritui.demo.making.network import Network, demo_shape  # noqa: E402
from shoritui.demo.making.trainer import Recipe, Trainer, landmarks  # noqa: E402
from shoritui.demo.making.vocabulary import Pieces  # noqa: E402

TEXT = "▀description\nAda, a baker.▄\n▀message (length: tiny)\nAda: _Oh,_ said Ada. 🙂▄\n"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def pieces(work: Path) -> Pieces:
    return vocabulary(Build(Recipe(0), 1, work, work / "demo.gguf"))


def begun(pieces: Pieces) -> Network:
    """A network with its first weights."""
    network = Network(demo_shape(pieces.size))
    start(network, seed=1, landmarks=landmarks(pieces))
    return network


def test_the_first_weights_copy_what_stood_before(pieces: Pieces) -> None:
    network = begun(pieces)
    once = torch.randint(6, pieces.size, (2, 100), generator=torch.Generator().manual_seed(0))
    ids = torch.cat([once, once], 1)
    with torch.no_grad():
        scores = network.logits(ids[:, :-1]).transpose(1, 2)
        losses = F.cross_entropy(scores, ids[:, 1:], reduction="none")
    assert losses[:, 100:].mean() < 0.5 * losses[:, :99].mean()


def test_the_exported_file_computes_what_the_network_does(work: Path, pieces: Pieces) -> None:
    network = begun(pieces)
    write_gguf(work / "exported.gguf", network, pieces)
    reader = Reader(work / "exported.gguf", context=256)
    ids = [pieces.bos, *pieces.encode(TEXT)]
    assert [reader.llama.token_bos(), *reader.ids(TEXT)] == ids
    reader.llama.eval(ids)
    with torch.no_grad():
        scores = network.logits(torch.tensor([ids]))[0]
    exported = torch.from_numpy(reader.llama.scores[: len(ids)].copy())
    assert (exported - scores).abs().max() < 0.05 * scores.abs().max()


def test_a_run_can_be_taken_up_again(work: Path, pieces: Pieces) -> None:
    plan = Build(Recipe(seconds=0.1, batch_tokens=512), 1, work, work / "demo.gguf")
    build(plan)
    first = torch.load(work / "state.pt", weights_only=True)["clock"]
    assert first[0] >= 0.1 and plan.out.exists()
    build(Build(Recipe(seconds=first[0] + 0.1, batch_tokens=512), 1, work, plan.out))
    second = torch.load(work / "state.pt", weights_only=True)["clock"]
    assert second[1] > first[1]
    trainer = Trainer(demo_shape(pieces.size), pieces, plan.recipe)
    trainer.take_up(torch.load(work / "state.pt", weights_only=True))
    assert trainer.step == second[1]


def test_a_stammer_is_read_but_only_its_end_is_learned(pieces: Pieces) -> None:
    ids = np.array([1, 3, *range(10, 200)])
    order, counts = stammered(ids, 1, (3,), np.random.default_rng(0))
    assert sorted(set(order)) == list(range(len(ids)))
    assert len(ids) < len(order) < 1.6 * len(ids)
    back = (np.diff(order) < 1).nonzero()[0]
    assert len(back) and all(counts[back] == 1)
    assert all(counts[np.unique(order, return_index=True)[1]] == 1)
    read, following, weights = scene_row(1, Plan(256), pieces)
    assert len(read) == len(following) == len(weights) == 256
