"""Faces in the five folds of the Toronto Face Database's protocol (Section 5, Table 1), whatever data they come from.

G is trained on the unlabeled faces. Each fold then has its own validation faces, which choose sigma, and its own test
faces: one score a fold. `tfd.load_tfd` reads the paper's data, `fer2013.load_fer2013` a public stand-in.
"""

import functools
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from gan_repro.download import DataError

NUM_FOLDS = 5
UNLABELED, TRAIN, VALID, TEST = range(4)  # what `folds` holds, as in TFD_48x48.mat


class MissingData(DataError):
    """Data that this project cannot fetch by itself is not there. One sentence: what, and how to put it where."""


class Fold(NamedTuple):
    """The labelled faces of one fold, (n, 2304) uint8 each."""

    train: Tensor
    valid: Tensor
    test: Tensor


@dataclass(frozen=True, eq=False)
class Faces:
    """Grey faces of 48 x 48 pixels and their folds.

    Raises ValueError where folds are not: the same unlabeled faces in all of them, the others in train, valid or test.
    """

    name: str  # "TFD" or "FER-2013", for every table
    images: Tensor  # (n, 2304) uint8, 0 to 255, row by row
    folds: Tensor  # (n, 5) uint8: UNLABELED, TRAIN, VALID or TEST in each fold
    labels: Tensor  # (n,) int64: one of seven expressions, 0 to 6; -1 where it is not known
    md5: dict[str, str]  # of each file that was read

    def __post_init__(self):
        n = len(self.images)
        for field, shape, dtype in (
            ("images", (n, 2304), torch.uint8),
            ("folds", (n, NUM_FOLDS), torch.uint8),
            ("labels", (n,), torch.int64),
        ):
            value = getattr(self, field)
            if value.shape != shape or value.dtype != dtype:
                raise ValueError(
                    f"{field} are {value.dtype} of shape {tuple(value.shape)}, expected {dtype} of {shape}"
                )
        if n and self.folds.max() > TEST:
            raise ValueError(f"folds hold {self.folds.max()}: 0 is unlabeled, 1 train, 2 valid, 3 test")
        if not ((self.folds == UNLABELED) == (self.folds[:, :1] == UNLABELED)).all():
            raise ValueError(
                "folds differ in which faces are unlabeled: a face of value 0 must have it in every column"
            )
        for part, what in enumerate(("unlabeled", "train", "valid", "test")):
            if not (self.folds == part).any(dim=0).all():
                raise ValueError(f"folds have a column without {what} faces (value {part})")

    @functools.cached_property
    def train(self) -> Tensor:
        """The unlabeled faces but for those of `valid`, which G and D learn."""
        return self.unlabeled[: -self._num_held_out]

    @functools.cached_property
    def valid(self) -> Tensor:
        """The last unlabeled faces, which are not learned and choose the epoch: those of the folds cannot, since a fold
        has the validation faces of another among its test faces. The last twentieth, from 2 to 1,000."""
        return self.unlabeled[-self._num_held_out :]

    @functools.cached_property
    def unlabeled(self) -> Tensor:
        """(m, 2304) uint8, the same in all folds."""
        return self.images[self.folds[:, 0] == UNLABELED]

    @property
    def _num_held_out(self) -> int:
        return min(1000, max(2, len(self.unlabeled) // 20))

    def fold(self, number: int) -> Fold:
        """The labelled faces of fold 0 to 4."""
        if not 0 <= number < NUM_FOLDS:
            raise ValueError(f"fold is {number}: it must be 0 to {NUM_FOLDS - 1}")
        return Fold(*(self.images[self.folds[:, number] == part] for part in (TRAIN, VALID, TEST)))
