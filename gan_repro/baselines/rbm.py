"""The restricted Boltzmann machine: the building block of the DBN, and a row of its own.

    p(v, h) = exp(v.b + h.c + h.W v) / Z,   v and h binary

Real-valued images enter as probabilities of binary pixels (as in Hinton, 2010, "A practical guide to training
restricted Boltzmann machines").
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class RBM(nn.Module):
    """num_visible binary units v and num_hidden binary units h; weights start as N(0, 0.01^2), biases at 0."""

    def __init__(self, num_visible: int, num_hidden: int, rng: torch.Generator):
        super().__init__()
        self.weight = nn.Parameter(0.01 * torch.randn(num_hidden, num_visible, generator=rng))
        self.visible_bias = nn.Parameter(torch.zeros(num_visible))
        self.hidden_bias = nn.Parameter(torch.zeros(num_hidden))

    def hidden(self, v: Tensor) -> Tensor:
        """p(h = 1 | v): (n, num_visible) -> (n, num_hidden)."""
        return torch.sigmoid(F.linear(v, self.weight, self.hidden_bias))

    def visible(self, h: Tensor) -> Tensor:
        """p(v = 1 | h): (n, num_hidden) -> (n, num_visible)."""
        return torch.sigmoid(h @ self.weight + self.visible_bias)

    def free_energy(self, v: Tensor) -> Tensor:
        """-log of the sum over h of exp(v.b + h.c + h.W v), so that p(v) = exp(-free energy) / Z: (n,)."""
        return -(v @ self.visible_bias) - F.softplus(F.linear(v, self.weight, self.hidden_bias)).sum(dim=1)

    @torch.no_grad()
    def gibbs(self, v: Tensor, rng: torch.Generator, steps: int = 1) -> Tensor:
        """Binary v after some steps of block Gibbs sampling, h from v and v from h, that begin at v."""
        for _ in range(steps):
            h = torch.bernoulli(self.hidden(v), generator=rng)
            v = torch.bernoulli(self.visible(h), generator=rng)
        return v

    @torch.no_grad()
    def set_gradients(self, data: Tensor, chain: Tensor) -> None:
        """Leave in `.grad` the gradient of the mean free energy of data less that of chain: that of -log p(data) where
        chain, (m, num_visible), is drawn from the model."""
        of_data, of_chain = self.hidden(data), self.hidden(chain)
        self.weight.grad = of_chain.T @ chain / len(chain) - of_data.T @ data / len(data)
        self.visible_bias.grad = chain.mean(dim=0) - data.mean(dim=0)
        self.hidden_bias.grad = of_chain.mean(dim=0) - of_data.mean(dim=0)
