"""The Gaussian Parzen window of Section 5, by which Table 1 scores every model.

    log p(x) = log sum_i exp(-|x - s_i|^2 / (2 sigma^2)) - log m - d/2 log(2 pi sigma^2),   i = 1..m, in nats

Agrees with `parzen_ll.py` of the authors' goodfeli/adversarial: the same density, grid of sigmas and standard error.
Their `get_nll` returns log-likelihoods, in spite of its name. The ± in Table 1's MNIST column is the standard error
over test images, std / sqrt(n): it covers neither other seeds nor another draw of samples from the same model.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

AUTHORS_SIGMAS = tuple(10 ** (-1 + i / 9) for i in range(10))  # authors' parzen_ll.py: logspace(-1, 0, 10)
FINE_SIGMAS = tuple(i / 100 for i in range(10, 30))  # ours, reported beside it: 0.10 to 0.29


class SigmaChoice(NamedTuple):
    """The sigma with the best mean log-likelihood, and the curve it was chosen from."""

    sigma: float
    sigmas: tuple[float, ...]
    mean_log_likelihoods: tuple[float, ...]  # nats, one a sigma


@contextmanager
def _full_float32_products() -> Iterator[None]:
    # Where bfloat16 is allowed in products, to train faster, MNIST's score would move by 0.2 nats.
    backends = torch.backends.cuda.matmul, torch.backends.mkldnn.matmul
    before = [backend.fp32_precision for backend in backends]
    try:
        for backend in backends:
            backend.fp32_precision = "ieee"
        yield
    finally:
        for backend, precision in zip(backends, before, strict=True):
            backend.fp32_precision = precision


def parzen_log_likelihood(x: Tensor, samples: Tensor, sigma: float, chunk_size: int = 1000) -> Tensor:
    """Log-density of each row of x under a Gaussian Parzen window centred on the samples (Section 5).

    x: (n, d), pixels in [0, 1]; samples: (m, d), same units; sigma: window width in pixel units.
    Returns (n,) float64 in nats. Memory, precision and errors as in `parzen_log_likelihoods`.
    """
    return parzen_log_likelihoods(x, samples, [sigma], chunk_size)[0]


@torch.no_grad()
@_full_float32_products()
def parzen_log_likelihoods(x: Tensor, samples: Tensor, sigmas: Sequence[float], chunk_size: int = 1000) -> Tensor:
    """Log-densities for several sigmas from one computation of the distances, which do not depend on sigma.

    x: (n, d), pixels in [0, 1]; samples: (m, d), same units and device; sigmas: window widths in pixel units.
    Works on chunk_size rows of x and of samples at a time, so memory grows neither with n * m nor with m * d.
    Distances are computed in float32, or in float64 if an input is float64; sums over chunks always in float64.
    Returns (len(sigmas), n) float64 in nats. Raises ValueError if a sigma is not finite and > 0, or if x and samples
    are not two non-empty matrices of floats, of one width, on one device, without NaN or infinity.
    """
    _check_inputs(x, samples, sigmas, chunk_size)
    dtype = torch.promote_types(torch.promote_types(x.dtype, samples.dtype), torch.float32)
    (n, d), m = x.shape, len(samples)
    # A shift of both changes no distance, but |x|^2 + |s|^2 - 2 x.s then cancels less. The median, since one stray row
    # would drag a mean away and everyone's precision with it. Error left in float32, on 1,000 test images of MNIST
    # against 10,000 training images at sigma 0.1: 0.006 nats at most, 0.0005 in the mean; it falls as 1 / sigma^2.
    centre = samples[:25].to(dtype).median(dim=0).values  # (d,); of more it would take longer than a small call
    # What outlives a chunk is allocated first: small pieces between large ones break up the heap, at times by 300 MB.
    samples_sq_norm = torch.empty(m, dtype=torch.float64, device=x.device)
    log_likelihoods = torch.full((len(sigmas), n), -math.inf, dtype=torch.float64, device=x.device)
    buffers = torch.empty(2, min(chunk_size, n) * min(chunk_size, m), dtype=dtype, device=x.device)
    for s_chunk, s_sq_norm in zip(samples.split(chunk_size), samples_sq_norm.split(chunk_size), strict=True):
        s_sq_norm.copy_(_sq_norm(s_chunk.to(dtype) - centre))
    for x_chunk, log_sums in zip(x.split(chunk_size), log_likelihoods.split(chunk_size, dim=1), strict=True):
        x_chunk = x_chunk.to(dtype) - centre
        x_sq_norm = _sq_norm(x_chunk)
        for s_chunk, s_sq_norm in zip(samples.split(chunk_size), samples_sq_norm.split(chunk_size), strict=True):
            s_chunk = s_chunk.to(dtype) - centre
            shape = len(x_chunk), len(s_chunk)
            sq_dist, weights = (buffer[: math.prod(shape)].view(shape) for buffer in buffers)
            # |s|^2 - 2 x.s here; |x|^2 is one number a row, and joins in float64 below.
            torch.addmm(s_sq_norm.to(dtype), x_chunk, s_chunk.T, alpha=-2, out=sq_dist)
            nearest = sq_dist.amin(dim=1, keepdim=True)  # (chunk, 1)
            sq_dist -= nearest  # what each sample has over the nearest, so that exp below is 1 at least once a row
            nearest_sq_dist = (nearest.squeeze(1).double() + x_sq_norm).clamp_(min=0)  # rounding may go below 0
            for log_sum, sigma in zip(log_sums, sigmas, strict=True):
                scale = 1 / (2 * sigma**2)
                # exp(-80) = 2e-35 adds nothing to such a sum, and where float32 underflows exp is 50 times slower.
                weight_sum = torch.mul(sq_dist, -scale, out=weights).clamp_(min=-80).exp_().sum(dim=1)  # (chunk,)
                torch.logaddexp(log_sum, weight_sum.double().log() - scale * nearest_sq_dist, out=log_sum)
    log_norm = [math.log(m) + d / 2 * math.log(2 * math.pi * sigma**2) for sigma in sigmas]
    return log_likelihoods - torch.tensor(log_norm, dtype=torch.float64, device=x.device)[:, None]


def choose_sigma(valid: Tensor, samples: Tensor, sigmas: Sequence[float] = AUTHORS_SIGMAS) -> SigmaChoice:
    """The sigma under which the validation images are likeliest; the authors' script takes the first 1,000 of them.

    valid: (n, d), pixels in [0, 1]; samples: (m, d), same units. Raises as `parzen_log_likelihoods` does.
    """
    sigmas = tuple(float(sigma) for sigma in sigmas)
    means = tuple(parzen_log_likelihoods(valid, samples, sigmas).mean(dim=1).tolist())
    return SigmaChoice(sigmas[means.index(max(means))], sigmas, means)


def mean_and_standard_error(log_likelihoods: Tensor) -> tuple[float, float]:
    """Table 1's two numbers from (n,) log-likelihoods: their mean, and std over images / sqrt(n), both in nats.

    Raises ValueError if there are fewer than two images.
    """
    if log_likelihoods.dim() != 1 or len(log_likelihoods) < 2:
        raise ValueError(f"log_likelihoods must be a row of two or more, got shape {tuple(log_likelihoods.shape)}.")
    values = log_likelihoods.double()
    # authors' parzen_ll.py: the std with n below the fraction line, not n - 1
    return values.mean().item(), values.std(correction=0).item() / math.sqrt(len(values))


def _sq_norm(rows: Tensor) -> Tensor:
    return torch.linalg.vector_norm(rows, dim=1, dtype=torch.float64).square_()  # (n, d) -> (n,)


def _check_inputs(x: Tensor, samples: Tensor, sigmas: Sequence[float], chunk_size: int) -> None:
    if x.device != samples.device:
        raise ValueError(f"x is on {x.device}, samples are on {samples.device}: the devices must be equal.")
    for name, rows in (("x", x), ("samples", samples)):
        if not rows.is_floating_point():
            raise ValueError(f"{name} is {rows.dtype}; pixels must be floats in [0, 1]: use gan_repro.data.to_unit.")
        if rows.dim() != 2:
            raise ValueError(f"{name} must be a matrix with one image a row, got shape {tuple(rows.shape)}.")
        if rows.numel() == 0:
            raise ValueError(f"{name} is empty: its shape is {tuple(rows.shape)}.")
        if not torch.stack(torch.aminmax(rows)).isfinite().all():
            raise ValueError(f"{name} contains NaN or infinity.")
    if x.shape[1] != samples.shape[1]:
        raise ValueError(f"x has {x.shape[1]} columns, samples have {samples.shape[1]}: the widths must be equal.")
    if len(sigmas) == 0:
        raise ValueError("sigmas is empty: give at least one window width.")
    for sigma in sigmas:
        if not (math.isfinite(sigma) and sigma > 0):
            raise ValueError(f"sigma must be finite and > 0, got {sigma}.")
    if chunk_size < 1:
        raise ValueError(f"chunk_size must be at least 1, got {chunk_size}.")
