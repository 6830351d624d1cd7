"""A training step and a way to a sample of the other models of Table 1, each as its runs of record have it."""

from collections.abc import Callable

import torch

from benchmarks.mnist_step import made_images, repeat
from benchmarks.pairs import NUM_SAMPLES, flop_of
from benchmarks.timing import Effort, Section, interleaved
from gan_repro.baselines.draws import settings_of
from gan_repro.baselines.fit import MODELS
from gan_repro.data import to_unit
from gan_repro.paths import RESULTS
from gan_repro.results import read_results


def measure(effort: Effort) -> Section:
    """All models in turn: a step on one minibatch, and one sample of each of its chains, as many steps after the one
    before as the runs of record have; of a model without chains, a hundred samples."""
    works = {name: work for model in MODELS for name, work in works_of(model).items()}
    gflop = {name: flop_of(work) / 1e9 for name, work in works.items()}
    n = effort.steps_per_round
    timed = interleaved({name: repeat(work, n) for name, work in works.items()}, effort.step_rounds)
    return Section(
        title=f"Other models of Table 1, {torch.get_num_threads()} thread(s); {effort.step_rounds} rounds of {n}",
        seconds={name: [value / n for value in values] for name, values in timed.items()},
        reference="deep_gsn: step",
        gflop=gflop,
        bare=(),
    )


def works_of(name: str) -> dict[str, Callable[[], object]]:
    """A model at the start of its training, on made images: what a step costs hardly depends on what they show."""
    config = settings_of(read_results(RESULTS / name / "seed0.json", "baseline")).model_config
    rng = torch.Generator().manual_seed(0)
    model, x = MODELS[name][0](config, rng), to_unit(made_images(config.batch_size))
    last = config.epochs - 1  # of a stack: its uppermost layer learns, on the codes of those below
    step = {f"{name}: step": lambda: model.train_epoch(x, last, rng)}
    if not hasattr(model, "start_chains"):
        return step | {f"{name}: {NUM_SAMPLES} samples": lambda: model.draw(NUM_SAMPLES, rng)}
    advance = model.start_chains(config.num_chains, rng)
    return step | {f"{name}: {config.num_chains} samples": lambda: advance(config.thin)}
