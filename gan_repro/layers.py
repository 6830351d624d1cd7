"""What the larger nets of Section 5 share: width, initial weights as pylearn2 draws them, the limit on column norms,
and where the gradients of their large weights lie.

Facts of goodfeli/adversarial, commit 1720041, and of the pylearn2 layers that it names (irange, sparse_init, init_bias,
max_col_norm).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from gan_repro.products import affine


def scaled(released: int, width: float) -> int:
    """How many units stand for so many released ones in a net of that width: at least 1.

    width: 1 for the net as released, 0.1 for a tenth of its hidden units. Raises ValueError outside (0, 1].
    """
    if not 0 < width <= 1:
        raise ValueError(f"width is {width}: it must lie in (0, 1], where 1 is the net as released")
    return max(1, round(released * width))


@torch.no_grad()
def initialize_uniform(layer: nn.Module, generator: torch.Generator, *, irange: float, bias: float = 0.0) -> None:
    """Weights uniform in [-irange, irange], every bias the same."""
    layer.weight.uniform_(-irange, irange, generator=generator)
    layer.bias.fill_(bias)


@torch.no_grad()
def initialize_sparse(layer: nn.Linear, generator: torch.Generator, *, num_nonzero: int, bias: Tensor) -> None:
    """num_nonzero weights of each unit are drawn from N(0, 1), the others are 0; bias: (out_features,).

    Which inputs these are is drawn for each unit by itself. A layer of fewer inputs gets a weight for each of them.
    """
    out_features, in_features = layer.weight.shape
    order = torch.rand(out_features, in_features, generator=generator)
    inputs = order.topk(min(num_nonzero, in_features), dim=1).indices  # (out_features, num_nonzero), all different
    layer.weight.zero_().scatter_(1, inputs, torch.randn(inputs.shape, generator=generator))
    layer.bias.copy_(bias)


@torch.no_grad()
def limit_column_norms(weight: Tensor, max_norm: float) -> None:
    """After an update: scale the weights of each unit of a fully connected layer to a norm of max_norm at most.

    weight: (units, inputs), changed in place. A unit's weights are a column of pylearn2's (in, out) matrix and a row of
    PyTorch's; each linear piece of a maxout unit has its own norm, biases have none. As in pylearn2 of 2014, 1e-7 is
    added to the norm that is divided by, so that a unit under the limit shrinks too, its norm by 1e-7: nothing in one
    update, but it adds up where weights are tiny. (pylearn2 also does this once before the first update.)
    """
    norm = torch.linalg.vector_norm(weight, dim=1, keepdim=True)
    weight.mul_(norm.clamp(max=max_norm) / (norm + 1e-7))


class Linear(nn.Linear):
    """nn.Linear by `linear`."""

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self)


def linear(x: Tensor, layer: nn.Module) -> Tensor:
    """F.linear with a layer's weight and bias, up to rounding: (n, in_features) -> (n, out_features).

    By `products.affine`, and with the weight's gradient in the memory of one that was given back (`give_back`), where
    there is one. Neither second derivatives nor torch.func know it. Other shapes, layers without bias, mixed kinds of
    numbers and autocast go by F.linear.
    """
    device = x.device.type
    has_autocast = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)  # "meta" knows none
    if x.dim() == 2 and layer.bias is not None and x.dtype == layer.weight.dtype and not has_autocast:
        return _Linear.apply(x, layer.weight, layer.bias)
    return F.linear(x, layer.weight, layer.bias)


def give_back(weight: nn.Parameter) -> None:
    """Have the memory of weight.grad, with which one is done, hold the gradient that `linear` computes next; .grad is
    None after it. (Of a weight that something else computes with it stays where it is, as .grad would.)

    Of the large nets a gradient is hundreds of megabytes, and new memory for it, which the system clears first, took up
    to a fifth of a step. Memory that was given back is taken once: a layer used twice, or gone back through twice, gets
    new memory for the second.
    """
    weight.spare, weight.grad = weight.grad, None


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: nn.Parameter, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.owner = weight  # whoever stores what was saved elsewhere, as a checkpoint does, brings back another tensor
        return affine(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x = affine(grad, weight.t()) if ctx.needs_input_grad[0] else None
        of_bias = grad.sum(0) if ctx.needs_input_grad[2] else None
        if not ctx.needs_input_grad[1]:
            return of_x, None, of_bias
        of_weight, ctx.owner.spare = getattr(ctx.owner, "spare", None), None
        if of_weight is None or (of_weight.dtype, of_weight.device) != (weight.dtype, weight.device):
            of_weight = torch.empty_like(weight)
        return of_x, torch.mm(grad.t(), x, out=of_weight), of_bias
