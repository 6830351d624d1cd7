"""gan_repro.faces: the contract of five folds."""

import pytest
import torch

from gan_repro.faces import Faces

# One row a face: unlabeled, and four that are each train, valid or test in turn.
FOLDS = torch.tensor([[0, 0, 0, 0, 0], [1, 1, 2, 3, 1], [1, 2, 3, 1, 1], [2, 3, 1, 1, 2], [3, 1, 1, 2, 3]])


def faces(**changes):
    n = 5
    fields = {
        "name": "made",
        "images": torch.arange(n, dtype=torch.uint8)[:, None].repeat(1, 2304),  # face i is i everywhere
        "folds": FOLDS.to(torch.uint8),
        "labels": torch.arange(n) - 1,
        "md5": {},
    }
    return Faces(**(fields | changes))


def test_each_fold_has_its_faces_in_order_and_the_unlabeled_ones_are_in_none():
    made = faces()
    assert made.unlabeled[:, 0].tolist() == [0]
    parts = [[part[:, 7].tolist() for part in made.fold(i)] for i in range(5)]
    assert parts == [
        [[1, 2], [3], [4]],
        [[1, 4], [2], [3]],
        [[3, 4], [1], [2]],
        [[2, 3], [4], [1]],
        [[1, 2], [3], [4]],
    ]
    assert made.fold(3).valid.shape == (1, 2304)


@pytest.mark.parametrize("number", [-1, 5])
def test_there_is_no_sixth_fold(number):
    with pytest.raises(ValueError, match=f"fold is {number}: it must be 0 to 4"):
        faces().fold(number)


def with_value(row, column, value):
    folds = FOLDS.clone()
    folds[row, column] = value
    return folds.to(torch.uint8)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"images": torch.zeros(5, 48, 48, dtype=torch.uint8)}, r"images are torch.uint8 of shape \(5, 48, 48\)"),
        ({"images": torch.zeros(5, 2304)}, "images are torch.float32"),
        ({"folds": FOLDS.to(torch.uint8)[:, :4]}, r"folds are torch.uint8 of shape \(5, 4\)"),
        ({"labels": torch.zeros(4, dtype=torch.int64)}, r"labels are torch.int64 of shape \(4,\), expected .* \(5,\)"),
        ({"folds": with_value(1, 0, 4)}, "folds hold 4"),
        ({"folds": with_value(1, 2, 0)}, "folds differ in which faces are unlabeled"),
        ({"folds": with_value(0, 2, 1)}, "folds differ in which faces are unlabeled"),
        ({"folds": with_value(4, 0, 1)}, r"a column without test faces \(value 3\)"),
        ({"folds": with_value(3, 4, 1)}, r"a column without valid faces \(value 2\)"),
        ({"folds": FOLDS.clamp(min=1).to(torch.uint8)}, r"a column without unlabeled faces \(value 0\)"),
    ],
)
def test_folds_that_break_the_contract_are_refused_with_the_reason(changes, words):
    with pytest.raises(ValueError, match=words):
        faces(**changes)
