"""The making of the model, on a toy budget: it runs, can be taken up again, and is exact."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sentencepiece")
pytest.importorskip("gguf")

import torch.nn.functional as F  # noqa: E402

torch.set_num_threads(1)

from shoritui.demo.build import Build, build, vocabulary  # noqa: E402
from shoritui.demo.casting import Plan  # noqa: E402
from shoritui.demo.circuit import start  # noqa: E402
from shoritui.demo.export import write_gguf  # noqa: E402
from shoritui.demo.measure import Reader  # noqa: E402
from shoritui.demo.muon import orthogonal  # noqa: E402
from shoritui.demo.network import Network, Shape  # noqa: E402
from shoritui.demo.pieces import Pieces  # noqa: E402
from shoritui.demo.rows import scene_row  # noqa: E402
from shoritui.demo.scenes import make_scene  # noqa: E402
from shoritui.demo.training import Recipe, Trainer, landmarks  # noqa: E402

TEXT = "▀description\nAda, a baker.▄\n▀message (length: tiny)\nAda: _Oh,_ said Ada. 🙂▄\n"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def pieces(work: Path) -> Pieces:
    return vocabulary(Build(Recipe(0), 1, work, work / "demo.gguf"))


def begun(pieces: Pieces) -> Network:
    """A network with its first weights."""
    network = Network(Shape(vocabulary=pieces.size))
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
    trainer = Trainer(Shape(vocabulary=pieces.size), pieces, plan.recipe)
    trainer.take_up(torch.load(work / "state.pt", weights_only=True))
    assert trainer.step == second[1]


def test_stammers_are_read_but_never_learned(pieces: Pieces) -> None:
    for seed in range(5):
        read, following, weights = scene_row(seed, Plan(512), pieces)
        scene = make_scene(seed, Plan(512), pieces.count)
        kept = [0, *((read[1:] != read[:-1]) | (following[1:] != following[:-1])).nonzero()[0] + 1]
        true = pieces.encode(scene.text)
        assert following[kept].tolist() == true[: len(kept)]
        assert read[kept].tolist() == [pieces.bos, *true[: len(kept) - 1]]
        assert 0 < len(read) - len(kept) < 0.25 * len(read)
        assert set(weights.tolist()) <= {0.0, 1.0, 2.0, 3.0, 6.0}


def test_muon_straightens_matrices() -> None:
    x = torch.randn(3, 8, 20, generator=torch.Generator().manual_seed(0))
    sizes = torch.linalg.svdvals(orthogonal(x))
    assert sizes.min() > 0.5 and sizes.max() < 1.5
