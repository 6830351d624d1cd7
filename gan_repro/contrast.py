"""Global contrast normalisation: what the nets of CIFAR-10 see of an image."""

import torch
from torch import Tensor


def global_contrast_normalize(x: Tensor, *, scale: float = 55.0, min_divisor: float = 1e-8) -> Tensor:
    """Images as the nets see them: each minus its own mean, divided by its own L2 norm / scale.

    x: (n, 3072) uint8 or float. The mean is over all pixels and colours. Returns (n, 3072) float32, each row of norm
    scale (gcn: 55. in the authors' files); an image of one colour value, whose norm / scale is under min_divisor, is
    divided by 1, so that it is all 0.
    """
    x = x.float()
    x = x - x.mean(dim=1, keepdim=True)
    divisor = torch.linalg.vector_norm(x, dim=1, keepdim=True) / scale
    return x.div_(divisor.masked_fill_(divisor < min_divisor, 1.0))
