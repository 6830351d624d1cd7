"""FER-2013, a public stand-in for the Toronto Face Database: 48 x 48 grey faces with the same seven expressions.

It is not TFD: its faces come from a web image search and are only roughly centred. No number got on it compares with
one on TFD, and every table names it.
"""

from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from gan_repro.download import DataError
from gan_repro.faces import NUM_FOLDS, TEST, TRAIN, UNLABELED, VALID, Faces, MissingData
from gan_repro.files import md5_of
from gan_repro.paths import FACES_CSV, FACES_NPZ, faces_dir

# FER-2013 without duplicates and placeholders. The second file, more training faces, may be left out.
NPZ_MD5 = {
    FACES_NPZ: "8f7de8cec9ce41fecff04c079dfe80a6",
    "faces48_extra.npz": "f4a4518c50808332e06c7365650c3870",
}
KAGGLE = "kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge"


def load_fer2013(folder: Path | None = None) -> Faces:
    """FER-2013 in five folds from folder (faces_dir() if None): faces48.npz, else Kaggle's csv in its fer2013/.

    FER-2013's training faces are the unlabeled ones, since nothing uses their labels; its public and private test
    faces, in their files' order, are divided by `five_folds`. The csv, any of the forms that Kaggle has it in and
    torchvision reads, has some two thousand duplicates and placeholders more.
    Raises MissingData where there is neither, DataError where a file is bad.
    """
    folder = faces_dir() if folder is None else Path(folder)
    if (folder / FACES_NPZ).exists():
        return _from_npz([folder / name for name in NPZ_MD5 if (folder / name).exists()])
    if any((folder / name).exists() for name in FACES_CSV):
        return _from_csv(folder)
    raise MissingData(
        f"not run: no faces in {folder}; download icml_face_data.csv (or fer2013.tar.gz, and unpack fer2013.csv) from "
        f"{KAGGLE} into its subfolder fer2013, or set GAN_REPRO_FACES to a folder that has {FACES_CSV[1]}, "
        f"{FACES_CSV[0]} or {FACES_NPZ}"
    )


def five_folds(n: int) -> Tensor:
    """TRAIN, VALID or TEST of n faces in each of five folds: (n, 5) uint8. A fixed rule, in TFD's proportions.

    Faces are dealt to ten parts in turn. In fold i, parts 2i and 2i + 1 are test and the next one is valid (after the
    last, the first), so that 20, 10 and 70 in a hundred are test, valid and train, and each face is in one test set.
    """
    part = torch.arange(n) % (2 * NUM_FOLDS)
    folds = torch.full((n, NUM_FOLDS), TRAIN, dtype=torch.uint8)
    for i in range(NUM_FOLDS):
        folds[(part == 2 * i) | (part == 2 * i + 1), i] = TEST
        folds[part == (2 * i + 2) % (2 * NUM_FOLDS), i] = VALID
    return folds


def _from_npz(paths: list[Path]) -> Faces:
    training, rest = [], []  # of (images, labels)
    for path in paths:
        if (md5 := md5_of(path)) != NPZ_MD5[path.name]:
            raise DataError(f"{path} has md5 {md5}, where {NPZ_MD5[path.name]} is right: copy it again, or remove it")
        try:
            with np.load(path, allow_pickle=False) as arrays:
                images, labels = arrays["images"], arrays["emotion"]
                training.append((images[arrays["train"]], labels[arrays["train"]]))
                rest += [(images[arrays[k]], labels[arrays[k]]) for k in ("valid", "test") if k in arrays]
        except (OSError, KeyError, ValueError, BadZipFile, RuntimeError) as error:  # the last: no lzma, say
            raise DataError(f"{path} cannot be read, though its md5 is right: {error}") from error
    return _faces(training, rest, {path.name: NPZ_MD5[path.name] for path in paths})


def _from_csv(folder: Path) -> Faces:
    from torchvision.datasets import FER2013  # here, since it takes seconds

    try:
        splits = [FER2013(folder, split) for split in ("train", "test")]
    except (RuntimeError, OSError) as error:
        raise DataError(f"Kaggle's csv in {folder / 'fer2013'} cannot be used: {error}") from error
    arrays = []
    for split in splits:
        images, labels = zip(*((np.asarray(image), label) for image, label in split), strict=True)
        arrays.append((np.stack(images), np.array([-1 if label is None else label for label in labels])))
    used = next(folder / name for name in FACES_CSV if (folder / name).exists())  # as torchvision prefers them
    files = [used, used.with_name("test.csv")] if used.name == "train.csv" else [used]
    return _faces(arrays[:1], arrays[1:], {path.name: md5_of(path) for path in files})


def _faces(training: list, rest: list, md5: dict[str, str]) -> Faces:
    images, labels = (np.concatenate(arrays) for arrays in zip(*training, *rest, strict=True))
    num_training = sum(len(images) for images, _ in training)
    folds = torch.full((len(images), NUM_FOLDS), UNLABELED, dtype=torch.uint8)
    folds[num_training:] = five_folds(len(images) - num_training)
    return Faces(
        name="FER-2013",
        images=torch.from_numpy(images).flatten(1),
        folds=folds,
        labels=torch.from_numpy(labels.astype("int64")),
        md5=md5,
    )
