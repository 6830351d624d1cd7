"""Whether samples are copies: their nearest training images (the last column of Figure 2), and how near these are."""

from collections.abc import Callable

import torch
from torch import Tensor

from gan_repro.data import to_unit


def nearest_training_images(
    samples: Tensor, train: Tensor, chunk_size: int = 10_000, *, see: Callable[[Tensor], Tensor] = to_unit
) -> Tensor:
    """For each sample its nearest training image in squared L2, as the authors' show_samples scripts find it.

    samples: (n, d) as G draws them; train: (N, d) uint8; see: what D sees of bytes, of CIFAR-10 their normalisation.
    Returns the rows' numbers in train, (n,) int64. All are looked at; a tie may go either way by rounding.
    """
    best = torch.full((len(samples),), torch.inf)
    rows = torch.zeros(len(samples), dtype=torch.int64)
    for start in range(0, len(train), chunk_size):
        distance = torch.cdist(samples, see(train[start : start + chunk_size]))  # (n, chunk)
        nearest = distance.min(dim=1)
        closer = nearest.values < best
        best[closer], rows[closer] = nearest.values[closer], nearest.indices[closer] + start
    return rows


def distances_to_training_set(images: Tensor, train: Tensor, *, see: Callable[[Tensor], Tensor] = to_unit) -> Tensor:
    """L2 distance of each image to the nearest training image, (n,); arguments as of `nearest_training_images`."""
    return (images - see(train[nearest_training_images(images, train, see=see)])).norm(dim=1)


def difference_of_medians(a: Tensor, b: Tensor, num_draws: int = 1000) -> tuple[float, float]:
    """The middle 95 % of median(a) - median(b) over bootstrap draws, always the same, from a, (n,), and b, (m,)."""
    rng = torch.Generator().manual_seed(0)
    of_a, of_b = (v[torch.randint(len(v), (num_draws, len(v)), generator=rng)].median(dim=1).values for v in (a, b))
    low, high = (of_a - of_b).quantile(torch.tensor([0.025, 0.975], dtype=a.dtype)).tolist()
    return low, high


def shares_nearer_to_learned(
    images: Tensor,
    learned: Tensor,
    held_out: Tensor,
    *,
    num_splits: int = 50,
    see: Callable[[Tensor], Tensor] = to_unit,
) -> tuple[Tensor, Tensor]:
    """The share of images that lie nearer to some of the learned images than to as many held out, split by split.

    images: (n, d) as G draws them; learned and held_out: uint8, from the same source. Who has learned nothing by heart
    is as near to the one as to the other, however smooth the images are. But smooth images share their neighbours, a
    few real ones near the middle of all, so that they do not count one by one: therefore the second result, the same
    share between two halves of held_out. Each is (num_splits,); a split takes half of held_out and as many of learned,
    at random, always the same. Raises ValueError where there are fewer learned than that.
    """
    half = len(held_out) // 2
    if len(learned) < half:
        raise ValueError(f"{len(learned)} learned images for {half} held out in a split: take more")
    rng = torch.Generator().manual_seed(0)
    to_learned, to_held_out = (
        torch.cat([torch.cdist(images, see(part)) for part in real.split(10_000)], dim=1)
        for real in (learned, held_out)
    )  # (n, N) each
    of_learned, between = [], []
    for _ in range(num_splits):
        some, order = torch.randperm(len(learned), generator=rng)[:half], torch.randperm(len(held_out), generator=rng)
        first, second = (to_held_out[:, rows].amin(dim=1) for rows in (order[:half], order[half : 2 * half]))
        of_learned.append((to_learned[:, some].amin(dim=1) < first).double().mean())
        between.append((second < first).double().mean())
    return torch.stack(of_learned), torch.stack(between)
