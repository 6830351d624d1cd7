"""The evaluation protocol of Section 5 for one generator: draw samples, choose sigma, take the likelihood."""

import math
import statistics
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gan_repro.config import TrainingConfig
from gan_repro.data import to_unit
from gan_repro.faces import NUM_FOLDS, Faces
from gan_repro.pairs import Images, as_seen
from gan_repro.parzen import (
    AUTHORS_SIGMAS,
    FINE_SIGMAS,
    choose_sigma,
    mean_and_standard_error,
    parzen_log_likelihoods,
)
from gan_repro.streams import sample_noise

NUM_VALID_FOR_SIGMA = 1000  # the first 1,000 validation images; authors' parzen_ll.py
VALIDATION_DRAW, TEST_DRAW = 0, 1  # two draws of z, so that the test score is not on the draw that chose the epoch
REDRAWS = (2, 3, 4, 5)  # further ones, which show the estimator's own noise; ours
NORMALIZED_SIGMAS = tuple(i / 20 for i in range(10, 30))  # ours: 0.50 to 1.45


@torch.no_grad()
def draw_samples(
    G: nn.Module, *, num_samples: int, noise: str, seed: int, draw: int, device: torch.device | str = "cpu"
) -> Tensor:
    """Fair draws G(z), (num_samples, num_pixels): the same z for the same seed and draw number."""
    z = sample_noise(noise, seed, "evaluation", draw, (num_samples, G.num_z)).to(device)
    return torch.cat([G(part) for part in z.split(1000)])


def parzen_scores(
    images: Tensor, valid: Tensor, samples: Tensor, *, fine: Sequence[float] = FINE_SIGMAS
) -> dict[str, dict[str, float]]:
    """Mean log-likelihood of images with sigma chosen on valid, by the authors' grid of sigmas and by a fine one.

    images: (n, d) uint8 or [0, 1], scored; valid: likewise, the images that choose sigma; samples: (m, d) in [0, 1].
    (CIFAR-10: all three as its nets see them, with a fine grid in these units.) Returns for "authors" and "fine":
    sigma, log_likelihood (nats), standard_error (over images). The distances of `images` are computed once for both.
    """
    images, valid = (to_unit(x) if x.dtype == torch.uint8 else x for x in (images, valid))
    images, valid = images.to(samples.device), valid.to(samples.device)
    grids = {"authors": AUTHORS_SIGMAS, "fine": fine}
    sigmas = (*AUTHORS_SIGMAS, *fine)
    by_sigma = dict(zip(sigmas, choose_sigma(valid, samples, sigmas).mean_log_likelihoods, strict=True))
    chosen = {name: max(grid, key=by_sigma.get) for name, grid in grids.items()}
    rows = parzen_log_likelihoods(images, samples, list(chosen.values()))
    scores = {}
    for (name, sigma), row in zip(chosen.items(), rows, strict=True):
        mean, standard_error = mean_and_standard_error(row)
        scores[name] = {"sigma": sigma, "log_likelihood": mean, "standard_error": standard_error}
    return scores


def scores_over_folds(faces: Faces, samples: Tensor) -> dict[str, dict[str, Any]]:
    """Table 1's protocol for faces: sigma and score of each of the five folds, then their mean.

    samples: (m, 2304) in [0, 1]. Returns for "authors" and "fine": log_likelihood, the mean of the folds' (nats);
    standard_error, over folds: their standard deviation (with n - 1) / sqrt(5); sigma, the median of theirs; folds,
    each one's score as `parzen_scores` gives it.
    """
    by_fold = [parzen_scores(fold.test, fold.valid, samples) for fold in map(faces.fold, range(NUM_FOLDS))]
    scores = {}
    for grid in by_fold[0]:
        folds = [fold[grid] for fold in by_fold]
        values = [fold["log_likelihood"] for fold in folds]
        scores[grid] = {
            "sigma": statistics.median(fold["sigma"] for fold in folds),
            "log_likelihood": statistics.mean(values),
            "standard_error": statistics.stdev(values) / math.sqrt(NUM_FOLDS),
            "folds": folds,
        }
    return scores


def validation_scores(G: nn.Module, valid: Tensor, config: TrainingConfig) -> dict[str, dict[str, float]]:
    """The score that chooses the epoch: the first num_valid validation images, always the same z."""
    samples = _samples(G, config, VALIDATION_DRAW)
    valid = as_seen(valid[: config.num_valid], config)
    return parzen_scores(valid, valid[:NUM_VALID_FOR_SIGMA], samples, fine=fine_sigmas(config))


def scores_on_test_set(
    G: nn.Module, data: Images, config: TrainingConfig, *, draw: int = TEST_DRAW
) -> dict[str, dict[str, Any]]:
    """Table 1's number for one generator: all test images, sigma chosen on the first validation images, or by fold."""
    samples = _samples(G, config, draw)
    if isinstance(data, Faces):
        return scores_over_folds(data, samples)
    test, valid = as_seen(data.test, config), as_seen(data.valid[:NUM_VALID_FOR_SIGMA], config)
    return parzen_scores(test, valid, samples, fine=fine_sigmas(config))


def fine_sigmas(config: TrainingConfig) -> tuple[float, ...]:
    """The finer grid in the units of the pair's images: normalised ones have a standard deviation of about 1."""
    return NORMALIZED_SIGMAS if config.pair.startswith("cifar10") else FINE_SIGMAS


def _samples(G: nn.Module, config: TrainingConfig, draw: int) -> Tensor:
    device = next(G.parameters()).device
    return draw_samples(
        G, num_samples=config.num_samples, noise=config.noise, seed=config.seed, draw=draw, device=device
    )
