"""Timing of named callables in turn, and what is kept of it."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np


@dataclass(frozen=True)
class Effort:
    """How much is run. Quick is other numbers here, never other work."""

    step_rounds: int = 30
    steps_per_round: int = 10  # so that the first, with the caches full of another row's weights, counts little
    parzen_rounds: int = 8
    pair_rounds: int = 15  # of one step each
    slow_rounds: int = 3  # of what takes many seconds: peers on a slice, an epoch, new processes
    num_train: int = 50_000  # the authors' MNIST split
    num_images: int = 10_000  # scored by Parzen (Section 5), a tenth as many choose sigma
    num_samples: int = 10_000  # of G, in the Parzen window (Section 5)
    num_slice: int = 50  # images that the slow peers of Parzen score; their times are scaled up
    width_of_pairs: float = 1.0  # of the faces' and CIFAR-10 pairs, as a fraction of the released
    num_photographs: int = 40_000  # the authors' CIFAR-10 split, among which neighbours are sought
    num_neighbours: int = 1_000  # samples whose nearest training images are sought, as 03_mnist does
    steps_side_by_side: int = 300
    largest_product: int = 2048  # rows and columns of the matrices that show the machine's best rate
    sizes: tuple[int, ...] = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000)  # of what grows by thousands
    epochs: tuple[int, ...] = (10, 20, 40)  # of whole trainings, on a thousand images
    widths: tuple[int, ...] = (1, 2, 4, 8)  # times the released nets' hidden layers
    batch_sizes: tuple[int, ...] = (100, 200, 500, 1000)


QUICK = Effort(step_rounds=5, steps_per_round=4, parzen_rounds=2, pair_rounds=1, slow_rounds=1, steps_side_by_side=30)


class Spread(NamedTuple):
    """Median and quartiles of one quantity over the rounds."""

    median: float
    lower: float
    upper: float


class Bar(NamedTuple):
    """Something measured beside what it has to reach."""

    name: str
    measured: Spread
    at_least: float | None = None
    at_most: float | None = None
    unit: str = ""  # none for a ratio

    @property
    def met(self) -> bool:
        low = -math.inf if self.at_least is None else self.at_least
        return low <= self.measured.median <= (math.inf if self.at_most is None else self.at_most)


@dataclass(frozen=True)
class Section:
    """One topic's measurements."""

    title: str
    seconds: Mapping[str, Sequence[float]]  # of each row, one a round
    reference: str  # the row that the others are shown as multiples of, such as bare matrix products
    gflop: Mapping[str, float] = field(default_factory=dict)  # 10^9 floating-point operations, where they are counted
    bare: Sequence[str] | None = None  # rows that are matrix products and nothing else; None: all with a count
    bars: Sequence[Bar] = ()


@dataclass(frozen=True)
class Growth:
    """How one cost grows with one size."""

    title: str
    seconds: Mapping[int, Sequence[float]]  # of each size, one a round
    linear: bool  # whether time has to be proportional to the size

    @property
    def exponent(self) -> Spread:
        """p of time ~ size^p, fitted to the logarithms round by round."""
        logs = np.log(list(self.seconds))
        rounds = np.log(np.array([list(values) for values in self.seconds.values()])).T
        return spread([float(np.polyfit(logs, times, 1)[0]) for times in rounds])

    @property
    def bars(self) -> Sequence[Bar]:
        return [Bar(f"{self.title}: exponent", self.exponent, 0.95, 1.1)] if self.linear else []


def interleaved(rows: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each callable, one number a round.

    Every callable runs once before, untimed: libraries load and memory is touched on first use.
    """
    for work in rows.values():
        work()
    seconds: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(rounds):
        for name, work in rows.items():
            began = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - began)
    return seconds


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles, interpolated between values."""
    lower, median, upper = np.percentile(values, [25, 50, 75]).tolist()
    return Spread(median, lower, upper)


def ratio(over: Sequence[float], under: Sequence[float]) -> Spread:
    """Spread of over / under, taken round by round, so that what slowed both in a round divides out."""
    return spread([a / b for a, b in zip(over, under, strict=True)])
