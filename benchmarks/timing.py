"""Timing of named callables in turn, and what is kept of it."""

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
    num_train: int = 50_000  # the authors' MNIST split
    num_images: int = 10_000  # scored by Parzen (Section 5), a tenth as many choose sigma
    num_samples: int = 10_000  # of G, in the Parzen window (Section 5)
    largest_product: int = 2048  # rows and columns of the matrices that show the machine's best rate


QUICK = Effort(step_rounds=5, steps_per_round=4, parzen_rounds=2)


class Spread(NamedTuple):
    """Median and quartiles of one quantity over the rounds."""

    median: float
    lower: float
    upper: float


class Bar(NamedTuple):
    """Something measured beside what it has to reach."""

    name: str
    measured: Spread
    limit: float
    at_least: bool  # else at most
    unit: str = ""  # none for a ratio

    @property
    def met(self) -> bool:
        return self.measured.median >= self.limit if self.at_least else self.measured.median <= self.limit


@dataclass(frozen=True)
class Section:
    """One topic's measurements."""

    title: str
    seconds: Mapping[str, Sequence[float]]  # of each row, one a round
    reference: str  # the row that the others are shown as multiples of: bare matrix products
    gflop: Mapping[str, float] = field(default_factory=dict)  # 10^9 floating-point operations, where they are counted
    bars: Sequence[Bar] = ()


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
