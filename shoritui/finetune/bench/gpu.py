"""A training step on a GPU: speed and memory at every level, and beside transformers and PEFT.

Weights are random and made where they stay, layer by layer: nothing is downloaded.
"""

from __future__ import annotations

import gc
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from shoritui.benchmark import Aim, Figure, Unmeasurable, benchmark
from shoritui.finetune.bench.lab import Lab, noise, seconds_of, stepper
from shoritui.finetune.bench.reference import Reference
from shoritui.finetune.config.model import Base, Lora, Train
from shoritui.finetune.model.interface import Draw, Level
from shoritui.finetune.model.network import Network
from shoritui.finetune.model.optimizer import make_optimizer
from shoritui.finetune.plan.step_memory import CONTEXT_BYTES, GIB, peaks
from shoritui.gguf.shape import Shape
from shoritui.text import size

TOKENS: Final = 16384
ROUNDS: Final = 5
WARM_UPS: Final = 2
SECONDS: Final = 20
"""After so many no further round is begun, on a GPU that takes long."""
OWED: Final = "owed: no GPU"
H100_AIM: Final = ">= 9000"
_FASTEST_FIRST: Final = sorted(Level, reverse=True)


@benchmark(
    *(Aim(f"peak_error_{level.name.lower()}", "ratio", "<= 0.05") for level in _FASTEST_FIRST),
    *(Aim(f"tokens_per_second_{level.name.lower()}", "tok/s") for level in _FASTEST_FIRST),
    Aim("tokens_per_second", "tok/s"),
    Aim("offload_overhead", "ratio", "<= 0.03"),
)
def levels(lab: Lab) -> dict[str, Figure]:
    """One document of all tokens, at each level: measured over traced peak, and speed."""
    return on_levels(lab, _gpu(lab))


@benchmark(
    Aim("tokens_per_second_vs_peft", "ratio", ">= 1.4"),
    Aim("tokens_per_second_two_documents", "tok/s"),
    Aim("tokens_per_second_eight_documents", "tok/s"),
)
def against_peft(lab: Lab) -> dict[str, Figure]:
    """Turn by turn with a bf16 stream and checkpointing, dropout 0.1, at the fastest level."""
    return beside_peft(lab, _gpu(lab))


@benchmark(
    Aim("nf4_loss_vs_peft", "nats", "<= 0.001"), Aim("nf4_gradients_vs_peft", "cosine", ">= 0.999")
)
def equality_on_gpu(lab: Lab) -> dict[str, Figure]:
    """Two layers in NF4 and bf16, without dropout."""
    return equal_in_nf4(lab, _gpu(lab))


@benchmark(Aim("product_share", "%", ">= 85"), Aim("dropout_overhead", "ratio"))
def inside(lab: Lab) -> dict[str, Figure]:
    """Where a step's time goes, at the level of attention; what dropout costs of it."""
    return inside_a_step(lab, _gpu(lab))


@benchmark(Aim("peak_error_131072", "ratio", "<= 0.05"), Aim("tokens_per_second_131072", "tok/s"))
def long_document(lab: Lab) -> dict[str, Figure]:
    """One step of a document of 131,072 tokens (eight times `--tokens`), on the lowest level."""
    return on_a_long_document(lab, _gpu(lab))


def on_levels(lab: Lab, device: torch.device) -> dict[str, Figure]:
    """Every level that the cap allows."""
    shape, tokens = lab.shape_or("mistral-7b"), lab.tokens or TOKENS
    figures, speeds = {}, {}
    planned = peaks(shape, Base(), Lora(), Train(), [tokens], kind="cuda")
    with _capped(lab, device):
        network, _optimizer = _network_at_work(shape, device)
        for level in _FASTEST_FIRST:
            lab.step(level.name.lower())
            name, aim = level.name.lower(), planned[level].work.tensors
            try:
                times, peak = _timed(stepper(network, noise([tokens], shape), level), device)
            except torch.OutOfMemoryError:
                owed = Figure((), f"out of memory; {size(aim)} were traced")
                figures[f"peak_error_{name}"] = figures[f"tokens_per_second_{name}"] = owed
                continue
            note = f"{size(peak)} of tensors, {size(aim)} were traced"
            figures[f"peak_error_{name}"] = Figure([abs(peak / aim - 1)], note)
            speeds[level] = [tokens / seconds for seconds in times]
            figures[f"tokens_per_second_{name}"] = Figure(speeds[level])
    fastest = max(speeds, default=None)
    figures["tokens_per_second"] = _best(speeds[fastest], fastest, device) if fastest else _full()
    figures["offload_overhead"] = _full()
    if Level.OFFLOAD in speeds and Level.INPUTS in speeds:
        pairs = zip(speeds[Level.INPUTS], speeds[Level.OFFLOAD], strict=False)
        figures["offload_overhead"] = Figure([one / other - 1 for one, other in pairs])
    return figures


def beside_peft(lab: Lab, device: torch.device) -> dict[str, Figure]:
    """The fastest level that the plan says fits, whatever PEFT takes."""
    shape, tokens = lab.shape_or("mistral-7b"), lab.tokens or TOKENS
    lora = Lora()
    packs = {
        "one": noise([tokens], shape),
        "two_documents": noise([tokens * 5 // 8, tokens - tokens * 5 // 8], shape),
        "eight_documents": noise([tokens // 8] * 8, shape),
    }
    planned = peaks(shape, Base(), lora, Train(), [tokens], kind="cuda")
    cap = lab.cap or _total(device)
    fitting = [level for level in _FASTEST_FIRST if planned[level].device <= cap]
    if not fitting:
        raise Unmeasurable(f"No checkpointing level fits into {size(cap)}.")
    figures = {}
    with _capped(lab, device):
        network = Network.random(shape, lora, device)
        for name, pack in packs.items():
            lab.step(name)
            times, _ = _timed(stepper(network, pack, fitting[0]), device)
            figures[f"tokens_per_second_{name}"] = Figure([len(pack.ids) / one for one in times])
        reference = Reference(shape, network.weights, network.adapter, lora, torch.bfloat16)
        lab.step("transformers and PEFT")
        ours = figures.pop("tokens_per_second_one").samples
        try:
            times, _ = _timed(reference.stepper(packs["one"]), device)
            theirs = [tokens / one for one in times]
        except torch.OutOfMemoryError:
            missing = Figure((), "transformers and PEFT run out of memory")
            return {**figures, "tokens_per_second_vs_peft": missing}
    ratios = [one / other for one, other in zip(ours, theirs, strict=False)]
    note = f"{sorted(theirs)[len(theirs) // 2]:,.0f} tok/s with transformers and PEFT"
    return {**figures, "tokens_per_second_vs_peft": Figure(ratios, note)}


def equal_in_nf4(lab: Lab, device: torch.device) -> dict[str, Figure]:
    """The loss of a token, and the gradients of all factors as one vector."""
    shape, lora = replace(lab.shape_or("mistral-7b"), layers=2), Lora(dropout=0.0)
    network = Network.random(shape, lora, device)
    pack = noise([600, 424], shape)
    loss = network.loss(pack, Draw(0, 0, 0), Level.ATTENTION).total
    loss.backward()  # type: ignore[no-untyped-call]
    reference = Reference(shape, network.weights, network.adapter, lora, torch.bfloat16)
    theirs = reference.loss(pack)
    theirs.backward()  # type: ignore[no-untyped-call]
    one, other = (
        torch.cat([_gradient(factors[name]) for name in network.adapter])
        for factors in (network.adapter, reference.adapter)
    )
    cosine = float(torch.nn.functional.cosine_similarity(one, other, 0))
    return {
        "nf4_loss_vs_peft": Figure([abs(float(loss.detach() - theirs.detach())) / pack.learnt]),
        "nf4_gradients_vs_peft": Figure([cosine]),
    }


def inside_a_step(lab: Lab, device: torch.device) -> dict[str, Figure]:
    """The share of matrix products and attention in the time of all kernels."""
    shape, tokens = lab.shape_or("mistral-7b"), lab.tokens or TOKENS
    with _capped(lab, device):
        network = Network.random(shape, Lora(), device)
        pack = noise([tokens], shape)
        lab.step("with dropout")
        times, _ = _timed(stepper(network, pack, Level.ATTENTION), device)
        still = Network(shape, network.weights, network.adapter, Lora(dropout=0.0))
        lab.step("without dropout")
        bare, _ = _timed(stepper(still, pack, Level.ATTENTION), device)
        lab.step("the profiler's round")
        kernels = _kernels(stepper(network, pack, Level.ATTENTION), device)
    whole = sum(kernels.values())
    products = sum(time for name, time in kernels.items() if _PRODUCT.search(name))
    most = sorted(kernels, key=lambda name: kernels[name], reverse=True)[:_SHOWN]
    note = ", ".join(f"{name[:_NAME]} {kernels[name] / whole:.1%}" for name in most)
    ratios = [one / other for one, other in zip(times, bare, strict=False)]
    return {
        "product_share": Figure([100 * products / whole], note),
        "dropout_overhead": Figure(ratios, "with dropout over without"),
    }


def on_a_long_document(lab: Lab, device: torch.device) -> dict[str, Figure]:
    """One step, as it comes: at this length nothing needs warming up."""
    shape, tokens = lab.shape_or("mistral-7b"), 8 * (lab.tokens or TOKENS)
    planned = peaks(shape, Base(), Lora(), Train(), [tokens], kind="cuda", levels=[Level.OFFLOAD])
    aim = planned[Level.OFFLOAD].work
    with _capped(lab, device):
        network, _optimizer = _network_at_work(shape, device)
        _emptied(device)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        seconds = seconds_of(stepper(network, noise([tokens], shape), Level.OFFLOAD), device)
        peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
    return {
        "peak_error_131072": Figure([abs(peak / aim.tensors - 1)], f"{size(peak)} of tensors"),
        "tokens_per_second_131072": Figure([tokens / seconds], f"{tokens:,} tokens"),
    }


def _network_at_work(shape: Shape, device: torch.device) -> tuple[Network, Optimizer]:
    """What stays between two steps: the plan counts gradients and the optimizer's state."""
    lora, train = Lora(), Train()
    network = Network.random(shape, lora, device)
    optimizer = make_optimizer(network.adapter, lora, train)
    for factor in network.adapter.values():
        factor.grad = torch.zeros_like(factor)
    optimizer.step()
    return network, optimizer


_PRODUCT: Final = re.compile(r"gemm|nvjet|cutlass|xmma|flash|fmha|attention|::(add|b)?mm_?$", re.I)
_SHOWN: Final = 6
_NAME: Final = 40


def _kernels(work: Callable[[], object], device: torch.device) -> dict[str, float]:
    """The time that each kernel took by itself; on a processor, each operation."""
    from torch.profiler import ProfilerActivity, profile

    is_cuda = device.type == "cuda"
    activity = ProfilerActivity.CUDA if is_cuda else ProfilerActivity.CPU
    with profile(activities=[activity]) as profiled:
        work()
    return {
        each.key: float(each.self_device_time_total if is_cuda else each.self_cpu_time_total)
        for each in profiled.key_averages()
    }


def _gradient(factor: nn.Parameter) -> Tensor:
    assert factor.grad is not None
    return factor.grad.flatten()


def _gpu(lab: Lab) -> torch.device:
    if lab.device == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise Unmeasurable(OWED)
    return torch.device("cuda", torch.cuda.current_device())


@contextmanager
def _capped(lab: Lab, device: torch.device) -> Iterator[None]:
    """As on a GPU with less memory; what CUDA itself takes is taken off."""
    is_capped = lab.cap is not None and device.type == "cuda"
    if is_capped and lab.cap is not None:
        share = min((lab.cap - CONTEXT_BYTES) / _total(device), 1.0)
        torch.cuda.set_per_process_memory_fraction(share, device)
    try:
        yield
    finally:
        if is_capped:
            torch.cuda.set_per_process_memory_fraction(1.0, device)
        _emptied(device)


def _timed(work: Callable[[], object], device: torch.device) -> tuple[list[float], int]:
    """Seconds of each round, and the peak bytes of tensors; the first rounds warm up."""
    _emptied(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    times: list[float] = []
    begun = time.perf_counter()
    while len(times) < WARM_UPS + ROUNDS:
        times.append(seconds_of(work, device))
        if len(times) > 1 and time.perf_counter() - begun > SECONDS:
            break
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
    return times[min(WARM_UPS, len(times) - 1) :], peak


def _best(speeds: Sequence[float], level: Level, device: torch.device) -> Figure:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    note = f"{name}, at level {level.name.lower()}"
    return Figure(speeds, note, aim=H100_AIM if "H100" in name else None)


def _full() -> Figure:
    return Figure((), "out of memory")


def _total(device: torch.device) -> int:
    if device.type != "cuda":
        return 64 * GIB
    return int(torch.cuda.get_device_properties(device).total_memory)


def _emptied(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
