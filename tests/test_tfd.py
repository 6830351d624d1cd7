"""gan_repro.tfd on a made TFD_48x48.mat, since the real one was never public."""

import numpy as np
import pytest
from scipy.io import savemat

from gan_repro.download import DataError
from gan_repro.faces import MissingData
from gan_repro.files import md5_of
from gan_repro.tfd import load_tfd

NUM_UNLABELED, NUM_LABELLED = 30, 20


def made_arrays():
    """The keys, shapes and values of the real file, in small: labels are columns, unlabeled ones -1."""
    rng = np.random.default_rng(0)
    n = NUM_UNLABELED + NUM_LABELLED
    folds = np.zeros((n, 5), dtype=np.int16)
    for i in range(5):
        folds[NUM_UNLABELED:, i] = rng.permutation([1] * 14 + [2] * 2 + [3] * 4)
    shuffled = rng.permutation(n)
    labs_ex = np.where(folds[:, :1] == 0, -1, rng.integers(1, 8, (n, 1)))
    arrays = {
        "images": rng.integers(0, 256, (n, 48, 48), dtype=np.uint8),
        "folds": folds,
        "labs_ex": labs_ex.astype(np.int16),
        "labs_id": rng.integers(1, 90, (n, 1)).astype(np.int16),
    }
    return {name: array[shuffled] for name, array in arrays.items()}


def put(folder, arrays):
    (folder / "tfd").mkdir(exist_ok=True)
    savemat(folder / "tfd" / "TFD_48x48.mat", arrays)


def test_a_file_of_the_right_form_gives_its_own_folds(tmp_path):
    arrays = made_arrays()
    put(tmp_path, arrays)
    faces = load_tfd(tmp_path)
    assert faces.name == "TFD"
    assert faces.md5 == {"TFD_48x48.mat": md5_of(tmp_path / "tfd" / "TFD_48x48.mat")}
    pixels = np.stack([[image[r, c] for r in range(48) for c in range(48)] for image in arrays["images"]])
    assert np.array_equal(faces.images.numpy(), pixels)
    assert np.array_equal(faces.unlabeled.numpy(), pixels[arrays["folds"][:, 0] == 0])
    assert len(faces.unlabeled) == NUM_UNLABELED
    for i in range(5):
        column = arrays["folds"][:, i]
        for value, part in zip((1, 2, 3), faces.fold(i), strict=True):
            assert np.array_equal(part.numpy(), pixels[column == value])
        assert [len(part) for part in faces.fold(i)] == [14, 2, 4]


def test_expressions_run_from_0_to_6_and_unlabeled_faces_have_none(tmp_path):
    arrays = made_arrays()
    put(tmp_path, arrays)
    labels = load_tfd(tmp_path).labels.tolist()
    labs_ex = arrays["labs_ex"].ravel().tolist()
    assert set(labs_ex) == {-1, 1, 2, 3, 4, 5, 6, 7}
    assert labels == [-1 if value == -1 else value - 1 for value in labs_ex]


def test_without_the_file_one_sentence_says_that_it_is_not_public_and_where_it_would_go(tmp_path):
    with pytest.raises(MissingData) as caught:
        load_tfd(tmp_path)
    words = str(caught.value)
    assert words.startswith("not run: data not public; ")
    assert words.endswith(f"{tmp_path}/tfd/TFD_48x48.mat")
    assert "\n" not in words


def change(name, edit):
    arrays = made_arrays()
    arrays[name] = edit(arrays[name])
    return arrays


def put_value(value, labelled):
    """Sets one entry of folds, or of labs_ex where folds are (labelled) not 0."""
    folds = made_arrays()["folds"]

    def edit(array):
        array = array.copy()
        array[np.flatnonzero((folds[:, 0] != 0) == labelled)[0], 0] = value
        return array

    return edit


@pytest.mark.parametrize(
    "arrays, words",
    [
        ({name: array for name, array in made_arrays().items() if name != "folds"}, "it has no folds"),
        ({"other": np.zeros(3)}, "it has no images and no folds and no labs_ex and no labs_id"),
        (change("images", lambda x: x[:, :, :40]), r"images are uint8 of shape \(50, 48, 40\)"),
        (change("images", lambda x: x / 255), "images are float64"),
        (change("folds", lambda x: x[:, :4]), r"folds are of shape \(50, 4\), expected \(50, 5\)"),
        (change("folds", lambda x: x[:-1]), r"folds are of shape \(49, 5\), expected \(50, 5\)"),
        (change("folds", put_value(4, True)), "folds hold other values than 0, 1, 2 and 3"),
        (change("folds", put_value(-1, True)), "folds hold other values than 0, 1, 2 and 3"),
        (change("folds", put_value(0, True)), "folds differ in which faces are unlabeled"),
        (change("folds", lambda x: np.where(x == 2, 1, x)), "a column without valid faces"),
        (change("labs_ex", lambda x: x[:-1]), "labs_ex has 49 entries for 50 images"),
        (change("labs_ex", put_value(8, True)), "labs_ex of labelled faces hold other values than 1 to 7"),
        (change("labs_ex", put_value(-1, True)), "labs_ex of labelled faces hold other values than 1 to 7"),
        (change("labs_id", lambda x: x[:-1]), "labs_id has 49 entries for 50 images"),
    ],
)
def test_another_file_is_refused_with_the_reason(tmp_path, arrays, words):
    put(tmp_path, arrays)
    with pytest.raises(DataError, match=f"TFD_48x48.mat is not the file of the Toronto Face Database: .*{words}"):
        load_tfd(tmp_path)


@pytest.mark.parametrize("data", [b"", b"<html>Not found</html>", "cut"])
def test_a_damaged_file_is_named(tmp_path, data):
    put(tmp_path, made_arrays())
    path = tmp_path / "tfd" / "TFD_48x48.mat"
    path.write_bytes(path.read_bytes()[:5000] if data == "cut" else data)
    with pytest.raises(DataError, match=r"TFD_48x48.mat cannot be read as a MATLAB file: .*; copy it again"):
        load_tfd(tmp_path)
