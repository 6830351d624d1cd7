"""Random streams of a training run: every draw is a function of (seed, stream, step).

Resuming therefore needs no stored random state, and a faster way to train keeps every draw. The bits come from
Philox, a counter-based generator (Salmon et al., 2011) whose output is fixed for a given key and counter: the key is
(seed, stream), the top word of the counter is the step. Draws are made on the CPU, so that all devices see the same.

The definitions below are frozen: a change of any of them is a new training recipe (`training.RECIPE`).
"""

import math

import numpy as np
import torch
from torch import Tensor

STREAMS = {"order": 0, "z": 1, "masks": 2, "z_for_d": 3, "masks_for_d": 4, "evaluation": 5}


def raw_bits(seed: int, stream: str, step: int, num_bytes: int) -> np.ndarray:
    """At least num_bytes random bytes, as (ceil(num_bytes / 8),) uint64: a function of (seed, stream, step)."""
    key = np.array([seed, STREAMS[stream]], dtype=np.uint64)
    counter = np.array([0, 0, 0, step], dtype=np.uint64)
    return np.random.Philox(key=key, counter=counter).random_raw(-(-num_bytes // 8))


def epoch_order(seed: int, epoch: int, num_examples: int) -> Tensor:
    """The order in which an epoch (0, 1, ...) visits the training set: a permutation of (num_examples,) int64."""
    keys = raw_bits(seed, "order", epoch, 8 * num_examples)
    return torch.from_numpy(np.argsort(keys, kind="stable"))


def sample_noise(prior: str, seed: int, stream: str, step: int, shape: tuple[int, int]) -> Tensor:
    """A draw of z from the noise prior p_z: (m, num_z) float32.

    prior: "uniform" is U(-sqrt 3, sqrt 3) in each coordinate (unit variance; authors' mnist.yaml), "gaussian" is
    N(0, 1), "sphere" is uniform on the sphere of radius 1 (the authors' "spherical"; not sqrt num_z).
    """
    bits = raw_bits(seed, stream, step, 4 * math.prod(shape)).view(np.uint32)[: math.prod(shape)].reshape(shape)
    unit = torch.from_numpy(bits.astype(np.float64)).add_(0.5).mul_(2.0**-32)  # in (0, 1), neither end reached
    if prior == "uniform":
        return unit.sub_(0.5).mul_(2 * math.sqrt(3)).float()
    if prior not in ("gaussian", "sphere"):
        raise ValueError(f'the noise prior is "{prior}": it must be "uniform", "gaussian" or "sphere"')
    z = torch.special.ndtri(unit).float()  # the inverse of the normal distribution function
    return z if prior == "gaussian" else z / z.norm(dim=1, keepdim=True).clamp_min(1e-7)


def dropout_masks(
    seed: int, stream: str, step: int, num_rows: int, widths: tuple[int, ...], keep: tuple[float, ...]
) -> list[Tensor]:
    """Inverted dropout's multipliers, 0 or 1/keep, one (num_rows, width) float32 for each layer's input.

    keep: probability that a unit is kept, in (0, 1]. One draw serves all layers: a layer that keeps half takes one
    bit a unit, any other 16 bits (so that a probability is met to 2**-17).
    """
    sizes = [num_rows * width for width in widths]
    num_bytes = [0 if p == 1 else -(-size // 8) if p == 0.5 else 2 * size for size, p in zip(sizes, keep, strict=True)]
    starts = np.cumsum([0, *(-(-n // 8) * 8 for n in num_bytes)])  # each layer begins at a whole word
    drawn = raw_bits(seed, stream, step, int(starts[-1])).view(np.uint8)
    masks = []
    for size, width, p, start, n in zip(sizes, widths, keep, starts, num_bytes, strict=False):
        drawn_here, mask = drawn[start : start + n], torch.empty(num_rows, width)
        if p == 0.5:
            mask.copy_(torch.from_numpy(np.unpackbits(drawn_here, count=size)).view(num_rows, width))
        elif (kept_of_2_to_16 := round(p * 2**16)) < 2**16:  # 16 bits read as a signed number
            numbers = torch.from_numpy(drawn_here.view(np.int16)).view(num_rows, width)
            torch.lt(numbers, kept_of_2_to_16 - 2**15, out=mask)  # 0 or 1, as floats
        else:
            mask.fill_(1)
        masks.append(mask.mul_(1 / p))
    return masks
