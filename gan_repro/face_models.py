"""The face pair of Section 5: G in two stages, as the authors released it for the Toronto Face Database.

goodfeli/adversarial, commit 1720041: tfd_pretrain/pretrain.yaml (stage 1), then tfd_pretrain/train.yaml (stage 2). The
norm of every unit's weights, in G and in D, is limited after each update (`layers.limit_column_norms`).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_repro.layers import Linear, initialize_sparse, initialize_uniform, scaled
from gan_repro.models import Discriminator

NUM_PIXELS = 2304  # 48 x 48


class FaceGenerator(nn.Module):
    """G of stage 1: z (n, num_z), N(0, 1) -> faces (n, 2304) in (0, 1).

    8000 rectified linear units, 8000 sigmoid units, then sigmoid pixels; parameters 83,250,304. width: a fraction of
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
        return torch.sigmoid(self.y(torch.sigmoid(self.h1(F.relu(self.h0(z))))))

    def initialize(self, generator: torch.Generator, *, pixel_means: Tensor) -> "FaceGenerator":
        """Weights uniform in [-0.05, 0.05] and biases 0 and -2; for each pixel 100 weights from N(0, 1) and the logit
        of its mean as bias.

        pixel_means: (2304,) of the training set, in [0, 1]; clipped to [1e-7, 1 - 1e-7].
        """
        initialize_uniform(self.h0, generator, irange=0.05)
        initialize_uniform(self.h1, generator, irange=0.05, bias=-2.0)
        bias = torch.logit(pixel_means.double(), eps=1e-7)  # as pylearn2's init_sigmoid_bias_from_marginals
        initialize_sparse(self.y, generator, num_nonzero=100, bias=bias)
        return self


class TwoStageFaceGenerator(nn.Module):
    """G of stage 2: z (n, num_z), N(0, 1) -> faces (n, 2304) in (0, 1).

    8000 rectified linear units and as many sigmoid units as the stage-1 G takes as its z, then that whole G; parameters
    84,858,404. All layers learn, against a fresh D. width: a fraction of the new rectified linear units, in (0, 1].
    """

    def __init__(self, stage_1: FaceGenerator, *, width: float = 1.0, num_z: int = 100):
        super().__init__()
        self.num_z = num_z
        self.h0 = Linear(num_z, scaled(8000, width))
        self.h1 = Linear(self.h0.out_features, stage_1.num_z)
        self.stage_1 = stage_1

    def forward(self, z: Tensor) -> Tensor:
        return self.stage_1(torch.sigmoid(self.h1(F.relu(self.h0(z)))))

    def initialize(self, generator: torch.Generator) -> "TwoStageFaceGenerator":
        """The new layers only: weights uniform in [-0.05, 0.05], biases 0 and -2."""
        initialize_uniform(self.h0, generator, irange=0.05)
        initialize_uniform(self.h1, generator, irange=0.05, bias=-2.0)
        return self


def face_discriminator(*, width: float = 1.0) -> Discriminator:
    """D of both stages: faces (n, 2304) -> logits (n, 1).

    Two layers of 1200 maxout units of 5 pieces, then one unit; parameters 21,037,201. Its `initialize` has the released
    irange, 0.005. width: a fraction of the maxout units, in (0, 1].
    """
    return Discriminator(num_pixels=NUM_PIXELS, num_units=scaled(1200, width), num_pieces=5)
