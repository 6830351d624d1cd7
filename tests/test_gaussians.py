"""Draws of fitted Gaussians have the moments of what they were fitted to."""

import pytest
import torch
from sklearn.decomposition import PCA
from torch.testing import assert_close

from gan_repro.gaussians import gaussian_draws

D, NUM_DRAWS = 6, 200_000


@pytest.fixture(scope="module")
def images():
    draws = torch.Generator().manual_seed(0)
    return torch.randn(500, D, generator=draws) @ torch.randn(D, D, generator=draws) + 3


def generator():
    return torch.Generator().manual_seed(1)


def test_draws_have_the_mean_and_the_covariance_of_the_images(images):
    drawn = gaussian_draws(images, NUM_DRAWS, generator())
    assert drawn.shape == (NUM_DRAWS, D)
    assert drawn.dtype == images.dtype
    scale = images.std(dim=0).max().item()
    assert_close(drawn.mean(dim=0), images.mean(dim=0), rtol=0, atol=5 * scale / NUM_DRAWS**0.5)
    assert_close(torch.cov(drawn.T), torch.cov(images.T), rtol=0, atol=10 * scale**2 / NUM_DRAWS**0.5)


def test_few_components_are_those_of_a_principal_component_analysis(images):
    drawn = gaussian_draws(images, NUM_DRAWS, generator(), num_components=2)
    pca = PCA(n_components=2).fit(images.numpy())
    outside = (drawn.numpy() - pca.mean_) - (drawn.numpy() - pca.mean_) @ pca.components_.T @ pca.components_
    assert abs(outside).max() < 1e-3
    variances = ((drawn.numpy() - pca.mean_) @ pca.components_.T).var(axis=0)
    assert variances == pytest.approx(pca.explained_variance_, rel=0.02)


def test_pixels_that_never_change_stay_as_they_are(images):
    images = torch.cat([images, torch.full((len(images), 1), 0.25)], dim=1)
    assert_close(gaussian_draws(images, 100, generator())[:, D], torch.full((100,), 0.25), rtol=0, atol=1e-6)


@pytest.mark.parametrize("number", [0, D + 1])
def test_another_number_of_components_is_refused(images, number):
    with pytest.raises(ValueError, match=f"num_components is {number}: it must be 1 to {D}"):
        gaussian_draws(images, 1, generator(), num_components=number)
