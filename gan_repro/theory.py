"""Section 4 in numbers: divergences, the optimal D and the value of the game, for densities that are known.

A density is given by its logarithm at n points and by `dx`, the width of the cell around each point: a fine grid for a
smooth density, bins for a histogram (then sums are exact), dx = 1 for probabilities on a discrete space. The logarithm
may be -inf where the density is 0. Everything is in nats; leading dimensions are a batch. D is given by its logits,
as the nets of this package return them: no quotient of densities is formed, so that nothing under- or overflows.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Categorical, Distribution, MixtureSameFamily, Normal


def gaussian_mixture(weights: list[float], means: list[float], stds: list[float]) -> MixtureSameFamily:
    """A mixture of Gaussians on the line, in double precision; weights are scaled to sum to 1."""
    parts = Normal(torch.tensor(means, dtype=torch.float64), torch.tensor(stds, dtype=torch.float64))
    return MixtureSameFamily(Categorical(torch.tensor(weights, dtype=torch.float64)), parts)


def log_masses(density: Distribution, edges: Tensor) -> Tensor:
    """Log-probabilities that a density gives the bins between edges (b,), open bins at both ends: (b + 1,)."""
    below = density.cdf(edges)
    zero, one = torch.zeros_like(below[:1]), torch.ones_like(below[:1])
    return torch.diff(torch.cat([zero, below, one])).log()


def log_shares(samples: Tensor, edges: Tensor) -> Tensor:
    """Log of the share of samples in each bin between edges (b,), open bins at both ends: (..., m) -> (..., b + 1).

    The JSD of the exact shares and masses is at most that of the densities, and close to it if the bins are narrow;
    that the shares are those of m samples adds about bins / (8 m).
    Raises ValueError if a sample is not finite.
    """
    if not samples.isfinite().all():
        raise ValueError("a sample is not finite: there is no bin for it")
    bins = torch.bucketize(samples.double(), edges.double())
    counts = torch.zeros(*samples.shape[:-1], len(edges) + 1, dtype=torch.float64)
    return (counts.scatter_add_(-1, bins, torch.ones_like(bins, dtype=torch.float64)) / samples.shape[-1]).log()


def expectation(log_p: Tensor, f: Tensor, dx: Tensor | float = 1.0) -> Tensor:
    """The mean of f under p, with 0 * inf = 0 where p is 0: (..., n), (..., n) -> (...).

    Raises ValueError if p does not sum to 1, within a thousandth.
    """
    p = log_p.exp()
    total = (p * dx).sum(dim=-1)
    if not torch.all((total - 1).abs() < 1e-3):
        raise ValueError(f"the density sums to {total.flatten()[0].item():.4f} over its points, and not to 1")
    return (torch.where(p > 0, p * f, 0.0) * dx).sum(dim=-1)


def kl(log_p: Tensor, log_q: Tensor, dx: Tensor | float = 1.0) -> Tensor:
    """KL(p || q) = the mean of log p - log q under p: (..., n), (..., n) -> (...). inf where q is 0 and p is not."""
    return expectation(log_p, log_p - log_q, dx)


def jsd(log_p: Tensor, log_q: Tensor, dx: Tensor | float = 1.0) -> Tensor:
    """Jensen-Shannon divergence as in Theorem 1, with its factor 1/2: (..., n), (..., n) -> (...), 0 to log 2."""
    log_middle = torch.logaddexp(log_p, log_q) - math.log(2)  # of (p + q) / 2
    return (kl(log_p, log_middle, dx) + kl(log_q, log_middle, dx)) / 2


def optimal_logits(log_p_data: Tensor, log_p_g: Tensor) -> Tensor:
    """Logits of D* = p_data / (p_data + p_g), eq. 2: the log-ratio of the densities. nan where both are 0."""
    return log_p_data - log_p_g


def value(D_logits: Tensor, log_p_data: Tensor, log_p_g: Tensor, dx: Tensor | float = 1.0) -> Tensor:
    """V(D, G) of eq. 1 with both means exact: (..., n) three times -> (...). What D maximises and G minimises."""
    log_D, log_one_minus_D = -F.softplus(-D_logits), -F.softplus(D_logits)
    return expectation(log_p_data, log_D, dx) + expectation(log_p_g, log_one_minus_D, dx)


def criterion(log_p_data: Tensor, log_p_g: Tensor, dx: Tensor | float = 1.0) -> Tensor:
    """C(G) = max over D of V(D, G), eq. 4, which G minimises: (..., n), (..., n) -> (...), -log 4 to 0."""
    return value(optimal_logits(log_p_data, log_p_g), log_p_data, log_p_g, dx)
