"""Gaussians fitted to images: densities without a net, whose Parzen scores tell what such a score is worth."""

import torch
from torch import Tensor


def gaussian_draws(
    images: Tensor, num_draws: int, generator: torch.Generator, *, num_components: int | None = None
) -> Tensor:
    """Draws of the Gaussian with the mean and covariance of images, or with its largest principal components alone.

    images: (n, d); num_components: 1 to d, None for all d. Returns (num_draws, d) in the units and type of images, not
    clipped to their range. Raises ValueError for another number of components.
    """
    d = images.shape[1]
    num_components = d if num_components is None else num_components
    if not 1 <= num_components <= d:
        raise ValueError(f"num_components is {num_components}: it must be 1 to {d}, the width of the images")
    variances, directions = torch.linalg.eigh(torch.cov(images.double().T))  # in ascending order
    scales = variances[d - num_components :].clamp_min(0).sqrt()  # rounding may make a variance of 0 negative
    noise = torch.randn(num_draws, num_components, generator=generator, dtype=torch.float64)
    centred = (noise * scales) @ directions[:, d - num_components :].T
    return (images.double().mean(dim=0) + centred).to(images.dtype)
