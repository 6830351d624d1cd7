"""Results of finished runs: one JSON a run, the weights it speaks of beside it, and nothing typed by hand.

The number of record is the number of the kept weights: they are rounded to eight bits first and scored after.
"""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from gan_repro.config import TrainingConfig
from gan_repro.data import MNIST
from gan_repro.files import sha256_of, write_atomically
from gan_repro.models import Generator
from gan_repro.paths import ROOT, RUNS
from gan_repro.provenance import session
from gan_repro.scoring import REDRAWS, scores_on_test_set
from gan_repro.training import RECIPE, Best, Run, train

Record = dict[str, Any]  # the contents of one results file, as `make_record` lists them


class ResultsError(RuntimeError):
    """A results or weights file is missing, damaged, or of another run than the one asked for."""


def reproduce(
    config: TrainingConfig,
    mnist: MNIST,
    results: Path,
    *,
    overwrite: bool = False,
    runs: Path = RUNS,
    device: torch.device | str = "cpu",
    show: Callable[[str], None] | None = print,
) -> tuple[Record, Path]:
    """The record of the run with this configuration, and its file: read from `results` if it stands there, else made.

    results: a folder; the file is seed<seed>.json in it. Where the folder holds records of another run (parameters
    other than the seed, data or recipe differ), this run is trained and its record stays in its own folder below
    `runs`, unless `overwrite` lets it take the place of another seed<seed>.json.
    """
    path = results / f"seed{config.seed}.json"
    if (record := whole_record(path, config, mnist.md5)) is not None:
        say(show, f"finished run found: {relative(path)} (epoch {record['epochs']}, {record['stopped_by']})")
        return record, path
    run = train(config, mnist, runs=runs, device=device, show=show)
    if not overwrite and not (may_replace(path, config, mnist.md5) and is_of_one_kind(results, config, mnist.md5)):
        say(show, f"{relative(results)} holds records of other parameters and is left as it is;")
        say(show, f"the record of this run stays in {relative(run.folder)}")
        path = run.folder / path.name
        if (record := whole_record(path, config, mnist.md5)) is not None:
            return record, path
    record = write_record(run, mnist, path)
    say(show, f"written: {relative(path)} and {path.with_suffix('.safetensors').name}")
    return record, path


def is_record_of(record: Record, config: TrainingConfig, data_md5: dict[str, str]) -> bool:
    """Whether a record is of this run: equal parameters and seed, data and recipe version."""
    # A field that a record lacks came later; its default leaves older runs as they were.
    try:
        return (TrainingConfig(**record["config"]), record["data_md5"], record["recipe"]) == (config, data_md5, RECIPE)
    except (TypeError, ValueError):  # a field or value that this version does not know: another recipe's
        return False


def whole_record(path: Path, config: TrainingConfig, data_md5: dict[str, str]) -> Record | None:
    """The record at `path` if it is of this run, readable, and its weights are beside it; else None."""
    try:
        record = read_record(path)
        weights_beside(path, record)
    except ResultsError:
        return None
    return record if is_record_of(record, config, data_md5) else None


def is_of_one_kind(results: Path, config: TrainingConfig, data_md5: dict[str, str]) -> bool:
    """Whether every record in a results folder is of this run but for the seed and the length. Unreadable ones are not.

    The length may differ since a longer run begins as the shorter one does.
    """
    try:
        records = [read_record(path) for path in results.glob("seed*.json")]
    except ResultsError:
        return False
    return all(
        is_record_of(
            record | {"config": record["config"] | {"max_epochs": config.max_epochs}},
            replace(config, seed=record["seed"]),
            data_md5,
        )
        for record in records
    )


def may_replace(path: Path, config: TrainingConfig, data_md5: dict[str, str]) -> bool:
    """Whether nothing of value stands at `path`: no readable record but this run's, or that of its beginning."""
    try:
        record = read_record(path)
    except ResultsError:
        return True
    length = record["config"].get("max_epochs", 0)
    return 0 < length <= config.max_epochs and is_record_of(record, replace(config, max_epochs=length), data_md5)


def write_record(run: Run, mnist: MNIST, path: Path) -> Record:
    """Score the best weights of a run on the test set, and write them and the record to `path`."""
    kept = {}
    for name, best in run.best.items():
        for key, value in best.weights.items():
            kept |= in_eight_bits(f"{name}.{key}", value.cpu())
    weights = save(kept, metadata={"format": "pt"})
    weights_path = path.with_suffix(".safetensors")
    record = {
        "experiment": "mnist",
        "config": asdict(run.config),
        "seed": run.config.seed,
        "recipe": RECIPE,
        "data_md5": run.data_md5,
        "epochs": run.epochs,
        "stopped_by": run.stopped_by,
        "metrics": {
            name: metrics(best, generator_of(kept, run.config, name), mnist, run.config)
            for name, best in run.best.items()
        },
        "weights": {"file": weights_path.name, "sha256": sha256(weights).hexdigest(), "precision": "int8"},
        "history": run.history,
        "seconds": run.seconds,
        "sessions": run.sessions,  # that trained it
        "scored_by": session(),
    }
    write_atomically(weights_path, weights)  # both at the end, one right after the other
    write_atomically(path, json.dumps(record, indent=1) + "\n")
    return record


def metrics(best: Best, G: Generator, mnist: MNIST, config: TrainingConfig) -> dict[str, Any]:
    """The scores of one generator; redraws: the test score with other draws of its samples, by the authors' grid."""
    redraws = [scores_on_test_set(G, mnist, config, draw=draw)["authors"]["log_likelihood"] for draw in REDRAWS]
    return {
        "epoch": best.epoch,
        "validation": best.scores,
        "test": scores_on_test_set(G, mnist, config),
        "redraws": redraws,
        "plus_minus": "standard error over the test images",
    }


PARTS = {"config", "seed", "recipe", "data_md5", "epochs", "stopped_by", "metrics", "weights", "history", "seconds"}


def read_record(path: Path) -> Record:
    """The contents of a results file. Raises ResultsError if it is missing, not JSON, or lacks a part."""
    try:
        record = json.loads(path.read_text())
    except FileNotFoundError:
        raise ResultsError(f"there is no results file {relative(path)}: run the notebook that makes it") from None
    except ValueError as error:
        raise ResultsError(f"the results file {relative(path)} is damaged: {error}; restore it from git") from None
    if not isinstance(record, dict):
        raise ResultsError(f"the results file {relative(path)} is damaged: it is not a record; restore it from git")
    missing = PARTS - set(record)
    if missing:
        raise ResultsError(f"the results file {relative(path)} lacks {', '.join(sorted(missing))}; restore it from git")
    return record


def read_generator(path: Path, name: str = "G") -> Generator:
    """G with the weights kept beside a results file; name: "G", or "ema" for the average of G's weights.

    Raises ResultsError if the weights are missing or are not those that the record names by their hash.
    """
    record = read_record(path)
    weights = weights_beside(path, record)
    return generator_of(load_file(weights), TrainingConfig(**record["config"]), name)


def weights_beside(path: Path, record: Record) -> Path:
    """The weights file of the record at `path`. Raises ResultsError if it is missing or not the one by its hash."""
    weights = path.with_name(record["weights"]["file"])
    if not weights.exists():
        raise ResultsError(f"the weights {relative(weights)} of {path.name} are missing: restore them from git")
    if sha256_of(weights) != record["weights"]["sha256"]:
        raise ResultsError(f"the weights {relative(weights)} are not those of {path.name}: their hash differs")
    return weights


SCALE = ".scale"


def in_eight_bits(key: str, value: Tensor) -> dict[str, Tensor]:
    """A weight matrix as whole numbers from -127 to 127 with a scale for each row; a vector as it is.

    A quarter of the size; the score of G moved by 0.01 and that of the average by 0.1 nats on the first run of record.
    """
    if value.dim() < 2:
        return {key: value.contiguous()}
    scale = (value.abs().amax(dim=1, keepdim=True) / 127).clamp_min(torch.finfo(value.dtype).tiny)
    return {key: (value / scale).round().to(torch.int8).contiguous(), key + SCALE: scale}


def generator_of(kept: dict[str, Tensor], config: TrainingConfig, name: str) -> Generator:
    """G from the tensors of a weights file, in float32."""
    weights = {
        key.removeprefix(f"{name}."): value.float() * kept.get(key + SCALE, 1)
        for key, value in kept.items()
        if key.startswith(f"{name}.") and not key.endswith(SCALE)
    }
    G = Generator(num_z=config.num_z, num_hidden=config.num_hidden)
    G.load_state_dict(weights)
    return G.requires_grad_(False)


def relative(path: Path) -> str:
    """A path as a reader of this repository writes it."""
    path = Path(path).resolve()
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def say(show: Callable[[str], None] | None, line: str) -> None:
    if show is not None:
        show(line)


def nats(value: float, error: float | None = None) -> str:
    """A log-likelihood as tables print it: 225.1 or 225.1 ± 1.9."""
    if not math.isfinite(value):
        return "not finite"
    return f"{value:.1f}" if error is None else f"{value:.1f} ± {error:.1f}"
