"""Records: the results file of a finished training run with the weights it speaks of beside it.

The number of record is the number of the kept weights: they are rounded to eight bits first and scored after. Of the
faces' and CIFAR-10 pairs, whose weights are too large to keep, the record has fair draws beside it instead.
"""

import argparse
import shlex
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gan_repro import tfd
from gan_repro.cifar10 import load_cifar10
from gan_repro.config import RELEASED, TrainingConfig, released
from gan_repro.data import DataError, load_mnist
from gan_repro.faces import Faces
from gan_repro.fer2013 import load_fer2013
from gan_repro.models import Generator
from gan_repro.pairs import Images, make_generator
from gan_repro.paths import RESULTS, RUNS
from gan_repro.provenance import changed_since
from gan_repro.results import ResultsError, damaged, read_results, record_paths, relative, write_results
from gan_repro.scoring import REDRAWS, TEST_DRAW, draw_samples, scores_on_test_set
from gan_repro.training import Best, Run, recipe_of, train
from gan_repro.weights import (
    PRECISION,
    kept_beside,
    pack,
    pack_samples,
    sample_names,
    unpack,
    unpack_samples,
    what_is_kept,
    write_beside,
)
from gan_repro.words import check_all_taken, split_words, with_fields

NUM_KEPT_SAMPLES = 250  # of each generator of the pairs whose weights are too large to keep: a megabyte or two a pair
Record = dict[str, Any]  # the contents of a results file of the kind "run": results_schema.json


def reproduce(
    config: TrainingConfig,
    data: Images,
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
    Raises as `training.train` does, and ResultsError if the record cannot be written.
    """
    path = results / f"seed{config.seed}.json"
    if (record := whole_record(path, config, data.md5)) is not None:
        say(show, f"finished run found: {relative(path)} (epoch {record['epochs']}, {record['stopped_by']})")
        say_changed(show, record["sessions"][-1])
        return record, path
    run = train(config, data, runs=runs, device=device, show=show)
    say_changed(show, run.sessions[-1])
    if not overwrite and not (may_replace(path, config, data.md5) and is_of_one_kind(results, config, data.md5)):
        say(show, f"{relative(results)} holds records of other parameters and is left as it is;")
        say(show, f"the record of this run stays in {relative(run.folder)}")
        path = run.folder / path.name
        if (record := whole_record(path, config, data.md5)) is not None:
            return record, path
    try:
        record = write_record(run, data, path, experiment=results.name)
    except ResultsError as error:
        safe = f"the finished training is safe in {relative(run.folder)}: mend this and run it again, it will not train"
        raise ResultsError(f"{error}; {safe}") from None
    say(show, f"written: {relative(path)} and {record[what_is_kept(record)]['file']}")
    return record, path


def is_record_of(record: Record, config: TrainingConfig, data_md5: dict[str, str]) -> bool:
    """Whether a record is of this run: equal parameters and seed, data and recipe version."""
    # A field that a record lacks came later; its default leaves older runs as they were.
    try:
        of_record = TrainingConfig(**record["config"]), record["data_md5"], record["recipe"]
        return of_record == (config, data_md5, recipe_of(config))
    except (TypeError, ValueError):  # a field or value that this version does not know: another recipe's
        return False


def whole_record(path: Path, config: TrainingConfig, data_md5: dict[str, str]) -> Record | None:
    """The record at `path` if it is of this run, readable, and what it keeps is beside it; else None."""
    try:
        record = read_record(path)
        kept_beside(path, record)
    except ResultsError:
        return None
    return record if is_record_of(record, config, data_md5) else None


def is_of_one_kind(results: Path, config: TrainingConfig, data_md5: dict[str, str]) -> bool:
    """Whether every record in a results folder is of this run but for the seed and the length. Unreadable ones are not.

    The length may differ since a longer run begins as the shorter one does.
    """
    try:
        records = [read_record(path) for path in record_paths(results)]
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
    length = record["config"]["max_epochs"]
    return length <= config.max_epochs and is_record_of(record, replace(config, max_epochs=length), data_md5)


def write_record(run: Run, data: Images, path: Path, *, experiment: str) -> Record:
    """Score the best generators of a run on the test set; write the record to `path`, and what it keeps beside it."""
    config, best = run.config, dict(run.best)
    if config.pair == "mnist":
        kept = pack({name: best.weights for name, best in run.best.items()})
        generators = {name: unpack(kept, config, name) for name in run.best}
        what, fact = "weights", {"precision": PRECISION}
    else:  # whose weights are a third of a gigabyte: fair draws are kept instead
        generators = {name: with_weights(best.weights, config) for name, best in run.best.items()}
        best["last"] = Best(run.epochs, run.history[-1]["G"], run.last)  # as the authors' files, which look at no score
        generators["last"] = with_weights(run.last, config)
        count = min(NUM_KEPT_SAMPLES, config.num_samples)
        kept = pack_samples({name: kept_draws(G, config, count) for name, G in generators.items()})
        what, fact = "samples", {"count": count}
    contents = {
        "experiment": experiment,
        "config": asdict(config),
        "seed": config.seed,
        "recipe": recipe_of(config),
        "data_md5": run.data_md5,
        "epochs": run.epochs,
        "stopped_by": run.stopped_by,
        "metrics": {name: metrics(best[name], G, data, config) for name, G in generators.items()},
        "history": run.history,
        "seconds": run.seconds,
        "sessions": run.sessions,  # that trained it
    }
    if run.stage_1:
        contents["stage_1"] = run.stage_1
    contents[what] = fact | write_beside(path, what, kept)  # both at the end, one right after the other
    return write_results(path, "run", contents, command=command_for(run, experiment))


def with_weights(weights: dict[str, Tensor], config: TrainingConfig) -> nn.Module:
    """G of config's pair with these weights."""
    G = make_generator(config).requires_grad_(False)
    G.load_state_dict(weights)
    return G


def kept_draws(G: nn.Module, config: TrainingConfig, count: int) -> Tensor:
    """The first of the samples that the test score is made of, (count, num_pixels)."""
    return draw_samples(G, num_samples=count, noise=config.noise, seed=config.seed, draw=TEST_DRAW)


def metrics(best: Best, G: nn.Module, data: Images, config: TrainingConfig) -> dict[str, Any]:
    """The scores of one generator; redraws: the test score with other draws of its samples, by the authors' grid."""
    redraws = [scores_on_test_set(G, data, config, draw=draw)["authors"]["log_likelihood"] for draw in REDRAWS]
    return {
        "epoch": best.epoch,
        "validation": best.scores,
        "test": scores_on_test_set(G, data, config),
        "redraws": redraws,
        "plus_minus": f"standard error over {'folds' if isinstance(data, Faces) else 'the test images'}",
    }


def command_for(run: Run, experiment: str) -> str:
    """The command that trains this run from nothing, into results/again/ and runs/again/."""
    changed = {"seed": run.config.seed} | not_as_released(asdict(run.config))
    words = [f"{key}={value}" for key, value in changed.items()]
    words = ["--tfd", *words] if tfd.FILE in run.data_md5 else words
    threads = run.sessions[-1]["machine"]["threads"]  # another number rounds otherwise
    if (device := run.sessions[-1]["device"]) != "cpu":
        words = ["--device", device, *words]
    command = ["python", "-m", "gan_repro.records", "--experiment", experiment, *words]
    return f"OMP_NUM_THREADS={threads} .venv/bin/{shlex.join(command)}"


def not_as_released(config: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a record whose values are not the released ones; its pair, if that is not the MNIST one."""
    defaults = asdict(released(config.get("pair", "mnist"))) | {"pair": "mnist"}
    return {key: value for key, value in config.items() if value != defaults[key]}


def read_record(path: Path) -> Record:
    """The record at `path`. Raises ResultsError as `results.read_results` does, or if its parts are not of one run."""
    record = read_results(path, "run")
    if problem := contradiction(path, record):
        raise damaged(path, problem)
    return record


def contradiction(path: Path, record: Record) -> str | None:
    """What in a record cannot be of one run, in words; None where all agrees."""
    try:
        config = TrainingConfig(**record["config"])
    except (TypeError, ValueError) as error:
        return f"its config is none of TrainingConfig: {error}"
    if not path.stem == f"seed{record['seed']}" == f"seed{config.seed}":
        return f"it is named {path.name}, but its seed is {record['seed']}, that of its config {config.seed}"
    epochs = [row["epoch"] for row in record["history"]]
    if epochs != list(range(1, record["epochs"] + 1)):
        return f"its history is not that of {record['epochs']} epochs"
    if epochs[-1] > config.max_epochs or (record["stopped_by"] == "max_epochs") != (epochs[-1] == config.max_epochs):
        return f"{record['epochs']} epochs, stopped by {record['stopped_by']}, but max_epochs is {config.max_epochs}"
    for name, scores in record["metrics"].items():
        of_epoch = "G" if name == "last" else name  # the name that its row of the history has for it
        if scores["epoch"] > epochs[-1] or scores["validation"] != record["history"][scores["epoch"] - 1].get(of_epoch):
            return f"the validation score of {name} is not that of epoch {scores['epoch']} in its history"
        if len(scores.get("redraws", REDRAWS)) != len(REDRAWS):
            return f"{name} has {len(scores['redraws'])} scores of other draws instead of {len(REDRAWS)}"
    return None


def read_generator(path: Path, name: str = "G") -> Generator:
    """G with the weights kept beside a record; name: "G", or "ema" for the average of G's weights.

    Raises ResultsError if the record cannot be read, or if the weights are missing, are not those that it names by
    their hash, are not safetensors, do not fit G, or are not finite.
    """
    record = read_record(path)
    if "weights" not in record:
        raise ResultsError(f"{relative(path)} keeps samples of G, not its weights: make them anew by its command")
    weights = kept_beside(path, record)
    try:
        return unpack(weights.read_bytes(), TrainingConfig(**record["config"]), name)
    except (TypeError, ValueError) as error:
        raise ResultsError(f"the weights {relative(weights)} cannot be used: {error}") from None


def read_samples(path: Path, name: str = "G") -> Tensor:
    """Fair draws of the generator, (n, num_pixels), kept beside a record whose weights are too large to keep.

    name: as in `read_generator`, whose errors these are; or "last" for G after the last epoch, of which older records
    have none, or fewer than of the others.
    """
    record = read_record(path)
    if "samples" not in record:
        raise ResultsError(f"{relative(path)} keeps the weights of G: draw samples from these")
    kept = kept_beside(path, record)
    try:
        data = kept.read_bytes()
        if name == "last" and name not in sample_names(data):
            way_out = "its command makes it anew, and trains anew where the checkpoints are gone"
            raise ResultsError(f"{relative(path)} is from before draws of the last G were kept: {way_out}")
        samples = unpack_samples(data, name)
        count = record["samples"]["count"]
        if len(samples) > count or (len(samples) < count and name != "last"):
            raise ValueError(f"they are {len(samples)} draws, not {count}")
        return samples
    except ValueError as error:
        raise ResultsError(f"the samples {relative(kept)} cannot be used: {error}") from None


def say_changed(show: Callable[[str], None] | None, session: dict[str, Any]) -> None:
    """Say so if the modules that train or score are not those that a run ended with."""
    if changed_since(session):
        say(show, "trained by the code of an earlier commit: what that means is in README.md, Reproducibility")


def say(show: Callable[[str], None] | None, line: str) -> None:
    if show is not None:
        show(line)


def load_images(pair: str, *, of_tfd: bool = False) -> Images:
    """The data that a pair learns; of_tfd: the paper's own faces. Raises DataError, which says how to put it there."""
    if pair.startswith("faces"):
        return tfd.load_tfd() if of_tfd else load_fer2013()
    return load_cifar10() if pair.startswith("cifar10") else load_mnist()


def config_of(words: list[str]) -> TrainingConfig:
    """The released configuration of a pair, changed as the words of a command line say. Raises ValueError."""
    given = split_words(words)
    config = with_fields(released(pair := given.pop("pair", "mnist")), given)
    check_all_taken(given, f"the pair {pair}", config)
    return config


def usable_device(text: str) -> torch.device:
    """The device of that name. Raises argparse.ArgumentTypeError where PyTorch cannot use it on this machine."""
    try:
        torch.zeros(1, device=text).item()  # on "meta" there are no numbers
        return torch.device(text)
    except (RuntimeError, AssertionError):  # the latter from a build without CUDA
        raise argparse.ArgumentTypeError(f"PyTorch cannot use {text!r} here; without the option it is cpu") from None


def main() -> None:
    """Train one run from the command line: what the command in every record calls."""
    parser = argparse.ArgumentParser(
        prog="python -m gan_repro.records",
        description="Train a run of any pair into results/again/ and runs/again/. A run that was stopped goes on.",
        epilog="Example: pair=cifar10_mlp width=0.05 max_epochs=5 (minutes; at full width hours, see What it costs in "
        f"README.md). Pairs: {', '.join(RELEASED)}.",
    )
    parser.add_argument("--experiment", help="folder of its record below results/again/; the pair's name if not given")
    parser.add_argument("--tfd", action="store_true", help="the Toronto Face Database's faces, not FER-2013's")
    parser.add_argument("--device", type=usable_device, default="cpu", help="cuda, or another that PyTorch has here")
    parser.add_argument("parameters", nargs="*", metavar="name=value", help="pair, or fields of TrainingConfig")
    arguments = parser.parse_intermixed_args()  # options may stand before, between or after the parameters
    try:
        config, named = config_of(arguments.parameters), split_words(arguments.parameters)
        if arguments.tfd and not config.pair.startswith("faces"):
            raise ValueError(f"--tfd is for faces: the pair {config.pair} learns none; add pair=faces_stage_2")
        data = load_images(config.pair, of_tfd=arguments.tfd)
        if arguments.tfd:  # all of them; a configuration's own numbers are FER-2013's
            sizes = {"num_train": len(data.train), "num_valid": len(data.valid)}
            config = replace(config, **{key: size for key, size in sizes.items() if key not in named})
        results = RESULTS / "again" / (arguments.experiment or config.pair)
        reproduce(config, data, results, runs=RUNS / "again", device=arguments.device)
    except (ValueError, DataError, RuntimeError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
