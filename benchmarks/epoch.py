"""An epoch of training with its score and its checkpoint, beside as many bare updates."""

import tempfile
from pathlib import Path

import torch

from benchmarks.mnist_step import made_images, repeat
from benchmarks.timing import Bar, Effort, Section, interleaved, ratio
from gan_repro.config import TrainingConfig
from gan_repro.data import MNIST
from gan_repro.training import Trainer

EPOCH, UPDATES = "epoch, scored every fifth time", "its updates alone"


def measure(effort: Effort) -> Section:
    """The score of every fifth epoch, as in the runs of record, is counted with a fifth of its time."""
    images = made_images(effort.num_train)
    labels, made = torch.zeros(len(images), dtype=torch.int64), images[: effort.num_images]
    mnist = MNIST(images, made, made, labels, labels[: len(made)], labels[: len(made)], md5={})
    config = TrainingConfig(num_train=len(images), num_valid=len(made), num_samples=effort.num_samples)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(config, mnist, Path(folder), torch.device("cpu"))
        rows = {
            UPDATES: repeat(trainer.game.update, config.steps_per_epoch),
            "checks and checkpoint": lambda: (trainer.check_finite(), trainer.save()),
            "score of G and of the average": lambda: trainer.score(1),
        }
        seconds = interleaved(rows, effort.slow_rounds)
    parts = zip(*seconds.values(), strict=True)
    seconds[EPOCH] = [updates + save + score / config.score_every for updates, save, score in parts]
    return Section(
        title=f"Epoch of {config.steps_per_epoch} updates; {effort.slow_rounds} rounds",
        seconds=seconds,
        reference=UPDATES,
        bars=[Bar("with a fifth of a score and a checkpoint / updates alone", ratio(seconds[EPOCH], seconds[UPDATES]))],
    )
