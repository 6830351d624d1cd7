"""What a pair costs before it is trained: its parameters, the size of a checkpoint, hours by a measured step."""

from collections import Counter
from typing import Any

import torch

from gan_repro.config import TrainingConfig, released
from gan_repro.pairs import make_discriminator, make_generator


def num_parameters(pair: str, width: float = 1.0) -> tuple[int, int]:
    """Of G and of D of a pair at this width, a fraction of the released hidden units; shapes alone are made.

    Raises ValueError, as `config.TrainingConfig` does, for a width that the pair cannot have.
    """
    config = released(pair, width=width)
    with torch.device("meta"):
        nets = make_generator(config), make_discriminator(config)
    in_G, in_D = (sum(parameter.numel() for parameter in net.parameters()) for net in nets)
    return in_G, in_D


def checkpoint_bytes(pair: str, width: float = 1.0) -> int:
    """Of a checkpoint's weights, which are nearly all of it: G five times (weights, velocities, average, and the best
    of G and of the average), D twice (weights, velocities)."""
    in_G, in_D = num_parameters(pair, width)
    return torch.float32.itemsize * (5 * in_G + 2 * in_D)


def hours_as_released(config: TrainingConfig, bench: dict[str, Any]) -> float:
    """Of config's epochs of its images with its pair as released, in width and minibatches, by the median step in a
    record of the kind "bench"; validation scores come on top. Raises KeyError if the bench did not measure that pair.
    """
    updates = config.num_train // released(config.pair).batch_size * config.max_epochs
    return bench_rows(bench)[f"{config.pair}: step"]["seconds"]["median"] * updates / 3600


def bench_rows(bench: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The rows of a record of the kind "bench" by their names, but for names that stand in several sections."""
    named = [item for section in bench["sections"] for item in section["rows"].items()]
    times = Counter(name for name, _ in named)
    return {name: row for name, row in named if times[name] == 1}
