"""The Parzen window at the full protocol of Section 5: ten sigmas on validation images, then one on the test images.

Its peers: the same by torch.cdist, in chunks, anew for each sigma; scikit-learn's KernelDensity (fitted before) and the
authors' formula, which makes an array of (images, samples, pixels) numbers, on a slice of the images, scaled up.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.timing import Bar, Effort, Section, interleaved, ratio
from gan_repro.faces import NUM_FOLDS
from gan_repro.parzen import AUTHORS_SIGMAS, choose_sigma, parzen_log_likelihood

OURS, PRODUCTS, CDIST = "protocol", "its matrix products, bare", "torch.cdist"
SKLEARN, AUTHORS = "scikit-learn's KernelDensity, scaled", "the authors' formula, scaled"
CHUNK_SIZE = 1000  # rows of images and of samples in one product, as in parzen.py
FOLD_VALID, FOLD_TEST = 0.0708, 0.1416  # of num_images: the faces of one of five folds of FER-2013


def measure(effort: Effort) -> Section:
    valid, test, samples = made_inputs(effort.num_images // 10, effort.num_images, effort.num_samples)
    rows = {
        OURS: lambda: protocol(valid, test, samples),
        PRODUCTS: lambda: bare_products(valid, test, samples),
        CDIST: lambda: by_cdist(valid, test, samples),
    }
    seconds = interleaved(rows, effort.parzen_rounds)
    part, few = test[: effort.num_slice], samples[: effort.num_samples]
    by_sklearn = kernel_density(few)
    slow = {
        OURS: rows[OURS],
        SKLEARN: lambda: by_sklearn(part),
        AUTHORS: lambda: authors_formula(part[: max(1, len(part) // 5)], few, 0.2),
    }
    of_slice = interleaved(slow, effort.slow_rounds)
    evaluations = len(AUTHORS_SIGMAS) * len(valid) + len(test)  # of one image at one sigma
    scales = {SKLEARN: evaluations / len(part), AUTHORS: evaluations / max(1, len(part) // 5)}
    for name, scale in scales.items():
        seconds[name] = [scale * value for value in of_slice[name]]
    return Section(
        title=f"Parzen window; {len(AUTHORS_SIGMAS)} sigmas on {len(valid):,} images, one on {len(test):,}; "
        f"{len(samples):,} samples; {effort.parzen_rounds} rounds",
        seconds=seconds,
        reference=PRODUCTS,
        gflop={PRODUCTS: 2 * (len(valid) + len(test)) * len(samples) * samples.shape[1] / 1e9},
        bars=[
            Bar("protocol / its bare products", ratio(seconds[OURS], seconds[PRODUCTS]), at_most=2),
            Bar("scikit-learn / protocol", ratio(seconds[SKLEARN], of_slice[OURS]), at_least=50),
        ],
    )


def measure_others(effort: Effort) -> Section:
    """The same protocol on faces, fold by fold, and on CIFAR-10."""
    of_fold = [int(part * effort.num_images) for part in (FOLD_VALID, FOLD_TEST)]
    folds = [made_inputs(*of_fold, effort.num_samples, 48 * 48) for _ in range(NUM_FOLDS)]
    photographs = made_inputs(effort.num_images // 10, effort.num_images, effort.num_samples, 3 * 32 * 32)
    rows = {
        "faces: protocol": lambda: [protocol(*fold) for fold in folds],
        "cifar10: protocol": lambda: protocol(*photographs),
    }
    return Section(
        title=f"Parzen window of the other data sets, as above ({NUM_FOLDS} folds of faces); "
        f"{effort.num_samples:,} samples; {effort.parzen_rounds} rounds",
        seconds=interleaved(rows, effort.parzen_rounds),
        reference="faces: protocol",
    )


def by_cdist(valid: Tensor, test: Tensor, samples: Tensor) -> None:
    """The protocol as most would write it: all distances of a chunk by torch.cdist, anew for each sigma."""
    for images, sigmas in ((valid, AUTHORS_SIGMAS), (test, AUTHORS_SIGMAS[:1])):
        for sigma in sigmas:
            for x in images.split(CHUNK_SIZE):
                torch.logsumexp(-torch.cdist(x, samples).square() / (2 * sigma**2), dim=1)


def kernel_density(samples: Tensor) -> Callable[[Tensor], object]:
    """The log-density of images by scikit-learn, fitted before."""
    # Loaded here: it takes seconds, in each of the new processes in which memory is measured.
    from sklearn.neighbors import KernelDensity

    fitted = KernelDensity(bandwidth=0.2).fit(samples.numpy())
    return lambda x: fitted.score_samples(x.numpy())


def authors_formula(x: Tensor, samples: Tensor, sigma: float) -> Tensor:
    """The log-density as the released parzen_ll.py broadcasts it: (images, samples, pixels) numbers at once."""
    a = (x[:, None, :] - samples[None, :, :]) / sigma
    log_sums = torch.logsumexp(-0.5 * a.square().sum(dim=2), dim=1)
    return log_sums - math.log(len(samples)) - samples.shape[1] * math.log(sigma * math.sqrt(2 * math.pi))


def protocol(valid: Tensor, test: Tensor, samples: Tensor) -> Tensor:
    return parzen_log_likelihood(test, samples, choose_sigma(valid, samples).sigma)


def bare_products(valid: Tensor, test: Tensor, samples: Tensor) -> None:
    """The inner products that the distances are made of, in the protocol's chunks, and nothing else."""
    result = torch.empty(CHUNK_SIZE, CHUNK_SIZE)
    for images in (valid, test):
        for x in images.split(CHUNK_SIZE):
            for s in samples.split(CHUNK_SIZE):
                torch.mm(x, s.T, out=result[: len(x), : len(s)])


def made_inputs(
    num_valid: int, num_test: int, num_samples: int, num_pixels: int = 784
) -> tuple[Tensor, Tensor, Tensor]:
    """Random pixels in place of images: the cost does not depend on them. Validation, test, samples, (n, num_pixels)
    each."""
    draw = torch.Generator().manual_seed(0)
    return tuple(torch.rand(n, num_pixels, generator=draw) for n in (num_valid, num_test, num_samples))
