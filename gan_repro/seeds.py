"""The runs of record by their folders and seeds: which are averaged together, and which are lost."""

import statistics
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from gan_repro.config import TrainingConfig
from gan_repro.records import Record, read_record
from gan_repro.results import read_results, record_paths

# Our rows of Table 1: folder of the records, which generator, and the row's name. The second recipe has the learning
# rate's decay from a co-author's paper on conditional nets (Mirza and Osindero, 2014), and else the released values.
OURS = (
    ("mnist", "G", "Adversarial nets"),
    ("mnist", "ema", "Adversarial nets, averaged G"),
    ("mnist_fast", "G", "Adversarial nets, faster decay"),
    ("mnist_fast", "ema", "Adversarial nets, faster decay, averaged G"),
)

# The other models' rows: folder of the records, and the row's name. Those of the paper's table first.
OTHERS = (
    ("dbn", "DBN"),
    ("stacked_cae", "Stacked CAE"),
    ("deep_gsn", "Deep GSN"),
    ("rbm", "RBM"),
    ("vae", "VAE"),
)

FOLDERS = tuple(dict.fromkeys(folder for folder, _, _ in OURS))
OF_OTHER_PAIRS = ("faces_stage_1", "faces", "cifar10_mlp", "cifar10_conv")  # folders of their records


LOST = 0.01  # ours: mean probability of data that D gives to samples, in the last epoch


def is_lost(run: Record) -> bool:
    """Whether D was still winning outright in the last epoch. It looks at D alone, not at a score."""
    return run["history"][-1]["D_G_z"] < LOST


def learned(runs: list[Record]) -> list[Record]:
    """The runs in which G was not lost; all, if there are no others."""
    return [run for run in runs if not is_lost(run)] or runs


def paths_of_row(folder: Path) -> list[Path]:
    """The records of a results folder that can be averaged, as `largest_kind` has it."""
    found = {path: read_record(path) for path in record_paths(folder)}
    return largest_kind(
        {path: kind(run) for path, run in found.items()}, lambda path: found[path]["config"]["max_epochs"]
    )


def largest_kind(kinds: dict[Path, Any], length: Callable[[Path], int]) -> list[Path]:
    """The files of one kind: they differ in nothing but the seed. Of several kinds (parameters, length, data, recipe)
    the one with most seeds, of equals the longest."""
    groups = [[path for path in kinds if kinds[path] == one] for one in kinds.values()]
    return max(groups, key=lambda paths: (len(paths), length(paths[0])), default=[])


def records(folder: Path) -> list[Record]:
    """The records of a results folder that can be averaged, in the order of their seeds."""
    return [read_record(path) for path in paths_of_row(folder)]


def all_records(folder: Path) -> list[Record]:
    """All records of a results folder, in the order of their seeds."""
    return [read_record(path) for path in record_paths(folder)]


def kind(record: Record) -> tuple[Any, ...]:
    """All that decides a run but its seed. (A field that an older record lacks has its default.)"""
    return replace(TrainingConfig(**record["config"]), seed=0), record["data_md5"], record["recipe"]


def why_not_averaged(run: Record, row: list[Record]) -> str | None:
    """Why a record is not in the mean of its folder's row, in words; None if it is in it. row: `records` of the folder.

    "lost"; "cut earlier" or "run longer", where it differs from the row's in nothing but seed and max_epochs; "of other
    parameters".
    """
    if run["seed"] in {one["seed"] for one in row}:
        return None if run["seed"] in {one["seed"] for one in learned(row)} else "lost"
    length = row[0]["config"]["max_epochs"]
    if kind(run | {"config": run["config"] | {"max_epochs": length}}) != kind(row[0] | {"seed": run["seed"]}):
        return "of other parameters"
    return "cut earlier" if run["config"]["max_epochs"] < length else "run longer"


def count_of_seeds(folder: Path) -> str:
    """How many runs are in the mean of a folder's row, and in brackets how many are not, and why."""
    row = records(folder)
    whys = Counter(filter(None, (why_not_averaged(run, row) for run in all_records(folder))))
    others = ", ".join(f"{number} {why}" for why, number in whys.items())
    return f"{len(learned(row))}{f' (and {others})' if others else ''}"


def paths_of_other(folder: Path) -> list[Path]:
    """`paths_of_row` of another model's records."""
    found = {path: read_results(path, "baseline") for path in record_paths(folder)}
    return largest_kind({path: kind_of_other(run) for path, run in found.items()}, lambda path: found[path]["epochs"])


def records_of_other(folder: Path) -> list[Record]:
    """The records of another model in a results folder that can be averaged, in the order of their seeds."""
    return [read_results(path, "baseline") for path in paths_of_other(folder)]


def count_of_seeds_of_other(folder: Path) -> str:
    """`count_of_seeds` of another model's records, of which none is lost."""
    number = len(paths_of_other(folder))
    others = len(record_paths(folder)) - number
    return f"{number}{f' (and {others} of other parameters)' if others else ''}"


def kind_of_other(record: Record) -> tuple[Any, ...]:
    """All that decides a run of another model but its seed."""
    return record["config"] | {"seed": 0}, record["data_md5"], record["recipe"]


def between_draws(scores: dict[str, Any]) -> float | None:
    """Standard deviation of a model's test score between draws of its samples, in nats; None in records from before it
    was measured. scores: its metrics."""
    if "redraws" not in scores:
        return None
    return statistics.stdev([scores["test"]["authors"]["log_likelihood"], *scores["redraws"]])
