"""The Toronto Face Database (Susskind, Anderson and Hinton, 2010), which the paper used and which was never public.

Whoever has TFD_48x48.mat can run the paper's protocol on it; everyone else gets one sentence.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from gan_repro.download import DataError
from gan_repro.faces import NUM_FOLDS, Faces, MissingData
from gan_repro.files import md5_of
from gan_repro.paths import data_dir

FILE = "TFD_48x48.mat"
KEYS = ("images", "folds", "labs_ex", "labs_id")


def load_tfd(folder: Path | None = None) -> Faces:
    """TFD in its own five folds from folder/tfd/TFD_48x48.mat (folder: data_dir() if None).

    In the file: images (n, 48, 48) uint8; folds (n, 5), 0 unlabeled, 1 train, 2 valid, 3 test; labs_ex, n expressions
    from 1 to 7 where a face is labelled, which become 0 to 6; labs_id, n identities, not used here. Raises MissingData
    where there is no such file, DataError where it is another.
    """
    path = (data_dir() if folder is None else Path(folder)) / "tfd" / FILE
    if not path.exists():
        raise MissingData(f"not run: data not public; whoever has the Toronto Face Database puts {FILE} at {path}")
    from scipy.io import loadmat  # here, since few have the file

    try:
        arrays = loadmat(path, variable_names=KEYS)
    except Exception as error:  # a damaged file fails in many ways
        raise DataError(f"{path} cannot be read as a MATLAB file: {error}; copy it again") from error
    try:
        return _faces(arrays, {FILE: md5_of(path)})
    except ValueError as error:
        raise DataError(f"{path} is not the file of the Toronto Face Database: {error}") from error


def is_of_tfd(record: dict[str, Any]) -> bool:
    """Whether the data that a record names are these."""
    return FILE in record["data_md5"]


def _faces(arrays: dict[str, np.ndarray], md5: dict[str, str]) -> Faces:
    if lacking := [key for key in KEYS if key not in arrays]:
        raise ValueError(f"it has no {' and no '.join(lacking)}")
    images, folds = arrays["images"], arrays["folds"]
    if images.shape[1:] != (48, 48) or images.dtype != np.uint8:
        raise ValueError(f"images are {images.dtype} of shape {images.shape}, expected uint8 of (n, 48, 48)")
    if folds.shape != (len(images), NUM_FOLDS):
        raise ValueError(f"folds are of shape {folds.shape}, expected {(len(images), NUM_FOLDS)}")
    if not np.isin(folds, range(4)).all():
        raise ValueError("folds hold other values than 0, 1, 2 and 3")
    expressions, identities = arrays["labs_ex"].ravel(), arrays["labs_id"].ravel()
    for key, values in (("labs_ex", expressions), ("labs_id", identities)):
        if len(values) != len(images):
            raise ValueError(f"{key} has {len(values)} entries for {len(images)} images")
    labelled = folds[:, 0] != 0
    if not np.isin(expressions[labelled], range(1, 8)).all():
        raise ValueError("labs_ex of labelled faces hold other values than 1 to 7")
    return Faces(
        name="TFD",
        images=torch.from_numpy(np.ascontiguousarray(images)).flatten(1),
        folds=torch.from_numpy(folds.astype(np.uint8)),
        labels=torch.from_numpy(np.where(labelled, expressions.astype("int64") - 1, -1)),
        md5=md5,
    )
