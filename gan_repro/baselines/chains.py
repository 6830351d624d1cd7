"""Samples along Markov chains that run side by side."""

from collections.abc import Callable

import torch
from torch import Tensor


def along_chains(advance: Callable[[int], Tensor], num_samples: int, *, burn_in: int, thin: int) -> Tensor:
    """(num_samples, d): a sample of each chain after burn_in steps, then one of each after every thin steps.

    advance: moves all chains by so many steps and returns a sample of each, (chains, d).
    """
    drawn = [advance(burn_in)]
    while sum(map(len, drawn)) < num_samples:
        drawn.append(advance(thin))
    return torch.cat(drawn)[:num_samples]
