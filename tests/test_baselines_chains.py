"""Markov chains side by side: samples in order, and how fast they forget, against a process where that is known."""

import pytest
import torch
from torch.testing import assert_close

from gan_repro.baselines.chains import along_chains, autocorrelation, follow


def autoregression(coefficient, chains, rng):
    """Chains of x' = coefficient x + noise, begun in their stationary distribution, N(0, 1) in each of 50 pixels."""
    x = torch.randn(chains, 50, generator=rng)

    def advance(steps):
        nonlocal x
        for _ in range(steps):
            noise = torch.randn(x.shape, generator=rng)
            x = coefficient * x + (1 - coefficient**2) ** 0.5 * noise
        return x

    return advance


def test_the_autocorrelation_of_an_autoregression_is_its_coefficient_to_the_power_of_the_lag():
    lags = [0, 1, 2, 5, 10]
    advance = autoregression(0.8, 400, torch.Generator().manual_seed(0))
    samples = follow(advance, [1 + lag for lag in lags])
    expected = torch.tensor([0.8**lag for lag in lags], dtype=torch.float64)
    assert_close(autocorrelation(samples), expected, atol=0.025, rtol=0)  # 1 / sqrt(400 * 50) is 0.007


def test_a_mean_that_all_chains_share_is_no_memory():
    rng = torch.Generator().manual_seed(0)
    apart = 100 * torch.rand(1, 1, 50, generator=rng) + torch.randn(2, 400, 50, generator=rng)
    assert autocorrelation(apart).tolist() == pytest.approx([1, 0], abs=0.03)


def test_chains_that_stand_still_or_at_one_place_have_forgotten_nothing():
    apart = torch.rand(1, 5, 10, generator=torch.Generator().manual_seed(0)).expand(3, -1, -1)
    assert autocorrelation(apart).tolist() == pytest.approx([1, 1, 1])
    assert autocorrelation(apart[:, :1]).tolist() == [1, 1, 1]  # a single chain has no spread to compare with


def test_to_follow_chains_is_to_draw_along_them():
    followed = follow(autoregression(0.9, 3, torch.Generator().manual_seed(1)), [4, 6, 8])
    drawn = along_chains(autoregression(0.9, 3, torch.Generator().manual_seed(1)), 9, burn_in=4, thin=2)
    assert_close(followed.flatten(0, 1), drawn)


@pytest.mark.parametrize("steps", [[], [2, 1], [1, 1], [0, 2]])
def test_steps_back_are_refused(steps):
    with pytest.raises(ValueError, match="they must rise from 1 on"):
        follow(autoregression(0.9, 3, torch.Generator()), steps)
