"""Peak memory of each piece of work in a process of its own, as the Linux kernel counts it (man 5 proc)."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.mnist_step import made_images
from benchmarks.pairs import new_game
from benchmarks.parzen_protocol import authors_formula, by_cdist, kernel_density, made_inputs, protocol
from benchmarks.timing import Bar, Effort, Spread
from benchmarks.tutorial import TutorialLoop
from gan_repro.config import RELEASED, TrainingConfig
from gan_repro.data import to_unit
from gan_repro.game import Game
from gan_repro.memorisation import nearest_training_images
from gan_repro.paths import ROOT
from gan_repro.scoring import validation_scores

CLEAR_REFS = Path("/proc/self/clear_refs")  # where it is missing, the peak cannot be taken


Work = Callable[[], object]


def parzen(num_images: int, num_samples: int) -> Work:
    inputs = made_inputs(num_images // 10, num_images, num_samples)
    protocol(*(rows[:10] for rows in inputs))  # libraries load on first use
    return lambda: protocol(*inputs)


def cdist(num_images: int, num_samples: int) -> Work:
    inputs = made_inputs(num_images // 10, num_images, num_samples)
    by_cdist(*(rows[:10] for rows in inputs))
    return lambda: by_cdist(*inputs)


def density(num_images: int, num_samples: int) -> Work:
    _, test, samples = made_inputs(num_images // 10, num_images, num_samples)
    fitted = kernel_density(samples)
    return lambda: fitted(test)


def formula(num_images: int, num_samples: int) -> Work:
    _, test, samples = made_inputs(num_images // 10, num_images, num_samples)
    authors_formula(test[:1], samples[:10], 0.2)
    return lambda: authors_formula(test, samples, 0.2)


def step_of(form: str) -> Callable[..., Work]:
    return lambda num_train: Game(TrainingConfig(step=form, num_train=num_train), made_images(num_train)).update


def tutorial(num_train: int) -> Work:
    return TutorialLoop(to_unit(made_images(num_train))).step


def score(num_images: int, num_samples: int) -> Work:
    config = TrainingConfig(num_train=100, num_valid=num_images, num_samples=num_samples)
    game, valid = Game(config, made_images(100)), made_images(num_images)
    return lambda: validation_scores(game.G, valid, config)


def neighbours(num_train: int, num_samples: int) -> Work:
    train, samples = made_images(num_train), torch.rand(num_samples, 784)
    nearest_training_images(samples[:10], train[:10])
    return lambda: nearest_training_images(samples, train)


def step_of_pair(name: str) -> Callable[..., Work]:
    """A step of one of the other pairs, at a width in hundredths of the released one."""
    return lambda percent: new_game(name, Effort(width_of_pairs=percent / 100)).update


OTHER_PAIRS = [name for name in RELEASED if name != "mnist"]
WORK = {
    "step": step_of("simultaneous"),
    "two_pass": step_of("two_pass"),
    "alternating": step_of("alternating"),
    "tutorial": tutorial,
    **{name: step_of_pair(name) for name in OTHER_PAIRS},
    "score": score,
    "parzen": parzen,
    "cdist": cdist,
    "kernel_density": density,
    "formula": formula,
    "neighbours": neighbours,
}


def measure(effort: Effort) -> list[Bar]:
    """Megabytes above the inputs. Empty where the system does not tell."""
    if not CLEAR_REFS.exists():
        return []

    def megabytes(name: str, work: str, *sizes: int, at_most: float | None = None) -> Bar:
        value = peak_memory(work, *sizes) / 1e6
        return Bar(f"peak memory: {name}", Spread(value, value, value), at_most=at_most, unit="MB")

    images, samples, train = effort.num_images, effort.num_samples, effort.num_train
    few, most = effort.sizes[0], effort.sizes[-1]
    least = megabytes(f"Parzen, {few:,} samples", "parzen", images, few)
    part = max(1, effort.num_slice // 5)
    percent = round(100 * effort.width_of_pairs)
    return [
        megabytes("MNIST step, one pass, its first", "step", train),
        megabytes("MNIST step, two passes, its first", "two_pass", train),
        megabytes("MNIST step, alternating, its first", "alternating", train),
        megabytes("tutorial loop, its first step", "tutorial", train),
        *(megabytes(f"{name}, its first step", name, percent) for name in OTHER_PAIRS),
        megabytes("a validation score of G", "score", images, samples),
        megabytes("nearest neighbours", "neighbours", train, effort.num_neighbours),
        megabytes("Parzen by torch.cdist", "cdist", images, samples),
        megabytes(
            f"scikit-learn's KernelDensity, {effort.num_slice} images", "kernel_density", effort.num_slice, samples
        ),
        megabytes(f"the authors' formula, {part} images", "formula", part, samples),
        least,
        megabytes(f"Parzen, {samples:,} samples", "parzen", images, samples, at_most=300),
        megabytes(f"Parzen, {most:,} samples", "parzen", images, most, at_most=1.5 * least.measured.median),  # flat
    ]


def peak_memory(work: str, *sizes: int) -> int:
    """Bytes by which a piece of work raises the resident memory of a fresh process that holds its inputs."""
    command = [sys.executable, "-m", __name__, work, *map(str, sizes)]
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return int(done.stdout)


def peak_above_present(work: Work) -> int:
    """Bytes by which work() raises this process's resident memory, at its highest, above what it holds before.

    Counted by VmHWM from zero: getrusage's maximum would begin with the peak of the process that started this one.
    """
    CLEAR_REFS.write_text("5")  # VmHWM counts from now on
    before = _resident("VmRSS")
    work()
    return _resident("VmHWM") - before


def _resident(field: str) -> int:
    """Bytes of resident memory, now (VmRSS) or at its highest (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(field + ":"))
    return 1024 * int(line.split()[1])


if __name__ == "__main__":
    print(peak_above_present(WORK[sys.argv[1]](*map(int, sys.argv[2:]))))
