"""Whether samples are copies: their nearest training images (the last column of Figure 2), and how near these are."""

from collections.abc import Callable
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from gan_repro.data import to_unit


def nearest_training_images(
    samples: Tensor, train: Tensor, chunk_size: int = 10_000, *, see: Callable[[Tensor], Tensor] = to_unit
) -> Tensor:
    """For each sample its nearest training image in squared L2, as the authors' show_samples scripts find it.

    samples: (n, d) as G draws them; train: (N, d) uint8; see: what D sees of bytes, of CIFAR-10 their normalisation.
    Returns the rows' numbers in train, (n,) int64. All are looked at; a tie may go either way by rounding. Raises
    ValueError if a sample is not finite, since nothing is nearest to it.
    """
    if not samples.isfinite().all():
        raise ValueError("a sample is not finite: nothing is nearest to it")
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


def measured_at_once(measure: Callable[[Tensor], Tensor], sets: dict[str, Tensor]) -> dict[str, Tensor]:
    """What measure, which gives a number for each image, gives for several sets of images, by their names.

    It is called once, with the images of all sets: the training images are then normalised once, not once a set.
    """
    measured = measure(torch.cat(list(sets.values())))
    return dict(zip(sets, measured.split([len(images) for images in sets.values()]), strict=True))


def difference_of_medians(a: Tensor, b: Tensor, num_draws: int = 1000) -> tuple[float, float]:
    """The middle 95 % of median(a) - median(b) over bootstrap draws, always the same, from a, (n,), and b, (m,)."""
    rng = torch.Generator().manual_seed(0)
    of_a, of_b = (v[torch.randint(len(v), (num_draws, len(v)), generator=rng)].median(dim=1).values for v in (a, b))
    low, high = (of_a - of_b).quantile(torch.tensor([0.025, 0.975], dtype=a.dtype)).tolist()
    return low, high


class LearnedNeighbours(NamedTuple):
    """The share of images whose nearest neighbour is a learned one, and the middle 95 % of what chance makes of it."""

    share: float
    low: float
    high: float

    def least_copies(self, expected: float) -> float:
        """The share of copies, each nearest to its own original, at which the share expected reaches the upper end of
        chance: so many would stand above it in half of such sets."""
        return (self.high - expected) / (1 - expected)


def learned_neighbours(
    rows: Tensor, num_learned: int, num_held_out: int, *, num_draws: int = 1000
) -> LearnedNeighbours:
    """Whether images are nearest to what was learned more often than to as good images that were not.

    rows: (n,) int64, for each image the row of its nearest, as `nearest_training_images` finds it among the num_learned
    images that were learned, which come first, and the num_held_out that were not, from the same source. Of copies it
    is a learned one; of images unrelated to these it is one in num_learned / (num_learned + num_held_out) of cases,
    however smooth they are. But smooth images share their neighbours, a few real ones near the middle of all, and do
    not count one by one: so chance is what becomes of the share, with the same neighbours, where num_learned of all are
    called learned at random, num_draws times, always the same.
    """
    neighbours, times = rows.unique(return_counts=True)
    rng = torch.Generator().manual_seed(0)
    orders = (torch.randperm(num_learned + num_held_out, generator=rng) for _ in range(num_draws))
    by_chance = torch.stack([times[order[neighbours] < num_learned].sum() for order in orders]).double() / len(rows)
    low, high = by_chance.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return LearnedNeighbours((rows < num_learned).double().mean().item(), low, high)


def distances_table(distances: dict[str, Tensor], fresh: str) -> pd.DataFrame:
    """Distances of several sets of images to the training set, as text: how many images, the median and the least
    distance, and whether the median differs from that of fresh images, with its interval (`difference_of_medians`).

    distances: by a set's name, each (n,), as `distances_to_training_set`; fresh: the name of the set that nothing
    learned. Raises KeyError if there is no such set.
    """
    rows = []
    for name, of_set in distances.items():
        row = {"images": name, "how many": len(of_set)}
        row |= {"median distance": f"{of_set.median():.2f}", "least": f"{of_set.min():.2f}"}
        row |= {f"against {fresh}": "–"}
        if name != fresh:
            low, high = difference_of_medians(of_set, distances[fresh])
            told = "nearer" if high < 0 else "further" if low > 0 else "no difference seen"
            row[f"against {fresh}"] = f"{told} ({low:+.2f} to {high:+.2f})"
        rows.append(row)
    return pd.DataFrame(rows)


def neighbours_table(rows_of: dict[str, Tensor], num_learned: int, num_held_out: int) -> pd.DataFrame:
    """`learned_neighbours` of several sets of images, in percent of each, as text: the share, what chance makes of it,
    and `least_copies`, or "never" where chance reaches all.

    rows_of: by the sets' names, each (n,); num_learned and num_held_out as there.
    """
    expected = num_learned / (num_learned + num_held_out)
    table = []
    for name, rows in rows_of.items():
        found = learned_neighbours(rows, num_learned, num_held_out)
        row = {"images": name, "how many": len(rows), "nearest to a learned one": f"{100 * found.share:.0f} %"}
        row["by chance"] = f"{100 * found.low:.0f} to {100 * found.high:.0f} %"
        noticed = f"{100 * found.least_copies(expected):.0f} %" if found.high < 1 else "never"  # no share is above 1
        table.append(row | {"copies noticed from": noticed})
    return pd.DataFrame(table)
