"""The Parzen window at the full protocol of Section 5: ten sigmas on validation images, then one on the test images."""

import os
import subprocess
import sys

import torch
from torch import Tensor

from benchmarks.memory import CLEAR_REFS, peak_above_present
from benchmarks.timing import Bar, Effort, Section, Spread, interleaved, ratio
from gan_repro.parzen import AUTHORS_SIGMAS, choose_sigma, parzen_log_likelihood
from gan_repro.paths import ROOT

OURS, PRODUCTS = "protocol", "its matrix products, bare"
CHUNK_SIZE = 1000  # rows of images and of samples in one product, as in parzen.py


def measure(effort: Effort) -> Section:
    valid, test, samples = made_inputs(effort.num_images, effort.num_samples)
    rows = {OURS: lambda: protocol(valid, test, samples), PRODUCTS: lambda: bare_products(valid, test, samples)}
    seconds = interleaved(rows, effort.parzen_rounds)
    bars = [Bar("protocol / its bare products", ratio(seconds[OURS], seconds[PRODUCTS]), 3, at_least=False)]
    if CLEAR_REFS.exists():
        megabytes = peak_memory(effort.num_images, effort.num_samples) / 1e6
        bars.append(Bar("peak memory above the inputs", Spread(megabytes, megabytes, megabytes), 300, False, "MB"))
    return Section(
        title=f"Parzen window; {len(AUTHORS_SIGMAS)} sigmas on {len(valid):,} images, one on {len(test):,}; "
        f"{len(samples):,} samples; {effort.parzen_rounds} rounds",
        seconds=seconds,
        reference=PRODUCTS,
        gflop={PRODUCTS: 2 * (len(valid) + len(test)) * len(samples) * samples.shape[1] / 1e9},
        bars=bars,
    )


def protocol(valid: Tensor, test: Tensor, samples: Tensor) -> Tensor:
    return parzen_log_likelihood(test, samples, choose_sigma(valid, samples).sigma)


def bare_products(valid: Tensor, test: Tensor, samples: Tensor) -> None:
    """The inner products that the distances are made of, in the protocol's chunks, and nothing else."""
    result = torch.empty(CHUNK_SIZE, CHUNK_SIZE)
    for images in (valid, test):
        for x in images.split(CHUNK_SIZE):
            for s in samples.split(CHUNK_SIZE):
                torch.mm(x, s.T, out=result[: len(x), : len(s)])


def made_inputs(num_images: int, num_samples: int) -> tuple[Tensor, Tensor, Tensor]:
    """Random pixels in place of digits: the cost does not depend on them. Validation, test, samples, each (n, 784)."""
    draw = torch.Generator().manual_seed(0)
    return tuple(torch.rand(n, 784, generator=draw) for n in (num_images // 10, num_images, num_samples))


def peak_memory(num_images: int, num_samples: int) -> int:
    """Bytes by which one protocol raises the resident memory of a fresh process that holds its inputs. Linux only."""
    command = [sys.executable, "-m", __name__, str(num_images), str(num_samples)]
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return int(done.stdout)


def _main(num_images: int, num_samples: int) -> None:
    inputs = made_inputs(num_images, num_samples)
    protocol(*(rows[:10] for rows in inputs))  # libraries load on first use
    print(peak_above_present(lambda: protocol(*inputs)))


if __name__ == "__main__":
    _main(*map(int, sys.argv[1:]))
