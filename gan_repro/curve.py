"""Data on a curve in the plane, and how far the samples of a model stray from it (Section 6: "very sharp, even
degenerate distributions").

The other models of Table 1 learn pixels in [0, 1], so a point of the plane is given to them as pixels: 24 for each of
its coordinates, a bump where the coordinate lies. G, whose outputs can be any numbers, learns the coordinates.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from gan_repro.losses import discriminator_loss, generator_loss_nonsaturating

OFF = 0.05  # a point further than this from the curve is off it; the curve is 5 wide and 2 high
CENTRES = torch.linspace(-3, 3, 24)  # of the pixels of a coordinate
BUMP = 0.26  # standard deviation: the distance of two pixels


def on_curve(u: Tensor) -> Tensor:
    """Points of the curve (5 u / 2, sin 4 u) for u in [-1, 1]: (...) -> (..., 2)."""
    return torch.stack([2.5 * u, torch.sin(4 * u)], dim=-1)


def distance_to_curve(points: Tensor) -> Tensor:
    """Distance of each point to the nearest of 4,001 points of the curve: (..., n, 2) -> (..., n)."""
    return torch.cdist(points, on_curve(torch.linspace(-1, 1, 4001))).amin(dim=-1)


def share_covered(points: Tensor) -> float:
    """Share of the curve, at 101 of its points, with one of these points within 2 OFF: (n, 2) -> in [0, 1]."""
    return (torch.cdist(on_curve(torch.linspace(-1, 1, 101)), points).amin(dim=1) < 2 * OFF).double().mean().item()


def as_pixels(points: Tensor) -> Tensor:
    """Points of [-3, 3]^2 as pixels in [0, 1]: (n, 2) -> (n, 48), the first coordinate's before the second's."""
    return torch.exp(-((points[..., None] - CENTRES) / BUMP).square() / 2).flatten(-2)


def from_pixels(pixels: Tensor) -> Tensor:
    """And back: each coordinate is the centre of mass of its brightest pixel and two on either side, (n, 48) -> (n, 2).

    (Of all its pixels, a dark grey all over would draw every point to the middle.)
    """
    by_coordinate = pixels.unflatten(-1, (2, len(CENTRES)))
    away = (torch.arange(len(CENTRES)) - by_coordinate.argmax(dim=-1, keepdim=True)).abs()
    bump = by_coordinate * (away <= 2)
    return (bump * CENTRES).sum(dim=-1) / bump.sum(dim=-1)


class SmallNets(nn.Module):
    """num_nets nets of one shape side by side, each with weights of its own: (num_nets, m, in) -> (num_nets, m, out).

    One product of each layer serves all, which is several times as fast as one net after the other, since these are so
    small that calls cost more than numbers. Two hidden layers of 64 tanh units, nn.Linear's initial weights.
    """

    def __init__(self, num_nets: int, in_features: int, out_features: int):
        super().__init__()
        sizes = in_features, 64, 64, out_features
        layers = [[nn.Linear(*shape) for shape in pairwise(sizes)] for _ in range(num_nets)]
        by_depth = list(zip(*layers, strict=True))
        self.weights = nn.ParameterList(torch.stack([of.weight.detach().T for of in same]) for same in by_depth)
        self.biases = nn.ParameterList(torch.stack([of.bias.detach()[None] for of in same]) for same in by_depth)

    def forward(self, x: Tensor) -> Tensor:
        *hidden, last = zip(self.weights, self.biases, strict=True)
        for weight, bias in hidden:
            x = torch.baddbmm(bias, x, weight).tanh()
        return torch.baddbmm(last[1], x, last[0])


def train_adversarial_nets(data: Tensor, rng: torch.Generator, *, num_steps: int, num_nets: int) -> SmallNets:
    """G of num_nets pairs trained by Algorithm 1 with k = 1 and the non-saturating loss; learning rates fall to 0.

    data: points of the plane, (n, 2). The trainings differ in their random numbers alone. Returns G, which maps z from
    N(0, 1), (num_nets, m, 1), to points, (num_nets, m, 2).
    """
    batch_size = 100
    with torch.random.fork_rng(devices=[]):  # nn.Linear draws its weights from the global generator
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=rng)))
        G, D = SmallNets(num_nets, 1, 2), SmallNets(num_nets, 2, 1)
    of_D, of_G = (
        torch.optim.Adam(net.parameters(), lr=lr, betas=(0.0, 0.99), fused=True) for net, lr in ((D, 0.004), (G, 0.001))
    )
    falling = [torch.optim.lr_scheduler.LinearLR(of, 1.0, 0.0, num_steps) for of in (of_D, of_G)]
    for _ in range(num_steps):
        x = data[torch.randint(len(data), (num_nets, batch_size), generator=rng)]
        fake = G(torch.randn(num_nets, batch_size, 1, generator=rng)).detach()
        of_D.zero_grad()
        (num_nets * discriminator_loss(D(x), D(fake))).backward()  # a loss is a mean over nets too; each needs its own
        of_D.step()
        of_G.zero_grad()
        (num_nets * generator_loss_nonsaturating(D(G(torch.randn(num_nets, batch_size, 1, generator=rng))))).backward()
        of_G.step()
        for schedule in falling:
            schedule.step()
    return G.requires_grad_(False)


def samples_of_adversarial_nets(
    data: Tensor, rng: torch.Generator, *, num_steps: int, num_nets: int = 5, num_samples: int = 2000
) -> Tensor:
    """Samples of each G of several trainings, (num_nets, num_samples, 2): what one G has off the curve is partly
    chance."""
    G = train_adversarial_nets(data, rng, num_steps=num_steps, num_nets=num_nets)
    return G(torch.randn(num_nets, num_samples, 1, generator=rng))
