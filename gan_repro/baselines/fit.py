"""One run of a model of Table 1's other rows: trained, scored by the protocol that G is scored by, and recorded.

A run resumes from the end of its last epoch with the bits of one that never stopped: every random number is a function
of (seed, purpose, epoch).
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gan_repro.baselines.cae import CAEConfig, StackedCAE
from gan_repro.baselines.chains import autocorrelation, follow
from gan_repro.baselines.checks import check
from gan_repro.baselines.dbn import DBN, USUAL, DBNConfig
from gan_repro.baselines.gsn import GSN, GSNConfig
from gan_repro.baselines.vae import VAE, VAEConfig
from gan_repro.checkpoints import load_checkpoint, remove_unfinished, save_checkpoint
from gan_repro.data import load_mnist, to_unit
from gan_repro.faces import Faces
from gan_repro.fer2013 import load_fer2013
from gan_repro.pairs import Images
from gan_repro.paths import RUNS
from gan_repro.provenance import changed_since, session
from gan_repro.results import nats, read_results, record_paths, relative, write_results
from gan_repro.scoring import NUM_VALID_FOR_SIGMA, REDRAWS, TEST_DRAW, VALIDATION_DRAW, parzen_scores, scores_over_folds
from gan_repro.tfd import load_tfd
from gan_repro.training import lock, score_of
from gan_repro.weights import kept_beside, pack_samples, write_beside

MODELS = {  # class and configuration
    "rbm": (DBN, DBNConfig(layers=(1000,), epochs=30)),
    "dbn": (DBN, DBNConfig()),
    "stacked_cae": (StackedCAE, CAEConfig()),
    "deep_gsn": (GSN, GSNConfig()),
    "vae": (VAE, VAEConfig()),
}
# Raised where the same parameters begin to mean other draws or formulas. (rbm, 2: its chains begin elsewhere.)
RECIPES = dict.fromkeys(MODELS, 1) | {"rbm": 2}
DATA = {"MNIST": load_mnist, "FER-2013": load_fer2013, "TFD": load_tfd}  # what a command may name
LATER = {"start": USUAL}  # fields of a model_config that came after the first records
FIXED = frozenset({"model", "model_config", "num_visible"})  # by the model's name and the data: no words of a command
PURPOSES = {"weights": 0, "epoch": 1, "draw": 2, "kept": 3, "chain": 4}
NUM_KEPT_SAMPLES = 500  # drawn from those of the test score
NUM_KEPT_CHAINS, NUM_KEPT_STEPS = 4, 25  # of which every step is kept
LAGS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)  # steps of a chain, for its autocorrelation


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What decides a run, beside the data. model_config: of the model's own class, such as `gsn.GSNConfig`."""

    model: str  # a key of MODELS
    model_config: Any
    seed: int = 0
    num_train: int = 50_000  # the first training images, as the adversarial pair has them
    num_valid: int = 10_000  # validation images that choose the epoch
    num_samples: int = 10_000  # in a Parzen score (Section 5)
    score_every: int = 5  # epochs between two validation scores; the last epoch is always scored

    def __post_init__(self):
        if self.model not in MODELS:
            raise ValueError(f'model is "{self.model}": it must be one of {", ".join(MODELS)}')
        if type(self.model_config) is not type(default := MODELS[self.model][1]):
            wrong, right = type(self.model_config).__name__, type(default).__name__
            raise ValueError(f"model_config is a {wrong}: {self.model} has a {right}")
        check(self)
        if self.model == "rbm" and len(self.model_config.layers) != 1:
            raise ValueError(f"layers is {self.model_config.layers}: an rbm has one; a dbn takes more")
        if (batch_size := self.model_config.batch_size) > self.num_train:
            raise ValueError(f"batch_size is {batch_size}, above num_train, which is {self.num_train}")

    def parameters(self) -> dict[str, Any]:
        """All fields; one of LATER at its default is left out, since records from before it have none."""
        of_model = {k: v for k, v in asdict(self.model_config).items() if (k, v) not in LATER.items()}
        return asdict(self) | {"model_config": of_model}

    def identity(self, data_md5: dict[str, str]) -> str:
        """12 hexadecimal digits that change with all that decides the result but the code."""
        decides = [RECIPES[self.model], self.parameters(), data_md5]
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:12]


def rng_for(seed: int, purpose: str, number: int = 0) -> torch.Generator:
    """The generator of one purpose: a function of seed, purpose and number alone."""
    (state,) = np.random.SeedSequence([seed, PURPOSES[purpose], number]).generate_state(1)  # 32 bits: no more are used
    return torch.Generator().manual_seed(int(state))


def fit(
    settings: Fit, data: Images, results: Path, *, runs: Path = RUNS, show: Callable[[str], None] | None = print
) -> tuple[dict[str, Any], Path]:
    """The record of a run, and its file: read from results/seed<seed>.json if it stands there for these settings, else
    made.

    results: the folder of the model's records; where it holds those of runs that differ in more than the seed, it is
    left, and this one's record stays in the run's own folder below `runs`. Trains from the last checkpoint there, if
    there is one.
    Where code, versions or machine are not those that a run began with, its bits are not those of one that never
    stopped; that is said. Raises FloatingPointError where a weight is not finite any more, ValueError where there are
    fewer images than asked for, RuntimeError as `training.train` does, and ResultsError where a record cannot be read
    or written.
    """
    show, path = show or (lambda line: None), results / f"seed{settings.seed}.json"
    if not is_of_one_kind(results, settings, data.md5):
        show(f"{relative(results)} holds records of other runs (parameters, data or recipe) and is left as it is;")
        path = run_folder(settings, data, runs) / path.name
        show(f"that of this run stays in {relative(path)}")
    if path.exists():
        record = read_results(path, "baseline")
        kept_beside(path, record)
        show(f"{relative(path)}: finished run found{made_otherwise(record['sessions'][-1])}")
        return record, path
    with locked_run(settings, data, runs, show) as fitter:
        fitter.train()
        record = fitter.write(path)
        test = record["metrics"]["test"]["authors"]
        fitter.show(f"{relative(path)}: test {nats(test['log_likelihood'], test['standard_error'])} nats")
        return record, path


def is_of_one_kind(results: Path, settings: Fit, data_md5: dict[str, str]) -> bool:
    """Whether every record in a results folder is of this run but for the seed. Raises ResultsError if one cannot be
    read."""
    records = [read_results(path, "baseline") for path in record_paths(results)]
    return all(one["identity"] == replace(settings, seed=one["seed"]).identity(data_md5) for one in records)


def run_folder(settings: Fit, data: Images, runs: Path) -> Path:
    return runs / f"{settings.model}-seed{settings.seed}-{settings.identity(data.md5)}"


@contextmanager
def locked_run(settings: Fit, data: Images, runs: Path, show: Callable[[str], None] | None) -> Iterator["Fitter"]:
    """A run as its last checkpoint below `runs` left it, for this process alone."""
    folder = run_folder(settings, data, runs)
    with lock(folder):
        remove_unfinished(folder)
        fitter = Fitter(settings, data, folder, show)
        fitter.resume()
        yield fitter


class Fitter:
    """The state of one run and the loop over it."""

    def __init__(self, settings: Fit, data: Images, folder: Path, show: Callable[[str], None] | None):
        for name, images in (("num_train", data.train), ("num_valid", data.valid)):
            if getattr(settings, name) > len(images):
                raise ValueError(f"{name} is {getattr(settings, name)}: there are only {len(images)} such images")
        self.settings, self.data, self.folder = settings, data, folder
        self.show = show or (lambda line: None)
        self.x = to_unit(data.train[: settings.num_train])
        self.model = MODELS[settings.model][0](settings.model_config, rng_for(settings.seed, "weights"))
        self.history: list[dict[str, Any]] = []
        self.sessions: list[dict[str, Any]] = []
        self.seconds = 0.0
        self.best: tuple[int, dict[str, Tensor]] | None = None  # epoch, and the model's state at its end

    def train(self) -> None:
        """To the last epoch, from where the run stands."""
        epochs = self.settings.model_config.epochs
        if len(self.history) < epochs:
            for line in changes_since(self.sessions[-1]) if self.sessions else ():
                self.show(f"the run in {self.folder} goes on, but {line}")
            self.sessions.append(session(trainer=__name__) | {"from_epoch": len(self.history)})
        while len(self.history) < epochs:
            self.run_epoch()

    def run_epoch(self) -> None:
        s, epoch, began = self.settings, len(self.history), time.perf_counter()
        row = {"epoch": epoch + 1} | self.model.train_epoch(self.x, epoch, rng_for(s.seed, "epoch", epoch))
        if not all(value.isfinite().all() for value in self.model.state_dict().values()):
            raise FloatingPointError(f"a weight is not finite after epoch {epoch + 1}; a lower lr usually helps")
        is_due = row["epoch"] % s.score_every == 0 or row["epoch"] == s.model_config.epochs
        if is_due and row["epoch"] >= self.model.first_scored:
            row["validation"] = self.validation_scores()
            if self.best is None or score_of(row["validation"]) > score_of(self.best_scores()):
                self.best = row["epoch"], {key: value.clone() for key, value in self.model.state_dict().items()}
        self.history.append(row)
        self.seconds += time.perf_counter() - began
        self.save()
        told = [f"{name} {value:.4f}" for name, value in row.items() if isinstance(value, float)]
        if "validation" in row:
            told.append(f"validation {row['validation']['authors']['log_likelihood']:.1f} nats")
        self.show(f"{s.model}, seed {s.seed}, epoch {row['epoch']}: {', '.join(told)} ({self.seconds:.0f} s)")

    def best_scores(self) -> dict[str, dict[str, float]]:
        """The validation scores of the best epoch."""
        return self.history[self.best[0] - 1]["validation"]

    def draw(self, number: int) -> Tensor:
        """Samples of the model as it stands, (num_samples, d); number: of the draw."""
        return self.model.draw(self.settings.num_samples, rng_for(self.settings.seed, "draw", number))

    def validation_scores(self, samples: Tensor | None = None) -> dict[str, dict[str, float]]:
        """Of these samples; if there are none, of the draw that chooses the epoch."""
        samples = self.draw(VALIDATION_DRAW) if samples is None else samples
        valid = self.data.valid[: self.settings.num_valid]
        return parzen_scores(valid, valid[:NUM_VALID_FOR_SIGMA], samples)

    def save(self) -> None:
        optimizer = self.model.optimizer.state_dict()
        tensors = {"model": self.model.state_dict(), "optimizer": optimizer, "best": self.best[1] if self.best else {}}
        facts = {"history": self.history, "seconds": self.seconds, "sessions": self.sessions}
        try:
            save_checkpoint(self.folder, tensors, facts | {"best": self.best[0] if self.best else None})
        except OSError as error:
            raise RuntimeError(f"the checkpoint in {self.folder} cannot be written: {error.strerror}") from error

    def resume(self) -> None:
        if (saved := load_checkpoint(self.folder)) is None:
            return
        tensors, facts = saved
        self.model.load_state_dict(tensors["model"])
        self.model.optimizer.load_state_dict(tensors["optimizer"])
        self.history, self.seconds, self.sessions = facts["history"], facts["seconds"], facts["sessions"]
        self.best = (facts["best"], tensors["best"]) if facts["best"] else None

    def write(self, path: Path) -> dict[str, Any]:
        """Score the best epoch's model on the test images; write the record, and some samples beside it."""
        s, (epoch, state) = self.settings, self.best
        self.model.load_state_dict(state)
        samples = self.draw(TEST_DRAW)
        redraws = [scores_of_samples(self.data, self.draw(number))["authors"]["log_likelihood"] for number in REDRAWS]
        some = torch.randperm(len(samples), generator=rng_for(s.seed, "kept"))[:NUM_KEPT_SAMPLES]
        chains, mixing = self.follow_chains()
        kept = pack_samples({"model": samples[some]} | chains)
        contents = {
            "experiment": s.model,
            "config": s.parameters(),
            "seed": s.seed,
            "recipe": RECIPES[s.model],
            "identity": s.identity(self.data.md5),
            "data": data_name(self.data),
            "data_md5": self.data.md5,
            "epochs": len(self.history),
            "metrics": {
                "epoch": epoch,
                "validation": self.best_scores(),
                "test": scores_of_samples(self.data, samples),
                "redraws": redraws,
                "plus_minus": plus_minus(self.data),
            },
            "history": self.history,
            "seconds": round(self.seconds, 1),
            "sessions": self.sessions,
        } | mixing
        contents["samples"] = {"count": len(some)} | write_beside(path, "samples", kept)
        command = command_for(s, data_name(self.data))
        return write_results(path, "baseline", contents, command=command, trainer=__name__)

    def follow_chains(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Of a model that draws along chains, from their burn-in on: the first steps of some, and how fast they forget;
        nothing of others."""
        if not hasattr(self.model, "start_chains"):
            return {}, {}
        c = self.settings.model_config
        advance = self.model.start_chains(c.num_chains, rng_for(self.settings.seed, "chain"))
        steps = sorted({*range(NUM_KEPT_STEPS), *LAGS})
        seen = follow(advance, [c.burn_in + step for step in steps])
        at_lags = seen[[steps.index(lag) for lag in LAGS]]
        kept = seen[:NUM_KEPT_STEPS, :NUM_KEPT_CHAINS].transpose(0, 1).flatten(0, 1)  # chain by chain
        return {"chain": kept}, {"mixing": {"lags": list(LAGS), "autocorrelation": autocorrelation(at_lags).tolist()}}


def scores_of_samples(data: Images, samples: Tensor) -> dict[str, dict[str, Any]]:
    """Table 1's number of samples, (m, d) in [0, 1]: over all test images with sigma chosen on the first validation
    images, or over the folds of faces."""
    if isinstance(data, Faces):
        return scores_over_folds(data, samples)
    return parzen_scores(data.test, data.valid[:NUM_VALID_FOR_SIGMA], samples)


def plus_minus(data: Images) -> str:
    """What standard_error of `scores_of_samples` is over."""
    return f"standard error over {'folds' if isinstance(data, Faces) else 'the test images'}"


def changes_since(before: dict[str, Any]) -> list[str]:
    """What is not as it was in a session, a line each."""
    now, (keys, code) = session(trainer=__name__), differences(before)
    told = [f"{key} is {now[key]}, was {before[key]}" for key in keys]
    return told + ([f"the code of {', '.join(code)} has changed"] if code else [])


def made_otherwise(before: dict[str, Any]) -> str:
    """In short whether a finished run's last session was of other code, versions or machine, as words to add."""
    keys, code = differences(before)
    what = ["earlier code"] * bool(code) + [f"other {key}" for key in keys]
    return f" (made by {', '.join(what)})" if what else ""


def differences(before: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Which of versions and machine, and which modules, are not what they were in a session."""
    now = session(trainer=__name__)
    return [key for key in ("versions", "machine") if before[key] != now[key]], changed_since(before, trainer=__name__)


def data_name(data: Images) -> str:
    """A key of DATA."""
    return data.name if isinstance(data, Faces) else type(data).__name__


def command_for(settings: Fit, data: str) -> str:
    """The command that trains this run from nothing into results/again/."""
    default = Fit(model=settings.model, model_config=MODELS[settings.model][1])
    words = [f"seed={settings.seed}"]
    for given, usual in ((settings, default), (settings.model_config, default.model_config)):
        for field in fields(given):
            value = getattr(given, field.name)
            if field.name not in {"seed", *FIXED} and value != getattr(usual, field.name):
                words.append(f"{field.name}={','.join(map(str, value)) if isinstance(value, tuple) else value}")
    return " ".join([".venv/bin/python -m gan_repro.baselines", settings.model, "--data", data, *words])
