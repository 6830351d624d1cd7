"""Nearest training images of samples, as Figure 2 and the check for copies need them."""

import torch
from sklearn.neighbors import NearestNeighbors

from benchmarks.mnist_step import made_images
from benchmarks.timing import Bar, Effort, Section, interleaved, spread
from gan_repro.contrast import global_contrast_normalize
from gan_repro.data import to_unit
from gan_repro.memorisation import nearest_training_images

OURS, PRODUCTS, SKLEARN = "nearest_training_images", "its matrix products, bare", "scikit-learn's NearestNeighbors"


def measure(effort: Effort) -> Section:
    train = made_images(effort.num_train)
    samples = torch.rand(effort.num_neighbours, train.shape[1], generator=torch.Generator().manual_seed(1))
    as_floats = to_unit(train)
    brute = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(as_floats.numpy())
    result = torch.empty(len(samples), len(train))
    rows = {
        OURS: lambda: nearest_training_images(samples, train),
        PRODUCTS: lambda: torch.mm(samples, as_floats.T, out=result),
        SKLEARN: lambda: brute.kneighbors(samples.numpy(), return_distance=False),
    }
    return Section(
        title=f"Nearest of {len(train):,} training images to {len(samples):,} samples; {effort.slow_rounds} rounds",
        seconds=interleaved(rows, effort.slow_rounds),
        reference=PRODUCTS,
        gflop={PRODUCTS: 2 * len(samples) * train.numel() / 1e9},
    )


def measure_photographs(effort: Effort) -> Section:
    """Among as many made images as CIFAR-10 has to learn, normalised on the way: the time does not depend on them."""
    draws = torch.Generator().manual_seed(0)
    train = torch.randint(256, (effort.num_photographs, 3072), dtype=torch.uint8, generator=draws)
    samples = global_contrast_normalize(torch.rand(effort.num_neighbours, 3072, generator=draws))
    result = torch.empty(len(samples), len(train))
    as_floats = global_contrast_normalize(train)
    rows = {
        OURS: lambda: nearest_training_images(samples, train, see=global_contrast_normalize),
        PRODUCTS: lambda: torch.mm(samples, as_floats.T, out=result),
    }
    seconds = interleaved(rows, effort.slow_rounds)
    return Section(
        title=f"Nearest of {len(train):,} images as of CIFAR-10 to {len(samples):,} samples, "
        f"{torch.get_num_threads()} thread(s)",
        seconds=seconds,
        reference=PRODUCTS,
        gflop={PRODUCTS: 2 * len(samples) * train.numel() / 1e9},
        bars=[Bar("nearest_training_images", spread(seconds[OURS]), at_most=10, unit="s")],
    )
