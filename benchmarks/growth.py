"""How costs grow: with samples and test points of a Parzen window, with updates, with width and minibatch."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.mnist_step import made_images, repeat
from benchmarks.timing import Effort, Growth, interleaved
from gan_repro.config import TrainingConfig
from gan_repro.data import MNIST
from gan_repro.game import Game
from gan_repro.parzen import parzen_log_likelihood
from gan_repro.training import train

FIXED = 2_000  # test points while samples grow, and the other way round


def measure(effort: Effort) -> list[Growth]:
    draw = torch.Generator().manual_seed(0)
    most = max(effort.sizes)
    many, few = torch.rand(most, 784, generator=draw), torch.rand(min(FIXED, most), 784, generator=draw)
    images = made_images(effort.num_train)
    game, rounds = Game(TrainingConfig(num_train=len(images)), images), effort.slow_rounds

    def grown(title: str, rows: dict[int, Callable[[], object]], *, linear: bool, times: int = 1) -> Growth:
        timed = interleaved({str(size): work for size, work in rows.items()}, rounds)
        return Growth(title, {int(size): [s / times for s in seconds] for size, seconds in timed.items()}, linear)

    def step_of(**changes: int) -> Callable[[], None]:
        config = TrainingConfig(num_train=len(images), **changes)
        return repeat(Game(config, images).update, effort.steps_per_round)

    by_samples = {n: (lambda n=n: parzen_log_likelihood(few, many[:n], 0.2)) for n in effort.sizes}
    by_points = {n: (lambda n=n: parzen_log_likelihood(many[:n], few, 0.2)) for n in effort.sizes}
    by_updates = {n * effort.steps_per_round: repeat(game.update, n * effort.steps_per_round) for n in (1, 2, 5, 10)}
    by_epochs = {n: training_of(n, images) for n in effort.epochs}
    by_width = {w: step_of(num_hidden=1200 * w, num_units=240 * w) for w in effort.widths}
    by_batch = {m: step_of(batch_size=m) for m in effort.batch_sizes}
    return [
        grown(f"Parzen, {len(few):,} test points, by samples", by_samples, linear=True),
        grown(f"Parzen, {len(few):,} samples, by test points", by_points, linear=True),
        grown("Updates, by their number", by_updates, linear=True),
        grown("Training with scores and checkpoints, by epochs", by_epochs, linear=True),
        grown("One step, by width of the hidden layers", by_width, linear=False, times=effort.steps_per_round),
        grown("One step, by minibatch", by_batch, linear=False, times=effort.steps_per_round),
    ]


def training_of(num_epochs: int, images: torch.Tensor) -> Callable[[], object]:
    """A whole training from nothing, on few images, so that its history grows by many epochs: scored every fifth epoch,
    a checkpoint after each."""
    few = images[:1000]
    labels = torch.zeros(len(few), dtype=torch.int64)
    mnist = MNIST(few, few, few, labels, labels, labels, md5={})
    config = TrainingConfig(max_epochs=num_epochs, num_train=len(few), num_valid=len(few), num_samples=len(few))

    def work() -> None:
        with tempfile.TemporaryDirectory() as folder:
            train(config, mnist, runs=Path(folder), show=None)

    return work
