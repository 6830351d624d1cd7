"""One generator update's gradients: Algorithm 1 as printed, the released simultaneous form, and that form in one pass.

Each function leaves the gradients in `.grad`, as autograd does, and returns the logits of D on data and on G(z). The
plain forms are the definition; a test holds the fast one to them.
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

    x: (m, num_pixels) in [0, 1]; z: (m, num_z); masks: dropout multipliers for the 2m rows, data first.
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


def one_pass_gradients(
    G: nn.Module, D: nn.Module, x: Tensor, z: Tensor, masks: Masks, *, generator_loss: str, d_loss_scale: float
) -> tuple[Tensor, Tensor]:
    """The same gradients as `two_pass_gradients` from one pass of G, one of D and one backward.

    D treats rows independently, and for a generated row the two losses differ only in their derivative by its logit.
    So D's loss is sent back through D once, and each row that reaches G is rescaled by the ratio of the derivatives:
    -exp(-logit) / d_loss_scale (nonsaturating) or -1 / d_loss_scale (minimax). To survive any logit in float32, the
    derivatives are taken in float64 and sent back relative to the largest of the minibatch, none smaller than 2^-64
    of it: too small a part of D's sum to matter, yet large enough to be scaled up to G's.
    """
    m = len(x)
    fake = G(z)  # (m, num_pixels)
    fake_input = fake.detach().requires_grad_()
    logits = D(torch.cat([x, fake_input]), masks, num_data=m)  # (2m, 1)
    real_logits, fake_logits = logits.detach().double().chunk(2)

    d_derivative = d_loss_scale / m * torch.cat([-torch.sigmoid(-real_logits), torch.sigmoid(fake_logits)])
    if generator_loss == "nonsaturating":
        g_derivative = -torch.sigmoid(-fake_logits) / m
    else:
        g_derivative = -torch.sigmoid(fake_logits) / m
    largest = d_derivative.abs().amax().clamp_min(1e-300)
    seed = d_derivative / largest  # (2m, 1)
    seed[m:].clamp_(min=2.0**-64)

    parameters = list(D.parameters())
    *d_grads, fake_grad = torch.autograd.grad(logits, [*parameters, fake_input], seed.to(logits.dtype))
    for parameter, grad in zip(parameters, d_grads, strict=True):
        parameter.grad = grad.mul_(largest)
    fake_grad.mul_((g_derivative / seed[m:]).to(fake_grad.dtype))
    parameters = list(G.parameters())
    for parameter, grad in zip(parameters, torch.autograd.grad(fake, parameters, fake_grad), strict=True):
        parameter.grad = grad
    return logits[:m].detach(), logits[m:].detach()


def _set_gradients(net: nn.Module, loss: Tensor) -> None:
    """Gradients of loss by net's parameters alone: those of the other net are not touched."""
    parameters = list(net.parameters())
    for parameter, grad in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        parameter.grad = grad
