"""The evaluation protocol of Section 5 for one generator: draw samples, choose sigma, take the likelihood."""

import torch
from torch import Tensor, nn

from gan_repro.data import MNIST, to_unit
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


@torch.no_grad()
def draw_samples(
    G: nn.Module, *, num_samples: int, noise: str, seed: int, draw: int, device: torch.device | str = "cpu"
) -> Tensor:
    """Fair draws G(z), (num_samples, num_pixels) in [0, 1]: the same z for the same seed and draw number."""
    z = sample_noise(noise, seed, "evaluation", draw, (num_samples, G.num_z)).to(device)
    return torch.cat([G(part) for part in z.split(1000)])


def parzen_scores(images: Tensor, valid: Tensor, samples: Tensor) -> dict[str, dict[str, float]]:
    """Mean log-likelihood of images with sigma chosen on valid, by the authors' grid of sigmas and by the fine one.

    images: (n, d) uint8 or [0, 1], scored; valid: likewise, the images that choose sigma; samples: (m, d) in [0, 1].
    Returns for "authors" and "fine": sigma, log_likelihood (nats), standard_error (over images). The distances of
    `images` are computed once for both grids.
    """
    images, valid = (to_unit(x) if x.dtype == torch.uint8 else x for x in (images, valid))
    images, valid = images.to(samples.device), valid.to(samples.device)
    grids = {"authors": AUTHORS_SIGMAS, "fine": FINE_SIGMAS}
    sigmas = AUTHORS_SIGMAS + FINE_SIGMAS
    by_sigma = dict(zip(sigmas, choose_sigma(valid, samples, sigmas).mean_log_likelihoods, strict=True))
    chosen = {name: max(grid, key=by_sigma.get) for name, grid in grids.items()}
    rows = parzen_log_likelihoods(images, samples, list(chosen.values()))
    scores = {}
    for (name, sigma), row in zip(chosen.items(), rows, strict=True):
        mean, standard_error = mean_and_standard_error(row)
        scores[name] = {"sigma": sigma, "log_likelihood": mean, "standard_error": standard_error}
    return scores


def validation_scores(G: nn.Module, mnist: MNIST, config) -> dict[str, dict[str, float]]:
    """The score that chooses the epoch: all validation images, always the same z."""
    samples = _samples(G, config, VALIDATION_DRAW)
    valid = mnist.valid[: config.num_valid]
    return parzen_scores(valid, valid[:NUM_VALID_FOR_SIGMA], samples)


def scores_on_test_set(G: nn.Module, mnist: MNIST, config, *, draw: int = TEST_DRAW) -> dict[str, dict[str, float]]:
    """Table 1's number for one generator: all test images, sigma chosen on the first validation images."""
    samples = _samples(G, config, draw)
    return parzen_scores(mnist.test, mnist.valid[:NUM_VALID_FOR_SIGMA], samples)


def _samples(G: nn.Module, config, draw: int) -> Tensor:
    device = next(G.parameters()).device
    return draw_samples(
        G, num_samples=config.num_samples, noise=config.noise, seed=config.seed, draw=draw, device=device
    )
