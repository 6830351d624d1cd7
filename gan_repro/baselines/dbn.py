"""The deep belief net: RBMs trained one upon the other (Hinton, Osindero and Teh, 2006).

Table 1's row is that of Bengio, Mesnil, Dauphin and Rifai (2013), "Better mixing via deep representations": two layers,
138 +- 2 nats. Their numbers of units and rates were not found, nor how they drew samples: the defaults here are where
the search of 09_dbn begins.
"""

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gan_repro.baselines import chains
from gan_repro.baselines.checks import check, epochs_a_layer
from gan_repro.baselines.minibatches import minibatches
from gan_repro.baselines.rbm import RBM

BITS = "bits"  # random ones, of the top RBM's visible layer
PERSISTENT = "persistent"  # where the chains of its training stand; if more are wanted, at the same ones again
# As the rows of record: a lone RBM's, which are chains in the image itself, persistent, since one that begins at random
# bits of an image takes very long to come to a digit (12_more_models); all others, and those of CD, bits.
USUAL = "usual"
STARTS = (USUAL, BITS, PERSISTENT)


@dataclass(frozen=True, kw_only=True)
class DBNConfig:
    """One DBN, or an RBM where there is one layer. All values are ours."""

    num_visible: int = 784
    layers: tuple[int, ...] = (1000, 1000)  # hidden units, from the pixels up
    epochs: int = 60  # divided equally among the layers
    lr: float = 0.05  # of each layer in its first epoch; it falls in equal steps to a twentieth in its last
    batch_size: int = 100
    gibbs_steps: int = 1  # between two updates
    persistent: bool = True  # chains go on from update to update (Tieleman, 2008); else they begin at the data: CD
    mean_field: bool = True  # the way down from the top RBM passes means on; else it draws the hidden units
    num_chains: int = 100  # that samples are drawn from side by side
    burn_in: int = 1000  # steps of a chain up to its first sample
    thin: int = 50  # steps between two samples of a chain
    start: str = USUAL  # of those chains: one of STARTS

    def __post_init__(self):
        check(self)
        epochs_a_layer(self)
        if self.start not in STARTS:
            raise ValueError(f'start is "{self.start}": it must be one of {", ".join(STARTS)}')
        if self.start == PERSISTENT and not self.persistent:
            raise ValueError("start is persistent, but no chain goes on from update to update: persistent is False")


class DBN(nn.Module):
    """Binary units throughout; data and the hidden means of a layer below enter as probabilities."""

    def __init__(self, config: DBNConfig, rng: torch.Generator):
        super().__init__()
        self.config = config
        self.first_scored = config.epochs - epochs_a_layer(config) + 1
        widths = [config.num_visible, *config.layers]
        self.rbms = nn.ModuleList(RBM(below, above, rng) for below, above in itertools.pairwise(widths))
        self.optimizer = torch.optim.SGD(self.parameters(), lr=config.lr)
        for i, width in enumerate(widths[:-1]):  # the persistent chains of each layer
            self.register_buffer(
                f"chain{i}", torch.bernoulli(torch.full((config.batch_size, width), 0.5), generator=rng)
            )

    @torch.no_grad()
    def train_epoch(self, x: Tensor, epoch: int, rng: torch.Generator) -> dict[str, float]:
        """One epoch (0, 1, ...) of the layer whose turn it is; the error of reconstructing its input, a mean square."""
        c = self.config
        i, epoch_of_layer = divmod(epoch, epochs_a_layer(c))
        rbm, chain = self.rbms[i], getattr(self, f"chain{i}")
        done = epoch_of_layer / max(1, epochs_a_layer(c) - 1)
        self.optimizer.param_groups[0]["lr"] = c.lr * (1 - 0.95 * done)
        error, batches = 0.0, minibatches(len(x), c.batch_size, rng)
        for rows in batches:
            data = x[rows]
            for below in self.rbms[:i]:
                data = below.hidden(data)
            start = chain if c.persistent else torch.bernoulli(data, generator=rng)
            chain.copy_(rbm.gibbs(start, rng, c.gibbs_steps))
            self.optimizer.zero_grad()
            rbm.set_gradients(data, chain)
            self.optimizer.step()
            error += (rbm.visible(rbm.hidden(data)) - data).square().mean().item()
        return {"reconstruction_error": error / len(batches)}

    def draw(self, num_samples: int, rng: torch.Generator) -> Tensor:
        """Samples along chains, (n, d)."""
        return chains.draw(self, num_samples, rng)

    def start_chains(self, num_chains: int, rng: torch.Generator) -> chains.Advance:
        """Chains in the top RBM, which begin as config.start says.

        A sample is the mean of the pixels given binary hidden units of the top RBM: those are drawn, and what lies
        below them is a mean-field pass down, or draws hidden units as well (mean_field).
        """
        top, start = self.rbms[-1], self.config.start
        if start == PERSISTENT or (start == USUAL and len(self.rbms) == 1 and self.config.persistent):
            chain = getattr(self, f"chain{len(self.rbms) - 1}")
            v = chain[torch.arange(num_chains) % len(chain)]
        else:
            v = torch.bernoulli(torch.full((num_chains, top.visible_bias.numel()), 0.5), generator=rng)

        @torch.no_grad()
        def advance(steps: int) -> Tensor:
            nonlocal v
            v = top.gibbs(v, rng, steps)
            h = torch.bernoulli(top.hidden(v), generator=rng)
            return self.pass_down(top.visible(h), rng)

        return advance

    def pass_down(self, v: Tensor, rng: torch.Generator) -> Tensor:
        """From means of the top RBM's visible layer to means of the pixels."""
        for rbm in reversed(self.rbms[:-1]):
            v = rbm.visible(v if self.config.mean_field else torch.bernoulli(v, generator=rng))
        return v
