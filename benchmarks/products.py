"""The matrix products that a one-pass step of the released MNIST pair needs, and their bare cost."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from gan_repro.products import affine

BATCH_SIZE = 100  # mnist.yaml


class Layer(NamedTuple):
    """One layer in one step: three products, out of each of which its weight is either a factor or the result."""

    name: str
    in_features: int
    out_features: int
    rows: int  # that pass forward
    rows_back: int  # that must know the gradient of their input


# D sees the data and G(z) together. For the data nobody needs the gradient by the pixels: with BATCH_SIZE more rows
# back at D.h0 a step would take 0.19 GFLOP more. The derivative of a logit by the last layer's input is its weight.
STEP_LAYERS = (
    Layer("G.h0", 100, 1200, BATCH_SIZE, 0),
    Layer("G.h1", 1200, 1200, BATCH_SIZE, BATCH_SIZE),
    Layer("G.y", 1200, 784, BATCH_SIZE, BATCH_SIZE),
    Layer("D.h0", 784, 5 * 240, 2 * BATCH_SIZE, BATCH_SIZE),
    Layer("D.h1", 240, 5 * 240, 2 * BATCH_SIZE, 2 * BATCH_SIZE),
    Layer("D.y", 240, 1, 2 * BATCH_SIZE, 0),
)


def flop_of(layers: tuple[Layer, ...] = STEP_LAYERS) -> int:
    """Floating-point operations of a step's products, a multiplication and an addition for each pair of factors."""
    return sum(2 * layer.in_features * layer.out_features * (2 * layer.rows + layer.rows_back) for layer in layers)


def bare_products(layers: tuple[Layer, ...] = STEP_LAYERS) -> Callable[[], None]:
    """A function that computes a step's products and nothing else, each by the library that the step has compute it
    (but for that of D.y, which is small).

    Operands lie as autograd has them: forward x W^T, weight's gradient g^T x, input's gradient g W.
    """
    draw = torch.Generator().manual_seed(0)
    products: list[Callable[[], Tensor]] = []
    for layer in layers:
        x = torch.rand(layer.rows, layer.in_features, generator=draw)
        weight = torch.rand(layer.out_features, layer.in_features, generator=draw)
        grad = torch.rand(layer.rows, layer.out_features, generator=draw)
        products.append(partial(affine, x, weight))
        products.append(partial(torch.mm, grad.T, x, out=torch.empty_like(weight)))
        if layer.rows_back:
            products.append(partial(affine, grad[: layer.rows_back], weight.T))

    def run() -> None:
        for product in products:
            product()

    return run


def square_product(size: int) -> Callable[[], Tensor]:
    """A function that multiplies two large square matrices: near the best rate the machine has for float32."""
    left, right = torch.rand(2, size, size, generator=torch.Generator().manual_seed(0))
    return partial(affine, left, right)
