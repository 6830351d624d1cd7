"""CIFAR-10 for Section 5: uint8 in memory, and how normalised images are shown.

An image is a row of 3072 numbers: the red plane, then the green and the blue one, each 32 x 32 row by row, as in the
published archive. The fully connected nets, the Parzen window and the nearest neighbours take such rows as they are; a
convolutional net sees `rows.unflatten(1, (3, 32, 32))`, which moves no number.

`python -m gan_repro.cifar10` fetches the data and prints one line a split.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gan_repro.cifar10_download import CIFAR10_FILES, fetch_cifar10
from gan_repro.download import DataError
from gan_repro.paths import data_dir

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True, eq=False)
class CIFAR10:
    """60,000 colour photographs of ten kinds of things (Krizhevsky, Nair and Hinton), in the authors' three splits.

    Images are (n, 3072) uint8, 0 to 255; labels (n,) int64, 0 to 9: positions in CLASSES.
    """

    train: Tensor  # (40000, 3072)
    valid: Tensor  # (10000, 3072): the last 10,000 training images
    test: Tensor  # (10000, 3072)
    train_labels: Tensor
    valid_labels: Tensor
    test_labels: Tensor
    md5: dict[str, str]  # of each raw file, checked


def load_cifar10(folder: Path | None = None, verbose: bool = False) -> CIFAR10:
    """CIFAR-10 from folder/cifar10 (folder: data_dir() if None), fetched first if it is not there.

    verbose: print where each file comes from. Raises DataError, which says how to put the data there by hand.
    """
    folder = data_dir() if folder is None else Path(folder)
    raw = fetch_cifar10(folder / "cifar10", verbose)
    arrays = {name: np.frombuffer(raw[name], np.uint8).reshape(file.shape) for name, file in CIFAR10_FILES.items()}
    images, labels = _rows(arrays["train-images.uint8"]), torch.from_numpy(arrays["train-labels.uint8"].astype("int64"))
    return CIFAR10(
        train=images[:40000],  # authors' cifar10_fully_connected.yaml and cifar10_convolutional.yaml
        valid=images[40000:],
        test=_rows(arrays["test-images.uint8"]),
        train_labels=labels[:40000],
        valid_labels=labels[40000:],
        test_labels=torch.from_numpy(arrays["test-labels.uint8"].astype("int64")),
        md5={name: file.md5 for name, file in CIFAR10_FILES.items()},
    )


def _rows(images: np.ndarray) -> Tensor:
    """(n, 32, 32, 3) -> (n, 3072), one colour after another."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).flatten(1)


def as_shown(x: Tensor, *, largest: float) -> Tensor:
    """Normalised images as pictures: (n, 3072) -> (n, 3, 32, 32) in [0, 1], where 0 becomes mid-grey.

    largest: what becomes black or white: the largest absolute value of all samples on a sheet, for the data beside them
    too (the authors' show_samples_cifar_full_paper.py). Values beyond it are cut off. Raises ValueError if it is not
    above 0.
    """
    if not largest > 0:
        raise ValueError(f"largest is {largest}: it must be above 0; give samples.abs().max() of the sheet")
    return (x.unflatten(1, (3, 32, 32)) / (2 * largest) + 0.5).clamp(0, 1)


def main() -> None:
    """Fetch what is missing, and say what is there."""
    try:
        cifar10 = load_cifar10(verbose=True)
    except DataError as error:
        sys.exit(str(error))
    for split in ("train", "valid", "test"):
        images, labels = getattr(cifar10, split), getattr(cifar10, f"{split}_labels")
        means = images.unflatten(1, (3, -1)).double().mean(dim=(0, 2)) / 255
        print(
            f"CIFAR-10 {split}: {len(images):,} images of 3 x 32 x 32 numbers, {images.min()} to {images.max()}, "
            f"means {means[0]:.4f}, {means[1]:.4f}, {means[2]:.4f} in [0, 1]; {len(labels.unique())} classes"
        )


if __name__ == "__main__":
    main()
