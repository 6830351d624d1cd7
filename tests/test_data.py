"""gan_repro.data on the real digits: splits, checksums, value ranges; and the idx format on made ones."""

import hashlib
import os
import struct
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close
from torchvision.datasets.mnist import read_image_file, read_label_file

from gan_repro.data import read_idx, to_unit
from gan_repro.paths import ROOT, data_dir

CANONICAL_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


def test_the_files_and_the_record_of_them_have_the_canonical_md5(mnist):
    on_disk = {name: hashlib.md5((data_dir() / "mnist" / name).read_bytes()).hexdigest() for name in CANONICAL_MD5}
    assert on_disk == CANONICAL_MD5
    assert mnist.md5 == CANONICAL_MD5


def test_splits_are_the_first_50000_the_last_10000_and_the_test_set_as_torchvision_reads_them(mnist):
    folder = data_dir() / "mnist"
    train_images = read_image_file(str(folder / "train-images-idx3-ubyte")).flatten(1)
    train_labels = read_label_file(str(folder / "train-labels-idx1-ubyte"))
    assert torch.equal(mnist.train, train_images[:50000])
    assert torch.equal(mnist.valid, train_images[-10000:])
    assert torch.equal(mnist.train_labels, train_labels[:50000])
    assert torch.equal(mnist.valid_labels, train_labels[-10000:])
    assert torch.equal(mnist.test, read_image_file(str(folder / "t10k-images-idx3-ubyte")).flatten(1))
    assert torch.equal(mnist.test_labels, read_label_file(str(folder / "t10k-labels-idx1-ubyte")))


@pytest.mark.parametrize("split, n", [("train", 50000), ("valid", 10000), ("test", 10000)])
def test_each_split_has_its_size_type_and_range(mnist, split, n):
    images, labels = getattr(mnist, split), getattr(mnist, f"{split}_labels")
    assert (images.shape, images.dtype) == ((n, 784), torch.uint8)
    assert (labels.shape, labels.dtype) == ((n,), torch.int64)
    assert (images.min(), images.max()) == (0, 255)
    assert labels.unique().tolist() == list(range(10))


def test_pixel_mean_and_deviation_are_the_well_known_ones(mnist):
    pixels = to_unit(torch.cat([mnist.train, mnist.valid]))
    assert_close(pixels.double().mean().item(), 0.1307, atol=5e-5, rtol=0)  # as pytorch/examples' mnist normalises
    assert_close(pixels.double().std().item(), 0.3081, atol=5e-5, rtol=0)


def test_to_unit_divides_every_byte_by_255():
    pixels = torch.arange(256, dtype=torch.uint8).reshape(2, 128)
    expected = torch.tensor([i / 255 for i in range(256)], dtype=torch.float32).reshape(2, 128)
    assert_close(to_unit(pixels), expected, rtol=0, atol=0)  # checks shape and dtype too


def test_to_unit_of_the_real_digits_fills_zero_to_one(mnist):
    pixels = to_unit(mnist.test)
    assert (pixels.dtype, pixels.min(), pixels.max()) == (torch.float32, 0, 1)


def as_idx(array: torch.Tensor) -> bytes:
    """An independent writer: the format as its authors describe it."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + bytes(array.flatten().tolist())


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
def test_read_idx_reads_back_any_array(shape, seed):
    array = torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    assert torch.equal(read_idx(as_idx(array), tuple(shape)), array)


GOOD = as_idx(torch.arange(6, dtype=torch.uint8).reshape(2, 3))


@pytest.mark.parametrize(
    "data, words",
    [
        (b"", "magic number"),
        (b"\x1f\x8b" + GOOD[2:], "magic number 1f8b0802, expected 00000802"),  # gzip's first bytes
        (GOOD[:2] + b"\x0d" + GOOD[3:], "magic number"),  # floats
        (GOOD[:3] + b"\x01" + GOOD[4:], "magic number"),  # one dimension
        (struct.pack(">HBBII", 0, 8, 2, 3, 2) + GOOD[12:], r"shape \(3, 2\), expected \(2, 3\)"),
        (GOOD[:7], "shape"),
        (GOOD[:12], "has 0 entries"),
        (GOOD[:-1], "has 5 entries"),
        (GOOD + b"\x00", "has 7 entries"),
    ],
)
def test_read_idx_says_what_is_wrong_with_a_bad_file(data, words):
    with pytest.raises(ValueError, match=words):
        read_idx(data, (2, 3))


def test_the_command_prints_one_line_a_split(mnist):
    run = subprocess.run([sys.executable, "-m", "gan_repro.data"], capture_output=True, text=True, cwd=ROOT, check=True)
    lines = run.stdout.splitlines()
    assert [line.split(" images")[0] for line in lines] == [
        "MNIST train: 50,000",
        "MNIST valid: 10,000",
        "MNIST test: 10,000",
    ]
    assert run.stderr == ""


def test_the_command_ends_with_the_error_alone_where_there_is_no_data(tmp_path):
    (tmp_path / "mnist").write_text("a file where the folder should be")
    environment = {**os.environ, "GAN_REPRO_DATA": str(tmp_path)}
    command = [sys.executable, "-m", "gan_repro.data"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    assert run.returncode == 1
    assert run.stderr.startswith(f"MNIST is not complete in {tmp_path}/mnist")


def test_the_data_folder_is_taken_from_the_environment_and_relative_to_the_repository(monkeypatch):
    monkeypatch.delenv("GAN_REPRO_DATA", raising=False)
    assert data_dir() == ROOT / "data"
    monkeypatch.setenv("GAN_REPRO_DATA", "elsewhere")
    assert data_dir() == ROOT / "elsewhere"
    monkeypatch.setenv("GAN_REPRO_DATA", "/tmp/elsewhere")
    assert str(data_dir()) == "/tmp/elsewhere"


def test_importing_the_package_and_its_light_modules_does_not_import_torch():
    light = "import sys, gan_repro, gan_repro.paths, gan_repro.files, gan_repro.download; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", light], capture_output=True, text=True, cwd=ROOT, check=True)
    assert run.stdout == "False\n"
