"""Products with a layer's weights by the faster of the two libraries of matrix products in PyTorch's builds for CPUs.

PyTorch has MKL multiply float32 matrices. oneDNN takes a tenth to a third less time for these products on an AMD EPYC,
but is reached only through torch.compile, whose operator is called here. The other products of a layer, the gradients
of its weights, MKL computes as fast, and adds to what is there.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

# Of builds without oneDNN, and should PyTorch rename it, there is none.
ONEDNN = getattr(torch.ops.mkldnn, "_linear_pointwise", None) if torch.backends.mkldnn.is_available() else None


def affine(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x weight^T + bias, up to rounding what F.linear gives, without gradients: (n, in_features) -> (n, out_features).

    weight: (out_features, in_features), or such a view of its transpose; bias: (out_features,). Of numbers of another
    kind, and of shapes that do not fit, it is F.linear that computes or complains.
    """
    fits = x.dim() == weight.dim() == 2 and x.shape[1] == weight.shape[1] > 0
    fits = fits and (bias is None or bias.shape == weight.shape[:1])
    if ONEDNN is not None and x.is_cpu and x.dtype == weight.dtype == torch.float32 and fits:
        # oneDNN takes a bias for one without gaps
        return ONEDNN(x.contiguous(), weight, None if bias is None else bias.contiguous(), "none", [], "")
    return F.linear(x, weight, bias)
