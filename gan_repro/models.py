"""The networks of Section 5, as the authors released them (goodfeli/adversarial, commit 1720041)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_repro.layers import linear


class LargestPiece(torch.autograd.Function):
    """pieces.amax(dim=1) of (n, num_pieces, num_units), with a backward pass of one product instead of five passes.

    Where pieces tie exactly, each of them gets the whole gradient; autograd's amax would share it out.
    """

    @staticmethod
    def forward(ctx, pieces: Tensor) -> Tensor:
        largest = pieces.amax(dim=1)
        is_largest = torch.eq(pieces, largest.unsqueeze(1), out=torch.empty_like(pieces))  # 0 or 1, as floats
        ctx.save_for_backward(is_largest)
        return largest

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        (is_largest,) = ctx.saved_tensors
        return is_largest * grad.unsqueeze(1)


class Maxout(nn.Module):
    """Maxout layer (Goodfellow et al., 2013): (n, in_features) -> (n, num_units), each unit the maximum of num_pieces
    linear functions of the input.

    The weight is (num_pieces * num_units, in_features), one piece of all units after another, so that the maximum
    runs over whole rows. A draw is as likely in this order as in pylearn2's, which keeps the pieces of a unit together.
    """

    def __init__(self, in_features: int, *, num_units: int, num_pieces: int):
        super().__init__()
        self.num_units, self.num_pieces = num_units, num_pieces
        self.weight = nn.Parameter(torch.empty(num_pieces * num_units, in_features))
        self.bias = nn.Parameter(torch.zeros(num_pieces * num_units))

    def pieces(self, x: Tensor) -> Tensor:
        """The linear functions: (n, in_features) -> (n, num_pieces, num_units)."""
        return linear(x, self).unflatten(1, (self.num_pieces, -1))

    def forward(self, x: Tensor) -> Tensor:
        return LargestPiece.apply(self.pieces(x))  # (n, num_units)

    def extra_repr(self) -> str:
        return f"{self.weight.shape[1]}, num_units={self.num_units}, num_pieces={self.num_pieces}"


class Generator(nn.Module):
    """G of the MNIST pair: z (n, num_z) -> images (n, num_pixels) in (0, 1).

    Two layers of rectified linear units, then sigmoid units; parameters 2,503,984 at the released sizes.
    """

    def __init__(self, *, num_z: int = 100, num_hidden: int = 1200, num_pixels: int = 784):
        super().__init__()
        self.num_z = num_z
        self.h0 = nn.Linear(num_z, num_hidden)
        self.h1 = nn.Linear(num_hidden, num_hidden)
        self.y = nn.Linear(num_hidden, num_pixels)

    def forward(self, z: Tensor) -> Tensor:
        return torch.sigmoid(self.y(F.relu(self.h1(F.relu(self.h0(z))))))

    @torch.no_grad()
    def initialize(self, generator: torch.Generator, *, pixel_means: Tensor, irange: float = 0.05) -> "Generator":
        """Weights uniform in [-irange, irange], hidden biases 0, output biases the logit of the pixel means.

        pixel_means: (num_pixels,) of the training set, in [0, 1]; clipped to [1e-7, 1 - 1e-7], since some MNIST
        pixels are never on (pylearn2's init_sigmoid_bias_from_marginals).
        """
        for layer in (self.h0, self.h1, self.y):
            layer.weight.uniform_(-irange, irange, generator=generator)
            layer.bias.zero_()
        self.y.bias.copy_(torch.logit(pixel_means.double(), eps=1e-7))
        return self


class Discriminator(nn.Module):
    """D of the MNIST pair: images (n, num_pixels) -> logits (n, 1) of the probability that they are data.

    Two layers of maxout, then one unit; parameters 1,231,441 at the released sizes. Dropout is given from outside as
    multipliers of each layer's input (`streams.dropout_masks`), so that a draw can be used twice.
    """

    def __init__(self, *, num_pixels: int = 784, num_units: int = 240, num_pieces: int = 5):
        super().__init__()
        self.h0 = Maxout(num_pixels, num_units=num_units, num_pieces=num_pieces)
        self.h1 = Maxout(num_units, num_units=num_units, num_pieces=num_pieces)
        self.y = nn.Linear(num_units, 1)
        self.input_widths = (num_pixels, num_units, num_units)  # of the three layers' inputs, for dropout

    def forward(self, x: Tensor, masks: Sequence[Tensor] | None = None) -> Tensor:
        """x: (n, num_pixels); masks: for each layer the multipliers of its input, or None for no dropout."""
        masks = (1, 1, 1) if masks is None else masks
        x = self.h0(x * masks[0])
        x = self.h1(x * masks[1])
        return self.y(x * masks[2])  # (n, 1)

    @torch.no_grad()
    def initialize(self, generator: torch.Generator, *, irange: float = 0.005) -> "Discriminator":
        """Weights uniform in [-irange, irange], biases 0."""
        for layer in (self.h0, self.h1, self.y):
            layer.weight.uniform_(-irange, irange, generator=generator)
            layer.bias.zero_()
        return self
