"""The variational auto-encoder (Kingma and Welling, 2014): a row beside Table 1's, since it came out the same year."""

import functools
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_repro.baselines.checks import check
from gan_repro.baselines.minibatches import minibatches


@dataclass(frozen=True, kw_only=True)
class VAEConfig:
    """Fully connected nets. All values are ours but for Adam's rate."""

    num_visible: int = 784
    num_hidden: int = 500  # of two layers each way
    num_z: int = 20
    epochs: int = 30
    lr: float = 0.001  # Adam's default
    batch_size: int = 100

    def __post_init__(self):
        check(self)


class VAE(nn.Module):
    """z from N(0, 1); pixels, in [0, 1], as probabilities of binary ones given z."""

    first_scored = 1

    def __init__(self, config: VAEConfig, rng: torch.Generator):
        super().__init__()
        self.config = config
        d, h, z = config.num_visible, config.num_hidden, config.num_z
        linear = functools.partial(nn.utils.skip_init, nn.Linear)  # which would draw from torch's global generator
        self.encoder = nn.Sequential(linear(d, h), nn.ReLU(), linear(h, h), nn.ReLU(), linear(h, 2 * z))
        self.decoder = nn.Sequential(linear(z, h), nn.ReLU(), linear(h, h), nn.ReLU(), linear(h, d))
        with torch.no_grad():
            for parameter in self.parameters():  # as nn.Linear's weights begin, but from this rng
                bound = parameter.shape[-1] ** -0.5 if parameter.dim() == 2 else 0.0
                parameter.uniform_(-bound, bound, generator=rng)
        self.optimizer = torch.optim.Adam(self.parameters(), lr=config.lr)

    def train_epoch(self, x: Tensor, epoch: int, rng: torch.Generator) -> dict[str, float]:
        """One epoch (0, 1, ...); the mean of -ELBO in nats."""
        total, batches = 0.0, minibatches(len(x), self.config.batch_size, rng)
        for rows in batches:
            loss = self.negative_elbo(x[rows], torch.randn(len(rows), self.config.num_z, generator=rng)).mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.item()
        return {"negative_elbo": total / len(batches)}

    def negative_elbo(self, x: Tensor, noise: Tensor) -> Tensor:
        """KL(q(z | x) || N(0, 1)) less log p(x | z) at one z, in nats, (n,): eq. 10 of the paper with L = 1."""
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        z = mean + (log_variance / 2).exp() * noise
        cross_entropy = F.binary_cross_entropy_with_logits(self.decoder(z), x, reduction="none").sum(dim=1)
        kl = (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1) / 2
        return cross_entropy + kl

    @torch.no_grad()
    def draw(self, num_samples: int, rng: torch.Generator) -> Tensor:
        """Independent samples: the pixels' means given z from the prior, (n, d)."""
        z = torch.randn(num_samples, self.config.num_z, generator=rng)
        return torch.cat([torch.sigmoid(self.decoder(part)) for part in z.split(1000)])
