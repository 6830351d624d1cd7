"""The data sets of Section 5 as tensors: uint8 in memory, [0, 1] on use.

`python -m gan_repro.data` fetches them and prints one line a split.
"""

import math
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from gan_repro.download import MNIST_FILES, DataError, fetch_mnist
from gan_repro.paths import data_dir


@dataclass(frozen=True, eq=False)
class MNIST:
    """70,000 handwritten digits (LeCun, Cortes and Burges), 28 x 28 pixels, in the authors' three splits.

    Images are (n, 784) uint8, 0 (background) to 255; labels (n,) int64, 0 to 9.
    """

    train: Tensor  # (50000, 784)
    valid: Tensor  # (10000, 784): the last 10,000 training images
    test: Tensor  # (10000, 784)
    train_labels: Tensor
    valid_labels: Tensor
    test_labels: Tensor
    md5: dict[str, str]  # of each raw file, checked


def load_mnist(folder: Path | None = None, verbose: bool = False) -> MNIST:
    """MNIST from folder/mnist (folder: data_dir() if None), fetched first if it is not there.

    verbose: print where each file comes from. Raises DataError, which says how to put the files there by hand.
    """
    folder = data_dir() if folder is None else Path(folder)
    raw = fetch_mnist(folder / "mnist", verbose)
    arrays = {name: read_idx(raw[name], file.shape) for name, file in MNIST_FILES.items()}
    images = arrays["train-images-idx3-ubyte"].reshape(60000, 784)
    labels = arrays["train-labels-idx1-ubyte"].long()
    return MNIST(
        train=images[:50000],  # authors' mnist.yaml
        valid=images[50000:],
        test=arrays["t10k-images-idx3-ubyte"].reshape(10000, 784),
        train_labels=labels[:50000],
        valid_labels=labels[50000:],
        test_labels=arrays["t10k-labels-idx1-ubyte"].long(),
        md5={name: file.md5 for name, file in MNIST_FILES.items()},
    )


def read_idx(data: bytes, shape: tuple[int, ...]) -> Tensor:
    """The uint8 array of an idx file's contents. Raises ValueError if it is not an array of unsigned bytes of shape.

    Format: two zero bytes, 8 for unsigned bytes, the number of dimensions; each dimension as a big-endian 4-byte
    integer; then the entries, last dimension fastest.
    """
    header = bytes([0, 0, 8, len(shape)])
    if data[:4] != header:
        raise ValueError(f"idx magic number {data[:4].hex()}, expected {header.hex()}")
    start = 4 + 4 * len(shape)
    found = tuple(int.from_bytes(data[i : i + 4], "big") for i in range(4, start, 4))
    if found != shape:
        raise ValueError(f"idx shape {found}, expected {shape}")
    if len(data) - start != math.prod(shape):
        raise ValueError(f"idx file of shape {shape} has {len(data) - start} entries")
    return torch.frombuffer(bytearray(data), dtype=torch.uint8, offset=start).reshape(shape)


def to_unit(x: Tensor) -> Tensor:
    """Grey pixels as the nets and the Parzen window see them: uint8, 0 to 255 -> float32 in [0, 1], same shape."""
    return x / 255


def main() -> None:
    """Fetch what is missing, and say what is there."""
    try:
        mnist = load_mnist(verbose=True)
    except DataError as error:
        sys.exit(str(error))
    for split in ("train", "valid", "test"):
        images, labels = getattr(mnist, split), getattr(mnist, f"{split}_labels")
        print(
            f"MNIST {split}: {len(images):,} images of 28 x 28 pixels, {images.min()} to {images.max()}, "
            f"mean {to_unit(images).mean():.4f} in [0, 1]; {len(labels.unique())} classes"
        )


if __name__ == "__main__":
    main()
