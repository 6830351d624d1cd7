"""The released simultaneous form with one pass back instead of two: what `steps.two_pass_gradients` gives, up to
rounding, in less time (`make bench`). Tests hold it to that.

D treats rows independently and a row's losses depend on its logit alone. So one pass back through D serves both losses,
which differ in a row's derivative by the logit: a factor of the row. `one_pass_gradients` takes any such pair;
`one_pass_update` is the update of the MNIST pair written out, without stored gradients.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gan_repro.models import Discriminator, Generator
from gan_repro.products import affine
from gan_repro.steps import Masks

SURE = 1e-13  # D(G(z)), at a logit of -30


def one_pass_gradients(
    G: nn.Module, D: nn.Module, x: Tensor, z: Tensor, masks: Masks, *, generator_loss: str, d_loss_scale: float
) -> tuple[Tensor, Tensor]:
    """Gradients of both losses at the same weights, with the same z and masks: arguments and results of
    `steps.two_pass_gradients`.

    D's loss goes back through D; where it arrives at G(z), each row is multiplied by the ratio of its two derivatives.
    """
    fake = G(z)
    seen = fake.detach().requires_grad_()
    logits = D(torch.cat([x, seen]), masks)  # (2m, 1)
    real_logits, fake_logits = logits.detach().chunk(2)
    of_d, of_g = loss_derivatives(logits.detach(), generator_loss=generator_loss, d_loss_scale=d_loss_scale)
    # Where D rejects a sample this surely, its own loss has no gradient that a sum of floats would show, but must not
    # vanish: the ratio would be infinite.
    of_d[len(x) :].clamp_(min=d_loss_scale / len(x) * SURE)
    *d_gradients, of_seen = torch.autograd.grad(logits, [*D.parameters(), seen], of_d)
    g_gradients = torch.autograd.grad(fake, list(G.parameters()), of_seen * (of_g / of_d[len(x) :]))
    for net, gradients in ((D, d_gradients), (G, g_gradients)):
        for parameter, gradient in zip(net.parameters(), gradients, strict=True):
            parameter.grad = gradient
    return real_logits, fake_logits


@torch.no_grad()
def one_pass_update(
    G: Generator,
    D: Discriminator,
    v_G: Generator,
    v_D: Discriminator,
    x: Tensor,
    z: Tensor,
    masks: Sequence[Tensor],
    *,
    generator_loss: str,
    d_loss_scale: float,
    lr: float,
    momentum: float,
) -> tuple[Tensor, Tensor]:
    """v <- momentum v - lr grad, weights <- weights + v, for D and G at once on the same z and masks.

    v_G, v_D: the velocities, in nets of the same shape. x: (m, num_pixels) in [0, 1]; z: (m, num_z); masks: dropout
    multipliers of the inputs of D's layers, for 2m rows, data first. Returns the logits of data and of G(z), (m, 1)
    each, that D gave before the update.

    The pass back through D carries the derivative of each row's *logit*; the derivative of a loss by that logit comes
    in as a factor of the row: D's loss where rows are summed into D's gradients, G's loss where the pass enters G. Sums
    go straight into the velocities: no gradient is stored, and data rows need no derivative by their pixels.
    """
    m = len(x)

    # Forward, as Generator.forward and Discriminator.forward, keeping what the way back needs
    g_inputs = [z]
    for layer in (G.h0, G.h1):
        g_inputs.append(affine(g_inputs[-1], layer.weight, layer.bias).relu_())
    fake = affine(g_inputs[-1], G.y.weight, G.y.bias).sigmoid_()  # (m, num_pixels)
    d_inputs = [torch.empty_like(masks[0])]  # (2m, num_pixels)
    torch.mul(x, masks[0][:m], out=d_inputs[0][:m])
    torch.mul(fake, masks[0][m:], out=d_inputs[0][m:])
    is_largest = []
    for layer, mask in ((D.h0, masks[1]), (D.h1, masks[2])):
        pieces = layer.pieces(d_inputs[-1])  # (2m, num_pieces, num_units)
        largest = pieces.amax(dim=1)
        is_largest.append(torch.eq(pieces, largest.unsqueeze(1), out=pieces))  # 0 or 1, over the pieces
        d_inputs.append(largest.mul_(mask))  # (2m, num_units)
    logits = D.y(d_inputs[-1])  # (2m, 1)

    d_derivative, g_derivative = loss_derivatives(logits, generator_loss=generator_loss, d_loss_scale=d_loss_scale)

    # Back through D, in derivatives of the logits
    def learn_d(layer: nn.Module, delta: Tensor, inputs: Tensor) -> None:
        _accumulate(layer, delta, inputs.mul_(d_derivative), d_derivative.squeeze(1), lr=lr, momentum=momentum)

    learn_d(v_D.y, torch.ones_like(logits), d_inputs[2])
    delta = is_largest[1].mul_((masks[2] * D.y.weight).unsqueeze(1)).flatten(1)  # by the pieces of h1
    learn_d(v_D.h1, delta, d_inputs[1])
    delta = affine(delta, D.h1.weight.t()).mul_(masks[1])  # by the units of h0
    delta = is_largest[0].mul_(delta.unsqueeze(1)).flatten(1)  # by its pieces
    learn_d(v_D.h0, delta, d_inputs[0])

    # Into G, in derivatives of its loss
    def learn_g(layer: nn.Module, delta: Tensor, inputs: Tensor) -> None:
        _accumulate(layer, delta, inputs, delta.new_ones(m), lr=lr, momentum=momentum)

    delta = affine(delta[m:], D.h0.weight.t()).mul_(masks[0][m:]).mul_(g_derivative)  # by the pixels
    delta = torch.ops.aten.sigmoid_backward(delta, fake)
    learn_g(v_G.y, delta, g_inputs[2])
    delta = torch.ops.aten.threshold_backward(affine(delta, G.y.weight.t()), g_inputs[2], 0)  # 0 where the unit was off
    learn_g(v_G.h1, delta, g_inputs[1])
    delta = torch.ops.aten.threshold_backward(affine(delta, G.h1.weight.t()), g_inputs[1], 0)
    learn_g(v_G.h0, delta, g_inputs[0])

    move(G, v_G)
    move(D, v_D)
    return logits[:m], logits[m:]


def loss_derivatives(logits: Tensor, *, generator_loss: str, d_loss_scale: float) -> tuple[Tensor, Tensor]:
    """Derivatives by the logits, data first: of D's scaled loss, (2m, 1), and of G's by those of G(z), (m, 1).

    sigmoid(-logit) stands where 1 - D would have no digits left.
    """
    real, fake = logits.chunk(2)
    of_d = torch.cat([-torch.sigmoid(-real), torch.sigmoid(fake)]).mul_(d_loss_scale / len(real))
    of_g = torch.sigmoid(-fake if generator_loss == "nonsaturating" else fake).mul_(-1 / len(fake))
    return of_d, of_g


@torch.no_grad()
def move(net: nn.Module, velocity: nn.Module) -> None:
    """weights <- weights + v."""
    torch._foreach_add_(list(net.parameters()), list(velocity.parameters()))


def _accumulate(v: nn.Module, delta: Tensor, inputs: Tensor, rows: Tensor, *, lr: float, momentum: float) -> None:
    """v <- momentum v - lr delta^T inputs, for the bias delta^T rows; delta: (n, out), inputs: (n, in), rows: (n,)."""
    v.weight.addmm_(delta.t(), inputs, beta=momentum, alpha=-lr)
    v.bias.addmv_(delta.t(), rows, beta=momentum, alpha=-lr)
