"""gan_repro.fer2013 on the real faces where they are, and on a made csv: splits, folds, checksums, what is said."""

import csv
import hashlib
import os

import numpy as np
import pytest
import torch
from torchvision.datasets import FER2013

from gan_repro import fer2013
from gan_repro.download import DataError
from gan_repro.faces import MissingData
from gan_repro.fer2013 import NPZ_MD5, five_folds, load_fer2013
from gan_repro.paths import ROOT, data_dir, faces_dir, has_faces

needs_faces = pytest.mark.skipif(
    not all((faces_dir() / name).exists() for name in NPZ_MD5), reason="no faces48.npz in GAN_REPRO_FACES"
)


@pytest.fixture(scope="module")
def faces():
    return load_fer2013()


@needs_faces
def test_the_real_faces_have_the_known_md5_sizes_and_range(faces):
    assert faces.name == "FER-2013"
    assert faces.md5 == NPZ_MD5
    assert (faces.images.shape, faces.images.dtype) == ((26_898 + 3516 + 3566, 2304), torch.uint8)
    assert (faces.images.min(), faces.images.max()) == (0, 255)
    assert faces.unlabeled.shape == (26_898, 2304)
    assert sorted(faces.labels.unique().tolist()) == list(range(7))


@needs_faces
def test_the_real_images_are_those_whose_md5_was_published(faces):
    pixels = faces.images.numpy()
    whole = np.concatenate([pixels[:16_718], pixels[26_898:]])  # faces48: a part of train, then valid and test
    assert hashlib.md5(whole.tobytes()).hexdigest() == "d2dc639e22edff325caa5098a4081155"
    assert hashlib.md5(pixels[16_718:26_898].tobytes()).hexdigest() == "1c77cfe04f75c2ea74bac2e5b8df0717"


@needs_faces
def test_every_real_fold_is_a_division_of_the_same_labelled_faces_in_tfd_s_proportions(faces):
    labelled = faces.images[26_898:]
    tests = []
    for i in range(5):
        fold = faces.fold(i)
        assert sum(map(len, fold)) == len(labelled) == 7082
        assert [round(len(part) / 7082, 3) for part in fold] == pytest.approx([0.7, 0.1, 0.2], abs=0.001)
        assert {row.tobytes() for part in fold for row in part.numpy()} == {row.tobytes() for row in labelled.numpy()}
        tests += [row.tobytes() for row in fold.test.numpy()]
    assert sorted(tests) == sorted(row.tobytes() for row in labelled.numpy())  # each face is tested once
    assert not {row.tobytes() for row in faces.unlabeled.numpy()} & set(tests)


def test_the_five_folds_are_this_rule():
    rows = [
        [3, 1, 1, 1, 2],
        [3, 1, 1, 1, 1],
        [2, 3, 1, 1, 1],
        [1, 3, 1, 1, 1],
        [1, 2, 3, 1, 1],
        [1, 1, 3, 1, 1],
        [1, 1, 2, 3, 1],
        [1, 1, 1, 3, 1],
        [1, 1, 1, 2, 3],
        [1, 1, 1, 1, 3],
    ]
    assert five_folds(23).tolist() == (3 * rows)[:23]


# Kaggle's csv, a made one


NUM_ROWS = 64


# The forms that Kaggle has it in: torchvision's name of each file, its rows and its columns.
FORMS = {
    "fer2013.csv": {"fer": ("fer2013.csv", slice(None), ("emotion", "pixels", "Usage"))},
    "icml_face_data.csv": {"icml": ("icml_face_data.csv", slice(None), ("emotion", " Usage", " pixels"))},
    "train.csv and test.csv": {
        "train": ("train.csv", slice(0, 32), ("emotion", "pixels")),
        "test": ("test.csv", slice(32, None), ("pixels",)),
    },
}


@pytest.fixture
def made_csv(request, tmp_path, monkeypatch):
    """64 random faces in one of Kaggle's forms, half of them training: (folder, pixels, labels)."""
    rng = np.random.default_rng(0)
    pixels, labels = rng.integers(0, 256, (NUM_ROWS, 2304), dtype=np.uint8), rng.integers(0, 7, NUM_ROWS)
    columns = {
        "emotion": labels,
        "pixels": [" ".join(map(str, row)) for row in pixels],
        "Usage": ["Training"] * 32 + ["PublicTest"] * 16 + ["PrivateTest"] * 16,
    }
    known = dict(FER2013._RESOURCES)
    (tmp_path / "fer2013").mkdir()
    for key, (name, rows, heads) in FORMS[getattr(request, "param", "fer2013.csv")].items():
        path = tmp_path / "fer2013" / name
        with open(path, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(heads)
            writer.writerows(zip(*(columns[head.strip()][rows] for head in heads), strict=True))
        known[key] = (name, hashlib.md5(path.read_bytes()).hexdigest())
    monkeypatch.setattr(FER2013, "_RESOURCES", known)
    return tmp_path, pixels, labels


@pytest.mark.parametrize("made_csv", FORMS, indirect=True)
def test_kaggle_s_csv_gives_faces_in_the_same_form(made_csv):
    folder, pixels, labels = made_csv
    faces = load_fer2013(folder)
    assert np.array_equal(faces.images.numpy(), pixels)
    has_labels = not (folder / "fer2013" / "test.csv").exists()  # of which Kaggle's has none
    assert faces.labels.tolist() == [*labels[:32], *(labels[32:] if has_labels else [-1] * 32)]
    assert np.array_equal(faces.unlabeled.numpy(), pixels[:32])
    assert torch.equal(faces.folds[32:], five_folds(32))
    files = (folder / "fer2013").iterdir()
    assert faces.md5 == {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("made_csv", ["train.csv and test.csv"], indirect=True)
def test_training_faces_without_test_faces_are_refused(made_csv):
    folder, _, _ = made_csv
    (folder / "fer2013" / "test.csv").unlink()
    with pytest.raises(DataError, match=r"Kaggle's csv in .*/fer2013 cannot be used: "):
        load_fer2013(folder)


def test_a_csv_that_was_changed_is_refused(made_csv):
    folder, _, _ = made_csv
    with open(folder / "fer2013" / "fer2013.csv", "a") as file:
        file.write("\n")
    with pytest.raises(DataError, match=r"Kaggle's csv in .*/fer2013 cannot be used: .*corrupted"):
        load_fer2013(folder)


# Files that are not there, or bad


def test_without_faces_one_sentence_says_how_to_get_them(tmp_path):
    with pytest.raises(MissingData) as caught:
        load_fer2013(tmp_path)
    words = str(caught.value)
    assert words.startswith(f"not run: no faces in {tmp_path}; download icml_face_data.csv (or fer2013.tar.gz, ")
    assert words.endswith("to a folder that has fer2013/icml_face_data.csv, fer2013/fer2013.csv or faces48.npz")
    assert "\n" not in words


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 not these faces"])
def test_another_file_of_that_name_is_refused_before_it_is_read(tmp_path, data, monkeypatch):
    monkeypatch.setattr(np, "load", lambda *args, **kwargs: pytest.fail("read"))
    (tmp_path / "faces48.npz").write_bytes(data)
    md5 = hashlib.md5(data).hexdigest()
    with pytest.raises(DataError, match=rf"faces48.npz has md5 {md5}, where {NPZ_MD5['faces48.npz']} is right: copy"):
        load_fer2013(tmp_path)


def made_npz(folder, monkeypatch, **changes):
    """A faces48.npz of 12 faces, let through by its md5; returns its images."""
    images = np.random.default_rng(0).integers(0, 256, (12, 48, 48), dtype=np.uint8)
    splits = {"train": np.arange(2), "valid": np.arange(2, 4), "test": np.arange(4, 12)}
    arrays = {"images": images, "emotion": np.arange(12, dtype=np.uint8) % 7, **splits} | changes
    np.savez(folder / "faces48.npz", **{name: array for name, array in arrays.items() if array is not None})
    md5 = hashlib.md5((folder / "faces48.npz").read_bytes()).hexdigest()
    monkeypatch.setattr(fer2013, "NPZ_MD5", {**NPZ_MD5, "faces48.npz": md5})
    return images


def test_the_second_file_of_training_faces_may_be_left_out(tmp_path, monkeypatch):
    images = made_npz(tmp_path, monkeypatch)
    faces = load_fer2013(tmp_path)
    assert np.array_equal(faces.images.numpy(), images.reshape(12, 2304))
    assert len(faces.unlabeled) == 2
    assert list(faces.md5) == ["faces48.npz"]


@pytest.mark.parametrize("changes", [{"emotion": None}, {"emotion": np.array([{}] * 12)}])  # lacking; a pickle
def test_an_npz_that_numpy_cannot_read_safely_is_an_error_with_its_path(tmp_path, monkeypatch, changes):
    made_npz(tmp_path, monkeypatch, **changes)
    with pytest.raises(
        DataError, match=r"faces48.npz cannot be read, though its md5 is right: .*(emotion|allow_pickle)"
    ):
        load_fer2013(tmp_path)


def test_the_folder_of_faces_is_taken_from_the_environment_and_else_lies_in_the_data_folder(monkeypatch):
    monkeypatch.setenv("GAN_REPRO_FACES", "../elsewhere")
    assert os.path.normpath(faces_dir()) == str(ROOT.parent / "elsewhere")
    monkeypatch.setenv("GAN_REPRO_FACES", "")
    assert faces_dir() == data_dir() / "faces"


@pytest.mark.parametrize("name", ["faces48.npz", "fer2013/fer2013.csv", "fer2013/train.csv", None])
def test_whether_there_are_faces_is_told_by_the_files_that_would_be_read(name, tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_REPRO_FACES", str(tmp_path))
    (tmp_path / "faces48_extra.npz").touch()  # not enough by itself
    if name is not None:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert has_faces() == (name is not None)
    with pytest.raises(DataError) as caught:  # they are empty files
        load_fer2013()
    assert isinstance(caught.value, MissingData) == (name is None)
