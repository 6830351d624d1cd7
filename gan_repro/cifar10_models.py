"""The fully connected CIFAR-10 pair of Section 5 (Figure 2c), as the authors released it.

goodfeli/adversarial, commit 1720041: cifar10_fully_connected.yaml. Images are rows of 3072 numbers after global
contrast normalisation: the red plane, the green and the blue one.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_repro.layers import Linear, initialize_uniform, scaled
from gan_repro.models import Discriminator

NUM_PIXELS = 3072  # 3 x 32 x 32


class CIFAR10Generator(nn.Module):
    """G: z (n, num_z), N(0, 1) -> normalised images (n, 3072), any real numbers.

    8000 rectified linear units, 8000 sigmoid units, then linear pixels; parameters 89,395,072. width: a fraction of
    both hidden layers, in (0, 1].
    """

    def __init__(self, *, width: float = 1.0, num_z: int = 100):
        super().__init__()
        self.num_z = num_z
        num_hidden = scaled(8000, width)
        self.h0 = Linear(num_z, num_hidden)
        self.h1 = Linear(num_hidden, num_hidden)
        self.y = Linear(num_hidden, NUM_PIXELS)

    def forward(self, z: Tensor) -> Tensor:
        return self.y(torch.sigmoid(self.h1(F.relu(self.h0(z)))))

    def initialize(self, generator: torch.Generator) -> "CIFAR10Generator":
        """Weights uniform in [-0.05, 0.05], those of the pixels in [-0.5, 0.5]; biases 0."""
        initialize_uniform(self.h0, generator, irange=0.05)
        initialize_uniform(self.h1, generator, irange=0.05)
        initialize_uniform(self.y, generator, irange=0.5)
        return self


def cifar10_discriminator(*, width: float = 1.0) -> Discriminator:
    """D: normalised images (n, 3072) -> logits (n, 1).

    Two layers of 1600 maxout units of 5 pieces, then one unit; parameters 37,393,601. Its `initialize` has the released
    irange, 0.005. width: a fraction of the maxout units, in (0, 1].
    """
    return Discriminator(num_pixels=NUM_PIXELS, num_units=scaled(1600, width), num_pieces=5)
