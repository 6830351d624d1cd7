"""Stacked contractive auto-encoders with their sampling walk (Rifai, Bengio, Dauphin and Vincent, 2012).

Table 1's row is that of Bengio, Mesnil, Dauphin and Rifai (2013), "Better mixing via deep representations": two layers,
121 +- 1.6 nats. Their numbers of units, penalties and step sizes were not found: those here are ours;
the search of 10_stacked_cae begins at them.
"""

import itertools
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_repro.baselines import chains
from gan_repro.baselines.checks import check, epochs_a_layer
from gan_repro.baselines.minibatches import minibatches


@dataclass(frozen=True, kw_only=True)
class CAEConfig:
    """One stack. All values are ours."""

    num_visible: int = 784
    layers: tuple[int, ...] = (1000, 1000)  # hidden units, from the pixels up
    epochs: int = 60  # divided equally among the layers
    lr: float = 0.001  # Adam's
    contraction: float = 1.0  # weight of the squared norm of the encoder's Jacobian (Rifai et al., 2011)
    batch_size: int = 100
    step_size: float = 3.0  # standard deviation of the walk's noise in the space of hidden units
    num_chains: int = 100
    burn_in: int = 200  # steps of a walk up to its first sample
    thin: int = 10  # steps between two samples of a walk

    def __post_init__(self):
        check(self)
        epochs_a_layer(self)


class ContractiveLayer(nn.Module):
    """h = sigmoid(W v + c), v' = sigmoid(W^T h + b): tied weights (Rifai et al., 2011)."""

    def __init__(self, num_visible: int, num_hidden: int, rng: torch.Generator):
        super().__init__()
        irange = (6 / (num_visible + num_hidden)) ** 0.5
        self.weight = nn.Parameter((2 * torch.rand(num_hidden, num_visible, generator=rng) - 1) * irange)
        self.visible_bias = nn.Parameter(torch.zeros(num_visible))
        self.hidden_bias = nn.Parameter(torch.zeros(num_hidden))

    def encode(self, v: Tensor) -> Tensor:
        return torch.sigmoid(F.linear(v, self.weight, self.hidden_bias))  # (n, num_hidden)

    def decode_logits(self, h: Tensor) -> Tensor:
        return h @ self.weight + self.visible_bias  # (n, num_visible)

    def decode(self, h: Tensor) -> Tensor:
        return torch.sigmoid(self.decode_logits(h))

    def jacobian_norm(self, h: Tensor) -> Tensor:
        """Squared Frobenius norm of dh/dv at the v whose code is h: sum over j of (h_j (1 - h_j))^2 |W_j|^2, (n,)."""
        return (h * (1 - h)).square() @ self.weight.square().sum(dim=1)

    def loss(self, v: Tensor, contraction: float) -> Tensor:
        """Cross entropy of the reconstruction plus the contractive penalty, a mean over the minibatch, in nats."""
        h = self.encode(v)
        cross_entropy = F.binary_cross_entropy_with_logits(self.decode_logits(h), v, reduction="none").sum(dim=1)
        return (cross_entropy + contraction * self.jacobian_norm(h)).mean()


class StackedCAE(nn.Module):
    """Contractive layers, each trained on the codes of the one below."""

    def __init__(self, config: CAEConfig, rng: torch.Generator):
        super().__init__()
        self.config = config
        self.first_scored = config.epochs - epochs_a_layer(config) + 1
        widths = [config.num_visible, *config.layers]
        self.layers = nn.ModuleList(ContractiveLayer(below, above, rng) for below, above in itertools.pairwise(widths))
        self.register_buffer("mean_image", torch.zeros(config.num_visible))  # of the training set: where walks begin
        self.optimizer = torch.optim.Adam(self.parameters(), lr=config.lr)

    def train_epoch(self, x: Tensor, epoch: int, rng: torch.Generator) -> dict[str, float]:
        """One epoch (0, 1, ...) of the layer whose turn it is; its mean loss in nats."""
        c = self.config
        self.mean_image.copy_(x.mean(dim=0))
        i = epoch // epochs_a_layer(c)
        layer, total, batches = self.layers[i], 0.0, minibatches(len(x), c.batch_size, rng)
        for rows in batches:
            with torch.no_grad():
                data = x[rows]
                for below in self.layers[:i]:
                    data = below.encode(data)
            loss = layer.loss(data, c.contraction)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()  # moves this layer alone: the others have no gradients
            total += loss.item()
        return {"loss": total / len(batches)}

    def encode(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer.encode(x)
        return x

    def decode(self, h: Tensor) -> Tensor:
        for layer in reversed(self.layers):
            h = layer.decode(h)
        return h

    @torch.no_grad()
    def walk(self, x: Tensor, noise: Tensor) -> Tensor:
        """One step of the walk: x -> decode(h + J J^T noise), with h the code of x and J = dh/dx (Rifai et al., 2012,
        Algorithm 1).

        x: (n, num_visible); noise: (n, units of the top layer). J J^T noise moves the code in the directions in which
        the encoder follows x, and hardly in those that it contracts.
        """
        codes = [x]
        for layer in self.layers:
            codes.append(layer.encode(codes[-1]))
        slopes = [h * (1 - h) for h in codes[1:]]
        moved = noise
        for layer, slope in zip(reversed(self.layers), reversed(slopes), strict=True):  # J^T noise
            moved = (moved * slope) @ layer.weight
        for layer, slope in zip(self.layers, slopes, strict=True):  # J of that
            moved = F.linear(moved, layer.weight) * slope
        return self.decode(codes[-1] + moved)

    def draw(self, num_samples: int, rng: torch.Generator) -> Tensor:
        """Samples along walks, (n, d)."""
        return chains.draw(self, num_samples, rng)

    def start_chains(self, num_chains: int, rng: torch.Generator) -> chains.Advance:
        """Walks that begin at the mean training image."""
        c, x = self.config, self.mean_image.expand(num_chains, -1)

        @torch.no_grad()
        def advance(steps: int) -> Tensor:
            nonlocal x
            for _ in range(steps):
                x = self.walk(x, c.step_size * torch.randn(len(x), c.layers[-1], generator=rng))
            return x

        return advance
