"""Data on a curve: distances against points whose distance is known, and the way into pixels and back."""

import pytest
import torch
from torch.testing import assert_close

from gan_repro.curve import (
    OFF,
    as_pixels,
    distance_to_curve,
    from_pixels,
    on_curve,
    share_covered,
    train_adversarial_nets,
)


def test_points_of_the_curve_are_on_it_and_others_as_far_off_as_they_were_moved():
    u = torch.linspace(-0.95, 0.95, 200)
    points = on_curve(u)
    assert distance_to_curve(points).max() < 2e-3  # half the distance of two of the 4,001 points is 1.2e-3
    normal = torch.stack([-4 * torch.cos(4 * u), torch.full_like(u, 2.5)], dim=-1)  # of (2.5, 4 cos 4u)
    moved = points + 0.05 * normal / normal.norm(dim=-1, keepdim=True)  # the curve bends less than that
    assert_close(distance_to_curve(moved), torch.full((200,), 0.05), atol=2e-3, rtol=0)


def test_coverage_counts_the_parts_of_the_curve_that_samples_reach():
    assert share_covered(on_curve(torch.linspace(-1, 1, 500))) == 1
    half = share_covered(on_curve(torch.linspace(0, 1, 500)))
    assert half == pytest.approx(0.5, abs=0.03)  # and 2 OFF more at its end
    assert share_covered(torch.full((10, 2), 2.9)) == 0


def test_pixels_lie_in_the_unit_interval_and_give_the_point_back():
    points = on_curve(2 * torch.rand(1000, generator=torch.Generator().manual_seed(0)) - 1)
    pixels = as_pixels(points)
    assert pixels.shape == (1000, 48)
    assert 0 <= pixels.min() < pixels.max() <= 1
    assert_close(from_pixels(pixels), points, atol=OFF / 4, rtol=0)
    assert_close(from_pixels((pixels + 0.02) / 1.02), points, atol=OFF / 2, rtol=0)  # a floor moves little


def test_g_comes_near_the_curve_and_draws_no_number_of_the_caller_s():
    data = on_curve(2 * torch.rand(2000, generator=torch.Generator().manual_seed(0)) - 1)
    before = torch.random.get_rng_state()
    G = train_adversarial_nets(data, torch.Generator().manual_seed(1), num_steps=400)
    assert before.equal(torch.random.get_rng_state())
    z = torch.randn(500, 1, generator=torch.Generator().manual_seed(2))
    anywhere = 6 * torch.rand(500, 2, generator=torch.Generator().manual_seed(3)) - 3
    assert distance_to_curve(G(z)).median() < distance_to_curve(anywhere).median() / 4
    again = train_adversarial_nets(data, torch.Generator().manual_seed(1), num_steps=400)
    assert_close(again(z), G(z), rtol=0, atol=0)
