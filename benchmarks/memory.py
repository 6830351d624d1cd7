"""Peak memory of each piece of work in a process of its own, as the Linux kernel counts it (man 5 proc)."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.mnist_step import made_images
from benchmarks.parzen_protocol import made_inputs, protocol
from benchmarks.timing import Bar, Effort, Spread
from gan_repro.config import TrainingConfig
from gan_repro.game import Game
from gan_repro.memorisation import nearest_training_images
from gan_repro.paths import ROOT

CLEAR_REFS = Path("/proc/self/clear_refs")  # where it is missing, the peak cannot be taken


def parzen(num_images: int, num_samples: int) -> Callable[[], object]:
    inputs = made_inputs(num_images, num_samples)
    protocol(*(rows[:10] for rows in inputs))  # libraries load on first use
    return lambda: protocol(*inputs)


def step(num_train: int, _: int) -> Callable[[], object]:
    game = Game(TrainingConfig(num_train=num_train), made_images(num_train))
    return game.update


def neighbours(num_train: int, num_samples: int) -> Callable[[], object]:
    train, samples = made_images(num_train), torch.rand(num_samples, 784)
    nearest_training_images(samples[:10], train[:10])
    return lambda: nearest_training_images(samples, train)


WORK = {"parzen": parzen, "step": step, "neighbours": neighbours}


def measure(effort: Effort) -> list[Bar]:
    """Megabytes above the inputs. Empty where the system does not tell."""
    if not CLEAR_REFS.exists():
        return []
    fewest, most, images = effort.sizes[0], effort.sizes[-1], effort.num_images
    few, protocols, many = (peak_memory("parzen", images, n) / 1e6 for n in (fewest, effort.num_samples, most))
    one_step = peak_memory("step", effort.num_train, 0) / 1e6
    search = peak_memory("neighbours", effort.num_train, effort.num_neighbours) / 1e6

    def megabytes(name: str, value: float, at_most: float | None = None) -> Bar:
        return Bar(f"peak memory: {name}", Spread(value, value, value), at_most=at_most, unit="MB")

    return [
        megabytes("MNIST step, buffers of its first", one_step),
        megabytes("nearest neighbours", search),
        megabytes(f"Parzen, {fewest:,} samples", few),
        megabytes(f"Parzen, {effort.num_samples:,} samples", protocols, at_most=300),
        megabytes(f"Parzen, {most:,} samples", many, at_most=1.5 * few),  # flat
    ]


def peak_memory(work: str, *sizes: int) -> int:
    """Bytes by which a piece of work raises the resident memory of a fresh process that holds its inputs."""
    command = [sys.executable, "-m", __name__, work, *map(str, sizes)]
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return int(done.stdout)


def peak_above_present(work: Callable[[], object]) -> int:
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
