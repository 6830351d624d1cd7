"""gan_repro.cifar10 on the real photographs: splits, order, checksums; normalisation and display against numpy."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from gan_repro.cifar10 import CLASSES, as_shown
from gan_repro.contrast import global_contrast_normalize
from gan_repro.paths import ROOT, data_dir

CANONICAL_MD5 = {
    "train-images.uint8": "17e2cb5a4119d89a4a13e02b91701bff",
    "train-labels.uint8": "69c5f3349be54915edfca558b72ad888",
    "test-images.uint8": "6d2714505047e13831cd876923568712",
    "test-labels.uint8": "251f18ce75337ae9ca5d0dbd7ea62cf4",
}


def test_the_files_and_the_record_of_them_have_the_known_md5(cifar10):
    on_disk = {name: hashlib.md5((data_dir() / "cifar10" / name).read_bytes()).hexdigest() for name in CANONICAL_MD5}
    assert on_disk == CANONICAL_MD5
    assert cifar10.md5 == CANONICAL_MD5


def test_splits_are_the_first_40000_the_last_10000_and_the_test_set(cifar10):
    folder = data_dir() / "cifar10"
    images = np.fromfile(folder / "train-images.uint8", np.uint8).reshape(50000, 32, 32, 3)
    labels = np.fromfile(folder / "train-labels.uint8", np.uint8)
    for split, rows in (("train", slice(0, 40000)), ("valid", slice(40000, 50000))):
        channels = [images[rows, :, :, channel].reshape(-1, 1024) for channel in range(3)]  # red, green, blue
        assert np.array_equal(getattr(cifar10, split).numpy(), np.concatenate(channels, axis=1))
        assert np.array_equal(getattr(cifar10, f"{split}_labels").numpy(), labels[rows])
    test = np.fromfile(folder / "test-images.uint8", np.uint8).reshape(10000, 1024, 3)
    assert np.array_equal(cifar10.test.unflatten(1, (3, 1024)).numpy(), test.transpose(0, 2, 1))
    assert np.array_equal(cifar10.test_labels.numpy(), np.fromfile(folder / "test-labels.uint8", np.uint8))


def test_rows_are_those_of_the_published_archive(cifar10):
    # The ends of the first two rows of data_batch_1, as many pages about the archive print them.
    assert cifar10.train[0, [0, 1, 2, -3, -2, -1]].tolist() == [59, 43, 50, 140, 84, 72]
    assert cifar10.train[1, [0, 1, 2, -3, -2, -1]].tolist() == [154, 126, 105, 139, 142, 144]
    assert [CLASSES[label] for label in cifar10.train_labels[:4]] == ["frog", "truck", "truck", "deer"]
    assert [CLASSES[label] for label in cifar10.test_labels[:4]] == ["cat", "ship", "ship", "airplane"]


@pytest.mark.parametrize("split, n", [("train", 40000), ("valid", 10000), ("test", 10000)])
def test_each_split_has_its_size_type_and_range(cifar10, split, n):
    images, labels = getattr(cifar10, split), getattr(cifar10, f"{split}_labels")
    assert (images.shape, images.dtype) == ((n, 3072), torch.uint8)
    assert (labels.shape, labels.dtype) == ((n,), torch.int64)
    assert (images.min(), images.max()) == (0, 255)
    assert labels.unique().tolist() == list(range(10))


def test_each_class_is_as_frequent_as_published_and_the_channel_means_are_the_well_known_ones(cifar10):
    assert torch.cat([cifar10.train_labels, cifar10.valid_labels]).bincount().tolist() == [5000] * 10
    assert cifar10.test_labels.bincount().tolist() == [1000] * 10
    train = torch.cat([cifar10.train, cifar10.valid]).unflatten(1, (3, 1024))
    means = train.sum(dim=(0, 2), dtype=torch.int64).double() / (255 * 50000 * 1024)
    known = torch.tensor([0.49139968, 0.48215841, 0.44653091], dtype=torch.float64)
    assert_close(means, known, atol=1e-8, rtol=0)


# Global contrast normalisation


def normalized_by_numpy(x):
    x = x.astype(np.float64)
    out = np.empty_like(x)
    for i, row in enumerate(x):
        row = row - row.sum() / row.size
        divisor = np.sqrt((row * row).sum()) / 55
        out[i] = row / (divisor if divisor >= 1e-8 else 1)
    return out


def test_normalised_images_are_those_of_numpy_in_double_precision(cifar10):
    x = cifar10.test[:500]
    ours = global_contrast_normalize(x)
    assert ours.dtype == torch.float32
    assert_close(ours.double().numpy(), normalized_by_numpy(x.numpy()), atol=2e-5, rtol=1e-5)


def test_every_normalised_photograph_has_mean_0_and_norm_55_and_the_original_is_untouched(cifar10):
    x = cifar10.valid.float()
    before = x.clone()
    ours = global_contrast_normalize(x).double()
    assert torch.equal(x, before)
    assert_close(ours.mean(dim=1), torch.zeros(10000, dtype=torch.float64), atol=1e-6, rtol=0)
    assert_close(ours.norm(dim=1), torch.full((10000,), 55.0, dtype=torch.float64), atol=0, rtol=1e-5)


def test_the_mean_is_over_all_colours_together():
    red = torch.zeros(1, 3, 1024)
    red[:, 0] = 90
    means = global_contrast_normalize(red.flatten(1)).unflatten(1, (3, 1024)).mean(dim=2)
    assert_close(means, 55 / np.sqrt(6 * 1024) * torch.tensor([[2.0, -1.0, -1.0]]))


def test_an_image_of_one_value_becomes_all_0():
    x = torch.arange(256, dtype=torch.uint8)[:, None].expand(256, 3072)
    assert torch.equal(global_contrast_normalize(x), torch.zeros(256, 3072))


def test_only_a_divisor_under_the_smallest_one_is_replaced_by_1():
    row = torch.zeros(1, 3072, dtype=torch.float32)
    row[0, 0], row[0, 1] = 1.0, -1.0  # norm sqrt 2, mean 0
    for scale, min_divisor in ((1.0, 1.4), (1.0, 1.5), (10.0, 0.14), (10.0, 0.15)):
        divisor = np.sqrt(2) / scale
        expected = row / (divisor if divisor >= min_divisor else 1)
        assert_close(global_contrast_normalize(row, scale=scale, min_divisor=min_divisor), expected)


def test_shown_images_have_0_in_mid_grey_the_largest_value_at_the_end_and_what_is_beyond_cut_off():
    x = torch.zeros(1, 3072)
    x[0, :4] = torch.tensor([2.0, -2.0, 1.0, -5.0])
    x[0, 1024] = 0.5
    shown = as_shown(x, largest=2.0)
    assert shown.shape == (1, 3, 32, 32)
    assert shown[0, 0, 0, :5].tolist() == [1.0, 0.0, 0.75, 0.0, 0.5]
    assert shown[0, 1, 0, :2].tolist() == [0.625, 0.5]


def test_shown_photographs_keep_their_shades_in_proportion(cifar10):
    x = global_contrast_normalize(cifar10.test[:1])
    shown = as_shown(x, largest=x.abs().max().item()).flatten()
    assert np.corrcoef(shown.numpy(), cifar10.test[0].numpy())[0, 1] == pytest.approx(1, abs=1e-6)
    assert shown.min() >= 0 and shown.max() <= 1 and (shown.min() < 1e-6 or shown.max() > 1 - 1e-6)


@pytest.mark.parametrize("largest", [0, -1.0, float("nan")])
def test_a_sheet_cannot_be_shown_by_a_largest_value_that_is_not_above_0(largest):
    with pytest.raises(ValueError, match=r"largest is .*: it must be above 0; give samples.abs\(\).max\(\)"):
        as_shown(torch.zeros(1, 3072), largest=largest)


# The command


def test_the_command_prints_one_line_a_split(cifar10):
    command = [sys.executable, "-m", "gan_repro.cifar10"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    lines = run.stdout.splitlines()
    assert [line.split(" images")[0] for line in lines] == [
        "CIFAR-10 train: 40,000",
        "CIFAR-10 valid: 10,000",
        "CIFAR-10 test: 10,000",
    ]
    assert run.stderr == ""


def test_the_command_ends_with_the_error_alone_where_there_is_no_data(tmp_path):
    (tmp_path / "cifar10").write_text("a file where the folder should be")
    environment = {**os.environ, "GAN_REPRO_DATA": str(tmp_path)}
    command = [sys.executable, "-m", "gan_repro.cifar10"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    assert run.returncode == 1
    assert run.stderr.startswith(f"CIFAR-10 is not complete in {tmp_path}/cifar10")
