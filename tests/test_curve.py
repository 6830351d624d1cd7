"""Data on a curve: distances against points whose distance is known, and the way into pixels and back."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from gan_repro.curve import (
    OFF,
    SmallNets,
    as_pixels,
    distance_to_curve,
    from_pixels,
    on_curve,
    samples_of_adversarial_nets,
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
    drawn = samples_of_adversarial_nets(data, torch.Generator().manual_seed(1), num_steps=1000, num_samples=500)
    assert before.equal(torch.random.get_rng_state())
    assert drawn.shape == (5, 500, 2)
    anywhere = 6 * torch.rand(500, 2, generator=torch.Generator().manual_seed(3)) - 3
    of_nets = distance_to_curve(drawn).median(dim=1).values
    assert of_nets.max() < distance_to_curve(anywhere).median() / 10
    assert len(of_nets.unique()) == 5  # no two trainings are one
    again = samples_of_adversarial_nets(data, torch.Generator().manual_seed(1), num_steps=1000, num_samples=500)
    assert_close(again, drawn, rtol=0, atol=0)


def as_sequential(nets: SmallNets, number: int) -> nn.Sequential:
    """One of the nets side by side as a net of PyTorch's layers, with copies of its weights."""
    layers = []
    for weight, bias in zip(nets.weights, nets.biases, strict=True):
        layers += [nn.Linear(*weight.shape[1:]), nn.Tanh()]
        layers[-2].load_state_dict({"weight": weight[number].detach().T.clone(), "bias": bias[number, 0].detach()})
    return nn.Sequential(*layers[:-1])


def test_trainings_side_by_side_are_those_of_each_pair_alone():
    data = on_curve(2 * torch.rand(2000, generator=torch.Generator().manual_seed(0)) - 1)
    num_nets, num_steps, m = 3, 5, 100
    trained = train_adversarial_nets(data, torch.Generator().manual_seed(1), num_steps=num_steps, num_nets=num_nets)
    rng = torch.Generator().manual_seed(1)
    start = int(torch.randint(2**31, (1,), generator=rng))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(start)
        starts = SmallNets(num_nets, 1, 2), SmallNets(num_nets, 2, 1)
        torch.manual_seed(start)
        first = [[nn.Linear(i, o) for i, o in ((1, 64), (64, 64), (64, 2))] for _ in range(num_nets)]
    for number, layers in enumerate(first):  # each net of its own draws
        for layer, weight, bias in zip(layers, starts[0].weights, starts[0].biases, strict=True):
            assert layer.weight.equal(weight[number].T) and layer.bias.equal(bias[number, 0])
    draws = [
        (
            data[torch.randint(len(data), (num_nets, m), generator=rng)],
            torch.randn(num_nets, m, 1, generator=rng),
            torch.randn(num_nets, m, 1, generator=rng),
        )
        for _ in range(num_steps)
    ]
    z = torch.linspace(-2, 2, 9)[:, None]
    for number in range(num_nets):
        G, D = (as_sequential(nets, number) for nets in starts)
        lrs = 0.004, 0.001
        of_D, of_G = (torch.optim.Adam(net.parameters(), lr, (0.0, 0.99)) for net, lr in zip((D, G), lrs, strict=True))
        for step, draw in enumerate(draws):
            x, z_of_D, z_of_G = (numbers[number] for numbers in draw)
            for optimizer, lr in zip((of_D, of_G), lrs, strict=True):
                optimizer.param_groups[0]["lr"] = lr * (1 - step / num_steps)
            of_D.zero_grad()
            (-(D(x).sigmoid().log() + (1 - D(G(z_of_D).detach()).sigmoid()).log()).mean()).backward()
            of_D.step()
            of_G.zero_grad()
            (-D(G(z_of_G)).sigmoid().log().mean()).backward()
            of_G.step()
        assert_close(trained(z.expand(num_nets, -1, -1))[number], G(z), rtol=0, atol=1e-5)
        assert (G(z) - as_sequential(starts[0], number)(z)).abs().max() > 0.1  # what the five steps did
