"""The losses of Section 3, on D's logits: stable for logits of any size, and right to the last bit at 0."""

import torch.nn.functional as F
from torch import Tensor


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-V(D, G) of eq. 1 on one minibatch: (m, 1), (m, 1) -> scalar, in nats. D minimises it."""
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def generator_loss_minimax(fake_logits: Tensor) -> Tensor:
    """log(1 - D(G(z))): the term of eq. 1 that G minimises in Algorithm 1. (m, 1) -> scalar, in nats."""
    return -F.softplus(fake_logits).mean()


def generator_loss_nonsaturating(fake_logits: Tensor) -> Tensor:
    """-log D(G(z)): the substitute of Section 3, with stronger gradients early in learning. (m, 1) -> scalar."""
    return F.softplus(-fake_logits).mean()


GENERATOR_LOSSES = {"nonsaturating": generator_loss_nonsaturating, "minimax": generator_loss_minimax}
