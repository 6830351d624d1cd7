"""The minibatches of an epoch, for all models alike."""

from collections.abc import Sequence

import torch
from torch import Tensor


def minibatches(num_images: int, batch_size: int, rng: torch.Generator) -> Sequence[Tensor]:
    """The rows of each minibatch, (batch_size,) int64, in an order drawn anew; what does not fill one is left out."""
    order = torch.randperm(num_images, generator=rng)
    return order[: num_images - num_images % batch_size].split(batch_size)
