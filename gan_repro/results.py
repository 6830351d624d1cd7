"""Results of finished runs: one JSON a run, the weights it speaks of beside it, and nothing typed by hand.

The number of record is the number of the kept weights: they are rounded to half precision first and scored after.
"""

import json
import math
import platform
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
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
from gan_repro.scoring import scores_on_test_set
from gan_repro.training import RECIPE, Run, train

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

    results: a folder; the file is seed<seed>.json in it. Where that file is of another run (another configuration,
    other data, another recipe) this run is trained and its record stays in its own folder below `runs`, unless
    `overwrite` allows it to take the place.
    """
    path = results / f"seed{config.seed}.json"
    existing = read_record(path) if path.exists() else None
    if existing is not None and is_record_of(existing, config, mnist.md5):
        say(show, f"finished run found: {relative(path)} (epoch {existing['epochs']}, {existing['stopped_by']})")
        return existing, path
    run = train(config, mnist, runs=runs, device=device, show=show)
    if existing is not None and not overwrite:
        say(show, f"{relative(path)} holds another run and is left as it is; this one's record is in {run.folder}")
        path = run.folder / path.name
        if path.exists() and is_record_of(kept := read_record(path), config, mnist.md5):
            return kept, path
    record = write_record(run, mnist, path)
    say(show, f"written: {relative(path)} and {path.with_suffix('.safetensors').name}")
    return record, path


def is_record_of(record: Record, config: TrainingConfig, data_md5: dict[str, str]) -> bool:
    """Whether a record is of this run: equal parameters and seed, data and recipe version."""
    # A field that a record lacks came later; its default leaves older runs as they were.
    try:
        return (TrainingConfig(**record["config"]), record["data_md5"], record["recipe"]) == (config, data_md5, RECIPE)
    except TypeError:  # a field this version does not know: another recipe's
        return False


def write_record(run: Run, mnist: MNIST, path: Path) -> Record:
    """Keep the best weights of a run beside `path`, score them on the test set, and write the record to `path`."""
    kept = {
        f"{name}.{key}": value.half().cpu().contiguous()
        for name, best in run.best.items()
        for key, value in best.weights.items()
    }
    weights = path.with_suffix(".safetensors")
    write_atomically(weights, save(kept, metadata={"format": "pt"}))
    record = {
        "experiment": "mnist",
        "config": asdict(run.config),
        "seed": run.config.seed,
        "recipe": RECIPE,
        "data_md5": run.data_md5,
        "epochs": run.epochs,
        "stopped_by": run.stopped_by,
        "metrics": {
            name: {
                "epoch": best.epoch,
                "validation": best.scores,
                "test": scores_on_test_set(generator_of(kept, run.config, name), mnist, run.config),
                "plus_minus": "standard error over the test images",
            }
            for name, best in run.best.items()
        },
        "weights": {"file": weights.name, "sha256": sha256_of(weights), "precision": "float16"},
        "history": run.history,
        "seconds": run.seconds,
        "machine": machine(),
        "versions": {name: version(name) for name in ("torch", "torchvision", "numpy")} | {"python": python_version()},
        "commit": commit(),
    }
    write_atomically(path, json.dumps(record, indent=1) + "\n")
    return record


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
    missing = {"config", "recipe", "data_md5", "metrics", "weights", "history"} - set(record)
    if missing:
        raise ResultsError(f"the results file {relative(path)} lacks {', '.join(sorted(missing))}; restore it from git")
    return record


def read_generator(path: Path, name: str = "G") -> Generator:
    """G with the weights kept beside a results file; name: "G", or "ema" for the average of G's weights.

    Raises ResultsError if the weights are missing or are not those that the record names by their hash.
    """
    record = read_record(path)
    weights = path.with_name(record["weights"]["file"])
    if not weights.exists():
        raise ResultsError(f"the weights {relative(weights)} of {path.name} are missing: restore them from git")
    if sha256_of(weights) != record["weights"]["sha256"]:
        raise ResultsError(f"the weights {relative(weights)} are not those of {path.name}: their hash differs")
    return generator_of(load_file(weights), TrainingConfig(**record["config"]), name)


def generator_of(kept: dict[str, Tensor], config: TrainingConfig, name: str) -> Generator:
    """G from the tensors of a weights file, in float32."""
    G = Generator(num_z=config.num_z, num_hidden=config.num_hidden)
    prefix = f"{name}."
    G.load_state_dict({key.removeprefix(prefix): t.float() for key, t in kept.items() if key.startswith(prefix)})
    return G.requires_grad_(False)


def machine() -> dict[str, Any]:
    """What the run ran on: processor model and threads, nothing that names a host."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = models[0] if models else model
    return {"cpu": model, "threads": torch.get_num_threads(), "platform": f"{platform.system()} {platform.machine()}"}


def python_version() -> str:
    return platform.python_version()


def commit() -> str:
    """The commit of the working tree, with "+" where it has changes, or "unknown" outside git."""
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
        changes = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("+" if changes.stdout.strip() else "")


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
