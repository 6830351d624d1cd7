"""One generator update's gradients: Algorithm 1 as printed, and the released simultaneous form.

Each function leaves the gradients in `.grad`, as autograd does, and returns the logits of D on data and on G(z). These
plain forms are the definition; `one_pass` is the released form made fast.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gan_repro.losses import GENERATOR_LOSSES, discriminator_loss

Masks = Sequence[Tensor] | None


def discriminator_gradients(
    G: nn.Module, D: nn.Module, x: Tensor, z: Tensor, masks: Masks, *, d_loss_scale: float
) -> tuple[Tensor, Tensor]:
    """Algorithm 1's inner step: gradients of D's loss on minibatches of m data x and m noise z, G held fixed.

    x: (m, num_pixels), as D sees images; z: (m, num_z); masks: dropout multipliers for the 2m rows, data first.
    """
    with torch.no_grad():
        fake = G(z)
    real_logits, fake_logits = D(torch.cat([x, fake]), masks).chunk(2)  # (m, 1) each
    _set_gradients(D, d_loss_scale * discriminator_loss(real_logits, fake_logits))
    return real_logits.detach(), fake_logits.detach()


def generator_gradients(G: nn.Module, D: nn.Module, z: Tensor, masks: Masks, *, generator_loss: str) -> Tensor:
    """Algorithm 1's outer step: gradients of G's loss on a minibatch of noise z, D held fixed; masks: for m rows."""
    D.requires_grad_(False)  # else its layers would compute gradients of their weights, for nothing
    try:
        fake_logits = D(G(z), masks)  # (m, 1)
        _set_gradients(G, GENERATOR_LOSSES[generator_loss](fake_logits))
    finally:
        D.requires_grad_(True)
    return fake_logits.detach()


def two_pass_gradients(
    G: nn.Module, D: nn.Module, x: Tensor, z: Tensor, masks: Masks, *, generator_loss: str, d_loss_scale: float
) -> tuple[Tensor, Tensor]:
    """The released form, plainly: both gradients at the same weights, with the same z and the same masks.

    Shapes as in `discriminator_gradients`. (AdversaryCost2 of the authors' __init__.py.)
    """
    real_logits, fake_logits = discriminator_gradients(G, D, x, z, masks, d_loss_scale=d_loss_scale)
    fake_masks = None if masks is None else [mask[len(x) :] for mask in masks]
    generator_gradients(G, D, z, fake_masks, generator_loss=generator_loss)
    return real_logits, fake_logits


def _set_gradients(net: nn.Module, loss: Tensor) -> None:
    """Gradients of loss by net's parameters alone: those of the other net are not touched."""
    parameters = list(net.parameters())
    for parameter, grad in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        parameter.grad = grad
