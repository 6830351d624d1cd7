"""Samples along Markov chains that run side by side, and how long these remember where they were."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Advance = Callable[[int], Tensor]  # moves all chains by so many steps and returns a sample of each, (chains, d)


def along_chains(advance: Advance, num_samples: int, *, burn_in: int, thin: int) -> Tensor:
    """(num_samples, d): a sample of each chain after burn_in steps, then one of each after every thin steps."""
    drawn = [advance(burn_in)]
    while sum(map(len, drawn)) < num_samples:
        drawn.append(advance(thin))
    return torch.cat(drawn)[:num_samples]


def draw(model: Any, num_samples: int, rng: torch.Generator) -> Tensor:
    """Samples of a model from the num_chains of its configuration, with its burn_in and thin, (num_samples, d)."""
    c = model.config
    advance = model.start_chains(min(c.num_chains, num_samples), rng)
    return along_chains(advance, num_samples, burn_in=c.burn_in, thin=c.thin)


def follow(advance: Advance, steps: Sequence[int]) -> Tensor:
    """The samples of all chains after each of these numbers of steps from where they stand, (len(steps), chains, d).

    steps: rising, from 1 on. Raises ValueError for others.
    """
    if not steps or list(steps) != sorted(set(steps)) or steps[0] < 1:
        raise ValueError(f"steps are {steps}: they must rise from 1 on")
    at, seen = 0, []
    for step in steps:
        seen.append(advance(step - at))
        at = step
    return torch.stack(seen)


def autocorrelation(samples: Tensor) -> Tensor:
    """Correlation of each chain's samples with its first, over chains and pixels: (times, chains, d) -> (times,).

    Every time's samples less their mean over chains: 1 where no chain has moved (and where all are at one place), 0
    where they have forgotten where they were, but for chance, which falls with the number of chains. It is no measure
    of the modes that are visited: chains that share one and move in it forget as well.
    """
    centred = (samples - samples.mean(dim=1, keepdim=True)).double()
    norms = centred.square().sum(dim=(1, 2)).sqrt()
    products = (centred * centred[0]).sum(dim=(1, 2))
    return torch.where(norms * norms[0] > 0, products / (norms * norms[0]), 1.0)
