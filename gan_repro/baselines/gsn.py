"""The deep generative stochastic network with walkback (Bengio, Thibodeau-Laufer, Alain and Yosinski, 2014).

Values are those of the authors' run_gsn.py and model.py (yaoli/GSN). Table 1's row: 214 +- 1.1 nats. Not as theirs: the
average of gradients begins at the first one and not at 0; each epoch has its own order of the data; training is on
50,000 images, not 60,000; chains begin at bits drawn from the mean training image, many of them, not one at a test
image.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_repro.baselines import chains
from gan_repro.baselines.checks import check
from gan_repro.baselines.minibatches import minibatches


@dataclass(frozen=True, kw_only=True)
class GSNConfig:
    """One GSN of two hidden layers; the defaults are the authors' where no other source is named."""

    num_visible: int = 784
    num_hidden: int = 1500
    walkback: int = 4  # updates of all layers, each of which reconstructs the input
    epochs: int = 1000
    lr: float = 0.25
    annealing: float = 0.995  # of lr, an epoch
    momentum: float = 0.5  # buffer <- m buffer + (1 - m) gradient
    salt_and_pepper: float = 0.4  # probability that an input is set to 0 or 1
    noise: float = 2.0  # standard deviation, before and after the nonlinearity of the second layer
    batch_size: int = 100
    num_chains: int = 100  # ours: theirs was one chain, begun at a test image
    burn_in: int = 100  # ours: steps of a chain up to its first sample
    thin: int = 1  # theirs: every step is a sample

    def __post_init__(self):
        check(self)


class GSN(nn.Module):
    """Pixels x, hidden layers h1 and h2; the weights up are those down, transposed."""

    first_scored = 1

    def __init__(self, config: GSNConfig, rng: torch.Generator):
        super().__init__()
        self.config = config
        d, h = config.num_visible, config.num_hidden
        self.weight1 = nn.Parameter(_uniform(h, d, rng))
        self.weight2 = nn.Parameter(_uniform(h, h, rng))
        self.bias0, self.bias1, self.bias2 = (nn.Parameter(torch.zeros(n)) for n in (d, h, h))
        self.register_buffer("mean_image", torch.zeros(d))  # of the training set: where chains begin
        self.optimizer = torch.optim.SGD(
            self.parameters(), lr=config.lr, momentum=config.momentum, dampening=config.momentum
        )

    def train_epoch(self, x: Tensor, epoch: int, rng: torch.Generator) -> dict[str, float]:
        """One epoch (0, 1, ...); the mean cross entropy of the last reconstruction, nats a pixel."""
        c = self.config
        self.optimizer.param_groups[0]["lr"] = c.lr * c.annealing**epoch
        self.mean_image.copy_(x.mean(dim=0))
        total, batches = 0.0, minibatches(len(x), c.batch_size, rng)
        for rows in batches:
            costs = self.walkback_costs(x[rows], rng)
            self.optimizer.zero_grad()
            costs.sum().backward()
            self.optimizer.step()
            total += costs[-1].item()
        return {"cross_entropy": total / len(batches)}

    def walkback_costs(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Cross entropy of x with each of the reconstructions of a walk that begins at x, corrupted: (walkback,)."""
        h1, costs = self.odd_layer(self.corrupt(x, rng)), []
        for left in reversed(range(self.config.walkback)):
            logits = self.pixel_logits(h1)
            costs.append(F.binary_cross_entropy_with_logits(logits, x))
            if left:
                h1 = self.odd_layer(*self.even_layers(h1, logits, rng))
        return torch.stack(costs)

    def odd_layer(self, x: Tensor, h2: Tensor | None = None) -> Tensor:
        """h1 of the layers around it; no h2 is one of zeros, where a walk begins."""
        h1 = F.linear(x, self.weight1, self.bias1)
        return torch.tanh(h1 if h2 is None else h1 + h2 @ self.weight2)

    def pixel_logits(self, h1: Tensor) -> Tensor:
        """Of p(x | h1)."""
        return h1 @ self.weight1 + self.bias0

    def even_layers(self, h1: Tensor, logits: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """The next x, sampled from its logits and corrupted, and the next h2."""
        sampled = torch.bernoulli(torch.sigmoid(logits.detach()), generator=rng)
        h2 = F.linear(h1, self.weight2, self.bias2)
        h2 = self.add_noise(torch.tanh(self.add_noise(h2, rng)), rng)
        return self.corrupt(sampled, rng), h2

    def corrupt(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Each input set to 0 or 1, with equal chances, with probability salt_and_pepper."""
        p, u = self.config.salt_and_pepper, torch.rand(x.shape, generator=rng)
        return torch.where(u < p, (u < p / 2).to(x.dtype), x)

    def add_noise(self, h: Tensor, rng: torch.Generator) -> Tensor:
        return h + self.config.noise * torch.randn(h.shape, generator=rng)

    def draw(self, num_samples: int, rng: torch.Generator) -> Tensor:
        """Samples along chains, (n, d)."""
        return chains.draw(self, num_samples, rng)

    def start_chains(self, num_chains: int, rng: torch.Generator) -> chains.Advance:
        """Chains that begin at bits drawn from the mean training image; a sample is the mean of p(x | h1).

        (From bits of equal chances, half of them on, chains of nets trained for five epochs ended in one bright image
        far from all data: results/search/deep_gsn_MNIST_equal_bits.json. A net that was not trained has a black mean.)
        """
        around = (torch.bernoulli(self.mean_image.expand(num_chains, -1), generator=rng),)

        @torch.no_grad()
        def advance(steps: int) -> Tensor:
            nonlocal around
            for _ in range(steps):
                h1 = self.odd_layer(*around)
                logits = self.pixel_logits(h1)
                around = self.even_layers(h1, logits, rng)
            return torch.sigmoid(logits)

        return advance


def _uniform(num_out: int, num_in: int, rng: torch.Generator) -> Tensor:
    return (2 * torch.rand(num_out, num_in, generator=rng) - 1) * (6 / (num_in + num_out)) ** 0.5
