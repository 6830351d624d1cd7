"""The convolutional CIFAR-10 pair of Section 5 (Figure 2d), as the authors released it.

goodfeli/adversarial, commit 1720041: cifar10_convolutional.yaml and deconv.py. Images go in and out as rows of 3072
numbers, as in the fully connected pair, so that both are trained and scored by the same code.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_repro.layers import Linear, initialize_uniform, scaled
from gan_repro.models import LargestPiece, Maxout

IMAGE_SHAPE = (3, 32, 32)


class MaxoutConv(nn.Module):
    """Convolution whose channels are each the maximum of num_pieces linear ones, then max pooling over space.

    (n, in_channels, h, w) -> (n, num_channels, h', w'). Pooling rounds up: a window that hangs over the edge counts, as
    in cuda-convnet. One bias a piece and channel, shared by all positions (tied_b: 1).
    """

    def __init__(
        self,
        in_channels: int,
        *,
        num_channels: int,
        num_pieces: int,
        kernel_size: int,
        padding: int,
        pool_size: int,
        pool_stride: int,
    ):
        super().__init__()
        self.num_pieces, self.padding, self.pool_size, self.pool_stride = num_pieces, padding, pool_size, pool_stride
        self.weight = nn.Parameter(torch.empty(num_pieces * num_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(num_pieces * num_channels))

    def forward(self, x: Tensor) -> Tensor:
        pieces = F.conv2d(x, self.weight, self.bias, padding=self.padding).unflatten(1, (self.num_pieces, -1))
        return F.max_pool2d(LargestPiece.apply(pieces), self.pool_size, self.pool_stride, ceil_mode=True)


class ConvGenerator(nn.Module):
    """G: z (n, num_z), N(0, 1) -> normalised images (n, 3072), any real numbers.

    8000 rectified linear units; 8000 sigmoid units, which are 80 channels of 10 x 10; a transposed convolution, 5 x 5
    at stride 3, to 3 x 32 x 32, with a bias of its own for each of these. Parameters 64,825,072. width: a fraction of
    the rectified linear units and of the channels, in (0, 1].
    """

    def __init__(self, *, width: float = 1.0, num_z: int = 100):
        super().__init__()
        self.num_z = num_z
        num_hidden, num_channels = scaled(8000, width), scaled(80, width)
        self.h0 = Linear(num_z, num_hidden)
        self.h1 = Linear(num_hidden, num_channels * 10 * 10)
        self.y = nn.ConvTranspose2d(num_channels, 3, kernel_size=5, stride=3, bias=False)
        self.y_bias = nn.Parameter(torch.zeros(IMAGE_SHAPE))

    def forward(self, z: Tensor) -> Tensor:
        h = torch.sigmoid(self.h1(F.relu(self.h0(z)))).unflatten(1, (-1, 10, 10))
        return (self.y(h) + self.y_bias).flatten(1)  # (n, 3, 32, 32) -> (n, 3072)

    @torch.no_grad()
    def initialize(self, generator: torch.Generator) -> "ConvGenerator":
        """Weights uniform in [-0.05, 0.05], biases 0."""
        initialize_uniform(self.h0, generator, irange=0.05)
        initialize_uniform(self.h1, generator, irange=0.05)
        self.y.weight.uniform_(-0.05, 0.05, generator=generator)
        self.y_bias.zero_()
        return self


class ConvDiscriminator(nn.Module):
    """D: normalised images (n, 3072), or (n, 3, 32, 32) -> logits (n, 1).

    Three convolutional maxout layers of 2 pieces, 32, 32 and 192 channels; 500 maxout units of 5 pieces; one unit.
    Parameters 12,454,073. The sides of the images: 32, 33 and pooled 16, 15 and pooled 7, 9 and pooled 5. Dropout is
    given from outside as multipliers of each layer's input (`streams.dropout_masks`): one for each channel at each
    position. width: a fraction of the channels and maxout units, in (0, 1].
    """

    def __init__(self, *, width: float = 1.0):
        super().__init__()
        few, many, num_units = scaled(32, width), scaled(192, width), scaled(500, width)
        pool_4 = {"num_pieces": 2, "pool_size": 4, "pool_stride": 2}
        pool_2 = {"num_pieces": 2, "pool_size": 2, "pool_stride": 2}
        self.h0 = MaxoutConv(3, num_channels=few, kernel_size=8, padding=4, **pool_4)
        self.h1 = MaxoutConv(few, num_channels=few, kernel_size=8, padding=3, **pool_4)
        self.h2 = MaxoutConv(few, num_channels=many, kernel_size=5, padding=3, **pool_2)
        self.h3 = Maxout(many * 5 * 5, num_units=num_units, num_pieces=5)
        self.y = nn.Linear(num_units, 1)
        self.conv_shapes = (IMAGE_SHAPE, (few, 16, 16), (few, 7, 7))  # of the convolutional layers' inputs
        self.input_widths = (*map(math.prod, self.conv_shapes), many * 5 * 5, num_units)  # of all inputs, for dropout

    def forward(self, x: Tensor, masks: Sequence[Tensor] | None = None) -> Tensor:
        """masks: for each of the five layers the multipliers of its input, (n, width), or None for no dropout."""
        masks = (1, 1, 1, 1, 1) if masks is None else masks
        x = x.flatten(1)
        for layer, shape, mask in zip((self.h0, self.h1, self.h2), self.conv_shapes, masks, strict=False):
            x = layer((x * mask).unflatten(1, shape)).flatten(1)
        x = self.h3(x * masks[3])
        return self.y(x * masks[4])  # (n, 1)

    def initialize(self, generator: torch.Generator) -> "ConvDiscriminator":
        """Weights uniform in [-0.005, 0.005], biases 0.

        In a narrower net (ours) the layers with fewer inputs than released have larger weights, by the square root of
        that ratio, so that a unit's input has the variance that it has at full width: a logit is the product of five
        layers of weights this small, and would be smaller by the ratio's square.
        """
        layers = (self.h0, self.h1, self.h2, self.h3, self.y)
        for layer, num_inputs in zip(layers, (3 * 64, 32 * 64, 32 * 25, 192 * 25, 500), strict=True):  # as released
            irange = 0.005 * (num_inputs / layer.weight[0].numel()) ** 0.5
            initialize_uniform(layer, generator, irange=irange)
        return self
