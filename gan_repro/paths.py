"""Where things lie, whatever folder Jupyter, papermill or a test starts in."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]  # the repository: the folder with pyproject.toml
RESULTS = ROOT / "results"  # runs of record, tables, small weights: kept in git
ORACLES, BY_NUM_SAMPLES = "parzen/oracles.json", "parzen/by_num_samples.json"  # below a results folder, by 08
PEERS = "peers/MNIST.json"  # likewise, by 12: the scores of models without a net
FACE_PEERS = "peers/FER-2013.json"  # likewise, by gan_repro/baselines/peers.py
REAL_FACES = "Real faces"  # in it, the score of training faces as if they were samples
STARTS = [  # likewise, by gan_repro/starts.py: full width, then half
    *(f"starts/cifar10_mlp_seed{seed}.json" for seed in (0, 1, 2)),
    "starts/cifar10_mlp_seed2_step_two_pass_plain_products.json",
    "starts/cifar10_mlp_seed3.json",
    *(f"starts/cifar10_mlp_seed{seed}_width_0.5.json" for seed in (0, 2)),
]
WEIGHTS, SAMPLES = ".safetensors", ".safetensors.xz"  # the endings of what lies beside a record
RUNS = ROOT / "runs"  # checkpoints of unfinished and of the reader's own runs: not kept


def data_dir() -> Path:
    """The one data folder: GAN_REPRO_DATA if set (a relative path counts from ROOT), else ROOT/data."""
    chosen = os.environ.get("GAN_REPRO_DATA") or "data"
    return ROOT / Path(chosen).expanduser()


def faces_dir() -> Path:
    """The folder of FER-2013: GAN_REPRO_FACES if set (a relative path counts from ROOT), else data_dir()/faces."""
    chosen = os.environ.get("GAN_REPRO_FACES")
    return ROOT / Path(chosen).expanduser() if chosen else data_dir() / "faces"


# Of FER-2013 in that folder, the first that is there: without duplicates and placeholders; else Kaggle's, any of them.
FACES_NPZ = "faces48.npz"
FACES_CSV = ("fer2013/fer2013.csv", "fer2013/icml_face_data.csv", "fer2013/train.csv")


def has_faces() -> bool:
    """Whether faces_dir() has a file that `fer2013.load_fer2013` reads; does not look into it."""
    return any((faces_dir() / name).exists() for name in (FACES_NPZ, *FACES_CSV))
